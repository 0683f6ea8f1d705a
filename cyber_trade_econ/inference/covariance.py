"""Sandwich covariances: heteroskedasticity-robust, multiway-clustered, dyadic-robust."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.errors import EmptySample, FewClusters
from cyber_trade_econ.hdfe.factor import Array, Effect, Factor, Slope, components, cross, is_nested
from cyber_trade_econ.inference.conventions import Dyadic, SmallSample, Vcov

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.hdfe.factor import Mask
    from cyber_trade_econ.hdfe.net import Net

OF_VCOV = (
    *("vcov", "ssc", "ssc_factor", "clusters", "vcov_repaired", "vcov_missing", "fitted_exactly"),
    *("effective_clusters", "few_clusters", "lags", "period", "places"),
)
"""Names of the facts that belong to a covariance and leave with it."""

_ROUNDING = 1e-10  # eigenvalues of a correlation matrix above minus this are not negative
_EXACT, _LEFT = 1e-9, 1e-7  # shares that solvers leave of outcomes they fit exactly: of half of them, and at most
_NOTHING = 1e-25  # a variance below this share of the largest there can be is the square of a rounding error


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


@dataclass(frozen=True)
class NetScores:
    """Scores of rows that are never written out: regressors net of effects, times ``weight`` (n,), times ``root`` (k, k).

    ``most`` is a number that the sum of all squared scores does not exceed.
    """

    net: Net
    weight: Array
    root: Array
    most: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.net.shape

    def sums(self, group: Factor, where: Mask | None = None) -> Array:
        """Sum within levels, (levels, k), over the rows where ``where`` is true."""
        return self.net.sums(group, self.weight if where is None else self.weight * where) @ self.root

    def products(self) -> Array:
        """Return the cross products, (k, k)."""
        return self.root.T @ self.net.products(self.weight**2) @ self.root


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


def degrees_of_freedom(n: int, k: int, formula: object) -> None:
    """Refuse a sample that the parameters, effects included, use up."""
    if n <= k:
        raise EmptySample(
            f"no degree of freedom is left to estimate {formula}",
            found=f"{n} rows for {k} parameters, fixed effects included",
            fix="Use fewer or coarser fixed effects. Where they are redundant in more ways than one per set, "
            "ssc=cte.ssc(redundant='components') counts fewer parameters.",
        )


def sandwich(
    root: Array,
    scores: Array | NetScores,
    vcov: Vcov,
    groups: Mapping[str, Factor],
    rule: SmallSample,
    k: int,
    *,
    sigma2: float,
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
    n = scores.shape[0]
    if vcov == "iid":
        return Sandwich(root @ root.T * sigma2, {}, np.inf, {"vcov": "iid", "ssc": rule.name})
    notes: dict[str, Any] = {"vcov": str(vcov), "ssc": rule.name}
    if vcov == "hetero":
        factor = n / (n - k) if rule.k_adj else n / (n - 1) if rule.g_adj else 1.0
        matrix, lost = known(root @ _products(scores) @ root.T * factor, root, scores)
        notes |= {"ssc_factor": factor} | ({"vcov_missing": lost} if lost else {})
        return Sandwich(matrix, {}, np.inf, notes)
    scale = (n - 1) / (n - k) if rule.k_adj else 1.0
    if isinstance(vcov, Dyadic):
        meat, counts = _dyadic_meat(scores, groups[vcov.exporter], groups[vcov.importer], rule)
    else:
        meat, counts = _cluster_meat(scores, [groups[name] for name in vcov.by], vcov.by, rule)
    matrix, repaired = positive(root @ meat @ root.T * scale)
    matrix, lost = known(matrix, root, scores)
    notes |= {"ssc_factor": scale, "clusters": counts, "vcov_repaired": repaired}
    notes |= {"vcov_missing": lost} if lost else {}
    return Sandwich(matrix, counts, min(counts.values()) - 1, notes)


def _factor(levels: int, smallest: int, rule: SmallSample) -> float:
    g = smallest if rule.g_df == "min" else levels
    return g / (g - 1) if rule.g_adj else 1.0


def _products(scores: Array | NetScores) -> Array:
    return scores.products() if isinstance(scores, NetScores) else scores.T @ scores


def _sums(scores: Array | NetScores, group: Factor, where: Mask | None = None) -> Array:
    """Sum scores within levels, (levels, k), over the rows where ``where`` is true."""
    if isinstance(scores, NetScores):
        return scores.sums(group, where)
    return group.sums(scores if where is None else np.where(where[:, None], scores, 0.0))


def _cluster_meat(
    scores: Array | NetScores, factors: Sequence[Factor], names: Sequence[str], rule: SmallSample
) -> tuple[Array, dict[str, int]]:
    """Inclusion and exclusion over all intersections of the cluster variables."""
    counts = dict(zip(names, (f.levels for f in factors), strict=True))
    require_clusters(counts)
    smallest = min(counts.values())
    meat = np.zeros((scores.shape[1],) * 2)
    for size in range(1, len(factors) + 1):
        for subset in combinations(factors, size):
            group = cross(subset)
            total = _sums(scores, group)
            meat += (-1) ** (size + 1) * _factor(group.levels, smallest, rule) * (total.T @ total)
    return meat, counts


def _dyadic_meat(scores: Array | NetScores, a: Factor, b: Factor, rule: SmallSample) -> tuple[Array, dict[str, int]]:
    """Sum over rows that share an economy; the two factors must number the economies alike."""
    economies = max(a.levels, b.levels)
    counts = {"economies": len(np.union1d(a.codes, b.codes))}
    require_clusters(counts)
    international = a.codes != b.codes
    by_economy = _sums(scores, Factor(a.codes, economies)) + _sums(scores, Factor(b.codes, economies), international)
    low, high = np.minimum(a.codes, b.codes), np.maximum(a.codes, b.codes)
    dyads = cross([Factor(low, economies), Factor(high, economies)])
    # Rows of one dyad share both economies and were counted twice; domestic rows have one economy and were counted once.
    by_dyad = _sums(scores, dyads, international)
    meat = by_economy.T @ by_economy - by_dyad.T @ by_dyad
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
    if not (scale > 0).all():  # a variance of zero has no part in one that is negative
        among = np.ix_(scale > 0, scale > 0)
        matrix[among], negative = positive(matrix[among])
        return matrix, negative
    if matrix.size == 0 or _smallest(matrix, scale) >= -_ROUNDING:
        return matrix, False
    repaired = _clipped(matrix)
    if (np.diag(repaired) <= 0).any() or _smallest(repaired, np.sqrt(np.abs(np.diag(repaired)))) < -_ROUNDING:
        repaired = _clipped(matrix / np.outer(scale, scale)) * np.outer(scale, scale)
    return repaired, True


def known(matrix: Array, root: Array, scores: Array | NetScores) -> tuple[Array, int]:
    """Set variances that are zero but for rounding to missing, with their covariances; also return how many there were.

    Zero is what scores of clusters that cancel leave, or a repair, not what is known of a coefficient: a t statistic over it
    would be infinite. What rounding is follows from the variance without clusters. Where that is nothing itself, the rows
    that tell of a coefficient are fitted exactly; where it is nothing for all, the whole fit is exact and has no error.
    """
    most = scores.most if isinstance(scores, NetScores) else float(np.einsum("nk,nk->", scores, scores))
    bound = most * np.square(root).sum(axis=1)
    if (np.diag(matrix) > _ROUNDING * bound).all():
        return matrix, 0  # none can be: what is compared with is smaller than this
    alone = np.diag(root @ _products(scores) @ root.T)
    exact = alone <= _NOTHING * bound
    lost = (exact | (np.diag(matrix) <= _ROUNDING * alone)) & (not exact.all())
    if lost.any():
        matrix = matrix.copy()
        matrix[lost] = matrix[:, lost] = np.nan
    return matrix, int(lost.sum())


def unless_exact(cov: Sandwich, y: Array, residual: Array, *, ols: bool) -> Sandwich:
    """Set all variances to missing where residuals (n,) of the outcome (n,) are but rounding: nothing is known of the noise.

    So it is where no degree of freedom is left, which counting parameters does not always tell. Every residual is compared
    with its own outcome, so that one row that is far larger than the others does not make their noise look like rounding.
    """
    largest = max(float(residual.max(initial=0.0)), -float(residual.min(initial=0.0)))
    if ols:
        if largest > _LEFT * 2 * float(np.ptp(y)) > 0:  # what mostly is, is told without a median
            return cov
        scale = _variation(y)
    elif y.min(initial=1.0) <= 0:  # no mean of a Poisson model is zero
        return cov
    else:
        scale = y
    off = np.abs(residual)
    if not ((off <= _LEFT * scale).all() and np.mean(off <= _EXACT * scale) >= 0.5):
        return cov
    k = len(cov.matrix)
    return replace(cov, matrix=np.full((k, k), np.nan), notes=cov.notes | {"vcov_missing": k, "fitted_exactly": True})


def _variation(y: Array) -> Array:
    """Return how far each outcome and the typical one lie from the middle, (n,): by how much there was to explain."""
    middle = float(np.median(y))
    away = np.abs(y - middle)
    there = away[away > 0]
    return away + (float(np.median(there)) if len(there) else abs(middle))


def _smallest(matrix: Array, scale: Array) -> float:
    return float(np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min())


def _clipped(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
