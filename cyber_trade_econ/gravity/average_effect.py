"""Average partial effect of a change in trade costs on flows, in units of trade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cyber_trade_econ import design as designs
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import Options, fit
from cyber_trade_econ.formula import Atom, Formula
from cyber_trade_econ.gravity.fitted import Fitted, fitted, free_name
from cyber_trade_econ.gravity.trade_cost import Change, TradeEffect, about, effect_row, index_changes, quantile
from cyber_trade_econ.inference.conventions import Cluster, Dyadic, convention
from cyber_trade_econ.inference.covariance import sandwich
from cyber_trade_econ.inference.given import require_estimate, require_word
from cyber_trade_econ.predictor import FittedIndex
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.records.estimate import Estimate

Kind = Literal["change", "derivative"]


@dataclass(frozen=True)
class _Sample:
    """The fit's rows, its regressors without those dropped as collinear (n, k), and the rows averaged over, shape (n,)."""

    used: Fitted
    design: designs.Design
    X: Array
    chosen: Array

    @property
    def weight(self) -> float:
        """Total weight of the rows averaged over."""
        return float(np.sum(self.used.w * self.chosen))


def average_effect(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    change: Change = None,
    *,
    kind: Kind = "change",
    rows: pd.Index | None = None,
    level: float = 0.95,
) -> TradeEffect:
    """Average over rows of what a change in regressors does to expected trade, effects as estimated.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml`.
    data
        The data it was estimated on.
    change
        As in `trade_volume`.
    kind
        ``"change"``: mean of ``m (exp(b x change) - 1)`` with m the fitted flow, the effect of the whole change.
        ``"derivative"``: mean of ``m b x change``, the average marginal effect.
    rows
        Row labels to average over, such as the treated rows; all rows of the fit by default. Those that the fit left out
        (separated, singleton, missing) are left out here too and counted in ``facts``.
    level
        Coverage of the intervals.

    Returns
    -------
    Effects in units of the outcome. The delta method covers all that is estimated, the fitted flows with their effects
    included, with the covariance of the estimate; the exact interval holds the fitted flows fixed.

    Raises
    ------
    ConfigError
        For an estimate of another kind, data that are not those of the fit, rows none of which is in it, or a covariance
        that is not a sandwich of row scores.

    Notes
    -----
    With H the information matrix of coefficients and effects, z the row of regressors and effect indicators and r the
    residual, the score of a row enters a smooth function with gradient g as ``g'H^-1 z r``. Both factors are fitted values
    or residuals of least squares weighted by m, so effects are never expanded into indicators.
    """
    require_estimate(estimate, "an average effect")
    if estimate.model != "PPML":
        raise ConfigError("an average effect on flows", found=estimate.model, allowed="PPML")
    require_word(kind, "kind of an average effect", ("change", "derivative"))
    used = fitted(estimate, data, "an average effect")
    labels = data.frame.index if isinstance(data, Panel) else data.index
    if rows is not None and not (isinstance(rows, pd.Index) and rows.is_unique and rows.isin(labels).all()):
        raise ConfigError(
            "rows of an average effect",
            found=f"{len(rows)} label(s)" if isinstance(rows, pd.Index) else f"an object of type {type(rows).__name__}",
            allowed="row labels of the data, each once",
            fix="Pass an index, such as data.index[data['treated'] == 1].",
        )
    sample = _sample(estimate, used, rows)
    q = quantile(estimate, level)
    flow = float(np.sum(sample.used.w * sample.chosen * sample.used.mean)) / sample.weight
    on_flow = _spread(sample) / sample.weight
    parts = index_changes(estimate, change)
    found = []
    for part in parts:
        of, slope = (np.expm1, float(np.exp(part.value))) if kind == "change" else (float, 1.0)
        direction = slope * flow * _leverage(sample, part.weights) + of(part.value) * on_flow
        variance = _variance(estimate, sample, direction)
        ends = [flow * of(part.value + sign * q * part.variance**0.5) for sign in (-1, 1)]
        found.append(effect_row(part, estimate.df, q, flow * of(part.value), variance, (ends[0], ends[1])))
    facts = about(estimate) | {
        "estimand": "mean of m (exp(b x change) - 1)" if kind == "change" else "mean of m b x change",
        "unit": f"units of {sample.used.formula.outcome}",
        "mean_fitted": flow,
        "rows": int(sample.chosen.sum()),
        "rows_outside_fit": 0 if rows is None else len(rows) - int(sample.chosen.sum()),
        "base": "fitted flows of the rows averaged over, output and multilateral resistances held fixed",
    }
    return TradeEffect(pd.DataFrame(found), level, facts)


def _sample(estimate: Estimate, used: Fitted, rows: pd.Index | None) -> _Sample:
    vcov, index = used.options.vcov, estimate.predictor
    if used.formula.slopes or not isinstance(index, FittedIndex):
        raise ConfigError("effects of an average effect", found=estimate.formula, allowed="effects without slopes")
    if not isinstance(vcov, Cluster | Dyadic) and vcov not in ("iid", "hetero"):
        raise ConfigError(
            "the covariance of an average effect", found=vcov, allowed=("iid", "hetero", "cluster", "dyadic")
        )
    built = designs.build(
        used.formula,
        used.frame,
        clusters=vcov.by if isinstance(vcov, Cluster) else (),
        dyad=(vcov.exporter, vcov.importer) if isinstance(vcov, Dyadic) else None,
        weights=used.options.weights,
        offset=used.options.offset,
    )
    chosen = np.ones(len(used.frame)) if rows is None else used.frame.index.isin(rows).astype(float)
    if not chosen.any():
        raise ConfigError(
            "rows of an average effect", found="no row of the fit", allowed="some labels of estimate.sample"
        )
    return _Sample(used, built, index.columns(used.frame)[:, index.kept], chosen)


def _leverage(sample: _Sample, weights: Array) -> Array:
    """Return ``l'H^-1 z`` for every row, ``l`` the weights of a combination of coefficients.

    With one regressor exchanged so that the combination is itself a coefficient, this is the residual of its regressor on all
    others over the weighted sum of its squares (Frisch and Waugh).
    """
    pivot = int(np.abs(weights).argmax())
    if weights[pivot] == 0:
        return np.zeros(len(sample.X))
    own = sample.X[:, pivot] / weights[pivot]
    others = np.delete(sample.X - np.outer(own, weights), pivot, axis=1)
    residual = own - _projected(sample, own, others)
    return np.asarray(residual / np.sum(sample.used.w * sample.used.mean * residual**2))


def _spread(sample: _Sample) -> Array:
    """Return ``g'H^-1 z`` for every row, ``g`` the gradient of the sum of the fitted flows of the rows chosen."""
    spanned = sample.used.formula.intercept or sample.used.formula.effects
    if spanned and sample.chosen.all():
        return np.ones(len(sample.X))
    return _projected(sample, sample.chosen, sample.X)


def _projected(sample: _Sample, target: Array, columns: Array) -> Array:
    """Fit ``target`` on columns and the effects by least squares weighted with the fitted mean."""
    effects = sample.used.formula.effects
    keys = sample.used.frame[list(dict.fromkeys(c for e in effects for c in e))]
    names = [free_name(keys, f"projected_on_{k}") for k in range(columns.shape[1])]
    if not names and not effects:
        return np.zeros(len(target))
    left, weight = free_name(keys, "projected"), free_name(keys, "projection_weight")
    mass = sample.used.w * sample.used.mean
    mass = np.maximum(mass, 1e-14 * mass.max())  # lighter rows move no sum and would be refused as weights
    added = dict(zip(names, columns.T, strict=True)) | {left: target, weight: mass}
    frame = pd.concat([keys, pd.DataFrame(added, index=keys.index)], axis=1)
    formula = Formula(Atom("name", left), tuple((Atom("name", n),) for n in names), bool(effects), effects)
    options = Options(vcov="hetero", weights=weight, collinear="drop")
    return fit("OLS", formula, frame, options).predict(frame, "link").to_numpy()


def _variance(estimate: Estimate, sample: _Sample, direction: Array) -> float:
    """Variance of a function whose derivative with respect to the score of a row is ``direction``, shape (n,)."""
    used, options = sample.used, sample.used.options
    vcov = options.vcov or "hetero"
    rule = convention(options.ssc, "PPML", vcov)
    n, k = len(direction), int(estimate.facts["k"])
    root = np.array([[np.sum(used.w * used.mean * direction**2) ** 0.5]]) if vcov == "iid" else np.eye(1)
    scores = (direction * used.w * (used.y - used.mean))[:, None]
    sigma2 = (n - 1) / (n - k) if rule.k_adj else 1.0
    return float(sandwich(root, scores, vcov, sample.design.groups, rule, k, sigma2=sigma2).matrix[0, 0])
