"""How the levels of a set of effects occur together, and the order in which they are best eliminated."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe import precondition
from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Factor, Slope, compact
from cyber_trade_econ.hdfe.late import sparse
from cyber_trade_econ.hdfe.precondition import Parts, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Cells:
    """Levels of two factors that occur together, as the pattern of a sparse matrix."""

    of_row: Codes  # (n,) cell of each row
    begin: Codes  # (levels + 1,) where the cells of each level of the one factor begin
    other: Codes  # (cells,) level of the other factor
    shape: tuple[int, int]

    def sums(self, w: Array) -> sparse.csr_array:
        """Return the sums of ``w`` (n,) by cell."""
        sums = np.bincount(self.of_row, w, len(self.other))
        return sparse.csr_array((sums, self.other, self.begin), shape=self.shape)


def cells_of(a: Effect, b: Effect) -> Cells:
    """Find the levels of two factors that occur together."""
    both = compact(a.codes * b.levels + b.codes)
    key = np.zeros(both.levels, dtype=np.int64)
    key[both.codes] = a.codes * b.levels + b.codes
    begin = np.searchsorted(key, np.arange(a.levels + 1) * b.levels)
    return Cells(both.codes, begin, key % b.levels, (a.levels, b.levels))


class Arrangement:
    """The order of effects in their normal equations.

    The factor with most levels is ``big``: it is eliminated in closed form. The ``rest`` are unknowns. Where the equations
    of the rest fall into small parts, ``whole`` holds the parts of big and rest. Where they do so only without big, the first
    unknowns up to ``cuts[0]`` are those of a second factor, those up to ``cuts[1]`` fall into the small parts of ``late``
    together with it, and factors that join these parts come last.

    Parameters
    ----------
    factors
        Fixed effects and varying slopes.
    """

    def __init__(self, factors: Sequence[Effect]) -> None:
        self.factors = tuple(factors)
        self.leader = [_leader(g, self.factors) for g in range(len(self.factors))]
        families = [[g for g, of in enumerate(self.leader) if of == leader] for leader in dict.fromkeys(self.leader)]
        families.sort(key=lambda family: -self._size(family))
        self.big, self.rest = families[0], [g for family in families[1:] for g in family]
        made: dict[tuple[int, int], Cells] = {}  # a slope has the cells of its factor

        def cells(g: int, h: int) -> Cells:
            key = self.leader[g], self.leader[h]
            if key not in made:
                made[key] = cells_of(self.factors[g], self.factors[h])
            return made[key]

        self.border = {(g, h): cells(g, h) for g in self.big for h in self.rest}
        self.inner = {(g, h): cells(g, h) for g, h in combinations(self.rest, 2) if self.leader[g] != self.leader[h]}
        self.late: list[Parts] | None = None
        self.cuts = 0, 0
        self.whole = self._whole()
        if self.whole is None:
            self.rest = self._ordered(families[1:])
        self.place = self._places(self.rest)

    def _places(self, factors: Sequence[int]) -> dict[int, slice]:
        """Return where the unknowns of each factor lie when they stand in this order."""
        at = np.cumsum([0] + [self.factors[g].levels for g in factors]).tolist()
        return {g: slice(lo, hi) for g, lo, hi in zip(factors, at[:-1], at[1:], strict=True)}

    def _size(self, factors: Sequence[int]) -> int:
        return sum(self.factors[g].levels for g in factors)

    def _whole(self) -> list[Parts] | None:
        """Return the parts of the big factor and of the others, if they are small."""
        big, size = self.factors[self.big[0]].levels, self._size(self.rest)
        if size <= precondition.LARGEST_PART:
            return [Parts(np.zeros(count, dtype=np.int64), 1) for count in (big, size)]
        place = self._places(self.rest)
        joins = [(c, place[g].start, place[h].start) for (g, h), c in self.inner.items()]
        through = [(c, size, place[h].start) for (_, h), c in self.border.items()]
        return parts_of(_graph(joins + through, size + big), slice(size, size + big), slice(size))

    def _ordered(self, families: Sequence[Sequence[int]]) -> list[int]:
        """Order factors: the second, those that fall into small parts with it but without big, and those that join these.

        The second factor is chosen so that the first two kinds have as many unknowns as possible.
        """
        best: list[int] = []
        self.cuts = self._size(families[0]), self._size(families[0])
        for second in families:
            order, cut, parts = list(second), self._size(second), None
            for family in families:
                if family is not second:
                    found = self._without_big([*order, *family], cut)
                    order, parts = ([*order, *family], found) if found else (order, parts)
            if parts and self._size(order) > (self.cuts[1] if self.late else 0):
                best, self.late, self.cuts = order, parts, (cut, self._size(order))
        best = best or list(families[0])
        return best + [g for family in families for g in family if g not in best]

    def _without_big(self, order: Sequence[int], cut: int) -> list[Parts] | None:
        """Return the parts of the first ``cut`` unknowns in this order, and of the others, if they are small."""
        place, size = self._places(order), self._size(order)
        joins = [(c, place[g].start, place[h].start) for (g, h), c in self.inner.items() if {g, h} <= place.keys()]
        return parts_of(_graph(joins, size), slice(cut), slice(cut, size))


def _leader(g: int, factors: Sequence[Effect]) -> int:
    """Return the position of the factor whose slope stands at ``g``, or ``g`` itself."""
    if isinstance(factors[g], Slope):
        for h, other in enumerate(factors):
            if isinstance(other, Factor) and np.array_equal(other.codes, factors[g].codes):
                return h
    return g


def _graph(joins: Sequence[tuple[Cells, int, int]], size: int) -> sparse.csr_array:
    none = np.empty(0, dtype=np.int64)
    i = np.concatenate([none, *(np.repeat(np.arange(c.shape[0]), np.diff(c.begin)) + row for c, row, _ in joins)])
    j = np.concatenate([none, *(c.other + column for c, _, column in joins)])
    return sparse.coo_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(size, size)).tocsr()
