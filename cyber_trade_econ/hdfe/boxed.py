"""Rows spread over the boxes of a gravity panel, and what the boxes know gathered again by row and by level."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.condensed import Part
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.hdfe.perperiod import Pairing
from cyber_trade_econ.hdfe.profile import Profile
from cyber_trade_econ.hdfe.rare import Rare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.blocks import Blocks
    from cyber_trade_econ.hdfe.factor import Array, Factor
    from cyber_trade_econ.hdfe.kernels import Kernels
    from cyber_trade_econ.hdfe.regressors import Regressors

SMALL = 50
"""Importers up to which the preconditioner costs next to nothing in double precision."""


def parts_of(blocks: Blocks, y: Array, X: Regressors, w: Array, offset: Array, *, kernels: Kernels) -> list[Part]:
    """Spread the rows over the cells of the boxes."""
    cells, K = blocks.cells, X.shape[1]
    size = blocks.sizes[0]
    ends = [slice(box.cell, box.cell + int(np.prod(box.shape))) for box in blocks.boxes]
    filled = np.zeros(size, dtype=bool)
    filled[cells] = True
    room = np.zeros(size)

    def spread(values: Array) -> list[Array]:
        room[cells] = values  # the other cells stay at zero
        return [room[of].reshape(box.shape) for box, of in zip(blocks.boxes, ends, strict=True)]

    regressors = [np.empty((X.full.shape[1], *box.shape)) for box in blocks.boxes]
    for k, column in enumerate(X.full.T):
        for into, values in zip(regressors, spread(column), strict=True):
            into[k] = values
    entries = _entries(blocks, X)
    plain = bool((w == 1).all() and (offset == 0).all())
    shifts = [None] * len(ends) if plain else [v.copy() for v in spread(offset + np.log(w))]
    parts = []
    for box, of, outcome, into, rare, shift in zip(
        blocks.boxes, ends, spread(y * w), regressors, entries, shifts, strict=True
    ):
        T, N, J = box.shape
        profile = Profile(outcome, into, rare, shift, filled[of].reshape(box.shape), kernels)
        zero = Pairing(np.zeros((T, N, K + 1)), np.zeros((T, J, K + 1)))
        parts.append(Part(profile, zero, precise=J <= SMALL))
    return parts


def _entries(blocks: Blocks, X: Regressors) -> list[Rare]:
    """Lay the listed regressors out by box."""
    cell = blocks.cells[X.row]
    order = np.argsort(cell, kind="stable")  # stable: columns stay in order within a cell
    cell, column, value = cell[order], X.column[order], X.value[order]
    count = int(X.rare.sum())
    cuts = np.searchsorted(cell, [box.cell for box in blocks.boxes] + [blocks.sizes[0]])
    return [
        Rare(box.shape, count, cell[at:to] - box.cell, column[at:to], value[at:to])
        for box, at, to in zip(blocks.boxes, cuts[:-1], cuts[1:], strict=True)
    ]


def impose(parts: Sequence[Part], blocks: Blocks, w: Array) -> None:
    """Put weights of the rows, (n,), in the place of the means."""
    spread = np.zeros(blocks.sizes[0])
    spread[blocks.cells] = w
    for part, box in zip(parts, blocks.boxes, strict=True):
        part.profile.impose(spread[box.cell : box.cell + part.profile.mu.size].reshape(box.shape))
        part.first = None


def net_of(
    parts: Sequence[Part], blocks: Blocks, X: Regressors, factors: Sequence[Factor]
) -> tuple[Array | Net, Array]:
    """Return the regressors net of their effects in the caller's order of rows, (n, k), for good.

    Second come the weighted cross products of those that are not listed.
    """
    made = [p.profile.net(p.basis.a, p.basis.b) for p in parts]
    n, K = len(blocks.cells), X.full.shape[1]
    # The rows of one box take the place of its cells: fresh memory for them would cost more than the arithmetic.
    into = parts[0].profile.X.reshape(-1)[: n * K].reshape(K, n) if len(parts) == 1 else np.empty((K, n))
    for k in range(K):
        into[k] = gathered([p.profile.X[k] for p in parts], blocks)
    products = np.sum(made, axis=0)
    if not X.rare.any():
        return into.T, products
    of = slice(K, -1)
    faces = (
        [p.basis.a[:, :, of] for p in parts],
        [p.basis.b[:, :, of] for p in parts],
        [p.profile.of_pairs(p.basis.a[:, :, of], p.basis.b[:, :, of]) for p in parts],
    )
    effects = []
    for effect in by_level(faces, blocks):
        effects.append(np.zeros((len(effect), len(X.rare))))
        effects[-1][:, X.rare] = effect
    return Net(replace(X, full=into.T), factors, effects), products


def gathered(values: Sequence[Array], blocks: Blocks) -> Array:
    """Return the values of the boxes, each (T, N, J), in the caller's order of rows, (n,)."""
    flat = values[0].reshape(-1) if len(values) == 1 else np.concatenate([v.reshape(-1) for v in values])
    return flat.take(blocks.cells, mode="clip")  # which spares a check of each of them


def by_level(faces: Sequence[Sequence[Array]], blocks: Blocks) -> tuple[Array, ...]:
    """Return values by exporter-time, importer-time and pair of each box in the order of the caller's factors and levels."""
    out: list[Array] = [np.empty(0)] * 3
    for role, face, corner in zip(blocks.roles, faces, blocks.corners, strict=True):
        out[role] = np.concatenate([v.reshape(v.shape[0] * v.shape[1], *v.shape[2:]) for v in face])[corner]
    return tuple(out)
