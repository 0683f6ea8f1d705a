"""Sandwich covariances: heteroskedasticity-robust, multiway-clustered, dyadic-robust."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.errors import FewClusters
from cyber_trade_econ.hdfe.factor import Array, Effect, Factor, Slope, components, cross, is_nested
from cyber_trade_econ.inference.conventions import Dyadic, SmallSample, Vcov

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OF_VCOV = (
    *("vcov", "ssc", "ssc_factor", "clusters", "vcov_repaired"),
    *("effective_clusters", "few_clusters", "lags", "period", "places"),
)
"""Names of the facts that belong to a covariance and leave with it."""

_ROUNDING = 1e-10  # eigenvalues of a correlation matrix above minus this are not negative


@dataclass(frozen=True)
class Sandwich:
    """A covariance and how it was made.

    Parameters
    ----------
    matrix
        Covariance, shape (k, k).
    clusters
        Number of clusters by variable.
    df
        Smallest number of clusters less one, or ``inf`` without clusters.
    notes
        Conventions and repairs, for the facts of the estimate.
    """

    matrix: Array
    clusters: dict[str, int]
    df: float
    notes: dict[str, Any]


def absorbed_df(factors: Sequence[Effect], clusters: Sequence[Factor], rule: SmallSample, *, constant: bool) -> int:
    """Count the parameters that the effects use up in K.

    Parameters
    ----------
    factors, clusters
        Effects, and cluster variables in which they may be nested.
    rule
        Which effects count and how redundancy between them is counted.
    constant
        Whether the regressors hold a constant (then it is counted there).
    """
    if not factors or rule.k_fixef == "none":
        return 0
    remain = list(factors)
    if rule.k_fixef == "nested":
        remain = [f for f in factors if not any(is_nested(f, c) for c in clusters)]
    slopes = sum(int(f.moves.sum()) for f in remain if isinstance(f, Slope))  # one for each level that has one
    counted = [f for f in remain if isinstance(f, Factor)]
    redundant = 0
    for position, factor in enumerate(counted[1:], start=1):
        ties = [1 if rule.redundant == "simple" else components(other, factor) for other in counted[:position]]
        redundant += max(ties)
    used = sum(f.levels for f in counted) - redundant + slopes
    return max(used, 0 if constant else 1)


def sandwich(
    root: Array, scores: Array, vcov: Vcov, groups: Mapping[str, Factor], rule: SmallSample, k: int, *, sigma2: float
) -> Sandwich:
    """Assemble a covariance.

    Parameters
    ----------
    root
        Matrix B with BB' the inverse of the information matrix (bread), shape (k, k).
    scores
        Score of each row times B, shape (n, k).
    vcov
        What is robust against what.
    groups
        Factors of the cluster or dyad variables by name.
    rule
        Small-sample factors.
    k
        Parameters counted in N - K, effects included.
    sigma2
        Scale of the information matrix, used by ``"iid"`` alone.
    """
    n = len(scores)
    if vcov == "iid":
        return Sandwich(root @ root.T * sigma2, {}, np.inf, {"vcov": "iid", "ssc": rule.name})
    notes: dict[str, Any] = {"vcov": str(vcov), "ssc": rule.name}
    if vcov == "hetero":
        factor = n / (n - k) if rule.k_adj else n / (n - 1) if rule.g_adj else 1.0
        return Sandwich(root @ (scores.T @ scores) @ root.T * factor, {}, np.inf, notes | {"ssc_factor": factor})
    scale = (n - 1) / (n - k) if rule.k_adj else 1.0
    if isinstance(vcov, Dyadic):
        meat, counts = _dyadic_meat(scores, groups[vcov.exporter], groups[vcov.importer], rule)
    else:
        meat, counts = _cluster_meat(scores, [groups[name] for name in vcov.by], vcov.by, rule)
    matrix, repaired = positive(root @ meat @ root.T * scale)
    notes |= {"ssc_factor": scale, "clusters": counts, "vcov_repaired": repaired}
    return Sandwich(matrix, counts, min(counts.values()) - 1, notes)


def _factor(levels: int, smallest: int, rule: SmallSample) -> float:
    g = smallest if rule.g_df == "min" else levels
    return g / (g - 1) if rule.g_adj else 1.0


def _cluster_meat(
    scores: Array, factors: Sequence[Factor], names: Sequence[str], rule: SmallSample
) -> tuple[Array, dict[str, int]]:
    """Inclusion and exclusion over all intersections of the cluster variables."""
    counts = dict(zip(names, (f.levels for f in factors), strict=True))
    require_clusters(counts)
    smallest = min(counts.values())
    meat = np.zeros((scores.shape[1],) * 2)
    for size in range(1, len(factors) + 1):
        for subset in combinations(factors, size):
            group = cross(subset)
            total = group.sums(scores)
            meat += (-1) ** (size + 1) * _factor(group.levels, smallest, rule) * (total.T @ total)
    return meat, counts


def _dyadic_meat(scores: Array, a: Factor, b: Factor, rule: SmallSample) -> tuple[Array, dict[str, int]]:
    """Sum over rows that share an economy; the two factors must number the economies alike."""
    economies = max(a.levels, b.levels)
    counts = {"economies": len(np.union1d(a.codes, b.codes))}
    require_clusters(counts)
    domestic = a.codes == b.codes
    by_economy = np.zeros((economies, scores.shape[1]))
    for column in range(scores.shape[1]):
        by_economy[:, column] = np.bincount(a.codes, scores[:, column], economies)
        by_economy[:, column] += np.bincount(b.codes, np.where(domestic, 0.0, scores[:, column]), economies)
    low, high = np.minimum(a.codes, b.codes), np.maximum(a.codes, b.codes)
    dyads = cross([Factor(low, economies), Factor(high, economies)])
    # Rows of one dyad share both economies and were counted twice; domestic rows have one economy and were counted once.
    international = dyads.sums(np.where(domestic[:, None], 0.0, scores))
    meat = by_economy.T @ by_economy - international.T @ international
    return meat * _factor(counts["economies"], counts["economies"], rule), counts


def require_clusters(counts: Mapping[str, int]) -> None:
    """Refuse standard errors clustered by a variable with one level."""
    for name, levels in counts.items():
        if levels < 2:
            raise FewClusters(
                f"standard errors clustered by {name!r} need at least two clusters",
                found=f"{levels} in the estimation sample",
                fix="Cluster by a finer variable, or pass vcov='hetero'.",
            )


def positive(matrix: Array) -> tuple[Array, bool]:
    """Set negative eigenvalues, which inclusion and exclusion can produce, to zero (Cameron, Gelbach and Miller 2011).

    Eigenvalues depend on the units of the regressors. The repair is made in the units given, as other software does; where
    these are so far apart that rounding hides a negative one, it is made on the correlations.
    """
    matrix = (matrix + matrix.T) / 2
    scale = np.sqrt(np.abs(np.diag(matrix)))
    if matrix.size == 0 or not (scale > 0).all() or _smallest(matrix, scale) >= -_ROUNDING:
        return matrix, False
    repaired = _clipped(matrix)
    if (np.diag(repaired) <= 0).any() or _smallest(repaired, np.sqrt(np.abs(np.diag(repaired)))) < -_ROUNDING:
        repaired = _clipped(matrix / np.outer(scale, scale)) * np.outer(scale, scale)
    return repaired, True


def _smallest(matrix: Array, scale: Array) -> float:
    return float(np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min())


def _clipped(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
