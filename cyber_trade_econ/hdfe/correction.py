"""Effects of one part of a gravity panel, nearly: what one round of `cyber_trade_econ.hdfe.gravity_linear` takes out.

A part is first shown the sums of what is left to explain, and says how much of it is of its making; it is then asked for the
effects that explain all but a share of that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from cyber_trade_econ.hdfe.bipartite import Bipartite
from cyber_trade_econ.hdfe.blocks import Blocks
from cyber_trade_econ.hdfe.kernels import largest
from cyber_trade_econ.hdfe.perperiod import Information, Pairing, PerPeriod

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.blocks import Box, Sheet, Sheets
    from cyber_trade_econ.hdfe.factor import Array

_SINGLE = np.dtype(np.float32)

MOST_STEPS = 40
"""Conjugate-gradient steps of one round; what is left after them is for the next."""

LANES = 4
"""Columns are filled up to a multiple of it with zeros: seven columns in single precision take longer than eight."""

NEAR = 1e-4
"""Share below which a residual that grows has reached what single precision can tell."""


class Part(Protocol):
    """A box, or a sheet."""

    def look(self, sums: Array) -> Array:
        """Note what is left to explain, summed by corner, (corners, m); return the length of its fit by column, (m,)."""

    def solve(self, share: Array, out: Array) -> None:
        """Write the effects to ``out`` (corners, m), all but a ``share`` (m,) of their length."""


def parts(w: Array, layout: Blocks | Sheets) -> list[Part]:
    """Spread the weights ``w`` (n,), one on average, over the cells of each part."""
    if isinstance(layout, Blocks):
        single: Array = np.zeros(layout.sizes[0], dtype=np.dtype("f4"))
        single[layout.cells] = w
        return [BoxPart(single, box, layout) for box in layout.boxes]
    double = np.zeros(layout.sizes[0])
    double[layout.cells] = w
    return [SheetPart(double, sheet, layout) for sheet in layout.sheets]


class BoxPart:
    """A box in single precision: conjugate gradients move half the bytes, and their rounding is for the next round.

    Parameters
    ----------
    spread
        Weights of all cells.
    box, blocks
        Where the cells and corners of the box lie.
    """

    def __init__(self, spread: Array, box: Box, blocks: Blocks) -> None:
        T, N, J = self._shape = box.shape
        mu = spread[box.cell : box.cell + T * N * J].reshape(T, N, J)
        total = mu.sum(0)
        self._inverse = np.divide(1, total, out=np.zeros_like(total), where=total > 0)[:, :, None]
        turned = np.ascontiguousarray(mu.transpose(0, 2, 1))
        self._information = Information(mu, turned, mu.sum(2), mu.sum(1), self._inverse[:, :, 0])
        self._first = PerPeriod(self._information)
        self._by_exporter, self._by_importer = mu.transpose(1, 0, 2), turned.transpose(1, 0, 2)
        faces = np.cumsum([0, *blocks.sizes[1:3]]) + np.array([box.exporter_time, box.importer_time, box.pair])
        self._corners = [slice(f, f + c) for f, c in zip(faces, (T * N, T * J, N * J), strict=True)]

    def look(self, sums: Array) -> Array:
        """Take the pair effects out of the sums."""
        T, N, J = self._shape
        m = sums.shape[1]
        faces = zip(self._corners, ((T, N), (T, J), (N, J)), strict=True)
        given = [sums[corners].reshape(*sides, m) for corners, sides in faces]
        scale = np.max([largest(v) for v in given], axis=0)
        scale[scale == 0] = 1.0
        a, b, pair = (np.zeros((*v.shape[:2], -(-m // LANES) * LANES), _SINGLE) for v in given)
        for v, into in zip(given, (a, b, pair), strict=True):
            np.divide(v, scale, out=into[:, :, :m], casting="same_kind")
        mean = pair * self._inverse
        a -= np.matmul(self._by_exporter, mean).transpose(1, 0, 2)
        b -= np.matmul(self._by_importer, mean.transpose(1, 0, 2)).transpose(1, 0, 2)
        self._right, self._pair, self._scale = Pairing(a, b), pair, scale
        self._begin = self._first.solve(self._right)
        squared = np.maximum(_dots(self._right, self._begin), 0.0) + _dot(pair, mean)
        return np.asarray(scale * np.sqrt(squared[:m]))

    def solve(self, share: Array, out: Array) -> None:
        """Solve by conjugate gradients."""
        x = self._conjugate_gradients(np.append(share, np.ones(self._pair.shape[2] - len(share))))
        fitted = np.matmul(self._by_exporter.transpose(0, 2, 1), x.a.transpose(1, 0, 2))
        fitted += np.matmul(self._by_importer.transpose(0, 2, 1), x.b.transpose(1, 0, 2)).transpose(1, 0, 2)
        pair = (self._pair - fitted) * self._inverse
        m = len(self._scale)
        for corners, effect in zip(self._corners, (x.a, x.b, pair), strict=True):
            out[corners] = effect.reshape(-1, effect.shape[2])[:, :m] * self._scale

    def _conjugate_gradients(self, share: Array) -> Pairing:
        r, z = self._right, self._begin
        x, p = Pairing(np.zeros_like(r.a), np.zeros_like(r.b)), z
        rz = _dots(r, z)
        goal, near = share**2 * rz, NEAR**2 * rz
        live = rz > goal
        for _ in range(MOST_STEPS):
            if not live.any():
                break
            q = self._information.product(p)
            step = _ratio(rz, _dots(p, q)) * live
            x = Pairing(x.a + step * p.a, x.b + step * p.b)
            r = Pairing(r.a - step * q.a, r.b - step * q.b)
            z = self._first.solve(r)
            rz, previous = _dots(r, z), rz
            live &= (rz > goal) & ((rz < previous) | (rz > near))  # past its digits a column would be led away again
            turn = _ratio(rz, previous)
            p = Pairing(z.a + turn * p.a, z.b + turn * p.b)
        return x


class SheetPart:
    """A sheet, which a factor solves at once.

    Parameters
    ----------
    spread
        Weights of all cells.
    sheet, sheets
        Where the cells and corners of the sheet lie.
    """

    def __init__(self, spread: Array, sheet: Sheet, sheets: Sheets) -> None:
        N, J = sheet.shape
        self._factor = Bipartite(spread[sheet.cell : sheet.cell + N * J].reshape(N, J))
        second = sheets.sizes[1] + sheet.importer
        self._corners = slice(sheet.exporter, sheet.exporter + N), slice(second, second + J)

    def look(self, sums: Array) -> Array:
        """Solve."""
        r, s = (sums[corners] for corners in self._corners)
        self._effects = self._factor.approximate(r, s)
        squared = np.einsum("im,im->m", r, self._effects[0]) + np.einsum("im,im->m", s, self._effects[1])
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))

    def solve(self, share: Array, out: Array) -> None:  # noqa: ARG002  nothing is left of it but rounding
        """Hand over what was solved for."""
        for corners, effect in zip(self._corners, self._effects, strict=True):
            out[corners] = effect


def _dots(one: Pairing, other: Pairing) -> Array:
    return _dot(one.a, other.a) + _dot(one.b, other.b)


def _dot(one: Array, other: Array) -> Array:
    """Return the inner product of each column, the last axis."""
    both = (one * other).reshape(-1, one.shape[-1])
    return np.asarray(np.ones(len(both), both.dtype) @ both)


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
