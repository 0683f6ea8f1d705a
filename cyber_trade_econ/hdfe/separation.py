"""Observations for which the Poisson maximum-likelihood estimate does not exist.

A row with outcome zero is separated when some combination of regressors and effects is zero on every row with a positive
outcome, nowhere negative on the others, and positive on that row: along it the likelihood rises for ever. The combinations
that vanish on the positive rows form a space of small dimension, usually of none; it is found first, and a linear programme
then looks for its non-negative members. That is exact, where the iterative rectifier of ppmlhdfe needs a tolerance.

Most samples are not separated, and mostly a proof of it is cheap: effects follow from the positive rows by elimination (see
`spanning`), and what is then left of the regressors on some of these rows has full rank. Only where that fails, a
projection on the effects is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.late import optimize, sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

from cyber_trade_econ.hdfe import separated_slopes
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Factor, Mask, chosen
from cyber_trade_econ.hdfe.leastsquares import COLLINEAR
from cyber_trade_econ.hdfe.spanning import Spanning, spanning

_NULL = 1e-10  # singular values below this share of the largest count as zero
_CERTAIN = 1e-8  # a squared share of a regressor; rounding is below 1e-24 of it
_GROWTH = 1000  # effects found by elimination that are so much larger than the regressors lose as many digits
_AT_ONCE = 32  # given effects followed together, so that memory stays small
_SOME = 20_000  # rows that mostly show that regressors are independent
_ZERO = 1e-7  # entries of a combination below this, where the largest is one, count as zero


def separated(y: Array, X: Array, factors: Sequence[Effect], seed: int = 0) -> Mask:
    """Mark the separated rows.

    Parameters
    ----------
    y, X, factors
        Outcome (n,), regressors with the constant if there is one (n, k), effects and varying slopes.
    seed
        Seed of the random directions by which large null spaces are explored.

    Returns
    -------
    Boolean mask of shape (n,).

    Notes
    -----
    Correia, Guimaraes and Zylkin (2019), https://arxiv.org/abs/1903.01633, characterise separation by such combinations.
    """
    plain = [f for f in factors if isinstance(f, Factor)]
    if len(plain) < len(factors):
        return separated_slopes.separated(y, X, factors, seed)
    zero = y == 0
    out = np.zeros(len(y), dtype=bool)
    if not zero.any() or zero.all():
        return out
    z = _combinations(X, plain, zero, seed)
    touched = np.flatnonzero(z.any(axis=1))  # rows on which every combination is exactly zero cannot be separated
    if len(touched):
        out[np.flatnonzero(zero)[touched[_programme(z[touched])]]] = True
    return out


def _combinations(X: Array, factors: Sequence[Factor], zero: Mask, seed: int) -> Array:
    """Return an orthonormal basis, on the zero rows, of the combinations that vanish on the positive rows: (n0, d).

    Those of the regressors are the null space of what the effects leave of them. Those of the effects alone are found by
    taking from a random assignment of effects its fit on the positive rows: what is left lies in their null space, and in no
    smaller one, so the first draw that adds nothing ends the search.
    """
    quick = _by_elimination(X, factors, zero, seed)
    if quick is not None:
        return quick
    X = _net(X, factors)
    if not factors:
        return _basis(X[zero] @ _null_space(X[~zero]))
    projected = _Effects(factors, zero)
    fitted = projected.fit(X[~zero])
    null = _null_space(X[~zero] - projected.values(fitted, ~zero))
    found = _basis(X[zero] @ null - projected.values([e @ null for e in fitted], zero))
    rng = np.random.default_rng(seed)
    while True:
        draw = np.sum([rng.standard_normal((f.levels, 1))[f.codes] for f in factors], axis=0)
        rest = draw[zero] - projected.values(projected.fit(draw[~zero]), zero)
        before = found.shape[1]
        found = _basis(np.column_stack([found, rest]))
        if found.shape[1] == before:
            return found


def _by_elimination(X: Array, factors: Sequence[Factor], zero: Mask, seed: int) -> Array | None:
    """Return the same basis where it can be had without a projection, otherwise ``None``."""
    known = spanning(factors, ~zero)
    if known is None:
        return None
    moved = known.moved(seed)
    size = _sizes(X)
    effects = known.effects(X)
    if moved is None or not all((_sizes(e) <= _GROWTH * size).all() for e in effects):
        return None
    fixed = ~zero
    fixed[moved] = False
    if _full_rank(X, size, known, effects, np.flatnonzero(fixed)):  # so regressors have no part in any combination
        return _of_effects(known, moved, zero)
    if len(moved) or not factors:
        return None
    X = X - X.mean(axis=0)  # a level far from zero would cost digits
    net = _scaled(X - known.sums(known.effects(X), slice(None)), size)
    return _basis(net[zero] @ _null_space(net[~zero]))


def _of_effects(known: Spanning, moved: Codes, zero: Mask) -> Array:
    """Return the basis of the combinations of effects alone: those of the given ones that leave all positive rows at zero."""
    out = np.empty((int(zero.sum()), 0))
    if not len(moved):
        return out
    unit = np.eye(known.free)
    parts = [unit[:, at : at + _AT_ONCE] for at in range(0, known.free, _AT_ONCE)]
    values = np.column_stack([known.sums(known.shifted(part), moved) for part in parts])
    free = zero[moved]
    basis = _basis(values[free] @ _null_space(values[~free] / np.maximum(np.abs(values).max(), 1.0)))
    out = np.zeros((len(out), basis.shape[1]))
    out[np.cumsum(zero)[moved[free]] - 1] = basis
    return out


def _net(X: Array, factors: Sequence[Factor]) -> Array:
    """Take the effects (or the constant) out of the regressors on all rows, and scale what is left to at most one.

    Neither changes what combinations there are; both keep levels far from zero from drowning them in rounding.
    """
    size = _sizes(X)
    constant = np.ptp(X, axis=0) == 0 if len(X) else np.zeros(X.shape[1], dtype=bool)
    if factors:
        projector = Layout(factors).weighted(np.ones(len(X)))
        X = projector.residual(X, projector.effects(X))
    elif constant.any():
        X = np.where(constant, X, X - X.mean(axis=0))
    return _scaled(X, size)


def _sizes(X: Array) -> Array:
    """Return the largest absolute value of each column, (k,)."""
    return np.asarray(np.maximum(X.max(axis=0, initial=0.0), -X.min(axis=0, initial=0.0)))


def _scaled(net: Array, before: Array) -> Array:
    """Scale what is left of regressors of size ``before`` to at most one, or to zero where it is rounding."""
    after = _sizes(net)
    gone = after <= COLLINEAR * before
    return np.where(gone, 0.0, net / np.where(after > 0, after, 1.0))


def _full_rank(X: Array, size: Array, known: Spanning, effects: Sequence[Array], rows: Codes) -> bool:
    """Whether it is certain, far from rounding, that no combination of the regressors is a sum of effects on these rows.

    Some of the rows are enough where they show it. Otherwise all are looked at.
    """
    if (size == 0).any() or len(rows) < X.shape[1]:
        return False
    for step in dict.fromkeys((max(len(rows) // _SOME, 1), 1)):
        some = rows[::step]
        left = (X[some] - known.sums(effects, some) if effects else X[some]) / size
        if X.shape[1] == 0 or np.linalg.eigvalsh(left.T @ left / len(left))[0] > _CERTAIN:
            return True
    return False


class _Effects:
    """Effects of all rows, fitted on the positive rows alone; a level without a positive row has a fit of zero."""

    def __init__(self, factors: Sequence[Factor], zero: Mask) -> None:
        self.factors = factors
        self.seen = [np.unique(f.codes[~zero]) for f in factors]
        fitted = [chosen(f, np.flatnonzero(~zero)) for f in factors]
        self.projector = Layout(fitted).weighted(np.ones(int((~zero).sum())))

    def fit(self, values: Array) -> list[Array]:
        """Return effects by factor, (levels, k), that fit ``values`` (positive rows, k)."""
        out = []
        for factor, seen, effect in zip(self.factors, self.seen, self.projector.effects(values), strict=True):
            full = np.zeros((factor.levels, values.shape[1]))
            full[seen] = effect
            out.append(full)
        return out

    def values(self, effects: Sequence[Array], rows: Mask) -> Array:
        """Sum the effects of the rows, (rows, k)."""
        return np.asarray(np.sum([e[f.codes[rows]] for f, e in zip(self.factors, effects, strict=True)], axis=0))


def _null_space(X: Array) -> Array:
    """Return the directions in which ``X`` (n, k), of entries up to one, vanishes: (k, d)."""
    k = X.shape[1]
    if k == 0:
        return np.empty((0, 0))
    r = np.linalg.qr(np.vstack([X, np.zeros((k, k))]), mode="r")  # at least k rows, so that all of vt is there
    _, values, vt = np.linalg.svd(r)
    return np.asarray(vt[values <= _NULL * np.sqrt(len(X))].T)


def _basis(z: Array) -> Array:
    """Return an orthonormal basis of the columns of ``z``, those that are zero up to rounding left out."""
    size = np.abs(z).max(axis=0, initial=0.0)
    z = z[:, size > _ZERO]
    if z.shape[1] == 0:
        return z
    u, values, _ = np.linalg.svd(z / np.linalg.norm(z, axis=0), full_matrices=False)
    return np.asarray(u[:, values > _ZERO * values[0]])


def _programme(z: Array) -> Mask:
    """Maximise the sum of min(z g, 1) over z g >= 0: positive exactly on the separated rows."""
    n, d = z.shape
    scale = np.abs(z).max()
    rows = sparse.csr_array(z / scale)
    eye = sparse.eye_array(n, format="csr")
    for method in ("highs", "highs-ipm", "highs-ds"):  # one of them can stumble over bad scales
        answer = optimize.linprog(
            c=np.concatenate([np.zeros(d), -np.ones(n)]),
            A_ub=sparse.hstack([-rows, eye]).tocsr(),  # s <= z g, 0 <= s <= 1
            b_ub=np.zeros(n),
            bounds=[(None, None)] * d + [(0.0, 1.0)] * n,
            method=method,
        )
        if answer.status == 0:
            return np.asarray(answer.x[d:] > 0.5)  # the cone can be scaled up, so a separated row reaches one
    raise NotConverged(
        "the linear programme that looks for separation failed",
        found=answer.message,
        fix="Rescale the regressors, or pass separation=('fe',) to check the effects alone.",
    )
