"""Poisson pseudo maximum likelihood with absorbed effects, by iteratively reweighted least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import conjugate
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Slope, levels_of
from cyber_trade_econ.hdfe.factorial import log_factorial
from cyber_trade_econ.hdfe.leastsquares import LeastSquares, independent, solve, weighted_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Effect, Mask

ROUGHEST = 1e-8
"""Relative score that is returned at a stricter tolerance too, where rounding allows no smaller one."""

PATIENCE = 3
"""Steps that bring the totals of the effects no nearer to the observed ones, after which a fit is given up."""

_LOG_SMALLEST = -700.0  # exp of it is still a normal double


@dataclass(frozen=True)
class PoissonFit:
    """A converged fit.

    Parameters
    ----------
    beta
        Coefficients of the columns kept, shape (k,).
    kept
        Which columns of X were kept, shape (K,).
    mu
        Fitted means, shape (n,).
    root
        Root of the inverse of the information matrix of beta, effects concentrated out, shape (k, k); see `LeastSquares`.
    within
        Kept columns net of the effects at the solution's weights, shape (n, k): score rows are ``within * (y - mu) * w``.
    effects
        Effects by factor, each (levels,); those of a slope in the units of `Slope.origin_and_unit`.
    deviance, log_likelihood
        At the solution, weights included.
    iterations
        Reweighted least-squares steps taken.
    score
        Largest score of a coefficient or an effect, relative to the outcome it sums: how far fitted totals are from observed
        ones.
    """

    beta: Array
    kept: Mask
    mu: Array
    root: Array
    within: Array
    effects: tuple[Array, ...]
    deviance: float
    log_likelihood: float
    iterations: int
    score: float


def deviance(y: Array, mu: Array, w: Array) -> float:
    """Poisson deviance of means ``mu`` at outcomes ``y`` with weights ``w``."""
    out = np.divide(y, mu, out=np.ones_like(y), where=y > 0)
    np.log(out, out=out)
    out *= y
    out -= y - mu
    out *= w
    return 2 * float(out.sum())


def log_likelihood(y: Array, deviance: float, w: Array) -> float:
    """Poisson log likelihood of means with a given deviance, the constant ``log(y!)`` (gamma function) included."""
    positive = y > 0
    y, w = y[positive], w[positive]
    return float(np.sum(w * (y * np.log(y) - y - log_factorial(y))) - deviance / 2)


@dataclass(frozen=True)
class _Problem:
    """The data of one fit, in the unit in which the mean outcome is one."""

    y: Array
    X: Array
    layout: Layout | None
    w: Array
    offset: Array

    def absorb(
        self, values: Array, weights: Array, start: list[Array] | None, tolerance: float
    ) -> tuple[Array, list[Array]]:
        """Return ``values`` net of the effects, and the effects (from which the next call may start)."""
        if self.layout is None:
            return values, []
        return self.layout.weighted(weights).absorb(values, start or None, tolerance)

    def index(self, beta: Array, effects: Sequence[Array]) -> Array:
        """Return ``X beta + effects + offset``, (n,).

        It is not taken from the residuals of a step: where a mean is tiny beside its outcome they are of the size of the
        ratio of the two, and what is left of the index as a difference of such numbers may have no digit.
        """
        out = self.X @ beta + self.offset
        if self.layout is not None:
            for factor, scaled, effect in zip(self.layout.factors, self.layout.scaled, effects, strict=True):
                out += effect[factor.codes] if scaled is None else effect[factor.codes] * scaled
        return np.asarray(out)


def fit(
    y: Array,
    X: Array,
    factors: Sequence[Effect],
    w: Array,
    offset: Array,
    *,
    stretch: Array | float = 1.0,
    tol: float = 1e-8,
    max_iterations: int = 200,
) -> PoissonFit:
    """Maximise the Poisson pseudo likelihood of ``y = exp(X beta + effects + offset)``.

    Parameters
    ----------
    y, X, factors, w, offset
        Outcome (n,) that is not negative, regressors (n, K), effects, weights (n,) that are positive, offset (n,).
    stretch
        How much longer each column was before it was centred, (K,): the yardstick of collinearity.
    tol
        The iteration stops when the deviance changes by less than this share **and** the last step moved the fitted index by
        less than ``sqrt(tol) / 1000`` on weighted average. Steps converge quadratically: what is left after the last
        one is of the order of its square. A relative score of an effect above ``tol`` is worth further steps while they help.
    max_iterations
        Steps after which the fit is given up.

    Raises
    ------
    NotConverged
        After ``max_iterations`` steps, or when no step lowers the deviance any more short of the tolerance.

    Notes
    -----
    Correia, Guimaraes and Zylkin (2020), https://doi.org/10.1177/1536867X20909691. Each step absorbs the effects from the
    working outcome and the regressors at the current weights and runs least squares on what is left.
    """
    unit = float(np.average(y, weights=w))  # on y / mean(y), so that results do not depend on the unit of trade
    layout = Layout(factors) if factors else None
    problem = _Problem(y / unit, X, layout, w, offset - np.log(unit))
    eta = np.log((problem.y + 1) / 2)
    dev = np.inf
    keep = np.ones(X.shape[1], dtype=bool)
    state: list[Array] | None = None
    change = moved = worst = np.inf
    stalled = 0
    before, span = np.zeros(X.shape[1]), np.ptp(X, axis=0)
    for iteration in range(1, max_iterations + 1):
        mu = np.exp(eta)
        working = eta - problem.offset + (problem.y - mu) / mu
        # A step need not be more exact than it is long; the first judges collinearity, the last is what is returned.
        enough = conjugate.TOLERANCE if iteration == 1 else max(conjugate.TOLERANCE, min(1e-4, 1e-3 * moved**2))
        net, state = problem.absorb(np.column_stack([problem.X, working]), w * mu, state, enough)
        if iteration == 1:
            keep = independent(net[:, :-1], w * mu, weighted_lengths(X, w * mu) * stretch)
            problem = _Problem(problem.y, X[:, keep], layout, w, problem.offset)
            both = np.append(keep, True)
            net, state = net[:, both], [s[:, both] for s in state]
        step = solve(net[:, :-1], net[:, -1], w * mu)
        effects = [s[:, -1] - s[:, :-1] @ step.beta for s in state]
        target = problem.index(step.beta, effects)
        moved = float(np.sqrt(np.average((target - eta) ** 2, weights=w * mu)))
        # A coefficient that runs to infinity moves on by as much with every step, on rows whose means no average sees.
        jump, before = np.max(np.abs(step.beta - before[: len(step.beta)]) * span[keep], initial=0.0), step.beta
        if change < tol and moved < np.sqrt(tol) / 1000 and jump < np.sqrt(tol):
            result = _result(problem, keep, step, net[:, :-1], effects, np.exp(target), unit, iteration)
            if result.score <= tol or worst / 10 < result.score <= ROUGHEST:
                return result
            stalled += result.score > worst / 2  # levels that trade next to nothing arrive last
            if stalled == PATIENCE:
                break
            worst = min(result.score, worst)
        eta, dev_new = _line_search(problem, eta, target, dev)
        eta = _rescale(problem, eta)
        change, dev = abs(dev - dev_new) / max(abs(dev_new), 0.1), dev_new
    raise NotConverged(
        "Poisson regression did not converge",
        found=f"relative deviance change {change:.1e}, mean step {moved:.1e} and totals of effects off by {worst:.1e} after "
        f"{iteration} iterations",
        allowed=f"{tol:.0e}, {np.sqrt(tol) / 1000:.0e} and {max(tol, ROUGHEST):.0e}",
        fix="A coefficient or an effect probably runs to infinity: keep the separation checks on, or drop the regressor.",
    )


def _rescale(problem: _Problem, eta: Array) -> Array:
    """Set each effect in turn to its closed-form optimum given everything else.

    A Newton step moves the index of a level that trades next to nothing by about one at a time; this moves it at once. The
    deviance can only fall.
    """
    if problem.layout is None:
        return eta
    for factor in problem.layout.factors:
        if isinstance(factor, Slope):  # has no closed form
            continue
        ratio = factor.sums(problem.w * problem.y) / factor.sums(problem.w * np.exp(eta))
        eta = eta + np.log(ratio)[factor.codes]
    return eta


def _line_search(problem: _Problem, eta: Array, target: Array, dev: float) -> tuple[Array, float]:
    """Go to ``target``, or half way again and again until the deviance does not rise."""
    share = 1.0
    while share > 1e-10:
        eta_new = np.maximum(eta + share * (target - eta), _LOG_SMALLEST)
        if eta_new.max() < -_LOG_SMALLEST:
            dev_new = deviance(problem.y, np.exp(eta_new), problem.w)
            if dev_new <= dev + 1e-10 * (abs(dev) + 1):
                return eta_new, dev_new
        share /= 2
    raise NotConverged(
        "Poisson regression cannot lower its deviance any further",
        found=f"deviance {dev:.6g}",
        fix="Check for regressors of very different scale or for separated observations.",
    )


def _result(
    problem: _Problem,
    keep: Mask,
    step: LeastSquares,
    within: Array,
    effects: list[Array],
    mu: Array,
    unit: float,
    iteration: int,
) -> PoissonFit:
    """Put the last regression, at the solution's weights, into the unit of the data."""
    y, w = problem.y, problem.w
    scores = []
    for f, along in zip(problem.layout.factors, problem.layout.scaled, strict=True) if problem.layout else ():
        level = levels_of(f)
        pull = w * (y - mu)
        scores.append(np.abs(level.sums(pull if along is None else pull * along)) / level.sums(w * y))
    X, lost = problem.X, deviance(y, mu, w) * unit
    scores.append(np.abs(X.T @ (w * (y - mu))) / np.maximum(np.abs(X).T @ (w * (y + mu)), 1e-300))
    return PoissonFit(
        beta=step.beta,
        kept=keep,
        mu=mu * unit,
        root=step.root / np.sqrt(unit),
        within=within,
        effects=tuple(effects),
        deviance=lost,
        log_likelihood=log_likelihood(y * unit, lost, w),
        iterations=iteration - 1,
        score=max(float(s.max(initial=0.0)) for s in scores),
    )
