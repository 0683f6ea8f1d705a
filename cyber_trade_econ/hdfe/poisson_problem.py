"""The Poisson likelihood of rows with regressors and absorbed effects, at one point and around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe import conjugate
from cyber_trade_econ.hdfe.factor import Slope, levels_of
from cyber_trade_econ.hdfe.factorial import saturated

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.absorb import Layout
    from cyber_trade_econ.hdfe.factor import Array

LOG_LARGEST = 700.0
"""Index above which a point counts as out of reach."""

NO_STEP = (
    "Either a coefficient or an effect runs to infinity: keep the separation checks on. Or regressors are collinear but for "
    "rounding: drop one of them."
)
"""What to do where no step raises the likelihood any more."""

_LOG_SMALLEST = -600.0  # exp of it is a normal double, and so is what an outcome is over it


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
    return saturated(y, w) - deviance / 2


@dataclass(frozen=True)
class Point:
    """Coefficients and effects, with the index and the means that they give, (n,)."""

    beta: Array
    effects: list[Array]
    eta: Array
    mu: Array


@dataclass(frozen=True)
class Problem:
    """The data of one fit, in the unit in which the mean outcome is one."""

    y: Array
    X: Array
    layout: Layout | None
    w: Array
    offset: Array
    totals: list[Array]  # weighted outcome by level of each effect
    logs: Array  # of the outcome, zero where that is zero

    def absorb(
        self, last: Array, weights: Array, start: list[Array] | None, tolerance: float, *, exact: bool
    ) -> tuple[Array, list[Array]]:
        """Return the regressors and ``last`` net of the effects, and the effects (from which the next call may start).

        ``exact`` says whether regressors that rounding keeps from being solved for are an error.
        """
        values = np.column_stack([self.X, last])
        if self.layout is None:
            return values, []
        accepted = np.full(values.shape[1], conjugate.ACCEPTED if exact else conjugate.ANY)
        accepted[-1] = conjugate.ANY  # a step that is not exact is followed by another
        return self.layout.weighted(weights).absorb(values, start, tolerance, accepted)

    def at(self, beta: Array, effects: list[Array]) -> Point:
        """Return the point of these coefficients and effects."""
        eta = self.X @ beta + self.offset
        if self.layout is not None:
            for factor, scaled, effect in zip(self.layout.factors, self.layout.scaled, effects, strict=True):
                eta += effect[factor.codes] if scaled is None else effect[factor.codes] * scaled
        np.maximum(eta, _LOG_SMALLEST, out=eta)
        return Point(beta, effects, eta, np.exp(np.minimum(eta, LOG_LARGEST)))

    def balanced(self, point: Point) -> Point:
        """Set each effect in turn to its closed-form optimum given everything else.

        A Newton step moves the index of a level that trades next to nothing by about one at a time; this moves it at once.
        The deviance can only fall.
        """
        if self.layout is None:
            return point
        effects, mu = list(point.effects), point.mu.copy()
        for g, (factor, total) in enumerate(zip(self.layout.factors, self.totals, strict=True)):
            if isinstance(factor, Slope):  # has no closed form
                continue
            ratio = np.divide(total, factor.sums(self.w * mu), out=np.ones_like(total), where=total > 0)
            mu *= ratio[factor.codes]
            np.maximum(mu, np.exp(_LOG_SMALLEST), out=mu)
            effects[g] = effects[g] + np.log(ratio)
        return Point(point.beta, effects, np.log(mu), mu)

    def deviance(self, point: Point) -> float:
        """Return the deviance of a point."""
        off = self.logs - point.eta
        off *= self.y
        off += point.mu
        off -= self.y
        return 2 * float(self.w @ off)

    def score(self, point: Point) -> float:
        """Return the largest score of a coefficient or an effect, relative to the outcome that it sums."""
        pull = self.w * (self.y - point.mu)
        scores = [np.abs(self.X.T @ pull) / np.maximum(np.abs(self.X).T @ (self.w * (self.y + point.mu)), 1e-300)]
        if self.layout is not None:
            for f, along, total in zip(self.layout.factors, self.layout.scaled, self.totals, strict=True):
                sums = levels_of(f).sums(pull if along is None else pull * along)
                scores.append(np.abs(sums) / np.maximum(total, 1e-300))
        return max(float(s.max(initial=0.0)) for s in scores)


def secant(y: Array, mu: Array) -> Array:
    """Return curvatures with which a step of one row alone leads no further than to its outcome.

    Newton's would take a mean of a thousandth of the outcome to its exponential of a thousand.
    """
    out, low = mu.copy(), y > 2 * mu
    out[low] = (y[low] - mu[low]) / np.log(y[low] / mu[low])
    return np.asarray(out)
