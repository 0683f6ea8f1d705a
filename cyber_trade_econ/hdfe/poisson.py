"""Poisson pseudo maximum likelihood with absorbed effects, by iteratively reweighted least squares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import conjugate
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import levels_of
from cyber_trade_econ.hdfe.leastsquares import Within_co, independent, solve, weighted_lengths
from cyber_trade_econ.hdfe.poisson_problem import LOG_LARGEST, NO_STEP, Point, Problem, deviance, log_likelihood, secant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Effect, Mask

ROUGHEST = 1e-8
"""Relative score that is returned at a stricter tolerance too, where rounding allows no smaller one."""

PATIENCE = 3
"""Steps that bring the totals of the effects no nearer to the observed ones, after which a fit is given up."""

_EXACT = 1e-11  # relative residual of effects with which the last step is taken
_FAR = 0.01  # share of a step taken below which the next one is kept from running past outcomes
_LATE = 1e-4  # mean step from which on the regressors net of effects must be exact
_CLOSING_ROUNDS = 30


@dataclass(frozen=True)
class PoissonFit(Generic[Within_co]):
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
        Kept columns net of the effects at the solution's weights, shape (n, k): score rows are ``within * (y - mu) * w``. An
        array, or a `cyber_trade_econ.hdfe.net.Net`.
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
    within: Within_co
    effects: tuple[Array, ...]
    deviance: float
    log_likelihood: float
    iterations: int
    score: float


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
) -> PoissonFit[Array]:
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
    regressors and from what is lacking of the outcome, at the current weights, and runs least squares on what is left. A step
    is an increment, so that its rounding is a share of the step and not of the index, and proportional scaling after it
    serves the levels that trade next to nothing, of which the step hardly knows.
    """
    unit = float(np.average(y, weights=w))  # on y / mean(y), so that results do not depend on the unit of trade
    layout = Layout(factors) if factors else None
    totals = [levels_of(f).sums(w * y) / unit for f in factors]
    logs = np.log(y / unit, out=np.zeros_like(y), where=y > 0)
    problem, keep, point, state = _first(Problem(y / unit, X, layout, w, offset - np.log(unit), totals, logs), stretch)
    span = np.ptp(problem.X, axis=0)
    dev, share, stalled = problem.deviance(point), 1.0, 0
    change = moved = worst = np.inf
    for iteration in range(2, max_iterations + 1):
        far = share < _FAR
        weights = w * (secant(problem.y, point.mu) if far else point.mu)
        # A step need not be more exact than it is long; the last is what is returned.
        enough = max(conjugate.TOLERANCE, min(1e-4, 1e-3 * moved**2))
        start = [np.column_stack([s, np.zeros(len(s))]) for s in state]
        lacking = w * (problem.y - point.mu) / weights
        net, state = problem.absorb(lacking, weights, start, enough, exact=moved < _LATE)
        step = solve(net[:, :-1], net[:, -1], weights)
        along = [s[:, -1] - s[:, :-1] @ step.beta for s in state]
        state = [s[:, :-1] for s in state]
        before, (point, dev_new, share) = point, _line_search(problem, point, step.beta, along, dev)
        moved = float(np.sqrt(np.average((point.eta - before.eta) ** 2, weights=weights)))
        # A coefficient that runs to infinity moves on by as much with every step, on rows whose means no average sees.
        jump = np.max(np.abs(step.beta) * span, initial=0.0)
        if enough <= _EXACT and not far and change < tol and moved < np.sqrt(tol) / 1000 and jump < np.sqrt(tol):
            point, score = _closed(problem, point, tol)
            if score <= tol or worst / 10 < score <= ROUGHEST:
                return _result(problem, keep, point, state, unit, score, iteration)
            stalled += score > worst / 2
            if stalled == PATIENCE:
                break
            worst = min(score, worst)
        else:
            point = problem.balanced(point)
        change = abs(dev - dev_new) / max(abs(dev_new), 0.1)  # the next step must find it small: weights settle last
        dev = problem.deviance(point)
    raise NotConverged(
        "Poisson regression did not converge",
        found=f"relative deviance change {change:.1e}, mean step {moved:.1e} and totals of effects off by {worst:.1e} after "
        f"{iteration} iterations",
        allowed=f"{tol:.0e}, {np.sqrt(tol) / 1000:.0e} and {max(tol, ROUGHEST):.0e}",
        fix=NO_STEP,
    )


def _first(problem: Problem, stretch: Array | float) -> tuple[Problem, Mask, Point, list[Array]]:
    """Take the first step of reweighted least squares, which also judges collinearity.

    Returns the problem of the columns kept, which these are, where it leads and the effects of the columns.
    """
    y = problem.y
    weights = problem.w * (y + 1) / 2
    working = np.log((y + 1) / 2) - problem.offset + (y - 1) / (y + 1)
    net, state = problem.absorb(working, weights, None, conjugate.TOLERANCE, exact=True)
    keep = independent(net[:, :-1], weights, weighted_lengths(problem.X, weights) * stretch)
    problem = replace(problem, X=problem.X[:, keep])
    step = solve(net[:, :-1][:, keep], net[:, -1], weights)
    state = [s[:, np.append(keep, True)] for s in state]
    point = problem.at(step.beta, [s[:, -1] - s[:, :-1] @ step.beta for s in state])
    if point.eta.max() > LOG_LARGEST:
        point = problem.at(np.zeros(len(step.beta)), [np.zeros(len(s)) for s in state])
    return problem, keep, problem.balanced(point), [s[:, :-1] for s in state]


def _line_search(
    problem: Problem, point: Point, beta: Array, effects: list[Array], dev: float
) -> tuple[Point, float, float]:
    """Take the step, or half of it again and again until the deviance does not rise.

    Returns where it leads, the deviance there and the share of the step taken.
    """
    share = 1.0
    while share > 1e-10:
        moved = [effect + share * more for effect, more in zip(point.effects, effects, strict=True)]
        there = problem.at(point.beta + share * beta, moved)
        if there.eta.max() < LOG_LARGEST:
            reached = problem.deviance(there)
            if reached <= dev + 1e-10 * (abs(dev) + 1):
                return there, reached, share
        share /= 2
    raise NotConverged(
        "Poisson regression cannot lower its deviance any further",
        found=f"deviance {dev:.6g}",
        fix="Check for regressors of very different scale or for separated observations.",
    )


def _closed(problem: Problem, point: Point, tol: float) -> tuple[Point, float]:
    """Scale levels that trade next to nothing to their totals while it helps; return also the largest relative score."""
    score = problem.score(point)
    for _ in range(_CLOSING_ROUNDS):
        if score <= tol:
            break
        there = problem.balanced(point)
        reached = problem.score(there)
        if reached > score / 1.2:
            break
        point, score = there, reached
    return point, score


def _result(
    problem: Problem,
    keep: Mask,
    point: Point,
    state: list[Array],
    unit: float,
    score: float,
    iteration: int,
) -> PoissonFit[Array]:
    """Put the solution into the unit of the data; ``state`` holds nearly what effects take out of the regressors there.

    They are taken out at the solution's own weights: those of the last step would leave sums by level that are not zero.
    """
    weights = problem.w * point.mu
    nothing = np.zeros(len(weights))
    start = [np.column_stack([s, np.zeros(len(s))]) for s in state]
    net, _ = problem.absorb(nothing, weights, start, conjugate.TOLERANCE, exact=True)
    within = net[:, :-1]
    root = solve(within, nothing, weights).root
    lost = problem.deviance(point) * unit
    return PoissonFit(
        beta=point.beta,
        kept=keep,
        mu=point.mu * unit,
        root=root / np.sqrt(unit),
        within=within,
        effects=tuple(point.effects),
        deviance=lost,
        log_likelihood=log_likelihood(problem.y * unit, lost, problem.w),
        iterations=iteration - 1,
        score=score,
    )


__all__ = ["PoissonFit", "deviance", "fit", "log_likelihood"]
