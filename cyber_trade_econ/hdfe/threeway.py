"""Poisson pseudo maximum likelihood on a gravity panel: Newton's method on the likelihood without its pair effects.

Regressors are never demeaned on the way. Each step takes the exact gradient and cross products from one pass, solves for
the effects that the regressors and the score would have (loosely for the regressors: that is a change of basis, whose
remainder is put back), and moves coefficients and effects together. Demeaned regressors are formed once, at the solution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import independence
from cyber_trade_econ.hdfe.boxed import by_level, gathered, impose, net_of, parts_of
from cyber_trade_econ.hdfe.condensed import FINAL, Part, condense, remaining, root_of, step_of
from cyber_trade_econ.hdfe.kernels import NUMPY, Kernels
from cyber_trade_econ.hdfe.leastsquares import DOUBTFUL, independent, weighted_lengths
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.hdfe.poisson import PoissonFit, deviance, log_likelihood
from cyber_trade_econ.hdfe.poisson_problem import NO_STEP
from cyber_trade_econ.hdfe.regressors import Regressors, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.blocks import Blocks
    from cyber_trade_econ.hdfe.condensed import Derivatives
    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask
    from cyber_trade_econ.hdfe.profile import Moments

BASIS = 1e-3
"""Relative residual at which the effects of a regressor are good enough to move along."""

NEAR, SLOW = 1e-2, 0.1
"""Steps shorter than the first should shrink to less than this share of the step before: convergence is quadratic."""


def fit(
    y: Array,
    X: Array | Regressors,
    w: Array,
    offset: Array,
    *,
    factors: Sequence[Factor],
    blocks: Blocks,
    stretch: Array | float = 1.0,
    tol: float = 1e-8,
    max_iterations: int = 100,
    kernels: Kernels = NUMPY,
) -> PoissonFit[Array | Net]:
    """Maximise the Poisson pseudo likelihood of ``y = exp(X beta + effects + offset)`` on the layout ``blocks``.

    Parameters
    ----------
    y, X, w, offset, stretch
        As for `cyber_trade_econ.hdfe.poisson.fit`; every level has a positive outcome. Regressors that are mostly zero may be
        listed, and are where that pays.
    factors
        The sets of effects.
    blocks
        Layout of the factors, from `cyber_trade_econ.hdfe.blocks.detect`.
    tol
        The iteration stops when no score of an effect or a coefficient exceeds this share of the outcome it sums **and** the
        next step would move no fitted index by more than ``tol / 10`` through a coefficient.
    max_iterations
        Steps after which the fit is given up.
    kernels
        Who does the work, from `cyber_trade_econ.hdfe.compilation.chosen`.

    Raises
    ------
    NotConverged
        After ``max_iterations`` steps, when no step raises the likelihood any more short of the tolerance, or when a
        regressor is so nearly collinear that only the general solver can tell.
    """
    unit = float(np.average(y, weights=w))
    X = listed(X)
    keep = np.ones(X.shape[1], dtype=bool)
    order = np.argsort(X.rare, kind="stable")  # within the parts, regressors that are mostly zero come last
    parts = parts_of(blocks, y / unit, X, w, offset, kernels=kernels)
    at = _start(parts)
    if not clear(at, np.broadcast_to(stretch, X.shape[1])[order]):
        keep = _judge(parts, blocks, X, factors, (y / unit + 1) / 2 * w, stretch)
        bases = [part.basis.columns(np.append(keep[order], True)) for part in parts]
        X = X.chosen(keep)
        order = np.argsort(X.rare, kind="stable")
        parts = parts_of(blocks, y / unit, X, w, offset, kernels=kernels)
        for part, basis in zip(parts, bases, strict=True):
            part.basis = basis
        at = _start(parts)
    ordered, at, iterations, score = _newton(parts, at, tol, max_iterations)
    beta = np.empty(len(order))
    beta[order] = ordered
    within, products = net_of(parts, blocks, X, factors)
    mu = gathered([p.profile.mu for p in parts], blocks)
    if isinstance(within, Net):
        back = np.argsort(order)
        products = at.hessian[np.ix_(back, back)] if clear(at, 1.0) else within.products(mu)
    root = root_of(products, within, mu)
    mu *= unit / w
    lost = deviance(y, mu, w)
    return PoissonFit(
        beta=beta,
        kept=keep,
        mu=mu,
        root=root / np.sqrt(unit),
        within=within,
        effects=_effects(parts, blocks, ordered, unit),
        deviance=lost,
        log_likelihood=log_likelihood(y, lost, w),
        iterations=iterations,
        score=score,
    )


def _start(parts: Sequence[Part]) -> Derivatives:
    """Balance the effects alone, and take the derivatives there."""
    for part in parts:
        part.profile.scale()
    return condense(parts, [part.profile.moments() for part in parts], BASIS, 0.1)


def clear(at: Derivatives, stretch: Array | float) -> bool:
    """Whether the columns are independent beyond doubt."""
    return independence.clear(at.hessian, np.sqrt(at.lengths) * stretch)


def _judge(
    parts: Sequence[Part], blocks: Blocks, X: Regressors, factors: Sequence[Factor], w: Array, stretch: Array | float
) -> Mask:
    """Find the independent columns as the general solver does: net of effects, at the weights of its first step."""
    from cyber_trade_econ.hdfe import gravity_linear  # few fits need it

    impose(parts, blocks, w)
    at = condense(parts, [part.profile.moments() for part in parts], FINAL, 1.0, exact=True)
    net, _ = net_of(parts, blocks, X, factors)
    if isinstance(net, Net):
        back = np.argsort(np.argsort(X.rare, kind="stable"))
        lengths = np.sqrt(at.lengths[back]) * stretch
        once_more = gravity_linear.again(factors, w, blocks)
        return independence.independent(net, at.hessian[np.ix_(back, back)], w, lengths, once_more)
    net = gravity_linear.absorb(np.ascontiguousarray(net), factors, w, blocks)[
        0
    ]  # what was left of effects is rounding now
    return independent(net, w, weighted_lengths(X.full, w) * stretch, DOUBTFUL)


def _newton(
    parts: Sequence[Part], at: Derivatives, tol: float, max_iterations: int
) -> tuple[Array, Derivatives, int, float]:
    """Climb to the maximum; return coefficients, derivatives there, the steps taken and the largest relative score."""
    K = parts[0].profile.columns
    total = sum(float(p.profile.pair_total.sum()) for p in parts)
    reach = np.maximum(sum(p.profile.reach for p in parts), 1e-300)
    span = np.max([p.profile.span for p in parts], axis=0)
    beta, worst, moved, close = np.zeros(K), np.inf, 1.0, 1.0
    value = sum(p.profile.now(beta) for p in parts)
    for iteration in range(1, max_iterations + 1):
        step = step_of(at.hessian, at.score)
        gain = at.gain + float(at.score @ step)
        moved, previous = min(1.0, np.sqrt(abs(gain) / total)), moved
        if SLOW * previous < moved < NEAR:  # the effects leave so little of a regressor that the basis must be closer
            close = max(close / 100, 1e-7)
        beta, value = _climb(parts, beta, step, gain, value)
        points = [p.profile.moments() for p in parts]
        worst, before = _worst(parts, points, reach), worst
        if worst <= tol and (worst <= tol / 10 or worst > before / 10) and moved <= np.sqrt(tol):
            ahead = step_of(at.hessian, sum((remaining(p, m) for p, m in zip(parts, points, strict=True)), np.zeros(K)))
            if np.max(np.abs(ahead) * span, initial=0.0) <= tol / 10:
                return beta, condense(parts, points, FINAL, 1.0, exact=True), iteration, worst
        at = condense(parts, points, close * BASIS, max(0.1 * close * moved, 1e-10))
    raise NotConverged(
        "Poisson regression did not converge",
        found=f"largest relative score {worst:.1e} after {max_iterations} iterations",
        allowed=f"{tol:.0e}",
        fix=NO_STEP,
    )


def _worst(parts: Sequence[Part], points: Sequence[Moments], reach: Array) -> float:
    """Return the largest score of an effect or a coefficient, relative to the outcome it sums."""
    score = sum((m.score for m in points), np.zeros(len(reach)))
    effects = max(part.profile.imbalance(m) for part, m in zip(parts, points, strict=True))
    return max(effects, float(np.max(np.abs(score) / reach, initial=0.0)))


def _climb(parts: Sequence[Part], beta: Array, step: Array, gain: float, value: float) -> tuple[Array, float]:
    """Take the step, or half of it again and again until the likelihood rises as it should."""
    K = len(beta)
    share = 1.0
    while share > 1e-10:
        there = beta + share * step
        trials = []
        for part in parts:
            move = [v[:, :, K] - v[:, :, :K] @ step for v in part.basis]
            now = part.profile
            a, b = now.exporter_time + share * move[0], now.importer_time + share * move[1]
            trials.append((*now.evaluate(there, a, b), a, b))
        reached = sum(t[0] for t in trials)
        if np.isfinite(reached) and reached >= value + 1e-4 * share * gain - 1e-11 * abs(value):
            for part, (_, by_pair, a, b) in zip(parts, trials, strict=True):
                part.profile.accept(by_pair, a, b)
                part.profile.balance()
            return there, sum(part.profile.now(there) for part in parts)
        share /= 4
    raise NotConverged(
        "Poisson regression cannot raise its likelihood any further",
        found=f"log likelihood {value:.6g}",
        fix="Check for regressors of very different scale or for separated observations.",
    )


def _effects(parts: Sequence[Part], blocks: Blocks, beta: Array, unit: float) -> tuple[Array, ...]:
    """Return the effects by level, in the order of the caller's factors; the pair takes up the unit and the pair means."""
    faces = (
        [p.profile.exporter_time for p in parts],
        [p.profile.importer_time for p in parts],
        [p.profile.pair - p.profile.of_pair_means(beta) + np.log(unit) for p in parts],
    )
    return by_level(faces, blocks)
