"""Approximate inverses of the normal equations of effects, for conjugate gradients.

Which one is made follows from how levels are joined by rows. Where the equations fall apart into small systems, each is
inverted, and the iteration ends after a step or two. Where only the factor that was eliminated first joins them (pairs join
the periods of a gravity panel) the equations without it are inverted exactly: a handful of steps. Factors with few levels
that join them too (cells of events, regions) are added as a border. Chains and trees of levels are factorised as sparse
matrices. For what is left the diagonal serves, with dozens of steps or hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cyber_trade_econ.hdfe.late import csgraph, lapack, sparse

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Codes

LARGEST_PART = 1000
"""Unknowns of one part up to which it is inverted densely."""

FEWEST_JOINED = 5
"""Levels that a level joins, squared and summed, per unknown: up to here eliminating unknowns hardly joins others."""

LARGEST_SUM = 20_000_000
"""Entries of all inverses together (160 MB)."""

_REDUNDANT = 1e-11  # pivots below this are rounding: effects are identified only up to shifts
_NOTHING = 1e-13  # share of a diagonal entry that is left by rounding when others take up all of it
_ROUNDING = 1e-15
_RIDGE = 1e-11  # lets redundant effects, which have no pivot, be factorised


class Preconditioner(Protocol):
    """A symmetric positive definite matrix near the inverse of another."""

    def solve(self, r: Array, /) -> Array:
        """Apply it to the columns of ``r``, (unknowns, k)."""
        ...


@dataclass(frozen=True)
class Diagonal:
    """One over the diagonal, (unknowns, 1)."""

    inverse: Array

    def solve(self, r: Array) -> Array:
        """Scale the columns of ``r``."""
        return r * self.inverse


class Parts:
    """Unknowns sorted into the parts of a system that none of its entries joins.

    Parameters
    ----------
    labels
        Part of each unknown, (unknowns,).
    count
        Number of parts.
    """

    def __init__(self, labels: Codes, count: int) -> None:
        sizes = np.bincount(labels, minlength=count)
        self.count, self.width = count, int(sizes.max(initial=0))
        order = np.argsort(labels, kind="stable")
        self.position = np.empty(len(labels), dtype=np.int64)
        self.position[order] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.labels = labels

    def spread(self, values: Array) -> Array:
        """Return values (unknowns, k) by part, (count, width, k), filled up with zeros."""
        table = np.zeros((self.count, self.width, values.shape[1]))
        table[self.labels, self.position] = values
        return table

    def gather(self, table: Array) -> Array:
        """Return the values, (unknowns, k), of such a table."""
        return np.asarray(table[self.labels, self.position])

    def entries(self, matrix: sparse.csr_array, columns: Parts) -> Array:
        """Return a matrix with these unknowns as rows by part, (count, width, width of the columns)."""
        found = matrix.tocoo()
        table = np.zeros((self.count, self.width, columns.width))
        table[self.labels[found.row], self.position[found.row], columns.position[found.col]] = found.data
        return table


def eliminated(C: sparse.csr_array, inverse: Array, early: Parts, late: Parts) -> Array:
    """Return ``C' D^-1 C`` by part, (count, width, width) of the late ones, where ``inverse`` (early,) is one over D."""
    if early.count * early.width * late.width > LARGEST_SUM:
        return late.entries((C.T.tocsr() @ (sparse.diags_array(inverse) @ C)).tocsr(), late)
    table = early.entries(C, late)
    return np.asarray(np.matmul(table.transpose(0, 2, 1), early.spread(inverse[:, None]) * table))


class Separate:
    """Inverses of the parts of a matrix that joins none of them.

    Parameters
    ----------
    parts
        Those of its unknowns.
    matrix
        Its entries by part; overwritten.
    before
        Its diagonal before others were eliminated, (unknowns,).
    """

    def __init__(self, parts: Parts, matrix: Array, before: Array) -> None:
        self._parts, self._inverses = parts, matrix
        for part, mass in zip(matrix, parts.spread(before[:, None])[:, :, 0], strict=True):
            part[:] = _inverse(part, mass)

    def solve(self, r: Array) -> Array:
        """Apply the inverses to the columns of ``r``."""
        return self._parts.gather(np.matmul(self._inverses, self._parts.spread(r)))


class Sparse:
    """Inverse of a sparse matrix whose factors are sparse too, as where levels are joined in chains and trees.

    Parameters
    ----------
    matrix
        Positive semidefinite with a positive diagonal, (unknowns, unknowns).
    """

    def __init__(self, matrix: sparse.csr_array) -> None:
        from scipy.sparse.linalg import splu  # few models need it

        self._scale = 1 / np.sqrt(matrix.diagonal())[:, None]
        scaled = matrix.multiply(self._scale).multiply(self._scale.T)
        self._factors = splu(
            sparse.csc_array(scaled + _RIDGE * sparse.eye_array(len(self._scale))),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def solve(self, r: Array) -> Array:
        """Apply it to the columns of ``r``."""
        return np.asarray(self._scale * self._factors.solve(self._scale * r))


class Nested:
    """Inverse of ``[[D, C], [C', Q]]`` where D is diagonal and what C and Q join falls into small parts.

    Parameters
    ----------
    inverse
        One over D, (a,).
    C, Q
        Sparse matrices of shapes (a, b) and (b, b).
    early, late
        Parts of the first a unknowns and of the others, numbered alike.
    """

    def __init__(self, inverse: Array, C: sparse.csr_array, Q: sparse.csr_array, early: Parts, late: Parts) -> None:
        self._first, self._C, self._back = inverse[:, None], C, C.T.tocsr()
        self._late = Separate(late, late.entries(Q, late) - eliminated(C, inverse, early, late), Q.diagonal())

    def solve(self, r: Array) -> Array:
        """Apply the inverse to the columns of ``r``, those of D first."""
        a = len(self._first)
        early = self._first * r[:a]
        late = self._late.solve(r[a:] - self._back @ early)
        return np.concatenate([early - self._first * (self._C @ late), late])


class Bordered:
    """Inverse of ``[[A, E], [E', F]]`` where A has an inverse already and F is small.

    Parameters
    ----------
    near
        Inverse of A.
    E, F
        Sparse matrices of shapes (a, f) and (f, f).
    """

    def __init__(self, near: Preconditioner, E: sparse.csr_array, F: sparse.csr_array) -> None:
        self._near, self._back = near, E.T.tocsr()
        self._moved = near.solve(E.toarray())
        self._inverse = _inverse(F.toarray() - self._back @ self._moved, F.diagonal())

    def solve(self, r: Array) -> Array:
        """Apply the inverse to the columns of ``r``, those of A first."""
        a = len(self._moved)
        first = self._near.solve(r[:a])
        last = self._inverse @ (r[a:] - self._back @ first)
        return np.concatenate([first - self._moved @ last, last])


@dataclass(frozen=True)
class Beside:
    """Two inverses, of the first ``size`` unknowns and of the others, as if nothing joined them."""

    first: Preconditioner
    last: Preconditioner
    size: int

    def solve(self, r: Array) -> Array:
        """Apply both to the columns of ``r``."""
        return np.concatenate([self.first.solve(r[: self.size]), self.last.solve(r[self.size :])])


def parts_of(joins: sparse.csr_array, *unknowns: slice) -> list[Parts] | None:
    """Return the parts of some of the nodes that entries of ``joins``, (nodes, nodes), join: one for each of ``unknowns``.

    ``None`` is returned where some part of the last ones is too large to be inverted.
    """
    count, labels = csgraph.connected_components(joins, directed=False)
    parts = [Parts(labels[u].astype(np.int64), count) for u in unknowns]
    small = parts[-1].width <= LARGEST_PART and count * parts[-1].width ** 2 <= LARGEST_SUM
    return parts if small else None


def _inverse(matrix: Array, before: Array) -> Array:
    """Invert a positive semidefinite matrix on the rows that carry its rank.

    The others, redundant effects, are left to their diagonal, so that a residual there is seen and can be acted on.
    """
    diagonal = np.where(np.diag(matrix) > _NOTHING * before, np.diag(matrix), before)
    scale = np.divide(1.0, np.sqrt(diagonal), out=np.zeros(len(matrix)), where=diagonal > 0)
    rounding = _ROUNDING * float(np.max(before * scale * scale, initial=0.0))
    scaled = matrix * scale[:, None] * scale
    lower, pivots, rank, _ = lapack.dpstrf(scaled, tol=max(_REDUNDANT, rounding), lower=1)
    kept = pivots[:rank] - 1
    out = np.diag(scale * scale)
    if not rank:
        return out
    block, _ = lapack.dpotri(lower[:rank, :rank], lower=1)
    out[np.ix_(kept, kept)] = (np.tril(block) + np.tril(block, -1).T) * scale[kept][:, None] * scale[kept]
    return out
