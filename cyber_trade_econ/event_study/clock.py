"""Event time: how many periods a row lies after the first treatment of its unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.design import column
from cyber_trade_econ.errors import ConfigError, DuplicateKey, EventError, MissingKey, NotIdentified, SchemaError

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Mask
from cyber_trade_econ.records.panel import Panel


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
        If time and cohort are of different kinds.
    EventError
        If the cohort changes within a unit.
    MissingKey, DuplicateKey
        If a unit or time is missing, or a unit has two rows of one time.
    NotIdentified
        If no unit is treated within the panel, or none is left to compare with.
    """
    _one_row_each(frame, unit, time)
    units = pd.factorize(frame[unit])[0]
    period, time_unit = _count(frame[time], time)
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


def _one_row_each(frame: pd.DataFrame, unit: str, time: str) -> None:
    missing = column(frame, unit, "the unit").isna() | column(frame, time, "the time").isna()
    if missing.any():
        raise MissingKey(
            f"unit {unit!r} or time {time!r} is missing", found=f"{int(missing.sum())} row(s)", fix="Remove these rows."
        )
    twice = frame.duplicated([unit, time])
    if twice.any():
        raise DuplicateKey(
            f"more than one row per {unit!r} and {time!r}",
            found=f"{int(twice.sum())} row(s) too many, e.g. {frame.loc[twice, [unit, time]].head(3).to_dict('records')}",
            fix="Aggregate, or name a unit that tells them apart.",
        )


def _count(series: pd.Series, name: str) -> tuple[np.ndarray, str]:
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        months = series.dt.year * 12 + series.dt.month
        return months.to_numpy(dtype=float, na_value=np.nan), "month"
    if not pd.api.types.is_numeric_dtype(series.dtype):
        raise SchemaError(f"the time {name!r} is neither a number nor a date", found=str(series.dtype))
    values = series.to_numpy(dtype=float, na_value=np.nan)
    if (values[~np.isnan(values)] % 1 != 0).any():
        raise SchemaError(
            f"the time {name!r} has fractions", fix="Use whole years, or dates at the first of the month."
        )
    return values, "year"


def check_window(leads: int, lags: int, ref: int) -> None:
    """Refuse windows without a reference period inside."""
    if not (isinstance(leads, int) and isinstance(lags, int) and leads >= 2 and lags >= 0):
        raise ConfigError("the event window", found=f"leads={leads}, lags={lags}", allowed="leads >= 2 and lags >= 0")
    if not (isinstance(ref, int) and -leads <= ref < 0):
        raise ConfigError("the reference period", found=ref, allowed=f"a whole number from {-leads} to -1")


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
