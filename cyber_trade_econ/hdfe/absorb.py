"""Weighted projection on any number of fixed effects and varying slopes: where it begins.

All products work on cells (pairs of levels that occur), not on rows, and the cells' layout is made once per set of factors.
Fits of gravity panels have a path of their own and name a layout without making one: what solves on it is loaded with the
first that is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.hdfe.factor import Array, Effect, Slope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.projector import Projector


class Layout:
    """Cell structure of a set of effects; `weighted` turns it into a projector for given weights.

    Parameters
    ----------
    factors
        Fixed effects and varying slopes, codes of shape (n,), at least one; at most one slope per factor. Effects of a slope
        are in the units of `Slope.origin_and_unit` wherever they appear.
    """

    def __init__(self, factors: Sequence[Effect]) -> None:
        from cyber_trade_econ.hdfe.arrangement import Arrangement

        self.factors = tuple(factors)
        self.scaled = [f.scaled() if isinstance(f, Slope) else None for f in self.factors]
        self.order = Arrangement(self.factors)

    def weighted(self, w: Array) -> Projector:
        """Return the projector for row weights ``w``, shape (n,), positive."""
        from cyber_trade_econ.hdfe.projector import Projector

        return Projector(self, w)
