"""Negative-binomial pseudo maximum likelihood (variance ``mu + alpha mu^2``) for trade flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import optimize
from scipy.special import betaln, digamma, xlogy

from cyber_trade_econ.errors import ConfigError, NotConverged, NotIdentified
from cyber_trade_econ.fit import SEPARATION, Options
from cyber_trade_econ.gravity.pseudo_likelihood import Sample, estimate, sample
from cyber_trade_econ.inference.given import is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.hdfe.pml import PmlFit
    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

CAVEAT = (
    "The estimate depends on the unit of the outcome: measured in larger units it moves towards Poisson, in smaller units "
    "towards gamma pseudo maximum likelihood (Bosquet and Boulhol 2014)."
)
_ROUNDS = 200
_REACH = 25.0  # how far the search for log alpha goes from where it starts
_NOT_OVERDISPERSED = 1e-5  # alpha times the mean outcome below this: the score is rounding from there on


class _NegativeBinomial:
    """Variance ``mu + alpha mu^2`` with a given ``alpha``; concave in the index for every ``alpha``."""

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha

    def objective(self, y: Array, eta: Array, /) -> Array:
        return np.asarray(y * eta - (y + 1 / self.alpha) * np.log1p(self.alpha * np.exp(eta)))

    def share(self, _y: Array, mu: Array, /) -> Array:
        return 1 / (1 + self.alpha * mu)

    def curvature(self, y: Array, mu: Array, /) -> Array:
        return mu * (1 + self.alpha * y) / (1 + self.alpha * mu) ** 2

    metric = curvature

    def information(self, _y: Array, mu: Array, /) -> Array:
        return mu / (1 + self.alpha * mu)


def negbin(
    formula: str,
    data: pd.DataFrame | Panel,
    *,
    alpha: float | None = None,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
    separation: Sequence[str] | Literal["error"] = SEPARATION,
    collinear: Literal["error", "drop"] = "error",
    tol: float = 1e-8,
) -> Estimate:
    """Estimate ``E[y] = exp(x'b + effects)`` by negative-binomial (NB2) pseudo maximum likelihood.

    It solves ``sum x (y - mu) / (1 + alpha mu) = 0``, between PPML (``alpha`` to zero) and gamma PML (``alpha`` to infinity).
    **The result depends on the unit of the outcome** (Bosquet and Boulhol 2014): trade in million or in thousand dollars
    gives other elasticities. Trade values have no natural unit, so PPML is the better choice; this is for comparison with
    papers and for counts.

    Parameters
    ----------
    formula, data, ssc, weights, offset, separation, collinear, tol
        As in `cyber_trade_econ.ppml`; the estimate exists on the same samples.
    alpha
        Dispersion, in the inverse of the outcome's unit. Without it, it is estimated by maximum likelihood together with the
        coefficients, as in R's glm.nb and Stata's nbreg.
    vcov
        As in `cyber_trade_econ.ppml`. ``"iid"`` is the expected information and trusts the variance; the others have the
        observed information as bread. ``alpha`` is taken as known, which is right to first order when the mean is.

    Returns
    -------
    Estimate; ``facts`` hold ``alpha``, how it came about, and ``caveats`` on units.

    Raises
    ------
    NotIdentified
        When the outcome is not overdispersed, so that the likelihood has its maximum at ``alpha = 0``: that is PPML.
    FormulaError, BadOutcome, BadRegressor, EmptySample, Collinear, SeparationError, FewClusters, NotConverged, ConfigError

    References
    ----------
    Gourieroux, Monfort and Trognon (1984), https://doi.org/10.2307/1913472; Bosquet and Boulhol (2014),
    https://doi.org/10.1080/07474938.2013.806102.
    """
    if alpha is not None and not (is_number(alpha) and 1e-12 <= alpha <= 1e12):
        raise ConfigError("alpha", found=repr(alpha), allowed="a number from 1e-12 to 1e12, or None to estimate it")
    s = sample("NB PML", formula, data, Options(vcov, ssc, weights, offset, collinear, separation, tol))
    chosen, fit, rounds = (alpha, s.fit(_NegativeBinomial(alpha)), 1) if alpha is not None else _jointly(s)
    facts = {
        "alpha": chosen,
        "alpha_from": "the call" if alpha is not None else "maximum likelihood",
        "caveats": [CAVEAT],
        "log_likelihood": _log_likelihood(s.design.y, fit.eta, s.design.w, chosen),
        "iterations": fit.iterations,
        "rounds": rounds,
        "largest_relative_score": fit.score,
    }
    scores = fit.within * fit.slope[:, None]
    return estimate(s, fit.beta, fit.kept, fit.root, scores, fit.effects, facts=facts)


def _jointly(s: Sample) -> tuple[float, PmlFit, int]:
    """Alternate between the coefficients given ``alpha`` and ``alpha`` given the fit, whose information is orthogonal."""
    y, w = s.design.y, s.design.w
    mean = float(np.average(y, weights=w))
    log_alpha = -np.log(max(mean, 1e-9))
    start = None
    for rounds in range(1, _ROUNDS + 1):
        fit = s.fit(_NegativeBinomial(float(np.exp(log_alpha))), start)
        start = fit.eta
        before, log_alpha = log_alpha, _best(y, fit.eta, w, log_alpha)
        if log_alpha + np.log(mean) < np.log(_NOT_OVERDISPERSED):
            raise NotIdentified(
                f"the dispersion of {s.formula}",
                found="an outcome without overdispersion: the likelihood rises as alpha falls to zero",
                fix="Use PPML, which is this model at alpha = 0, or name alpha.",
            )
        if abs(log_alpha - before) < 1e-8:
            return float(np.exp(before)), fit, rounds
    raise NotConverged(
        "the dispersion of the negative-binomial model did not settle",
        found=f"a change of {abs(log_alpha - before):.1e} in its logarithm after {_ROUNDS} rounds",
        allowed="1e-8",
        fix="Name alpha.",
    )


def _best(y: Array, eta: Array, w: Array, near: float) -> float:
    """Return the log of the most likely ``alpha`` at the index ``eta``: the root of the score where there is one."""
    mu = np.exp(eta)

    def score(log_alpha: float) -> float:
        a = float(np.exp(log_alpha))
        r = 1 / a
        rows = digamma(y + r) - digamma(r) - np.log1p(a * mu) - (y - mu) / (mu + r)
        return float(-np.sum(w * rows) * r)  # derivative by log alpha

    low, high = near - 1.0, near + 1.0
    floor, ceiling = near - _REACH, near + _REACH
    while score(low) < 0 and low > floor:
        low -= 2.0
    while score(high) > 0 and high < ceiling:
        high += 2.0
    if score(low) < 0:
        return float(low)
    if score(high) > 0:
        return float(high)
    return float(optimize.brentq(score, low, high, xtol=1e-12))


def _log_likelihood(y: Array, eta: Array, w: Array, alpha: float) -> float:
    """Log likelihood at ``alpha``, constants included."""
    r = 1 / alpha
    mu = np.exp(eta)
    some = np.where(y > 0, y, 1.0)
    constant = np.where(y > 0, -betaln(some, r) - np.log(some), 0.0)  # log of gamma(y + r) / gamma(r) / gamma(y + 1)
    rows = constant + xlogy(y, alpha * mu) - (y + r) * np.log1p(alpha * mu)
    return float(np.sum(w * rows))
