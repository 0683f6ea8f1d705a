"""Weidner and Zylkin's bias correction and corrected standard errors for PPML with gravity's fixed effects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, EstimationError, NotIdentified
from cyber_trade_econ.frames import column, numeric
from cyber_trade_econ.gravity.bias_covered import (
    clusters,
    covered,
    factor,
    fits,
    other_data,
    period,
    positions,
    three_way,
)
from cyber_trade_econ.gravity.concentrated import ByPeriod, Joint, Table, effects_of, inverses, outer
from cyber_trade_econ.gravity.fitted import orthogonal
from cyber_trade_econ.hdfe.factor import Array, Factor, cross
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.inference.given import is_number
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from cyber_trade_econ.predictor import FittedIndex
    from cyber_trade_econ.records.estimate import Estimate

MODEL = "PPML, bias-corrected"
_LEVERAGE = 1 - 1e-8  # above it a pair is fitted perfectly in some direction and its residual there says nothing
_SHARE = 1e-6  # of such a leverage may be due to regressors by rounding
_WEAK = 1e-8  # determinants below this are looked at direction by direction
_NOTABLE = 0.9  # leverage that the caveats mention


@one_thread()
def bias_correction(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    *,
    exporter: str = "exporter",
    importer: str = "importer",
    time: str | None = None,
    memory_gb: float = 8.0,
) -> Estimate:
    """Correct PPML with three-way or two-way gravity effects for its incidental-parameter bias of order 1/N.

    With exporter-time, importer-time and pair effects the estimates are consistent, but centred away from the truth by about
    as much as their standard error, and clustered standard errors are too small. With exporter(-time) and importer(-time)
    effects alone there is no such bias; standard errors are too small all the same.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml` without weights or offset, whose effects are exporter-time, importer-time and
        (directed) pair, or the first two, or exporter and importer in a cross-section. Its covariance must be unclustered or
        clustered by directed pair.
    data
        The data it was estimated on, at most one row per exporter, importer and period.
    exporter, importer
        Columns of the two sides.
    time
        Column of the period; by default read from the effects.
    memory_gb
        Refuse problems whose working arrays would take more. With pair effects and N economies over T periods they hold
        2 (N T)^2 numbers, and the time grows with (N T)^3; without, both are those of T cross-sections.

    Returns
    -------
    Estimate with corrected coefficients and a covariance robust against any dependence within directed pairs. ``facts``:
    ``bias`` (taken off the coefficients) and its parts ``bias_from_exporters`` and ``bias_from_importers``; ``B`` and ``D``,
    the biases of the scores before the inverse Hessian, per exporter and per importer; ``uncorrected_coef``;
    ``uncorrected_se`` (clustered by pair); ``largest_leverage`` (below one; of the pairs that, among those of an economy, the
    fit takes most from) and the pair that has it;
    ``pairs_fitted_by_effects``; ``caveats``. It does not predict: its effects are not estimated.

    Raises
    ------
    ConfigError
        For another estimator, other effects, weights, an offset, other clusters, or data it was not estimated on.
    DuplicateKey
        If a cell of the table has two rows.
    NotIdentified
        If a single pair determines a coefficient, so that clustering by pair is meaningless.
    EstimationError
        If the arrays would exceed ``memory_gb``, or a corrected variance is not positive.

    Notes
    -----
    The bias is N/(N-1) W^-1 [(-B1 + B2) of exporters + (-D1 + D2) of importers] with sums over all of them; N is the number
    of economies (on the larger side where the two differ). The covariance has the factor G/(G-1) for G pairs. Both give the
    published numbers. In a cross-section with two effects the covariance is the HC2 estimator times G/(G-1).

    Every pair's block of the hat matrix is computed exactly. That needs the inverse of the Hessian of all exporter-time and
    importer-time effects. Its blocks are a diagonal less a product of two vectors, which makes all products with it cheap;
    one inversion of order N T remains.

    References
    ----------
    Weidner and Zylkin (2021), Journal of International Economics 132, 103513, https://doi.org/10.1016/j.jinteco.2021.103513.
    """
    index = covered(estimate)
    frame = data.frame if isinstance(data, Panel) else data
    if not isinstance(frame, pd.DataFrame):
        raise other_data(f"an object of type {type(frame).__name__}")
    if not is_number(memory_gb) or memory_gb <= 0:
        raise ConfigError("memory_gb", found=repr(memory_gb), allowed="a number above 0")
    for name, role in ((exporter, "the exporter"), (importer, "the importer")):
        column(frame, name, role)
    if time is not None:
        column(frame, time, "the period")
    rows = frame.iloc[positions(estimate, frame)]
    time = time or period(index, exporter, importer)
    keys = [factor(rows, c) for c in (exporter, importer, time) if c is not None]
    concentrated = three_way(index, rows, keys, [c for c in (exporter, importer, time) if c is not None])
    clusters(estimate, rows, cross(keys[:2]))
    fits(keys, len(estimate.coef), memory_gb, concentrated=concentrated)
    table = _table(estimate, index, rows, keys, concentrated=concentrated)
    labels = [[str(v) for v in pd.factorize(rows[c], sort=True)[1]] for c in (exporter, importer)]
    return _corrected(estimate, table, f"{exporter}^{importer}", labels)


def _table(
    estimate: Estimate, index: FittedIndex, rows: pd.DataFrame, keys: list[Factor], *, concentrated: bool
) -> Table:
    """Lay the sample out; refuse data that break the first-order conditions of the fit."""
    mean = estimate.predict(rows).to_numpy()
    y = numeric(rows, index.formula.outcome.name, "the outcome")
    y = np.log(y) if index.formula.outcome.kind == "log" else y
    X = index.columns(rows)[:, index.kept]
    if not (np.isfinite(mean).all() and orthogonal(X, y - mean, mean)):
        raise other_data("values that do not satisfy its first-order conditions")
    return Table.of(mean, y, X, keys, concentrated=concentrated)


def _corrected(estimate: Estimate, table: Table, pair: str, labels: list[list[str]]) -> Estimate:
    terms = estimate.coef.index
    effects = effects_of(table)
    x = effects.x
    hx = table.curved(x)
    k = len(terms)
    hessian = hx.reshape(k, -1) @ x.reshape(k, -1).T
    size = np.sqrt(np.diag(hessian))
    bread = np.linalg.inv(hessian / np.outer(size, size)) / np.outer(size, size)
    raw = np.einsum("keit,eit->eik", x, table.score).reshape(-1, k)
    adjusted, leverage = _adjusted(table, effects, x, bread, labels)
    factor = table.pairs / (table.pairs - 1)
    meat = adjusted.reshape(-1, k).T @ raw
    vcov = bread @ (meat + meat.T) @ bread * factor / 2
    vcov, repaired = _positive(vcov, terms)
    usual = np.sqrt(np.diag(bread @ (raw.T @ raw) @ bread) * factor)
    e, i, _ = table.mean.shape
    n = max(e, i)
    sums = np.array([_score_bias(table, x, hx, side) for side in (0, 1)]) if table.concentrated else np.zeros((2, k))
    parts = sums @ bread * (n / (n - 1))

    def named(values: Array) -> dict[str, float]:
        return dict(zip(map(str, terms), map(float, values), strict=True))

    kept = {"outcome", "rows_given", "rows_used", "dropped", "effects", "k", "pseudo_r2", "log_likelihood", "deviance"}
    return replace(
        estimate,
        model=MODEL,
        coef=estimate.coef - parts.sum(axis=0),
        vcov=pd.DataFrame(vcov, index=terms, columns=terms),
        df=np.inf,
        facts={key: value for key, value in estimate.facts.items() if key in kept}
        | {
            "vcov": f"cluster: {pair}, corrected as in Weidner and Zylkin (2021)",
            "ssc": "G/(G-1)",
            "ssc_factor": factor,
            "clusters": {pair: table.pairs},
            "vcov_repaired": repaired,
            "bias": named(parts.sum(axis=0)),
            "bias_from_exporters": named(parts[0]),
            "bias_from_importers": named(parts[1]),
            "B": named(sums[0] / e),
            "D": named(sums[1] / i),
            "bias_factor": n / (n - 1),
            "uncorrected_coef": named(estimate.coef.to_numpy()),
            "uncorrected_se": named(usual),
            **leverage,
            "caveats": _caveats(estimate, table, labels, leverage["largest_leverage"]),
        },
        options=None,
        predictor=None,
    )


def _score_bias(table: Table, x: Array, hx: Array, side: int) -> Array:
    """Bias of each regressor's score through the effects of one side, -B1 + B2 summed over its owners, shape (K,)."""
    own = inverses(table.own(side))
    noise = own @ outer(table.score, table.score, side) @ own
    out = np.empty(len(x))
    for k, (values, curved) in enumerate(zip(x, hx, strict=True)):
        first = np.einsum("nts,nst->", own, outer(curved, table.score, side))
        out[k] = np.einsum("nts,nst->", table.third(values, side), noise) / 2 - first
    return out


def _adjusted(
    table: Table, effects: Joint | ByPeriod, x: Array, bread: Array, labels: list[list[str]]
) -> tuple[Array, dict[str, Any]]:
    """Scores of pairs with their residuals blown up by what the fit took from them, shape (E, I, K), and facts about it.

    A pair's residuals are divided by the identity less its block of the hat matrix, whose eigenvalues are leverages. Where
    the determinant is small this is done direction by direction.
    """
    k, e, i, t = x.shape
    out = np.empty((e, i, k))
    largest, at, fitted = 0.0, (0, 0), 0
    for cells, covariance in effects.covariances():
        mean, score = table.mean[cells], table.score[cells]
        scaled = mean * table.inverse_mass[cells]
        own = x[:, *cells].transpose(1, 2, 0)
        covariance += own @ bread @ own.transpose(0, 2, 1)
        left = np.eye(t) - mean[:, :, None] * covariance + scaled[:, :, None] * (mean[:, None, :] @ covariance)
        determinant = np.linalg.det(left)
        weak = np.flatnonzero((determinant < _WEAK) | (determinant == determinant.min()))
        left[weak] = np.eye(t)
        out[cells] = np.einsum("itk,it->ik", own, np.linalg.solve(left, score[:, :, None])[:, :, 0])
        for pair in weak:
            cell = (int(cells[0][pair]), int(cells[1][pair]))
            root, p = np.sqrt(mean[pair]), np.sqrt(scaled[pair])
            within = np.eye(t) - np.outer(p, p)
            leverage, axes = np.linalg.eigh(within @ (root[:, None] * covariance[pair] * root) @ within)
            pull = axes.T @ (root[:, None] * own[pair])
            full = leverage > _LEVERAGE
            if (np.einsum("tk,kl,tl->t", pull[full], bread, pull[full]) > _SHARE).any():
                raise NotIdentified(
                    f"the pair {labels[0][cell[0]]} -> {labels[1][cell[1]]} alone determines a coefficient",
                    found="a residual of zero, so that clustering by pair measures nothing",
                    fix="Leave out the regressor that only this pair tells about.",
                )
            # What effects alone fit perfectly has neither a residual nor, net of effects, a regressor: it adds nothing.
            blown = np.where(full, 0.0, 1 / np.where(full, 1.0, 1 - leverage))
            ratio = np.divide(score[pair], root, out=np.zeros(t), where=root > 0)
            out[cell] = pull.T @ (blown * (axes.T @ ratio))
            fitted += bool(full.any())
            if leverage[~full].max(initial=0.0) > largest:
                largest, at = float(leverage[~full].max()), cell
    worst = [names[number] for names, number in zip(labels, at, strict=True)]
    return out, {"largest_leverage": largest, "largest_leverage_pair": worst, "pairs_fitted_by_effects": fitted}


def _positive(vcov: Array, terms: pd.Index) -> tuple[Array, bool]:
    """Set negative eigenvalues of the correlations to zero: the corrected meat is not positive by construction."""
    variance = np.diag(vcov)
    if not (variance > 0).all():
        raise EstimationError(
            "a corrected variance is not positive",
            found=list(terms[~(variance > 0)]),
            fix="Too few pairs tell about these coefficients; use more economies, or the uncorrected standard errors.",
        )
    scale = np.sqrt(np.outer(variance, variance))
    values, vectors = np.linalg.eigh(vcov / scale)
    if values.min() >= -1e-10:
        return vcov, False
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T * scale), True


def _caveats(estimate: Estimate, table: Table, labels: list[list[str]], leverage: float) -> list[str]:
    """Say in words what a reader of the corrected estimate must know."""
    exporters, importers = labels
    e, i, t = table.mean.shape
    vcov = getattr(estimate.options, "vcov", None)
    absent = table.pairs * t - estimate.nobs
    at = {name: position for position, name in enumerate(importers)}
    domestic = sum(bool(table.mean[own, at[name]].any()) for own, name in enumerate(exporters) if name in at)
    out = [
        "The correction is of order 1/N for fixed T: it removes most of the bias, not all, with few economies.",
        "Errors of different pairs count as independent, also of the two directions of trade between two economies.",
    ]
    if not table.concentrated:
        out[0] = "Coefficients are as estimated: with two-way effects PPML has no bias of order 1/N."
    if vcov in ("iid", "hetero"):
        out.append(f"The estimate's own covariance was {vcov}; here errors of a pair may depend on each other.")
    if absent:
        out.append(f"{absent} cell(s) of the pairs in the sample have no row and count as missing at random.")
    if domestic:
        out.append(
            f"{domestic} pair(s) are domestic; the paper's sums leave them out, here they are pairs like others."
        )
    if e != i:
        out.append(f"{e} exporters and {i} importers differ in number; the factor of the bias uses the larger.")
    if leverage > _NOTABLE:
        out.append(
            f"One pair has a leverage of {leverage:.4f}: the standard errors rest on a residual that is nearly fitted."
        )
    return out
