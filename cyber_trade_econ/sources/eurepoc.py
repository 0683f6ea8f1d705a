"""EuRepoC: coded cyber incidents, their pairs of initiating and receiving country, and who attributes them."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Table
from cyber_trade_econ.sources import _delimited, _eurepoc_attributions, _workbook
from cyber_trade_econ.sources._attribution import Party, party

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_RECORD = "https://zenodo.org/records/14965395/files/"
_NONE = ("Not available", "", "None")
_TYPES = {
    "Data theft": "data_theft",
    "Data theft & Doxing": "data_theft_and_doxing",
    "Disruption": "disruption",
    "Hijacking with Misuse": "hijacking_with_misuse",
    "Hijacking without Misuse": "hijacking_without_misuse",
    "Ransomware": "ransomware",
    "Not available": "type_not_available",
}
# published column -> house column; text kept as published.
_TEXT = {
    "name": "name",
    "description": "description",
    "initiator_category": "initiator_category",
    "initiator_subcategory": "initiator_subcategory",
    "source_disclosure": "source_disclosure",
}
_COUNTS = (
    "weighted_intensity",
    "unweighted_intensity",
    "number_attributions",
    "number_political_responses",
    "number_legal_responses",
)
_DATES = ("start_date", "end_date", "added_to_db", "updated_at")
_DYAD_HEADER = (
    "dyad_id", "incident_id", "initiator_country", "initiator_alpha_2", "receiver_country",
    "receiver_country_alpha_2_code", "operation_type", "initiator_name", "receiver_category",
    *_TEXT, *_COUNTS, *_DATES, *_TYPES,
)  # fmt: skip
_INCIDENT_HEADER = (
    "incident_id", "initiator_country", "initiator_alpha_2", "receiver_country", "receiver_country_alpha_2_code",
    "incident_type", "initiator_name", "receiver_category", "source_url", "attribution_source_url", *_TEXT, *_COUNTS,
    *_DATES,
)  # fmt: skip

_ADDRESS = re.compile(r"https?://[^\s;|]+")
_STATUS = "country, joint (several countries), group (region or organisation), unknown, or not attributed"
_COMMON = (
    Column("incident_id", "int32", "EuRepoC id", "Incident."),
    Column("name", "string", "text", "Name of the incident as published."),
    Column("description", "string", "text", "Description as published."),
    Column(
        "start_date",
        "date",
        "day",
        "First day; null unknown. No precision is published, and the first of January often stands for a whole year.",
        nullable=True,
    ),
    Column("end_date", "date", "day", "Last day; null where unknown or not ended.", nullable=True),
    Column(
        "initiator",
        "string",
        "ISO 3166-1 alpha-3",
        "The initiating country; null unless exactly one is named.",
        nullable=True,
    ),
    Column("initiator_status", "string", _STATUS, "What stands in the place of the initiating country."),
    Column("initiator_all", "string", "ISO3 joined by ;", "Every initiating country that is named; empty for none."),
    Column("initiator_name", "string", "text", "Initiating country as published."),
    Column("initiator_actor", "string", "text", "Initiating group or person as published."),
    Column("initiator_category", "string", "text", "Kind of actor as published."),
    Column("initiator_subcategory", "string", "text", "Kind of actor in more detail, as published."),
    Column(
        "receiver",
        "string",
        "ISO 3166-1 alpha-3",
        "The receiving country; null unless exactly one is named.",
        nullable=True,
    ),
    Column("receiver_status", "string", _STATUS, "What stands in the place of the receiving country."),
    Column("receiver_all", "string", "ISO3 joined by ;", "Every receiving country that is named; empty for none."),
    Column("receiver_name", "string", "text", "Receiving country, region or organisation as published."),
    Column("receiver_category", "string", "text", "Kinds of receiver, joined by ;."),
)
_MEASURES = (
    Column("weighted_intensity", "int16", "points 0 to 15", "Intensity with the weight of the target.", lowest=0),
    Column("unweighted_intensity", "int16", "points 0 to 15", "Intensity without the weight of the target.", lowest=0),
    *(Column(n, "int16", "1", f"{n.replace('_', ' ').capitalize()}.", lowest=0) for n in _COUNTS[2:]),
    *(Column(house, "int16", "1", f"1 if the type is {name!r}.", lowest=0) for name, house in _TYPES.items()),
    Column("source_disclosure", "string", "text", "Who made the incident known."),
    Column("added_to_db", "date", "day", "Day on which the publisher added the incident.", nullable=True),
    Column("updated_at", "date", "day", "Day of the publisher's last change.", nullable=True),
)
DYADS = Table(
    name="dyads",
    meaning="One incident of one pair of initiating and receiving country, region or organisation.",
    columns=(
        Column("dyad_id", "int32", "EuRepoC id", "Pair of initiator and receiver; it occurs once per incident."),
        *_COMMON,
        Column("operation_type", "string", "text", "Type of operation, one per row."),
        *_MEASURES,
    ),
    key=("dyad_id", "incident_id"),
)
INCIDENTS = Table(
    name="incidents",
    meaning="One incident with all its initiators and receivers.",
    columns=(
        *_COMMON,
        Column("incident_type", "string", "text", "Types of incident, joined by ;, as published."),
        *_MEASURES,
        Column("sources", "string", "URLs joined by a bar", "Sources of the incident and of its attributions."),
    ),
    key=("incident_id",),
)


def parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  # each file holds every year
    """Return the three files: pairs, incidents, and attributions."""
    return (
        Part(
            "dyads",
            _RECORD + "eurepoc_dyadic_dataset_0_1.csv?download=1",
            "eurepoc_dyadic_dataset_0_1.csv",
            ("eurepoc_dyadic_dataset_*.xlsx", "eurepoc_dyadic_dataset_*.csv"),
            fixed=True,
        ),
        Part(
            "incidents",
            _RECORD + "eurepoc_global_dataset_1_3.csv?download=1",
            "eurepoc_global_dataset_1_3.csv",
            ("eurepoc_global_dataset_*.xlsx", "eurepoc_global_dataset_*.csv"),
            fixed=True,
        ),
        Part(
            "attributions",
            _RECORD + "eurepoc_attribution_dataset_1.3.csv?download=1",
            "eurepoc_attribution_dataset_1.3.csv",
            ("eurepoc_attribution_dataset_*.csv",),
            fixed=True,
        ),
    )


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    """Name columns, read dates in both of the publisher's forms, and tell countries from regions and unknowns."""
    for part, table, needed in (("dyads", DYADS, _DYAD_HEADER), ("incidents", INCIDENTS, _INCIDENT_HEADER)):
        path = next(r.path for r in raw if r.part == part)
        header, rows = _read(path)
        _workbook.require(header, needed, path.name)
        # index() finds the first: the second initiator_country and initiator_category repeat the settled attribution.
        place = {name: header.index(name) for name in needed}
        cell = {name: [row[at] for row in rows] for name, at in place.items()}
        data, facts = _columns(cell, path.name, dyadic=part == "dyads")
        facts["version"] = path.stem.rsplit("dataset_", 1)[-1].replace("_", ".")
        facts["columns_not_kept"] = len(header) - len(needed)
        frame = pa.table({c.name: pa.array(data[c.name], c.arrow) for c in table.columns})
        if years is not None:
            kept = [d is None or d.year in years for d in data["start_date"]]
            facts["dropped_year_not_asked"] = len(kept) - sum(kept)
            frame = frame.filter(pa.array(kept))
        yield Piece(table.name, "all", frame, facts)
    yield _eurepoc_attributions.piece(next(r.path for r in raw if r.part == "attributions"))


def _read(path: Path) -> tuple[list[str], list[list[Any]]]:
    if path.suffix == ".csv":
        header, rows, _ = _delimited.rows(path)
        return header, rows
    return _workbook.rows(path, path.name)


def _columns(cell: dict[str, list[Any]], file: str, *, dyadic: bool) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    data: dict[str, list[Any]] = {house: [str(c) for c in cell[published]] for published, house in _TEXT.items()}
    data |= {n: _each(cell[n], _integer, n, file) for n in ("incident_id", *_COUNTS)}
    data |= {n: _each(cell[n], _date, n, file) for n in _DATES}
    data["initiator_actor"] = [str(c) for c in cell["initiator_name"]]
    data["receiver_category"] = [";".join(_listed(c)) for c in cell["receiver_category"]]
    facts: dict[str, Any] = {}
    for role, codes in (("initiator", "initiator_alpha_2"), ("receiver", "receiver_country_alpha_2_code")):
        names = [str(c) for c in cell[f"{role}_country"]]
        parties = [party(name, str(code)) for name, code in zip(names, cell[codes], strict=True)]
        data[f"{role}_name"] = names
        data[role] = [p.countries[0] if p.status == "country" else None for p in parties]
        data[f"{role}_status"] = [p.status for p in parties]
        data[f"{role}_all"] = [";".join(p.countries) for p in parties]
        facts |= _party_facts(role, parties)
    if dyadic:
        data["dyad_id"] = _each(cell["dyad_id"], _integer, "dyad_id", file)
        data["operation_type"] = [str(c) for c in cell["operation_type"]]
        data |= {house: _each(cell[name], _integer, name, file) for name, house in _TYPES.items()}
    else:
        data["incident_type"] = [str(c) for c in cell["incident_type"]]
        atoms = [set(t.split(";")) for t in data["incident_type"]]
        strange = sorted(set().union(*atoms) - set(_TYPES))
        if strange:
            raise ParseError(f"{file} has incident types that are new", found=strange, allowed=_TYPES)
        data |= {house: [int(name in a) for a in atoms] for name, house in _TYPES.items()}
        cited = zip(cell["source_url"], cell["attribution_source_url"], strict=True)
        data["sources"] = ["|".join(dict.fromkeys(_ADDRESS.findall(f"{own} {others}"))) for own, others in cited]
    starts = [d for d in data["start_date"] if d is not None]
    facts["flagged_start_unknown"] = len(data["start_date"]) - len(starts)
    facts["flagged_start_on_1_january"] = sum((d.month, d.day) == (1, 1) for d in starts)
    return data, facts


def _party_facts(role: str, parties: list[Party]) -> dict[str, Any]:
    """Count by status; list names that no table knows and that have no code either."""
    counts = {f"{role}_{status.replace(' ', '_')}": n for status, n in Counter(p.status for p in parties).items()}
    strange = sorted({p.unlisted for p in parties if p.unlisted})
    return counts | ({f"{role}_names_without_code": strange} if strange else {})


def _each(cells: list[Any], read: Callable[[Any], Any], column: str, file: str) -> list[Any]:
    out = []
    for line, cell in enumerate(cells, start=2):
        try:
            out.append(read(cell))
        except ValueError:
            raise ParseError(
                f"line {line} of {file}, column {column!r}, cannot be read", found=repr(cell)[:60]
            ) from None
    return out


def _integer(cell: Any) -> int:
    number = float(cell)
    if number != int(number):
        raise ValueError
    return int(number)


def _date(cell: Any) -> dt.date | None:
    if isinstance(cell, dt.datetime):
        return cell.date()
    if isinstance(cell, dt.date):
        return cell
    text = str(cell).strip()
    if text in _NONE:
        return None
    if re.fullmatch(r"\d\d\.\d\d\.\d{4}", text):
        return dt.date(int(text[6:]), int(text[3:5]), int(text[:2]))
    return dt.date.fromisoformat(text[:10])


def _listed(cell: Any) -> list[str]:
    """Distinct entries, in order, of a cell that joins them by ``;`` or is the text of a Python list."""
    text = str(cell).strip()
    entries = (
        re.findall(r"""'([^']*)'|"([^"]*)\"""", text) if text.startswith("[") else [(e, "") for e in text.split(";")]
    )
    return list(dict.fromkeys((a or b).strip() for a, b in entries))


SOURCE = Source(
    name="eurepoc",
    title="EuRepoC Global Dataset of Cyber Incidents 1.3 and Dyadic Dataset 0.1",
    publisher="European Repository of Cyber Incidents",
    licence="Unclear: the Zenodo record has been described as CC BY 4.0, and since April 2025 as CC BY-NC 4.0; treat "
    "the data as non-commercial and do not redistribute them until the record has been read",
    licence_url="https://zenodo.org/records/14965395",
    citation="Zettl-Schabath, K., Bund, J., Müller, M., Borrett, C., Hemmelskamp, J., Alibegovic, A., Bajra, E., "
    "Jazxhi, A., Kellenter, E., Sachs, A. and Shelley, C. (2025), Global Dataset of Cyber Incidents (1.3.2), European "
    "Repository of Cyber Incidents. https://doi.org/10.5281/zenodo.14965395",
    homepage="https://eurepoc.eu/",
    hosts=("zenodo.org",),
    max_bytes=100_000_000,
    tables=(DYADS, INCIDENTS, _eurepoc_attributions.ATTRIBUTIONS),
    parts=parts,
    tidy=tidy,
)
