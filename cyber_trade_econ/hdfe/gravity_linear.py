"""Least squares on a gravity panel: effects taken out of all columns at once.

The solution is corrected rather than iterated to the end. Conjugate gradients in single precision, which move half the bytes,
find most of the effects; what they left is summed anew from the rows in double precision, and becomes their next right-hand
side. Two rounds reach what double precision can, and the last sums show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import independence
from cyber_trade_econ.hdfe.correction import parts
from cyber_trade_econ.hdfe.late import linalg, sparse
from cyber_trade_econ.hdfe.leastsquares import DOUBTFUL, independent, solve
from cyber_trade_econ.hdfe.linear import LinearFit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyber_trade_econ.hdfe.blocks import Blocks, Sheets
    from cyber_trade_econ.hdfe.factor import Array, Factor

EXACT = 1e-10
"""What effects may leave of themselves in a column, relative to the length of what else is left of it."""

ROUNDING = 1e-13
"""The same relative to the length of the column given: no more can be asked of columns that effects explain completely."""

ROUND = 2e-6
"""What one round of conjugate gradients may leave; single precision has seven digits, and conditioning takes some."""

MOST_ROUNDS = 8

_AT_ONCE = 1 << 15  # rows of which copies are made
_SIDE_BY_SIDE = 64  # rows squared in one loop: a loop over the few columns of each would take three times as long


def fit(
    y: Array, X: Array, factors: Sequence[Factor], w: Array, *, layout: Blocks | Sheets, stretch: Array | float = 1.0
) -> LinearFit[Array]:
    """Regress ``y`` (n,) on ``X`` (n, K) and the effects with weights ``w`` (n,) on a layout.

    Parameters
    ----------
    y, X, factors, w, stretch
        As for `cyber_trade_econ.hdfe.linear.fit`.
    layout
        Layout of the factors, from `cyber_trade_econ.hdfe.blocks`.

    Raises
    ------
    NotConverged
        If effects stay in the columns, or a regressor is doubtful; the general solver then decides.
    """
    net = np.empty((len(y), X.shape[1] + 1))  # row by row in memory, as products with sparse matrices read it
    net[:, :-1], net[:, -1] = X, y
    net, effects, products, before = absorb(net, factors, w, layout)
    lengths = before[:-1] * stretch
    clear = independence.clear(products[:-1, :-1], lengths)
    if not clear:  # what the first time left of the effects is large beside what is left of a collinear regressor
        net, more, products, _ = absorb(net, factors, w, layout)
        effects = [e + m for e, m in zip(effects, more, strict=True)]
    return least_squares(net, effects, w, products, lengths, clear=clear)


def again(factors: Sequence[Factor], w: Array, layout: Blocks | Sheets) -> Callable[[Array], Array]:
    """Return what takes the effects out of one column (n,)."""
    return lambda column: absorb(column[:, None].copy(), factors, w, layout)[0][:, 0]


def least_squares(
    net: Array, effects: Sequence[Array], w: Array, products: Array, lengths: Array, *, clear: bool
) -> LinearFit[Array]:
    """Regress the last column of ``net`` (n, K+1) on the others.

    Parameters
    ----------
    net, effects
        Columns net of effects, and the effects taken out of them, each (levels, K+1).
    products
        Weighted cross products of ``net``, (K+1, K+1).
    lengths
        Lengths of the regressors before, (K,): the yardstick of collinearity.
    clear
        Whether the regressors are independent beyond doubt.
    """
    K = len(lengths)
    keep = np.ones(K, dtype=bool)
    if clear:
        size = np.sqrt(np.diag(products)[:K])
        lower = np.linalg.cholesky(products[:K, :K] / np.outer(size, size))
        root = linalg.solve_triangular(lower.T, np.eye(K)) / size[:, None]
        beta = root @ (root.T @ products[:K, K])
        residual = net @ np.append(-beta, 1.0)
        beta += root @ (root.T @ ((w * residual) @ net)[:K])
        residual = net @ np.append(-beta, 1.0)
    else:
        keep = independent(net[:, :K], w, lengths, DOUBTFUL)
        both = np.append(keep, True)
        net, effects = net[:, both], [e[:, both] for e in effects]
        step = solve(net[:, :-1], net[:, -1], w, refine=2)
        beta, residual, root = step.beta, step.residual, step.root
    return LinearFit(
        beta=beta,
        kept=keep,
        residual=residual,
        root=root,
        within=net[:, :-1],
        effects=tuple(e[:, -1] - e[:, :-1] @ beta for e in effects),
        within_total=float(products[K, K]),
    )


def absorb(
    values: Array, factors: Sequence[Factor], w: Array, layout: Blocks | Sheets
) -> tuple[Array, list[Array], Array, Array]:
    """Take the effects out of ``values`` (n, m), which are overwritten: fresh memory costs more than the arithmetic.

    Returns
    -------
    Columns net of the effects, the effects in the order of the factors, each (levels, m), the weighted cross products of the
    former, (m, m), and the weighted length of each column before, (m,).

    Raises
    ------
    NotConverged
        If effects stay in the columns.
    """
    unit = float(w.mean())  # it must not matter to single precision
    w = w / unit
    plain = bool((w == 1).all())

    def weighted() -> Array:
        return values if plain else values * w[:, None]

    dummies = Dummies(factors, w, layout)
    panel = parts(w, layout)
    solution = np.zeros((dummies.corners, values.shape[1]))
    before = _lengths(values, weighted())
    goal = ROUNDING * before
    near = False  # so near to the solution that what else is left of the columns shows
    for _ in range(MOST_ROUNDS):
        sums = dummies.sums(values)
        left = np.sqrt(np.sum([np.square(part.look(sums)) for part in panel], axis=0))
        if not near and (left <= 1e-4 * before).all():
            near = True
            goal = np.maximum(EXACT * _lengths(values, weighted()), goal)
        if near and (left <= goal).all():
            products = values.T @ weighted()
            return values, _by_level(solution, layout), products * unit, before * np.sqrt(unit)
        share = np.clip(goal / np.maximum(2 * left, 1e-300), ROUND, 1.0)
        step = np.zeros_like(solution)
        for part in panel:
            part.solve(share, step)
        solution += step
        dummies.take_out(step, values)
    raise NotConverged(
        "taking the effects out of the columns did not converge",
        found=f"relative residual {np.max(left / np.maximum(before, 1e-300)):.1e} after {MOST_ROUNDS} rounds",
        fix="The effects are nearly disconnected; drop one of them or its sparsest levels.",
    )


def _lengths(values: Array, weighted: Array) -> Array:
    """Return the weighted length of each column of ``values`` (n, m); ``weighted`` are the same times the weights."""
    n, m = values.shape
    whole = n // _SIDE_BY_SIDE * _SIDE_BY_SIDE
    beside = whole // _SIDE_BY_SIDE, _SIDE_BY_SIDE * m
    squares = np.einsum("ij,ij->j", values[:whole].reshape(beside), weighted[:whole].reshape(beside))
    rest = np.einsum("ij,ij->j", values[whole:], weighted[whole:])
    return np.asarray(np.sqrt(squares.reshape(_SIDE_BY_SIDE, m).sum(axis=0) + rest))


class Dummies:
    """The dummies of all effects by row: one column for each corner of each face, or place on each side.

    Parameters
    ----------
    factors, w, layout
        Effects, weights of the rows (n,), and the layout of the effects.
    """

    def __init__(self, factors: Sequence[Factor], w: Array, layout: Blocks | Sheets) -> None:
        n, faces = len(layout.cells), layout.sizes[1:]
        self.corners = sum(faces)
        columns = np.empty((n, len(faces)), dtype=np.int32 if len(faces) * n + self.corners < 2**31 else np.int64)
        first = 0
        for position, (role, corner, size) in enumerate(zip(layout.roles, layout.corners, faces, strict=True)):
            columns[:, position] = (corner + first).astype(columns.dtype)[factors[role].codes]
            first += size
        self._columns = columns
        ends = np.arange(0, columns.size + 1, len(faces), dtype=columns.dtype)
        data = np.repeat(w, len(faces))
        self._weighted = sparse.csc_array((data, columns.reshape(-1), ends), shape=(first, n))
        self._ends, self._ones = ends[: _AT_ONCE + 1], np.ones(min(_AT_ONCE * len(faces), columns.size))

    def sums(self, values: Array) -> Array:
        """Sum the weighted columns of ``values`` (n, m) by corner, (corners, m)."""
        return np.asarray(self._weighted @ values)

    def take_out(self, effects: Array, values: Array) -> None:
        """Subtract ``effects`` (corners, m) from the columns of ``values`` (n, m)."""
        for at in range(0, len(values), _AT_ONCE):
            columns = self._columns[at : at + _AT_ONCE]
            entries = self._ones[: columns.size], columns.reshape(-1), self._ends[: len(columns) + 1]
            values[at : at + _AT_ONCE] -= sparse.csr_array(entries, shape=(len(columns), self.corners)) @ effects


def _by_level(solution: Array, layout: Blocks | Sheets) -> list[Array]:
    """Return the effects by level, in the order of the caller's factors."""
    out: list[Array] = [np.empty(0)] * len(layout.roles)
    first = 0
    for role, corner, size in zip(layout.roles, layout.corners, layout.sizes[1:], strict=True):
        out[role] = solution[first + corner]
        first += size
    return out
