"""Wild cluster bootstrap for least squares and score bootstrap for Poisson models."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from cyber_trade_econ.errors import ConfigError, FewClusters, NotIdentified
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.inference.carried import check_clusters, check_drawing
from cyber_trade_econ.inference.confidence import confidence_set
from cyber_trade_econ.inference.draws import Plan, statistics
from cyber_trade_econ.inference.given import is_number, require_word
from cyber_trade_econ.inference.linearised import at, choices, linearised, working
from cyber_trade_econ.inference.scores import ClusterScores, cluster_scores

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array, Factor
    from cyber_trade_econ.inference.linearised import Linearised
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

_ROUNDING = 1e-16  # share of an outcome below which its fitted mean cannot be read off the residual


@dataclass(frozen=True)
class WildTest:
    """A bootstrap test of one coefficient.

    Parameters
    ----------
    term, null
        Hypothesis: the coefficient of ``term`` equals ``null``.
    estimate, statistic
        Coefficient; cluster-robust t statistic of the sample, without small-sample factors.
    p_value
        Symmetric p-value.
    conf_low, conf_high, level
        Values that are not rejected, and their coverage; infinite where the draws never reject. With few clusters the p-value
        of Rademacher weights is at least 2^(1-G).
    clusters, draws, weights
        Number of clusters; draws, or sign patterns, used; ``"rademacher"``, ``"rademacher, all"`` or ``"webb"``.
    """

    term: str
    null: float
    estimate: float
    statistic: float
    p_value: float
    conf_low: float
    conf_high: float
    level: float | None
    clusters: int
    draws: int
    weights: str


@one_thread()
def wild_bootstrap(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    term: str,
    by: str,
    *,
    null: float = 0.0,
    impose_null: bool = True,
    draws: int = 9999,
    weights: Literal["rademacher", "webb"] = "rademacher",
    level: float | None = 0.95,
    seed: int = 0,
    executor: Executor | None = None,
) -> WildTest:
    """Test a coefficient with few clusters by perturbing the clusters' scores.

    Parameters
    ----------
    estimate, data
        An estimate of `cyber_trade_econ.ols` or `cyber_trade_econ.ppml` and the data it was made on.
    term, by
        Coefficient; cluster column, or columns joined by ``^``.
    null, impose_null
        Hypothesised value; whether residuals and scores are those of the model with that value imposed (recommended).
    draws, weights, seed
        Bootstrap draws, 99 or more; ``"rademacher"`` (all 2^G sign patterns once there are no more of them than draws, up to
        the overall sign, which changes nothing) or the six points of ``"webb"``, for about ten clusters or fewer; seed, 0 or
        more.
    level
        Coverage of the confidence set, found by inverting the test with the same draws; PPML fits the restricted model for
        every value tried. ``None`` leaves the set out: its ends are missing then.
    executor
        Carries blocks of draws; results do not depend on it.

    Returns
    -------
    Statistic, p-value and confidence set of the one coefficient, the latter in its units.

    Raises
    ------
    ConfigError
        For an argument that is none of the above, an estimate of another kind, or data that are not those of the estimate.
    FormulaError
        For a column that is not in the data.
    FewClusters
        If there is one cluster only.
    NotIdentified

    Notes
    -----
    OLS: each draw flips or rescales the residuals of whole clusters, absorbs the effects and estimates again; the algebra
    needs G x G matrices only (Roodman et al. 2019, https://doi.org/10.1177/1536867X19830877). PPML: the scores of the
    restricted fit are perturbed and one Newton step is taken (Kline and Santos 2012,
    https://doi.org/10.1515/2156-6674.1006), which is the same algebra on the weighted regression at the fit; statistic and
    draws are studentised by the clusters' scores after that step. P-values count the sample among the draws, (1 + r)/(1 + B),
    and are exact shares where all sign patterns are used.

    References
    ----------
    Cameron, Gelbach and Miller (2008), https://doi.org/10.1162/rest.90.3.414; Webb (2023), https://doi.org/10.1111/caje.12661.
    """
    check_drawing("wild_bootstrap", draws=draws, seed=seed, executor=executor, least=99)
    check_clusters("wild_bootstrap", by)
    _check(estimate, term, null, weights, level)
    if not isinstance(impose_null, bool):
        raise ConfigError("wild_bootstrap(impose_null=...)", found=repr(impose_null), allowed=(True, False))
    model = linearised(estimate, data, clusters=(by,))
    group = model.design.groups[by]
    if group.levels < 2:
        raise FewClusters(f"a wild bootstrap by {by!r} needs at least two clusters", found=f"{group.levels}")
    j = list(estimate.coef.index).index(term)
    beta = float(estimate.coef.iloc[j])
    plan = Plan(group.levels, draws, weights, seed)
    perturbed = _perturbed(model, group, j, beta, linear=estimate.model == "OLS", imposed=impose_null)

    def test(value: float) -> tuple[float, float]:
        """Statistic and p-value of one hypothesised value."""
        scores = perturbed(value)
        drawn = statistics(plan, scores, executor)
        sample = float(scores.statistic(np.ones((1, group.levels)))[0]) if impose_null else scores.wald(beta - value)
        return sample, plan.p_value(drawn, sample, imposed=impose_null)

    sample, p_value = test(null)
    low = high = float("nan")
    if level is not None:
        low, high = confidence_set(
            lambda value: test(value)[1],
            beta,
            scale=perturbed(beta).error,
            alpha=1 - level,
            smallest=plan.smallest if impose_null else 0.0,
            quick=estimate.model == "OLS",
        )
    name = f"{weights}, all" if plan.all_signs else weights
    return WildTest(term, null, beta, sample, p_value, low, high, level, group.levels, plan.count, name)


def _perturbed(
    model: Linearised, group: Factor, j: int, beta: float, *, linear: bool, imposed: bool
) -> Callable[[float], ClusterScores]:
    """Return the clusters' scores as a function of the value imposed."""
    if linear or not imposed:
        z = _net(model, j)
        free = cluster_scores(model, group, z, model.residual)
        if not imposed:
            return lambda _value: free
        # Residuals with the value imposed are those of the fit plus (beta - value) times the regressor net of all others.
        slope = cluster_scores(model, group, z, z)
        return lambda value: free.moved(slope, beta - value)

    design = model.started.having(model.design.X @ np.linalg.inv(model.back))

    def restricted(value: float) -> ClusterScores:
        # The offset holds the fitted index, so the others' coefficients are changes: the solution is near.
        others = replace(
            design.having(np.delete(design.X, j, axis=1)), offset=design.offset + (value - beta) * design.X[:, j]
        )
        fit = model.solver.poisson(others)
        if not fit.kept.all():
            raise NotIdentified("the model with the value imposed is not identified", found=f"{value:g}")
        mean = np.maximum(design.y - fit.residual, _ROUNDING * design.y)
        weight, residual = working(design.y, np.log(mean), design.w, "PPML")
        there = at(design, np.eye(design.k), weight, residual, model.solver)
        return cluster_scores(there, group, _net(there, j), residual)

    return restricted


def _net(model: Linearised, j: int) -> Array:
    """Regressor ``j`` net of the effects and of all other regressors, shape (n,)."""
    direction = model.basis @ model.bread[j]
    return np.asarray(direction / (model.bread[j] @ model.bread[j]))


def _check(estimate: Estimate, term: str, null: float, weights: str, level: float | None) -> None:
    choices(estimate)
    if not isinstance(term, str) or term not in estimate.coef.index:
        raise ConfigError("the term of a wild bootstrap", found=repr(term), allowed=list(estimate.coef.index))
    if not is_number(null):
        raise ConfigError("wild_bootstrap(null=...)", found=repr(null), allowed="a finite number")
    require_word(weights, "wild_bootstrap(weights=...)", ("rademacher", "webb"))
    if level is not None and not (isinstance(level, float) and 0 < level < 1):
        raise ConfigError(
            "wild_bootstrap(level=...)", found=repr(level), allowed="a number strictly between 0 and 1, or None"
        )
