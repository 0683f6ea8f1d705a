"""From the operations of the CFR tracker to the schema of the coded events."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from cyber_trade_econ.events.crosswalks.account import account, counted, days, require
from cyber_trade_econ.events.incidents import incident_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = (
    *("incident_id", "title", "report_date", "sponsor_all", "sponsor_status", "receiver_all", "receiver_status"),
    *("incident_type", "response"),
)
# Type as published -> code. The glossary of the tracker calls the disruption of a physical process sabotage.
TYPES: Mapping[str, str] = MappingProxyType(
    {
        "Espionage": "espionage",
        "Sabotage": "disruption",
        "Denial of service": "disruption",
        "Data destruction": "destruction",
        "Financial Theft": "theft_of_funds",
        "Defacement": "influence",
        "Doxing": "influence",
        "": "unknown",
    }
)
# Responses with which a state says who did it.
GOVERNMENT = ("Criminal charges", "Denouncement", "Sanctions")


def from_cfr(table: pd.DataFrame) -> pd.DataFrame:
    """Return the operations of the CFR tracker in the common schema, one row per operation, sponsor and receiver.

    Parameters
    ----------
    table
        The table ``cfr.incidents``.

    Returns
    -------
    Frame of `incident_frame`, in the order given. ``imposer`` is a suspected sponsor, ``""`` without one. ``target`` is an
    economy of the victims. The tracker describes victims in words. An economy is taken where the cell is nothing but its
    name, where the cell lists nothing but names of economies (one row each; ``note`` gives their number), and where the
    text names exactly one (by the rule of the source); any other victim leaves ``""``.

    ``disclosed`` is the date of the tracker. It is the day on which an operation became known: of 223 rows with a source
    whose address holds a day, 59 per cent have that day and 74 per cent one at most a day off. The beginning of an
    operation is not published, so that ``onset`` is empty.

    ``attribution`` is ``government`` where the victim's side answered with a denouncement, criminal charges or sanctions
    (some denouncements come from organisations), ``others`` where a sponsor is given and it did not, ``none`` without a
    sponsor. No intensity is published. Rows without a type are often profiles of groups; they are ``unknown``.

    Pairs without a date, and pairs of an economy with itself, are left out and counted in
    ``frame.attrs["facts"]["left_out"]``; ``operations`` there counts what went in by the status of sponsor and receiver.

    Raises
    ------
    SchemaError
        If a column is absent.
    """
    require(table, _NEEDED, "cfr.incidents")
    given = table.reset_index(drop=True)
    pairs = _pairs(given)
    reason = pd.Series("", index=pairs.index, dtype=object)
    reason[pairs["sponsor"].ne("") & (pairs["sponsor"] == pairs["receiver"])] = "initiator and receiver are the same"
    reason[days(pairs["report_date"]).isna() & (reason == "")] = "date missing"
    kept = pairs[reason == ""]
    frame = _as_events(kept)
    frame.attrs["facts"] = account(frame, reason, pairs["incident_id"]) | {
        "operations": {"given": len(given)}
        | {f"sponsor {status}": n for status, n in counted(given["sponsor_status"]).items()}
        | {f"receiver {status}": n for status, n in counted(given["receiver_status"]).items()},
        "kept_from_lists_of_receivers": int((kept["receiver_status"] == "countries").sum()),
        "kept_from_joint_sponsors": int((kept["sponsor_status"] == "joint").sum()),
    }
    return frame


def _pairs(given: pd.DataFrame) -> pd.DataFrame:
    """One row per operation, sponsor and receiver; "" stands for a side without an economy."""
    sides = given.assign(sponsor=given["sponsor_all"].str.split(";"), receiver=given["receiver_all"].str.split(";"))
    sides["receivers"] = sides["receiver"].str.len()
    return sides.explode("sponsor").explode("receiver").reset_index(drop=True)


def _as_events(kept: pd.DataFrame) -> pd.DataFrame:
    ends = (kept[side].str.lower().replace("", "none") for side in ("sponsor", "receiver"))
    answered = kept["response"].isin(GOVERNMENT).map({True: "government", False: "others"})
    listed = "one of " + kept["receivers"].astype(str) + " economies listed as victims"
    parts: dict[str, pd.Series] = {
        "event_id": "cfr-" + kept["incident_id"] + "-" + next(ends) + "-" + next(ends),
        "title": kept["title"],
        "imposer": kept["sponsor"],
        "target": kept["receiver"],
        "disclosed": days(kept["report_date"]),
        "incident_type": kept["incident_type"].map(dict(TYPES)),
        "attribution": answered.where(kept["sponsor"] != "", "none"),
        "source_citation": "Council on Foreign Relations, Cyber Operations Tracker, entry " + kept["incident_id"],
        "note": listed.where(kept["receivers"] > 1, ""),
    }
    return incident_frame(parts, source="cfr")
