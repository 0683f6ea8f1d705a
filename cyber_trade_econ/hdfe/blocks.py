"""Finds the layout of a gravity panel in its factors, from their codes alone.

Exporter-time, importer-time and pair effects are three faces of one box: each is a combination of two of the three
coordinates exporter, importer and time. Two faces share one coordinate, so levels of two factors that are joined by rows are
levels with the same coordinate, and the connected components of each two factors recover the coordinates whatever they are
called: sectors, products or months included. Parts of the data that share no level at all (sectors with effects of their own)
become separate boxes.

Without pair effects, two factors whose levels share rows form a sheet, such as the exporters and importers of one period.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.factor import Factor, joined, last_rows
from cyber_trade_econ.hdfe.graph import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cyber_trade_econ.hdfe.factor import Codes, Effect

SMALLEST_FILL = 0.1
"""Share of the cells of the boxes that must hold a row; below it, work on empty cells outweighs what the layout saves."""

MOST_BOXES = 2000
"""Boxes up to which one step per box is cheaper than the general solver."""

LONGEST_SIDE = 1500
"""Levels of the shorter side of a sheet up to which factorising the square of their number is cheap."""


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

    def restricted(self, rows: Codes, factors: Sequence[Factor]) -> Blocks:
        """Return the layout of some of the rows, whose levels have been numbered anew as ``factors``.

        Boxes stay as they are, with more cells that are empty: a fit costs no more than one to all rows.
        """
        cells = self.cells[rows]
        boxes = np.array([(b.cell, b.exporter_time, b.importer_time, b.pair, *b.shape[1:]) for b in self.boxes])
        corners = []
        for face, role in enumerate(self.roles):
            cell = cells[last_rows(factors[role].codes, factors[role].levels)]  # one of each level
            begin, *faces, N, J = boxes[np.searchsorted(boxes[:, 0], cell, side="right") - 1].T
            line, j = np.divmod(cell - begin, J)
            t, n = np.divmod(line, N)
            corners.append(faces[face] + (t * N + n, t * J + j, n * J + j)[face])
        return replace(self, cells=cells, corners=(corners[0], corners[1], corners[2]))


@dataclass(frozen=True)
class Sheet:
    """One part of the data: ``exporter x importer`` cells, stored one after the other.

    Parameters
    ----------
    shape
        Numbers of exporters and importers (N, J).
    cell, exporter, importer
        Where the sheet begins among all cells, and among all levels of each side.
    """

    shape: tuple[int, int]
    cell: int
    exporter: int
    importer: int


@dataclass(frozen=True)
class Sheets:
    """How rows and levels of two factors lie in sheets.

    Parameters
    ----------
    roles
        Positions, among the caller's factors, of the longer side (exporters) and of the shorter one (importers).
    sheets
        The parts of the data.
    cells
        Cell of each row, shape (n,): at most one row per cell.
    corners
        For each role, the place of each level among those of its side, sheet by sheet, shape (levels,).
    sizes
        Number of all cells, and of all levels of each side.
    """

    roles: tuple[int, int]
    sheets: tuple[Sheet, ...]
    cells: Codes
    corners: tuple[Codes, Codes]
    sizes: tuple[int, int, int]


def find(effects: Sequence[Effect]) -> Blocks | Sheets | None:
    """Return the layout of a gravity panel, with pair effects or without, or ``None`` where there is none that pays."""
    factors = [f for f in effects if isinstance(f, Factor)]
    return detect(factors) or detect_sheets(factors) if len(factors) == len(effects) else None


def detect(factors: Sequence[Factor]) -> Blocks | None:
    """Return the boxes in which three factors lie, or ``None`` where there are none that pay.

    Each coordinate is what two of the factors share. That with the fewest values takes the role of time, so that the effects
    eliminated in closed form, those of the pair, have the largest face, however few of its corners hold a level.
    """
    if len(factors) != 3 or not len(factors[0].codes):
        return None
    label, count = {}, {}
    for g, h in combinations(sorted(range(3), key=lambda g: factors[g].levels), 2):
        label[g, h], label[h, g], count[g, h] = joined(factors[g], factors[h])
        count[h, g] = count[g, h]
    first, second = min(combinations(range(3), 2), key=lambda two: (count[two], -factors[3 - sum(two)].levels))
    pair = 3 - first - second
    if count[first, pair] < count[second, pair]:  # the square of the number of importers is what the solver factorises
        first, second = second, first
    t_a, n_a, t_b, j_b = label[first, second], label[first, pair], label[second, first], label[second, pair]
    n_p, j_p = label[pair, first], label[pair, second]
    counts = count[first, second], count[first, pair], count[second, pair]
    box_t, box_n, box_j, boxes = _boxes((t_a, n_a, t_b, j_b, n_p, j_p), counts)
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
    places = (cells, corner_a, corner_b, corner_p)
    if not all(_distinct(place, int(start[-1])) for place, start in zip(places, starts, strict=True)):
        return None
    return Blocks(
        roles=(first, second, pair),
        boxes=tuple(Box((int(T[s]), int(N[s]), int(J[s])), *(int(start[s]) for start in starts)) for s in range(boxes)),
        cells=cells,
        corners=(corner_a, corner_b, corner_p),
        sizes=(int(starts[0][-1]), int(starts[1][-1]), int(starts[2][-1]), int(starts[3][-1])),
    )


def detect_sheets(factors: Sequence[Factor], fill: float = SMALLEST_FILL) -> Sheets | None:
    """Return the sheets in which two factors lie, or ``None`` where there are none that pay.

    Fewer rows than the share ``fill`` of the cells do not.
    """
    if len(factors) != 2 or not len(factors[0].codes):
        return None
    first, second = (0, 1) if factors[0].levels >= factors[1].levels else (1, 0)
    exporters, importers = factors[first], factors[second]
    of_a, of_b, count = joined(exporters, importers)
    N, J = np.bincount(of_a, minlength=count), np.bincount(of_b, minlength=count)
    starts = [np.concatenate([[0], np.cumsum(s)]) for s in (N * J, N, J)]
    if count > MOST_BOXES or J.max() > LONGEST_SIDE or len(exporters.codes) < fill * starts[0][-1]:
        return None
    local_a, local_b = _local(of_a), _local(of_b)
    cells = (starts[0][of_a] + local_a * J[of_a])[exporters.codes] + local_b[importers.codes]
    if not _distinct(cells, int(starts[0][-1])):
        return None
    return Sheets(
        roles=(first, second),
        sheets=tuple(Sheet((int(N[s]), int(J[s])), *(int(start[s]) for start in starts)) for s in range(count)),
        cells=cells,
        corners=(starts[1][of_a] + local_a, starts[2][of_b] + local_b),
        sizes=(int(starts[0][-1]), int(starts[1][-1]), int(starts[2][-1])),
    )


def _distinct(places: Codes, size: int) -> bool:
    """Whether no place is taken twice."""
    taken = np.zeros(size, dtype=np.bool_)
    taken[places] = True
    return int(taken.sum()) == len(places)


def _boxes(labels: Sequence[Codes], counts: Sequence[int]) -> tuple[Codes, Codes, Codes, int]:
    """Return the box of each time, exporter and importer, and the number of boxes."""
    times, exporters, importers = counts
    t_a, n_a, t_b, j_b, n_p, j_p = labels
    i = np.concatenate([t_a, t_b, times + n_p])
    j = np.concatenate([times + n_a, times + exporters + j_b, times + exporters + j_p])
    total = times + exporters + importers
    boxes, of = connected(i, j, total)
    return of[:times], of[times : times + exporters], of[times + exporters :], boxes


def _local(box: NDArray[np.int64]) -> Codes:
    """Return the position of each member within its box."""
    order = np.argsort(box, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(box))])[box[order]]
    out = np.empty(len(box), dtype=np.int64)
    out[order] = np.arange(len(box)) - first
    return out
