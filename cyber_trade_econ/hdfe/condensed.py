"""Derivatives of the coefficients with all effects concentrated out, summed over the boxes of a gravity panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.leastsquares import FLAT, solve
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.hdfe.perperiod import Pairing, PerPeriod, conjugate_gradients
from cyber_trade_econ.hdfe.poisson_problem import NO_STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.hdfe.profile import Moments, Profile

FINAL = 1e-10
"""Relative residual of the effects of regressors that covariances are built on."""

REFRESH = 4
"""Iterations above which the preconditioner is made anew."""

STRUGGLE = 20
"""Iterations above which the preconditioner is made in double precision."""


@dataclass
class Part:
    """A box with what it carries from step to step."""

    profile: Profile
    basis: Pairing  # effects of the regressors, and of the score, as far as they were solved for
    first: PerPeriod | None = None  # preconditioner
    precise: bool = False


@dataclass(frozen=True)
class Derivatives:
    """What all boxes together say at one point.

    Parameters
    ----------
    hessian, score
        Information and score of the coefficients, effects concentrated out: (K, K) and (K,).
    lengths
        Squared lengths of the regressors, (K,).
    gain
        Score times Newton step of the effects alone.
    """

    hessian: Array
    score: Array
    lengths: Array
    gain: float


def condense(
    parts: Sequence[Part], points: Sequence[Moments], basis: float, step: float, *, exact: bool = False
) -> Derivatives:
    """Solve for the effects of the regressors and of the score in every box, and add the boxes up.

    Parameters
    ----------
    basis, step
        Relative residuals at which the effects of the regressors, and those of the score, are good enough.
    exact
        Refuse effects of the regressors that stopped far short of it, as the steps of Newton's method need not.
    """
    K = len(points[0].score)
    hessian, score, lengths, gain = np.zeros((K, K)), np.zeros(K), np.zeros(K), 0.0
    tol = np.append(np.full(K, basis), step)
    for part, m in zip(parts, points, strict=True):
        summed = np.append(m.lengths, part.profile.pair_total.sum())
        right = Pairing(m.exporter_time, m.importer_time)
        if part.first is None:
            part.first = PerPeriod(m.information, precise=part.precise)
        part.basis.a[:, :, K], part.basis.b[:, :, K] = 0.0, 0.0
        count, part.basis, rest, poor = conjugate_gradients(m.information, part.first, right, part.basis, tol, summed)
        if exact and poor[:K].any():
            raise NotConverged(
                "taking the effects out of the regressors did not converge",
                found=f"{int(poor[:K].sum())} regressor(s) short of the tolerance",
                fix="The effects are nearly disconnected; drop one of them or its sparsest levels.",
            )
        if count > REFRESH:
            part.first, part.precise = None, part.precise or count > STRUGGLE
        solved, left = right.cross(part.basis), part.basis.cross(rest)
        hessian += m.regressors - (solved + left)[:K, :K]
        score += m.score - solved[K, :K] - left[K, :K]
        lengths += m.lengths
        gain += float(solved[K, K])
    return Derivatives((hessian + hessian.T) / 2, score, lengths, gain)


def remaining(part: Part, m: Moments) -> Array:
    """Return the score of the coefficients along the basis of the step before: enough to foresee the next step."""
    K = len(m.score)
    right = Pairing(m.exporter_time[:, :, K:], m.importer_time[:, :, K:])
    return np.asarray(m.score - part.basis.cross(right)[:K, 0])


def step_of(hessian: Array, score: Array) -> Array:
    """Return the Newton step of the coefficients.

    Raises
    ------
    NotConverged
        If the information matrix is singular.
    """
    if not len(score):
        return np.zeros(0)
    size = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    try:
        lower = np.linalg.cholesky(hessian / np.outer(size, size))
    except np.linalg.LinAlgError as error:
        raise NotConverged(
            "the information matrix of the coefficients is singular",
            found=f"{len(score)} coefficient(s)",
            fix=NO_STEP,
        ) from error
    return np.asarray(np.linalg.solve(lower.T, np.linalg.solve(lower, score / size)) / size)


def root_of(products: Array, X: Array | Net, w: Array) -> Array:
    """Return R^-1 with R'R = X'WX: from the cross products where they keep eleven digits, by QR where they do not."""
    if not len(products):
        return np.empty((0, 0))
    size = np.sqrt(np.maximum(np.diag(products), 1e-300))
    try:
        lower = np.linalg.cholesky(products / np.outer(size, size))
    except np.linalg.LinAlgError:
        lower = np.zeros_like(products)
    if np.diag(lower).min() ** 2 < FLAT:
        return solve(X.whole() if isinstance(X, Net) else X, np.zeros(len(w)), w).root
    return np.asarray(np.linalg.inv(lower.T) / size[:, None])
