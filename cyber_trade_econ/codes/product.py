"""Which codes each edition of the Harmonized System has, from the package's own table ``data/codes/hs.csv``.

An edition is called a vintage: ``HS1992`` to ``HS2022``. A code is text of two digits (chapter), four (heading) or six
(subheading); chapters and headings exist where one of their subheadings does. The table follows the reference lists of UN
Comtrade without what is no part of the system: chapter 99, ``999999`` (commodities not specified), and 19 mineral-oil codes
that the lists of 1992 and 1996 mark as foreign to it.
"""

from __future__ import annotations

import csv
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import UnknownCode, VintageError
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from collections.abc import Iterable

VINTAGES = ("HS1992", "HS1996", "HS2002", "HS2007", "HS2012", "HS2017", "HS2022")
LEVELS = (2, 4, 6)
_LISTED = 20


@cache
def _held() -> MappingProxyType[str, frozenset[str]]:
    """Vintage -> its codes of two, four and six digits."""
    found: dict[str, set[str]] = {vintage: set() for vintage in VINTAGES}
    text = shipped.path("data/codes/hs.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        for vintage, mark in zip(VINTAGES, row["editions"], strict=True):
            if mark == "1":
                found[vintage].update(row["code"][:level] for level in LEVELS)
    return MappingProxyType({vintage: frozenset(codes) for vintage, codes in found.items()})


def require_vintage(vintage: str) -> str:
    """Return the vintage when it is one of `VINTAGES`.

    Raises
    ------
    VintageError
        Naming the vintages that there are.
    """
    if vintage not in VINTAGES:
        raise VintageError("an edition of the Harmonized System", found=repr(vintage), allowed=VINTAGES)
    return vintage


def codes_of(vintage: str, level: int = 6) -> frozenset[str]:
    """Return the codes of one vintage with 2, 4 or 6 digits; empty for any other number.

    Raises
    ------
    VintageError
        If there is no such vintage.
    """
    return frozenset(code for code in _held()[require_vintage(vintage)] if len(code) == level)


def exists(code: str, vintage: str) -> bool:
    """Say whether a vintage has this chapter, heading or subheading.

    Raises
    ------
    VintageError
        If there is no such vintage.
    """
    return code in _held()[require_vintage(vintage)]


def vintages_of(code: str) -> tuple[str, ...]:
    """Return the vintages that have this code, oldest first; empty when none has."""
    return tuple(vintage for vintage in VINTAGES if code in _held()[vintage])


def unknown_codes(codes: Iterable[str], vintage: str) -> tuple[str, ...]:
    """Return the codes that a vintage does not have, each once, sorted.

    Raises
    ------
    VintageError
        If there is no such vintage.
    """
    held = _held()[require_vintage(vintage)]
    return tuple(sorted({str(code) for code in codes if code not in held}))


def whereabouts(code: str, vintage: str) -> str:
    """Say for a reader why a code was not found: where it does exist, which zeros it lost, or that it is no text.

    There is no chapter 00, so a code that a spreadsheet read as a number has lost one zero and has an odd number of digits:
    ``10121`` for ``010121``.

    Returns
    -------
    A phrase such as ``"'10121' (a leading zero is lost? '010121' is in HS2012, HS2017, HS2022)"``.

    Raises
    ------
    VintageError
        If there is no such vintage.
    """
    require_vintage(vintage)
    text = str(code).strip()
    digits = text.removesuffix(".0")
    padded = digits.zfill(len(digits) + len(digits) % 2)
    if not (digits.isascii() and digits.isdigit()):
        return f"{str(code)!r} (no digits alone)"
    if len(padded) not in LEVELS:
        return f"{str(code)!r} ({len(digits)} digits)"
    if exists(str(code), vintage):
        return f"{text!r} (a number; the code is text)"
    known = vintages_of(padded)
    where = f"in {', '.join(known)}" if known else "in no edition"
    if padded != digits:
        return f"{str(code)!r} (a leading zero is lost? {padded!r} is {where})"
    written = "" if text == str(code) == digits else f"; written {digits!r}"
    return f"{str(code)!r} ({where}{written})"


def require_codes(codes: Iterable[str], vintage: str) -> None:
    """Let codes pass that a vintage has.

    Raises
    ------
    VintageError
        If there is no such vintage.
    UnknownCode
        Naming the others, where they exist, and the zeros they seem to have lost.
    """
    unknown = unknown_codes(codes, vintage)
    if unknown:
        raise _unknown(unknown, vintage)


def _unknown(unknown: tuple[str, ...], vintage: str) -> UnknownCode:
    shown = [whereabouts(code, vintage) for code in unknown[:_LISTED]]
    more = len(unknown) - len(shown)
    return UnknownCode(
        f"{len(unknown)} product code(s) are not in {vintage}",
        found=", ".join(shown) + (f" and {more} more" if more else ""),
        allowed="codes of 2, 4 or 6 digits as text, with their leading zeros",
        fix="Read the column as text, or name the edition in which the codes were written.",
    )
