"""From the pairs of the EuRepoC database to events in the schema of the coded ones."""

from __future__ import annotations

import pandas as pd

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events.dates import ROLES
from cyber_trade_econ.events.validate import COLUMNS

_NEEDED = (
    *("incident_id", "name", "start_date", "initiator", "initiator_status", "receiver", "receiver_status"),
    *("weighted_intensity", "number_attributions"),
)
_CONSTANT = {
    "record_type": "incident",
    "flow": "both",
    "cyber_ground": "yes",
    "national_action": "incident",
    "published_action": "not_an_action",
    "org_action": "na",
    "scenario": "na",
    "mechanism": "na",
    "supply_chain_position": "na",
    "target_basis": "attributed_attacker_and_victim",
    "source_check": "database",
}


def from_eurepoc(dyads: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of countries of EuRepoC as events.

    Parameters
    ----------
    dyads
        The table ``eurepoc.dyads``: one row per incident and pair, with ``initiator`` and ``receiver`` (ISO3 or null),
        their ``_status``, ``start_date`` (date or null), ``weighted_intensity`` (points 0 to 15) and
        ``number_attributions``.

    Returns
    -------
    Frame with the columns of `events` and ``intensity``; one row per incident, initiating and receiving country, in the
    order given. ``onset`` is the start date; its precision is ``day``, and ``year`` for the first of January, which the
    database often uses for a whole year. ``confidence`` is ``partly`` where the database lists an attribution and
    ``unconfirmed`` where it lists none, and never ``confirmed``, since no primary source was read. ``concern`` is not
    coded there and stays empty; ``cyber_ground`` is ``yes`` throughout.

    Rows without one initiating and one receiving country, with both the same, without a start date, or that repeat a
    pair of their incident (the first most intense one stays) are left out and counted by reason in
    ``frame.attrs["facts"]["left_out"]``.

    Raises
    ------
    SchemaError
        If a column is absent.
    """
    absent = [c for c in _NEEDED if c not in dyads.columns]
    if absent:
        raise SchemaError(
            f"the dyads lack the column(s) {absent}", found=list(dyads.columns), fix="Pass cte.load('eurepoc.dyads')."
        )
    given = dyads.reset_index(drop=True)
    start = pd.to_datetime(given["start_date"]).astype("datetime64[ns]")
    reason = _reasons(given, start)
    kept = given[reason == ""]
    frame = _as_events(kept, start[kept.index]).reset_index(drop=True)
    counts = reason[reason != ""].value_counts().sort_index()
    frame.attrs["facts"] = {
        "given": len(given),
        "kept": len(frame),
        "left_out": {str(why): int(n) for why, n in counts.items()},
        "dated_to_the_year": int((frame["onset_precision"] == "year").sum()),
    }
    return frame


def _reasons(given: pd.DataFrame, start: pd.Series) -> pd.Series:
    """Why a row is left out, the first reason that applies; "" where it stays."""
    reason = pd.Series("", index=given.index, dtype=object)

    def leave_out(rows: pd.Series, why: pd.Series | str) -> None:
        reason[rows & (reason == "")] = why

    for role in ("initiator", "receiver"):
        leave_out(given[role].isna(), f"{role} " + given[f"{role}_status"].astype(str))
    leave_out(given["initiator"] == given["receiver"], "initiator and receiver are the same")
    leave_out(start.isna(), "start date missing")
    ranked = given[reason == ""].sort_values("weighted_intensity", ascending=False, kind="stable")
    again = ranked.index[ranked.duplicated(["incident_id", "initiator", "receiver"])]
    leave_out(pd.Series(given.index.isin(again), index=given.index), "pair repeated within its incident")
    return reason


def _as_events(kept: pd.DataFrame, start: pd.Series) -> pd.DataFrame:
    incident = kept["incident_id"].astype(str)
    ids = "eurepoc-" + incident + "-" + kept["initiator"].str.lower() + "-" + kept["receiver"].str.lower()
    whole_year = (start.dt.month == 1) & (start.dt.day == 1)
    attributed = kept["number_attributions"].fillna(0) > 0
    coded: dict[str, pd.Series] = {
        "event_id": ids,
        "title": kept["name"],
        "imposer": kept["initiator"],
        "target": kept["receiver"],
        "confidence": attributed.map({True: "partly", False: "unconfirmed"}),
        "source_citation": "EuRepoC, European Repository of Cyber Incidents, dyadic dataset, incident " + incident,
    }
    columns: dict[str, pd.Series] = {}
    for name in COLUMNS:
        if name in ROLES:
            known = name == "onset"
            precision = whole_year.map({True: "year", False: "day"}) if known else pd.Series("", index=kept.index)
            columns[name] = start if known else pd.Series(pd.NaT, index=kept.index, dtype="datetime64[ns]")
            columns[f"{name}_precision"] = precision.astype(str)
        else:
            value = coded.get(name, pd.Series(_CONSTANT.get(name, ""), index=kept.index))
            columns[name] = value.astype(str)
    columns["intensity"] = kept["weighted_intensity"]
    return pd.DataFrame(columns)
