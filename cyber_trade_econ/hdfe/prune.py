"""Rows that carry no information once effects are absorbed: singletons, and zeros that an effect or a slope fits exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Factor, Mask, Slope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Pruned:
    """Rows to keep (n,), and how many were dropped for which reason."""

    keep: Mask
    singletons: int
    zero_levels: int
    slopes: int = 0


def prune(factors: Sequence[Effect], y: Array | None = None, *, singletons: bool = True) -> Pruned:
    """Drop singletons, then levels with only zeros, then zeros that a slope takes to minus infinity, until nothing changes.

    Parameters
    ----------
    factors
        Fixed effects and varying slopes, codes of shape (n,).
    y
        Outcome of a Poisson model, shape (n,); with ``None`` only singletons are dropped.
    singletons
        Whether these are dropped.

    Notes
    -----
    A level seen in one row fits that row exactly, and a level whose outcomes are all zero has an effect of minus infinity
    (Correia, Guimaraes and Zylkin 2020, https://doi.org/10.1177/1536867X20909691): neither informs the coefficients.
    Singletons go first, as in Stata's ppmlhdfe, so that the two counts agree with it. Where a level trades at one value of
    the variable of its slope alone, and its zeros lie on one side of it, the slope runs to infinity and fits them exactly.
    """
    n = len(factors[0].codes) if factors else 0
    keep = np.ones(n, dtype=bool)
    positive = None if y is None else y > 0
    at = None if positive is None else np.flatnonzero(positive)
    tallies = [_Tally(factor, keep, positive, at) for factor in factors if isinstance(factor, Factor)]
    slopes = [factor for factor in factors if isinstance(factor, Slope)]
    singles = zeros = steep = 0
    while True:
        dropped_singles = _sweep(tallies, _Tally.singletons) if singletons else 0
        dropped_zeros = 0 if y is None else _sweep(tallies, _Tally.all_zero)
        dropped_slopes = 0 if positive is None else sum(_steep(slope, keep, positive, tallies) for slope in slopes)
        singles += dropped_singles
        zeros += dropped_zeros
        steep += dropped_slopes
        if dropped_singles + dropped_zeros + dropped_slopes == 0:
            return Pruned(keep, singles, zeros, steep)


def fixed_at(slope: Slope, rows: Mask) -> tuple[Array, Mask]:
    """Return the value of the variable on some row of each level, and whether the rows given hold one value at most."""
    low, high = np.full(slope.levels, np.inf), np.full(slope.levels, -np.inf)
    np.minimum.at(low, slope.codes[rows], slope.variable[rows])
    np.maximum.at(high, slope.codes[rows], slope.variable[rows])
    return low, np.asarray(low >= high)


def _steep(slope: Slope, keep: Mask, positive: Mask, tallies: Sequence[_Tally]) -> int:
    """Drop the zeros of levels that trade at one value of the variable, where all others lie on one side of it."""
    value, fixed = fixed_at(slope, keep & positive)
    side = np.sign(slope.variable - value[slope.codes])
    below, above = (np.bincount(slope.codes[keep & (side == s)], minlength=slope.levels) > 0 for s in (-1, 1))
    gone = np.flatnonzero((fixed & (below != above))[slope.codes] & keep & (side != 0))
    keep[gone] = False
    for tally in tallies:
        tally.remove(gone)
    return len(gone)


class _Tally:
    """Rows, and rows with a positive outcome, that are left in each level of a factor."""

    def __init__(self, factor: Factor, keep: Mask, positive: Mask | None, at: Codes | None) -> None:
        self.codes, self.keep, self.positive = factor.codes, keep, positive
        self.rows = np.bincount(factor.codes, minlength=factor.levels)
        self.nonzero = self.rows if at is None else np.bincount(factor.codes[at], minlength=factor.levels)

    def singletons(self) -> Mask:
        return np.asarray(self.rows == 1)

    def all_zero(self) -> Mask:
        return np.asarray((self.nonzero == 0) & (self.rows > 0))

    def remove(self, gone: Codes) -> None:
        self.rows -= np.bincount(self.codes[gone], minlength=len(self.rows))
        if self.positive is not None:
            self.nonzero -= np.bincount(self.codes[gone[self.positive[gone]]], minlength=len(self.rows))


def _sweep(tallies: Sequence[_Tally], which: Callable[[_Tally], Mask]) -> int:
    """Drop rows of the levels that ``which`` marks until no factor has one; return how many rows went."""
    count = 0
    changed = True
    while changed:
        changed = False
        for tally in tallies:
            bad = which(tally)
            if not bad.any():
                continue
            gone = np.flatnonzero(bad[tally.codes] & tally.keep)
            tally.keep[gone] = False
            for other in tallies:
                other.remove(gone)
            count += len(gone)
            changed = True
    return count
