"""Compare the numbers and texts of a new run with the published ones."""

from __future__ import annotations

import csv
import json
import math
import re
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ConfigError, ParseError, PublishedNumberMoved
from cyber_trade_econ.report import printed
from cyber_trade_econ.report.long import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|nan|-?inf")
_NOISE = 1e-12  # a statistic that is zero but for rounding has no relative size
_SHOWN = 10
_COMPARED = (".csv", ".tex", ".html", ".md")
_PAGE = "index"

Key = tuple[str, str, str, int]


def check(new_out: Path | str, published_dir: Path | str, rtol: float = 1e-6) -> list[str]:
    """Compare every published table, and every published text, with the new one of that name.

    In a ``.csv`` counts and texts must be equal; a coefficient may differ by ``rtol`` times the larger of itself and
    its standard error, any other number by ``rtol`` times itself. In a ``.tex``, ``.html`` or ``.md`` a number with
    decimals may differ by one unit of its last digit, everything else must be equal. Pictures are not compared.
    Left-over files of earlier runs in ``new_out`` do not count: where there is a ``run.json``, it names the tables.

    Returns
    -------
    Names of the tables (``.csv``) compared.

    Raises
    ------
    PublishedNumberMoved
        If a number, text, row or file differs; the message names file, row or line, old and new for the first ten,
        each file once before any file twice.
    ConfigError
        If both folders are the same, or nothing is published there.
    ParseError
        If a ``.csv`` is not a table of this package, or a text is not UTF-8.
    """
    new, old = Path(new_out), Path(published_dir)
    if new.resolve() == old.resolve():
        raise ConfigError(f"{old.name} would be compared with itself", fix="Give another folder with --out.")
    published, fresh = _found(old), _written(new)
    tables = [name for name in published if name.endswith(".csv")]
    if not tables:
        raise ConfigError(f"nothing is published in {old.parent.name}/{old.name}", fix="Run the study's main.py first.")
    moved = [[f"{name}: not written any more"] for name in published if name not in fresh]
    moved += [[f"{name}: new, not published"] for name in fresh if name not in published]
    moved += [_moved(published[name], fresh[name], rtol) for name in published if name in fresh]
    said = [line for turn in zip_longest(*moved) for line in turn if line is not None]
    if said:
        more = f"; and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        raise PublishedNumberMoved(
            f"{len(said)} published entries of {old.parent.name} moved",
            found="; ".join(said[:_SHOWN]) + more,
            allowed=f"a relative difference of {rtol:g}, in printed texts one unit of the last digit",
            fix="Find the cause; if the new number is right, publish it and say so in the changelog.",
        )
    return tables


def _moved(old: Path, new: Path, rtol: float) -> list[str]:
    if old.suffix == ".csv":
        lines = _differences(_rows(old), _rows(new), rtol)
    else:
        lines = printed.differences(_text(old), _text(new))
    return [f"{old.name}, {line}" for line in lines]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"{path.name} is not a text of this package", found=str(error), allowed="UTF-8") from error


def _found(folder: Path) -> dict[str, Path]:
    """Files that are compared, by name; tables first."""
    return {p.name: p for suffix in _COMPARED for p in sorted(folder.glob(f"*{suffix}"))}


def _written(folder: Path) -> dict[str, Path]:
    run, found = folder / "run.json", _found(folder)
    if not run.is_file():
        return found
    try:
        stems = {*json.loads(run.read_text(encoding="utf-8"))["tables"], _PAGE}
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(f"run.json of {folder.name} is not one of this package", found=repr(error)) from error
    return {name: p for name, p in found.items() if p.stem in stems}


def _rows(path: Path) -> dict[Key, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ParseError(f"{path.name} is not a table of this package", found=reader.fieldnames, allowed=COLUMNS)
        out: dict[Key, dict[str, str]] = {}
        for row in reader:
            if None in row or None in row.values():  # more or fewer cells than columns
                raise ParseError(
                    f"{path.name}, line {reader.line_num} has another number of cells", allowed=len(COLUMNS)
                )
            n = 0
            while (key := (row["column"], row["kind"], row["name"], n)) in out:
                n += 1
            out[key] = row
    return out


def _differences(old: dict[Key, dict[str, str]], new: dict[Key, dict[str, str]], rtol: float) -> Iterator[str]:
    for key, before in old.items():
        where = f"column {key[0]}, {key[2]}"
        if key not in new:
            yield f"{where}: row removed"
            continue
        after = new[key]
        scale = _size(before["std_error"])
        for field in ("model", "estimate", "std_error", "value"):
            if not _equal(before[field], after[field], rtol, scale if field == "estimate" else 0.0):
                yield f"{where}, {field}: {before[field] or 'empty'} -> {after[field] or 'empty'}"
    yield from (f"column {key[0]}, {key[2]}: row added" for key in new if key not in old)


def _size(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else 0.0
    return abs(value) if math.isfinite(value) else 0.0


def _equal(old: str, new: str, rtol: float, scale: float) -> bool:
    if old == new:
        return True
    if not (_NUMBER.fullmatch(old) and _NUMBER.fullmatch(new)) or (_INTEGER.fullmatch(old) and _INTEGER.fullmatch(new)):
        return False
    a, b = float(old), float(new)
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(a - b) <= max(rtol * max(abs(a), scale), _NOISE * (scale == 0))
