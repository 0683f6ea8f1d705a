"""Rows that carry no information once effects are absorbed: singletons, and levels whose outcomes are all zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask


@dataclass(frozen=True)
class Pruned:
    """Rows to keep (n,), and how many were dropped for which reason."""

    keep: Mask
    singletons: int
    zero_levels: int


def prune(factors: Sequence[Factor], y: Array | None = None) -> Pruned:
    """Drop singletons, then levels with only zeros, and repeat until nothing changes.

    Parameters
    ----------
    factors
        Fixed effects, codes of shape (n,).
    y
        Outcome of a Poisson model, shape (n,); with ``None`` only singletons are dropped.

    Notes
    -----
    A level seen in one row fits that row exactly, and a level whose outcomes are all zero has an effect of minus infinity
    (Correia, Guimaraes and Zylkin 2020, https://doi.org/10.1177/1536867X20909691): neither informs the coefficients.
    Singletons go first, as in Stata's ppmlhdfe, so that the two counts agree with it.
    """
    keep = np.ones(len(factors[0].codes) if factors else 0, dtype=bool)
    singles = zeros = 0
    while True:
        dropped_singles = _sweep(factors, keep, None)
        dropped_zeros = 0 if y is None else _sweep(factors, keep, y)
        singles += dropped_singles
        zeros += dropped_zeros
        if dropped_singles + dropped_zeros == 0:
            return Pruned(keep, singles, zeros)


def _sweep(factors: Sequence[Factor], keep: Mask, y: Array | None) -> int:
    """Clear ``keep`` in place until no factor has a level to drop; return how many rows went."""
    before = int(keep.sum())
    changed = True
    while changed:
        changed = False
        for factor in factors:
            if y is None:
                bad = np.bincount(factor.codes[keep], minlength=factor.levels) == 1
            else:
                positive = np.bincount(factor.codes[keep], y[keep] > 0, factor.levels)
                bad = positive == 0
            gone = keep & bad[factor.codes]
            if gone.any():
                keep &= ~gone
                changed = True
    return before - int(keep.sum())
