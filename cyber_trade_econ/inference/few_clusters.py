"""How many clusters a cluster-robust standard error really rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.hdfe.net import Net

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array, Factor
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

FEW = 30
"""Effective clusters below which tests on t(G-1) are not to be trusted."""

_ABSORBED = 1e-9  # share below which sums over clusters are what solvers leave of effects nested in clusters
_AT_ONCE = 8  # regressors of which copies are held: all of them may not fit into memory twice


def effective_clusters(estimate: Estimate, data: pd.DataFrame | Panel, by: str) -> pd.DataFrame:
    """Count clusters as their unequal size and leverage allow, coefficient by coefficient.

    Parameters
    ----------
    estimate, data
        An estimate of PPML or OLS and the data it was made on.
    by
        Cluster column, or columns joined by ``^``.

    Returns
    -------
    Frame indexed by term: ``clusters`` G; ``effective_0`` and ``effective_1``, the effective number for independent errors
    and for one shock to the fitted index per cluster (missing where effects absorb what a cluster has in common);
    ``leverage``, the largest share of one cluster in the variation that identifies the coefficient (1/G if all were alike).

    Raises
    ------
    ConfigError
        For an estimate of another kind, or data that are not those of the estimate.
    FormulaError
        For a column that is not in the data.

    References
    ----------
    Carter, Schnepel and Steigerwald (2017), https://doi.org/10.1162/REST_a_00639; MacKinnon, Nielsen and Webb (2023),
    https://doi.org/10.1016/j.jeconom.2022.04.001.
    """
    import pandas as pd

    from cyber_trade_econ.inference.linearised import linearised  # no fit needs it

    model = linearised(estimate, data, clusters=(by,))
    group = model.design.groups[by]
    independent, common, share = counted(model.within, model.root @ model.bread.T, model.weight, group)
    return pd.DataFrame(
        {"clusters": group.levels, "effective_0": independent, "effective_1": common, "leverage": share},
        index=estimate.coef.index,
    )


def counted(within: Array | Net, inverse: Array, weight: Array, group: Factor) -> tuple[Array, Array, Array]:
    """Return the two effective numbers of clusters and the largest leverage by coefficient, each (k,).

    Parameters
    ----------
    within, weight
        Regressors net of effects (n, k), and weights (n,).
    inverse
        Their inverse information matrix, columns in the coordinates of the coefficients asked for, (k, k).
    group
        Clusters.
    """
    if isinstance(within, Net):
        together = (within.sums(group, weight) @ inverse) ** 2
        alone = within.squares(group, weight, inverse)
        return _summary(alone, together)
    alone, together = (np.empty((group.levels, inverse.shape[1])) for _ in range(2))
    for first in range(0, inverse.shape[1], _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        partial = within @ inverse[:, some]  # regressors net of all others, up to their lengths
        together[:, some] = group.sums(partial, weight) ** 2
        alone[:, some] = group.sums(np.square(partial, out=partial), weight)
    return _summary(alone, together)


def _summary(alone: Array, together: Array) -> tuple[Array, Array, Array]:
    """From the shares of clusters in the two variances, each (G, k), to what `counted` returns."""
    total = alone.sum(axis=0)
    absorbed = together.sum(axis=0) < _ABSORBED * total
    second = np.where(absorbed, np.nan, _effective(np.where(absorbed, 1.0, together)))
    return _effective(alone), second, alone.max(axis=0) / total


def facts(
    within: Array | Net, inverse: Array, weight: Array, groups: Mapping[str, Factor], names: Sequence[str]
) -> dict[str, Any]:
    """State the smallest effective number of clusters, over variables and coefficients, and warn where one is below `FEW`."""
    smallest = np.inf
    warnings = []
    for by, group in groups.items():
        independent, common, _ = counted(within, inverse, weight, group)
        worst = np.fmin(independent, common)
        if not worst.size:
            continue
        at = int(worst.argmin())
        smallest = min(smallest, float(worst[at]))
        if worst[at] < FEW:
            warnings.append(f"{by}: {group.levels} clusters, effectively {worst[at]:.1f} for {names[at]}")
    out: dict[str, Any] = {"effective_clusters": smallest} if np.isfinite(smallest) else {}
    if warnings:
        out["few_clusters"] = "; ".join(warnings) + ". Confirm with wild_bootstrap or jackknife."
    return out


def counted_only(counts: Mapping[str, int]) -> dict[str, str]:
    """Warn of few economies or periods, whose effective number has no formula."""
    few = [f"{name}: {count}" for name, count in counts.items() if count < FEW]
    return {"few_clusters": "; ".join(few) + ". Tests reject too often with so few."} if few else {}


def _effective(variance: Array) -> Array:
    """G / (1 + squared coefficient of variation) of the clusters' shares in a variance, (G, k) to (k,)."""
    return np.asarray(variance.sum(axis=0) ** 2 / np.einsum("gk,gk->k", variance, variance))
