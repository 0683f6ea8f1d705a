"""CFR: operations that states are believed to sponsor, with the sponsor as a name and the victims in words."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cyber_trade_econ.codes.country import lookup
from cyber_trade_econ.codes.mention import mentioned
from cyber_trade_econ.errors import ParseError, UnknownCode
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Table
from cyber_trade_econ.sources import _delimited, _workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_EXPORT = "https://www.cfr.org/interactive/cyber-operations/export-incidents?_format=csv"
_HEADER = (
    *("Title", "Date", "Affiliations", "Description", "Response", "Victims", "Sponsor", "Type", "Category"),
    *("Sources_1", "Sources_2", "Sources_3"),
)
_TYPES = (
    *("Espionage", "Sabotage", "Denial of service", "Data destruction", "Financial Theft", "Defacement", "Doxing"),
)
_RESPONSES = ("Confirmation", "Criminal charges", "Denial", "Denouncement", "Hack Back", "Sanctions", "Unknown")
# published column -> house column; text kept as published.
_TEXT: Mapping[str, str] = MappingProxyType(
    {
        "Title": "title",
        "Affiliations": "affiliations",
        "Description": "description",
        "Victims": "victims",
        "Sponsor": "sponsor_name",
        "Category": "victim_category",
    }
)
_LOST = re.compile(r"\?\?|\w\?\w")

INCIDENTS = Table(
    name="incidents",
    meaning="One operation, or profile of a group, with all its suspected sponsors and its victims.",
    columns=(
        Column("incident_id", "string", "first 12 characters of a SHA-256", "Made of title, date and description."),
        Column("title", "string", "text", "Title as published."),
        Column("report_date", "date", "day", "Day on which it became known; null where none is given.", nullable=True),
        Column("sponsor_all", "string", "ISO3 joined by ;", "Every suspected sponsor; empty for none."),
        Column(
            "sponsor_status", "string", "country, joint (several), none or unread", "What the sponsor's cell holds."
        ),
        Column("sponsor_name", "string", "text", "Sponsors as published."),
        Column("receiver_all", "string", "ISO3 joined by ;", "Economies of the victims, as far as the status allows."),
        Column(
            "receiver_status",
            "string",
            "country (the cell is the name of one economy), countries (a list of nothing but names of economies), mentioned "
            "(a text that names exactly one economy), text (any other text), none (no text) or misplaced",
            "How the economies of the victims were read.",
        ),
        Column("victims", "string", "text", "Victims as published."),
        Column("victim_category", "string", "text", "Kinds of victim as published, joined by a comma."),
        Column("incident_type", "string", "text", "Type as published; empty for none, as for profiles of groups."),
        Column("response", "string", "text", f"Response of the victim's side ({', '.join(_RESPONSES)}) or empty."),
        Column("affiliations", "string", "text", "Groups as published."),
        Column("description", "string", "text", "Description as published. Its characters beyond ASCII are lost."),
        Column("sources", "string", "URLs joined by a bar", "Sources as published."),
        Column("realigned", "bool", "true or false", "Whether cells stood under wrong columns and were moved back."),
    ),
    key=("incident_id",),
)


def parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  # the file holds every year
    """Return the export of the old site. The publisher withdrew it in July 2026; copies are read from a mirror."""
    return (Part("incidents", _EXPORT, "cyber-operations-incidents.csv", ("cyber-operations-incidents*.csv",)),)


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    """Read dates, put cells back under their columns, and read sponsors and victims as economies where they are named."""
    path = raw[0].path
    header, rows, _ = _delimited.rows(path, ("utf-8-sig", "cp1252"))
    _workbook.require(header, _HEADER, path.name)
    at = [header.index(name) for name in _HEADER]
    given = [_realigned([row[i].strip() for i in at]) for row in rows]
    data, facts = _columns(given, path.name)
    facts["columns_not_kept"] = len(header) - len(_HEADER)
    facts["version"] = f"to {max((d for d in data['report_date'] if d), default='an unknown day')}"
    frame = pa.table({c.name: pa.array(data[c.name], c.arrow) for c in INCIDENTS.columns})
    if years is not None:
        kept = [d is None or d.year in years for d in data["report_date"]]
        facts["dropped_year_not_asked"] = len(kept) - sum(kept)
        frame = frame.filter(pa.array(kept))
    yield Piece("incidents", "all", frame, facts)


def _realigned(cells: list[str]) -> tuple[dict[str, str], bool]:
    """Return a row by column, and whether its cells had to be moved.

    Unbalanced quotes have shifted some rows. The type of operation, one of seven words, shows by how much; sponsor,
    category and sources stand around it. What the victims' cell holds then is not known, so it is emptied.
    """
    row = dict(zip(_HEADER, cells, strict=True))
    place = _HEADER.index("Type")
    if row["Type"] in (*_TYPES, ""):
        found = [i for i, cell in enumerate(cells) if cell in _TYPES and i != place]
    else:
        found = [i for i, cell in enumerate(cells) if cell in _TYPES]
    if row["Type"] in _TYPES or not found:
        return row, False
    shift = found[0] - place
    moved = {name: cells[i + shift] if i + shift < len(cells) else "" for i, name in enumerate(_HEADER)}
    kept = {name: row[name] for name in ("Title", "Date", "Affiliations", "Description")}
    response = row["Response"] if row["Response"].startswith(_RESPONSES) else ""
    return moved | kept | {"Response": response, "Victims": ""}, True


def _columns(given: list[tuple[dict[str, str], bool]], file: str) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    rows = [row for row, _ in given]
    data: dict[str, list[Any]] = {house: [r[name] for r in rows] for name, house in _TEXT.items()}
    data["realigned"] = [moved for _, moved in given]
    data["report_date"] = [_date(r["Date"], n, file) for n, r in enumerate(rows, start=1)]
    data["incident_type"] = [_type(r["Type"], n, file) for n, r in enumerate(rows, start=1)]
    data["response"] = [next((w for w in _RESPONSES if r["Response"].startswith(w)), "") for r in rows]
    data["sources"] = [" | ".join(s for s in (r["Sources_1"], r["Sources_2"], r["Sources_3"]) if s) for r in rows]
    made_of = [f"{r['Title']}\n{r['Date']}\n{r['Description']}" for r in rows]
    data["incident_id"] = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in made_of]
    sponsors = [_sponsors(r["Sponsor"]) for r in rows]
    data["sponsor_all"] = [";".join(iso3) for iso3, _ in sponsors]
    data["sponsor_status"] = [status for _, status in sponsors]
    receivers = [("", "misplaced") if moved else _receivers(r["Victims"]) for r, moved in given]
    data["receiver_all"], data["receiver_status"] = (list(side) for side in zip(*receivers, strict=True))
    facts: dict[str, Any] = {
        "flagged_date_missing": data["report_date"].count(None),
        "flagged_type_missing": data["incident_type"].count(""),
        "flagged_characters_lost": sum(_LOST.search(r["Title"] + r["Description"]) is not None for r in rows),
        "rows_realigned": sum(data["realigned"]),
    }
    for role in ("sponsor", "receiver"):
        facts |= {f"{role}_{status}": n for status, n in sorted(Counter(data[f"{role}_status"]).items())}
    unread = sorted({r["Sponsor"] for r, (_, status) in zip(rows, sponsors, strict=True) if status == "unread"})
    return data, facts | ({"sponsors_without_code": unread} if unread else {})


def _date(text: str, number: int, file: str) -> dt.date | None:
    """Read month, day and year."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", text)
    try:
        if match:
            return dt.date(int(match[3]), int(match[1]), int(match[2]))
    except ValueError:
        pass
    raise ParseError(f"row {number} of {file} has no date M/D/YYYY", found=repr(text)[:60])


def _type(text: str, number: int, file: str) -> str:
    if text not in (*_TYPES, ""):
        raise ParseError(f"row {number} of {file} has a type that is new", found=repr(text)[:60], allowed=_TYPES)
    return text


def _iso3(name: str) -> str:
    """ISO3 of a name; "" for one that is no economy or that no table has."""
    try:
        return lookup(name, "name").iso3
    except UnknownCode:
        return ""


def _sponsors(text: str) -> tuple[list[str], str]:
    names = [n.strip() for n in re.sub(r",(?! State of)", ";", text).split(";") if n.strip()]
    codes = list(dict.fromkeys(_iso3(name) for name in names))
    if not names:
        return [], "none"
    if "" in codes:
        return [], "unread"
    return codes, "country" if len(codes) == 1 else "joint"


def _receivers(text: str) -> tuple[str, str]:
    """Return the economies of the victims, and how they were read; see the column ``receiver_status``.

    A text counts only if it names exactly one economy and speaks neither of a region, an organisation of states or
    people elsewhere, nor of doubt (`mentioned`). In a list of victims with names of their own, such as firms, the
    economy has to stand with the first: further down it belongs to one of them.
    """
    entries = [e.strip().removeprefix("and ") for e in text.split(",") if e.strip()]
    if not entries:
        return "", "none"
    codes = list(dict.fromkeys(_iso3(entry) for entry in entries))
    if "" not in codes:
        return ";".join(codes), "country" if len(codes) == 1 else "countries"
    found = mentioned(text)
    named = [e for e in entries[1:] if e[0].isupper() and not mentioned(e).economies]
    one_of_several = bool(named) and not mentioned(entries[0]).economies
    if len(found.economies) == 1 and not found.wider and not one_of_several:
        return found.economies[0], "mentioned"
    return "", "text"


SOURCE = Source(
    name="cfr",
    title="Cyber Operations Tracker",
    publisher="Council on Foreign Relations, Digital and Cyberspace Policy program",
    licence="Unclear: free to download and to cite, terms of redistribution not found; its texts are copyrighted, so they "
    "must not be passed on. The lake keeps them for the person who pulled them",
    licence_url="https://www.cfr.org/cyber-operations/",
    citation="Council on Foreign Relations (2022). Cyber Operations Tracker. https://www.cfr.org/cyber-operations/",
    homepage="https://www.cfr.org/cyber-operations/",
    hosts=("www.cfr.org",),
    max_bytes=20_000_000,
    tables=(INCIDENTS,),
    parts=parts,
    tidy=tidy,
)
