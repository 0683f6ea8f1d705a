"""The attributions of EuRepoC: who says, how, that an incident comes from whom."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.records.source import Piece
from cyber_trade_econ.records.table import Column, Table
from cyber_trade_econ.sources import _delimited, _workbook
from cyber_trade_econ.sources._attribution import party

if TYPE_CHECKING:
    from pathlib import Path

# published column -> house column; text kept as published.
_TEXT = {
    "attribution_date": "attribution_date",
    "attribution_basis": "attribution_basis",
    "attribution_type": "attribution_type",
    "attribution_subtype": "attribution_subtype",
    "attributing_country": "attributing_country",
    "attributing_actor": "attributing_actor",
    "settled_attribution": "settled",
    "initiator_country": "initiator_name",
    "initiator_name": "initiator_actor",
    "initiator_category": "initiator_category",
    "initiator_subcategory": "initiator_subcategory",
}
_HEADER = ("attribution_id", "incident_id", "initiator_alpha_2", *_TEXT)
ATTRIBUTIONS = Table(
    name="attributions",
    meaning="One public attribution of an incident by one attributing country or actor to one initiator.",
    columns=(
        Column("row", "int32", "1", "Line of the published file; the publisher has no key.", lowest=2),
        Column("attribution_id", "int32", "EuRepoC id", "Attribution; several rows where several parties join in it."),
        Column("incident_id", "int32", "EuRepoC id", "Incident."),
        Column("attribution_date", "string", "YYYY[-M[-D]]", "Date as published; 'Not available' where unknown."),
        Column("attribution_basis", "string", "text", "Who attributes, as published."),
        Column("attribution_type", "string", "text", "In which form, as published."),
        Column("attribution_subtype", "string", "text", "Indictment, sanctions, arrests and the like, as published."),
        Column("attributing_country", "string", "text", "Country of the attributing party as published."),
        Column("attributing_actor", "string", "text", "Attributing party as published."),
        Column("settled", "string", "True, False or empty", "Whether the publisher takes it as settled."),
        Column("initiator_all", "string", "ISO3 joined by ;", "Every initiating country named; empty for none."),
        Column("initiator_status", "string", "see dyads", "What stands in the place of the initiating country."),
        Column("initiator_name", "string", "text", "Initiating country as published."),
        Column("initiator_actor", "string", "text", "Initiating group or person as published."),
        Column("initiator_category", "string", "text", "Kind of actor as published."),
        Column("initiator_subcategory", "string", "text", "Kind of actor in more detail, as published."),
    ),
    key=("row",),
)


def piece(path: Path) -> Piece:
    """Return the attributions of the published file; it has no dates to choose years by, so every row is kept."""
    header, rows, _ = _delimited.rows(path)
    _workbook.require(header, _HEADER, path.name)
    cell = {name: [row[header.index(name)] for row in rows] for name in _HEADER}
    parties = [party(n, c) for n, c in zip(cell["initiator_country"], cell["initiator_alpha_2"], strict=True)]
    data: dict[str, list[Any]] = {house: cell[published] for published, house in _TEXT.items()}
    data["row"] = list(range(2, len(rows) + 2))
    for name in ("attribution_id", "incident_id"):
        strange = [c for c in cell[name] if not c.isdigit()]
        if strange:
            raise ParseError(f"{path.name}, column {name!r}, cannot be read", found=strange[:5])
        data[name] = [int(c) for c in cell[name]]
    data["initiator_all"] = [";".join(p.countries) for p in parties]
    data["initiator_status"] = [p.status for p in parties]
    facts = {f"initiator_{s.replace(' ', '_')}": n for s, n in Counter(p.status for p in parties).items()}
    columns = ATTRIBUTIONS.columns
    frame = pa.table({c.name: pa.array(data[c.name], c.arrow) for c in columns})
    return Piece("attributions", "all", frame, facts | {"columns_not_kept": len(header) - len(_HEADER)})
