"""From the pairs of the EuRepoC database to events in the schema of the coded ones."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events.crosswalks.account import account, counted, days, require
from cyber_trade_econ.events.incidents import incident_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = (
    *("incident_id", "name", "start_date", "initiator_status", "initiator_all", "initiator_actor"),
    *("initiator_category", "receiver_status", "receiver_all", "operation_type", "weighted_intensity"),
)
_ATTRIBUTION_NEEDED = (
    *("incident_id", "attribution_basis", "attribution_type", "initiator_all", "initiator_category"),
)

# Column that is 1 -> codes of incident_type. A database of types of operation has no code for theft of funds, and does
# not tell wiped data or a defaced page from a service that stopped: `disruption` covers them here.
FLAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "data_theft": ("espionage",),
        "data_theft_and_doxing": ("espionage", "influence"),
        "disruption": ("disruption",),
        "ransomware": ("ransomware",),
        "hijacking_with_misuse": (),
        "hijacking_without_misuse": (),
    }
)
# operation_type -> codes added to those of the columns. An intrusion without a further purpose is `access`: given where
# nothing else is known of a hijacking.
OPERATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Data theft": ("espionage",),
        "DDoS/Defacement": ("disruption",),
        "Hack and leak": ("espionage", "influence"),
        "Hijacking with Misuse": (),
        "Hijacking without Misuse": (),
        "Prolonged system outage (e.g., wiper)": ("disruption",),
        "Ransomware & data theft extortion": ("ransomware",),
        "Other": (),
        "Not available": (),
    }
)
_TIED = ("incident_id", "initiator_all", "receiver_all", "weighted_intensity")  # alike where a pair repeats
_HIJACKED = ("hijacking_with_misuse", "hijacking_without_misuse")

STATE = ("State", "State affiliated actor")
_GOVERNMENT = (
    "Attribution by receiver government / state entity",
    "Attribution by EU institution/agency",
    "Attribution by international organization",
)
_THIRD = "Attribution by third-party"
_CONTESTED = "Contested attribution"
# What a third party states is that of a government where it came as one of these, and else that of a firm or observer.
_OFFICIAL = ("Political statement", "Domestic legal action")
_ANONYMOUS = "Anonymous statement"

_NO_ACTOR = ("Unknown", "Not available", "Not attributed", "")

SCALE = 10 / 15
"""Points of the common scale per point of ``weighted_intensity``, whose highest possible value is 15."""


def from_eurepoc(dyads: pd.DataFrame, attributions: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the incidents of EuRepoC in the common schema, one row per incident, initiating and receiving side.

    Parameters
    ----------
    dyads
        The table ``eurepoc.dyads``.
    attributions
        The table ``eurepoc.attributions``: one row per public attribution of an incident, with ``attribution_basis``,
        ``attribution_type``, ``initiator_all`` and ``initiator_category``. Without it no row is known to be attributed
        by a government.

    Returns
    -------
    Frame of `incident_frame`, in the order given. ``imposer`` holds every initiating economy that is named, joined by
    ``;`` where several acted together, and is empty where none is; ``target`` likewise. ``onset`` is the start date. The
    database has no precision: the first of January often stands for a year, and two in five of the other dates are the
    first of a month, where one in thirty would be by chance. So its precision is ``year`` for the first of January,
    ``month`` for the first of another month, else ``day``. ``note`` names the initiating group as published.

    ``attribution`` is ``none`` without an initiating economy; ``contested`` if an attribution of the incident is called
    so or names other economies only; ``government`` if a government, court or prosecutor attributes it, by name, to a
    state or an actor affiliated with it; ``others`` if anybody else does; ``origin_only`` where the initiator is not
    called a state or affiliated with one.

    ``intensity`` is ``weighted_intensity`` (0 to 15 points) times `SCALE`: a convention that keeps the order and the end
    points of two ordinal scales, not a measured equivalence. 0 points are taken as not assessed, since every type of
    operation alone gives one.

    Rows whose two sides share an economy, without a start date, or that repeat both sides of their incident (the most
    intense one stays; of several, the first in the order of their other entries) are left out and counted by reason in
    ``frame.attrs["facts"]["left_out"]``.

    Raises
    ------
    SchemaError
        If a column is absent or holds a type of operation that no table maps.
    """
    require(dyads, (*_NEEDED, *FLAGS), "eurepoc.dyads")
    if attributions is not None:
        require(attributions, _ATTRIBUTION_NEEDED, "eurepoc.attributions")
    given = dyads.reset_index(drop=True)
    start = days(given["start_date"])
    reason = _reasons(given, start)
    kept = given[reason == ""]
    frame = _as_events(kept, start[kept.index], _attribution(given, attributions)[kept.index])
    frame.attrs["facts"] = account(frame, reason, given["incident_id"]) | {
        "intensity_not_assessed": int(frame["intensity"].isna().sum()),
        "after_source_break": int(frame["source_break"].sum()),
        "initiator": counted(kept["initiator_status"]),
        "receiver": counted(kept["receiver_status"]),
    }
    return frame


def _side(given: pd.DataFrame, role: str) -> pd.Series:
    """Every economy named on one side, in alphabetical order so that the order of naming makes no new pair."""
    return given[f"{role}_all"].map(lambda codes: ";".join(sorted(set(codes.split(";")) - {""}))).astype(str)


def _reasons(given: pd.DataFrame, start: pd.Series) -> pd.Series:
    """Why a row is left out, the first reason that applies; "" where it stays."""
    reason = pd.Series("", index=given.index, dtype=object)
    initiator, receiver = _side(given, "initiator"), _side(given, "receiver")
    sides = zip(initiator, receiver, strict=True)
    shared = [bool((set(i.split(";")) - {""}) & set(r.split(";"))) for i, r in sides]
    reason[pd.Series(shared, index=given.index, dtype=bool)] = "initiator and receiver share an economy"
    reason[start.isna() & (reason == "")] = "start date missing"
    ends = pd.DataFrame({"incident": given["incident_id"], "from": initiator, "to": receiver})
    ties = [c for c in (*_NEEDED, *FLAGS) if c not in _TIED]  # the order of rows decides nothing
    ranked = (
        given[reason == ""]
        .sort_values(
            ["weighted_intensity", *ties],
            ascending=[False, *(True for _ in ties)],
            key=lambda c: c if c.name == "weighted_intensity" else c.astype(str),
        )
        .index
    )
    reason[ranked[ends.loc[ranked].duplicated()]] = "pair repeated within its incident"
    return reason


def _as_events(kept: pd.DataFrame, start: pd.Series, attribution: pd.Series) -> pd.DataFrame:
    incident = kept["incident_id"].astype(str)
    imposer, target = _side(kept, "initiator"), _side(kept, "receiver")
    ends = (side.str.lower().str.replace(";", "").replace("", "none") for side in (imposer, target))
    precision = pd.Series("day", index=kept.index).mask(start.dt.day == 1, "month")
    actor, points = kept["initiator_actor"], kept["weighted_intensity"].astype("float64")
    parts: dict[str, pd.Series] = {
        "event_id": "eurepoc-" + incident + "-" + next(ends) + "-" + next(ends),
        "title": kept["name"],
        "imposer": imposer,
        "target": target,
        "onset": start,
        "onset_precision": precision.mask((start.dt.day == 1) & (start.dt.month == 1), "year"),
        "incident_type": _types(kept),
        "attribution": attribution,
        "intensity": (points * SCALE).where(points > 0),
        "intensity_native": points,
        "source_citation": "EuRepoC, European Repository of Cyber Incidents, dyadic dataset, incident " + incident,
        "note": ("Initiator as published: " + actor).mask(actor.isin(_NO_ACTOR), ""),
    }
    return incident_frame(parts, source="eurepoc")


def _types(kept: pd.DataFrame) -> pd.Series:
    strange = sorted(set(kept["operation_type"]) - set(OPERATIONS))
    if strange:
        raise SchemaError("types of operation of EuRepoC that are new", found=strange, allowed=list(OPERATIONS))

    def codes(row: Any) -> str:
        found = [code for flag, given in FLAGS.items() if row[flag] == 1 for code in given]
        found += OPERATIONS[row["operation_type"]]
        if not found:
            hijacked = any(row[flag] == 1 for flag in _HIJACKED)
            found = ["access" if hijacked or "Hijacking" in row["operation_type"] else "unknown"]
        return ";".join(dict.fromkeys(found))

    return pd.Series([codes(row) for row in _records(kept)], index=kept.index, dtype=object)


def _attribution(given: pd.DataFrame, attributions: pd.DataFrame | None) -> pd.Series:
    """One code per row, from the attributions of its incident that name an economy of its initiating side."""
    listed: dict[int, list[dict[str, Any]]] = {}
    if attributions is not None:
        for one in _records(attributions):
            listed.setdefault(int(one["incident_id"]), []).append(one | {"economies": _economies(one)})
    named: dict[int, set[str]] = {}
    rows = _records(given)
    for row in rows:
        named.setdefault(int(row["incident_id"]), set()).update(_economies(row))
    codes = [_judge(row, listed.get(int(row["incident_id"]), []), named[int(row["incident_id"])]) for row in rows]
    return pd.Series(codes, index=given.index, dtype=object)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _economies(row: Mapping[str, Any]) -> set[str]:
    return set(row["initiator_all"].split(";")) - {""}


def _judge(row: Mapping[str, Any], attributions: list[dict[str, Any]], named: set[str]) -> str:
    own = _economies(row)
    if not own:
        return "none"
    against = [a for a in attributions if a["economies"] and not a["economies"] & named]
    if against or any(a["attribution_basis"] == _CONTESTED for a in attributions):
        return "contested"
    to_state = [a for a in attributions if a["economies"] & own and a["initiator_category"] in STATE]
    if any(_by_government(a) for a in to_state):
        return "government"
    return "others" if to_state or row["initiator_category"] in STATE else "origin_only"


def _by_government(attribution: Mapping[str, Any]) -> bool:
    basis, form = attribution["attribution_basis"], attribution["attribution_type"]
    if form.startswith(_ANONYMOUS):
        return False
    return basis in _GOVERNMENT or (basis == _THIRD and form.startswith(_OFFICIAL))
