"""Compare the numbers of a new run with the published ones."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ConfigError, ParseError, PublishedNumberMoved
from cyber_trade_econ.report.long import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|nan|-?inf")
_NOISE = 1e-12  # a statistic that is zero but for rounding has no relative size
_SHOWN = 10

Key = tuple[str, str, str, int]


def check(new_out: Path | str, published_dir: Path | str, rtol: float = 1e-6) -> list[str]:
    """Compare every published ``.csv`` table with the new one of that name.

    Counts and texts must be equal. A coefficient may differ by ``rtol`` times the larger of itself and its standard
    error, any other number by ``rtol`` times itself. Left-over files of earlier runs in ``new_out`` do not count: where
    there is a ``run.json``, it names the tables.

    Returns
    -------
    Names of the files compared.

    Raises
    ------
    PublishedNumberMoved
        If a number, text, row or file differs; the message names file, row, old and new for the first ten.
    ConfigError
        If both folders are the same, or nothing is published there.
    ParseError
        If a file is not a table of this package.
    """
    new, old = Path(new_out), Path(published_dir)
    if new.resolve() == old.resolve():
        raise ConfigError(f"{old.name} would be compared with itself", fix="Give another folder with --out.")
    published = {p.name: p for p in sorted(old.glob("*.csv"))}
    if not published:
        raise ConfigError(f"nothing is published in {old.parent.name}/{old.name}", fix="Run the study's main.py first.")
    fresh = _written(new)
    moved = [f"{name}: not written any more" for name in published if name not in fresh]
    moved += [f"{name}: new, not published" for name in fresh if name not in published]
    for name in published.keys() & fresh.keys():
        moved += [f"{name}, {line}" for line in _differences(_rows(published[name]), _rows(fresh[name]), rtol)]
    if moved:
        more = f"; and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
        raise PublishedNumberMoved(
            f"{len(moved)} published entries of {old.parent.name} moved",
            found="; ".join(sorted(moved)[:_SHOWN]) + more,
            allowed=f"a relative difference of {rtol:g}",
            fix="Find the cause; if the new number is right, publish it and say so in the changelog.",
        )
    return list(published)


def _written(folder: Path) -> dict[str, Path]:
    run = folder / "run.json"
    found = {p.name: p for p in sorted(folder.glob("*.csv"))}
    if not run.is_file():
        return found
    try:
        tables = set(json.loads(run.read_text(encoding="utf-8"))["tables"])
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(f"run.json of {folder.name} is not one of this package", found=repr(error)) from error
    return {name: p for name, p in found.items() if p.stem in tables}


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
