"""Which files of a BACI release are there, loose or inside its archive, and how to read the yearly ones in blocks."""

from __future__ import annotations

import csv
import io
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv

from cyber_trade_econ.errors import ConfigError, ParseError
from cyber_trade_econ.sources import _archive, _workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyber_trade_econ.records.source import Raw, Years

HEADER = ("t", "i", "j", "k", "v", "q")
_UNPACKED = 40_000_000_000
_FLOWS = re.compile(r"BACI_(HS\d\d)_Y(\d{4})_V(\d{6}[a-z]?)(?:_.*)?\.csv", re.IGNORECASE)
_READ = {"t": pa.int32(), "i": pa.int32(), "j": pa.int32(), "k": pa.string(), "v": pa.float64(), "q": pa.string()}


@dataclass(frozen=True)
class YearFile:
    """One CSV of flows: a file, or a member of an archive."""

    vintage: str
    release: str
    year: int
    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Name for messages."""
        return Path(self.member).name if self.member else self.path.name


def find(raw: Sequence[Raw], years: Years) -> tuple[list[YearFile], int]:
    """Return the yearly files that were asked for, in order, and how many others there are.

    Raises
    ------
    ConfigError
        No yearly file, none of the years asked for, or more than one HS vintage or release.
    """
    found = [f for r in raw for f in _inside(r.path)]
    if not found and years is not None:
        raise ConfigError(
            f"there is no BACI file of the years {', '.join(map(str, sorted(years)))}",
            found=sorted(r.path.name for r in raw),
            allowed="names such as BACI_HS92_Y2021_V202301.csv or BACI_HS92_V202301.zip",
        )
    kinds = sorted({(f.vintage, f.release) for f in found})
    if len(kinds) != 1:
        raise ConfigError(
            "the BACI files should be of one HS vintage and one release",
            found=[f"{v} V{r}" for v, r in kinds] or sorted(r.path.name for r in raw),
            allowed="names such as BACI_HS92_Y2021_V202301.csv or BACI_HS92_V202301.zip",
            fix="Keep one release in the mirror folder.",
        )
    wanted = [f for f in found if years is None or f.year in years]
    if not wanted:
        raise ConfigError(
            "none of the years asked for is there", found=sorted(years or ()), allowed=sorted({f.year for f in found})
        )
    return sorted(wanted, key=lambda f: (f.year, f.name)), len(found) - len(wanted)


def _inside(path: Path) -> list[YearFile]:
    if path.suffix.lower() == ".zip":
        with _archive.opened(path, _UNPACKED) as archive:
            names = [n for n in archive.namelist() if not n.startswith("__MACOSX/")]
        named = [(Path(n).name, n) for n in names]
    else:
        named = [(path.name, "")]
    matches = [(_FLOWS.fullmatch(short), member) for short, member in named]
    return [YearFile(m[1].upper(), m[3], int(m[2]), path, member) for m, member in matches if m]


def member_bytes(path: Path, pattern: re.Pattern[str]) -> list[tuple[str, bytes]]:
    """Return name and content of a file, or of the members of an archive, whose name matches."""
    if path.suffix.lower() != ".zip":
        return [(path.name, path.read_bytes())] if pattern.fullmatch(path.name) else []
    with _archive.opened(path, _UNPACKED) as archive:
        return [
            (Path(n).name, _archive.read(archive, n)) for n in archive.namelist() if pattern.fullmatch(Path(n).name)
        ]


def blocks(file: YearFile) -> Iterator[pa.RecordBatch]:
    """Read one year in blocks: t, i, j as integers, k and q as text, v as a number; columns in any order.

    Raises
    ------
    ParseError
        A cell of the wrong type, a row of another width, an end inside a row, or no rows.
    SchemaError
        A column is missing.
    """
    with _open(file) as stream:
        header = _header(stream.readline(), file.name)
    options = {
        "read_options": pa_csv.ReadOptions(column_names=header, skip_rows=1, block_size=1 << 23),
        "parse_options": pa_csv.ParseOptions(newlines_in_values=False),
        "convert_options": pa_csv.ConvertOptions(
            column_types=_READ, include_columns=list(HEADER), null_values=[], strings_can_be_null=False
        ),
    }
    count = 0
    with _open(file) as stream:
        try:
            for batch in pa_csv.open_csv(pa.PythonFile(stream, mode="r"), **options):
                count += batch.num_rows
                yield batch
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise ParseError(
                f"{file.name} cannot be read after row {count}",
                found=str(error).split(": ", 1)[-1][:160],
                fix="The file is damaged or its layout changed; pull again.",
            ) from None
    if not count:
        raise ParseError(f"{file.name} has no rows", found="a header alone")


def is_text_missing(q: pa.Array) -> pa.Array:
    """Say where a quantity is missing: ``NA`` with or without padding, or nothing."""
    return pc.is_in(q, value_set=pa.array(["NA", ""]))


@contextmanager
def _open(file: YearFile) -> Iterator[IO[bytes]]:
    with ExitStack() as stack:
        if file.member:
            archive = stack.enter_context(_archive.opened(file.path, _UNPACKED))
            yield stack.enter_context(archive.open(file.member))
            return
        stream = stack.enter_context(file.path.open("rb"))
        stream.seek(0, io.SEEK_END)
        if stream.tell():
            stream.seek(-1, io.SEEK_END)
            if stream.read(1) != b"\n":  # no checksum guards a loose file; a cut is seen at its end
                raise ParseError(
                    f"{file.name} ends inside a row", fix="Copy it again; if the file is whole, end it with a newline."
                )
        stream.seek(0)
        yield stream


def _header(line: bytes, name: str) -> list[str]:
    try:
        header = next(csv.reader([line.decode("utf-8-sig").strip("\r\n")]), [])
    except UnicodeDecodeError as error:
        raise ParseError(f"the header of {name} is not UTF-8 text", found=str(error)) from None
    header = [h.strip() for h in header]
    if len(set(header)) != len(header):
        raise ParseError(f"{name} names a column twice", found=header)
    _workbook.require(header, HEADER, name)
    return header
