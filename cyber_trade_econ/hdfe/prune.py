"""Rows that carry no information once effects are absorbed: singletons, and levels whose outcomes are all zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyber_trade_econ.hdfe.factor import Array, Codes, Factor, Mask


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
    n = len(factors[0].codes) if factors else 0
    keep = np.ones(n, dtype=bool)
    positive = None if y is None else y > 0
    at = None if positive is None else np.flatnonzero(positive)
    tallies = [_Tally(factor, keep, positive, at) for factor in factors]
    singles = zeros = 0
    while True:
        dropped_singles = _sweep(tallies, _Tally.singletons)
        dropped_zeros = 0 if y is None else _sweep(tallies, _Tally.all_zero)
        singles += dropped_singles
        zeros += dropped_zeros
        if dropped_singles + dropped_zeros == 0:
            return Pruned(keep, singles, zeros)


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
