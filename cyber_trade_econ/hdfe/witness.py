"""A cheap proof that no zero of a sample is separated: a positive vector orthogonal to all regressors, effects and slopes.

Let z be a combination of columns that vanishes on the rows with a positive outcome and is nowhere negative on the others, and
w orthogonal to all columns and positive on the zeros. Then 0 = w'z = sum of w z over the zeros, so z vanishes there too: by
Stiemke's lemma w is what proves that nothing is separated. The first-order conditions of a Poisson fit are such a vector
(fitted means on the zeros), and so is what any weighted least-squares fit of ones on the zeros leaves, times the weights,
provided that it is positive. One projection mostly ends the search; where it does not, it is repeated with the weights that
Newton's method for a Poisson fit would use. On separated rows these fall for ever; such rows can be looked at closely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Array, Effect, Mask, Slope
from cyber_trade_econ.hdfe.prune import fixed_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.projector import Projector

_HEAVY = (
    1e8,
    1e4,
    1e2,
)  # weights of positive rows, of which nothing is asked, relative to the zeros; the first mostly do
_TOLERANCE = 1e-7  # of a projection: what is proven has a margin of a tenth
_ROUGH = 1e-3  # of the projection that checks it: a correction needs few digits
_DEPENDENT = 1e-14  # singular values of what is left of regressors below this share of the largest are zero
_MARGIN = 0.1
_STEPS = 25
_FAR = 2.0  # change of a log weight allowed in one step
_FALLEN, _DEEP = -7.0, -25.0  # log weights at which the search stops
_SUSPECT = -3.0  # log weight below which rows count as falling


def remainder(projector: Projector, X: Array, w: Array, values: Array, tolerance: float = _TOLERANCE) -> Array:
    """Return what regressors (n, k) and effects leave of ``values`` (n,) with weights ``w`` (n,).

    What is orthogonal to effects and to what is left of regressors is orthogonal to these, whatever was taken out of them.
    """
    net = projector.absorb(np.column_stack([values, X]), tolerance=tolerance)[0]
    root = np.sqrt(w)[:, None]
    length = np.linalg.norm(root * net[:, 1:], axis=0)
    real = length > 0  # rounding does no harm as a column, but what little is left on zeros alone is what is looked for
    if not real.any():
        return np.asarray(net[:, 0])
    columns = net[:, 1:][:, real] / length[real]
    return np.asarray(
        net[:, 0] - columns @ np.linalg.lstsq(root * columns, root[:, 0] * net[:, 0], rcond=_DEPENDENT)[0]
    )


def falling(
    zero: Mask, X: Array, effects: Sequence[Effect], layout: Layout | None = None, *, deep: bool = False
) -> Mask:
    """Mark zeros (n,) that may be separated: none of them only if it is proven that none is.

    Parameters
    ----------
    zero, X, effects
        Rows with outcome zero (n,), regressors of any level and of size one (n, k), effects and slopes.
    layout
        That of the effects, where it is known.
    deep
        Whether to look long for a proof, because nothing should be separated.

    Raises
    ------
    NotConverged
        If not even the first projection can be computed.
    """
    layout = layout or Layout(effects)
    start = _balanced(zero, effects)
    found: list[Mask] = []
    failure = None
    for heavy in _HEAVY:
        try:
            found.append(_search(zero, X, layout, start, (heavy, _DEEP if deep else _FALLEN)))
        except NotConverged as error:
            failure = error
            continue
        if not deep or not found[-1].any():
            return found[-1]
    if failure is not None and not found:
        raise failure
    return found[0]


def _search(zero: Mask, X: Array, layout: Layout, start: Array, limits: tuple[float, float]) -> Mask:
    """Look for the proof with one weight of positive rows, until log weights fall below a limit."""
    heavy, lowest = limits
    x, left = np.zeros(len(zero)), np.ones(len(zero))
    for step in range(_STEPS):
        w = np.where(zero, start * np.exp(x), heavy * float(np.median(start[zero])))
        goal = np.where(zero, 1.0, x)
        try:
            projector = layout.weighted(w)
            left = remainder(projector, X, w, goal)
            if left[zero].min() > _MARGIN and _holds(projector, X, w, left, zero):
                return np.zeros(len(zero), dtype=bool)
        except NotConverged:  # weights too far apart: what fell until now is looked at
            if not step:
                raise
            break
        change = left - goal
        x = x + change * min(1.0, _FAR / max(float(np.abs(change[zero]).max()), _FAR))
        if x[zero].min() < lowest:
            break
    out = zero & (x < _SUSPECT) & (left < 0.5)
    return out if out.any() else np.asarray(zero & (left <= max(left[zero].min(), 0.0) + _MARGIN))


def _holds(projector: Projector, X: Array, w: Array, left: Array, zero: Mask) -> bool:
    """Whether the vector is orthogonal to all columns: a second projection must change it by less than the margin."""
    again = remainder(projector, X, w, left, _ROUGH)
    return bool((np.abs(again - left)[zero] < 0.5 * left[zero]).all())


def _balanced(zero: Mask, effects: Sequence[Effect]) -> Array:
    """Return weights of at least one, (n,), orthogonal to each slope that no positive row determines.

    Of such a slope the zeros lie on both sides of the one value at which its level trades, often many on one of them.
    """
    out = np.ones(len(zero))
    for effect in effects:
        if isinstance(effect, Slope):
            value, fixed = fixed_at(effect, ~zero)
            away = np.where(fixed[effect.codes], effect.variable - value[effect.codes], 0.0)
            above, below = (np.bincount(effect.codes, np.maximum(s * away, 0.0) * out, effect.levels) for s in (1, -1))
            both = (above > 0) & (below > 0)
            ratio = np.where(both, below / np.where(both, above, 1.0), 1.0)[effect.codes]
            out *= np.where(away > 0, np.maximum(ratio, 1.0), np.where(away < 0, np.maximum(1 / ratio, 1.0), 1.0))
    return out
