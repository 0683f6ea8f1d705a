"""Regressors that are zero in most cells, such as dummies of events, kept as lists of what is not zero.

Pair effects take up the level of a regressor anyway, so these are not centred, and a hundred of them cost little more than
their entries: all sums over cells are sums over entries.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.late import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cyber_trade_econ.hdfe.factor import Array, Codes, Mask

MOSTLY = 0.1
"""Share of rows below which entries of a regressor are worth listing."""

FEWEST = 8
"""Regressors from which on a second way to sum pays."""


def rare_columns(X: Array) -> Mask:
    """Mark the columns of ``X`` (n, K) that are mostly zero, unless they are few."""
    if X.shape[1] < FEWEST:
        return np.zeros(X.shape[1], dtype=bool)
    filled = np.array([np.count_nonzero(X[:, k]) for k in range(X.shape[1])], dtype=np.int64)
    rare = filled < MOSTLY * len(X)
    return rare & (int(rare.sum()) >= FEWEST)


class Rare:
    """Entries of such regressors in one box.

    Parameters
    ----------
    shape
        Times, exporters and importers of the box, (T, N, J).
    columns
        Number of regressors.
    cell, column, value
        Where each entry lies and what it is, shape (entries,), sorted by cell and then by column.
    """

    def __init__(self, shape: tuple[int, int, int], columns: int, cell: Codes, column: Codes, value: Array) -> None:
        self.shape, self.columns = shape, columns
        self.cell, self.column, self.value = cell, column, value
        _, N, J = shape
        exporter_time, importer = cell // J, cell % J
        self._by_exporter_time = exporter_time * columns + column
        self._by_importer_time = (exporter_time // N * J + importer) * columns + column
        self._by_pair = column * (N * J) + cell % (N * J)
        self._column = column.astype(np.int32)

    @cached_property
    def _start(self) -> NDArray[np.int32]:
        """Return where the entries of each cell begin; most panels have none and never ask."""
        ends = np.cumsum(np.bincount(self.cell, minlength=int(np.prod(self.shape))))
        return np.append(0, ends).astype(np.int32)

    @cached_property
    def _turned(self) -> sparse.csr_array:
        return self._matrix(self.value).T.tocsr()

    def _matrix(self, value: Array) -> sparse.csr_array:
        shape = int(np.prod(self.shape)), self.columns
        return sparse.csr_array((value, self._column, self._start), shape=shape)

    def total(self, cells: Array) -> Array:
        """Sum the regressors times ``cells`` (T, N, J): (columns,)."""
        return _sums(self.column, self.value * cells.reshape(-1)[self.cell], self.columns)

    def reach(self, cells: Array) -> Array:
        """Sum the sizes of the regressors times ``cells`` (T, N, J): (columns,)."""
        return _sums(self.column, np.abs(self.value) * cells.reshape(-1)[self.cell], self.columns)

    def span(self) -> Array:
        """Return the largest size of each regressor, (columns,)."""
        out = np.zeros(self.columns)
        np.maximum.at(out, self.column, np.abs(self.value))
        return out

    def index(self, beta: Array) -> Array:
        """Return the regressors times coefficients by cell, (T, N, J)."""
        size = int(np.prod(self.shape))
        return _sums(self.cell, self.value * beta[self.column], size).reshape(self.shape)

    def moments(self, mu: Array, X: Array, left: Array) -> tuple[Array, ...]:
        """Sum what `kernels.moments` does: by exporter-time, importer-time (not net of pairs) and pair, products and score.

        Parameters
        ----------
        mu, left
            Means, and outcome less means, (T, N, J).
        X
            The other regressors, (K, T, N, J): the products are (columns, K + columns).
        """
        T, N, J = self.shape
        weighted = self.value * mu.reshape(-1)[self.cell]
        a = _sums(self._by_exporter_time, weighted, T * N * self.columns).reshape(T, N, self.columns)
        b = _sums(self._by_importer_time, weighted, T * J * self.columns).reshape(T, J, self.columns)
        by_pair = _sums(self._by_pair, weighted, self.columns * N * J).reshape(self.columns, N, J)
        with_others = [_sums(self.column, weighted * x.reshape(-1)[self.cell], self.columns) for x in X]
        products = np.column_stack([*with_others, (self._turned @ self._matrix(weighted)).toarray()])
        return a, b, by_pair, products, self.total(left)

    def spread(self, X: Array, onto: Codes) -> None:
        """Write the regressors to the places ``onto`` of ``X`` (K, T, N, J)."""
        X[onto] = 0.0
        X.reshape(len(X), -1)[onto[self.column], self.cell] = self.value


def _sums(codes: Codes, values: Array, size: int) -> Array:
    return np.asarray(np.bincount(codes, values, size), dtype=np.float64)
