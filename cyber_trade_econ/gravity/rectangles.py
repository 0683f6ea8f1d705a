"""Moments of two-way multiplicative models over all rectangles of a table, by matrix products.

A rectangle is two exporters i, k and two importers j, l. With ``y_ij = phi_ij a_i b_j e_ij`` and errors of mean one that are
uncorrelated between its cells, ``y_ij y_kl phi_il phi_kj - y_il y_kj phi_ij phi_kl`` has mean zero, whatever the effects.
There are N^4 / 4 rectangles; their sums need products of N x N matrices alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array


@dataclass(frozen=True)
class Crossed:
    """A table of flows by period, exporter and importer; absent cells are zero.

    Parameters
    ----------
    y
        Flows, shape (T, N, J).
    present
        One where there is a cell, zero elsewhere, shape (T, N, J).
    x
        Regressors, shape (K, T, N, J).
    power
        Moments are weighted by the product of the four phi of the rectangle to this power less one: 1 is the moment above, 0
        compares flows divided by phi. At 1/2 the sums below are the slope of a concave function, so that they have one zero.
    """

    y: Array
    present: Array
    x: Array
    power: float

    def _sides(self, beta: Array) -> tuple[Array, Array]:
        """Return the table that is multiplied along the diagonals of rectangles, and the one that fills the other corners."""
        index = np.tensordot(beta, self.x, 1)
        return self.y * np.exp((self.power - 1) * index), self.present * np.exp(self.power * index)

    def sums(self, beta: Array) -> tuple[Array, Array]:
        """Sum over rectangles their moments times the double differences of regressors; return it, (K,), and its derivative.

        Each of a rectangle's four cells adds the same, so that the regressor at one of them may stand for the difference.
        """
        u, v = self._sides(beta)
        vuv, uvu = _through(v, u, v), _through(u, v, u)
        s = np.tensordot(self.x, u * vuv - v * uvu, 3)
        slope = np.empty((len(self.x), len(self.x)))
        for k, x in enumerate(self.x):
            du, dv = (self.power - 1) * x * u, self.power * x * v
            change = du * vuv + u * (_through(dv, u, v) + _through(v, du, v) + _through(v, u, dv))
            change -= dv * uvu + v * (_through(du, v, u) + _through(u, dv, u) + _through(u, v, du))
            slope[:, k] = np.tensordot(self.x, change, 3)
        return np.asarray(s), slope

    def by_pair(self, beta: Array) -> Array:
        """Sum of the weighted moments over the rectangles that each pair is part of, shape (K, N, J), over all periods."""
        u, v = self._sides(beta)
        vuv, uvu = _through(v, u, v), _through(u, v, u)
        out = np.empty((len(self.x), *u.shape[1:]))
        for k, x in enumerate(self.x):
            xu, xv = x * u, x * v
            own = xu * vuv - xv * uvu
            row = u * _through(xv, u, v) - v * _through(xu, v, u)
            column = u * _through(v, u, xv) - v * _through(u, v, xu)
            across = u * _through(v, xu, v) - v * _through(u, xv, u)
            out[k] = (own - row - column + across).sum(axis=0)
        return out

    def slopes(self, beta: Array) -> Array:
        """Return the derivative of the moments by the table on the diagonals, flows being their means, shape (K, T, N, J)."""
        u, v = self._sides(beta)
        xu, xv = self.x * u, self.x * v
        return (
            self.x * _through(v, u, v) + _through(v, xu, v) - _through(xv, u, v) - _through(v, u, xv)
        ) * self.present

    def products(self, beta: Array) -> Array:
        """Sum the squares of moments over rectangles and pairs of periods, errors in the place of flows, shape (K, K).

        The moments are sums of products of two flows. What they vary beyond the first order is that sum over products of two
        errors, which are uncorrelated unless both pairs are the same, in whatever periods.
        """
        u, v = self._sides(beta)
        total = np.zeros((len(beta), len(beta)))
        for t, s in zip(*np.triu_indices(len(u)), strict=True):
            e, w, x, z = u[t] * u[s], v[t] * v[s], self.x[:, t], self.x[:, s]
            part = _inner(x * (e * _through(w, e, w) + w * _through(e, w, e)), z)
            part += _inner(x * e, _through(w, z * e, w)) + _inner(x * w, _through(e, z * w, e))
            part -= _inner(_through(x * e, w, e) + _through(e, w, x * e), z * w)
            part -= _inner(x * w, _through(z * e, w, e) + _through(e, w, z * e))
            total += part if s == t else part + part.T
        return total


def _through(a: Array, b: Array, c: Array) -> Array:
    """Return ``a b' c`` of each period, or of each regressor."""
    return np.asarray(np.matmul(np.matmul(a, b.swapaxes(-1, -2)), c))


def _inner(a: Array, b: Array) -> Array:
    """Sum the products of the tables of two regressors, shape (K, K)."""
    return np.asarray(a.reshape(len(a), -1) @ b.reshape(len(b), -1).T)
