"""DCID: cyber incidents between rival states, 2000-2020, with the severity scale that all incidents are brought to."""

from __future__ import annotations

import datetime as dt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Expectation, Table
from cyber_trade_econ.sources import _workbook
from cyber_trade_econ.sources._dcid_sides import Action, compare, dyad, sides

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PAGE = "https://drryanmaness.wixsite.com/cyberconflict/cyber-conflict-dataset"
# published column -> house column, unit, meaning. Codes as in the codebook of version 2.0.
_CODES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "targettype": ("target_type", "code", "1 private, 2 government but not military, 3 military."),
        "cyber_objective": (
            "cyber_objective",
            "code",
            "1 disruption, 2 short-term espionage, 3 long-term espionage, 4 degrade.",
        ),
        "information_operation": ("information_operation", "1", "1 if an information operation went with it."),
        "objective_achievement": ("objective_achieved", "1", "1 if the initiator achieved its objective."),
        "Concession": ("concession", "1", "1 if the receiver conceded something."),
        "3rdpartyinitiator": ("third_party_initiator", "1", "1 if a third party took part on the initiator's side."),
        "severity": ("severity", "points 0 to 10", "Severity, from 1 probing to 10 massive loss of life."),
        "damage type": (
            "damage_type",
            "code",
            "1 direct and immediate, 2 direct and delayed, 3 indirect and immediate, 4 indirect and delayed.",
        ),
        "Crit Inf": ("critical_sector", "code", "Sector of critical infrastructure, 1 to 17."),
        "Supply Ch": ("supply_chain", "1", "1 if it went through a supply chain."),
        "Ransomware": ("ransomware", "1", "1 if ransomware was used."),
    }
)
_SOURCES = ("Sources1", "Sources2", "Sources3", "Sources4", "Sources5")
_US = {"Justice": "us_justice", "Cert": "us_cert", "FBI": "us_fbi"}
_HEADER = (
    *("Cyberincidentnum", "Dyadpair", "StateA", "StateB", "Name", "interactionstartdate", "interactionenddate"),
    *("method", "initiator", "Political Objective", *_CODES, *_SOURCES, *_US),
)
_SECOND_HEADER = ("Cyberincidentnum", "Dyadpair", "Name", "interactionstartdate", "initiator", "target", "severity")

_HIGHEST = 10
_STATUS = "as published, corrected (was no member of the dyad, or is known to be wrong), or not in its dyad"
INCIDENTS = Table(
    name="incidents",
    meaning="One cyber incident of one pair of rival states; a campaign against two states is two incidents.",
    columns=(
        Column("incident_id", "int32", "DCID number", "Incident, numbered anew in each release."),
        Column("dyad", "int32", "COW numbers, the lower first, written together", "Pair of rivals as published."),
        Column("state_a", "string", "ISO 3166-1 alpha-3", "The rival with the lower number."),
        Column("state_b", "string", "ISO 3166-1 alpha-3", "The rival with the higher number."),
        Column("name", "string", "text", "Name of the incident as published."),
        Column(
            "start_date",
            "date",
            "day",
            "First day. No precision is published: nearly half of all incidents start on the first of a month.",
        ),
        Column("end_date", "date", "day", "Last day as published, in one case before the first."),
        Column(
            "initiator",
            "string",
            "ISO 3166-1 alpha-3",
            "The initiating rival; null where the published one is no member of the dyad and nothing corrects it.",
            nullable=True,
        ),
        Column(
            "receiver",
            "string",
            "ISO 3166-1 alpha-3",
            "The other member of the dyad; null where the initiator is.",
            nullable=True,
        ),
        Column("initiator_status", "string", _STATUS, "Where the initiator comes from."),
        Column("initiator_cow", "int32", "COW number", "Initiator as published."),
        Column(
            "method",
            "string",
            "code",
            "1 vandalism, 2 denial of service, 3 intrusion, 4 infiltration (4.1 logic bomb, 4.2 virus, 4.3 worm, "
            "4.4 keystroke logging).",
        ),
        *(Column(house, "int16", unit, text, lowest=0) for house, unit, text in _CODES.values()),
        Column("political_objective", "string", "text", "What the initiator wanted, in the coders' words."),
        Column("sources", "string", "URLs joined by a bar", "Sources as published."),
        *(
            Column(
                house,
                "string",
                "URL",
                f"Document of a US authority ({name}); empty for none. Later rows have some beside the wrong incident.",
            )
            for name, house in _US.items()
        ),
    ),
    key=("incident_id",),
    expectations=(
        Expectation("severity is at most 10", lambda table: pc.max(table.column("severity")).as_py() <= _HIGHEST),
    ),
)


def parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  # the file holds every year
    """Return the workbook. Its page has no stable address of the file, which is downloaded by hand."""
    return (
        Part(
            "workbook",
            _PAGE,
            "DCID_2.0_Release_update_February_2023.xlsx",
            ("DCID_2.0_Release_update_*.xlsx",),
        ),
    )


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    """Read the incidents of the first sheet; take from the second only initiators that the first has wrong.

    The second sheet has two rows per incident, the action and the other side's reaction (mostly "No Cyber"), for an
    analysis of escalation. It repeats 428 of the 429 incidents, dates ten of them differently against the dates in their
    names, gives times of day that only keep rows apart, and has neither end dates nor sources.
    """
    path = raw[0].path
    header, rows = _workbook.rows(path, path.name)
    _workbook.require(header, _HEADER, path.name)
    cell = {name: [row[header.index(name)] for row in rows] for name in _HEADER}
    second = _second(*_workbook.rows(path, path.name, sheet=1), path.name)
    data, facts = _columns(cell, second, path.name)
    facts["version"] = "2.0, " + " ".join(path.stem.split("_")[-2:])
    facts["columns_not_kept"] = len(header) - len(_HEADER)
    frame = pa.table({c.name: pa.array(data[c.name], c.arrow) for c in INCIDENTS.columns})
    if years is not None:
        kept = [d.year in years for d in data["start_date"]]
        facts["dropped_year_not_asked"] = len(kept) - sum(kept)
        frame = frame.filter(pa.array(kept))
    yield Piece("incidents", "all", frame, facts)


def _second(header: list[str], rows: list[list[Any]], file: str) -> dict[tuple[str, int], Action]:
    """Name and dyad -> the action, the first of the two rows of an incident."""
    _workbook.require(header, _SECOND_HEADER, f"the second sheet of {file}")
    at = {name: header.index(name) for name in _SECOND_HEADER}
    found: dict[int, tuple[tuple[str, int], Action]] = {}
    for line, row in enumerate(rows, start=2):
        number, pair, initiator, severity = (
            _integer(row[at[name]], line, name, file)
            for name in ("Cyberincidentnum", "Dyadpair", "initiator", "severity")
        )
        day = _date(row[at["interactionstartdate"]], line, "interactionstartdate", file)
        found.setdefault(number, ((str(row[at["Name"]]).strip(), pair), Action(initiator, severity, day)))
    return dict(found.values())


def _columns(
    cell: dict[str, list[Any]], second: Mapping[tuple[str, int], Action], file: str
) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    def each(column: str) -> list[int]:
        return [_integer(c, line, column, file) for line, c in enumerate(cell[column], start=2)]

    def text(column: str) -> list[str]:
        return [str(c).strip() for c in cell[column]]

    data: dict[str, list[Any]] = {house: each(name) for name, (house, *_) in _CODES.items()}
    data |= {house: text(name) for name, house in _US.items()}
    data |= {
        "incident_id": each("Cyberincidentnum"),
        "dyad": each("Dyadpair"),
        "initiator_cow": each("initiator"),
        "name": text("Name"),
        "political_objective": text("Political Objective"),
        "method": [str(c).strip().removesuffix(".0") for c in cell["method"]],
        "sources": [" | ".join(s for s in sources if s) for sources in zip(*(text(s) for s in _SOURCES), strict=True)],
    }
    for house, name in (("start_date", "interactionstartdate"), ("end_date", "interactionenddate")):
        data[house] = [_date(c, line, name, file) for line, c in enumerate(cell[name], start=2)]
    names = zip(data["dyad"], text("StateA"), text("StateB"), data["start_date"], strict=True)
    dyads = [dyad(*given, f"line {line} of {file}") for line, given in enumerate(names, start=2)]
    data["state_a"], data["state_b"] = ([d.iso3[side] for d in dyads] for side in (0, 1))
    facts = sides(data, dyads, second) | compare(data, second)
    trimmed = [c for n in ("StateA", "StateB", "Name") for c in cell[n] if str(c) != str(c).strip()]
    starts = data["start_date"]
    return data, facts | {
        "flagged_blanks_around_names": len(trimmed),
        "flagged_end_before_start": sum(e < s for s, e in zip(starts, data["end_date"], strict=True)),
        "flagged_start_on_1_january": sum((s.month, s.day) == (1, 1) for s in starts),
        "flagged_start_on_first_of_other_month": sum(s.day == 1 and s.month > 1 for s in starts),
    }


def _integer(cell: Any, line: int, column: str, file: str) -> int:
    try:
        number = float(cell)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ParseError(f"line {line} of {file}, column {column!r}, is no whole number", found=repr(cell)[:60]) from None


def _date(cell: Any, line: int, column: str, file: str) -> dt.date:
    if isinstance(cell, dt.datetime):
        return cell.date()
    if isinstance(cell, dt.date):
        return cell
    raise ParseError(f"line {line} of {file}, column {column!r}, is no date", found=repr(cell)[:60])


SOURCE = Source(
    name="dcid",
    title="Dyadic Cyber Incident and Campaign Data 2.0",
    publisher="Ryan C. Maness, Brandon Valeriano, Kathryn Hedgecock, Benjamin M. Jensen and Jose M. Macias",
    licence="Unclear: the update of February 2023 states none and is used in academic work with citation; the release of "
    "September 2022 on Harvard Dataverse, doi:10.7910/DVN/CQOMYV, has been described as CC0 1.0; do not redistribute until "
    "the terms have been read",
    licence_url=_PAGE,
    citation="Maness, R. C., Valeriano, B., Hedgecock, K., Macias, J. M. and Jensen, B. (2023). Expanding the Dyadic Cyber "
    "Incident and Campaign Dataset (DCID): Cyber Conflict from 2000 to 2020. The Cyber Defense Review 8(2), 65-90. Data: "
    "version 2.0, update of February 2023, " + _PAGE,
    homepage=_PAGE,
    hosts=("drryanmaness.wixsite.com",),
    max_bytes=20_000_000,
    tables=(INCIDENTS,),
    parts=parts,
    tidy=tidy,
)
