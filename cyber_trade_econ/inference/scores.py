"""Scores by cluster, and what is left of them once a perturbation has been fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import is_nested
from cyber_trade_econ.inference.linearised import weighted
from cyber_trade_econ.memory import require

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Factor
    from cyber_trade_econ.inference.linearised import Linearised

_COLUMNS = 16  # clusters absorbed at a time, which bounds the memory for them


@dataclass(frozen=True)
class ClusterScores:
    """Scores of one coefficient by cluster.

    Parameters
    ----------
    sums
        Score of each cluster, shape (G,).
    fitted
        Score of cluster g that the fit takes away per unit of the residuals of cluster h, shape (G, G).
    information
        Information on the coefficient, all else concentrated out.
    """

    sums: Array
    fitted: Array
    information: float

    def statistic(self, draws: Array) -> Array:
        """Return the t statistic of each row of ``draws`` (B, G), which multiply the residuals of the clusters."""
        left = draws * self.sums - draws @ self.fitted.T
        spread = np.sqrt(np.einsum("bg,bg->b", left, left))
        total = draws @ self.sums
        # Without any spread a draw says nothing, or infinitely much.
        return np.asarray(
            np.where(spread > 0, total / np.where(spread > 0, spread, 1.0), np.where(total == 0, 0.0, np.inf))
        )

    @property
    def error(self) -> float:
        """Cluster-robust standard error of the coefficient without small-sample factor."""
        left = self.sums - self.fitted.sum(axis=1)
        return float(np.sqrt(left @ left)) / self.information

    def wald(self, gap: float) -> float:
        """Return the t statistic of a coefficient ``gap`` away from its hypothesised value."""
        return gap / self.error

    def moved(self, slope: ClusterScores, by: float) -> ClusterScores:
        """Return the scores where the residuals have moved by ``by`` times those of ``slope``."""
        return ClusterScores(self.sums + by * slope.sums, self.fitted + by * slope.fitted, self.information)


def cluster_scores(model: Linearised, group: Factor, z: Array, residual: Array) -> ClusterScores:
    """Sum the scores of one coefficient within clusters.

    Parameters
    ----------
    z
        The regressor net of effects and other regressors, shape (n,).
    residual
        Residuals to be perturbed, shape (n,).
    """
    require(
        8.0 * 3 * group.levels**2,
        f"a bootstrap of scores with {group.levels:,} clusters",
        "Use the covariance itself, which is reliable with so many clusters, or coarser ones.",
    )
    pull, basis = model.weight * z, model.basis
    fitted = group.sums(basis * pull[:, None]) @ group.sums(basis * (model.weight * residual)[:, None]).T
    fitted += _by_effects(model, group, z, residual)
    return ClusterScores(group.sums(pull * residual), fitted, float(pull @ z))


def _by_effects(model: Linearised, group: Factor, z: Array, residual: Array) -> Array:
    """Project z, cluster by cluster, on the effects: their share of ``fitted``, zero where they are nested in clusters."""
    out = np.zeros((group.levels, group.levels))
    if all(is_nested(f, group) for f in model.design.factors.values()):  # or there are none
        return out
    for start in range(0, group.levels, _COLUMNS):
        chosen = np.arange(start, min(start + _COLUMNS, group.levels))
        alone = np.where(group.codes[:, None] == chosen, z[:, None], 0.0)
        on_effects = alone - _net_of_effects(model, alone)
        out[chosen] = group.sums(on_effects * (model.weight * residual)[:, None]).T
    return out


def _net_of_effects(model: Linearised, columns: Array) -> Array:
    """Take the effects out of columns by the path that suits the design; where they leave nothing of one, by projection."""
    net = model.solver.least_squares(weighted(model.design.having(columns), model.weight, model.residual))
    if net.kept.all():
        return net.within
    state = Layout(list(model.design.factors.values())).weighted(model.weight)
    return state.residual(columns, state.effects(columns))
