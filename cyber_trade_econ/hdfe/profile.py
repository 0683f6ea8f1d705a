"""The Poisson likelihood of a gravity panel with its pair effects concentrated out, one box at a time.

Given everything else, the effect of a pair is the logarithm of what it trades over what it would trade, so every evaluation
sets it there: means are ``Y_pair * share of the period``, pair scores are exactly zero and the index cannot overflow. Work
goes period by period, so that one period of a box stays in the processor's cache through all steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.kernels import NUMPY, Kernels, ratio
from cyber_trade_econ.hdfe.perperiod import Information

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Mask
    from cyber_trade_econ.hdfe.rare import Rare

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
    X, rare
        Regressors by cell, (K, T, N, J), zero where there is no row, overwritten; and those that are mostly zero, which come
        after them in all vectors of coefficients.
    shift
        Offset plus logarithm of the weight by cell, if there are any, (T, N, J).
    filled
        Which cells hold a row, (T, N, J).
    kernels
        Who does the work.
    """

    def __init__(
        self, y: Array, X: Array, rare: Rare, shift: Array | None, filled: Mask, kernels: Kernels = NUMPY
    ) -> None:
        self.shape = y.shape[0], y.shape[1], y.shape[2]
        self.y, self.X, self.rare, self.shift, self.kernels = y, X, rare, shift, kernels
        self.gap = None if filled.all() else ~filled
        self.pair_total = y.sum(0)
        self.exporter_total, self.importer_total = y.sum(2), y.sum(1)
        self.columns = len(X) + rare.columns
        self.pair_mean = np.empty((len(X), *self.pair_total.shape))
        self.along_y, self.reach, self.span = np.empty(self.columns), np.empty(self.columns), np.empty(self.columns)
        seen = np.maximum(filled.sum(0), 1)
        for k, x in enumerate(X):
            np.divide(x.sum(0), seen, out=self.pair_mean[k])
            x -= self.pair_mean[k]  # the pair effect takes it up; what is left keeps its digits
            if self.gap is not None:
                np.copyto(x, 0.0, where=self.gap)
            self.along_y[k] = np.vdot(x, y)
            self.reach[k] = sum(np.vdot(np.abs(u), v) for u, v in zip(x, y, strict=True))
            self.span[k] = max(x.max(initial=0.0), -x.min(initial=0.0))
        if rare.columns:
            of = slice(len(X), None)
            self.along_y[of], self.reach[of], self.span[of] = rare.total(y), rare.reach(y), rare.span()
        self.mu = np.empty(y.shape)
        self._trial = np.empty(y.shape)

    def scale(self) -> None:
        """Start from effects alone: scale the means to each kind of total in turn."""
        T, N, J = self.shape
        self.exporter_time, self.importer_time, self.pair = np.zeros((T, N)), np.zeros((T, J)), np.zeros((N, J))
        self._weigh_pairs(self.pair_total)
        mu = self.mu
        mu[:] = 1.0 if self.shift is None else np.exp(self.shift)
        if self.gap is not None:
            mu[self.gap] = 0.0
        self._set_pairs(mu.sum(0))
        for _ in range(SWEEPS):
            self.balance()

    def balance(self) -> None:
        """Set each kind of effect in turn to its optimum given the others; the likelihood can only rise.

        A Newton step weighs levels by what they trade, and leaves those that trade next to nothing where rounding puts them;
        this puts them right.
        """
        up, across, total = self.kernels.balance(self.mu, self.factor, self.exporter_total, self.importer_total)
        self.exporter_time += _log(up)
        self.importer_time += _log(across)
        self._set_pairs(total)

    def _set_pairs(self, total: Array) -> None:
        """Set the pair effects to where they are best given that the means of pairs add up to ``total``."""
        self.factor = ratio(self.pair_total, total)
        self.pair = self.pair + _log(self.factor)

    def impose(self, mu: Array) -> None:
        """Take derivatives at given means instead, (T, N, J)."""
        self.mu[:] = mu
        self._weigh_pairs(mu.sum(0))
        self.factor = np.ones(self.pair_total.shape)

    def _weigh_pairs(self, total: Array) -> None:
        """Take note of what the means of each pair add up to whenever derivatives are taken, (N, J)."""
        self.pair_mass = total
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
        """Compute means, still to be multiplied by pair factors, at a trial point: log likelihood and sums by pair (N, J).

        The likelihood of a point so far away that a pair's means overflow or all vanish is minus infinity.
        """
        K = len(self.X)
        total = np.zeros(self.pair.shape)
        of_rare = self.rare.index(beta[K:]) if self.rare.columns else None
        for t, eta in enumerate(self._trial):
            np.dot(beta[:K], self.X[:, t].reshape(K, eta.size), out=eta.reshape(-1))
            if of_rare is not None:
                eta += of_rare[t]
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
        with np.errstate(over="ignore"):  # here too: an infinite value is none
            pair = self.pair + _log(ratio(self.pair_total, total))
        return self.value(beta, exporter_time, importer_time, pair), total

    def accept(self, total: Array, exporter_time: Array, importer_time: Array) -> None:
        """Move to the point evaluated last."""
        self.mu, self._trial = self._trial, self.mu
        self.exporter_time, self.importer_time = exporter_time, importer_time
        self._set_pairs(total)

    def moments(self) -> Moments:
        """Finish the means of the point accepted last and take the derivatives there."""
        T, N, J = self.shape
        K, both = len(self.X), self.columns
        turned, of_a, of_b, by_pair, A, score, exporter_mass, importer_mass = self.kernels.moments(
            self.mu, self.factor, self.X, self.y, self.pair_inverse
        )
        self.factor = np.ones(self.pair_total.shape)
        lengths = np.diag(A) + 2 * np.sum(self.pair_mean * by_pair, axis=(1, 2))
        lengths = lengths + self.pair_mean.reshape(K, N * J) ** 2 @ self.pair_mass.reshape(-1)
        a, b = np.empty((T, N, both + 1)), np.empty((T, J, both + 1))
        a[:, :, :K], b[:, :, :K] = of_a, of_b
        A -= (by_pair * self.pair_inverse).reshape(K, N * J) @ by_pair.reshape(K, N * J).T
        if self.rare.columns:
            a[:, :, K:both], b[:, :, K:both], more, products, along, size = self.rare.moments(
                self.mu, self.y - self.mu, self.X, by_pair, self.pair_inverse
            )
            self._net_of_pairs(a[:, :, K:both], b[:, :, K:both], more * self.pair_inverse)
            A = np.block([[A, products[:, :K].T], [products]])
            score, lengths = np.append(score, along), np.append(lengths, size)
        a[:, :, both] = self.exporter_total - exporter_mass
        b[:, :, both] = self.importer_total - importer_mass
        information = Information(self.mu, turned, exporter_mass, importer_mass, self.pair_inverse, self.kernels)
        return Moments(a, b, A, score, lengths, information)

    def of_pair_means(self, beta: Array) -> Array:
        """Return what the means taken out of the regressors at the beginning contribute to each pair, (N, J)."""
        return np.asarray(np.tensordot(beta[: len(self.pair_mean)], self.pair_mean, 1))

    def _net_of_pairs(self, a: Array, b: Array, mean: Array) -> None:
        """Take pair means (K, N, J) out of sums by exporter-time (T, N, K) and importer-time (T, J, K)."""
        a -= np.matmul(self.mu.transpose(1, 0, 2), mean.transpose(1, 2, 0)).transpose(1, 0, 2)
        turned = np.ascontiguousarray(self.mu.transpose(2, 0, 1))
        b -= np.matmul(turned, mean.transpose(2, 1, 0)).transpose(1, 0, 2)

    def imbalance(self, moments: Moments) -> float:
        """Return the largest score of an effect, relative to the outcome that it sums."""
        K = self.columns
        return max(
            float(np.max(np.abs(moments.exporter_time[:, :, K]) / np.maximum(self.exporter_total, 1e-300))),
            float(np.max(np.abs(moments.importer_time[:, :, K]) / np.maximum(self.importer_total, 1e-300))),
        )

    def net(self, on_exporter_time: Array, on_importer_time: Array) -> Array:
        """Take given effects and then pair means out of the regressors that are not listed, for good.

        Returns their cross products weighted by the means, (K, K). Columns of the effects beyond these regressors are of no
        concern.
        """
        on = (np.ascontiguousarray(v[:, :, : len(self.X)]) for v in (on_exporter_time, on_importer_time))
        return self.kernels.net(self.X, self.mu, self.pair_inverse, *on)

    def of_pairs(self, on_exporter_time: Array, on_importer_time: Array) -> Array:
        """Return the pair effects of the listed regressors given their other effects: (N, J, columns)."""
        along = np.matmul(self.mu.transpose(1, 2, 0), on_exporter_time.transpose(1, 0, 2))
        along += np.matmul(self.mu.transpose(2, 1, 0), on_importer_time.transpose(1, 0, 2)).transpose(1, 0, 2)
        mean = self.rare.by_pair(self.mu).transpose(1, 2, 0) - along
        return np.asarray(mean * self.pair_inverse[:, :, None])


def _log(factor: Array) -> Array:
    """Return the logarithm of positive factors, zero for others."""
    return np.log(factor, out=np.zeros_like(factor), where=factor > 0)
