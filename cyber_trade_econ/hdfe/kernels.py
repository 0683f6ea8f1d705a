"""The inner loops of the gravity path, in NumPy: the default, and the reference of the compiled ones.

Arrays of a box are laid out time by exporter by importer, (T, N, J). All functions return fresh arrays; `balance`, `moments`
and `net` also write to their first arguments as they say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from cyber_trade_econ.hdfe.factor import Array

_CACHE = 1 << 17
"""Numbers that stay in the second level of a processor's cache while they are worked on."""


class Kernels(NamedTuple):
    """One implementation of the loops.

    Parameters
    ----------
    name
        What stands in the facts of an estimate.
    balance, moments, product, solve, net
        See the functions of this module of the same names.
    """

    name: str
    balance: Callable[[Array, Array, Array, Array], tuple[Array, Array, Array]]
    moments: Callable[[Array, Array, Array, Array, Array], tuple[Array, ...]]
    product: Callable[[Array, Array, Array, Array, Array, Array, Array], tuple[Array, Array]]
    solve: Callable[[Array, Array, Array, Array, Array, Array], tuple[Array, Array]]
    net: Callable[[Array, Array, Array, Array, Array], Array]


def balance(mu: Array, factor: Array, exporter_total: Array, importer_total: Array) -> tuple[Array, Array, Array]:
    """Multiply means by pair factors, then scale them to the totals of exporters, then to those of importers, by period.

    Parameters
    ----------
    mu, factor
        Means, (T, N, J), overwritten; factors of the pairs, (N, J).
    exporter_total, importer_total
        Totals to be reached, (T, N) and (T, J).

    Returns
    -------
    Factors of exporter-times (T, N) and importer-times (T, J), and what the means of each pair now add up to, (N, J).
    """
    up, across = np.empty(exporter_total.shape), np.empty(importer_total.shape)
    total = np.zeros(factor.shape)
    for t, period in enumerate(mu):
        period *= factor
        up[t] = ratio(exporter_total[t], period.sum(1))
        period *= up[t][:, None]
        across[t] = ratio(importer_total[t], period.sum(0))
        period *= across[t]
        total += period
    return up, across, total


def moments(mu: Array, factor: Array, X: Array, y: Array, pair_inverse: Array) -> tuple[Array, ...]:
    """Multiply means by pair factors and sum the products with the regressors that Newton's method needs.

    Parameters
    ----------
    mu, factor
        Means, (T, N, J), overwritten; factors of the pairs, (N, J).
    X, y
        Regressors (K, T, N, J) and outcome (T, N, J).
    pair_inverse
        One over the total of each pair, (N, J).

    Returns
    -------
    Means with importers before exporters (T, J, N), laid out as `product` wants them; sums of ``mu X`` net of pair means by
    exporter-time (T, N, K) and importer-time (T, J, K), and by pair (K, N, J); cross products of the regressors (K, K);
    ``X (y - mu)`` (K,); sums of the means by exporter-time (T, N) and importer-time (T, J).
    """
    K, T, N, J = X.shape
    a, b = np.empty((T, N, K)), np.zeros((T, J, K))
    by_pair, products, score = np.zeros((K, N, J)), np.zeros((K, K)), np.zeros(K)
    exporter_mass, importer_mass = np.empty((T, N)), np.zeros((T, J))
    at_once = max(1, min(N, _CACHE // (max(K, 1) * J)))
    room, along, down = np.empty(K * at_once * J), np.ones(J), np.ones(at_once)
    for start in range(0, N, at_once):
        of = slice(start, min(start + at_once, N))
        n = of.stop - start
        weighted, by = room[: K * n * J].reshape(K, n, J), by_pair[:, of]
        for t in range(T):
            w, x = mu[t, of], X[:, t, of]
            w *= factor[of]
            np.multiply(x, w, out=weighted)
            a[t, of] = (weighted.reshape(K * n, J) @ along).reshape(K, n).T
            b[t] += np.matmul(down[:n], weighted).T
            by += weighted
            flat = x.reshape(K, n * J)
            products += flat @ weighted.reshape(K, n * J).T
            score += flat @ (y[t, of] - w).reshape(-1)
            exporter_mass[t, of] = w.sum(1)
            importer_mass[t] += w.sum(0)
    turned = np.ascontiguousarray(mu.transpose(0, 2, 1))
    mean = by_pair * pair_inverse
    a -= np.matmul(mu.transpose(1, 0, 2), mean.transpose(1, 2, 0)).transpose(1, 0, 2)
    b -= np.matmul(turned.transpose(1, 0, 2), mean.transpose(2, 1, 0)).transpose(1, 0, 2)
    return turned, a, b, by_pair, products, score, exporter_mass, importer_mass


def product(
    mu: Array, turned: Array, exporter_mass: Array, importer_mass: Array, pair_inverse: Array, a: Array, b: Array
) -> tuple[Array, Array]:
    """Multiply effects by their information matrix, pair effects concentrated out.

    Parameters
    ----------
    mu, turned
        Means, (T, N, J), and the same with importers before exporters, (T, J, N).
    exporter_mass, importer_mass
        Sums of the means by exporter-time (T, N) and importer-time (T, J).
    pair_inverse
        One over the total of each pair, (N, J).
    a, b
        Effects of exporter-times and importer-times, (T, N, m) and (T, J, m).
    """
    by_exporter, by_importer = mu.transpose(1, 0, 2), turned.transpose(1, 0, 2)
    mean = np.matmul(by_exporter.transpose(0, 2, 1), a.transpose(1, 0, 2))
    mean += np.matmul(by_importer.transpose(0, 2, 1), b.transpose(1, 0, 2)).transpose(1, 0, 2)
    mean *= pair_inverse[:, :, None]
    out_a, out_b = exporter_mass[:, :, None] * a, importer_mass[:, :, None] * b
    out_a += np.matmul(mu, b)
    out_b += np.matmul(turned, a)
    out_a -= np.matmul(by_exporter, mean).transpose(1, 0, 2)
    out_b -= np.matmul(by_importer, mean.transpose(1, 0, 2)).transpose(1, 0, 2)
    return out_a, out_b


def solve(mu: Array, inverse: Array, root_a: Array, root_b: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Solve each period by itself, pair effects left aside, in the precision of ``mu``.

    Parameters
    ----------
    mu, inverse
        Means scaled to masses of one, (T, N, J), and the inverse of what eliminating exporters leaves of them, (T, J, J).
    root_a, root_b
        Roots of one over the masses, (T, N) and (T, J).
    a, b
        Right-hand sides, (T, N, m) and (T, J, m).
    """
    a, b = a * root_a[:, :, None], b * root_b[:, :, None]
    scale = np.maximum(largest(a), largest(b))
    scale[scale == 0] = 1.0
    a /= scale
    b /= scale
    a, b = a.astype(mu.dtype, copy=False), b.astype(mu.dtype, copy=False)
    b = np.matmul(inverse, b - np.matmul(mu.transpose(0, 2, 1), a))
    a -= np.matmul(mu, b)
    return a * (root_a[:, :, None] * scale), b * (root_b[:, :, None] * scale)


def net(X: Array, mu: Array, pair_inverse: Array, a: Array, b: Array) -> Array:
    """Take effects and then pair means out of the regressors; return what is left multiplied with itself, (K, K).

    Parameters
    ----------
    X, mu
        Regressors, (K, T, N, J), overwritten by what is left of them; means, (T, N, J), their weights.
    pair_inverse
        One over the total of each pair, (N, J).
    a, b
        Effects of exporter-times and importer-times, (T, N, K) and (T, J, K).
    """
    K, T, N, J = X.shape
    mean, products = np.zeros((K, N, J)), np.zeros((K, K))
    weighted = np.empty((K, N, J))
    for t in range(T):
        x = X[:, t]
        x -= a[t].T[:, :, None]
        x -= b[t].T[:, None, :]
        mean += np.multiply(x, mu[t], out=weighted)
    mean *= pair_inverse
    for t in range(T):
        x = X[:, t]
        x -= mean
        np.multiply(x, mu[t], out=weighted)
        products += x.reshape(K, N * J) @ weighted.reshape(K, N * J).T
    return products


def largest(values: Array) -> Array:
    """Return the largest absolute value of each column of ``values``, (s, t, m)."""
    return np.asarray(np.abs(values).max(0, initial=0.0).max(0, initial=0.0))  # one axis at a time: long rows are fast


def ratio(above: Array, below: Array) -> Array:
    """Return ``above / below``, zero where there is nothing above and one where there is nothing below."""
    there = above > 0
    return np.asarray(np.divide(above, below, out=there.astype(np.float64), where=there & (below > 0)))


NUMPY = Kernels("numpy", balance, moments, product, solve, net)
