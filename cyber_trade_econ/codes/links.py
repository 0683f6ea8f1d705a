"""Links between the codes of two editions of the Harmonized System, and the shares in which trade passes along them.

The table ``data/codes/hs_links.csv`` says for each edition which codes of the edition before its codes came from; a code that
it does not list came from the same number alone. ``data/codes/README.md`` says what rests on the correlation tables of the
United Nations Statistics Division and what was derived. Between editions further apart the links of the steps between are
followed one after the other, except from 1992 to 2017, which the publisher links directly.

A few codes gather a trace of everything: electrical waste (8549, from 1,019 codes in 2022), multichip circuits (8542, from
159 in 2017), display modules (8524, from 483). A link with a code that has more than `CATCH_ALL` links in its step is a trace
unless both ends carry the same number, or ``data/codes/hs_main.csv`` says that it is a main one (display modules were liquid
crystal devices and parts of screens). Traces are left out where a code has another link: with them, equal shares would move
six sevenths of all laptops of HS2017 into the electrical waste of HS2022. A code that has traces alone keeps those of its
heading, else of its chapter: waste of HS2022 (8549.21 to .99) goes back to 265 codes of chapter 85, for want of better.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from cyber_trade_econ.codes.product import VINTAGES, codes_of, require_vintage
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scheme = Literal["retained", "equal"]
SCHEMES: tuple[Scheme, ...] = ("retained", "equal")
CATCH_ALL = 40

Shares = dict[str, dict[str, float]]


@cache
def _table() -> MappingProxyType[tuple[str, str], dict[str, tuple[str, ...]]]:
    """Older and newer vintage -> newer code -> the older codes it came from, without codes that came from themselves."""
    found: dict[tuple[str, str], dict[str, tuple[str, ...]]] = defaultdict(dict)
    text = shipped.path("data/codes/hs_links.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        origins = tuple(row["came_from"].split(";"))
        found[row["older"], row["newer"]].update(dict.fromkeys(row["code"].split(";"), origins))
    return MappingProxyType(dict(found))


def route(origin: str, target: str) -> tuple[str, ...]:
    """Return the vintages that a conversion passes through, the two ends included.

    Raises
    ------
    VintageError
        If there is no such vintage.
    """
    low, high = sorted((VINTAGES.index(require_vintage(origin)), VINTAGES.index(require_vintage(target))))
    stops = list(VINTAGES[low : high + 1])
    if (VINTAGES[0], "HS2017") in _table() and stops[0] == VINTAGES[0] and "HS2017" in stops:
        stops = [stops[0], *stops[stops.index("HS2017") :]]
    return tuple(stops if origin == stops[0] else reversed(stops))


@cache
def every(older: str, newer: str) -> frozenset[tuple[str, str]]:
    """Return all links of one step, from a vintage to the next that the table has, as (older code, newer code)."""
    changed = _table()[older, newer]
    return frozenset((start, code) for code in codes_of(newer) for start in changed.get(code, (code,)))


@cache
def principal(newer: str) -> frozenset[tuple[str, str]]:
    """Return the links of catch-all codes that are no traces, as (code of the vintage before, newer code)."""
    text = shipped.path("data/codes/hs_main.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["vintage"] == newer]
    return frozenset((start, row["code"]) for row in rows for start in row["came_from"].split(";"))


@cache
def _kept(older: str, newer: str) -> frozenset[tuple[str, str]]:
    """Links of one step that are no traces."""
    pairs = every(older, newer)
    starts, ends = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    return principal(newer) | {(a, b) for a, b in pairs if a == b or max(starts[a], ends[b]) <= CATCH_ALL}


@cache
def _step(origin: str, target: str, *, traces: bool) -> MappingProxyType[str, tuple[str, ...]]:
    """Code -> its successors in the neighbouring vintage, sorted."""
    older, newer = sorted((origin, target))
    forward = origin == older
    found: dict[str, list[str]] = defaultdict(list)
    kept: dict[str, list[str]] = defaultdict(list)
    for pairs, into in ((every(older, newer), found), (_kept(older, newer), kept)):
        for start, end in sorted(pairs if forward else ((b, a) for a, b in pairs)):
            into[start].append(end)
    if traces:
        return MappingProxyType({code: tuple(ends) for code, ends in found.items()})
    return MappingProxyType({code: tuple(kept.get(code) or _alike(code, ends, (4, 2))) for code, ends in found.items()})


def _alike(code: str, ends: Sequence[str], levels: Sequence[int]) -> Sequence[str]:
    """Keep the ends that share the first digits with the code, at the first level where there are any; else all."""
    kept = ([end for end in ends if end[:digits] == code[:digits]] for digits in levels)
    return next((found for found in kept if found), ends)


@cache
def firm(older: str, newer: str) -> frozenset[tuple[str, str]]:
    """Links of one step as (older code, newer code) without traces; a code that has traces alone keeps those of its heading.

    Electrical waste (8549 of 2022) has no such link: it was part of every heading of electronics before.
    """
    kept = _kept(older, newer)
    held = {a for a, _ in kept}, {b for _, b in kept}
    rest = {(a, b) for a, b in every(older, newer) if a[:4] == b[:4] and (a not in held[0] or b not in held[1])}
    return kept | rest


def links(origin: str, target: str, *, traces: bool = False) -> Mapping[str, frozenset[str]]:
    """Return six-digit code of ``origin`` -> the six-digit codes of ``target`` that took over some of its goods.

    Parameters
    ----------
    origin, target
        Vintages; the target may be older than the origin.
    traces
        Keep the links with catch-all codes too; see the head of this module.

    Raises
    ------
    VintageError
        If there is no such vintage.
    """
    found = {code: frozenset({code}) for code in codes_of(origin)}
    for here, there in pairwise(route(origin, target)):
        step = _step(here, there, traces=traces)
        found = {code: frozenset(end for middle in ends for end in step[middle]) for code, ends in found.items()}
    return MappingProxyType(found)


@cache
def shares(
    origin: str, target: str, scheme: Scheme = "retained"
) -> MappingProxyType[str, MappingProxyType[str, float]]:
    """Return code of ``origin`` -> code of ``target`` -> the share of its trade that goes there; shares sum to one.

    Parameters
    ----------
    origin, target
        Vintages; the target may be older than the origin.
    scheme
        ``retained``: all to the successor of the same number; where there is none, equally to those of the same heading,
        else equally to all. ``equal``: the same to each successor. Both step by step along `route`, without traces.

    Raises
    ------
    VintageError
        If there is no such vintage.
    ConfigError
        If there is no such scheme.
    """
    if scheme not in SCHEMES:
        raise ConfigError("the shares of a concordance", found=repr(scheme), allowed=(*SCHEMES, "a table of weights"))
    found: Shares = {code: {code: 1.0} for code in codes_of(origin)}
    for here, there in pairwise(route(origin, target)):
        step = _step(here, there, traces=False)
        for code, middles in found.items():
            parts: dict[str, float] = defaultdict(float)
            for middle, part in middles.items():
                ends = _alike(middle, step[middle], (6, 4)) if scheme == "retained" else step[middle]
                for end in ends:
                    parts[end] += part / len(ends)
            found[code] = dict(parts)
    return MappingProxyType({code: MappingProxyType(parts) for code, parts in found.items()})
