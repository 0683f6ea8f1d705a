"""Where several events bear on the same cell, and how close together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from cyber_trade_econ.errors import ConfigError, SchemaError
from cyber_trade_econ.exposure import directions, spells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Expand = Literal["none", "values", "members"]
_MAKING = ("event_id", "date", "inexact", "gap", "close")
_TABLE = ("events", "ids", "first", "last", "median_gap_days", "gaps", "close_gaps", "inexact_dates")
_TAKEN = frozenset((*_MAKING, *_TABLE))
"""Names of the table and of its making, which no column of a cell can have."""


def overlap(
    events: pd.DataFrame,
    *,
    window_days: int = 180,
    by: Sequence[str] = ("imposer", "target", "hs_codes"),
    on: str | Sequence[str] = ("effective", "adopted", "announced", "onset", "disclosed"),
    expand: Expand = "values",
    digits: int | None = None,
) -> pd.DataFrame:
    """List the cells that carry more than one event, with the gaps between them.

    An event window that is longer than the gaps is never clean: what is measured after one event is also what the next
    one does.

    Parameters
    ----------
    events
        As in `cyber_trade_econ.expose`.
    window_days
        Gaps of fewer days are counted as close.
    by
        Columns of text that make up a cell. An event with an empty value in one of them is in no cell and is counted.
    on
        Date role, or several in order of preference: the first that is known counts. A date known to the month or
        year only stands at its first day.
    expand
        ``"none"``: the text of each column as it is. ``"values"``: an event with several values joined by ``;`` is in
        the cell of each. ``"members"``: besides, ``EUU`` stands for the members of the Union on the event's date.
    digits
        Cuts the codes of the column ``hs_codes`` to 2, 4 or 6 digits, so that 851762 is in the cell of heading 8517;
        codes with fewer digits are left as they are, and an event coded by chapter is not in the cells of its headings.
        Not with ``expand="none"``.

    Returns
    -------
    One row per cell with several events, by falling number: the columns ``by``, ``events`` (number), ``ids`` (by date,
    joined by ``;``), ``first`` and ``last`` (dates), ``median_gap_days``, ``gaps`` (number, one less than the events),
    ``close_gaps`` (those below ``window_days``) and ``inexact_dates`` (events not dated to the day).
    ``attrs["facts"]`` counts cells, events without a date of the role and events in no cell.

    Raises
    ------
    EventError, UnknownCode
        If an event breaks the codebook.
    ConfigError, SchemaError
        If an option is outside its list, or a needed column is absent.
    """
    if not isinstance(events, pd.DataFrame):
        raise SchemaError("overlap takes a frame of events", found=type(events).__name__)
    columns = [by] if isinstance(by, str) else list(by)
    _check_columns(columns, events)
    if not isinstance(window_days, int) or window_days < 1:
        raise ConfigError("window_days", found=repr(window_days), allowed="a whole number of days, 1 or more")
    if expand not in get_args(Expand):
        raise ConfigError("expand", found=repr(expand), allowed=get_args(Expand))
    if digits not in (None, 2, 4, 6):
        raise ConfigError("digits of HS codes", found=repr(digits), allowed=("None", 2, 4, 6))
    if digits is not None and expand == "none":
        raise ConfigError(f"digits={digits} with expand='none', which takes lists of codes as they are", allowed="None")
    # A date column that the events lack is unknown throughout; any other name is refused below.
    given = tuple(on) if isinstance(on, tuple | list) else (on,)
    roles = spells.roles_of([r for r in given if r in events.columns or r not in spells.START_ROLES], events)
    spells.check(events)
    rows, undated, nowhere = [], [], []
    for event in events.to_dict("records"):
        role = spells.role_of(event, roles)
        if role is None:
            undated.append(str(event["event_id"]))
            continue
        date = pd.Timestamp(event[role])
        cells = list(_cells(event, columns, expand, digits, date))
        rows += [(*cell, str(event["event_id"]), date, spells.precision(event, role) != "day") for cell in cells]
        nowhere += [] if cells else [str(event["event_id"])]
    found = pd.DataFrame(rows, columns=[*columns, "event_id", "date", "inexact"])
    table = _table(found, columns, window_days)
    cells_held = int(found[columns].drop_duplicates().shape[0])
    table.attrs["facts"] = {
        "events": len(events),
        "cells": cells_held,
        "cells_with_several": len(table),
        "no_date_of_the_role": undated,
        "in_no_cell": nowhere,
        "window_days": window_days,
        "on": list(roles),
    }
    return table


def _check_columns(columns: list[str], events: pd.DataFrame) -> None:
    """Refuse columns that make no cell: absent, named twice, called as one of the table, or not of text."""
    wrong = [c for c in columns if c not in events.columns or columns.count(c) > 1 or c in _TAKEN]
    if wrong or not columns:
        allowed = [c for c in events.columns if c not in _TAKEN]
        raise ConfigError("the columns that make up a cell", found=wrong or "none", allowed=allowed)
    for column in columns:
        odd = [value for value in events[column] if not isinstance(value, str) and not pd.isna(value)]
        if odd:
            raise SchemaError(f"column {column!r} of the events", found=f"values such as {odd[0]!r}", allowed="text")


def _cells(
    event: Mapping[Any, Any], columns: Sequence[str], expand: Expand, digits: int | None, date: pd.Timestamp
) -> Iterator[tuple[str, ...]]:
    """Every cell of an event, once; none where a column is empty."""
    values = []
    for column in columns:
        cell = event[column]
        listed = [cell] if expand == "none" else str(cell).split(";")
        given = [v.strip() for v in listed if isinstance(v, str) and v.strip()] if isinstance(cell, str) else []
        if column in ("imposer", "target") and expand == "members":
            union = [directions.economies({**event, column: v}, column, date.date()) or {v} for v in given]
            given = sorted(set().union(*union))
        if column == "hs_codes" and digits is not None:
            given = [v[:digits] for v in given]
        values.append(list(dict.fromkeys(given)))
    yield from itertools.product(*values)


def _table(found: pd.DataFrame, columns: list[str], window_days: int) -> pd.DataFrame:
    found = found.sort_values([*columns, "date", "event_id"], ignore_index=True).astype({"date": "datetime64[ns]"})
    gap = found["date"].diff().dt.days.where(found.duplicated(columns))
    grouped = found.assign(gap=gap, close=gap < window_days).groupby(columns, sort=False, dropna=False)
    table = grouped.agg(
        events=("event_id", "size"),
        ids=("event_id", ";".join),
        first=("date", "min"),
        last=("date", "max"),
        median_gap_days=("gap", "median"),
        gaps=("gap", "count"),
        close_gaps=("close", "sum"),
        inexact_dates=("inexact", "sum"),
    ).reset_index()
    several = table[table["events"] > 1]
    return several.sort_values(["events", *columns], ascending=[False, *[True] * len(columns)], ignore_index=True)
