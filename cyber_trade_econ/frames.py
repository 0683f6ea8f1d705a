"""Columns of a data frame, or what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import BadOutcome, BadRegressor, FormulaError

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array


def column(frame: pd.DataFrame, name: str, role: str) -> pd.Series:
    """Return a column, or explain which one is missing."""
    if not isinstance(name, str):
        raise FormulaError(f"{role} must be named by text", found=type(name).__name__, fix="Pass the name of a column.")
    if name not in frame.columns:
        from difflib import get_close_matches  # what is needed for a refusal alone, no fit waits for

        near = get_close_matches(name, map(str, frame.columns), n=3)
        raise FormulaError(
            f"{role} {name!r} is not a column of the data",
            allowed=list(frame.columns) if len(frame.columns) <= 30 else f"{len(frame.columns)} columns",
            fix=f"Did you mean {' or '.join(map(repr, near))}?" if near else "Check the spelling.",
        )
    return frame[name]


def numeric(frame: pd.DataFrame, name: str, role: str) -> Array:
    """Return a column as floating-point numbers, missing values as NaN; text and dates are refused.

    The array may be the column itself and is not to be written to.
    """
    series = column(frame, name, role)
    if pd.api.types.is_bool_dtype(series.dtype) and role != "the outcome":
        return series.to_numpy(dtype=float, na_value=np.nan)
    kind = series.dtype
    if (
        not pd.api.types.is_numeric_dtype(kind)
        or pd.api.types.is_bool_dtype(kind)
        or pd.api.types.is_complex_dtype(kind)
    ):
        error = BadOutcome if role == "the outcome" else BadRegressor
        raise error(
            f"{role} {name!r} must be numeric",
            found=f"type {series.dtype}",
            fix="Convert it, or write i(" + name + ") for one indicator per category."
            if role != "the outcome"
            else "Convert it.",
        )
    values = series.to_numpy(dtype=float, na_value=np.nan) if series.dtype != np.float64 else series.to_numpy()
    if not np.isfinite(values).all() and np.isinf(values).any():
        error = BadOutcome if role == "the outcome" else BadRegressor
        raise error(
            f"{role} {name!r} has infinite values",
            found=f"{int(np.isinf(values).sum())} row(s), first at position {int(np.isinf(values).argmax())}",
            fix="Find where they come from (a division by zero, a logarithm of zero) and decide what these rows are.",
        )
    return values


def check_frame(frame: object) -> None:
    """Refuse what is not a data frame whose columns have a name each."""
    if not isinstance(frame, pd.DataFrame):
        raise FormulaError("data must be a pandas DataFrame or a Panel", found=type(frame).__name__)
    if frame.columns.nlevels > 1:
        raise FormulaError(
            "the columns of the data are named on several levels",
            found=f"{frame.columns.nlevels} levels, e.g. {list(frame.columns[:3])}",
            fix="Give each column one name: data.columns = ['_'.join(map(str, c)) for c in data.columns].",
        )
    if frame.columns.has_duplicates:
        raise FormulaError(
            "two columns of the data share a name", found=list(frame.columns[frame.columns.duplicated()])
        )
