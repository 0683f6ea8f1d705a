"""Least squares for log-linear gravity and any other linear model with fixed effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cyber_trade_econ.fit import Options, fit

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel


def ols(
    formula: str,
    data: pd.DataFrame | Panel,
    *,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
    collinear: Literal["error", "drop"] = "error",
) -> Estimate:
    """Estimate ``y = x'b + effects`` by weighted least squares.

    Parameters
    ----------
    formula
        ``"log(trade) ~ log(dist_km) | exporter^year + importer^year"``. Rows with the logarithm of zero are left out and
        counted.
    data
        Data frame, or a Panel, whose sources and event ids then travel with the estimate.
    vcov
        ``"hetero"`` (HC1), ``"iid"``, `cluster` or `dyadic`. By default clustered by the unit of a Panel, robust to
        heteroskedasticity for a data frame.
    ssc
        ``"stata"`` (default: G/(G-1) x (N-1)/(N-K) as Stata has it, effects nested in a cluster not counted in K; K takes one
        level as redundant per set of effects after the first, which is not always its rank, see `SmallSample`),
        ``"fixest"``, ``"none"``, or `ssc`.
    weights, offset
        Columns: weights that are not negative; an offset subtracted from the outcome.
    collinear
        ``"error"`` explains a collinear regressor, ``"drop"`` leaves the later one out and lists it in ``facts``.

    Returns
    -------
    Estimate with t statistics on N-K degrees of freedom, or G-1 when clustered.

    Raises
    ------
    FormulaError, BadOutcome, BadRegressor, EmptySample, Collinear, FewClusters, ConfigError

    References
    ----------
    Clustered covariances: Cameron and Miller (2015), https://doi.org/10.3368/jhr.50.2.317.
    """
    return fit("OLS", formula, data, Options(vcov, ssc, weights, offset, collinear))
