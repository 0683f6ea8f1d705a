"""A factor: the level of each row as an integer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


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

    def sums(self, values: Array) -> Array:
        """Sum ``values`` (n,) or (n, k) within levels: (levels,) or (levels, k)."""
        if values.ndim == 1:
            return np.bincount(self.codes, values, self.levels).astype(np.float64, copy=False)
        out = np.empty((self.levels, values.shape[1]))
        for k, column in enumerate(values.T):
            out[:, k] = np.bincount(self.codes, column, self.levels)
        return out


def compact(codes: Codes) -> Factor:
    """Return the factor whose levels are those that occur, numbered from zero in the order of ``codes``."""
    levels, inverse = np.unique(codes, return_inverse=True)
    return Factor(inverse.reshape(-1).astype(np.int64), len(levels))


def cross(factors: Sequence[Factor]) -> Factor:
    """Combine factors: one level per combination that occurs, ordered by the first, then the second, and so on."""
    out = factors[0]
    for factor in factors[1:]:  # compacting at each step keeps the product of two level counts far from overflow
        out = compact(out.codes * factor.levels + factor.codes)
    return out


def is_nested(inner: Factor, outer: Factor) -> bool:
    """Whether every level of ``inner`` lies within one level of ``outer``."""
    first = np.zeros(inner.levels, dtype=np.int64)
    first[inner.codes] = outer.codes
    return bool(np.array_equal(first[inner.codes], outer.codes))


def components(a: Factor, b: Factor) -> int:
    """Count the connected components of the graph that joins levels of ``a`` and ``b`` that share a row."""
    shape = (a.levels + b.levels,) * 2
    graph = sparse.coo_array((np.ones(len(a.codes)), (a.codes, a.levels + b.codes)), shape=shape)
    return int(connected_components(graph, directed=False)[0])
