"""The inner loops of the gravity path for numba: what NumPy reads from memory several times is read once or twice.

The functions take and return what those of `kernels` do, whose documentation holds for them. They work exporter by exporter
and add up along importers, which lie next to each other in memory. Sums may be taken in another order than written
(``reassoc``), which is what lets a processor add several numbers at once; infinities and NaN keep their meaning.

They are plain functions until `compilation` has them compiled, which importing this module does not.
"""

from __future__ import annotations

import numpy as np

from cyber_trade_econ.hdfe.factor import Array  # noqa: TC001  annotations are looked up when a function is compiled

_COLUMNS = 8  # right-hand sides worked on at a time, so that they stay in the cache


def balance(mu: Array, factor: Array, exporter_total: Array, importer_total: Array) -> tuple[Array, Array, Array]:
    """Compute `kernels.balance`."""
    T, N, J = mu.shape
    up, across, total = np.empty((T, N)), np.empty((T, J)), np.zeros((N, J))
    reached = np.empty(J)
    for t in range(T):
        reached[:] = 0.0
        for n in range(N):
            w, f, s = mu[t, n], factor[n], 0.0
            for j in range(J):
                w[j] *= f[j]
                s += w[j]
            above = exporter_total[t, n]
            r = 0.0 if above <= 0 else above / s if s > 0 else 1.0
            up[t, n] = r
            for j in range(J):
                w[j] *= r
                reached[j] += w[j]
        q = across[t]
        for j in range(J):
            above = importer_total[t, j]
            q[j] = 0.0 if above <= 0 else above / reached[j] if reached[j] > 0 else 1.0
        for n in range(N):
            w, by = mu[t, n], total[n]
            for j in range(J):
                w[j] *= q[j]
                by[j] += w[j]
    return up, across, total


def moments(  # noqa: C901  loops within loops, no decisions; so below
    mu: Array, factor: Array, X: Array, y: Array, pair_inverse: Array
) -> tuple[Array, ...]:
    """Compute `kernels.moments`; the means with importers before exporters are a view."""
    K, T, N, J = X.shape
    a, b = np.empty((T, N, K)), np.zeros((T, K, J))
    by_pair, products, score = np.zeros((K, N, J)), np.zeros((K, K)), np.zeros(K)
    exporter_mass, importer_mass = np.empty((T, N)), np.zeros((T, J))
    left, weighted, mean = np.empty(J), np.empty((K, J)), np.empty((K, J))
    for n in range(N):
        f = factor[n]
        for t in range(T):
            w, v, column, s = mu[t, n], y[t, n], importer_mass[t], 0.0
            for j in range(J):
                w[j] *= f[j]
                s += w[j]
                column[j] += w[j]
                left[j] = v[j] - w[j]
            exporter_mass[t, n] = s
            for k in range(K):
                x, p, column, by, s, e = X[k, t, n], weighted[k], b[t, k], by_pair[k, n], 0.0, 0.0
                for j in range(J):
                    p[j] = x[j] * w[j]
                    s += p[j]
                    column[j] += p[j]
                    by[j] += p[j]
                    e += x[j] * left[j]
                a[t, n, k] = s
                score[k] += e
                for m in range(k + 1):
                    p, s = weighted[m], 0.0
                    for j in range(J):
                        s += x[j] * p[j]
                    products[k, m] += s
        for k in range(K):
            p, by, i = mean[k], by_pair[k, n], pair_inverse[n]
            for j in range(J):
                p[j] = by[j] * i[j]
        for t in range(T):
            w = mu[t, n]
            for k in range(K):
                p, column, s = mean[k], b[t, k], 0.0
                for j in range(J):
                    u = w[j] * p[j]
                    s += u
                    column[j] -= u
                a[t, n, k] -= s
    for k in range(K):
        products[:k, k] = products[k, :k]
    return (
        mu.transpose(0, 2, 1),
        a,
        np.ascontiguousarray(b.transpose(0, 2, 1)),
        by_pair,
        products,
        score,
        exporter_mass,
        importer_mass,
    )


def product(  # the arguments of the one in NumPy, which needs all of them
    mu: Array,
    turned: Array,  # noqa: ARG001
    exporter_mass: Array,  # noqa: ARG001
    importer_mass: Array,  # noqa: ARG001
    pair_inverse: Array,
    a: Array,
    b: Array,
) -> tuple[Array, Array]:
    """Compute `kernels.product`, for two exporters at once."""
    T, N, J = mu.shape
    m = a.shape[2]
    out_a, out_b, b = np.empty((T, N, m)), np.zeros((T, m, J)), np.ascontiguousarray(b.transpose(0, 2, 1))
    mean = np.empty((2, min(m, _COLUMNS), J))
    for start in range(0, m, _COLUMNS):
        stop = min(start + _COLUMNS, m)
        for n in range(0, N, 2):
            o = min(n + 1, N - 1)  # where N is odd, the last exporter goes with itself and counts once
            once = 1.0 if o > n else 0.0
            mean[:] = 0.0
            for t in range(T):
                w, v = mu[t, n], mu[t, o]
                for c in range(start, stop):
                    r, p, q, e, f = b[t, c], mean[0, c - start], mean[1, c - start], a[t, n, c], a[t, o, c]
                    for j in range(J):
                        p[j] += w[j] * (e + r[j])
                        q[j] += v[j] * (f + r[j])
            for c in range(stop - start):
                p, q, i, k = mean[0, c], mean[1, c], pair_inverse[n], pair_inverse[o]
                for j in range(J):
                    p[j] *= i[j]
                    q[j] *= k[j]
            for t in range(T):
                w, v = mu[t, n], mu[t, o]
                for c in range(start, stop):
                    r, p, q, e, f = b[t, c], mean[0, c - start], mean[1, c - start], a[t, n, c], a[t, o, c]
                    column, s, z = out_b[t, c], 0.0, 0.0
                    for j in range(J):
                        g = w[j] * (e + r[j] - p[j])
                        h = v[j] * (f + r[j] - q[j])
                        s += g
                        z += h
                        column[j] += g + once * h
                    out_a[t, n, c] = s
                    out_a[t, o, c] = z
    return out_a, np.ascontiguousarray(out_b.transpose(0, 2, 1))


def solve(  # noqa: C901
    mu: Array, inverse: Array, root_a: Array, root_b: Array, a: Array, b: Array
) -> tuple[Array, Array]:
    """Compute `kernels.solve`."""
    T, N, J = mu.shape
    m = a.shape[2]
    scale = np.zeros(m)
    for t in range(T):
        for n in range(N):
            for c in range(m):
                scale[c] = max(scale[c], abs(a[t, n, c] * root_a[t, n]))
        for j in range(J):
            for c in range(m):
                scale[c] = max(scale[c], abs(b[t, j, c] * root_b[t, j]))
    for c in range(m):
        scale[c] = scale[c] if scale[c] > 0 else 1.0
    out_a, out_b = np.empty((T, N, m)), np.empty((T, J, m))
    left, right, column = np.empty((N, m), mu.dtype), np.empty((m, J), mu.dtype), np.empty((m, J), mu.dtype)
    for t in range(T):
        for j in range(J):
            for c in range(m):
                right[c, j] = b[t, j, c] * root_b[t, j] / scale[c]
        for n in range(N):
            w = mu[t, n]
            for c in range(m):
                left[n, c] = a[t, n, c] * root_a[t, n] / scale[c]
                v, p = left[n, c], right[c]
                for j in range(J):
                    p[j] -= v * w[j]
        column[:] = 0.0
        for i in range(J):
            w = inverse[t, i]
            for c in range(m):
                v, p = right[c, i], column[c]
                for j in range(J):
                    p[j] += v * w[j]
        for n in range(N):
            w = mu[t, n]
            for c in range(m):
                v, p = left[n, c], column[c]
                for j in range(J):
                    v -= w[j] * p[j]
                out_a[t, n, c] = v * (root_a[t, n] * scale[c])
        for j in range(J):
            for c in range(m):
                out_b[t, j, c] = column[c, j] * (root_b[t, j] * scale[c])
    return out_a, out_b


def net(X: Array, mu: Array, pair_inverse: Array, a: Array, b: Array) -> Array:  # noqa: C901
    """Compute `kernels.net`."""
    K, T, N, J = X.shape
    products, mean, weighted, b = (
        np.zeros((K, K)),
        np.empty((K, J)),
        np.empty((K, J)),
        np.ascontiguousarray(b.transpose(0, 2, 1)),
    )
    for n in range(N):
        mean[:] = 0.0
        for t in range(T):
            w = mu[t, n]
            for k in range(K):
                x, e, r, p = X[k, t, n], a[t, n, k], b[t, k], mean[k]
                for j in range(J):
                    x[j] -= e + r[j]
                    p[j] += w[j] * x[j]
        for k in range(K):
            p, i = mean[k], pair_inverse[n]
            for j in range(J):
                p[j] *= i[j]
        for t in range(T):
            w = mu[t, n]
            for k in range(K):
                x, p, q = X[k, t, n], mean[k], weighted[k]
                for j in range(J):
                    x[j] -= p[j]
                    q[j] = x[j] * w[j]
                for m in range(k + 1):
                    q, s = weighted[m], 0.0
                    for j in range(J):
                        s += x[j] * q[j]
                    products[k, m] += s
    for k in range(K):
        products[:k, k] = products[k, :k]
    return products
