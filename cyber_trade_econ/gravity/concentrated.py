"""Likelihood of each pair with its effect concentrated out, and the effects' Hessian, on a dense table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lapack

from cyber_trade_econ.hdfe.factor import Array, Factor, cross

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyber_trade_econ.hdfe.factor import Codes

_RANK = 1e-11  # pivots below this, on a unit diagonal, belong to shifts between effects
_COLUMNS = 128  # columns of a matrix product at which it runs at full speed


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
    by_period
        The means once more, shape (T, E, I): products by period need them together.
    """

    mean: Array
    score: Array
    x: Array
    inverse_mass: Array
    concentrated: bool
    pairs: int
    by_period: Array

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
        by_period = np.ascontiguousarray(means.transpose(2, 0, 1))
        return cls(means, score, x, inverse, concentrated, cross(keys[:2]).levels, by_period)

    def curved(self, v: Array) -> Array:
        """Curvature H_ij (minus the Hessian by the index) of each pair times ``v``, shape (..., E, I, T)."""
        q = self.mean * v
        return np.asarray(q - self.mean * (self.inverse_mass * q.sum(axis=-1, keepdims=True)))

    def own(self, side: int) -> Array:
        """Sum of H_ij over the partners of each exporter (side 0) or importer (side 1), shape (owners, T, T)."""
        out = -outer(self.mean * self.inverse_mass, self.mean, side)
        return plus_diagonal(out, self.mean.sum(axis=1 - side))

    def blocks(self, importers: slice) -> Array:
        """H_ij of all exporters with some importers, shape (E, T, importers, T)."""
        means = self.mean[:, importers]
        out = -(means * self.inverse_mass[:, importers])[..., None] * means[..., None, :]
        at = np.arange(means.shape[2])
        out[:, :, at, at] += means
        return np.ascontiguousarray(out.transpose(0, 2, 1, 3))

    def summed(self, v: Array, side: int, start: int = 0) -> Array:
        """Sum of H_ij v_j over the partners of each exporter (side 0) or importer (side 1), from owner ``start`` on.

        A block is a diagonal less a product of two vectors, so that this costs three products per cell and column of ``v``
        and not T. Shapes: ``v`` (partners, T, m), result (owners, T, m).
        """
        mean, over = (a if side == 0 else a.swapaxes(0, 1) for a in (self.mean, self.inverse_mass))
        by_period = self.by_period if side == 0 else self.by_period.swapaxes(1, 2)
        out = np.matmul(by_period[:, start:], v.transpose(1, 0, 2)).transpose(1, 0, 2)
        if self.concentrated:
            mean = mean[start:]
            share = (mean * over[start:]).transpose(1, 0, 2)  # partners first
            out -= np.matmul(mean.transpose(0, 2, 1), np.matmul(share, v).transpose(1, 0, 2))
        return np.asarray(out)

    def turned(self) -> Table:
        """Return the same table with the sides exchanged."""
        mean, score, inverse = (v.swapaxes(0, 1) for v in (self.mean, self.score, self.inverse_mass))
        return replace(
            self,
            mean=mean,
            score=score,
            x=self.x.swapaxes(1, 2),
            inverse_mass=inverse,
            by_period=self.by_period.swapaxes(1, 2),
        )

    def period(self, t: int) -> Table:
        """Return one period as a table of its own."""
        return replace(
            self,
            mean=self.mean[..., t : t + 1],
            score=self.score[..., t : t + 1],
            x=self.x[..., t : t + 1],
            by_period=self.by_period[t : t + 1],
        )

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


def effects_of(table: Table) -> Joint | ByPeriod:
    """Solve for the effects: period by period where no pair effects tie periods together."""
    return Joint(table) if table.concentrated else ByPeriod(table)


class Joint:
    """Generalised inverse of the effects' Hessian; only sums of an exporter's and an importer's effect are identified.

    The side with more economies is eliminated block by block; the Schur complement of the other is factorised with pivoting,
    and what the pivots find redundant is set to zero. No result depends on which generalised inverse is taken.

    Attribute ``x`` holds the regressors net of their weighted projection on the effects, shape (K, E, I, T).
    """

    def __init__(self, table: Table) -> None:
        self._is_turned = table.mean.shape[0] < table.mean.shape[1]
        self._table = table.turned() if self._is_turned else table
        e, i, t = self._table.mean.shape
        self._own = inverses(self._table.own(0))
        inverse = self._inverse()
        x = self._residual(self._table.x, inverse)
        self.x = x.swapaxes(1, 2) if self._is_turned else x
        blocks, at = inverse.reshape(i, t, i, t), np.arange(i)
        self._importers = blocks[at, :, at, :]
        self._exporters = self._own.copy()
        self._between = np.empty((e, t, i, t))  # minus the block of the inverse between the two sides
        for some in self._tiles():
            across = np.matmul(self._own, self._table.summed(blocks[:, :, some].reshape(i, t, -1), 0))
            self._exporters += np.matmul(across, self._slope(some).transpose(0, 2, 1))
            self._between[:, :, some] = across.reshape(e, t, -1, t)

    def _tiles(self) -> Iterator[slice]:
        _, i, t = self._table.mean.shape
        some = max(1, _COLUMNS // t)
        return (slice(start, min(start + some, i)) for start in range(0, i, some))

    def _slope(self, some: slice) -> Array:
        """Own inverse times H_ij, shape (E, T, importers x T)."""
        e, _, t = self._table.mean.shape
        return np.asarray(np.matmul(self._own, self._table.blocks(some).reshape(e, t, -1)))

    def _inverse(self) -> Array:
        """Inverse of the Schur complement of the importers, shape (I T, I T)."""
        _, i, t = self._table.mean.shape
        own = self._table.own(1)
        schur = np.zeros((i, t, i, t))
        for some in self._tiles():
            start = some.start
            schur[start:, :, some] = -self._table.summed(self._slope(some), 1, start).reshape(i - start, t, -1, t)
        at = np.arange(i)
        schur[at, :, at, :] += own
        return _pivoted_inverse(schur.reshape(i * t, i * t), np.diagonal(own, axis1=1, axis2=2).ravel())

    def _residual(self, x: Array, inverse: Array) -> Array:
        table, out = self._table, x.copy()
        k, _, i, t = x.shape
        for _ in range(3):  # two refinements take the accuracy from that of the inverse to that of the sums
            curved = table.curved(out)
            by_exporter, by_importer = (curved.sum(axis=axis).transpose(1, 2, 0) for axis in (2, 1))
            right = by_importer - table.summed(np.matmul(self._own, by_exporter), 1)
            b = (inverse @ right.reshape(i * t, k)).reshape(i, t, k)
            a = np.matmul(self._own, by_exporter - table.summed(b, 0))
            out -= a.transpose(2, 0, 1)[:, :, None] + b.transpose(2, 0, 1)[:, None]
        return np.asarray(out * (table.mean > 0))

    def covariances(self) -> Iterator[tuple[tuple[Codes, Codes], Array]]:
        """Yield d_ij F^- d_ij' (F is the Hessian) for the pairs of each economy of the larger side, and their two sides.

        Shapes (pairs, T, T) and (pairs,).
        """
        for e, (own, between) in enumerate(zip(self._exporters, self._between, strict=True)):
            both = between.transpose(1, 0, 2)
            sides = np.full(len(both), e), np.arange(len(both))
            yield sides[::-1] if self._is_turned else sides, own + self._importers - both - both.transpose(0, 2, 1)


class ByPeriod:
    """The same where pairs have no effects: periods do not meet, and what a pair meets is diagonal."""

    def __init__(self, table: Table) -> None:
        self._shape = table.mean.shape
        self._periods = [Joint(table.period(t)) for t in range(self._shape[2])]
        self.x = np.concatenate([p.x for p in self._periods], axis=3)

    def covariances(self) -> Iterator[tuple[tuple[Codes, Codes], Array]]:
        """Yield what pairs meet, as `Joint.covariances` does."""
        for found in zip(*(p.covariances() for p in self._periods), strict=True):
            out = np.zeros((len(found[0][1]), len(found), len(found)))
            for t, (_, own) in enumerate(found):
                out[:, t, t] = own[:, 0, 0]
            yield found[0][0], out


def inverses(blocks: Array) -> Array:
    """Pseudo-inverse of each symmetric block, each scaled to a unit diagonal."""
    diagonal = np.diagonal(blocks, axis1=1, axis2=2)
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros_like(diagonal), where=diagonal > 0)
    both = scale[:, :, None] * scale[:, None, :]
    return np.asarray(np.linalg.pinv(blocks * both, rcond=_RANK, hermitian=True) * both)


def _pivoted_inverse(matrix: Array, diagonal: Array) -> Array:
    """Inverse on the rows that carry the rank, zero elsewhere; reads the lower triangle and overwrites ``matrix``."""
    scale = np.divide(1.0, np.sqrt(np.abs(diagonal)), out=np.zeros_like(diagonal), where=diagonal > 0)
    matrix *= scale[:, None]
    matrix *= scale
    upper, pivots, rank, _ = lapack.dpstrf(matrix.T, tol=_RANK, lower=0, overwrite_a=1)
    kept = pivots[:rank] - 1
    inverse, _ = lapack.dpotri(upper[:rank, :rank], lower=0, overwrite_c=1)
    inverse = inverse.T  # in C's order, with its lower triangle filled
    for row in range(rank):
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    matrix[:] = 0.0
    matrix[np.ix_(kept, kept)] = inverse
    matrix *= scale[:, None]
    matrix *= scale
    return matrix
