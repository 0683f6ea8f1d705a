"""Another covariance for a fitted model, without fitting it again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.frames import column
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.inference import driscoll_kraay, few_clusters, jackknife, spatial
from cyber_trade_econ.inference.conventions import Cluster, Dyadic, SmallSample, Vcov, convention
from cyber_trade_econ.inference.covariance import (
    OF_VCOV,
    Sandwich,
    absorbed_df,
    degrees_of_freedom,
    known,
    positive,
    require_clusters,
    sandwich,
    unless_exact,
)
from cyber_trade_econ.inference.driscoll_kraay import DriscollKraay
from cyber_trade_econ.inference.jackknife import Jackknife
from cyber_trade_econ.inference.linearised import Linearised, choices, frame_of, linearised
from cyber_trade_econ.inference.spatial import Conley

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from cyber_trade_econ.hdfe.factor import Array, Factor
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

AnyVcov = Vcov | Jackknife | Conley | DriscollKraay
_CONSTRUCTORS = ("cluster", "dyadic", "jackknife", "conley", "driscoll_kraay")


@one_thread()
def with_vcov(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    vcov: AnyVcov,
    *,
    ssc: str | SmallSample | None = None,
    executor: Executor | None = None,
) -> Estimate:
    """Return the same estimate with another covariance.

    Effects are absorbed once more at the solution; nothing is estimated again, but for `jackknife`.

    Parameters
    ----------
    estimate, data
        An estimate of `cyber_trade_econ.ppml` or `cyber_trade_econ.ols` and the data it was made on.
    vcov
        ``"iid"``, ``"hetero"``, `cluster`, `dyadic`, `jackknife`, `conley` or `driscoll_kraay`.
    ssc
        Small-sample convention; by default that asked for in the fit. `jackknife` has its own factor (G-1)/G. For
        `driscoll_kraay` the number of periods takes the part of G; for `conley` the only factor is N/(N-K), if ``k_adj``.
    executor
        Carries the fits of a `jackknife`; results do not depend on it.

    Returns
    -------
    Estimate with the covariance, its degrees of freedom and its facts replaced: the effective number of clusters, a warning
    ``few_clusters`` where it is small, whether a matrix that was not positive had to be repaired.

    Raises
    ------
    ConfigError
        For an estimate of another kind, an unknown covariance, or data that are not those of the estimate.
    FormulaError, FewClusters, NotIdentified, BadRegressor
    """
    options = choices(estimate)
    by, dyad = _groups(vcov)
    model = linearised(estimate, data, clusters=by, dyad=dyad)
    frame = frame_of(data).iloc[model.design.rows]
    asked = options.ssc if ssc is None else ssc
    rule = convention(asked, estimate.model, _alike(vcov))
    k = len(estimate.coef) + absorbed_df(
        list(model.design.factors.values()),
        _nesting(model, vcov, frame),
        rule,
        constant=INTERCEPT in model.design.names,
    )
    n, ols = estimate.nobs, estimate.model == "OLS"
    if ols or rule.k_adj:
        degrees_of_freedom(n, k, estimate.formula)
    cov = _covariance(model, vcov, frame, rule, k, ols=ols, executor=executor)
    if ols or vcov != "iid":
        residual = model.residual * (1.0 if ols else model.weight / model.design.w)
        cov = unless_exact(cov, model.design.y, residual, ols=ols)
    chosen: Any = estimate.options
    return replace(
        estimate,
        vcov=pd.DataFrame(cov.matrix, index=estimate.vcov.index, columns=estimate.vcov.columns),
        df=min(cov.df, n - k) if ols else np.inf,
        facts=_facts(estimate, model, cov, vcov, k),
        options=replace(chosen, vcov=vcov, ssc=asked),
    )


def _groups(vcov: AnyVcov) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """Return the cluster variables and the dyad that the design must number."""
    if isinstance(vcov, Cluster):
        return vcov.by, None
    if isinstance(vcov, Jackknife):
        return (vcov.by,), None
    if isinstance(vcov, Dyadic):
        return (), (vcov.exporter, vcov.importer)
    if isinstance(vcov, Conley | DriscollKraay) or (isinstance(vcov, str) and vcov in ("iid", "hetero")):
        return (), None
    allowed = ("'iid'", "'hetero'", *(f"cte.{name}(...)" for name in _CONSTRUCTORS))
    raise ConfigError("with_vcov(vcov=...)", found=repr(vcov), allowed=allowed)


def _alike(vcov: AnyVcov) -> Vcov:
    """Return the covariance whose default small-sample convention applies."""
    if isinstance(vcov, Conley):
        return "hetero"
    if isinstance(vcov, Jackknife):
        return Cluster((vcov.by,))
    return Cluster((vcov.time,)) if isinstance(vcov, DriscollKraay) else vcov


def _nesting(model: Linearised, vcov: AnyVcov, frame: pd.DataFrame) -> list[Factor]:
    """Return the factors within which effects may be nested and then are not counted."""
    if isinstance(vcov, DriscollKraay):
        return [driscoll_kraay.numbered(column(frame, vcov.time, "the period"), vcov.time).factor]
    return [] if isinstance(vcov, Dyadic) else list(model.design.groups.values())


def _covariance(
    model: Linearised,
    vcov: AnyVcov,
    frame: pd.DataFrame,
    rule: SmallSample,
    k: int,
    *,
    ols: bool,
    executor: Executor | None,
) -> Sandwich:
    n, groups = len(model.design.y), model.design.groups
    if isinstance(vcov, Jackknife):
        counts = {vcov.by: groups[vcov.by].levels}
        require_clusters(counts)
        matrix = jackknife.covariance(model, groups[vcov.by], vcov, exponential=not ols, executor=executor)
        return Sandwich(matrix, counts, counts[vcov.by] - 1, {"ssc": "(G-1)/G", "clusters": counts})
    if isinstance(vcov, Conley):
        meat, places = spatial.meat(model.scores, vcov, frame)
        return _by_kernel(model, meat, n / (n - k) if rule.k_adj else 1.0, rule, np.inf, {"places": places})
    if isinstance(vcov, DriscollKraay):
        periods = driscoll_kraay.numbered(column(frame, vcov.time, "the period"), vcov.time)
        meat, lags = driscoll_kraay.meat(model.scores, periods, vcov.lags)
        count = periods.factor.levels
        factor = ((n - 1) / (n - k) if rule.k_adj else 1.0) * (count / (count - 1) if rule.g_adj else 1.0)
        notes = {"clusters": {vcov.time: count}, "lags": lags, "period": periods.step}
        return _by_kernel(model, meat, factor, rule, count - 1, notes)
    scale = float(np.sum(model.weight * model.residual**2)) / n if ols else 1.0
    scale *= (n if ols else n - 1) / (n - k) if rule.k_adj else 1.0
    return sandwich(model.bread, model.scores, vcov, groups, rule, k, sigma2=scale)


def _by_kernel(
    model: Linearised, meat: Array, factor: float, rule: SmallSample, df: float, notes: dict[str, Any]
) -> Sandwich:
    matrix, repaired = positive(model.bread @ meat @ model.bread.T * factor)
    matrix, lost = known(matrix, model.bread, model.scores)
    notes = notes | {"ssc": rule.name, "ssc_factor": factor, "vcov_repaired": repaired}
    return Sandwich(matrix, {}, df, notes | ({"vcov_missing": lost} if lost else {}))


def _facts(estimate: Estimate, model: Linearised, cov: Sandwich, vcov: AnyVcov, k: int) -> dict[str, Any]:
    n = estimate.nobs
    facts = {name: value for name, value in estimate.facts.items() if name not in (*OF_VCOV, "k", "adj_r2", "rmse")}
    facts |= cov.notes | {"vcov": str(vcov), "k": k}
    if isinstance(vcov, Cluster | Jackknife):
        terms = list(estimate.coef.index)
        inverse = model.root @ model.bread.T
        facts |= few_clusters.facts(model.within, inverse, model.weight, model.design.groups, terms)
    elif isinstance(vcov, Dyadic | DriscollKraay):
        facts |= few_clusters.counted_only(cov.notes["clusters"])
    if "adj_r2" in estimate.facts:
        constant = bool(model.design.factors) or INTERCEPT in model.design.names
        facts["adj_r2"] = 1 - (1 - facts["r2"]) * (n - constant) / (n - k)
        facts["rmse"] = float(np.sqrt(facts["ssr"] / (n - k)))
    return facts
