"""Periods as whole numbers, so that yearly and monthly panels are counted alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import SchemaError

if TYPE_CHECKING:
    from cyber_trade_econ.records.panel import Panel

Frequency = Literal["year", "month"]

MISSING = np.iinfo(np.int64).max
"""Ordinal of a period that never comes; larger than any other, so that a minimum ignores it."""


def frequency(panel: Panel) -> Frequency:
    """Tell a yearly panel (integer time) from a monthly one (first day of the month).

    Raises
    ------
    SchemaError
        If the time column is neither, or a month is not dated on its first day.
    """
    time = panel.frame[panel.time]
    if pd.api.types.is_integer_dtype(time):
        return "year"
    if not pd.api.types.is_datetime64_dtype(time):
        raise SchemaError(
            f"the time column {panel.time!r} of panel {panel.name!r}",
            found=f"values of type {time.dtype}",
            allowed=("an integer year", "datetime64 first of month"),
        )
    late = (time.dt.day != 1) | (time != time.dt.normalize())
    if late.any():
        raise SchemaError(
            f"the time column {panel.time!r} of panel {panel.name!r}",
            found=f"{int(late.sum())} date(s) that are not the first of a month, e.g. {time[late].iloc[0]}",
            fix="Use frame[time].dt.to_period('M').dt.to_timestamp().",
        )
    return "month"


def ordinals(time: pd.Series, freq: Frequency) -> np.ndarray:
    """Return the numbers of the periods of a time column, shape (n,): the year, or 12 * year + month - 1."""
    if freq == "year":
        return time.to_numpy(dtype=np.int64)
    number = 12 * time.dt.year.astype("int64") + time.dt.month.astype("int64") - 1
    return np.asarray(number, dtype=np.int64)


def ordinal(date: pd.Timestamp, freq: Frequency) -> int:
    """Return the number of the period that contains a date."""
    return int(date.year) if freq == "year" else 12 * int(date.year) + int(date.month) - 1


def as_time(periods: np.ndarray, freq: Frequency) -> pd.Series:
    """Turn ordinals back into a nullable time column: ``Int64`` years or ``datetime64`` months; `MISSING` becomes null."""
    gone = periods == MISSING
    if freq == "year":
        return pd.Series(np.where(gone, 0, periods)).astype("Int64").mask(gone)
    known = np.where(gone, 12 * 1970, periods)
    months = (known - 12 * 1970).astype("datetime64[M]").astype("datetime64[ns]")
    months[gone] = np.datetime64("NaT")
    return pd.Series(months)
