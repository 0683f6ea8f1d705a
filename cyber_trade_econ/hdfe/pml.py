"""Pseudo maximum likelihood of an exponential mean with absorbed effects, for any family whose objective is concave.

One step solves the Newton equations by conjugate gradients in a metric of positive weights: a step of the metric alone is one
weighted projection on regressors and effects. Where the metric is the curvature itself the first projection is the solution;
where the curvature vanishes on some rows (a gamma model at an outcome of zero) the metric keeps the projection well posed and
is factorised once for the whole fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cyber_trade_econ.errors import NotConverged, SeparationError
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Factor
from cyber_trade_econ.hdfe.leastsquares import independent, solve, weighted_lengths
from cyber_trade_econ.hdfe.metric import Absorber, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Effect, Mask

_LARGEST_INDEX = 690.0  # exp of it and of its negative are still normal doubles
_FLAT = 1e-10  # curvature below this share of the metric counts as none
_ROUNDING = 1e-11  # a mean residual of the index below this is rounding
_SWEEPS = 3
_MAX_CG = 300


class Family(Protocol):
    """What a pseudo likelihood says of one row, as functions of outcome and mean, each of shape (n,)."""

    def objective(self, y: Array, eta: Array, /) -> Array:
        """Return the pseudo log likelihood at the index ``eta = log(mu)``, up to terms in ``y`` alone; concave in ``eta``."""
        ...

    def share(self, y: Array, mu: Array, /) -> Array:
        """Return the weight of the residual in the score: the derivative by the index is ``share * (y - mu)``."""
        ...

    def curvature(self, y: Array, mu: Array, /) -> Array:
        """Return minus the second derivative by the index, not negative."""
        ...

    def metric(self, y: Array, mu: Array, /) -> Array:
        """Return positive weights near the curvature; the curvature itself where that is always positive."""
        ...

    def information(self, y: Array, mu: Array, /) -> Array:
        """Return the expected curvature."""
        ...


@dataclass(frozen=True)
class PmlFit:
    """A converged fit.

    Parameters
    ----------
    beta, kept, effects, iterations, score
        As in `cyber_trade_econ.hdfe.poisson.PoissonFit`.
    eta
        Index, shape (n,).
    root, within, slope
        With B the ``root`` (k, k), a row moves the coefficients by ``B B' within * slope``: rows of shape (k,) times the
        derivative of the objective by the row's index, weights included.
    """

    beta: Array
    kept: Mask
    eta: Array
    root: Array
    within: Array
    slope: Array
    effects: tuple[Array, ...]
    iterations: int
    score: float


def fit(
    family: Family,
    y: Array,
    X: Array,
    factors: Sequence[Effect],
    w: Array,
    offset: Array,
    *,
    stretch: Array | float = 1.0,
    tol: float = 1e-8,
    start: Array | None = None,
    observed: bool = True,
    max_iterations: int = 200,
) -> PmlFit:
    """Maximise the sum of ``w * family.objective(y, X beta + effects + offset)``.

    Parameters
    ----------
    family
        Pseudo likelihood of a row.
    y, X, factors, w, offset, stretch
        As in `cyber_trade_econ.hdfe.poisson.fit`.
    tol
        The fit ends with the first Newton step that moves the index by less than ``sqrt(tol) / 1000`` on weighted average.
    start
        Index of a similar problem, which must be reachable by regressors, effects and offset.
    observed
        Whether the bread of the covariance is the observed curvature or the expected one.
    max_iterations
        Steps after which the fit is given up.

    Raises
    ------
    NotConverged
        After ``max_iterations`` steps, when the index leaves the range of the exponential, or when the objective cannot be
        raised.
    SeparationError
        When the objective rises for ever along a combination of regressors and effects without curvature.
    """
    layout = Layout(factors) if factors else None
    span = Span(X, layout, w)
    keep = independent(span.net, w, weighted_lengths(X, w) * stretch)
    span.keep(keep)
    X = X[:, keep]
    eta = start if start is not None else _start(family, y, factors, w, offset, span)
    moved = np.inf
    for iteration in range(1, max_iterations + 1):
        mu = np.exp(eta)
        metric = w * family.metric(y, mu)
        if not np.array_equal(metric, span.weights):
            span = Span(X, layout, metric)
        slope = w * family.share(y, mu) * (y - mu)
        step, solved = _newton(span, slope, w * family.curvature(y, mu), 1e-3 if moved > 1e-2 else 1e-7)
        moved = float(np.sqrt(np.average(step**2, weights=metric)))
        if solved and moved < np.sqrt(tol) / 1000:
            problem = _Solved(family, y, X, w, eta + step, keep, iteration)
            return _result(problem, factors, span, offset, observed=observed)
        eta = _line_search(family, y, w, eta, step, slope)
    raise NotConverged(
        "pseudo maximum likelihood did not converge",
        found=f"mean step {moved:.1e} after {max_iterations} iterations",
        allowed=f"{np.sqrt(tol) / 1000:.0e}",
        fix="A coefficient or an effect probably runs to infinity: check the zeros and the regressors' scales.",
    )


def _start(family: Family, y: Array, factors: Sequence[Effect], w: Array, offset: Array, span: Span) -> Array:
    """Regress the logarithm of the outcome, moved off zero, and scale each effect towards its first-order condition."""
    positive = y > 0
    small = np.exp(np.average(np.log(y[positive]), weights=w[positive]))
    eta = offset + span.project(np.log(y + small) - offset)
    for _ in range(_SWEEPS):
        for factor in (f for f in factors if isinstance(f, Factor)):
            mu = np.exp(np.clip(eta, -_LARGEST_INDEX, _LARGEST_INDEX))
            weight = w * family.share(y, mu)
            with np.errstate(divide="ignore"):
                eta = eta + np.log(factor.sums(weight * y) / factor.sums(weight * mu))[factor.codes]
    if not np.isfinite(eta).all() or np.abs(eta).max() > _LARGEST_INDEX:
        return offset + span.project(np.full(len(y), np.log(np.average(y, weights=w))) - offset)
    return eta


def _newton(span: Span, slope: Array, curvature: Array, tolerance: float) -> tuple[Array, bool]:
    """Solve the Newton equations within the span: ``P (curvature / metric) step = P (slope / metric)``.

    Also returned is whether they are solved; if not, the step still leads uphill.
    """
    metric = span.weights
    right = span.project(slope / metric)
    if np.array_equal(curvature, metric):
        return right, True
    step = np.zeros_like(right)
    r, p = right, right
    rr = float(np.sum(metric * r * r))
    goal = max(tolerance**2 * rr, _ROUNDING**2 * float(metric.sum()))
    for _ in range(_MAX_CG):
        if rr <= goal:
            return step, True
        q = span.project(curvature * p / metric)
        bend = float(np.sum(curvature * p * p))
        if bend <= _FLAT * float(np.sum(metric * p * p)):
            pulled = int((np.abs(p) > 1e-6 * np.abs(p).max())[curvature == 0].sum())
            raise SeparationError(
                "the estimate does not exist for this sample",
                found=f"a combination of regressors and effects along which the likelihood rises for ever: {pulled} row(s) "
                "with an outcome of zero pull it to infinity",
                fix="Use PPML, or leave the zeros out if they are not part of the question.",
            )
        length = rr / bend
        step = step + length * p
        r = r - length * q
        rr, before = float(np.sum(metric * r * r)), rr
        p = r + (rr / before) * p
    return step, False


def _line_search(family: Family, y: Array, w: Array, eta: Array, step: Array, slope: Array) -> Array:
    """Take the step, or half of it again and again until the objective rises."""
    now = family.objective(y, eta)
    slack = 1e-13 * float(np.sum(w * np.abs(now)))
    gain = float(np.sum(slope * step))
    share = 1.0
    while share > 1e-10:
        new = eta + share * step
        if np.abs(new).max() <= _LARGEST_INDEX:
            rise = float(np.sum(w * (family.objective(y, new) - now)))
            if rise >= 1e-4 * share * gain - slack:
                return np.asarray(new)
        share /= 2
    raise NotConverged(
        "pseudo maximum likelihood cannot raise its objective any further",
        found=f"an index between {eta.min():.0f} and {eta.max():.0f}",
        fix="The estimate probably does not exist, or the regressors are of very different scale.",
    )


@dataclass(frozen=True)
class _Solved:
    """A problem and the index that solves it."""

    family: Family
    y: Array
    X: Array
    w: Array
    eta: Array
    keep: Mask
    iterations: int


def _result(at: _Solved, factors: Sequence[Effect], span: Span, offset: Array, *, observed: bool) -> PmlFit:
    """Read coefficients and effects off the index, and weigh the regressors for the covariance."""
    family, y, X, w, eta = at.family, at.y, at.X, at.w, at.eta
    mu = np.exp(eta)
    bread = w * (family.curvature(y, mu) if observed else family.information(y, mu))
    slope = w * family.share(y, mu) * (y - mu)
    size = w * family.share(y, mu) * (y + mu)
    scores = [np.abs(f.sums(slope)) / f.sums(size) for f in factors if isinstance(f, Factor)]
    scores.append(np.abs(X.T @ slope) / np.maximum(np.abs(X).T @ size, 1e-300))
    net, state = span.absorb(np.column_stack([X, eta - offset]))
    final = solve(net[:, :-1], net[:, -1], span.weights)
    beta = final.beta
    if (bread > 0).all():
        within, _ = Absorber(span.layout, bread)(X)
        root = solve(within, np.zeros_like(y), bread).root
    else:  # rows without curvature: from the metric's influence of each row on the coefficients to the curvature's
        influence = net[:, :-1] @ final.root @ final.root.T
        size = np.sqrt(np.average(influence**2, axis=0, weights=span.weights))  # of order one, as `_newton` expects
        within = np.zeros_like(influence)
        for j, column in enumerate((influence / size).T):
            solution, solved = _newton(span, span.weights * column, bread, 1e-9)
            within[:, j] = solution / size[j]
            if not solved:
                raise NotConverged(
                    f"the covariance of coefficient number {j + 1} did not converge",
                    fix="The estimate hardly exists: leave out zeros or use PPML.",
                )
        root = np.diag(size)
    return PmlFit(
        beta=beta,
        kept=at.keep,
        eta=eta,
        root=root,
        within=within,
        slope=slope,
        effects=tuple(s[:, -1] - s[:, :-1] @ beta for s in state),
        iterations=at.iterations,
        score=max(float(s.max(initial=0.0)) for s in scores),
    )


__all__ = ["Family", "PmlFit", "fit"]
