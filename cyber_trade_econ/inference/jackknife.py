"""The cluster jackknife CRV3: leave out one cluster at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import ConfigError, EstimationError, NotIdentified
from cyber_trade_econ.hdfe.factor import is_nested
from cyber_trade_econ.inference.carried import carried, check_executor
from cyber_trade_econ.inference.existing import existing
from cyber_trade_econ.inference.linearised import weighted
from cyber_trade_econ.inference.refit import Refit

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from cyber_trade_econ.design import Design
    from cyber_trade_econ.hdfe.factor import Array, Factor
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

    Returns
    -------
    Value for ``vcov`` of `with_vcov`.

    Raises
    ------
    ConfigError
        If ``by`` is not the name of a column. `with_vcov` raises NotIdentified where a coefficient does not exist without
        some cluster.

    References
    ----------
    MacKinnon, Nielsen and Webb (2023), https://doi.org/10.1002/jae.2969.
    """
    if not isinstance(by, str) or not by:
        raise ConfigError("jackknife()", found=repr(by), allowed="the name of one cluster variable")
    return Jackknife(by, one_step)


def covariance(
    model: Linearised, group: Factor, vcov: Jackknife, *, exponential: bool, executor: Executor | None = None
) -> Array:
    """Return CRV3 of the coefficients asked for, shape (k, k)."""
    check_executor("jackknife", executor)
    fitted = exponential and not vcov.one_step
    if not fitted and all(is_nested(f, group) for f in model.design.factors.values()):
        changes = _downdated(model, group)
    else:
        start = model.started if fitted else weighted(model.design, model.weight, model.residual)
        work = partial(_fitted_again if fitted else _absorbed_again, Refit.of(model.solver, start), start, group)
        changes = np.array(carried(work, group.levels, executor))
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


def _absorbed_again(solver: Refit, start: Design, group: Factor, g: int) -> Array:
    """Return the change (k,) of the linear problem without cluster ``g``, its effects absorbed anew."""
    result = solver.least_squares(start.keep(group.codes != g, {}))
    if not result.kept.all():
        raise _needed(start, g, "a regressor varies in this cluster alone")
    return result.beta


def _fitted_again(solver: Refit, start: Design, group: Factor, g: int) -> Array:
    """Return the change (k,) of a Poisson model fitted without cluster ``g``."""
    part, _ = existing(start.keep(group.codes != g, {}))
    if not len(part.y):
        raise _needed(start, g, "no row with a Poisson estimate is left")
    try:
        result = solver.poisson(part)
    except EstimationError as error:
        raise _needed(start, g, str(error)) from error
    if not result.kept.all():
        raise _needed(start, g, "a regressor varies in this cluster alone")
    return result.beta


def _needed(design: Design, g: int, why: str) -> NotIdentified:
    # The cluster is known by a row of it: its label need not be a single value.
    row = int(design.rows[int(np.argmax(next(iter(design.groups.values())).codes == g))])
    return NotIdentified(
        "the cluster jackknife needs every coefficient without each cluster",
        found=f"{why}; it holds the data's row at position {row}",
        fix="Use cte.cluster(...) or a wild bootstrap, or a cluster variable that is finer.",
    )
