"""Event studies: one file per estimator, one entry for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.event_study.abnormal_trade import abnormal_trade
from cyber_trade_econ.event_study.twfe import twfe
from cyber_trade_econ.fit import Options
from cyber_trade_econ.frames import check_frame
from cyber_trade_econ.inference.given import require_word
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate

ESTIMATORS = ("twfe", "abnormal_trade")


def event_study(
    data: pd.DataFrame | Panel,
    outcome: str,
    unit: str,
    time: str,
    cohort: str,
    *,
    estimator: Literal["twfe", "abnormal_trade"] = "twfe",
    leads: int = 5,
    lags: int = 5,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    tol: float = 1e-8,
    **choices: Any,
) -> Estimate:
    """Estimate how an outcome moves around the first treatment of a unit.

    Parameters
    ----------
    data
        Panel data, one row per unit and time.
    outcome, unit, time, cohort
        Columns. ``cohort`` is the period of the unit's first treatment, missing for units that are never treated. Time is a
        whole number, or the first day of a month.
    estimator
        ``"twfe"``: leads and lags with fixed effects, both ends binned. ``"abnormal_trade"``: actual against expected flow.
    leads, lags
        First and last period around the event. Under ``"twfe"`` they stand for everything before and after as well.
    vcov, ssc, tol
        As in `cyber_trade_econ.ppml`. By default ``"twfe"`` clusters by the unit and ``"abnormal_trade"`` by the cohort,
        since events of one date share its shocks; the latter takes one cluster column and no ``ssc``.
    **choices
        For ``"twfe"``: ``ref`` (reference period, -1), ``effects`` (right part of a formula; by default exporter-time,
        importer-time and unit effects, or unit and time effects where the data have no exporter and importer), ``model``
        (``"PPML"`` or ``"OLS"``), ``controls`` (names of regressors).
        For ``"abnormal_trade"``: ``window`` (periods before the event window from which the expected flow is learnt, 36),
        ``common`` (column within whose values the shocks of a period are common; by default all units share them),
        ``trend`` (whether each treated unit has its own exponential trend, False: an extrapolated trend is noisy, and the
        exponential of a noisy slope is too large on average).

    Returns
    -------
    Estimate with one term ``event_time::h`` per period; ``facts`` hold the reference period and the number of treated units
    per event time, from which `cyber_trade_econ.figure` draws.

    Raises
    ------
    ConfigError, SchemaError, EventError, MissingKey, DuplicateKey, NotIdentified, FewClusters, and what
    `cyber_trade_econ.ppml` raises

    Notes
    -----
    Under ``"twfe"`` units treated in or before their first period are left out and counted. The reference period's
    coefficient is zero by construction.

    Abnormal trade follows the event-study method of finance (MacKinlay 1997, https://www.jstor.org/stable/2729691) with a
    gravity-type expectation instead of a market model. The expected flow is a Poisson model with effects for unit by calendar
    month and for period (and own trends), fitted to units without an event and to the learning window of the others. Abnormal
    trade is the total actual over the total expected flow of all events, less one: the Poisson estimate of a common
    proportional change with the expected flow as exposure, which zeros do not upset and in which large flows weigh more.
    Its variance is the jackknife over clusters of events (MacKinnon, Nielsen and Webb 2023, https://doi.org/10.1002/jae.2969)
    and its degrees of freedom the effective number of clusters, ``facts["effective_clusters"]``, less one (Carter, Schnepel
    and Steigerwald 2017, https://doi.org/10.1162/REST_a_00639). That includes the error with which each event's expected flow
    was learnt, but not what all events share: the common shock of a period is treated as known.
    """
    check_frame(data.frame if isinstance(data, Panel) else data)
    options = Options(vcov=vcov, ssc=ssc, tol=tol)
    known: dict[str, dict[str, Any]] = {
        "twfe": {"ref": -1, "effects": None, "model": "PPML", "controls": ()},
        "abnormal_trade": {"window": 36, "common": None, "trend": False},
    }
    require_word(estimator, "estimator", ESTIMATORS)
    unknown = set(choices) - set(known[estimator])
    if unknown:
        raise ConfigError(f"choices of {estimator!r}", found=sorted(unknown), allowed=sorted(known[estimator]))
    settings = known[estimator] | choices
    if ssc is not None and estimator == "abnormal_trade":
        raise ConfigError("ssc of 'abnormal_trade'", found=repr(ssc), allowed="None: its variance is a jackknife")
    if estimator == "abnormal_trade":
        return abnormal_trade(data, outcome, unit, time, cohort, leads=leads, lags=lags, options=options, **settings)
    if vcov is None:
        from cyber_trade_econ.inference.conventions import cluster

        options = Options(vcov=cluster(unit), ssc=ssc, tol=tol)
    return twfe(data, outcome, unit, time, cohort, leads=leads, lags=lags, options=options, **settings)


__all__ = ["ESTIMATORS", "event_study"]
