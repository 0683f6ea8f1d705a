"""Finds the layout of a gravity panel in three factors, from their codes alone.

Exporter-time, importer-time and pair effects are three faces of one box: each is a combination of two of the three
coordinates exporter, importer and time. Two faces share one coordinate, so levels of two factors that are joined by rows are
levels with the same coordinate, and the connected components of each two factors recover the coordinates whatever they are
called: sectors, products or months included. Parts of the data that share no level at all (sectors with effects of their own)
become separate boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cyber_trade_econ.hdfe.factor import Codes, Factor, Mask

SMALLEST_FILL = 0.4
"""Share of the cells of the boxes that must hold a row; below it, work on empty cells outweighs what the layout saves."""

MOST_BOXES = 2000
"""Boxes up to which one step per box is cheaper than the general solver."""

_EDGES_PER_LEVEL = 8


@dataclass(frozen=True)
class Box:
    """One part of the data: ``time x exporter x importer`` cells, stored one after the other.

    Parameters
    ----------
    shape
        Numbers of times, exporters and importers (T, N, J).
    cell, exporter_time, importer_time, pair
        Where the box begins among all cells, and among all corners of each face.
    """

    shape: tuple[int, int, int]
    cell: int
    exporter_time: int
    importer_time: int
    pair: int


@dataclass(frozen=True)
class Blocks:
    """How rows and levels of three factors lie in boxes.

    Parameters
    ----------
    roles
        Positions, among the caller's factors, of the exporter-time, the importer-time and the pair effects.
    boxes
        The parts of the data.
    cells
        Cell of each row, shape (n,): at most one row per cell.
    corners
        For each role, the corner of its face at which each level lies, shape (levels,).
    sizes
        Number of all cells, and of all corners of each face.
    """

    roles: tuple[int, int, int]
    boxes: tuple[Box, ...]
    cells: Codes
    corners: tuple[Codes, Codes, Codes]
    sizes: tuple[int, int, int, int]


def detect(factors: Sequence[Factor]) -> Blocks | None:
    """Return the boxes in which three factors lie, or ``None`` where there are none that pay.

    The factor with most levels takes the role of the pair, because its effects are eliminated in closed form.
    """
    if len(factors) != 3 or len(factors[0].codes) == 0:
        return None
    pair = int(np.argmax([f.levels for f in factors]))
    first, second = (g for g in range(3) if g != pair)
    n_a, n_p, exporters = _joined(factors[first], factors[pair])
    j_b, j_p, importers = _joined(factors[second], factors[pair])
    if exporters < importers:  # the square of the number of importers is what the solver factorises
        first, second = second, first
        n_a, n_p, exporters, j_b, j_p, importers = j_b, j_p, importers, n_a, n_p, exporters
    t_a, t_b, times = _joined(factors[first], factors[second])
    faces = ((n_a, t_a, times), (j_b, t_b, times), (n_p, j_p, importers))
    if any(len(np.unique(x * count + y)) < len(x) for x, y, count in faces):
        return None
    box_t, box_n, box_j, boxes = _boxes((t_a, n_a, t_b, j_b, n_p, j_p), (times, exporters, importers))
    T, N, J = (np.bincount(b, minlength=boxes) for b in (box_t, box_n, box_j))
    starts = [np.concatenate([[0], np.cumsum(s)]) for s in (T * N * J, T * N, T * J, N * J)]
    codes_a, codes_b = factors[first].codes, factors[second].codes
    if boxes > MOST_BOXES or len(codes_a) < SMALLEST_FILL * starts[0][-1]:
        return None
    local_t, local_n, local_j = _local(box_t), _local(box_n), _local(box_j)
    box_a, box_b, box_p = box_t[t_a], box_t[t_b], box_n[n_p]
    corner_a = starts[1][box_a] + local_t[t_a] * N[box_a] + local_n[n_a]
    corner_b = starts[2][box_b] + local_t[t_b] * J[box_b] + local_j[j_b]
    corner_p = starts[3][box_p] + local_n[n_p] * J[box_p] + local_j[j_p]
    of_a = starts[0][box_a] + (corner_a - starts[1][box_a]) * J[box_a]
    cells = of_a[codes_a] + local_j[j_b][codes_b]
    if int(_filled(cells, int(starts[0][-1])).sum()) < len(cells):
        return None
    return Blocks(
        roles=(first, second, pair),
        boxes=tuple(Box((int(T[s]), int(N[s]), int(J[s])), *(int(start[s]) for start in starts)) for s in range(boxes)),
        cells=cells,
        corners=(corner_a, corner_b, corner_p),
        sizes=(int(starts[0][-1]), int(starts[1][-1]), int(starts[2][-1]), int(starts[3][-1])),
    )


def _filled(cells: Codes, size: int) -> Mask:
    out = np.zeros(size, dtype=np.bool_)
    out[cells] = True
    return out


def _joined(f: Factor, g: Factor) -> tuple[Codes, Codes, int]:
    """Label levels of two factors so that those connected through rows share a label; also return how many labels there are.

    A sample of rows joins nearly everything; a pass over all rows then finds what it left apart, until nothing is.
    """
    label_f = np.arange(f.levels)
    label_g = np.zeros(g.levels, dtype=np.int64)
    label_g[g.codes] = f.codes  # one of the levels of f it occurs with
    count = f.levels
    step = max(1, len(f.codes) // (_EDGES_PER_LEVEL * (f.levels + 1)) | 1)  # odd: out of step with regular panels
    codes_f, codes_g = f.codes[::step], g.codes[::step]
    while True:
        x, y = label_f[codes_f], label_g[codes_g]
        apart = x != y
        if apart.any():
            joins = sparse.coo_array((np.ones(int(apart.sum())), (x[apart], y[apart])), shape=(count, count))
            count, merged = connected_components(joins, directed=False)
            label_f, label_g = merged[label_f].astype(np.int64), merged[label_g].astype(np.int64)
        elif len(codes_f) == len(f.codes):
            return label_f, label_g, count
        else:
            codes_f, codes_g = f.codes, g.codes


def _boxes(labels: Sequence[Codes], counts: Sequence[int]) -> tuple[Codes, Codes, Codes, int]:
    """Return the box of each time, exporter and importer, and the number of boxes."""
    times, exporters, importers = counts
    t_a, n_a, t_b, j_b, n_p, j_p = labels
    i = np.concatenate([t_a, t_b, times + n_p])
    j = np.concatenate([times + n_a, times + exporters + j_b, times + exporters + j_p])
    total = times + exporters + importers
    graph = sparse.coo_array((np.ones(len(i)), (i, j)), shape=(total, total))
    boxes, of = connected_components(graph, directed=False)
    of = of.astype(np.int64)
    return of[:times], of[times : times + exporters], of[times + exporters :], int(boxes)


def _local(box: NDArray[np.int64]) -> Codes:
    """Return the position of each member within its box."""
    order = np.argsort(box, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(box))])[box[order]]
    out = np.empty(len(box), dtype=np.int64)
    out[order] = np.arange(len(box)) - first
    return out
