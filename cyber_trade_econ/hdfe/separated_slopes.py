"""Separated observations of a Poisson model with varying slopes.

The definition is that of `separation`: a row with outcome zero is separated when some combination of regressors, effects and
slopes vanishes on all rows with a positive outcome, is nowhere negative on the others, and positive on that row. Two kinds of
combinations vanish on the positive rows. The slope of a level that trades at one value of its variable is free by itself:
there may be thousands of these, each with a few rows. All other combinations are few, mostly none, and are found by taking
from random effects, and from the regressors, what the positive rows explain. A linear programme looks at both kinds together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Mask, Slope, chosen
from cyber_trade_econ.hdfe.late import linalg, optimize, sparse
from cyber_trade_econ.hdfe.leastsquares import COLLINEAR
from cyber_trade_econ.hdfe.prune import fixed_at, prune

if TYPE_CHECKING:
    from collections.abc import Sequence

_ZERO = 1e-7  # entries of a combination below this, where the largest is one, count as zero
_ATTEMPTS = [(m, p) for p in (True, False) for m in ("highs", "highs-ipm", "highs-ds")]  # bad scales can trip one up
_FIRST, _MOST = 4, 64  # random effects looked at together


def separated(y: Array, X: Array, effects: Sequence[Effect], seed: int = 0) -> Mask:
    """Mark the separated rows.

    Parameters
    ----------
    y, X, effects
        Outcome (n,), regressors (n, k), fixed effects and varying slopes.

    Raises
    ------
    NotConverged
        If what the positive rows explain cannot be told exactly enough, or if the linear programme fails.
    """
    keep = prune(effects, y, singletons=False).keep
    out = ~keep
    if not keep.all():
        rows = np.flatnonzero(keep)
        y, X, effects = y[rows], X[rows], [chosen(e, rows) for e in effects]
    zero = y == 0
    if not zero.any():
        return out
    at, few = _few(X, effects, zero, np.random.default_rng(seed))
    if few.shape[1]:  # without them each free slope stands alone, and `prune` has left none that separates
        bad = np.zeros(len(y), dtype=bool)
        bad[zero] = _programme(few, np.cumsum(zero)[at] - 1, _free(effects, zero))
        out[keep] = bad
    return out


def _free(effects: Sequence[Effect], zero: Mask) -> sparse.csr_array:
    """Return the combinations, on the zero rows, of single slopes that no positive row determines, (n0, levels)."""
    blocks = [sparse.csr_array((int(zero.sum()), 0))]
    for effect in effects:
        if isinstance(effect, Slope):
            value, fixed = fixed_at(effect, ~zero)
            codes, unit = effect.codes[zero], effect.origin_and_unit()[1]
            away = np.where(fixed[codes], (effect.variable[zero] - value[codes]) / unit[codes], 0.0)
            rows = np.flatnonzero(away)
            blocks.append(sparse.csr_array((away[rows], (rows, codes[rows])), shape=(len(codes), effect.levels)))
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))


def _few(X: Array, effects: Sequence[Effect], zero: Mask, rng: np.random.Generator) -> tuple[Codes, Array]:
    """Return the zero rows that some other combination touches, (m,), and on them a basis of all others, (m, d)."""
    whole = Layout(effects).weighted(np.ones(len(zero)))
    size = np.abs(X).max(axis=0, initial=0.0)
    net, _ = whole.absorb(X)
    left = np.abs(net).max(axis=0, initial=0.0)
    net = np.where(left > COLLINEAR * size, net / np.where(left > 0, left, 1.0), 0.0)
    positive = _Positive(effects, zero)
    rest = net - positive.explained(net)
    first = rest @ _null(rest[~zero])
    draw = positive.unexplained(rng, _FIRST)
    # What random effects leave at zero, every sum of effects leaves there.
    touched = np.flatnonzero(zero & ((np.abs(draw) > _ZERO).any(axis=1) | (np.abs(first) > _ZERO).any(axis=1)))
    found, draws = _basis(first[touched]), _FIRST
    while True:
        more = _basis(np.column_stack([found, draw[touched]]))
        if more.shape[1] - found.shape[1] < draws:  # a draw that adds nothing ends the search
            return touched, more
        found, draws = more, min(2 * draws, _MOST)
        draw = positive.unexplained(rng, draws)


class _Positive:
    """Effects fitted on the positive rows, and their sums on all rows."""

    def __init__(self, effects: Sequence[Effect], zero: Mask) -> None:
        self._rows = np.flatnonzero(~zero)
        seen = [chosen(e, self._rows) for e in effects]
        self._projector = Layout(seen).weighted(np.ones(len(self._rows)))
        self._codes = [e.codes for e in effects]
        self._levels = [e.levels for e in effects]
        self._along = [_along(e, s) for e, s in zip(effects, seen, strict=True)]
        self._moves = [e.moves[:, None] if isinstance(e, Slope) else None for e in seen]

    def unexplained(self, rng: np.random.Generator, draws: int) -> Array:
        """Return what the positive rows leave of sums of random effects, (n, draws): zero there, and as a rule elsewhere.

        Slopes that no positive row determines are zero in these sums.
        """
        made = [rng.standard_normal((levels, draws)) for levels in self._levels]
        values = self._sums([d if m is None else d * m for d, m in zip(made, self._moves, strict=True)])
        rest = values
        for _ in range(2):  # a second look takes out what the first one was off
            rest = rest - self.explained(rest)
            error = np.abs(rest[self._rows]).max()
            if error <= _ZERO * max(1.0, np.abs(rest).max()):
                return rest
        raise NotConverged(
            "whether the zeros of this sample are separated cannot be told",
            found=f"effects fitted to the positive rows alone are off by {error:.1e}",
            fix="The effects and slopes hardly follow from the positive rows; use fewer or coarser ones.",
        )

    def explained(self, values: Array) -> Array:
        """Return, on all rows, what effects explain of ``values`` (n, k) when fitted on the positive rows."""
        return self._sums(self._projector.effects(values[self._rows]))

    def _sums(self, effects: Sequence[Array]) -> Array:
        total = np.zeros((len(self._codes[0]), effects[0].shape[1]))
        for effect, codes, along in zip(effects, self._codes, self._along, strict=True):
            total += effect[codes] if along is None else effect[codes] * along[:, None]
        return total


def _along(effect: Effect, seen: Effect) -> Array | None:
    """Return the variable of a slope on all rows in the units that it has on those seen, (n,)."""
    if isinstance(effect, Slope) and isinstance(seen, Slope):
        origin, unit = seen.origin_and_unit()
        return np.asarray((effect.variable - origin[effect.codes]) / unit[effect.codes])
    return None


def _null(rest: Array) -> Array:
    """Return the directions in which what is left of regressors of size one vanishes, (k, d)."""
    k = rest.shape[1]
    if k == 0:
        return np.empty((0, 0))
    _, values, vt = np.linalg.svd(np.linalg.qr(np.vstack([rest, np.zeros((k, k))]), mode="r"))
    return np.asarray(vt[values <= _ZERO * np.sqrt(len(rest))].T)


def _basis(z: Array) -> Array:
    """Return an orthonormal basis of the columns of ``z``, those that are zero up to rounding left out."""
    z = z[:, np.abs(z).max(axis=0, initial=0.0) > _ZERO]
    if z.shape[1] == 0:
        return z
    u, values, _ = np.linalg.svd(z / np.linalg.norm(z, axis=0), full_matrices=False)
    return np.asarray(u[:, values > _ZERO * values[0]])


def _local(few: Array) -> Array:
    """Return the basis of the same space that is one on one row each and zero on those of the others.

    Combinations that touch different rows come apart in it, which leaves a linear programme little to do.
    """
    picked = linalg.qr(few.T, mode="r", pivoting=True)[-1][: few.shape[1]]
    apart = np.linalg.solve(few[picked].T, few.T).T
    return np.asarray(np.where(np.abs(apart) > _ZERO, apart, 0.0))


def _beyond(few: Array, part: sparse.csr_array, free: sparse.csr_array) -> Array:
    """Return a basis of what ``few`` (m, d) hold beyond the free slopes all of whose rows are among theirs.

    A free slope would otherwise stand in the programme twice, and the rounding between its two copies, scaled up, would pass
    for a combination.
    """
    whole = np.flatnonzero(np.isclose(_squares(part), _squares(free), rtol=1e-12, atol=0.0))
    inside = part.tocsc()[:, whole] @ sparse.diags_array(1 / np.sqrt(np.maximum(_squares(free)[whole], 1e-300)))
    rest = few.copy()
    for column in rest.T:
        column -= inside @ sparse.linalg.lsqr(inside, column, atol=1e-14, btol=1e-14)[0]
    u, values, _ = np.linalg.svd(rest, full_matrices=False)
    return np.asarray(u[:, values > _ZERO])  # the columns given have length one


def _squares(matrix: sparse.csr_array) -> Array:
    return np.asarray(matrix.multiply(matrix).sum(axis=0)).reshape(-1)


def _programme(few: Array, rows: Codes, free: sparse.csr_array) -> Mask:
    """Maximise the sum of min(z, 1) over combinations z >= 0, (n0,): positive exactly on the separated rows.

    ``few`` are the combinations on some ``rows`` of the zero rows, ``free`` those on all of them. A free slope none of whose
    rows is among these stands alone, and is left out.
    """
    few = _beyond(few, free[rows], free)
    if not few.shape[1]:
        return np.zeros(free.shape[0], dtype=bool)
    few = _local(few)
    i, j = np.nonzero(few)
    spread = sparse.csr_array((few[i, j], (rows[i], j)), shape=(free.shape[0], few.shape[1]))
    together = np.unique(free[rows].indices)
    z = sparse.csr_array(sparse.hstack([spread, free.tocsc()[:, together]], format="csr"))
    touched = np.flatnonzero(np.diff(z.indptr))
    z = z[touched]
    z = sparse.csr_array(z / abs(z).max(axis=0).toarray().reshape(-1))  # columns of one size trip the programme up less
    n, d = z.shape
    for method, presolve in _ATTEMPTS:
        answer = optimize.linprog(
            c=np.concatenate([np.zeros(d), -np.ones(n)]),
            A_ub=sparse.hstack([-z, sparse.eye_array(n)], format="csr"),  # s <= z g, 0 <= s <= 1
            b_ub=np.zeros(n),
            bounds=[(None, None)] * d + [(0.0, 1.0)] * n,
            method=method,
            options={"presolve": presolve},
        )
        if answer.status == 0:
            out = np.zeros(free.shape[0], dtype=bool)
            out[touched] = answer.x[d:] > 0.5
            return out
    raise NotConverged(
        "the linear programme that looks for separation failed",
        found=answer.message,
        fix="Rescale the regressors, or pass separation=('fe',) to check effects and slopes alone.",
    )
