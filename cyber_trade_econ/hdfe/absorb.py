"""Weighted projection on any number of fixed effects.

The largest factor is eliminated in closed form. The normal equations of the others (its Schur complement) are solved by a
dense pivoted Cholesky factor where they are few, and by conjugate gradients where they are many. All products work on cells
(pairs of levels that occur), not on rows, and the cells' layout is made once per set of factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg, sparse
from scipy.linalg import lapack

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.factor import Array, Factor, compact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DENSE_LIMIT = 1000
"""Unknowns up to which the Schur complement is factorised densely (8 MB at the limit)."""

TOLERANCE = 1e-12
"""Relative residual, in the norm of the preconditioner, at which conjugate gradients stop."""

MAX_ITERATIONS = 2000


@dataclass(frozen=True)
class _Cells:
    """Where the cells of one pair of factors lie in a sparse matrix."""

    of_row: NDArray[np.int64]  # (n,) cell of each row
    count: int
    i: NDArray[np.int64]  # (count,) row of the matrix
    j: NDArray[np.int64]  # (count,) column of the matrix


def _cells(a: Factor, b: Factor, row0: int, column0: int) -> _Cells:
    both = compact(a.codes * b.levels + b.codes)
    i = np.zeros(both.levels, dtype=np.int64)
    j = np.zeros(both.levels, dtype=np.int64)
    i[both.codes], j[both.codes] = a.codes, b.codes
    return _Cells(both.codes, both.levels, i + row0, j + column0)


class Layout:
    """Cell structure of a set of factors; `weighted` turns it into a projector for given weights.

    Parameters
    ----------
    factors
        Fixed effects, codes of shape (n,), at least one.
    """

    def __init__(self, factors: Sequence[Factor]) -> None:
        self.factors = tuple(factors)
        self.big = int(np.argmax([f.levels for f in factors]))
        self.rest = [g for g in range(len(factors)) if g != self.big]
        sizes = [self.factors[g].levels for g in self.rest]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.unknowns = int(self.offsets[-1])
        at = dict(zip(self.rest, self.offsets, strict=False))
        big = self.factors[self.big]
        self.border = [_cells(big, self.factors[g], 0, int(at[g])) for g in self.rest]
        self.inner = [
            _cells(self.factors[g], self.factors[h], int(at[g]), int(at[h])) for g, h in combinations(self.rest, 2)
        ]

    def weighted(self, w: Array) -> Projector:
        """Return the projector for row weights ``w``, shape (n,), positive."""
        return Projector(self, w)


class Projector:
    """Least-squares fit on the effects of a `Layout` with given weights."""

    def __init__(self, layout: Layout, w: Array) -> None:
        self.layout, self.w = layout, w
        factors = layout.factors
        self._mass = factors[layout.big].sums(w)
        if not layout.rest:
            return
        shape = (factors[layout.big].levels, layout.unknowns)
        self._border = _matrix(layout.border, w, shape)
        diagonal = np.concatenate([factors[g].sums(w) for g in layout.rest])
        inner = _matrix(layout.inner, w, (layout.unknowns,) * 2)
        self._inner = (inner + inner.T + sparse.diags_array(diagonal)).tocsr()
        self._border_t = self._border.T.tocsr()
        self._schur = self._factorise() if layout.unknowns <= DENSE_LIMIT else self._jacobi()

    def effects(self, values: Array, start: Sequence[Array] | None = None) -> list[Array]:
        """Return the effects that fit ``values`` (n, k) best: one array (levels, k) per factor.

        Parameters
        ----------
        start
            Effects of a similar problem, from which the iteration begins.

        Raises
        ------
        NotConverged
            If conjugate gradients do not reach `TOLERANCE`.
        """
        layout = self.layout
        big = layout.factors[layout.big]
        weighted = values * self.w[:, None]
        total = big.sums(weighted)
        if not layout.rest:
            return [total / self._mass[:, None]]
        right = np.concatenate([layout.factors[g].sums(weighted) for g in layout.rest])
        right -= self._border_t @ (total / self._mass[:, None])
        first = np.concatenate([start[g] for g in layout.rest]) if start is not None else None
        solution = self._solve(right, first)
        out: list[Array] = [np.empty(0)] * len(layout.factors)
        out[layout.big] = (total - self._border @ solution) / self._mass[:, None]
        for g, lo, hi in zip(layout.rest, layout.offsets[:-1], layout.offsets[1:], strict=True):
            out[g] = solution[lo:hi]
        return out

    def residual(self, values: Array, effects: Sequence[Array]) -> Array:
        """Return ``values`` (n, k) less the effects of their levels."""
        out = values.copy()
        for factor, effect in zip(self.layout.factors, effects, strict=True):
            out -= effect[factor.codes]
        return out

    def _product(self, v: Array) -> Array:
        return np.asarray(self._inner @ v - self._border_t @ ((self._border @ v) / self._mass[:, None]))

    def _solve(self, right: Array, start: Array | None) -> Array:
        if isinstance(self._schur, _Jacobi):
            return self._conjugate_gradients(self._schur, right, start)
        x = self._schur.solve(right)
        for _ in range(2):  # refinement takes the solution from the accuracy of the factor to that of the product
            x += self._schur.solve(right - self._product(x))
        return x

    def _factorise(self) -> _Cholesky:
        """Factorise the Schur complement, scaled to a unit diagonal, with pivoting.

        Effects of several factors are identified only up to shifts, so the complement is singular. Pivoting finds which
        unknowns are redundant; their effects are set to zero.
        """
        schur = self._inner.toarray() - (self._border_t @ (sparse.diags_array(1 / self._mass) @ self._border)).toarray()
        scale = 1 / np.sqrt(self._inner.diagonal())
        schur *= scale[:, None] * scale
        lower, pivots, rank, _ = lapack.dpstrf(schur, tol=1e-11, lower=1, overwrite_a=1)
        kept = pivots[:rank] - 1
        return _Cholesky(lower[:rank, :rank], kept, scale[:, None])

    def _jacobi(self) -> _Jacobi:
        diagonal = self._inner.diagonal()
        absorbed = np.asarray(self._border_t.multiply(self._border_t) @ (1 / self._mass))
        kept = diagonal - absorbed
        return _Jacobi(np.where(kept > 1e-8 * diagonal, kept, diagonal)[:, None])

    def _conjugate_gradients(self, preconditioner: _Jacobi, right: Array, start: Array | None) -> Array:
        """Preconditioned conjugate gradients on several right-hand sides at once, each with its own step length."""
        x = np.zeros_like(right) if start is None else start.copy()
        r = right - self._product(x)
        goal = TOLERANCE**2 * _dots(right, preconditioner.solve(right))
        z = preconditioner.solve(r)
        p = z.copy()
        rz = _dots(r, z)
        for _ in range(MAX_ITERATIONS):
            active = rz > goal
            if not active.any():
                return x
            q = self._product(p)
            curvature = _dots(p, q)
            step = np.where(active & (curvature > 0), rz / np.where(curvature > 0, curvature, 1.0), 0.0)
            x += step * p
            r -= step * q
            z = preconditioner.solve(r)
            previous, rz = rz, _dots(r, z)
            p = z + np.where(active, rz / np.where(previous > 0, previous, 1.0), 0.0) * p
        raise NotConverged(
            "absorbing the fixed effects did not converge",
            found=f"{int((rz > goal).sum())} column(s) above the tolerance after {MAX_ITERATIONS} iterations",
            allowed=f"a relative residual of {TOLERANCE:.0e}",
            fix="The effects are nearly disconnected; drop one of them or its sparsest levels.",
        )


@dataclass(frozen=True)
class _Cholesky:
    """Triangular factor of the rows and columns that carry the rank of a scaled matrix."""

    lower: Array
    kept: NDArray[np.int64]
    scale: Array

    def solve(self, r: Array) -> Array:
        out = np.zeros_like(r)
        scaled = (self.scale * r)[self.kept]
        half = linalg.solve_triangular(self.lower, scaled, lower=True, check_finite=False)
        out[self.kept] = linalg.solve_triangular(self.lower, half, lower=True, trans="T", check_finite=False)
        return self.scale * out


@dataclass(frozen=True)
class _Jacobi:
    diagonal: Array

    def solve(self, r: Array) -> Array:
        return r / self.diagonal


def _dots(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->j", a, b))


def _matrix(cells: Sequence[_Cells], w: Array, shape: tuple[int, int]) -> sparse.csr_array:
    if not cells:
        return sparse.csr_array(shape)
    data = np.concatenate([np.bincount(c.of_row, w, c.count) for c in cells])
    i = np.concatenate([c.i for c in cells])
    j = np.concatenate([c.j for c in cells])
    return sparse.coo_array((data, (i, j)), shape=shape).tocsr()
