"""Ramsey's RESET for gravity models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.fit import refit
from cyber_trade_econ.gravity.fitted import fitted, free_name
from cyber_trade_econ.inference.wald import WaldTest, wald

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel


def reset(estimate: Estimate, data: pd.DataFrame | Panel) -> WaldTest:
    """Test the specification by adding the square of the fitted linear index, effects included.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml` or `cyber_trade_econ.ols`; its covariance, weights and offset are used again.
    data
        The data it was estimated on.

    Returns
    -------
    Test that the added term's coefficient is zero. A small p-value speaks against the specification.

    Raises
    ------
    ConfigError
        For an estimate of another kind, or data that are not those of the fit.

    References
    ----------
    Ramsey (1969), https://doi.org/10.1111/j.2517-6161.1969.tb00796.x; for gravity Santos Silva and Tenreyro (2006),
    https://doi.org/10.1162/rest.88.4.641.
    """
    used = fitted(estimate, data, "RESET", linear=True)
    # In deviations from its mean the square is far less collinear with the index; with a constant or effects and the index
    # itself in the model the test is the same. An offset is part of the index but of no column, so nothing may be taken off.
    spanned = (used.formula.intercept or used.formula.effects) and used.options.offset is None
    added = free_name(used.frame, "fitted_index_squared")
    square = (used.index - (used.index.mean() if spanned else 0.0)) ** 2
    return wald(refit(estimate, used.frame.assign(**{added: square}), added), [added])
