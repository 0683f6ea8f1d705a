"""Park-type test of how the variance of trade moves with its mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import stats

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import Options, fit
from cyber_trade_econ.gravity.fitted import fitted, free_name
from cyber_trade_econ.inference.given import is_number, require_estimate, require_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from cyber_trade_econ.inference.conventions import Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

Form = Literal["levels", "logs"]


@dataclass(frozen=True)
class ParkTest:
    """The power of the mean that the variance is proportional to, and a test of one value of it.

    Parameters
    ----------
    power, std_error
        Estimate of a in V[y|x] = c E[y|x]^a and its standard error.
    hypothesis
        Value tested: 1 is what makes Poisson PML efficient, 2 what a log-linear model needs to be consistent (and Gamma
        PML to be efficient), 0 nonlinear least squares.
    statistic, df, p_value
        t statistic of the hypothesis; its degrees of freedom, ``inf`` for the normal distribution; two-sided p-value.
    form
        ``"levels"`` or ``"logs"``.
    facts
        Covariance, rows used and rows left out by reason.
    """

    power: float
    std_error: float
    hypothesis: float
    statistic: float
    df: float
    p_value: float
    form: Form
    facts: Mapping[str, Any] = field(default_factory=dict)


def park(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    *,
    form: Form | None = None,
    power: float | None = None,
    vcov: Vcov | None = None,
) -> ParkTest:
    """Estimate and test the power of the mean that the variance is proportional to.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml`, or of `cyber_trade_econ.ols` for the logarithm of an outcome.
    data
        The data it was estimated on.
    form
        ``"levels"``: squared residuals on the fitted mean to a power, by Poisson PML (Manning and Mullahy's robust
        alternative, equation 16 of Santos Silva and Tenreyro); valid whatever the third moments. ``"logs"``: the logarithm
        of the squared residuals on the logarithm of the fitted mean by least squares (Park 1966, their equation 15); valid
        only where the log-linear model is, which is what it then checks. By default levels after PPML and logs after OLS.
    power
        Value tested. By default 1 after PPML, 2 after OLS: the value under which the estimator rests.
    vcov
        Covariance of the second regression. By default ``"iid"`` in logs and ``"hetero"`` in levels, as in that article;
        pass `cluster` where observations of a pair hang together.

    Returns
    -------
    The power a, which has no unit, its standard error, and the two-sided t test of the value tested.

    Raises
    ------
    ConfigError
        For an estimate of another kind, data that are not those of the fit, or an unknown form.

    References
    ----------
    Manning and Mullahy (2001), https://doi.org/10.1016/S0167-6296(01)00086-8; Santos Silva and Tenreyro (2006), section IV,
    https://doi.org/10.1162/rest.88.4.641; Park (1966), https://doi.org/10.2307/1910108.
    """
    require_estimate(estimate, "a Park test")
    chosen: Form = form if form is not None else "levels" if estimate.model == "PPML" else "logs"
    require_word(chosen, "form of a Park test", ("levels", "logs"))
    if power is not None and not is_number(power):
        raise ConfigError("power of a Park test", found=repr(power), allowed="a finite number")
    used = fitted(estimate, data, "a Park test")
    tested = power if power is not None else 1.0 if estimate.model == "PPML" else 2.0
    unit = used.mean.mean()  # the power does not depend on it, the digits of squares of dollars do
    square, log = (free_name(used.frame, name) for name in ("squared_residual", "log_fitted"))
    frame = used.frame.assign(**{square: ((used.y - used.mean) / unit) ** 2, log: np.log(used.mean / unit)})
    weights = used.options.weights
    if chosen == "levels":
        options = Options(vcov="hetero" if vcov is None else vcov, weights=weights)
        again = fit("PPML", f"{square} ~ {log}", frame, options)
    else:
        again = fit(
            "OLS", f"log({square}) ~ {log}", frame, Options(vcov="iid" if vcov is None else vcov, weights=weights)
        )
    found, error = float(again.coef[log]), float(again.se[log])
    statistic = (found - tested) / error
    p = float(2 * stats.t(again.df).sf(abs(statistic)))  # df = inf is the normal distribution
    facts = {key: again.facts[key] for key in ("vcov", "ssc", "rows_used", "dropped")}
    return ParkTest(found, error, tested, statistic, again.df, p, chosen, facts)
