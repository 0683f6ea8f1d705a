"""Country codes of every scheme that the sources use, from the package's own tables beside this file.

One row of a table is one code of one scheme in one span of years. ``kind`` says what it stands for: ``country``,
``territory``, ``disputed`` (status or ISO code in doubt, see ``note``), ``former``, ``group`` (aggregate, region),
``unknown`` or ``not attributed``. Only the first four have an ISO3 code.

The schemes are ``iso3``, ``iso2``, ``baci`` (numbers of UN Comtrade and BACI, which are not those of ISO 3166),
``census`` (Schedule C of the US Census Bureau), ``geodist`` (CEPII GeoDist), ``eurepoc`` (two letters, or words such as
``EUROPE``) and ``eurepoc_name`` in ``country.csv``; ``cow`` (numbers of the Correlates of War Project, State System
Membership List v2016, states of 1991 or later) in ``cow.csv``; ``name`` (English names as the United Nations and incident
databases write them) and ``adjective`` (Ukrainian, South Korean), both in any case of letters, in ``names.csv``.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cyber_trade_econ.errors import ConfigError, UnknownCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COUNTRIES = frozenset({"country", "territory", "disputed", "former"})
_LISTED = 20
_FILES = MappingProxyType({"cow": "cow.csv", "name": "names.csv", "adjective": "names.csv"})
_FILE = "country.csv"  # of every other scheme


@dataclass(frozen=True)
class Code:
    """One code of one scheme in one span of years; ``iso3`` is empty for groups and unknowns."""

    scheme: str
    code: str
    valid_from: int
    valid_to: int
    iso3: str
    name: str
    kind: str
    note: str


@cache
def _table() -> MappingProxyType[str, dict[str, tuple[Code, ...]]]:
    found: dict[str, dict[str, list[Code]]] = {}
    for file in sorted({_FILE, *_FILES.values()}):
        text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
        for row in csv.DictReader(text.splitlines()):
            span = int(row.pop("valid_from") or 0), int(row.pop("valid_to") or 9999)
            entry = Code(valid_from=span[0], valid_to=span[1], **row)
            key = _clean(entry.code, entry.scheme)
            found.setdefault(entry.scheme, {}).setdefault(key, []).append(entry)
    return MappingProxyType(
        {
            s: {c: tuple(sorted(rows, key=lambda r: r.valid_from)) for c, rows in codes.items()}
            for s, codes in found.items()
        }
    )


def schemes() -> tuple[str, ...]:
    """Names of the schemes."""
    return tuple(sorted(_table()))


def _scheme(scheme: str) -> dict[str, tuple[Code, ...]]:
    if scheme not in _table():
        raise ConfigError("a scheme of country codes", found=repr(scheme), allowed=schemes())
    return _table()[scheme]


def _clean(code: Any, scheme: str) -> str:
    text = str(code).strip()
    match scheme:
        case "baci":  # numbers arrive as 4, "4" and "004"
            return text.lstrip("0") or "0"
        case "census":  # Schedule C is always four characters
            return text.zfill(4)
        case "cow":  # workbooks hold numbers as 710.0
            return text.removesuffix(".0")
        case "name" | "adjective":
            return " ".join(text.split()).casefold()
    return text


def entries(scheme: str) -> tuple[Code, ...]:
    """Return every entry of a scheme, in the order of its table.

    Raises
    ------
    ConfigError
        If there is no such scheme.
    """
    return tuple(entry for rows in _scheme(scheme).values() for entry in rows)


def lookup(code: Any, scheme: str, year: int | None = None) -> Code:
    """Return the entry of one code: the one valid in ``year``, else the one nearest to it, else the latest.

    Raises
    ------
    UnknownCode
        If the scheme has no such code.
    """
    rows = _scheme(scheme).get(_clean(code, scheme))
    if rows is None:
        raise _unknown([str(code)], scheme)
    if year is None:
        return rows[-1]
    return min(rows, key=lambda r: max(r.valid_from - year, year - r.valid_to, 0))


def to_iso3(codes: Iterable[Any], scheme: str, year: int | Sequence[int] | None = None) -> npt.NDArray[np.object_]:
    """Translate codes of a scheme into ISO 3166-1 alpha-3.

    Parameters
    ----------
    codes
        Codes, as text or as integers; missing values are not codes and must not be passed.
    scheme
        One of `schemes`.
    year
        Year of observation, one for all or one per code; chooses between the meanings of a code that was used twice.

    Returns
    -------
    Array of shape (n,) with ISO3 text, and None for codes that stand for a group or for nobody known.

    Raises
    ------
    UnknownCode
        Naming every code that the scheme does not have, with the nearest known one.
    """
    listed = list(codes)
    years: Sequence[int | None] = (
        [year] * len(listed) if year is None or isinstance(year, (int, np.integer)) else list(year)
    )
    seen: dict[tuple[Any, int | None], str | None] = {}
    table, unknown = _scheme(scheme), []
    for code, when in set(zip(listed, years, strict=True)):
        if _clean(code, scheme) in table:
            seen[code, when] = lookup(code, scheme, when).iso3 or None
        else:
            unknown.append(str(code))
    if unknown:
        raise _unknown(unknown, scheme)
    return np.array([seen[pair] for pair in zip(listed, years, strict=True)], dtype=object)


def outside_validity(codes: Iterable[Any], scheme: str, years: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Say which codes were used in a year in which they did not exist; shape (n,).

    Raises
    ------
    UnknownCode
        As in `to_iso3`.
    """
    pairs = list(zip(codes, years, strict=True))
    seen = {}
    for code, year in set(pairs):
        entry = lookup(code, scheme, year)
        seen[code, year] = not entry.valid_from <= year <= entry.valid_to
    return np.array([seen[pair] for pair in pairs], dtype=bool)


def _unknown(codes: list[str], scheme: str) -> UnknownCode:
    table = _scheme(scheme)
    shown = []
    for code in sorted(set(codes))[:_LISTED]:
        near = difflib.get_close_matches(code, table, 2, 0.6)
        shown.append(repr(code) + (f" (near: {', '.join(near)})" if near else ""))
    more = len(set(codes)) - len(shown)
    return UnknownCode(
        f"{len(set(codes))} country code(s) of scheme {scheme!r} are in no table",
        found=", ".join(shown) + (f" and {more} more" if more else ""),
        fix=f"Add a row to cyber_trade_econ/codes/{_FILES.get(scheme, _FILE)}: scheme, code, years, ISO3, name, kind.",
    )


def iso3_names() -> dict[str, str]:
    """ISO3 -> English short name, of current and former countries and territories."""
    return {code: rows[-1].name for code, rows in sorted(_scheme("iso3").items())}


def name_of(iso3: str) -> str:
    """English short name of one ISO3 code.

    Raises
    ------
    UnknownCode
        If there is no such code.
    """
    return lookup(iso3, "iso3").name


def is_country(iso3: str) -> bool:
    """Say whether this is the ISO3 code of a country or territory, current or former."""
    rows = _scheme("iso3").get(iso3)
    return rows is not None and rows[-1].kind in _COUNTRIES


@cache
def _memberships() -> tuple[tuple[str, str, dt.date, dt.date], ...]:
    text = resources.files(__package__).joinpath("members.csv").read_text(encoding="utf-8")
    return tuple(
        (r["bloc"], r["iso3"], dt.date.fromisoformat(r["from"]), dt.date.fromisoformat(r["until"] or "9999-12-31"))
        for r in csv.DictReader(text.splitlines())
    )


def members(bloc: str, date: dt.date | str) -> tuple[str, ...]:
    """Return the ISO3 codes of the members of a bloc on a day.

    Parameters
    ----------
    bloc
        ``"EUU"``: the European Union and the communities before it.
    date
        A date or its ISO text. A member counts from the day it joined until the day before it left: the United Kingdom
        is a member on 2020-01-31 and not on 2020-02-01, although it stayed in the customs union until 2020-12-31.

    Raises
    ------
    UnknownCode
        If the bloc is not in the table.
    ConfigError
        If the text is not a date.
    """
    known = sorted({row[0] for row in _memberships()})
    if bloc not in known:
        raise UnknownCode(f"bloc {bloc!r} is in no table", allowed=known)
    if isinstance(date, str):
        try:
            date = dt.date.fromisoformat(date)
        except ValueError:
            raise ConfigError("the date of a membership", found=repr(date), allowed="YYYY-MM-DD") from None
    return tuple(sorted(iso3 for b, iso3, since, until in _memberships() if b == bloc and since <= date < until))
