"""Read a file of coded events strictly as text, and say where it is broken."""

from __future__ import annotations

import bisect
import csv
import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from cyber_trade_econ.errors import EventError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST = 20_000_000
"""Bytes a file may have: four hundred events take 0.4 million, so a larger file is another file."""

_AFTER = "expected after"  # csv.Error of text that follows a closing quote
_OTHERS = {
    b"PK\x03\x04": "a zip archive or workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xfe\x00\x00": "text in UTF-32",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
}


class Text(NamedTuple):
    """A file as text: one row per event, and the line of the file on which each row starts (the header is line 1)."""

    frame: pd.DataFrame
    lines: tuple[int, ...]


def read(file: Path) -> Text:
    """Return a CSV file strictly as text, so that the codes NA and NO stay codes. The file is only ever read.

    Raises
    ------
    EventError
        If it is not a CSV file in UTF-8 with rows of equal length, or is larger than `LARGEST`; the message names
        the line, and the column where there is one.
    """
    header, rows, lines = _parsed(file, _decoded(file))
    while rows and not rows[-1]:
        rows.pop()  # editors leave empty lines at the end
        lines.pop()
    if not rows:
        raise EventError(
            f"{file.name} holds no event",
            found=f"a header alone, line 1, {','.join(header)[:60]!r}" if header else "nothing",
            allowed="column names on line 1 and one event per line after it",
        )
    _check_shape(file, header, rows, lines)
    return Text(pd.DataFrame(rows, columns=header, dtype=object), tuple(lines))


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            # A pipe or a device has no size, so what is read is bounded too.
            data = b"" if size > LARGEST else handle.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise EventError(
            f"{file.name or file} cannot be opened",
            found=f"{type(error).__name__}: {reason}",
            allowed="a CSV file that may be read",
        ) from error
    if max(size, len(data)) > LARGEST:
        raise EventError(
            f"{file.name} is too large for a file of coded events",
            found=f"{size:,} bytes" if size > LARGEST else f"more than {LARGEST:,} bytes",
            allowed=f"{LARGEST:,} bytes",
            fix="Give the file of events, one row each; trade data go through cte.load or a Panel.",
        )
    return data


def _decoded(file: Path) -> str:
    data = _bytes(file)
    other = next((name for magic, name in _OTHERS.items() if data.startswith(magic)), None)
    if other is not None:
        raise EventError(
            f"{file.name} is not a CSV file", found=other, allowed="CSV in UTF-8", fix="Export the sheet as CSV UTF-8."
        )
    if b"\0" in data:
        raise EventError(
            f"{file.name} is not text", found=f"a byte 0 at {_place(data, data.index(0))}", allowed="CSV in UTF-8"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EventError(
            f"{file.name} is not UTF-8 throughout",
            found=f"byte 0x{data[error.start]:02x} at {_place(data, error.start)}",
            allowed="one encoding, UTF-8, for the whole file",
            fix="Such bytes come from rows pasted from a file in another encoding; save the file anew as UTF-8.",
        ) from error


def _place(data: bytes, at: int) -> str:
    """Return line, byte of the line and column of a byte, of which all before it is read as CSV."""
    start = max(data.rfind(end, 0, at) for end in (b"\n", b"\r")) + 1
    with _cells_of_any_length():
        reader = csv.reader(io.StringIO(data[:at].decode("utf-8-sig", errors="replace") + "x", newline=""))
        rows = list(reader)
    return f"line {reader.line_num}, byte {at - start + 1} of it, {_column(rows[0] if rows[1:] else [], rows[-1])}"


def _column(header: list[str], cells: list[str]) -> str:
    """Return the column in which the last of the cells stands."""
    return f"column {header[len(cells) - 1] if len(cells) <= len(header) else len(cells)}"


def _parsed(file: Path, text: str) -> tuple[list[str], list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    start = 1
    try:
        with _cells_of_any_length():
            header = next(reader, [])
            start = reader.line_num + 1
            for row in reader:
                rows.append(row)
                lines.append(start)
                start = reader.line_num + 1
    except csv.Error as error:
        broken = "".join(list(io.StringIO(text, newline=""))[start - 1 : reader.line_num])
        raise EventError(
            f"{file.name} cannot be read as CSV",
            found=f"{error}, in the row that starts on line {start}, {_column(header, _up_to_fault(broken))}",
            allowed='cells in double quotes, a quote inside them written twice ("")',
            fix="Look for a quote that is not closed, in that cell or before it.",
        ) from error
    return header, rows, lines


def _up_to_fault(row: str) -> list[str]:
    """Return the cells of a broken row up to the one that breaks it."""

    def breaks(n: int) -> bool:
        try:
            list(csv.reader(io.StringIO(row[:n], newline=""), strict=True))
        except csv.Error as error:
            return _AFTER in str(error)  # a quote that is still open breaks nothing yet
        return False

    with _cells_of_any_length():
        whole = not breaks(len(row))
        end = len(row) if whole else bisect.bisect_left(range(len(row) + 1), True, key=breaks) - 1
        return next(csv.reader(io.StringIO(row[:end], newline="")), [""])


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Let long cells be read, so that they are named like other faults."""
    usual = csv.field_size_limit(LARGEST + 1)
    try:
        yield
    finally:
        csv.field_size_limit(usual)


def _check_shape(file: Path, header: list[str], rows: list[list[str]], lines: list[int]) -> None:
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise EventError(
            f"{file.name} has one column",
            found=f"header {header[0][:60]!r}, line 1",
            allowed="columns separated by commas",
            fix="Export it with the comma as separator.",
        )
    ragged = [(line, row) for line, row in zip(lines, rows, strict=True) if len(row) != len(header)]
    if ragged:
        more = f" and {len(ragged) - 5} more" if len(ragged) > 5 else ""
        quotes = (
            f"Put cells that hold a comma in double quotes. Line 1 is read as the header: {','.join(header)[:60]!r}."
        )
        raise EventError(
            f"{file.name} has rows that are not as long as its header",
            found=", ".join(_length(header, line, row) for line, row in ragged[:5]) + more,
            allowed=f"{len(header)} cells",
            fix=quotes if any(row for _, row in ragged) else "Delete the empty lines.",
        )


def _length(header: list[str], line: int, row: list[str]) -> str:
    if not row:
        return f"line {line} is empty"
    if len(row) < len(header):
        return f"line {line} has {len(row)} (ends in column {header[len(row) - 1]})"
    return f"line {line} has {len(row)} ({row[len(header)][:20]!r} after the last column)"
