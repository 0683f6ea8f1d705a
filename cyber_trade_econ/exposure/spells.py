"""From the dates of an event to the periods in which it is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from cyber_trade_econ.errors import ConfigError, EventError, SchemaError
from cyber_trade_econ.exposure.calendar import MISSING, Frequency, ordinal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_ROLES = ("announced", "adopted", "effective", "onset", "disclosed")
_PRECISIONS = ("day", "month", "year")
_REQUIRED = ("event_id", "imposer", "target", "flow")


class Spell(NamedTuple):
    """The periods, as ordinals, in which one event is in force."""

    date: pd.Timestamp
    first: int
    last: int


def roles_of(on: str | Sequence[str], events: pd.DataFrame) -> tuple[str, ...]:
    """Return the date roles in order of preference, checked against the roles a measure or incident can start with."""
    roles = tuple(on) if isinstance(on, tuple | list) else (on,)
    known = tuple(r for r in START_ROLES if r in events.columns)
    wrong = [r for r in roles if r not in known]
    if wrong or not roles:
        raise ConfigError("the date role(s) to switch exposure on by", found=list(roles), allowed=known)
    return roles


def check(events: pd.DataFrame) -> None:
    """Refuse events whose identity or dates make no sense.

    Raises
    ------
    SchemaError
        If a column that is always needed is absent.
    EventError
        If an id is empty or repeated, no date is known at all, a date lies outside 1950-2100, its precision is not
        coded, or the event is lifted before anything started.
    """
    absent = [c for c in _REQUIRED if c not in events.columns]
    if absent:
        raise SchemaError(f"the events lack the column(s) {absent}", found=list(events.columns))
    ids = events["event_id"]
    if ids.isna().any() or ids.duplicated().any():
        shown = ids[ids.isna() | ids.duplicated()].head(5).tolist()
        raise EventError("event_id must be present and unique", found=f"empty or repeated: {shown}")
    dates = [r for r in (*START_ROLES, "lifted") if r in events.columns]
    for role in dates:
        if not pd.api.types.is_datetime64_any_dtype(events[role]) and events[role].notna().any():
            raise SchemaError(f"the date column {role!r} of the events", found=events[role].dtype, allowed="datetime64")
    for event in events.to_dict("records"):
        _check_dates(event, dates)


def _check_dates(event: Mapping[Any, Any], dates: Sequence[str]) -> None:
    known = {r: pd.Timestamp(event[r]) for r in dates if not pd.isna(event[r])}
    starts = [r for r in known if r != "lifted"]
    if not starts:
        raise EventError(f"event {event['event_id']} has no date", allowed=f"at least one of {', '.join(START_ROLES)}")
    for role, date in known.items():
        if not 1950 <= date.year <= 2100:
            raise EventError(
                f"event {event['event_id']}: {role}", found=f"{date:%Y-%m-%d}", allowed="years 1950 to 2100"
            )
        said = precision(event, role)
        if said not in _PRECISIONS:
            raise EventError(f"event {event['event_id']}: {role}_precision", found=repr(said), allowed=_PRECISIONS)
    if "lifted" in known and all(_end(event, "lifted") < known[r] for r in starts):
        raise EventError(
            f"event {event['event_id']} is lifted before it starts",
            found=f"lifted {known['lifted']:%Y-%m-%d}, " + ", ".join(f"{r} {known[r]:%Y-%m-%d}" for r in starts),
        )


def spell(event: Mapping[Any, Any], roles: Sequence[str], freq: Frequency) -> Spell | str:
    """Return the spell of one checked event, or the reason why it has none.

    The period that contains the date is the first in force. A lifting date is the first day on which the measure no
    longer binds, so the last period in force is the one that contains the day before; where only the month or the
    year of the lifting is known, that whole month or year counts as in force. Without a lifting date the spell never
    ends.
    """
    role = role_of(event, roles)
    if role is None:
        return f"no date of the role {' or '.join(roles)}"
    date = pd.Timestamp(event[role])
    if freq == "month" and precision(event, role) == "year":
        return "dated to the year only, in a monthly panel"
    first, last = ordinal(date, freq), MISSING
    if not pd.isna(event.get("lifted")):
        if freq == "month" and precision(event, "lifted") == "year":
            return "lifting dated to the year only, in a monthly panel"
        if _end(event, "lifted") < date:
            return f"lifted before it was {role}"
        lifted = pd.Timestamp(event["lifted"])
        if precision(event, "lifted") == "day":
            lifted = max(lifted - pd.Timedelta(days=1), date)
        last = max(ordinal(lifted, freq), first)
    return Spell(date, first, last)


def role_of(event: Mapping[Any, Any], roles: Sequence[str]) -> str | None:
    """Return the first of the roles for which an event has a date."""
    return next((r for r in roles if not pd.isna(event[r])), None)


def earliest(event: Mapping[Any, Any]) -> pd.Timestamp:
    """Return the earliest date of a checked event, whatever its role."""
    return min(pd.Timestamp(event[r]) for r in START_ROLES if r in event and not pd.isna(event[r]))


def precision(event: Mapping[Any, Any], role: str) -> str:
    """Return the precision of a date; a frame without the precision column is taken as exact to the day."""
    value = event.get(f"{role}_precision", "day")
    return "" if pd.isna(value) else str(value)


def _end(event: Mapping[Any, Any], role: str) -> pd.Timestamp:
    """Last day a date can mean, given its precision."""
    date = pd.Timestamp(event[role])
    match precision(event, role):
        case "year":
            return date + pd.offsets.YearEnd(0)
        case "month":
            return date + pd.offsets.MonthEnd(0)
        case _:
            return date
