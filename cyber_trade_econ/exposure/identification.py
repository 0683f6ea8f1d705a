"""Which fixed effects would absorb an exposure column, said in words and computed from the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import lsmr

from cyber_trade_econ.errors import BadRegressor, ConfigError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.records.panel import Panel

ABSORBED = 1e-6
"""Share of a column's norm left by the projection below which it counts as absorbed. The projection is run to 1e-10; an
on/off column with variation of its own keeps far more: one row that differs from n others of its level leaves about
1 / sqrt(n)."""
_SOLVER_TOLERANCE = 1e-10
_SOLVER_STEPS = 3000


def identification(panel: Panel, columns: Sequence[str], effects: Sequence[str]) -> tuple[str, ...]:
    """Say for each column which fixed effects would absorb it, and what variation is left if none does.

    Three questions are put to the numbers in turn: is the column constant over the panel; is it constant within every
    level of one of the effects; is its projection on the dummies of all effects together exact (relative residual
    below `ABSORBED`, least squares by LSMR, Fong and Saunders 2011, DOI 10.1137/10079687X). What passes all three is
    identified in a linear model without weights; a Poisson model can lose more to separation.

    Parameters
    ----------
    panel
        The panel, one row per unit and time.
    columns
        Numeric columns without missing values.
    effects
        Effects as in a formula: ``"exporter^year"`` is one level per combination of the two columns.

    Returns
    -------
    One sentence per column, in their order.

    Raises
    ------
    ConfigError
        If a column is not in the panel, or no effect is given.
    SchemaError
        If the panel has no rows.
    BadRegressor
        If a column is not numeric or has missing or infinite values.
    """
    if isinstance(columns, str) or isinstance(effects, str) or not effects:
        raise ConfigError(
            "columns and effects", found=(columns, effects), allowed="two sequences of names, effects not empty"
        )
    needed = [*columns, *(part for effect in effects for part in effect.split("^"))]
    absent = sorted({c for c in needed if c not in panel.frame.columns})
    if absent:
        raise ConfigError(f"column(s) {absent} of panel {panel.name!r}", allowed=list(panel.frame.columns))
    if not len(panel):
        raise SchemaError(
            f"panel {panel.name!r} has no rows", fix="Nothing can be said of identification without them."
        )
    levels = {effect: _levels(panel.frame, effect) for effect in effects}
    dummies = _dummies(list(levels.values()), len(panel))
    said: dict[bytes, str] = {}  # a dummy and its count are often the same numbers: project them once
    sentences = []
    for name in columns:
        x = _numbers(panel.frame, name)
        if x.tobytes() not in said:
            said[x.tobytes()] = _verdict(panel, x, levels, dummies)
        sentences.append(f"{name}: {said[x.tobytes()]}")
    return tuple(sentences)


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    column = frame[name]
    if (
        not pd.api.types.is_numeric_dtype(column)
        or column.isna().any()
        or not np.isfinite(column.to_numpy(dtype=float)).all()
    ):
        raise BadRegressor(
            f"column {name!r}",
            found=f"{column.dtype} with {int(column.isna().sum())} missing",
            allowed="finite numbers",
        )
    return column.to_numpy(dtype=float)


def _levels(frame: pd.DataFrame, effect: str) -> np.ndarray:
    parts = effect.split("^")
    return frame.groupby(parts, sort=False, dropna=False, observed=True).ngroup().to_numpy()


def _dummies(levels: Sequence[np.ndarray], rows: int) -> sparse.csr_matrix:
    """Stack the dummies of all effects, each column scaled to length one so that LSMR converges in few steps."""
    blocks = []
    for level in levels:
        size = np.bincount(level)
        blocks.append(sparse.csr_matrix((1 / np.sqrt(size[level]), (np.arange(rows), level)), shape=(rows, len(size))))
    return sparse.hstack(blocks).tocsr()


def _verdict(panel: Panel, x: np.ndarray, levels: dict[str, np.ndarray], dummies: sparse.csr_matrix) -> str:
    if x.min() == x.max():
        return f"not identified: it is {x[0]:g} in every row."
    for effect, level in levels.items():
        if _constant_within(x, level):
            shared = " and ".join(effect.split("^"))
            return (
                f"absorbed by {effect}: constant within every one of its levels{_lonely(level)}, "
                f"so that rows with the same {shared} never differ in it."
            )
    together = " + ".join(levels)
    centred = x - x.mean()
    fit = lsmr(dummies, centred, atol=_SOLVER_TOLERANCE, btol=_SOLVER_TOLERANCE, maxiter=_SOLVER_STEPS)
    # LSMR's own residual norm drifts on long runs; the one computed here does not.
    share = float(np.linalg.norm(centred - dummies @ fit[0]) / np.linalg.norm(centred))
    if share < ABSORBED:
        note = next((_lonely(level) for level in levels.values() if _lonely(level)), "")
        return f"absorbed by {together} together: they reproduce it exactly (relative residual {share:.0e}){note}."
    if fit[1] == 7:  # the step limit
        return f"undecided given {together}: the projection did not converge (relative residual {share:.0e})."
    unit = pd.factorize(panel.frame[panel.unit])[0]
    spread = pd.Series(x).groupby(unit).agg(["min", "max"])
    switching = int((spread["min"] < spread["max"]).sum())
    return (
        f"identified given {together}: it changes over time in {switching} of {len(spread)} levels of {panel.unit!r} "
        f"and {share**2:.1%} of its variance is left."
    )


def _constant_within(x: np.ndarray, level: np.ndarray) -> bool:
    some = np.empty(level.max() + 1)
    some[level] = x  # the value of one row of each level, whichever it is
    return bool((some[level] == x).all())


def _lonely(level: np.ndarray) -> str:
    """Say so where most levels of an effect hold one row, which it then fits whatever the data are."""
    size = np.bincount(level)
    alone = int((size == 1).sum())
    return f" ({alone} of {len(size)} levels hold a single row)" if alone > len(size) / 2 else ""
