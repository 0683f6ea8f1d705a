"""From the events of the CISSM database to the schema of the coded events."""

from __future__ import annotations

import pandas as pd

from cyber_trade_econ.events.crosswalks.account import account, counted, days, require
from cyber_trade_econ.events.incidents import incident_frame

_NEEDED = (
    *("event_id", "event_date", "reported_date", "initiator", "initiator_status", "receiver", "receiver_status"),
    *("actor", "actor_type", "organization", "motive", "event_type", "event_subtype", "description"),
)
_STATE = "Nation-State"


def from_cissm(table: pd.DataFrame) -> pd.DataFrame:
    """Return the events of the CISSM database in the common schema, one row per event, which has one victim.

    Parameters
    ----------
    table
        The table ``cissm.events``.

    Returns
    -------
    Frame of `incident_frame`, in the order given. ``imposer`` is the country of the actor and ``target`` that of the
    victim, each ``""`` where it is undetermined. An attack on many organisations is as many rows: WannaCry alone is 60.

    ``onset`` is ``event_date`` to the day: the day of the event where it is known, and else of the report. Of 336 rows
    with a source whose address holds a day, 31 per cent have an earlier date (by two days or more), 2 per cent a later
    one, and two in three that day or a neighbouring one, which may be either. ``disclosed`` is ``reported_date``, which
    exports before 2025 lack. A report before the event, which cannot be, loses the day of the report.

    ``incident_type``: events that exploit, and mixed ones, are ``espionage`` (information taken or watched); denial of
    service is ``disruption``, manipulated messages are ``influence``, a physical attack is ``destruction``, and an attack
    on data is ``ransomware`` if the motive is financial or the description speaks of ransom, else ``destruction``. What is
    disruptive in no known way is ``disruption``. Thefts of money have no mark and are not told apart.

    ``attribution`` is ``others`` for a state's actor with a country, ``origin_only`` for any other actor with one, and
    ``none`` without a country; the database repeats what its source says and does not record who attributes. No intensity
    is published.

    Events whose two countries are the same are left out and counted in ``frame.attrs["facts"]["left_out"]``.

    Raises
    ------
    SchemaError
        If a column is absent.
    """
    require(table, _NEEDED, "cissm.events")
    given = table.reset_index(drop=True)
    reason = pd.Series("", index=given.index, dtype=object)
    reason[given["initiator"].notna() & (given["initiator"] == given["receiver"])] = (
        "initiator and receiver are the same"
    )
    kept = given[reason == ""]
    onset, reported = days(kept["event_date"]), days(kept["reported_date"])
    frame = _as_events(kept, onset, reported.where(~(reported < onset)))
    frame.attrs["facts"] = account(frame, reason, given["event_id"]) | {
        "report_before_event": int((reported < onset).sum()),
        "initiator": counted(kept["initiator_status"]),
        "receiver": counted(kept["receiver_status"]),
    }
    return frame


def _as_events(kept: pd.DataFrame, onset: pd.Series, disclosed: pd.Series) -> pd.DataFrame:
    imposer, target = kept["initiator"].fillna(""), kept["receiver"].fillna("")
    ends = (side.str.lower().replace("", "none") for side in (imposer, target))
    by_state = kept["actor_type"].eq(_STATE).map({True: "others", False: "origin_only"})
    parts: dict[str, pd.Series] = {
        "event_id": "cissm-" + kept["event_id"].str.lower() + "-" + next(ends) + "-" + next(ends),
        "title": kept["actor"] + " against " + kept["organization"],
        "imposer": imposer,
        "target": target,
        "onset": onset,
        "disclosed": disclosed,
        "incident_type": _types(kept),
        "attribution": by_state.where(imposer != "", "none"),
        "source_citation": "University of Maryland, CISSM Cyber Events Database, event " + kept["event_id"],
        "note": "actor as published: " + kept["actor"] + " (" + kept["actor_type"] + ")",
    }
    return incident_frame(parts, source="cissm")


def _types(kept: pd.DataFrame) -> pd.Series:
    ways = kept["event_subtype"].str.casefold()
    on_data = ways.str.contains("data attack", regex=False)
    financial = kept["motive"].str.contains("financial", case=False, regex=False)
    ransom = financial | kept["description"].str.contains("ransom", case=False, regex=False)
    denial = ways.str.contains("denial of service", regex=False)
    message = ways.str.contains("message manipulation", regex=False)
    physical = ways.str.contains("physical attack", regex=False)
    known = on_data | denial | message | physical
    marks = pd.DataFrame(
        {
            "espionage": kept["event_type"].isin(["exploitive", "mixed"]),
            "disruption": denial | (kept["event_type"].eq("disruptive") & ~known),
            "influence": message,
            "destruction": physical | (on_data & ~ransom),
            "ransomware": on_data & ransom,
        },
        index=kept.index,
    )
    return pd.Series(
        [";".join(marks.columns[row]) or "unknown" for row in marks.to_numpy(dtype=bool)],
        index=kept.index,
        dtype=object,
    )
