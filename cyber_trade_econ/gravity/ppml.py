"""Poisson pseudo maximum likelihood for trade flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cyber_trade_econ.fit import SEPARATION, Options, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel


def ppml(
    formula: str,
    data: pd.DataFrame | Panel,
    *,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
    separation: Sequence[str] | Literal["error"] = SEPARATION,
    collinear: Literal["error", "drop"] = "error",
    tol: float = 1e-8,
) -> Estimate:
    """Estimate ``E[y] = exp(x'b + effects)`` by Poisson pseudo maximum likelihood; zeros are kept.

    Parameters
    ----------
    formula
        ``"trade ~ log(dist_km) + contiguity | exporter^year + importer^year"``; see `cyber_trade_econ.formula.parse`.
    data
        Data frame, or a Panel, whose sources and event ids then travel with the estimate.
    vcov
        ``"hetero"``, ``"iid"`` (information matrix), `cluster` or `dyadic`. By default clustered by the unit of a Panel,
        robust to heteroskedasticity for a data frame; never ``"iid"`` unless asked for.
    ssc
        ``"stata"`` (clusters: G/(G-1) only, as ppmlhdfe; robust: N/(N-1)), ``"fixest"``, ``"none"``, or `ssc`. By default
        Stata's for clusters and none for ``"hetero"``. What was used is stored in ``facts``.
    weights, offset
        Columns: weights that are not negative; an offset on the scale of the linear index.
    separation
        Which checks remove observations for which no estimate exists: ``"fe"`` (an effect whose outcomes are all zero) and
        the general check, asked for by either of its names in ppmlhdfe, ``"simplex"`` or ``"relu"``: here both are one
        exact linear programme. ``"error"`` refuses such a sample.
    collinear
        What to do with a regressor that is a combination of others or of the effects: ``"error"`` explains it, ``"drop"``
        leaves the later one out. A regressor that separation alone makes collinear is always dropped and listed.
    tol
        Relative change of the deviance at convergence. The step on the coefficients at that point is below
        ``sqrt(tol) / 1000`` and its square is what remains, so the default gives coefficients to about 1e-12.

    Returns
    -------
    Estimate; ``facts`` counts rows dropped by reason (missing, singleton, separated ...), levels of effects, iterations.

    Raises
    ------
    FormulaError, BadOutcome, BadRegressor, EmptySample, Collinear, SeparationError, FewClusters, NotConverged, ConfigError

    References
    ----------
    Santos Silva and Tenreyro (2006), https://doi.org/10.1162/rest.88.4.641; Correia, Guimaraes and Zylkin (2020),
    https://doi.org/10.1177/1536867X20909691.
    """
    return fit("PPML", formula, data, Options(vcov, ssc, weights, offset, collinear, separation, tol))
