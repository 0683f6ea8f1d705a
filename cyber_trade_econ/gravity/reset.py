"""Ramsey's RESET for gravity models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import Options, refit
from cyber_trade_econ.inference.wald import WaldTest, wald

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.inference.covariance import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

_ADDED = "fitted_index_squared"


def reset(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    *,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
) -> WaldTest:
    """Test the specification by adding the square of the fitted linear index, effects included.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml` or `cyber_trade_econ.ols`.
    data
        The data it was estimated on.
    vcov, ssc, weights, offset
        As in the estimate; they are arguments of the second fit.

    Returns
    -------
    Test that the added term's coefficient is zero. A small p-value speaks against the specification.

    References
    ----------
    Ramsey (1969), https://doi.org/10.1111/j.2517-6161.1969.tb00796.x; for gravity Santos Silva and Tenreyro (2006),
    https://doi.org/10.1162/rest.88.4.641.
    """
    if estimate.model not in ("PPML", "OLS"):
        raise ConfigError("RESET", found=f"an estimate of {estimate.model}", allowed=("PPML", "OLS"))
    from cyber_trade_econ.records.panel import Panel

    frame = data.frame if isinstance(data, Panel) else data
    index = estimate.predict(frame, "link")
    # In deviations from its mean the square is far less collinear with the index, and with a constant or effects and the
    # index itself in the model the test is the same.
    added = frame.assign(**{_ADDED: (index - index.mean()) ** 2})
    again = data.with_frame(added) if isinstance(data, Panel) else added
    options = Options(vcov=vcov, ssc=ssc, weights=weights, offset=offset)
    return wald(refit(estimate, again, _ADDED, options), [_ADDED])
