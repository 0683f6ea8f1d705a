"""The two numerical cores on one design, with what their covariance and their facts need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ import memory
from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import blocks, compilation, poisson, threeway
from cyber_trade_econ.hdfe.factor import Factor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cyber_trade_econ import design as designs
    from cyber_trade_econ.hdfe import linear
    from cyber_trade_econ.hdfe.blocks import Blocks, Sheets
    from cyber_trade_econ.hdfe.factor import Array, Effect, Mask
    from cyber_trade_econ.hdfe.net import Net
    from cyber_trade_econ.hdfe.samplelayout import SampleLayout


@dataclass(frozen=True)
class Core:
    """What both numerical cores hand over."""

    beta: Array
    kept: Mask
    root: Array
    within: Array | Net
    residual: Array
    effects: tuple[Array, ...]
    sigma2: float
    facts: Mapping[str, Any]


def by_poisson(design: designs.Design, stretch: Array, tol: float, sample: SampleLayout | None = None) -> Core:
    """Fit a Poisson model; ``sample`` is the layout of a sample that holds all rows of the design, where it is known."""
    result, taken = _poisson(design, stretch, tol, sample)
    null = _without_regressors(design, result)
    facts = {
        "pseudo_r2": 1 - result.log_likelihood / null if null else float("nan"),
        "log_likelihood": result.log_likelihood,
        "deviance": result.deviance,
        "iterations": result.iterations,
        "converged": True,
        "tolerance": tol,
        "largest_relative_score": result.score,
        **taken,
    }
    return Core(result.beta, result.kept, result.root, result.within, design.y - result.mu, result.effects, 1.0, facts)


def _without_regressors(design: designs.Design, result: poisson.PoissonFit[Array | Net]) -> float:
    """Return the log likelihood of a constant: what it does not share with the fit's, which is costly, stays as it is."""
    offset = design.offset - design.offset.max()  # a constant in it changes nothing
    outcome, total = design.w * design.y, float(np.sum(design.w * np.exp(offset)))
    level = float(outcome.sum()) / total
    fitted = outcome @ np.log(np.maximum(result.mu, 1e-300)) - design.w @ result.mu
    constant = outcome @ offset + outcome.sum() * np.log(level) - level * total
    return result.log_likelihood + float(constant - fitted)


def _layout(design: designs.Design, effects: Sequence[Effect], sample: SampleLayout | None) -> Blocks | Sheets | None:
    """Return the layout of the design's rows, unless its empty cells would not fit into memory."""
    layout = blocks.find(effects) if sample is None else sample.within(effects, design.rows)
    if isinstance(layout, blocks.Blocks) and not memory.holds_boxes(layout.sizes[0], design.regressors.full.shape[1]):
        return None
    return layout


def _poisson(
    design: designs.Design, stretch: Array, tol: float, sample: SampleLayout | None
) -> tuple[poisson.PoissonFit[Array | Net], dict[str, str]]:
    """Take the path of gravity panels where the effects have their structure, and the general one where they do not.

    Also returned is what the facts say of it: the path, and the kernels of the one that has several.

    The general path also decides where the other one does not get to its tolerance, so that no sample is refused for the
    sake of speed.
    """
    effects = list(design.factors.values())
    factors = [f for f in effects if isinstance(f, Factor)]
    layout = _layout(design, effects, sample)
    if layout is not None and all((f.sums(design.w * design.y) > 0).all() for f in factors):
        y, w, offset = design.y, design.w, design.offset
        try:
            if isinstance(layout, blocks.Sheets):
                from cyber_trade_econ.hdfe import twoway  # what one model does not need, it does not wait for

                fit = twoway.fit(y, design.X, w, offset, factors=factors, sheets=layout, stretch=stretch, tol=tol)
                return fit, {"path": "gravity"}
            loops = compilation.chosen(layout.sizes[0], design.k + 1)
            about = {"path": "gravity", "kernels": loops.name}
            data = y, design.regressors, w, offset
            return threeway.fit(*data, factors=factors, blocks=layout, stretch=stretch, tol=tol, kernels=loops), about
        except NotConverged:
            pass
    result = poisson.fit(design.y, design.X, effects, design.w, design.offset, stretch=stretch, tol=tol)
    return result, {"path": "general"}


def by_least_squares(
    design: designs.Design, stretch: Array, *, intercept: bool, sample: SampleLayout | None = None
) -> Core:
    """Fit a linear model; the offset is taken off the outcome, and ``sample`` is as for `by_poisson`."""
    target = design.y - design.offset
    result, path = _linear(design, target, stretch, sample)
    ssr = float((design.w * result.residual) @ result.residual)
    around = target - (design.w @ target / design.w.sum() if intercept or design.factors else 0.0)
    total = float((design.w * around) @ around)
    r2 = 1 - ssr / total if total > 0 else float("nan")
    facts: dict[str, Any] = {"r2": r2, "ssr": ssr, "converged": True, "path": path}
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


def _linear(
    design: designs.Design, target: Array, stretch: Array, sample: SampleLayout | None
) -> tuple[linear.LinearFit[Array | Net], str]:
    """Take the path of gravity panels where the effects have their structure, and the general one where they do not."""
    from cyber_trade_econ.hdfe import gravity_linear, linear

    effects = list(design.factors.values())
    factors = [f for f in effects if isinstance(f, Factor)]
    layout = _layout(design, effects, sample)
    X, w = design.regressors, design.w
    attempts: list[Callable[[], linear.LinearFit[Array | Net]]] = []
    if isinstance(layout, blocks.Blocks) and X.rare.any():
        from cyber_trade_econ.hdfe import listed_linear

        loops = compilation.chosen(layout.sizes[0], design.k + 1)
        attempts.append(
            lambda: listed_linear.fit(target, X, w, factors=factors, blocks=layout, kernels=loops, stretch=stretch)
        )
    if layout is not None:
        attempts.append(lambda: gravity_linear.fit(target, design.X, factors, w, layout=layout, stretch=stretch))
    for attempt in attempts:
        try:
            return attempt(), "gravity"
        except NotConverged:
            continue
    return linear.fit(target, design.X, effects, design.w, stretch), "general"


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
