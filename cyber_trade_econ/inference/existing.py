"""The rows of a changed sample or of changed regressors for which a Poisson estimate exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated

if TYPE_CHECKING:
    from cyber_trade_econ.design import Design


def existing(design: Design) -> tuple[Design, int]:
    """Drop singletons, effects whose outcomes are all zero, and separated rows until there are none.

    Returns
    -------
    The design that is left, possibly without rows, and how many rows went as separated by regressors.
    """
    lost = 0
    while True:
        if design.factors:
            design = design.keep(prune(list(design.factors.values()), design.y).keep, {})
        bad = separated(design.y, design.regressors, list(design.factors.values()))
        if not bad.any():
            return design, lost
        lost += int(bad.sum())
        design = design.keep(~bad, {})
