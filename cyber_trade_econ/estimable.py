"""Whether a model can be estimated as asked; each refusal says what was found and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import BadOutcome, BadRegressor, Collinear, EmptySample, NotConverged
from cyber_trade_econ.hdfe import blocks
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Array, Factor, Mask, is_nested
from cyber_trade_econ.hdfe.leastsquares import COLLINEAR, independent, names_of, weighted_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ import design as designs
    from cyber_trade_econ.formula import Formula


_LARGEST = 1e75  # variances hold squares of an outcome over a regressor: beyond it they leave the range of doubles
_NOTHING = "There is nothing to explain; check the filter and the join that brought the outcome in."
_WIDEST = 700.0  # exponentials of two numbers further apart are not both normal doubles


def counts(y: Array, name: str, offset: Array | None = None) -> None:
    """Refuse a Poisson outcome that is negative somewhere or zero everywhere, and an offset whose exponential overflows."""
    if (y < 0).any():
        raise BadOutcome(
            f"the outcome {name!r} is negative",
            found=f"{int((y < 0).sum())} row(s), smallest {y.min():g}",
            fix="Trade values are not negative; correct or remove these rows.",
        )
    if not (y > 0).any():
        raise BadOutcome(
            f"the outcome {name!r} is zero in every row of the sample",
            found=f"{len(y)} rows",
            fix=_NOTHING,
        )
    if offset is not None and np.ptp(offset) > _WIDEST:
        raise BadRegressor(
            "the offset spans more than an exponential can",
            found=f"values from {offset.min():g} to {offset.max():g}",
            allowed=f"a span of {_WIDEST:g}",
            fix="An offset is added to the index, on the scale of logarithms: take the logarithm of an exposure first.",
        )


def rows(design: designs.Design, formula: Formula) -> None:
    """Refuse a sample with no more rows than coefficients, and numbers no variance can be computed from."""
    if len(design.y) <= design.k:
        raise EmptySample(
            f"too few rows to estimate {formula}",
            found=f"{len(design.y)} row(s), {design.k} coefficient(s); left out: {dict(design.dropped) or 'none'}",
            fix="Use more data or fewer terms.",
        )
    if not design.y.any():
        raise BadOutcome(
            f"the outcome {formula.outcome} is zero in every row of the sample",
            found=f"{len(design.y)} rows",
            fix=_NOTHING,
        )
    _range(design.y, f"the outcome {formula.outcome}", BadOutcome)
    for name, values in zip(design.names, design.regressors.values(), strict=True):
        _range(values, f"the regressor {name}", BadRegressor)


def _range(values: Array, what: str, error: type[BadOutcome | BadRegressor]) -> None:
    """Refuse a column whose largest number is too large or too small to be squared, divided and squared again."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        length = float(np.sqrt(np.dot(values, values)))  # one pass; infinite, zero or not a number where squares are
    if 1 / _LARGEST < length < _LARGEST or not values.any():
        return
    raise error(
        f"{what} has a magnitude that double precision cannot work with",
        found=f"a largest absolute value of {np.abs(values).max():g}",
        allowed=f"{1 / _LARGEST:.0e} to {_LARGEST:.0e}",
        fix="Measure it in another unit, and look for products that overflow.",
    )


def refuse_collinear(names: Sequence[str], design: designs.Design, *, separated: bool) -> None:
    """Refuse collinear regressors, but for those that only the rows left out as separated told apart from the others.

    The coefficient of such a regressor is infinite: it is dropped and listed, as ppmlhdfe does.
    """
    if separated:
        names = [name for name in names if name in names_of(~_independent(design), design.names)]
        if not names:
            return
    reasons = [f"{name}: {_why(design, name)}" for name in names]
    raise Collinear(
        f"{len(names)} regressor(s) cannot be told apart from the others",
        found="; ".join(reasons),
        allowed=f"more than {COLLINEAR:.0e} of a column's length left after effects and earlier columns",
        fix="Remove them, use fewer fixed effects, or pass collinear='drop' to leave them out and list them in facts.",
    )


def _independent(design: designs.Design) -> Mask:
    """Mark the regressors that effects and earlier ones do not reproduce."""
    factors, w = list(design.factors.values()), design.w
    layout = blocks.find(factors) if design.regressors.rare.any() else None
    if isinstance(layout, blocks.Blocks):
        from cyber_trade_econ.hdfe.listed_linear import independent_columns

        plain = [f for f in factors if isinstance(f, Factor)]
        try:
            return independent_columns(design.regressors, w, factors=plain, blocks=layout)
        except NotConverged:
            pass  # what follows is more exact
    state = Layout(factors).weighted(w) if factors else None
    X = state.residual(design.X, state.effects(design.X)) if state else design.X
    return independent(X, w, weighted_lengths(design.X, w))


def _why(design: designs.Design, name: str) -> str:
    values = design.regressors.chosen(np.array([n == name for n in design.names])).whole()[:, 0]
    if np.ptp(values) == 0:
        return "constant" if values[0] else "zero everywhere"
    levels = Factor(np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64), 0)
    within = [effect for effect, f in design.factors.items() if is_nested(f, levels)]
    if within:
        return f"constant within every level of {' and of '.join(within)}"
    others = [n for n in design.names if n != name]
    what = [f"the effects {', '.join(design.factors)}"] if design.factors else []
    what += [f"the regressors {', '.join(others[:8])}"] if others else []
    return "a combination of " + " and ".join(what)
