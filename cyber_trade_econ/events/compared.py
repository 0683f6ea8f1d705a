"""What is compared when incidents are matched: an incident with all its pairs, its days, and how far two lie apart."""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cyber_trade_econ.codes.country import members
from cyber_trade_econ.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPORT_LAG = 3
"""A report comes after the incident: of the days from an onset to a report only one in three counts as apart."""

STEEP = 1.5
"""Bits that each doubling of the distance between dates takes away."""

_SAME, _YEAR = 2, 365
_NEEDED = ("event_id", "title", "imposer", "target", "incident_type", "onset", "onset_precision")
_TEXTS = ("title", "companies", "note", "source_url", "other_sources")
_PAIR = re.compile(r"(-(none|([a-z]{3})+)){2}$")
_WIDTH = {"day": 0, "month": 30, "year": 365}


Side = tuple[str, str]
"""``imposer`` or ``target``, and an economy on that side."""


class Incident(NamedTuple):
    """One incident of one database with all its pairs of economies.

    ``dates`` are days since 1970, first and last; ``text`` is all that is said of it, ``told`` the database's own
    description alone.
    """

    key: str
    source: str
    imposers: frozenset[str]
    targets: frozenset[str]
    dates: Mapping[str, tuple[int, int]]
    types: frozenset[str]
    title: str
    text: str
    told: str
    year: int

    @property
    def sides(self) -> list[Side]:
        """Every economy with the side it is on."""
        return [("imposer", e) for e in sorted(self.imposers)] + [("target", e) for e in sorted(self.targets)]


class Apart(NamedTuple):
    """The roles compared, the days between the dates as written, those that count, and those the dates leave open."""

    roles: str
    written: int
    counted: float
    open: float


def incident_key(event_id: str, source: str) -> str:
    """Return the incident of an event: an id that begins with its source loses the pair of economies at its end."""
    return _PAIR.sub("", event_id) if event_id.startswith(f"{source}-") else event_id


def incidents_of(
    frames: Mapping[str, pd.DataFrame], texts: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> list[Incident]:
    """Gather the rows of each incident: the economies of all of them, the earliest of each date, and what describes it.

    Parameters
    ----------
    frames
        Name of the database -> its incidents in the common schema.
    texts
        Name of the database -> incident -> a description, beside title, companies, note and sources of the rows.

    Raises
    ------
    SchemaError
        If one is no frame, lacks a column, or has an incident without a date.
    """
    out: list[Incident] = []
    for source, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise SchemaError(f"the incidents of {source!r} are no frame", found=type(frame).__name__)
        needed = (*_NEEDED, "disclosed_precision") if "disclosed" in frame.columns else _NEEDED
        absent = [c for c in needed if c not in frame.columns]
        if absent:
            raise SchemaError(f"the incidents of {source!r} lack the column(s) {absent}", found=list(frame.columns))
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in frame.to_dict("records"):
            groups.setdefault(incident_key(row["event_id"], source), []).append({str(k): v for k, v in row.items()})
        described = texts.get(source, {})
        out += [_gather(key, source, rows, described.get(key, "")) for key, rows in groups.items()]
    return out


def _gather(key: str, source: str, rows: Sequence[Mapping[str, Any]], described: str) -> Incident:
    dates: dict[str, tuple[int, int]] = {}
    for row in rows:
        for role in ("onset", "disclosed"):
            day = row.get(role, pd.NaT)
            if not pd.isna(day):
                first = int(np.datetime64(day, "D").astype(int))
                span = first, first + _WIDTH[row[f"{role}_precision"]]
                dates[role] = min(dates.get(role, span), span)
    if not dates:
        raise SchemaError(f"incident {key!r} has no date", allowed="onset or disclosed")
    year = pd.Timestamp(min(first for first, _ in dates.values()), unit="D").year
    texts = dict.fromkeys([*(str(row[c]) for row in rows for c in _TEXTS if row.get(c)), described])
    return Incident(
        key=key,
        source=source,
        imposers=frozenset().union(*(economies(row["imposer"], year) for row in rows)),
        targets=frozenset().union(*(economies(row["target"], year) for row in rows)),
        dates=dates,
        types=frozenset(code for row in rows for code in row["incident_type"].split(";")) - {"unknown", ""},
        title=str(rows[0]["title"]),
        text=" . ".join(texts),
        told=described,
        year=year,
    )


def economies(codes: str, year: int) -> frozenset[str]:
    """Return single economies: the European Union is its members of that year, the world is nobody in particular."""
    given = set(codes.split(";")) - {"", "WLD"}
    if "EUU" in given:
        given |= set(members("EUU", f"{year}-07-01"))
    return frozenset(given - {"EUU"})


def apart(one: Mapping[str, tuple[int, int]], two: Mapping[str, tuple[int, int]]) -> Apart:
    """Return how far the dates of two incidents lie apart, by the pair of roles that brings them nearest.

    Days are counted between the nearest ends of what the dates can mean; half of what they can mean is left open. Of the
    days from an onset to a later report one in `REPORT_LAG` counts.
    """
    found = []
    for role, (first, last) in one.items():
        for other, (start, end) in two.items():
            written = max(start - last, first - end, 0)
            ordered = (role, other) if start > last else (other, role)
            counted = written / REPORT_LAG if ordered == ("onset", "disclosed") else float(written)
            found.append(Apart(f"{role}-{other}", written, counted, (last - first + end - start) / 2))
    return min(found, key=lambda a: a.counted + a.open)


def nearness(dates: Apart) -> float:
    """Return the bits that dates give for two incidents to be one; negative where they speak against it.

    Dates that can be the same give log2(365 / (2 + days left open)): 7.5 bits for two days, 1.0 for a day and a year.
    From there every doubling of the distance takes `STEEP` bits away.
    """
    scale = _SAME + dates.open
    return math.log2(_YEAR / scale) - STEEP * math.log2((dates.counted + scale) / scale)
