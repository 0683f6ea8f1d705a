"""Numbers behind the pictures of coded events: one row per mark, cell or economy."""

from __future__ import annotations

import pandas as pd

from cyber_trade_econ.errors import SchemaError

STARTS = ("effective", "adopted", "announced", "onset", "disclosed")
"""Dates by which an event is placed, the first that is known."""

OTHERS = "others"
_NEEDED = ("event_id", "record_type", "imposer", "target", "published_action", "direction", "lifted", *STARTS)


def checked(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events if they have what the pictures need.

    Raises
    ------
    SchemaError
        If a column is absent, or there is no event.
    """
    absent = [c for c in _NEEDED if c not in events.columns]
    if absent or events.empty:
        raise SchemaError(
            "a picture of events needs coded events",
            found=f"{len(events)} rows, without {absent}" if absent else "no row",
            fix="Pass cte.events().",
        )
    return events


def marks(events: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return one mark per event and imposer: ``event_id, row, group, start, end, lifted``.

    ``row`` is the imposer, or `OTHERS` beyond the ``rows`` most frequent; ``group`` the published action, ``incident``,
    or ``eases`` for measures of that ``direction``, whose published action says the reverse of what they do. ``end`` is
    the day of lifting, and null where nothing was lifted.
    """
    given = checked(events)
    incident = given["record_type"] == "incident"
    each = pd.DataFrame(
        {
            "event_id": given["event_id"],
            "imposer": given["imposer"].str.split(";"),
            "group": given["published_action"].mask(incident, "incident").mask(given["direction"] == "eases", "eases"),
            "start": given[list(STARTS)].bfill(axis=1).iloc[:, 0],
            "end": given["lifted"],
        }
    ).explode("imposer")
    each["imposer"] = each["imposer"].replace("", "nobody named")
    order = _frequent(each["imposer"], rows)
    return each.assign(row=each["imposer"].where(each["imposer"].isin(order), OTHERS)).reset_index(drop=True)


def pairs(events: pd.DataFrame, rows: int, columns: int) -> pd.DataFrame:
    """Return the number of events by imposer (index) and target (columns), the most frequent first, `OTHERS` last.

    An event with several imposers or targets counts in each of its cells.
    """
    given = checked(events)
    each = given[["event_id", "imposer", "target"]].assign(
        imposer=given["imposer"].replace("", "nobody named").str.split(";"), target=given["target"].str.split(";")
    )
    each = each.explode("imposer").explode("target")
    for side, n in (("imposer", rows), ("target", columns)):
        order = _frequent(each[side], n)
        each[side] = pd.Categorical(
            each[side].where(each[side].isin(order), OTHERS), categories=[*order, OTHERS], ordered=True
        )
    table = each.pivot_table("event_id", "imposer", "target", aggfunc="nunique", observed=False, fill_value=0)
    return table.loc[table.sum(axis=1) > 0, table.sum() > 0]


def economies(events: pd.DataFrame, side: str) -> pd.Series:
    """Return the number of events by economy on one side, ``imposer`` or ``target``, without EUU, WLD and nobody."""
    named = checked(events)[side].str.split(";").explode()
    return named[~named.isin(["", "WLD", "EUU"])].value_counts().sort_index()


def _frequent(values: pd.Series, n: int) -> list[str]:
    """Return the n most frequent values, equally frequent ones in alphabetical order."""
    counts = values.value_counts()
    ranked = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return [str(value) for value, _ in ranked[:n]]
