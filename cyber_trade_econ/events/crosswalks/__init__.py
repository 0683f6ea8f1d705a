"""From incident databases to the schema of the coded events: one file per database, each with `from_<database>`."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from cyber_trade_econ.events.crosswalks.cfr import from_cfr
from cyber_trade_econ.events.crosswalks.cissm import from_cissm
from cyber_trade_econ.events.crosswalks.dcid import from_dcid
from cyber_trade_econ.events.crosswalks.eurepoc import from_eurepoc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["CROSSWALKS", "Crosswalk", "descriptions", "from_cfr", "from_cissm", "from_dcid", "from_eurepoc"]


@dataclass(frozen=True)
class Crosswalk:
    """How one database becomes events.

    Parameters
    ----------
    tables
        Tables of the lake, in the order in which ``to_events`` takes them.
    to_events
        Tables -> frame of `incident_frame`.
    incident
        Column that numbers the incidents.
    described
        Table -> columns that describe an incident or name its sources. They are compared and never handed on.
    """

    tables: tuple[str, ...]
    to_events: Callable[..., pd.DataFrame]
    incident: str
    described: Mapping[str, tuple[str, ...]]


CROSSWALKS: Mapping[str, Crosswalk] = MappingProxyType(
    {
        "dcid": Crosswalk(
            ("dcid.incidents",),
            from_dcid,
            "incident_id",
            {"dcid.incidents": ("political_objective", "sources", "us_justice", "us_cert", "us_fbi")},
        ),
        "eurepoc": Crosswalk(
            ("eurepoc.dyads", "eurepoc.attributions"),
            from_eurepoc,
            "incident_id",
            {"eurepoc.dyads": ("description",), "eurepoc.incidents": ("sources",)},
        ),
        "cfr": Crosswalk(
            ("cfr.incidents",),
            from_cfr,
            "incident_id",
            {"cfr.incidents": ("affiliations", "description", "victims", "sources")},
        ),
        "cissm": Crosswalk(("cissm.events",), from_cissm, "event_id", {"cissm.events": ("description", "source_url")}),
    }
)
"""In the order of preference when databases are merged: DCID codes severity on the common scale and starts by hand;
EuRepoC has starts and the most pairs; the dates of the CFR tracker are those of reports; CISSM seldom knows who did it."""


def descriptions(source: str, tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return what a database says of each incident, in words; described columns that a table lacks are passed over.

    Parameters
    ----------
    source
        Name of the database.
    tables
        Name of a table -> the table; those of `Crosswalk.described`.

    Returns
    -------
    Incident, as in the ids of its events -> text.
    """
    crosswalk = CROSSWALKS[source]
    told: dict[str, list[str]] = {}
    for name, columns in crosswalk.described.items():
        table = tables[name]
        present = [c for c in columns if c in table.columns]
        keys = source + "-" + table[crosswalk.incident].astype(str).str.lower()
        for key, *parts in zip(keys, *(table[c].astype(str) for c in present), strict=True):
            told.setdefault(key, []).extend(parts)
    return {key: " . ".join(dict.fromkeys(part for part in parts if part)) for key, parts in told.items()}
