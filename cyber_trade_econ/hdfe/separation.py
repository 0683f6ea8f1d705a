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
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.elimination import by_elimination
from cyber_trade_econ.hdfe.factor import Array, Effect, Factor, Mask, chosen
from cyber_trade_econ.hdfe.late import optimize, sparse
from cyber_trade_econ.hdfe.nullspace import basis, null_space, scaled, sizes
from cyber_trade_econ.hdfe.regressors import Regressors

if TYPE_CHECKING:
    from collections.abc import Sequence


def separated(y: Array, X: Array | Regressors, factors: Sequence[Effect], seed: int = 0) -> Mask:
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
    X = X if isinstance(X, Regressors) else Regressors.plain(X)
    plain = [f for f in factors if isinstance(f, Factor)]
    if len(plain) < len(factors):
        from cyber_trade_econ.hdfe import separated_slopes  # needed for slopes alone

        return separated_slopes.separated(y, X.whole(), factors, seed)
    zero = y == 0
    out = np.zeros(len(y), dtype=bool)
    if not zero.any() or zero.all():
        return out
    z = _combinations(X, plain, zero, seed)
    touched = np.flatnonzero(z.any(axis=1))  # rows on which every combination is exactly zero cannot be separated
    if len(touched):
        out[np.flatnonzero(zero)[touched[_programme(z[touched])]]] = True
    return out


def _combinations(columns: Regressors, factors: Sequence[Factor], zero: Mask, seed: int) -> Array:
    """Return an orthonormal basis, on the zero rows, of the combinations that vanish on the positive rows: (n0, d).

    Those of the regressors are the null space of what the effects leave of them. Those of the effects alone are found by
    taking from a random assignment of effects its fit on the positive rows: what is left lies in their null space, and in no
    smaller one, so the first draw that adds nothing ends the search.
    """
    quick = by_elimination(columns, factors, zero, seed)
    if quick is not None:
        return quick
    X = _net(columns.whole(), factors)
    if not factors:
        return basis(X[zero] @ null_space(X[~zero]))
    projected = _Effects(factors, zero)
    fitted = projected.fit(X[~zero])
    null = null_space(X[~zero] - projected.values(fitted, ~zero))
    found = basis(X[zero] @ null - projected.values([e @ null for e in fitted], zero))
    rng = np.random.default_rng(seed)
    while True:
        draw = np.sum([rng.standard_normal((f.levels, 1))[f.codes] for f in factors], axis=0)
        rest = draw[zero] - projected.values(projected.fit(draw[~zero]), zero)
        before = found.shape[1]
        found = basis(np.column_stack([found, rest]))
        if found.shape[1] == before:
            return found


def _net(X: Array, factors: Sequence[Factor]) -> Array:
    """Take the effects (or the constant) out of the regressors on all rows, and scale what is left to at most one.

    Neither changes what combinations there are; both keep levels far from zero from drowning them in rounding.
    """
    size = sizes(X)
    constant = np.ptp(X, axis=0) == 0 if len(X) else np.zeros(X.shape[1], dtype=bool)
    if factors:
        projector = Layout(factors).weighted(np.ones(len(X)))
        X = projector.residual(X, projector.effects(X))
    elif constant.any():
        X = np.where(constant, X, X - X.mean(axis=0))
    return scaled(X, size)


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
