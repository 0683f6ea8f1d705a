"""The one place where tables are joined, so that no row is lost, doubled or matched on nothing without being noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyber_trade_econ.errors import ConfigError, DuplicateKey, MissingKey, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_SHOWN = 5
# Sums over the same numbers in another order differ by rounding alone, which grows with their count; 1e-9 is far
# above that.
_RELATIVE = 1e-9


def join_covariates(
    left: pd.DataFrame,
    right: pd.DataFrame,
    *,
    on: Sequence[str],
    unmatched: Literal["error", "count"] = "error",
    unchanged: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Add the columns of ``right`` to every row of ``left`` (many to one).

    Parameters
    ----------
    left
        Rows to keep, in their order.
    right
        One row per key.
    on
        Key columns, present on both sides.
    unmatched
        ``"error"``: a row of ``left`` without a partner is an error; ``"count"``: its new columns are missing, and
        the keys are counted and named in the facts.
    unchanged
        Columns of ``left`` whose totals are compared before and after.

    Returns
    -------
    The joined frame with a fresh index and as many rows as ``left``; and facts: ``unmatched_rows``, ``unmatched_keys``.

    Raises
    ------
    ConfigError, SchemaError
        If an option is unknown, a key or value column is absent, or a column would be overwritten.
    MissingKey
        If a key is null on either side, or a row has no partner.
    DuplicateKey
        If ``right`` has a key more than once.
    """
    key = list(on)
    _check_columns(left, right, key, unchanged)
    if unmatched not in ("error", "count"):
        raise ConfigError("what to do with unmatched rows", found=repr(unmatched), allowed=("error", "count"))
    for side, frame in (("left", left), ("right", right)):
        nulls = frame[key].isna().any(axis=1)
        if nulls.any():
            raise MissingKey(
                f"the {side} table of a join has null keys in {key}",
                found=f"{int(nulls.sum())} row(s), the first at position {int(nulls.to_numpy().argmax())}",
                fix="Leave these rows out before the join, and count them.",
            )
    twice = right.duplicated(key, keep=False)
    if twice.any():
        shown = right.loc[twice, key].drop_duplicates()
        raise DuplicateKey(
            f"the right table of a join has more than one row per {key}",
            found=f"{len(shown)} key(s), e.g. {shown.head(_SHOWN).to_dict('records')}",
            fix="Choose one row per key before the join.",
        )
    joined = left.merge(right, on=key, how="left", validate="m:1", indicator="_side")
    alone = joined.pop("_side").eq("left_only")
    lost = joined.loc[alone, key].drop_duplicates().sort_values(key)
    if len(lost) and unmatched == "error":
        raise MissingKey(
            f"{int(alone.sum())} row(s) found no partner on {key}",
            found=f"{len(lost)} key(s), e.g. {lost.head(_SHOWN).to_dict('records')}",
            fix='Complete the right table, or join with unmatched="count".',
        )
    _check_totals(left, joined, unchanged)
    names = ["-".join(map(str, row)) for row in lost.itertuples(index=False)]
    return joined, {"unmatched_rows": int(alone.sum()), "unmatched_keys": names}


def _check_columns(left: pd.DataFrame, right: pd.DataFrame, key: list[str], unchanged: Sequence[str]) -> None:
    for side, frame, needed in (("left", left, [*key, *unchanged]), ("right", right, key)):
        absent = [c for c in needed if c not in frame.columns]
        if absent or not key:
            raise SchemaError(f"the {side} table of a join lacks the column(s) {absent}", found=list(frame.columns))
    both = [c for c in right.columns if c in left.columns and c not in key]
    if both:
        raise SchemaError(f"column(s) {both} are on both sides of a join", fix="Rename or leave out one of them.")


def _check_totals(before: pd.DataFrame, after: pd.DataFrame, columns: Sequence[str]) -> None:
    if len(before) != len(after):
        raise DuplicateKey("a join changed the number of rows", found=f"{len(before)} before, {len(after)} after")
    for column in columns:
        was, now = float(before[column].sum()), float(after[column].sum())
        if not np.isclose(was, now, rtol=_RELATIVE, atol=0):
            raise SchemaError(f"a join changed the total of {column!r}", found=f"{was!r} before, {now!r} after")
