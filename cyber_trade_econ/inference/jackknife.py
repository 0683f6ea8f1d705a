"""The cluster jackknife CRV3: leave out one cluster at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import ConfigError, EstimationError, NotIdentified
from cyber_trade_econ.hdfe import poisson
from cyber_trade_econ.hdfe.factor import is_nested
from cyber_trade_econ.hdfe.leastsquares import independent, solve, weighted_lengths
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.inference.linearised import at

if TYPE_CHECKING:
    from cyber_trade_econ.design import Design
    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask
    from cyber_trade_econ.inference.linearised import Linearised


@dataclass(frozen=True)
class Jackknife:
    """CRV3 by one cluster variable. Built by `jackknife`."""

    by: str
    one_step: bool

    def __str__(self) -> str:
        return f"cluster jackknife (CRV3{', one step' if self.one_step else ''}): {self.by}"


def jackknife(by: str, *, one_step: bool = False) -> Jackknife:
    """Estimate the covariance from the estimates that leave out one cluster each: (G-1)/G sum (b_g - b)(b_g - b)'.

    It over- rather than understates uncertainty and does better than `cluster` with few or unequal clusters.

    Parameters
    ----------
    by
        Cluster column, or columns joined by ``^``.
    one_step
        For PPML: take one Newton step from the full estimate in place of a fit without the cluster. For OLS the step is
        the fit. Costs one absorption of effects per cluster, and next to nothing where the effects are nested in clusters.

    References
    ----------
    MacKinnon, Nielsen and Webb (2023), https://doi.org/10.1002/jae.2969.
    """
    if not isinstance(by, str) or not by:
        raise ConfigError("jackknife()", found=repr(by), allowed="the name of one cluster variable")
    return Jackknife(by, one_step)


def covariance(model: Linearised, group: Factor, vcov: Jackknife, *, exponential: bool) -> Array:
    """Return CRV3 of the coefficients asked for, shape (k, k)."""
    if exponential and not vcov.one_step:
        changes = _refitted(model, group)
    elif all(is_nested(f, group) for f in model.design.factors.values()):
        changes = _downdated(model, group)
    else:
        changes = _absorbed_again(model, group)
    changes = changes @ model.back.T
    return np.asarray(changes.T @ changes * (group.levels - 1) / group.levels)


def _downdated(model: Linearised, group: Factor) -> Array:
    """Return the changes (G, k) where no effect joins clusters: sums of squares and products are all it takes."""
    basis, k = np.sqrt(model.weight)[:, None] * model.basis, model.within.shape[1]
    pulls = group.sums(model.scores)
    order = np.argsort(group.codes, kind="stable")
    ends = np.cumsum(np.bincount(group.codes, minlength=group.levels))
    changes = np.empty((group.levels, k))
    for g, rows in enumerate(np.split(order, ends[:-1])):
        rest = np.eye(k) - basis[rows].T @ basis[rows]
        if k and np.linalg.eigvalsh(rest)[0] < 1e-9:
            raise _needed(model.design, g, "a regressor varies in this cluster alone")
        changes[g] = -model.root @ np.linalg.solve(rest, pulls[g])
    return changes


def _absorbed_again(model: Linearised, group: Factor) -> Array:
    """Return the changes (G, k) of the linear problem, its effects absorbed anew without each cluster."""
    changes = np.empty((group.levels, model.within.shape[1]))
    for g in range(group.levels):
        rows = group.codes != g
        part = model.design.keep(rows, {})
        weight, residual = model.weight[rows], model.residual[rows]
        both = at(replace(part, X=np.column_stack([part.X, residual])), model.back, weight, residual).within
        net, target = both[:, :-1], both[:, -1]
        if not independent(net, weight, weighted_lengths(part.X, weight)).all():
            raise _needed(model.design, g, "a regressor varies in this cluster alone")
        changes[g] = solve(net, target, weight).beta
    return changes


def _refitted(model: Linearised, group: Factor) -> Array:
    """Return the changes (G, k) of a Poisson model fitted without each cluster."""
    whole = _poisson(model.design).beta
    changes = np.empty((group.levels, len(whole)))
    for g in range(group.levels):
        part = _existing(model.design.keep(group.codes != g, {}))
        if not len(part.y):
            raise _needed(model.design, g, "no row with a Poisson estimate is left")
        try:
            result = _poisson(part)
        except EstimationError as error:
            raise _needed(model.design, g, str(error)) from error
        if not result.kept.all():
            raise _needed(model.design, g, "a regressor varies in this cluster alone")
        changes[g] = result.beta - whole
    return changes


def _poisson(design: Design) -> poisson.PoissonFit:
    return poisson.fit(design.y, design.X, list(design.factors.values()), design.w, design.offset)


def _existing(design: Design) -> Design:
    """Drop rows that are singletons or separated now that a cluster is gone."""
    while True:
        if design.factors:
            design = design.keep(prune(list(design.factors.values()), design.y).keep, {})
        bad: Mask = separated(design.y, design.X, list(design.factors.values()))
        if not bad.any():
            return design
        design = design.keep(~bad, {})


def _needed(design: Design, g: int, why: str) -> NotIdentified:
    # The cluster is known by a row of it: its label need not be a single value.
    row = int(design.rows[int(np.argmax(next(iter(design.groups.values())).codes == g))])
    return NotIdentified(
        "the cluster jackknife needs every coefficient without each cluster",
        found=f"{why}; it holds the data's row at position {row}",
        fix="Use cte.cluster(...) or a wild bootstrap, or a cluster variable that is finer.",
    )
