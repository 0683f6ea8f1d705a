"""The columns of the regressors, of which those that are mostly zero, such as dummies of events, are kept as lists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.late import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyber_trade_econ.hdfe.factor import Array, Codes, Mask

MOSTLY = 0.1
"""Share of rows below which entries of a regressor are worth listing."""

FEWEST = 8
"""Regressors from which on a second way to hold and sum them pays."""


def worth_listing(filled: Sequence[int], rows: int) -> Mask:
    """Mark the columns that are mostly zero, unless they are few; ``filled`` counts what is not zero in each."""
    rare = np.asarray(filled, dtype=np.int64) < MOSTLY * rows
    return rare & (int(rare.sum()) >= FEWEST)


@dataclass(frozen=True)
class Listed:
    """What is not zero in a column: its rows, ascending, and its values, both (entries,)."""

    rows: Codes
    values: Array

    @classmethod
    def of(cls, column: Array) -> Listed:
        """List what is not zero in a column (n,)."""
        rows = np.flatnonzero(column)
        return cls(rows, column[rows])


@dataclass(frozen=True)
class Regressors:
    """The columns of a design, (n, k).

    Parameters
    ----------
    full
        Columns that are written out, shape (n, p), column by column in memory.
    rare
        Which of the columns are listed instead, shape (k,).
    row, column, value
        What is not zero in these, sorted by row and then by column, shape (entries,); the column counts among the listed.
    """

    full: Array
    rare: Mask
    row: Codes
    column: Codes
    value: Array

    @classmethod
    def plain(cls, X: Array) -> Regressors:
        """Take columns (n, k) as they are."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(X, np.zeros(X.shape[1], dtype=bool), nothing, nothing, np.empty(0))

    @classmethod
    def joined(cls, full: Array, rare: Mask, listed: Sequence[Listed]) -> Regressors:
        """Put columns that are written out, (n, p), and columns that are listed together in the order that ``rare`` says."""
        row = np.concatenate([part.rows for part in listed] or [np.empty(0, dtype=np.int64)])
        column = np.repeat(np.arange(len(listed)), [len(part.rows) for part in listed])
        value = np.concatenate([part.values for part in listed] or [np.empty(0)])
        order = np.argsort(row, kind="stable")  # stable: columns stay in order within a row
        return cls(full, rare, row[order], column[order], value[order])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.full), len(self.rare)

    @cached_property
    def _start(self) -> Codes:
        """Return where the entries of each row begin, (n + 1,)."""
        return np.append(0, np.cumsum(np.bincount(self.row, minlength=len(self.full))))

    def whole(self) -> Array:
        """Return all columns written out, (n, k); the columns themselves where none is listed."""
        return self.rows(slice(None)) if self.rare.any() else self.full

    def rows(self, which: slice | Codes) -> Array:
        """Return some of the rows with all columns written out, (m, k)."""
        if not self.rare.any():
            return self.full[which]
        some = np.arange(len(self.full))[which]
        out = np.zeros((len(some), len(self.rare)), order="F" if len(some) == len(self.full) else "C")
        out[:, ~self.rare] = self.full[some]
        at, entry = self.entries(some)
        out[at, np.flatnonzero(self.rare)[self.column[entry]]] = self.value[entry]
        return out

    def entries(self, rows: Codes) -> tuple[Codes, Codes]:
        """Return for each entry on the given rows the position among them, and its own position, both (entries there,)."""
        first = self._start[rows]
        count = self._start[rows + 1] - first
        at = np.repeat(np.arange(len(rows)), count)
        before = np.cumsum(count) - count
        return at, np.arange(len(at)) + (first - before)[at]

    def times(self, beta: Array) -> Array:
        """Return the columns times coefficients, (n,)."""
        listed = beta[self.rare]
        out = self.full @ beta[~self.rare]
        return out + np.bincount(self.row, self.value * listed[self.column], len(self.full))

    def table(self) -> sparse.csr_array:
        """Return the listed columns, (n, listed)."""
        shape = len(self.full), int(self.rare.sum())
        return sparse.csr_array((self.value, self.column, self._start), shape=shape)

    def values(self) -> Iterator[Array]:
        """Return of each column in turn its values, those that are not zero if it is listed."""
        order = np.argsort(self.column, kind="stable")
        ends = np.cumsum(np.bincount(self.column, minlength=int(self.rare.sum())))
        full, listed = iter(self.full.T), iter(np.split(self.value[order], ends[:-1]))
        for rare in self.rare:
            yield next(listed) if rare else next(full)

    def sizes(self) -> Array:
        """Return the largest absolute value of each column, (k,)."""
        return np.array([max(v.max(initial=0.0), -v.min(initial=0.0)) for v in self.values()])

    def means(self) -> Array:
        """Return the mean of each column, (k,)."""
        out = np.empty(len(self.rare))
        out[~self.rare] = self.full.mean(axis=0)
        out[self.rare] = np.bincount(self.column, self.value, int(self.rare.sum())) / len(self.full)
        return out

    def kept(self, rows: Codes) -> Regressors:
        """Return the given rows, ascending."""
        full = np.empty((len(rows), self.full.shape[1]), order="F")
        for j in range(full.shape[1]):
            np.take(self.full[:, j], rows, out=full[:, j], mode="clip")  # "clip" writes without a buffer between
        at, entry = self.entries(rows) if len(self.row) else (self.row, self.row)
        return Regressors(full, self.rare, at, self.column[entry], self.value[entry])

    def chosen(self, columns: Mask) -> Regressors:
        """Return the columns where ``columns`` (k,) is true."""
        if columns.all():
            return self
        listed = columns[self.rare]
        held = listed[self.column]
        number = np.cumsum(listed) - 1
        full = self.full[:, columns[~self.rare]]
        return Regressors(full, self.rare[columns], self.row[held], number[self.column[held]], self.value[held])


def listed(X: Array | Regressors) -> Regressors:
    """Return the columns, (n, k), those that are mostly zero as lists if there are enough of them."""
    if isinstance(X, Regressors):
        return X if X.rare.any() else listed(X.full)
    if X.shape[1] < FEWEST:
        return Regressors.plain(X)
    rare = worth_listing([int(np.count_nonzero(column)) for column in X.T], len(X))
    if not rare.any():
        return Regressors.plain(X)
    return Regressors.joined(X[:, ~rare], rare, [Listed.of(X[:, k]) for k in np.flatnonzero(rare)])
