"""Gauss-Newton regression test that the variance of trade is proportional to its mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import Options, fit
from cyber_trade_econ.gravity.fitted import fitted, free_name
from cyber_trade_econ.inference.given import require_estimate
from cyber_trade_econ.inference.wald import WaldTest, wald

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.inference.conventions import Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel


def gauss_newton(
    estimate: Estimate, data: pd.DataFrame | Panel, *, vcov: Vcov = "hetero", constant: bool = False
) -> WaldTest:
    """Test V[y|x] = c E[y|x] against V[y|x] = c E[y|x]^a after Poisson PML.

    The power of the mean is expanded around one: with m the fitted mean, (y - m)^2 / sqrt(m) is regressed on sqrt(m) and
    log(m) sqrt(m), and the test is that the second coefficient, c (a - 1), is zero (equation 17 of Santos Silva and
    Tenreyro). A small p-value says that Poisson PML is not the efficient choice; it stays consistent. The test does not
    depend on the units of trade.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml`.
    data
        The data it was estimated on.
    vcov
        Covariance of the second regression: ``"hetero"`` as in that article, or `cluster`.
    constant
        Add a constant to the second regression, as a regression command does unless told otherwise. The equation has none;
        with it the test stays valid and loses power. The article's own numbers were made with one, it seems: on its positive
        exports the p-value is 0.143 with a constant, where 0.144 is printed, and 0.053 without.

    Returns
    -------
    Test of the one coefficient c (a - 1): F(1, N-K), or F(1, G-1) with clusters.

    Raises
    ------
    ConfigError
        For an estimate of another kind, or data that are not those of the fit.

    References
    ----------
    Santos Silva and Tenreyro (2006), section IV, https://doi.org/10.1162/rest.88.4.641.
    """
    require_estimate(estimate, "a Gauss-Newton test")
    if estimate.model != "PPML":
        raise ConfigError("a Gauss-Newton test of the variance", found=estimate.model, allowed="PPML")
    if not isinstance(constant, bool):
        raise ConfigError("gauss_newton(constant=...)", found=repr(constant), allowed=(True, False))
    used = fitted(estimate, data, "a Gauss-Newton test")
    mean, y = used.mean / used.mean.mean(), used.y / used.mean.mean()
    root = np.sqrt(mean)
    square, plain, log = (free_name(used.frame, n) for n in ("scaled_square", "root_fitted", "log_fitted_root"))
    frame = used.frame.assign(**{square: (y - mean) ** 2 / root, plain: root, log: np.log(mean) * root})
    formula = f"{square} ~ {'' if constant else '0 + '}{plain} + {log}"
    again = fit("OLS", formula, frame, Options(vcov=vcov, weights=used.options.weights))
    return wald(again, [log])
