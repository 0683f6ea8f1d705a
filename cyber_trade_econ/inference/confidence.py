"""Confidence sets by inverting a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


def confidence_set(
    p_value: Callable[[float], float], centre: float, *, scale: float, alpha: float, smallest: float, quick: bool
) -> tuple[float, float]:
    """Return the ends of the interval around ``centre`` on which ``p_value`` is above ``alpha``.

    Parameters
    ----------
    p_value
        p-value of a hypothesised value.
    centre, scale
        The estimate, and its standard error as the first step away from it.
    smallest
        Smallest p-value possible; where it is above ``alpha`` nothing is rejected.
    quick
        Whether evaluations are cheap: then ends are found to 1e-7 standard errors and looked for up to 2^30 of them away,
        otherwise to 1e-3 and up to 64. Beyond, an end is infinite.
    """
    if smallest > alpha or not scale > 0:
        return (-np.inf, np.inf) if scale > 0 else (centre, centre)
    precision, doublings = (1e-7, 30) if quick else (1e-3, 6)

    def end(sign: float) -> float:
        inside, outside = 0.0, 1.0
        for _ in range(doublings + 1):
            if p_value(centre + sign * outside * scale) <= alpha:
                break
            inside, outside = outside, 2 * outside
        else:
            return sign * np.inf
        while outside - inside > precision * outside:
            middle = (inside + outside) / 2
            inside, outside = (
                (inside, middle) if p_value(centre + sign * middle * scale) <= alpha else (middle, outside)
            )
        return centre + sign * inside * scale

    return end(-1.0), end(1.0)
