"""Expectiles of trade flows by asymmetric Poisson pseudo maximum likelihood."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import xlogy

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import SEPARATION, Options
from cyber_trade_econ.gravity.pseudo_likelihood import estimate, sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

CAVEAT = (
    "A conditional expectile is not a quantile, and its coefficients describe where flows lie given regressors and effects, "
    "not what happens to flows that are small or large; effects with few rows shift the tails (incidental parameters)."
)


class _AsymmetricPoisson:
    """Poisson deviance that counts ``tau`` where the outcome lies above the fit and ``1 - tau`` where it lies below."""

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def objective(self, y: Array, eta: Array, /) -> Array:
        mu = np.exp(eta)
        log_y = np.log(np.where(y > 0, y, 1.0))
        return self.share(y, mu) * (y * (eta - log_y) - (mu - y))  # zero at mu = y, so that it has no jump there

    def share(self, y: Array, mu: Array, /) -> Array:
        return np.where(y > mu, self.tau, 1 - self.tau) * 2  # both one at tau = 1/2

    def curvature(self, y: Array, mu: Array, /) -> Array:
        return self.share(y, mu) * mu

    metric = curvature
    information = curvature


def expectile(
    formula: str,
    data: pd.DataFrame | Panel,
    *,
    tau: float,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
    separation: Sequence[str] | Literal["error"] = SEPARATION,
    collinear: Literal["error", "drop"] = "error",
    tol: float = 1e-8,
) -> Estimate:
    """Estimate the conditional ``tau``-expectile of ``y`` as ``exp(x'b + effects)``.

    It solves ``sum x |tau - 1(y < mu)| (y - mu) = 0``: PPML that weighs flows above the fit by ``tau`` and flows below it by
    ``1 - tau``. At ``tau = 0.5`` it is PPML; zeros are kept, and the unit of the outcome does not matter.

    It stands in for quantile regression, which is not offered: with thousands of effects a quantile is not identified where
    an effect has few rows, its check function has no curvature to solve for effects with, and below the share of zeros every
    quantile is zero. Expectiles move through the distribution as quantiles do and have none of these problems but the first,
    which ``facts["caveats"]`` repeat. For few effects, statsmodels' ``QuantReg`` of the logarithm of positive flows is a
    quantile regression of the flows themselves, for quantiles pass through logarithms.

    Parameters
    ----------
    formula, data, ssc, weights, offset, separation, collinear, tol
        As in `cyber_trade_econ.ppml`; the estimate exists on the same samples, for every ``tau``.
    tau
        Level, strictly between 0 and 1.
    vcov
        As in `cyber_trade_econ.ppml`, but for ``"iid"``: an expectile has no information matrix.

    Returns
    -------
    Estimate; ``facts`` hold ``tau``, the share of rows above the fit and ``caveats``.

    Raises
    ------
    FormulaError, BadOutcome, BadRegressor, EmptySample, Collinear, SeparationError, FewClusters, NotConverged, ConfigError

    References
    ----------
    Newey and Powell (1987), https://doi.org/10.2307/1911031; Efron (1992), https://doi.org/10.1080/01621459.1992.10475180.
    """
    if not (isinstance(tau, Real) and 0 < tau < 1):
        raise ConfigError("tau", found=repr(tau), allowed="a number strictly between 0 and 1")
    options = Options(vcov, ssc, weights, offset, collinear, separation, tol)
    s = sample("Expectile PML", formula, data, options, iid=False)
    family = _AsymmetricPoisson(tau)
    fit = s.fit(family)
    y, w, mu = s.design.y, s.design.w, np.exp(fit.eta)
    facts = {
        "tau": tau,
        "share_above": float(np.average(y > mu, weights=w)),
        "caveats": [CAVEAT],
        "deviance": float(2 * np.sum(w * family.share(y, mu) * (xlogy(y, np.where(y > 0, y, 1) / mu) - (y - mu)))),
        "iterations": fit.iterations,
        "largest_relative_score": fit.score,
    }
    scores = fit.within * fit.slope[:, None]
    return estimate(s, fit.beta, fit.kept, fit.root, scores, fit.effects, facts=facts)
