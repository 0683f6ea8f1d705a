"""A factor: the level of each row as an integer. A slope: a factor whose levels each multiply a variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from cyber_trade_econ.hdfe.graph import connected
from cyber_trade_econ.hdfe.late import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

_TABLE = 1 << 16  # entries of a table of levels that cost nothing
_FIRST = 4096
_EDGES_PER_LEVEL = 8
_STRETCH = 1 << 15
_MANY = 1 << 18  # rows from which on one pass over all columns saves what loading SciPy costs


@dataclass(frozen=True)
class Factor:
    """Levels of one categorical variable.

    Parameters
    ----------
    codes
        Level of each row, shape (n,), integers in ``range(levels)``; every level occurs.
    levels
        Number of levels.
    """

    codes: Codes
    levels: int

    def sums(self, values: Array, weight: Array | None = None) -> Array:
        """Sum ``values`` (n,) or (n, k), times ``weight`` (n,), within levels: (levels,) or (levels, k)."""
        if values.ndim == 1:
            return self.sums(values[:, None], weight)[:, 0]
        n = len(self.codes)
        if (
            values.shape[1] > 1 and n > _MANY and values.strides[1] == values.itemsize
        ):  # one pass over the rows, same sums
            data = np.ones(n) if weight is None else weight
            indicator = sparse.csc_array((data, self.codes, np.arange(n + 1)), shape=(self.levels, n))
            return np.asarray(indicator @ values, dtype=np.float64)
        out = np.empty((self.levels, values.shape[1]))
        for k, column in enumerate(values.T):
            out[:, k] = np.bincount(self.codes, column if weight is None else column * weight, self.levels)
        return out


@dataclass(frozen=True)
class Slope:
    """A coefficient of a variable for each level of a factor, such as a trend for each pair.

    The factor's own effects stand beside it as a `Factor` of the same codes. A level on whose rows the variable is constant
    has no coefficient: its effect is zero.

    Parameters
    ----------
    codes, levels
        As in `Factor`.
    variable
        Value of the variable on each row, shape (n,).
    """

    codes: Codes
    levels: int
    variable: Array

    @property
    def moves(self) -> Mask:
        """Whether the variable varies within each level, (levels,)."""
        low, high = self._range()
        return np.asarray(high > low)

    def origin_and_unit(self) -> tuple[Array, Array]:
        """Return the middle and half the range of the variable within each level, (levels,); the unit is one for no range.

        In these units the variable lies between -1 and 1 in every level, and is exactly zero where it does not vary: a year
        around 2000 keeps its digits beside the effect of its level.
        """
        low, high = self._range()
        return low / 2 + high / 2, np.where(high > low, high / 2 - low / 2, 1.0)

    def scaled(self) -> Array:
        """Return the variable in the units of `origin_and_unit`, (n,): those in which effects are estimated."""
        low, high = self._range()
        origin, unit = self.origin_and_unit()
        out = (self.variable - origin[self.codes]) / unit[self.codes]
        out[(low == high)[self.codes]] = 0.0
        return np.asarray(out)

    def _range(self) -> tuple[Array, Array]:
        low, high = np.full(self.levels, np.inf), np.full(self.levels, -np.inf)
        np.minimum.at(low, self.codes, self.variable)
        np.maximum.at(high, self.codes, self.variable)
        return low, high


Effect = Factor | Slope


def levels_of(effect: Effect) -> Factor:
    """Return the levels of a slope as a factor; a factor is returned as it is."""
    return effect if isinstance(effect, Factor) else Factor(effect.codes, effect.levels)


def compact(codes: Codes) -> Factor:
    """Return the factor whose levels are those that occur, numbered from zero in the order of ``codes``."""
    if len(codes) == 0:
        return Factor(np.empty(0, dtype=np.int64), 0)
    low = int(codes.min())
    width = int(codes.max()) - low + 1
    if width > 4 * len(codes) + _TABLE:  # too sparse for a table of all numbers between the smallest and the largest
        levels, inverse = np.unique(codes, return_inverse=True)
        return Factor(inverse.reshape(-1).astype(np.int64, copy=False), len(levels))
    codes = (codes - low if low else codes).astype(np.int64, copy=False)
    occurs = np.zeros(width, dtype=bool)
    occurs[codes] = True
    number = np.cumsum(occurs) - 1
    count = int(number[-1]) + 1
    return Factor(codes if count == width else number[codes], count)


@overload
def chosen(effect: Factor, rows: Codes) -> Factor: ...
@overload
def chosen(effect: Slope, rows: Codes) -> Slope: ...
def chosen(effect: Effect, rows: Codes) -> Effect:
    """Return the factor or slope on the given rows, its levels numbered anew."""
    factor = compact(effect.codes[rows])
    return Slope(factor.codes, factor.levels, effect.variable[rows]) if isinstance(effect, Slope) else factor


def cross(factors: Sequence[Factor]) -> Factor:
    """Combine factors: one level per combination that occurs, ordered by the first, then the second, and so on."""
    out = factors[0]
    for factor in factors[1:]:  # compacting at each step keeps the product of two level counts far from overflow
        both = out.codes * factor.levels
        both += factor.codes
        out = compact(both)
    return out


def is_nested(inner: Effect, outer: Effect) -> bool:
    """Whether every level of ``inner`` lies within one level of ``outer``."""
    if inner is outer:
        return True
    for rows in (slice(0, _FIRST), slice(None)):  # what is not nested mostly shows in the first rows
        a, b = inner.codes[rows], outer.codes[rows]
        first = np.zeros(inner.levels, dtype=np.int64)
        first[a] = b
        if not np.array_equal(first[a], b):
            return False
    return True


def joined(a: Factor, b: Factor) -> tuple[Codes, Codes, int]:
    """Find the connected parts of the graph that joins levels of ``a`` and ``b`` that share a row.

    Returns
    -------
    Number of the part of each level of ``a``, (a.levels,), and of each level of ``b``, (b.levels,); number of parts.

    Notes
    -----
    A sample of rows joins nearly everything; a pass over all rows then finds what it left apart, until nothing is.
    """
    if a.levels > b.levels:
        of_b, of_a, count = joined(b, a)
        return of_a, of_b, count
    of_a, of_b, count = np.arange(a.levels), np.zeros(b.levels, dtype=np.int64), a.levels
    of_b[b.codes] = a.codes  # one of the levels of a it occurs with
    step = max(1, len(a.codes) // (_EDGES_PER_LEVEL * (a.levels + 1)) | 1)  # odd: out of step with regular panels
    left, right = a.codes[::step], b.codes[::step]
    while True:
        apart = [found for found in _apart(of_a, left, of_b, right) if len(found[0])]
        if apart:
            i, j = (np.concatenate(side) for side in zip(*apart, strict=True))
            count, merged = connected(i, j, count)
            of_a, of_b = merged[of_a], merged[of_b]
        elif len(left) == len(a.codes):
            return of_a, of_b, count
        else:
            left, right = a.codes, b.codes


def _apart(of_a: Codes, left: Codes, of_b: Codes, right: Codes) -> Iterator[tuple[Codes, Codes]]:
    """Return the two parts of rows that have not been joined, a stretch of rows at a time, which stays in the cache."""
    for start in range(0, len(left), _STRETCH):
        i, j = of_a[left[start : start + _STRETCH]], of_b[right[start : start + _STRETCH]]
        differ = i != j
        yield i[differ], j[differ]


def last_rows(codes: Codes, levels: int) -> Codes:
    """Return the position of the last row of each level that occurs."""
    row = np.full(levels, -1, dtype=np.int64)
    row[codes] = np.arange(len(codes))
    return row[row >= 0]


def components(a: Factor, b: Factor) -> int:
    """Count the connected components of the graph that joins levels of ``a`` and ``b`` that share a row."""
    return joined(a, b)[2]
