"""Combinations of regressors and effects that vanish on the positive rows, found without a projection on the effects.

Effects follow from the positive rows by elimination (see `spanning`). What is then left of the regressors is looked at on
some rows, then on all, and then for those regressors alone that cross products leave in doubt: hundreds of regressors that
are mostly zero are never written out for all rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.nullspace import basis, null_space, scaled, sizes
from cyber_trade_econ.hdfe.spanning import Spanning, spanning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyber_trade_econ.hdfe.factor import Array, Codes, Factor, Mask
    from cyber_trade_econ.hdfe.regressors import Regressors

_CERTAIN = 1e-8  # a squared share of a regressor; rounding is below 1e-24 of it
_GROWTH = 1000  # effects found by elimination that are so much larger than the regressors lose as many digits
_AT_ONCE = 32  # given effects followed together, so that memory stays small
_SOME = 20_000  # rows that mostly show that regressors are independent
_STRETCH = 4096  # rows that are worked on at a time
_EACH = 100  # rows on which a regressor that is mostly zero is not, of those


def by_elimination(columns: Regressors, factors: Sequence[Factor], zero: Mask, seed: int) -> Array | None:
    """Return an orthonormal basis, on the zero rows, of the combinations that vanish on the positive rows, (n0, d).

    ``None`` where it cannot be had without a projection.
    """
    known = spanning(factors, ~zero)
    if known is None:
        return None
    moved = known.moved(seed)
    size = columns.sizes()
    effects = known.effects(columns)
    if moved is None or not all((sizes(e) <= _GROWTH * size).all() for e in effects):
        return None
    fixed = ~zero
    fixed[moved] = False
    if _full_rank(
        columns, size, known, effects, np.flatnonzero(fixed)
    ):  # so regressors have no part in any combination
        return _of_effects(known, moved, zero)
    if len(moved) or not factors:
        return None
    net = _doubtful(columns, known, ~zero)
    net = scaled(net, np.ones(net.shape[1]))
    return basis(net[zero] @ null_space(net[~zero]))


def _of_effects(known: Spanning, moved: Codes, zero: Mask) -> Array:
    """Return the basis of the combinations of effects alone: those of the given ones that leave all positive rows at zero."""
    out = np.empty((int(zero.sum()), 0))
    if not len(moved):
        return out
    unit = np.eye(known.free)
    parts = [unit[:, at : at + _AT_ONCE] for at in range(0, known.free, _AT_ONCE)]
    values = np.column_stack([known.sums(known.shifted(part), moved) for part in parts])
    free = zero[moved]
    found = basis(values[free] @ null_space(values[~free] / np.maximum(np.abs(values).max(), 1.0)))
    out = np.zeros((len(out), found.shape[1]))
    out[np.cumsum(zero)[moved[free]] - 1] = found
    return out


def _full_rank(X: Regressors, size: Array, known: Spanning, effects: Sequence[Array], rows: Codes) -> bool:
    """Whether it is certain, far from rounding, that no combination of the regressors is a sum of effects on these rows.

    Some of the rows are enough where they show it. Otherwise all are looked at.
    """
    k = X.shape[1]
    if (size == 0).any() or len(rows) < k:
        return False
    sample = _sample(X, rows)
    for some in (sample, rows) if len(sample) < len(rows) else (rows,):
        products = np.zeros((k, k))
        for _, left in _stretches(X, size, known, effects, some):
            products += left.T @ left
        if k == 0 or np.linalg.eigvalsh(products / len(some))[0] > _CERTAIN:
            return True
    return False


def _stretches(
    X: Regressors, size: Array, known: Spanning, effects: Sequence[Array], rows: Codes
) -> Iterator[tuple[Codes, Array]]:
    """Return what effects leave of the regressors, in units of their sizes, a stretch of rows at a time."""
    for part in (rows[at : at + _STRETCH] for at in range(0, len(rows), _STRETCH)):
        left = X.rows(part) - known.sums(effects, part) if effects else X.rows(part)
        left /= size
        yield part, left


def _doubtful(X: Regressors, known: Spanning, positive: Mask) -> Array:
    """Return what effects and clearly independent regressors leave of the other regressors, (n, those).

    All combinations that vanish on the positive rows are combinations of these columns: on those rows the clearly
    independent ones are orthogonal to them, and have no part in any.
    """
    X = replace(X, full=X.full - X.full.mean(axis=0))  # a level far from zero would cost digits
    size = X.sizes()
    size = np.where(size > 0, size, 1.0)
    effects = known.effects(X)
    rows, n = np.flatnonzero(positive), X.shape[0]
    products = np.zeros((X.shape[1],) * 2)
    for _, left in _stretches(X, size, known, effects, rows):
        products += left.T @ left
    sure = _pivots(products / len(rows))
    out = np.empty((n, int((~sure).sum())))
    onto = np.linalg.solve(products[np.ix_(sure, sure)], products[np.ix_(sure, ~sure)])
    along = np.zeros(onto.shape)
    for part, left in _stretches(X, size, known, effects, np.arange(n)):
        out[part] = left[:, ~sure] - left[:, sure] @ onto
        along += left[:, sure].T @ (out[part] * positive[part, None])
    onto = np.linalg.solve(products[np.ix_(sure, sure)], along)  # what rounding left of them
    for part, left in _stretches(X, size, known, effects, np.arange(n)):
        out[part] -= left[:, sure] @ onto
    return out


def _pivots(products: Array) -> Mask:
    """Mark the columns of which the ones marked before leave enough, going by cross products (k, k)."""
    sure = np.zeros(len(products), dtype=bool)
    left = products.copy()
    for j in range(len(left)):
        sure[j] = left[j, j] > _CERTAIN
        if sure[j]:
            left[j + 1 :, j + 1 :] -= np.outer(left[j + 1 :, j], left[j, j + 1 :]) / left[j, j]
    return sure


def _sample(X: Regressors, rows: Codes) -> Codes:
    """Choose some of the rows, among them some on which each listed regressor is not zero."""
    some = rows[:: max(len(rows) // _SOME, 1)]
    if not X.rare.any():
        return some
    among = np.zeros(X.shape[0], dtype=bool)
    among[rows] = True
    held = np.flatnonzero(among[X.row])
    held = held[np.argsort(X.column[held], kind="stable")]
    count = np.bincount(X.column[held], minlength=int(X.rare.sum()))
    place = np.arange(len(held)) - np.repeat(np.cumsum(count) - count, count)
    every = np.repeat(np.maximum(count // _EACH, 1), count)
    return np.union1d(some, X.row[held[place % every == 0]])
