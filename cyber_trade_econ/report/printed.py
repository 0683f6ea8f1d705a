"""Compare printed text token by token: words exactly, decimal numbers up to what rounding can do to their last digit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A number with decimals that stands alone: no part of a version, an identifier, a DOI or a range.
_DECIMAL = r"(?<![\w./-])[+-]?\d+\.\d+(?:[eE][+-]?\d+)?(?![\w/]|\.\d|-\w)"
_POWER = re.compile(r"\$\\times10\^\{(-?\d+)\}\$")
_TOKEN = re.compile(rf"(?P<number>{_DECIMAL})|[\w.]+|\s+|.")
_NOISE = 1e-8  # below this only the .csv tells rounding noise from a change: it knows the standard error
_AROUND = 30


def differences(old: str, new: str) -> Iterator[str]:
    """Yield one text per line that differs: number of the line, old and new.

    Numbers with decimals may differ by one unit of the last digit printed (the coarser of both). Whole numbers are
    counts, years and ids, and must be equal like every other text. After lines that were added or removed the rest
    is not compared.
    """
    before, after = old.splitlines(), new.splitlines()
    for i, (a, b) in enumerate(zip(before, after, strict=False), 1):
        if a != b and (said := _line(_plain(a), _plain(b))):
            yield f"line {i}: {said}"
            if len(before) != len(after):
                break
    if len(before) != len(after):
        yield f"{len(before)} lines -> {len(after)} lines"


def _plain(line: str) -> str:
    """Write the signs and powers of the formats as plain characters."""
    return _POWER.sub(r"e\1", line.replace("$-$", "-").replace("\N{MINUS SIGN}", "-"))


def _line(old: str, new: str) -> str:
    a, b = list(_TOKEN.finditer(old)), list(_TOKEN.finditer(new))
    moved = [(x, y) for x, y in zip(a, b, strict=False) if not _equal(x, y)]
    if moved and len(a) == len(b):
        return ", ".join(f"{x[0]} -> {y[0]}" for x, y in moved[:4]) + (", ..." if len(moved) > 4 else "")
    if len(a) == len(b):
        return ""
    x, y = (moved[0][0].start(), moved[0][1].start()) if moved else (min(len(old), len(new)),) * 2
    return f"{_near(old, x)} -> {_near(new, y)}"


def _near(line: str, at: int) -> str:
    return line[max(0, at - _AROUND) : at + _AROUND].strip() or "empty"


def _equal(old: re.Match[str], new: re.Match[str]) -> bool:
    if old[0] == new[0]:
        return True
    if not (old["number"] and new["number"]):
        return False
    unit = max(_unit(old[0]), _unit(new[0]))
    # binary fractions: 0.124 - 0.123 is a little more than 0.001
    return abs(float(old[0]) - float(new[0])) <= max(unit * (1 + 1e-6), _NOISE)


def _unit(number: str) -> float:
    """Size of one unit of the last digit printed."""
    mantissa, _, exponent = number.lower().partition("e")
    return float(10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])))
