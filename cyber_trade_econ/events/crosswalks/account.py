"""What every crosswalk owes its reader: the columns it needs, and an account of the rows it kept and left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from cyber_trade_econ.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence


def require(frame: pd.DataFrame, needed: Sequence[str], table: str) -> None:
    """Refuse what is no table, and a table that lacks columns.

    Raises
    ------
    SchemaError
        Naming them, and the table to pass.
    """
    if not isinstance(frame, pd.DataFrame):
        raise SchemaError("a crosswalk takes a table", found=type(frame).__name__, fix=f"Pass cte.load({table!r}).")
    absent = [c for c in needed if c not in frame.columns]
    if absent:
        raise SchemaError(
            f"the table lacks the column(s) {absent}", found=list(frame.columns), fix=f"Pass cte.load({table!r})."
        )


def days(column: pd.Series) -> pd.Series:
    """Return a column of dates, on an index of its own, as time stamps; null stays null.

    Raises
    ------
    SchemaError
        If an entry is no date.
    """
    try:
        return pd.to_datetime(column, format="ISO8601").astype("datetime64[ns]")
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"column {column.name!r} holds what is no date", found=str(error).split(". ")[0][:80]
        ) from None


def counted(codes: pd.Series) -> dict[str, int]:
    """Code -> how often it occurs, in alphabetical order."""
    return {str(code): int(n) for code, n in codes.value_counts().sort_index().items()}


def account(frame: pd.DataFrame, reason: pd.Series, incident: pd.Series) -> dict[str, Any]:
    """Return the facts of a crosswalk.

    Parameters
    ----------
    frame
        What came out, by `incident_frame`.
    reason
        One entry per row that went in, after rows of several pairs were taken apart: why it was left out, ``""`` where
        it was kept.
    incident
        Incident of each row that went in, on the index of ``reason``.

    Returns
    -------
    ``given``, ``kept`` and ``left_out`` by reason, in rows; ``incidents`` kept; ``usable`` rows, with an economy on both
    sides and a date; ``dated_to_the_year`` and ``dated_to_the_month``; rows by ``attribution``.
    """
    ends = frame["imposer"].ne("") & frame["target"].ne("")
    precision = frame["onset_precision"].where(frame["onset"].notna(), frame["disclosed_precision"])
    return {
        "given": len(reason),
        "kept": len(frame),
        "left_out": counted(reason[reason != ""]),
        "incidents": int(incident[reason == ""].nunique()),
        "usable": int((ends & (frame["onset"].notna() | frame["disclosed"].notna())).sum()),
        "dated_to_the_year": int((precision == "year").sum()),
        "dated_to_the_month": int((precision == "month").sum()),
        "attribution": counted(frame["attribution"]),
    }
