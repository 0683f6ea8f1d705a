"""Event time: how many periods a row lies after the first treatment of its unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import (
    BadRegressor,
    ConfigError,
    DuplicateKey,
    EmptySample,
    EventError,
    MissingKey,
    NotIdentified,
    SchemaError,
)
from cyber_trade_econ.frames import column
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Codes, Mask

LONGEST = 1200
"""Periods of the longest window: a century of months."""


@dataclass(frozen=True)
class Clock:
    """Event time of every row of a panel.

    Parameters
    ----------
    period
        Time as a count of years or months, shape (n,).
    event_time
        Periods since the unit's first treatment, shape (n,); NaN for units that are never treated.
    time_unit
        ``"year"`` or ``"month"``.
    early
        Rows of units treated in or before their first period: nothing is known of them before treatment, shape (n,).
    """

    period: np.ndarray
    event_time: np.ndarray
    time_unit: str
    early: Mask

    @property
    def treated(self) -> Mask:
        """Rows of units that are treated at some time, shape (n,)."""
        return np.asarray(~np.isnan(self.event_time))


def wind(frame: pd.DataFrame, unit: str, time: str, cohort: str) -> Clock:
    """Compute event time.

    Parameters
    ----------
    frame
        Panel data.
    unit, time, cohort
        Columns: the unit, its time (integer or first day of the month), and the period of its first treatment (missing, or
        for integers 0, for units that are never treated).

    Raises
    ------
    SchemaError
        If time or cohort are neither whole numbers nor dates, or of different kinds.
    EventError
        If the cohort changes within a unit.
    MissingKey, DuplicateKey
        If a unit or time is missing, or a unit has two rows of one period: of one month, if time is a date.
    BadRegressor, EmptySample
        If units cannot be told apart, or there is no row.
    NotIdentified
        If no unit is treated within the panel, or none is left to compare with.
    """
    for name, role in ((unit, "the unit"), (time, "the time"), (cohort, "the cohort")):
        column(frame, name, role)
    if not len(frame):
        raise EmptySample("an event study needs rows", found="none", fix="Check the filters.")
    units, (period, time_unit) = _one_row_each(frame, unit, time)
    start_values = column(frame, cohort, "the cohort")
    unknown = bool(start_values.isna().all())  # of any type: nothing is treated
    if not unknown and pd.api.types.is_datetime64_any_dtype(start_values.dtype) != (time_unit == "month"):
        raise SchemaError(f"cohort {cohort!r} and time {time!r} are of different kinds", found=f"{start_values.dtype}")
    start = np.full(len(frame), np.nan) if unknown else _count(start_values, cohort)[0]
    if time_unit == "year":
        start = np.where(start == 0, np.nan, start)
    by_unit = pd.DataFrame({"unit": units, "start": start}).drop_duplicates()
    if by_unit["unit"].duplicated().any():
        raise EventError(
            f"the cohort {cohort!r} changes within a unit",
            found=f"{int(by_unit['unit'].duplicated().sum())} unit(s)",
            fix="A cohort is the period of the first treatment, the same in every row of the unit.",
        )
    first = pd.Series(period).groupby(units).transform("min").to_numpy()
    event_time = period - start
    early = np.asarray(start <= first)
    inside = ~np.isnan(event_time) & ~early & (start <= period.max())
    if not inside.any():
        raise NotIdentified(
            "no unit is first treated within the panel",
            found=f"{len(np.unique(units))} units, {int(early.sum())} rows of units treated from their first period on",
            fix="Check the cohort column and the years of the panel.",
        )
    late = start > period.max()
    return Clock(period, np.where(late, np.nan, event_time), time_unit, early)


def _one_row_each(frame: pd.DataFrame, unit: str, time: str) -> tuple[Codes, tuple[np.ndarray, str]]:
    """Return the number of each row's unit and its period; refuse two rows of one unit and period."""
    missing = column(frame, unit, "the unit").isna() | column(frame, time, "the time").isna()
    if missing.any():
        raise MissingKey(
            f"unit {unit!r} or time {time!r} is missing", found=f"{int(missing.sum())} row(s)", fix="Remove these rows."
        )
    period, time_unit = _count(frame[time], time)
    try:
        units = pd.factorize(frame[unit])[0].astype(np.int64)
    except TypeError as error:
        raise BadRegressor(
            f"the unit {unit!r} holds values that cannot be told apart",
            found=str(error),
            fix="Make them text or numbers.",
        ) from None
    twice = pd.DataFrame({"unit": units, "period": period}).duplicated().to_numpy()
    if twice.any():
        shown = frame.loc[twice, list(dict.fromkeys([unit, time]))].head(3).to_dict("records")
        raise DuplicateKey(
            f"more than one row per {unit!r} and {time!r} ({time_unit})",
            found=f"{int(twice.sum())} row(s) too many, e.g. {shown}",
            fix="Aggregate, or name a unit that tells them apart.",
        )
    return units, (period, time_unit)


def _count(series: pd.Series, name: str) -> tuple[np.ndarray, str]:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        months = series.dt.year * 12 + series.dt.month
        return months.to_numpy(dtype=float, na_value=np.nan), "month"
    kinds = (pd.api.types.is_bool_dtype, pd.api.types.is_complex_dtype)
    if not pd.api.types.is_numeric_dtype(series.dtype) or any(is_kind(series.dtype) for is_kind in kinds):
        raise SchemaError(
            f"the time {name!r} is neither a number nor a date",
            found=f"type {series.dtype}",
            fix="Use whole years, or dates: pandas.to_datetime makes them from text.",
        )
    values = series.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise SchemaError(
            f"the time {name!r} is infinite",
            found=f"{int(np.isinf(values).sum())} row(s)",
            fix="The cohort of a unit that is never treated is missing.",
        )
    if (values[~np.isnan(values)] % 1 != 0).any():
        raise SchemaError(
            f"the time {name!r} has fractions", fix="Use whole years, or dates at the first of the month."
        )
    return values, "year"


def check_window(leads: int, lags: int, ref: int) -> None:
    """Refuse windows without a reference period inside."""
    if not (whole(leads, 2) and whole(lags, 0)):
        raise ConfigError(
            "the event window",
            found=f"leads={leads!r}, lags={lags!r}",
            allowed=f"whole numbers: leads >= 2 and lags >= 0, up to {LONGEST}",
        )
    if not whole(ref, -leads) or ref >= 0:
        raise ConfigError("the reference period", found=repr(ref), allowed=f"a whole number from {-leads} to -1")


def whole(number: object, least: int) -> bool:
    """Whether something is a whole number of periods from ``least`` to `LONGEST`."""
    return isinstance(number, int | np.integer) and not isinstance(number, bool) and least <= int(number) <= LONGEST


def events_of(data: pd.DataFrame | Panel, cohort: str, used: Mask) -> tuple[str, ...]:
    """Ids of the events behind the cohorts of the rows ``used``.

    They stand in the column that `cyber_trade_econ.expose` makes beside the cohort, ``{prefix}_first``; a panel without it
    names all events of its cohort column, a data frame none.
    """
    if not isinstance(data, Panel):
        return ()
    column = cohort.removesuffix("_cohort") + "_first"
    if not cohort.endswith("_cohort") or column not in data.frame.columns:
        return tuple(data.events.get(cohort, ()))
    joined = data.frame.loc[used, column].drop_duplicates()
    found = {event for text in joined for event in str(text).split(";")}
    return tuple(i for i in data.events.get(column, ()) if i in found)


def term(event_time: int) -> str:
    """Name of the coefficient of one event time."""
    return f"event_time::{event_time}"
