"""Likelihood of each pair with its effect concentrated out, and the effects' Hessian, on a dense table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack

from cyber_trade_econ.hdfe.factor import Array, Factor, cross

if TYPE_CHECKING:
    from collections.abc import Iterator

_RANK = 1e-11  # pivots below this, on a unit diagonal, belong to shifts between effects
_ROWS = 400  # rows of a matrix product at which it runs at full speed


@dataclass(frozen=True)
class Table:
    """Likelihood of each pair over its periods, pair effects concentrated out, on the dense table; absent cells are zero.

    Parameters
    ----------
    mean, score
        Fitted means, and derivatives of the log likelihood by the linear index, shape (E, I, T).
    x
        Regressors, shape (K, E, I, T).
    inverse_mass
        One over the sum of each pair's means, shape (E, I, 1); zero where pairs have no effect of their own.
    concentrated
        Whether pairs have effects.
    pairs
        Pairs that occur.
    """

    mean: Array
    score: Array
    x: Array
    inverse_mass: Array
    concentrated: bool
    pairs: int

    @classmethod
    def of(cls, mean: Array, y: Array, X: Array, keys: list[Factor], *, concentrated: bool) -> Table:
        """Lay rows of means, outcomes and regressors out by exporter, importer and period."""
        shape = (*(f.levels for f in keys), 1)[:3]
        at = (*(f.codes for f in keys), np.zeros_like(keys[0].codes))[:3]
        table = np.zeros((X.shape[1] + 2, *shape))
        for layer, values in zip(table, (mean, y - mean, *X.T), strict=True):
            layer[at] = values
        means, residual, x = table[0], table[1], table[2:]
        mass = means.sum(axis=2, keepdims=True)
        inverse = np.divide(1.0, mass, out=np.zeros_like(mass), where=(mass > 0) & concentrated)
        score = residual - means * inverse * residual.sum(axis=2, keepdims=True)
        return cls(means, score, x, inverse, concentrated, cross(keys[:2]).levels)

    def curved(self, v: Array) -> Array:
        """Curvature H_ij (minus the Hessian by the index) of each pair times ``v``, shape (..., E, I, T)."""
        q = self.mean * v
        return np.asarray(q - self.mean * (self.inverse_mass * q.sum(axis=-1, keepdims=True)))

    def own(self, side: int) -> Array:
        """Sum of H_ij over the partners of each exporter (side 0) or importer (side 1), shape (owners, T, T)."""
        out = -outer(self.mean * self.inverse_mass, self.mean, side)
        return plus_diagonal(out, self.mean.sum(axis=1 - side))

    def between(self) -> Array:
        """Every H_ij as a block of one matrix, shape (E T, I T)."""
        e, i, t = self.mean.shape
        out = np.empty((e, t, i, t))
        for side, means in enumerate(self.mean):
            block = -(means * self.inverse_mass[side])[:, :, None] * means[:, None, :]
            out[side] = plus_diagonal(block, means).transpose(1, 0, 2)
        return out.reshape(e * t, i * t)

    def third(self, v: Array, side: int) -> Array:
        """Sum of G_ij (third derivatives by the index) times ``v`` over the partners, shape (owners, T, T)."""
        q = self.mean * v
        share = self.inverse_mass * q.sum(axis=-1, keepdims=True)
        scaled = self.mean * self.inverse_mass
        out = outer(q * self.inverse_mass - 2 * share * scaled, self.mean, side) + outer(scaled, q, side)
        return plus_diagonal(out, -(q - self.mean * share).sum(axis=1 - side))


def outer(a: Array, b: Array, side: int) -> Array:
    """Sum a_ij b_ij' over the partners of each owner, shape (owners, T, T)."""
    a, b = (v if side == 0 else v.swapaxes(0, 1) for v in (a, b))
    return np.asarray(np.matmul(a.swapaxes(1, 2), b))


def plus_diagonal(blocks: Array, diagonal: Array) -> Array:
    """Add a diagonal to each block, in place, and return the blocks."""
    at = np.arange(blocks.shape[-1])
    blocks[:, at, at] += diagonal
    return blocks


class Effects:
    """Generalised inverse of the effects' Hessian; only sums of an exporter's and an importer's effect are identified.

    Exporters are eliminated block by block; the Schur complement of the importers is factorised with pivoting, and what the
    pivots find redundant is set to zero. No result depends on which generalised inverse is taken.
    """

    def __init__(self, table: Table) -> None:
        e, i, t = table.mean.shape
        self.table = table
        self.own = inverses(table.own(0))
        between = table.between()
        self.slope = np.matmul(self.own, between.reshape(e, t, i * t)).reshape(e * t, i * t)
        schur = between.T @ self.slope
        schur *= -1
        del between
        importers = table.own(1)
        blocks = schur.reshape(i, t, i, t)
        at = np.arange(i)
        blocks[at, :, at, :] += importers
        self.schur = _pivoted_inverse(schur, np.diagonal(importers, axis1=1, axis2=2).ravel())

    def residual(self, x: Array) -> Array:
        """Return ``x`` (K, E, I, T) less its weighted projection on the effects."""
        out = x.copy()
        for _ in range(3):  # two refinements take the accuracy from that of the inverse to that of the sums
            curved = self.table.curved(out)
            k, e, i, t = out.shape
            by_exporter, by_importer = curved.sum(axis=2), curved.sum(axis=1)
            right = by_importer.reshape(k, -1) - by_exporter.reshape(k, -1) @ self.slope
            b = right @ self.schur
            a = np.einsum("ets,kes->ket", self.own, by_exporter).reshape(k, -1) - b @ self.slope.T
            out -= a.reshape(k, e, 1, t) + b.reshape(k, 1, i, t)
        return out * (self.table.mean > 0)

    def covariances(self) -> Iterator[Array]:
        """Yield d_ij F^- d_ij' (the inverse Hessian F of the effects as a pair meets it), per exporter (I, T, T)."""
        e, i, t = self.table.mean.shape
        at = np.arange(i)
        importers = self.schur.reshape(i, t, i, t)[at, :, at, :]
        some = max(1, _ROWS // t)  # several exporters at once: thin products run at half the speed
        for start in range(0, e, some):
            slopes = self.slope[start * t : (start + some) * t]
            for own, slope, across in zip(
                self.own[start:],
                slopes.reshape(-1, t, i * t),
                (slopes @ self.schur).reshape(-1, t, i * t),
                strict=False,
            ):
                both = across.reshape(t, i, t).transpose(1, 0, 2)
                yield own + across @ slope.T + importers - both - both.transpose(0, 2, 1)


def inverses(blocks: Array) -> Array:
    """Pseudo-inverse of each symmetric block, each scaled to a unit diagonal."""
    diagonal = np.diagonal(blocks, axis1=1, axis2=2)
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros_like(diagonal), where=diagonal > 0)
    both = scale[:, :, None] * scale[:, None, :]
    return np.asarray(np.linalg.pinv(blocks * both, rcond=_RANK, hermitian=True) * both)


def _pivoted_inverse(matrix: Array, diagonal: Array) -> Array:
    """Inverse on the rows that carry the rank, zero elsewhere; ``matrix`` is overwritten."""
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros_like(diagonal), where=diagonal > 0)
    matrix *= scale[:, None]
    matrix *= scale
    lower, pivots, rank, _ = lapack.dpstrf(matrix.T, tol=_RANK, lower=1, overwrite_a=1)
    kept = pivots[:rank] - 1
    inverse, _ = lapack.dpotri(lower[:rank, :rank], lower=1, overwrite_c=1)
    for row in range(rank):  # LAPACK fills one triangle
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    out = np.zeros_like(matrix)
    out[np.ix_(kept, kept)] = inverse
    out *= scale[:, None]
    out *= scale
    return out
