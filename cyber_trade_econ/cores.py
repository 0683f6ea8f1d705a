"""The two numerical cores on one design, with what their covariance and their facts need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import blocks, linear, poisson, threeway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cyber_trade_econ import design as designs
    from cyber_trade_econ.hdfe.factor import Array, Mask


@dataclass(frozen=True)
class Core:
    """What both numerical cores hand over."""

    beta: Array
    kept: Mask
    root: Array
    within: Array
    residual: Array
    effects: tuple[Array, ...]
    sigma2: float
    facts: Mapping[str, Any]


def by_poisson(design: designs.Design, stretch: Array, tol: float) -> Core:
    """Fit a Poisson model."""
    result, path = _poisson(design, stretch, tol)
    exposure = np.exp(design.offset)
    null_mean = exposure * (np.sum(design.w * design.y) / np.sum(design.w * exposure))
    null = poisson.log_likelihood(design.y, null_mean, design.w)
    facts = {
        "pseudo_r2": 1 - result.log_likelihood / null,
        "log_likelihood": result.log_likelihood,
        "deviance": result.deviance,
        "iterations": result.iterations,
        "converged": True,
        "tolerance": tol,
        "largest_relative_score": result.score,
        "path": path,
    }
    return Core(result.beta, result.kept, result.root, result.within, design.y - result.mu, result.effects, 1.0, facts)


def _poisson(design: designs.Design, stretch: Array, tol: float) -> tuple[poisson.PoissonFit, str]:
    """Take the path of gravity panels where the effects have their structure, and the general one where they do not.

    The general path also decides where the other one does not get to its tolerance, so that no sample is refused for the
    sake of speed.
    """
    factors = list(design.factors.values())
    layout = blocks.detect(factors)
    if layout is not None and all((f.sums(design.w * design.y) > 0).all() for f in factors):
        try:
            result = threeway.fit(design.y, design.X, design.w, design.offset, blocks=layout, stretch=stretch, tol=tol)
        except NotConverged:
            pass
        else:
            return result, "gravity"
    return poisson.fit(design.y, design.X, factors, design.w, design.offset, stretch=stretch, tol=tol), "general"


def by_least_squares(design: designs.Design, stretch: Array, *, intercept: bool) -> Core:
    """Fit a linear model; the offset is taken off the outcome."""
    target = design.y - design.offset
    result = linear.fit(target, design.X, list(design.factors.values()), design.w, stretch)
    ssr = float(np.sum(design.w * result.residual**2))
    centre = np.average(target, weights=design.w) if intercept or design.factors else 0.0
    total = float(np.sum(design.w * (target - centre) ** 2))
    facts: dict[str, Any] = {"r2": 1 - ssr / total if total > 0 else float("nan"), "ssr": ssr, "converged": True}
    if design.factors:
        facts["within_r2"] = 1 - ssr / result.within_total if result.within_total > 0 else float("nan")
    return Core(
        result.beta,
        result.kept,
        result.root,
        result.within,
        result.residual,
        result.effects,
        ssr / len(design.y),
        facts,
    )


def goodness(design: designs.Design, core: Core, k: int) -> dict[str, float]:
    """Return adjusted R2 and root mean squared error of a linear fit with ``k`` parameters."""
    n = len(design.y)
    if n <= k:
        return {}
    constant = bool(design.factors) or INTERCEPT in design.names
    return {
        "adj_r2": 1 - (1 - core.facts["r2"]) * (n - constant) / (n - k),
        "rmse": float(np.sqrt(core.facts["ssr"] / (n - k))),
    }
