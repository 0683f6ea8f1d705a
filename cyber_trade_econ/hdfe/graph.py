"""Connected parts and spanning forests of graphs given by the ends of their edges, in NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]


def connected(i: Codes, j: Codes, size: int) -> tuple[int, Codes]:
    """Find the connected parts of an undirected graph.

    Parameters
    ----------
    i, j
        Ends of the edges, (edges,), integers in ``range(size)``; edges may repeat.
    size
        Number of vertices.

    Returns
    -------
    Number of parts, and the part of each vertex, (size,), numbered in the order of their first vertices.

    Notes
    -----
    Every vertex hangs on the smallest vertex it is known to be joined to. Trees are flattened and edges within a tree are
    left out until no edge is left (Shiloach and Vishkin 1982, https://doi.org/10.1016/0196-6774(82)90008-6).
    """
    root = np.arange(size)
    while len(i):
        np.minimum.at(root, np.maximum(i, j), np.minimum(i, j))
        above = root[root]
        while not np.array_equal(above, root):
            root, above = above, above[above]
        i, j = root[i], root[j]
        apart = i != j
        i, j = i[apart], j[apart]
    number = np.cumsum(root == np.arange(size)) - 1
    return int(number[-1]) + 1 if size else 0, number[root]


def forest(i: Codes, j: Codes, size: int) -> Codes:
    """Return the positions of the edges of the spanning forest that prefers earlier edges, ascending.

    Notes
    -----
    Boruvka's algorithm: each part takes the first edge that leaves it. No two edges are equally early, so none closes a
    circle.
    """
    part = np.arange(size)
    left = np.flatnonzero(i != j)
    taken = np.zeros(len(i), dtype=bool)
    while len(left):
        a, b = part[i[left]], part[j[left]]
        first = np.full(size, len(i))
        np.minimum.at(first, a, left)
        np.minimum.at(first, b, left)
        chosen = first[first < len(i)]
        taken[chosen] = True
        part = connected(part[i[chosen]], part[j[chosen]], size)[1][part]
        left = left[part[i[left]] != part[j[left]]]
    return np.flatnonzero(taken)
