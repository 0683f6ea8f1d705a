"""The Poisson likelihood of one sheet, such as the exporters and importers of one period.

Given everything else, the effect of an exporter is the logarithm of what it sells over what it would sell, so every
evaluation sets it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cyber_trade_econ.hdfe.bipartite import Bipartite

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Mask

_EMPTY = -60.0  # index of a cell without a row: its exponential is an ordinary number, unlike that of minus infinity


class Condensed(NamedTuple):
    """Derivatives at one point, effects concentrated out.

    Parameters
    ----------
    exporter, importer
        Effects that fit the regressors and, in the last column, the outcome: (N, K+1) and (J, K+1).
    products, score
        Weighted cross products of the regressors net of effects, (K, K), and with the outcome, (K,).
    lengths
        Squared weighted lengths of the regressors, before effects were taken out, (K,).
    gain
        Score times Newton step of the effects alone.
    """

    exporter: Array
    importer: Array
    products: Array
    score: Array
    lengths: Array
    gain: float


class SheetLikelihood:
    """Data, current point and current means of one sheet.

    Parameters
    ----------
    y
        Outcome times weight by cell, (N, J); zero where there is no row.
    X
        Regressors by cell, (K, N * J), zero where there is no row; used up.
    shift
        Offset plus logarithm of the weight by cell, if there are any, (N, J).
    filled
        Which cells hold a row, (N, J).
    """

    def __init__(self, y: Array, X: Array, shift: Array | None, filled: Mask) -> None:
        N, J = self.shape = y.shape
        self.y, self.X, self.shift = y, X, shift
        self.gap = None if filled.all() else ~filled
        self.exporter_total, self.importer_total = y.sum(1), y.sum(0)
        cube = X.reshape(-1, N, J)
        self.mean = cube.sum(2) / filled.sum(1)
        cube -= self.mean[:, :, None]  # the exporter's effect takes it up; what is left keeps its digits
        if self.gap is not None:
            cube *= filled
        self.mu, self._trial = np.empty(y.shape), np.empty(y.shape)
        self.exporter, self.importer = np.zeros(N), np.zeros(J)
        self.keep(np.ones(len(X), dtype=bool))

    def keep(self, columns: Mask) -> None:
        """Leave regressors out."""
        if not columns.all():
            self.X, self.mean = self.X[columns], self.mean[columns]
        self.along_y = self.X @ self.y.reshape(-1)

    def span(self) -> Array:
        """Return the largest size of each regressor net of exporters' means, (K,)."""
        return np.asarray(np.maximum(self.X.max(axis=1), -self.X.min(axis=1)))

    def reach(self) -> Array:
        """Return the sum of ``y`` times the size of each regressor net of exporters' means, (K,)."""
        return np.asarray(np.abs(self.X) @ self.y.reshape(-1))

    def condense(self, mu: Array, moment: Array) -> Condensed:
        """Take derivatives at means ``mu`` of what has the sums of ``moment``, both (N, J)."""
        N, J = self.shape
        K = len(self.X)
        product = self.X * mu.reshape(-1)
        cube = product.reshape(K, N, J)
        r, s = np.empty((N, K + 1)), np.empty((J, K + 1))
        r[:, :K], s[:, :K] = cube.sum(2).T, cube.sum(1).T
        r[:, K], s[:, K] = moment.sum(1), moment.sum(0)
        raw = self.mean
        solver = Bipartite(mu)
        products = self.X @ product.T
        lengths = np.diag(products) + np.sum(raw * (2 * r[:, :K].T + raw * solver.mass), axis=1)
        x, z = solver.solve(r, s, np.sqrt(np.append(lengths, self.exporter_total.sum())))
        solved = r.T @ x + s.T @ z
        score = self.X @ moment.reshape(-1) - solved[:K, K]
        return Condensed(x, z, products - solved[:K, :K], score, lengths, float(solved[K, K]))

    def derivatives(self) -> Condensed:
        """Take derivatives of the likelihood at the current point."""
        return self.condense(self.mu, self.y - self.mu)

    def imbalance(self) -> float:
        """Return the largest score of an effect, relative to the outcome that it sums."""
        return max(
            float(np.max(np.abs(self.exporter_total - self.mu.sum(1)) / self.exporter_total)),
            float(np.max(np.abs(self.importer_total - self.mu.sum(0)) / self.importer_total)),
        )

    def now(self, beta: Array) -> float:
        """Return the log likelihood, less what never changes, where the means add up to the total of each exporter."""
        return self._value(beta, self.exporter, self.importer)

    def _value(self, beta: Array, exporter: Array, importer: Array) -> float:
        return float(beta @ self.along_y + exporter @ self.exporter_total + importer @ self.importer_total)

    def evaluate(self, beta: Array, exporter: Array, importer: Array) -> tuple[float, Array]:
        """Compute means at a trial point, still to be scaled for each exporter: log likelihood and scale (N,).

        The likelihood of a point so far away that an exporter's means overflow or all vanish is minus infinity.
        """
        eta = self._trial
        np.dot(beta, self.X, out=eta.reshape(-1))
        eta += exporter[:, None]
        eta += importer
        if self.shift is not None:
            eta += self.shift
        if self.gap is not None:
            np.copyto(eta, _EMPTY, where=self.gap)
        with np.errstate(over="ignore"):  # a step too far is seen in the value, and shortened
            np.exp(eta, out=eta)
        if self.gap is not None:
            np.copyto(eta, 0.0, where=self.gap)
        total = eta.sum(1)
        if not (np.isfinite(total) & (total > 0)).all():
            return -np.inf, total
        scale = self.exporter_total / total
        return self._value(beta, exporter + np.log(scale), importer), scale

    def accept(self, scale: Array, exporter: Array, importer: Array, sweeps: int = 1) -> None:
        """Move to the point evaluated last, and set each kind of effect in turn to its optimum given the other.

        The likelihood can only rise. A Newton step weighs levels by what they trade, and leaves those that trade next to
        nothing where rounding puts them; this puts them right.
        """
        self.mu, self._trial = self._trial, self.mu
        mu = self.mu
        mu *= scale[:, None]
        self.exporter, self.importer = exporter + np.log(scale), importer
        for _ in range(sweeps):
            up = self.importer_total / mu.sum(0)
            mu *= up
            self.importer = self.importer + np.log(up)
            up = self.exporter_total / mu.sum(1)
            mu *= up[:, None]
            self.exporter = self.exporter + np.log(up)
