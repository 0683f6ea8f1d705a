"""Least squares with absorbed effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

import numpy as np

from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.leastsquares import Within_co, independent, solve, weighted_lengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Effect, Mask


@dataclass(frozen=True)
class LinearFit(Generic[Within_co]):
    """Coefficients and what their covariance needs.

    Parameters
    ----------
    beta, kept
        Coefficients of the columns kept (k,), and which columns were kept (K,).
    residual
        Outcome less fit, shape (n,).
    root
        Root of (X'WX)^-1 of the columns kept, net of the effects, shape (k, k); see `LeastSquares`.
    within
        Kept columns net of the effects, shape (n, k): an array, or a `cyber_trade_econ.hdfe.net.Net`.
    effects
        Effects by factor, each (levels,); those of a slope in the units of `Slope.origin_and_unit`.
    within_total
        Weighted sum of squares of the outcome net of the effects.
    """

    beta: Array
    kept: Mask
    residual: Array
    root: Array
    within: Within_co
    effects: tuple[Array, ...]
    within_total: float


def fit(y: Array, X: Array, factors: Sequence[Effect], w: Array, stretch: Array | float = 1.0) -> LinearFit[Array]:
    """Regress ``y`` (n,) on ``X`` (n, K) and the effects with weights ``w`` (n,).

    ``stretch`` (K,) says how much longer each column was before it was centred: the yardstick of collinearity.
    """
    lengths = weighted_lengths(X, w) * stretch
    state: list[Array] = []
    net = np.column_stack([X, y])
    if factors:
        net, state = Layout(factors).weighted(w).absorb(net)
    keep = independent(net[:, :-1], w, lengths)
    both = np.append(keep, True)
    net, state = net[:, both], [s[:, both] for s in state]
    step = solve(net[:, :-1], net[:, -1], w, refine=2)
    return LinearFit(
        beta=step.beta,
        kept=keep,
        residual=step.residual,
        root=step.root,
        within=net[:, :-1],
        effects=tuple(s[:, -1] - s[:, :-1] @ step.beta for s in state),
        within_total=float(np.sum(w * net[:, -1] ** 2)),
    )
