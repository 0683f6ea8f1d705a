"""The Poisson likelihood of a gravity panel with its pair effects concentrated out, one box at a time.

Given everything else, the effect of a pair is the logarithm of what it trades over what it would trade, so every evaluation
sets it there: means are ``Y_pair * share of the period``, pair scores are exactly zero and the index cannot overflow. Work
goes period by period, so that one period of a box stays in the processor's cache through all steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.perperiod import Information

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Mask

SWEEPS = 5
"""Rounds of proportional scaling from which Newton's method begins; after two it already needs no damping."""

_EMPTY = -60.0  # index of a cell without a row: its exponential is an ordinary number, unlike that of minus infinity


@dataclass(frozen=True)
class Moments:
    """Derivatives of the likelihood at one point, pair effects concentrated out.

    Parameters
    ----------
    exporter_time, importer_time
        Right-hand sides (T, N, K+1) and (T, J, K+1): cross products of the dummies with the regressors net of pair means,
        and in the last column with ``y - mu``.
    regressors
        Cross products of the regressors net of pair means, (K, K).
    score
        Regressors times ``y - mu``, (K,).
    lengths
        Squared lengths of the regressors weighted by the means, before anything was taken out, (K,).
    information
        The information matrix of the effects as an operator.
    """

    exporter_time: Array
    importer_time: Array
    regressors: Array
    score: Array
    lengths: Array
    information: Information


class Profile:
    """One box: data, current point and current means.

    Parameters
    ----------
    y
        Outcome times weight by cell, (T, N, J); zero where there is no row.
    X
        Regressors by cell, (T * N * J, K); overwritten by `net`.
    shift
        Offset plus logarithm of the weight by cell, if there are any, (T, N, J).
    filled
        Which cells hold a row, (T, N, J).
    """

    def __init__(self, y: Array, X: Array, shift: Array | None, filled: Mask) -> None:
        self.shape = T, N, J = y.shape[0], y.shape[1], y.shape[2]
        self.y, self.shift = y, shift
        self.gap = None if filled.all() else ~filled
        self.pair_total = y.sum(0)
        self.exporter_total, self.importer_total = y.sum(2), y.sum(1)
        self.X = np.ascontiguousarray(X.reshape(T, N * J, -1).transpose(0, 2, 1))
        self._room = X  # `net` writes there: fresh memory costs more than the arithmetic
        seen = np.maximum(filled.sum(0), 1).reshape(-1)
        self.pair_mean = self.X.sum(0) / seen
        self.X -= self.pair_mean  # the pair effect takes it up; what is left keeps its digits
        if self.gap is not None:
            self.X *= filled.reshape(T, 1, N * J)
        self.along_y = np.asarray(sum(x @ v.reshape(-1) for x, v in zip(self.X, y, strict=True)))
        self.mu = np.empty(y.shape)
        self._trial = np.empty(y.shape)

    def keep(self, columns: Mask) -> None:
        """Leave regressors out."""
        self.X = np.ascontiguousarray(self.X[:, columns])
        self._room = np.empty((self._room.shape[0], int(columns.sum())))
        self.pair_mean, self.along_y = self.pair_mean[columns], self.along_y[columns]

    def span(self) -> Array:
        """Return the largest size of each regressor net of pair means, (K,)."""
        return np.asarray(np.maximum(self.X.max(axis=(0, 2)), -self.X.min(axis=(0, 2))))

    def reach(self) -> Array:
        """Return the sum of ``y`` times the size of each regressor net of pair means, (K,)."""
        return np.asarray(sum(np.abs(x) @ y.reshape(-1) for x, y in zip(self.X, self.y, strict=True)))

    def scale(self) -> None:
        """Start from effects alone: scale the means to each kind of total in turn."""
        T, N, J = self.shape
        self.exporter_time, self.importer_time, self.pair = np.zeros((T, N)), np.zeros((T, J)), np.zeros((N, J))
        with np.errstate(divide="ignore"):
            self.pair_inverse = np.where(self.pair_total > 0, 1 / self.pair_total, 0.0)
        mu = self.mu
        mu[:] = 1.0 if self.shift is None else np.exp(self.shift)
        if self.gap is not None:
            mu[self.gap] = 0.0
        self.factor = _ratio(self.pair_total, mu.sum(0))
        self.pair += np.log(np.where(self.factor > 0, self.factor, 1.0))
        for _ in range(SWEEPS):
            self.balance()

    def balance(self) -> None:
        """Set each kind of effect in turn to its optimum given the others; the likelihood can only rise.

        A Newton step weighs levels by what they trade, and leaves those that trade next to nothing where rounding puts them;
        this puts them right.
        """
        total = np.zeros(self.pair.shape)
        for t, period in enumerate(self.mu):
            period *= self.factor
            up = _ratio(self.exporter_total[t], period.sum(1))
            period *= up[:, None]
            across = _ratio(self.importer_total[t], period.sum(0))
            period *= across
            self.exporter_time[t] += np.log(up, out=np.zeros_like(up), where=up > 0)
            self.importer_time[t] += np.log(across, out=np.zeros_like(across), where=across > 0)
            total += period
        self.factor = _ratio(self.pair_total, total)
        self.pair += np.log(np.where(self.factor > 0, self.factor, 1.0))

    def impose(self, mu: Array) -> None:
        """Take derivatives at given means instead, (T, N, J)."""
        self.mu[:] = mu
        total = mu.sum(0)
        self.factor = np.ones(total.shape)
        self.pair_inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)

    def value(self, beta: Array, exporter_time: Array, importer_time: Array, pair: Array) -> float:
        """Return the log likelihood, less what never changes, where the means add up to the total of each pair."""
        return float(
            beta @ self.along_y
            + np.sum(exporter_time * self.exporter_total)
            + np.sum(importer_time * self.importer_total)
            + np.sum(pair * self.pair_total)
        )

    def now(self, beta: Array) -> float:
        """Return `value` at the current point."""
        return self.value(beta, self.exporter_time, self.importer_time, self.pair)

    def evaluate(self, beta: Array, exporter_time: Array, importer_time: Array) -> tuple[float, Array]:
        """Compute means, still to be multiplied by pair factors, at a trial point: log likelihood and the factors (N, J).

        The likelihood of a point so far away that a pair's means overflow or all vanish is minus infinity.
        """
        total = np.zeros(self.pair.shape)
        flat = self._trial.reshape(self.shape[0], -1)
        for t, eta in enumerate(self._trial):
            np.dot(beta, self.X[t], out=flat[t])
            eta += exporter_time[t][:, None]
            eta += importer_time[t]
            eta += self.pair
            if self.shift is not None:
                eta += self.shift[t]
            if self.gap is not None:
                np.copyto(eta, _EMPTY, where=self.gap[t])
            with np.errstate(over="ignore"):  # a step too far is seen in the value, and shortened
                np.exp(eta, out=eta)
            if self.gap is not None:
                np.copyto(eta, 0.0, where=self.gap[t])
            total += eta
        if not np.isfinite(total).all() or (total[self.pair_total > 0] == 0).any():
            return -np.inf, total
        factor = _ratio(self.pair_total, total)
        pair = self.pair + np.log(np.where(factor > 0, factor, 1.0))
        return self.value(beta, exporter_time, importer_time, pair), factor

    def accept(self, factor: Array, exporter_time: Array, importer_time: Array) -> None:
        """Move to the point evaluated last."""
        self.mu, self._trial = self._trial, self.mu
        self.factor = factor
        self.exporter_time, self.importer_time = exporter_time, importer_time
        self.pair = self.pair + np.log(np.where(factor > 0, factor, 1.0))

    def moments(self) -> Moments:
        """Finish the means of the point accepted last and take the derivatives there."""
        T, N, J = self.shape
        K = self.X.shape[1]
        a, b = np.empty((T, N, K + 1)), np.empty((T, J, K + 1))
        by_pair, A, score = np.zeros((K, N * J)), np.zeros((K, K)), np.zeros(K)
        exporter_mass, importer_mass = np.empty((T, N)), np.empty((T, J))
        turned = np.empty((T, J, N))
        product = np.empty((K, N * J))
        for t, w in enumerate(self.mu):
            w *= self.factor
            turned[t] = w.T
            x = self.X[t]
            np.multiply(x, w.reshape(-1), out=product)
            cube = product.reshape(K, N, J)
            a[t, :, :K] = cube.sum(2).T
            b[t, :, :K] = cube.sum(1).T
            by_pair += product
            A += x @ product.T
            exporter_mass[t], importer_mass[t] = w.sum(1), w.sum(0)
            score += x @ (self.y[t] - w).reshape(-1)
        self.factor = np.ones(self.pair.shape)
        a[:, :, K] = self.exporter_total - exporter_mass
        b[:, :, K] = self.importer_total - importer_mass
        raw = self.pair_mean
        lengths = np.diag(A) + 2 * np.sum(raw * by_pair, axis=1) + raw**2 @ self.mu.sum(0).reshape(-1)
        means = by_pair * self.pair_inverse.reshape(-1)
        A -= means @ by_pair.T
        means = means.reshape(K, N, J)
        a[:, :, :K] -= np.matmul(self.mu.transpose(1, 0, 2), means.transpose(1, 2, 0)).transpose(1, 0, 2)
        b[:, :, :K] -= np.matmul(turned.transpose(1, 0, 2), means.transpose(2, 1, 0)).transpose(1, 0, 2)
        information = Information(self.mu, turned, exporter_mass, importer_mass, self.pair_inverse)
        return Moments(a, b, A, score, lengths, information)

    def imbalance(self, moments: Moments) -> float:
        """Return the largest score of an effect, relative to the outcome that it sums."""
        K = self.X.shape[1]
        return max(
            float(np.max(np.abs(moments.exporter_time[:, :, K]) / np.maximum(self.exporter_total, 1e-300))),
            float(np.max(np.abs(moments.importer_time[:, :, K]) / np.maximum(self.importer_total, 1e-300))),
        )

    def net(self, on_exporter_time: Array, on_importer_time: Array) -> tuple[Array, Array]:
        """Return the regressors net of given exporter-time and importer-time effects and of pair means, (T * N * J, K).

        Their cross products, weighted by the means, (K, K), come along while they are at hand.
        """
        T, N, J = self.shape
        K = self.X.shape[1]
        out = self._room.reshape(T, N * J, K)
        mean, products = np.zeros((K, N, J)), np.zeros((K, K))
        rest, weighted = np.empty((K, N, J)), np.empty((K, N, J))  # of one period at a time, which stays in the cache
        for done in (False, True):
            for t, w in enumerate(self.mu):
                np.subtract(self.X[t].reshape(K, N, J), on_exporter_time[t].T[:, :, None], out=rest)
                rest -= on_importer_time[t].T[:, None, :]
                if done:
                    rest -= mean
                np.multiply(rest, w, out=weighted)
                if done:
                    out[t] = rest.reshape(K, N * J).T
                    products += rest.reshape(K, N * J) @ weighted.reshape(K, N * J).T
                else:
                    mean += weighted
            if not done:
                mean *= self.pair_inverse
        return self._room, products


def _ratio(above: Array, below: Array) -> Array:
    """Return ``above / below``, zero where there is nothing above and one where there is nothing below."""
    return np.asarray(np.divide(above, below, out=np.where(above > 0, 1.0, 0.0), where=(above > 0) & (below > 0)))
