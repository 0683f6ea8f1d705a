"""Separated observations of a Poisson model with varying slopes.

The definition is that of `separation`: a row with outcome zero is separated when some combination of regressors, effects and
slopes vanishes on all rows with a positive outcome, is nowhere negative on the others, and positive on that row.

Mostly nothing is separated that `prune` leaves, and a projection or two prove it (`witness`). Where the proof fails, it names
the rows that it fails on; it holds without them, so that they alone can be separated. The combinations that vanish on all
other rows are few, and a linear programme looks at them (`cone`). Every answer is proven, both that rows are separated and
that the others are not; where rounding prevents that, the programme is solved for the sample as a whole, and in the last
resort the sample is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import cone, witness
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Array, Effect, Mask, Slope, chosen
from cyber_trade_econ.hdfe.late import linalg, sparse
from cyber_trade_econ.hdfe.leastsquares import COLLINEAR
from cyber_trade_econ.hdfe.prune import fixed_at, prune

if TYPE_CHECKING:
    from collections.abc import Sequence

_ZERO = 1e-7  # entries of a combination below this, where the largest is one, count as zero
_FIRST, _MOST = 4, 64  # random effects looked at together
_WHOLE = 20_000  # rows up to which a linear programme on the sample as a whole ends in minutes


def separated(y: Array, X: Array, effects: Sequence[Effect], seed: int = 0) -> Mask:
    """Mark the separated rows.

    Parameters
    ----------
    y, X, effects
        Outcome (n,), regressors (n, k), fixed effects and varying slopes.
    seed
        Seed of the random directions by which combinations are explored.

    Raises
    ------
    NotConverged
        If no answer can be proven in double precision.
    """
    keep = prune(effects, y, singletons=False).keep
    out = ~keep
    if not keep.all():
        rows = np.flatnonzero(keep)
        y, X, effects = y[rows], X[rows], [chosen(e, rows) for e in effects]
    zero = y == 0
    if zero.any():
        try:
            out[keep] = _separated(zero, X, effects, np.random.default_rng(seed))
        except NotConverged:
            if len(zero) > _WHOLE:
                raise
            out[keep] = cone.positive(_columns(X, effects), zero)[0]
    return out


def _separated(zero: Mask, X: Array, effects: Sequence[Effect], rng: np.random.Generator) -> Mask:
    layout = Layout(effects)
    doubtful = witness.falling(zero, _scaled(X - X.mean(axis=0), _size(X)), effects, layout)
    if not doubtful.any():
        return doubtful
    net, _ = layout.weighted(np.ones(len(X))).absorb(X)
    X = _scaled(net, _size(X))
    while (more := _falling(~doubtful, zero, X, effects)).any():
        doubtful |= more
    out = np.zeros(len(zero), dtype=bool)
    combinations = _combinations(doubtful, X, effects, rng)
    out[doubtful], z = cone.positive(combinations, np.ones(combinations.shape[0], dtype=bool))
    value = np.zeros(len(zero))
    value[doubtful] = z / max(z.max(), 1.0)
    one = np.ones(len(zero))
    off = np.abs(witness.remainder(layout.weighted(one), X, one, value, 1e-12)).max()
    if (out.any() and off > min(_ZERO, 0.01 * value[out].min())) or _falling(~out, zero, X, effects, deep=True).any():
        raise NotConverged(
            "whether the zeros of this sample are separated cannot be told",
            found=f"{int(doubtful.sum())} doubtful row(s), combinations off by {off:.1e}",
            fix="The effects and slopes hardly follow from the positive rows; use fewer or coarser ones.",
        )
    return out


def _size(X: Array) -> Array:
    """Return the largest absolute value of each column, (k,)."""
    return np.asarray(np.abs(X).max(axis=0, initial=0.0))


def _scaled(X: Array, before: Array) -> Array:
    """Scale what is left of columns of size ``before`` (k,) to size one; leave out those of which rounding is left."""
    size = _size(X)
    left = size > COLLINEAR * before
    return np.asarray(X[:, left] / size[left])


def _falling(keep: Mask, zero: Mask, X: Array, effects: Sequence[Effect], *, deep: bool = False) -> Mask:
    """Mark the zeros that may be separated in the sample of the rows to keep, (n,)."""
    out = np.zeros(len(zero), dtype=bool)
    rows = np.flatnonzero(keep)
    left = [chosen(e, rows) for e in effects]
    pruned = prune(left, np.where(zero, 0.0, 1.0)[rows], singletons=False).keep
    if not pruned.all():
        out[rows[~pruned]] = True
    elif zero[rows].any():
        out[rows] = witness.falling(zero[rows], X[rows], left, deep=deep)
    return out


def _combinations(doubtful: Mask, X: Array, effects: Sequence[Effect], rng: np.random.Generator) -> sparse.csr_array:
    """Return a basis, on the doubtful rows, of the combinations that vanish on all others, (m, d).

    The slope of a level that lies at one value of its variable on the others is such a combination by itself. There may be
    thousands of these. All others are few.
    """
    free = _free(effects, doubtful)
    few = _few(doubtful, X, effects, rng)
    if (
        free.shape[1] and few.shape[1]
    ):  # a free slope must not stand there twice, up to rounding that would pass for one more
        unit = free @ sparse.diags_array(1 / np.sqrt(np.asarray(free.multiply(free).sum(axis=0)).reshape(-1)))
        for column in few.T:
            column -= unit @ sparse.linalg.lsqr(unit, column, atol=1e-15, btol=1e-15)[0]
        u, values, _ = np.linalg.svd(few, full_matrices=False)
        few = u[:, values > _ZERO]  # the columns had length one
    if few.shape[1]:  # one on one row each and zero on those of the others: what touches different rows comes apart
        picked = linalg.qr(few.T, mode="r", pivoting=True)[-1][: few.shape[1]]
        few = np.linalg.solve(few[picked].T, few.T).T
        few[np.abs(few) < 1e-9] = 0.0
    return sparse.csr_array(sparse.hstack([sparse.csr_array(few), free], format="csr"))


def _free(effects: Sequence[Effect], doubtful: Mask) -> sparse.csr_array:
    """Return the combinations, on the doubtful rows, of single slopes that no other row determines, (m, d)."""
    blocks = [sparse.csr_array((int(doubtful.sum()), 0))]
    for effect in effects:
        if isinstance(effect, Slope):
            value, fixed = fixed_at(effect, ~doubtful)
            codes, unit = effect.codes[doubtful], effect.origin_and_unit()[1]
            away = np.where(fixed[codes], (effect.variable[doubtful] - value[codes]) / unit[codes], 0.0)
            rows = np.flatnonzero(away)
            levels, column = np.unique(codes[rows], return_inverse=True)
            blocks.append(sparse.csr_array((away[rows], (rows, column)), shape=(len(codes), len(levels))))
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))


def _few(doubtful: Mask, X: Array, effects: Sequence[Effect], rng: np.random.Generator) -> Array:
    """Return an orthonormal basis of all others but for what free slopes add, (m, d).

    They are what is left of regressors, and of sums of random effects, fitted on the other rows: a draw that adds nothing
    ends the search.
    """
    others = _Others(effects, doubtful)
    rest = others.unexplained(X)
    found, draws = _basis((rest @ _null(rest[~doubtful]))[doubtful]), _FIRST
    while True:
        more = _basis(np.column_stack([found, others.draw(rng, draws)[doubtful]]))
        if more.shape[1] - found.shape[1] < draws:
            return more
        found, draws = more, min(2 * draws, _MOST)


class _Others:
    """Effects fitted on the rows that are not doubtful, and their sums on all rows."""

    def __init__(self, effects: Sequence[Effect], doubtful: Mask) -> None:
        self._rows = np.flatnonzero(~doubtful)
        seen = [chosen(e, self._rows) for e in effects]
        self._projector = Layout(seen).weighted(np.ones(len(self._rows)))
        self._codes = [e.codes for e in effects]
        self._levels = [e.levels for e in effects]
        self._along = [_along(e, s) for e, s in zip(effects, seen, strict=True)]
        self._moves = [e.moves[:, None] if isinstance(e, Slope) else None for e in seen]

    def unexplained(self, values: Array) -> Array:
        """Return, on all rows, what effects leave of ``values`` (n, k) when fitted on the rows that are not doubtful."""
        for _ in range(2):  # a second look takes out what the first one was off
            values = values - self._sums(self._projector.effects(values[self._rows]))
        return values

    def draw(self, rng: np.random.Generator, draws: int) -> Array:
        """Return what they leave of sums of random effects, (n, draws): zero on those rows, and as a rule elsewhere.

        Slopes that none of these rows determines are zero in these sums.
        """
        made = [rng.standard_normal((levels, draws)) for levels in self._levels]
        rest = self.unexplained(self._sums([d if m is None else d * m for d, m in zip(made, self._moves, strict=True)]))
        error = np.abs(rest[self._rows]).max()
        if error <= _ZERO * max(1.0, np.abs(rest).max()):
            return rest
        raise NotConverged(
            "whether the zeros of this sample are separated cannot be told",
            found=f"effects fitted to the rows that are surely not separated are off by {error:.1e}",
            fix="The effects and slopes hardly follow from the positive rows; use fewer or coarser ones.",
        )

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


def _columns(X: Array, effects: Sequence[Effect]) -> sparse.csr_array:
    """Return all columns of the model, (n, d), slopes in the units of their levels."""
    n = len(effects[0].codes)
    size = np.abs(X).max(axis=0, initial=0.0)
    blocks = [sparse.csr_array(X / np.where(size > 0, size, 1.0))]
    for effect in effects:
        along = effect.scaled() if isinstance(effect, Slope) else np.ones(n)
        blocks.append(sparse.csr_array((along, effect.codes, np.arange(n + 1)), shape=(n, effect.levels)))
    return sparse.csr_array(sparse.hstack(blocks, format="csr"))
