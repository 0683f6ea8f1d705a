"""From the solution of a model to its covariance and its facts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyber_trade_econ import cores
from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.hdfe.leastsquares import names_of
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.inference import few_clusters
from cyber_trade_econ.inference.conventions import Cluster, Dyadic, convention
from cyber_trade_econ.inference.covariance import (
    NetScores,
    Sandwich,
    absorbed_df,
    degrees_of_freedom,
    sandwich,
    unless_exact,
)

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ import design as designs
    from cyber_trade_econ.formula import Formula
    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.inference.conventions import SmallSample, Vcov

Model = Literal["OLS", "PPML"]


@dataclass(frozen=True)
class Solved:
    """A design with its solution; ``back`` leads from centred regressors to the coefficients asked for."""

    model: Model
    formula: Formula
    design: designs.Design
    core: cores.Core
    back: Array


def covariance(solved: Solved, vcov: Vcov, ssc: str | SmallSample | None) -> tuple[Sandwich, int]:
    """Return the covariance and the number of parameters; the regressors net of effects are used up."""
    design, core, model = solved.design, solved.core, solved.model
    rule = convention(ssc, model, vcov)
    clustered = isinstance(vcov, Cluster)
    groups = list(design.groups.values()) if clustered else []
    constant = INTERCEPT in design.names
    k = len(core.beta) + absorbed_df(list(design.factors.values()), groups, rule, constant=constant)
    if model == "OLS" or rule.k_adj:
        degrees_of_freedom(len(design.y), k, solved.formula)
    n = len(design.y)
    sigma2 = core.sigma2 * ((n - 1 if model == "PPML" else n) / (n - k) if rule.k_adj else 1.0)
    bread = solved.back @ core.root
    few: dict[str, Any] = {}
    if clustered:
        weight = design.w * (design.y - core.residual) if model == "PPML" else design.w
        names = names_of(core.kept, design.names)
        few = few_clusters.facts(core.within, core.root @ bread.T, weight, design.groups, names)
    modelled, residual = model == "PPML" and vcov == "iid", core.residual  # the model itself says what its noise is
    cov = sandwich(bread, _scores(solved), vcov, design.groups, rule, k, sigma2=sigma2)
    if isinstance(vcov, Dyadic):
        few = few_clusters.counted_only(cov.clusters)
    cov = replace(cov, notes=cov.notes | few)
    return cov if modelled else unless_exact(cov, design.y, residual, ols=model == "OLS"), k


def facts(solved: Solved, cov: Sandwich, k: int, frame: pd.DataFrame) -> dict[str, Any]:
    """State what was fitted to which rows of ``frame``, and how."""
    design, core = solved.design, solved.core
    about = {
        "outcome": str(solved.formula.outcome),
        "rows_given": design.given,
        "rows_used": len(design.y),
        "dropped": dict(design.dropped),
        "effects": {name: f.levels for name, f in design.factors.items()},
        **cov.notes,
        **core.facts,
        "k": k,
    }
    left_out = design.encoding.references(frame, design.rows)
    if left_out:
        about["references"] = left_out
    if not core.kept.all():
        about["collinear"] = names_of(~core.kept, design.names)
    return about | (cores.goodness(design, core, k) if solved.model == "OLS" else {})


def _scores(solved: Solved, at_once: int = 1 << 12) -> Array | NetScores:
    """Return the score of each row times the root of the inverse information, (n, k), in the place of ``core.within``.

    The net regressors are needed no longer, and a second array of their size would often be the largest of a fit.
    """
    core, w = solved.core, solved.design.w
    scores, weight = core.within, w * core.residual
    if isinstance(scores, Net):
        # A squared row of net regressors times the root is a leverage, at most one, over the weight of the row.
        mean = w
        if solved.model == "PPML":  # of an outcome, that less its residual keeps no mean that is far smaller
            y = solved.design.y
            mean = w * np.maximum(y - core.residual, np.finfo(np.float64).eps * y)
        most = float(np.sum(weight**2 / np.maximum(mean, np.finfo(np.float64).tiny)))
        return NetScores(scores, weight, core.root, most)
    for rows in (slice(at, at + at_once) for at in range(0, len(scores), at_once)):
        scores[rows] = (scores[rows] @ core.root) * weight[rows, None]
    return scores
