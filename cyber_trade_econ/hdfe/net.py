"""Regressors net of effects, of which those that are mostly zero are never written out for all rows at once.

What effects leave of a dummy is not zero anywhere. But it is the dummy less one number per level of each set of effects, so
that sums of it over rows are sums over its entries less sums over levels, and where products are needed a stretch of rows is
made at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.late import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyber_trade_econ.hdfe.factor import Array, Codes, Factor
    from cyber_trade_econ.hdfe.regressors import Regressors

_STRETCH = 4096  # rows that are worked on at a time


@dataclass(frozen=True)
class Net:
    """Regressors net of their effects, (n, k).

    Parameters
    ----------
    columns
        The regressors: those written out are net of their effects, the listed ones are as they were.
    factors
        The sets of effects.
    effects
        What each set takes out of the regressors, (levels, k), zero for those written out.
    """

    columns: Regressors
    factors: Sequence[Factor]
    effects: Sequence[Array]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.columns.shape

    def whole(self) -> Array:
        """Return all rows, (n, k)."""
        return self.rows(np.arange(self.shape[0]))

    def rows(self, which: Codes) -> Array:
        """Return some rows, (m, k)."""
        out = np.negative(self.effects[0].take(self.factors[0].codes[which], axis=0))
        for factor, effect in zip(self.factors[1:], self.effects[1:], strict=True):
            out -= effect.take(factor.codes[which], axis=0)
        c = self.columns
        out[:, ~c.rare] = c.full[which]
        at, entry = c.entries(which)
        out[at, self._places[c.column[entry]]] += c.value[entry]
        return out

    @cached_property
    def _places(self) -> Codes:
        return np.flatnonzero(self.columns.rare)

    def times(self, beta: Array) -> Array:
        """Return the regressors times coefficients, (n,)."""
        c = self.columns
        out = c.times(beta)
        for factor, effect in zip(self.factors, self.effects, strict=True):
            out -= (effect @ beta)[factor.codes]
        return out

    def total(self, weight: Array) -> Array:
        """Sum the regressors times ``weight`` (n,): (k,)."""
        c = self.columns
        out = np.empty(self.shape[1])
        out[c.rare] = np.bincount(c.column, c.value * weight[c.row], len(self._places))
        out[~c.rare] = weight @ c.full
        for factor, effect in zip(self.factors, self.effects, strict=True):
            out -= factor.sums(weight) @ effect
        return out

    def products(self, weight: Array) -> Array:
        """Return the cross products weighted by ``weight`` (n,): (k, k)."""
        out = np.zeros((self.shape[1],) * 2)
        for some in _stretches(np.arange(self.shape[0])):
            x = self.rows(some)
            out += x.T @ (weight[some, None] * x)
        return out

    def sums(self, group: Factor, weight: Array) -> Array:
        """Sum the regressors times ``weight`` (n,) within levels, (levels, k)."""
        c = self.columns
        k = self.shape[1]
        place = group.codes[c.row] * k + self._places[c.column]
        out: Array = np.bincount(place, c.value * weight[c.row], group.levels * k).astype(np.float64, copy=False)
        out = out.reshape(group.levels, k)
        for factor, effect in zip(self.factors, self.effects, strict=True):
            shared = sparse.coo_array((weight, (group.codes, factor.codes)), shape=(group.levels, factor.levels))
            out -= shared.tocsr() @ effect
        for column, x in zip(np.flatnonzero(~c.rare), c.full.T, strict=True):
            out[:, column] = group.sums(x * weight)
        return out

    def squares(self, group: Factor, weight: Array, onto: Array) -> Array:
        """Sum within levels the squares, times ``weight`` (n,), of the regressors times ``onto`` (k, m): (levels, m).

        What a row has of the products is a sum of products that levels and entries have, so that none is taken row by row.
        """
        c = self.columns
        entries, of_entries = c.table(), onto[c.rare]
        of_levels = [effect @ onto for effect in self.effects]
        out, order = np.zeros((group.levels, onto.shape[1])), np.argsort(group.codes, kind="stable")
        for some in _stretches(order):
            x = c.full[some] @ onto[~c.rare]
            x += entries[some] @ of_entries
            for factor, effect in zip(self.factors, of_levels, strict=True):
                x -= effect.take(factor.codes[some], axis=0)
            x *= x
            x *= weight[some, None]
            levels = group.codes[some]
            first = np.flatnonzero(np.diff(levels, prepend=-1))
            out[levels[first]] += np.add.reduceat(x, first)
        return out


def _stretches(order: Codes) -> Iterator[Codes]:
    for at in range(0, len(order), _STRETCH):
        yield order[at : at + _STRETCH]
