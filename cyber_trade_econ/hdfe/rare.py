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

    from cyber_trade_econ.hdfe.factor import Array, Codes


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

    def moments(self, mu: Array, left: Array, X: Array, by_pair: Array, pair_inverse: Array) -> tuple[Array, ...]:
        """Sum what `Profile.moments` needs of these regressors.

        Parameters
        ----------
        mu, left
            Means, and outcome less means, (T, N, J).
        X, by_pair
            The other regressors, (K, T, N, J), and their sums by pair, (K, N, J).
        pair_inverse
            One over the total of each pair, (N, J).

        Returns
        -------
        Sums by exporter-time (T, N, columns), importer-time (T, J, columns) and pair (columns, N, J); cross products with the
        others and with each other net of pair means, (columns, K + columns); score and squared lengths, (columns,).
        """
        T, N, J = self.shape
        weighted = self.value * mu.reshape(-1)[self.cell]
        a = _sums(self._by_exporter_time, weighted, T * N * self.columns).reshape(T, N, self.columns)
        b = _sums(self._by_importer_time, weighted, T * J * self.columns).reshape(T, J, self.columns)
        K, pairs = len(X), N * J
        products = np.empty((self.columns, K + self.columns))
        for k, x in enumerate(X):
            products[:, k] = _sums(self.column, weighted * x.reshape(-1)[self.cell], self.columns)
        products[:, K:] = (self._turned @ self._matrix(weighted)).toarray()
        lengths = np.diag(products[:, K:]).copy()
        mine = sparse.coo_array((weighted, (self.column, self.cell % pairs)), shape=(self.columns, pairs)).tocsr()
        mean = mine * pair_inverse.reshape(1, -1)
        products[:, :K] -= mean @ by_pair.reshape(K, pairs).T
        products[:, K:] -= (mean @ mine.T).toarray()
        return a, b, self._pairs(weighted), products, self.total(left), lengths

    def by_pair(self, mu: Array) -> Array:
        """Sum the regressors times means (T, N, J) by pair, (columns, N, J)."""
        return self._pairs(self.value * mu.reshape(-1)[self.cell])

    def _pairs(self, weighted: Array) -> Array:
        _, N, J = self.shape
        return _sums(self._by_pair, weighted, self.columns * N * J).reshape(self.columns, N, J)


def _sums(codes: Codes, values: Array, size: int) -> Array:
    return np.asarray(np.bincount(codes, values, size), dtype=np.float64)
