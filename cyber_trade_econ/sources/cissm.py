"""CISSM: publicly reported cyber events from 2014 on, one per victim organisation, with two countries in words."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cyber_trade_econ.codes.country import lookup
from cyber_trade_econ.errors import ParseError, UnknownCode
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Table
from cyber_trade_econ.sources import _delimited, _workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PORTAL = "https://cybereventsdatabase.org/"
_DATE = ("event_date", "evtDate")  # the name of today and that of older exports
_TEXT = (
    *("actor", "organization", "industry_code", "industry", "motive", "event_subtype", "description", "source_url"),
)
_HEADER = (*_TEXT, "actor_type", "event_type", "country", "actor_country")
# Published spellings, without regard to case -> one spelling.
_ACTORS: Mapping[str, str] = MappingProxyType(
    {
        **{
            t.casefold(): t for t in ("Criminal", "Hacktivist", "Hobbyist", "Nation-State", "Terrorist", "Undetermined")
        },
        "hacktvist": "Hacktivist",
        "": "Undetermined",
    }
)
_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        **{t: t for t in ("exploitive", "disruptive", "mixed", "undetermined")},
        "exploitative": "exploitive",
        "": "undetermined",
    }
)
_MOST_MISALIGNED = 0.01

_STATUS = "country, group (region or organisation), unknown, or unread (a name that no table has)"
EVENTS = Table(
    name="events",
    meaning="One cyber event at one organisation; an attack on many is many events.",
    columns=(
        Column(
            "event_id",
            "string",
            "slug, or first 12 characters of a SHA-256",
            "The publisher's slug where the export has one, and else made of the whole row.",
        ),
        Column(
            "event_date",
            "date",
            "day",
            "Day of the event where it is known, and else of the report. No precision is published.",
        ),
        Column(
            "reported_date",
            "date",
            "day",
            "Day of the report; null where the export, like all before 2025, has none.",
            nullable=True,
        ),
        Column(
            "initiator",
            "string",
            "ISO 3166-1 alpha-3",
            "Country of the actor according to the cited source; null unless one is named.",
            nullable=True,
        ),
        Column("initiator_status", "string", _STATUS, "What stands in the place of the actor's country."),
        Column("initiator_name", "string", "text", "Country of the actor as published."),
        Column(
            "receiver",
            "string",
            "ISO 3166-1 alpha-3",
            "Country of the victim; null unless one is named.",
            nullable=True,
        ),
        Column("receiver_status", "string", _STATUS, "What stands in the place of the victim's country."),
        Column("receiver_name", "string", "text", "Country of the victim as published."),
        Column("actor", "string", "text", "Actor as published."),
        Column("actor_type", "string", ", ".join(dict.fromkeys(_ACTORS.values())), "Kind of actor, spelling unified."),
        Column("organization", "string", "text", "Victim as published."),
        Column("industry_code", "string", "NAICS sector, two digits", "Industry of the victim; empty for none."),
        Column("industry", "string", "text", "Industry of the victim as published."),
        Column("motive", "string", "text", "Motives as published, joined by a comma."),
        Column("event_type", "string", ", ".join(dict.fromkeys(_EVENTS.values())), "Effect, spelling unified."),
        Column("event_subtype", "string", "text", "Ways of the attack as published, joined by a comma."),
        Column("description", "string", "text", "Description as published."),
        Column("source_url", "string", "URL", "Source as published."),
    ),
    key=("event_id",),
)


def parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  # the export holds every year
    """Return the export. Its portal asks for a login, so that a file has to come from a mirror."""
    return (Part("events", _PORTAL, "cyber_events.csv", ("cyber_events_*.csv", "cyber_events.csv", "cissm_*.csv")),)


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    """Unify dates and spellings, tell countries from unknowns, and drop rows that repeat another or have slipped.

    A file whose name ends with ``_part`` is taken for the beginning of an export: the row in which it was cut is left
    out and counted. Any other file that ends inside a row is refused.
    """
    path = raw[0].path
    if path.stem.endswith("_part"):
        header, rows, cut = _delimited.beginning(path)
    else:
        (header, rows, _), cut = _delimited.rows(path), False
    date = next((name for name in _DATE if name in header), _DATE[0])
    _workbook.require(header, (date, *_HEADER), path.name)
    optional = [name for name in ("reported_date", "slug") if name in header]
    at = {name: header.index(name) for name in (date, *_HEADER, *optional)}
    distinct = dict.fromkeys(tuple(_clean(row[i]) for i in at.values()) for row in rows)
    given = [dict(zip(at, row, strict=True)) for row in distinct]
    whole = [r for r in given if r["event_type"].casefold() in _EVENTS and r["actor_type"].casefold() in _ACTORS]
    if len(given) - len(whole) > max(1, _MOST_MISALIGNED * len(given)):
        strange = sorted({r["event_type"] for r in given if r["event_type"].casefold() not in _EVENTS})
        strange += sorted({r["actor_type"] for r in given if r["actor_type"].casefold() not in _ACTORS})
        raise ParseError(
            f"{path.name} has types of event or actor that are new", found=strange[:10], allowed=[*_EVENTS, *_ACTORS]
        )
    data, facts = _columns(whole, date, path.name)
    facts |= {
        "version": f"to {max(data['event_date'])}" + (", part" if cut else ""),
        "columns_not_kept": len(header) - len(at),
        "dropped_repeats": len(rows) - len(given),
        "dropped_misaligned": len(given) - len(whole),
        "dropped_cut_off": int(cut),
    }
    frame = pa.table({c.name: pa.array(data[c.name], c.arrow) for c in EVENTS.columns})
    if years is not None:
        kept = [d.year in years for d in data["event_date"]]
        facts["dropped_year_not_asked"] = len(kept) - sum(kept)
        frame = frame.filter(pa.array(kept))
    yield Piece("events", "all", frame, facts)


def _clean(cell: str) -> str:
    """Strip blanks, and the brackets that newer exports put around lists."""
    return cell.strip().strip("[]").strip()


def _columns(rows: list[dict[str, str]], date: str, file: str) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    data: dict[str, list[Any]] = {name: [r[name] for r in rows] for name in _TEXT}
    data["event_id"] = [r.get("slug") or _digest(r) for r in rows]
    data["event_date"] = [_date(r[date], n, date, file) for n, r in enumerate(rows, start=1)]
    data["reported_date"] = [
        _date(r["reported_date"], n, "reported_date", file) if r.get("reported_date") else None
        for n, r in enumerate(rows, start=1)
    ]
    data["actor_type"] = [_ACTORS[r["actor_type"].casefold()] for r in rows]
    data["event_type"] = [_EVENTS[r["event_type"].casefold()] for r in rows]
    facts: dict[str, Any] = {
        "flagged_spelling_of_type": sum(
            r["actor_type"] != a or r["event_type"].casefold() != e
            for r, a, e in zip(rows, data["actor_type"], data["event_type"], strict=True)
        ),
        "flagged_reported_before_event": sum(
            r is not None and r < e for r, e in zip(data["reported_date"], data["event_date"], strict=True)
        ),
    }
    strange: set[str] = set()
    for role, column in (("initiator", "actor_country"), ("receiver", "country")):
        names = [r[column] for r in rows]
        read = {name: _country(name) for name in set(names)}
        data[f"{role}_name"] = names
        data[role] = [read[name][0] or None for name in names]
        data[f"{role}_status"] = [read[name][1] for name in names]
        facts |= {f"{role}_{status}": n for status, n in sorted(Counter(data[f"{role}_status"]).items())}
        strange |= {name for name, (_, status) in read.items() if status == "unread"}
    return data, facts | ({"names_without_code": sorted(strange)} if strange else {})


def _digest(row: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(row.values()).encode()).hexdigest()[:12]


def _date(text: str, number: int, column: str, file: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        raise ParseError(
            f"row {number} of {file}, column {column!r}, is no date YYYY-MM-DD", found=repr(text)[:60]
        ) from None


def _country(name: str) -> tuple[str, str]:
    """Return ISO3 and status of a name; an unknown country is no country."""
    if not name:
        return "", "unknown"
    try:
        entry = lookup(name, "name")
    except UnknownCode:
        return "", "unread"
    if entry.iso3:
        return entry.iso3, "country"
    return "", "group" if entry.kind == "group" else "unknown"


SOURCE = Source(
    name="cissm",
    title="Cyber Events Database",
    publisher="Center for International and Security Studies at Maryland, University of Maryland",
    licence="On request: the publisher gives the records to researchers who register or ask, and names no terms of "
    "redistribution that were seen; do not pass them on. Copies in public repositories are not the publisher's",
    licence_url="https://cissm.umd.edu/cyber-events-database",
    citation="Harry, C. and Gallagher, N. (2018). Classifying Cyber Events: A Proposed Taxonomy. Journal of Information "
    "Warfare 17(3), 17-31. Data: Cyber Events Database, https://cissm.umd.edu/cyber-events-database",
    homepage="https://cissm.umd.edu/cyber-events-database",
    hosts=("cybereventsdatabase.org",),
    max_bytes=200_000_000,
    tables=(EVENTS,),
    parts=parts,
    tidy=tidy,
)
