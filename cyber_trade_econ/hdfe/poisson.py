"""Poisson pseudo maximum likelihood with absorbed effects, by iteratively reweighted least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import xlogy

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.leastsquares import LeastSquares, independent, solve, weighted_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask

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
        Effects by factor, each (levels,).
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
    ratio = np.where(y > 0, y, 1.0) / np.where(y > 0, mu, 1.0)
    return float(2 * np.sum(w * (y * np.log(ratio) - (y - mu))))


def log_likelihood(y: Array, mu: Array, w: Array) -> float:
    """Poisson log likelihood, the constant ``log(y!)`` (gamma function) included."""
    from scipy.special import gammaln

    return float(np.sum(w * (xlogy(y, mu) - mu - gammaln(y + 1))))


@dataclass(frozen=True)
class _Problem:
    """The data of one fit, in the unit in which the mean outcome is one."""

    y: Array
    X: Array
    layout: Layout | None
    w: Array
    offset: Array

    def absorb(self, values: Array, weights: Array, start: list[Array] | None) -> tuple[Array, list[Array]]:
        """Return ``values`` net of the effects, and the effects (from which the next call may start)."""
        if self.layout is None:
            return values, []
        projector = self.layout.weighted(weights)
        effects = projector.effects(values, start or None)
        return projector.residual(values, effects), effects


def fit(
    y: Array,
    X: Array,
    factors: Sequence[Factor],
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
        one is of the order of its square.
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
    change = moved = np.inf
    for iteration in range(1, max_iterations + 1):
        mu = np.exp(eta)
        working = eta - problem.offset + (problem.y - mu) / mu
        net, state = problem.absorb(np.column_stack([problem.X, working]), w * mu, state)
        if iteration == 1:
            keep = independent(net[:, :-1], w * mu, weighted_lengths(X, w * mu) * stretch)
            problem = _Problem(problem.y, X[:, keep], layout, w, problem.offset)
            both = np.append(keep, True)
            net, state = net[:, both], [s[:, both] for s in state]
        step = solve(net[:, :-1], net[:, -1], w * mu)
        target = working - step.residual + problem.offset
        moved = float(np.sqrt(np.average((target - eta) ** 2, weights=w * mu)))
        if change < tol and moved < np.sqrt(tol) / 1000:
            return _result(problem, keep, step, net[:, :-1], state, np.exp(target), unit, iteration)
        eta, dev_new = _line_search(problem, eta, target, dev)
        eta = _rescale(problem, eta)
        change, dev = abs(dev - dev_new) / max(abs(dev_new), 0.1), dev_new
    raise NotConverged(
        "Poisson regression did not converge",
        found=f"relative deviance change {change:.1e} and mean step {moved:.1e} after {max_iterations} iterations",
        allowed=f"{tol:.0e} and {np.sqrt(tol) / 1000:.0e}",
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
    state: list[Array],
    mu: Array,
    unit: float,
    iteration: int,
) -> PoissonFit:
    """Put the last regression, at the solution's weights, into the unit of the data."""
    y, w = problem.y, problem.w
    scores = [np.abs(f.sums(w * (y - mu))) / f.sums(w * y) for f in (problem.layout.factors if problem.layout else ())]
    X = problem.X
    scores.append(np.abs(X.T @ (w * (y - mu))) / np.maximum(np.abs(X).T @ (w * y), 1e-300))
    return PoissonFit(
        beta=step.beta,
        kept=keep,
        mu=mu * unit,
        root=step.root / np.sqrt(unit),
        within=within,
        effects=tuple(s[:, -1] - s[:, :-1] @ step.beta for s in state),
        deviance=deviance(y, mu, w) * unit,
        log_likelihood=log_likelihood(y * unit, mu * unit, w),
        iterations=iteration - 1,
        score=max(float(s.max(initial=0.0)) for s in scores),
    )
