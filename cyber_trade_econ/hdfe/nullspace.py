"""Null spaces and bases of columns whose entries are at most one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.leastsquares import COLLINEAR

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array

_NULL = 1e-10  # singular values below this share of the largest count as zero
_ZERO = 1e-7  # entries of a combination below this, where the largest is one, count as zero


def sizes(X: Array) -> Array:
    """Return the largest absolute value of each column, (k,)."""
    return np.asarray(np.maximum(X.max(axis=0, initial=0.0), -X.min(axis=0, initial=0.0)))


def null_space(X: Array) -> Array:
    """Return the directions in which ``X`` (n, k), of entries up to one, vanishes: (k, d)."""
    k = X.shape[1]
    if k == 0:
        return np.empty((0, 0))
    r = np.linalg.qr(np.vstack([X, np.zeros((k, k))]), mode="r")  # at least k rows, so that all of vt is there
    _, values, vt = np.linalg.svd(r)
    return np.asarray(vt[values <= _NULL * np.sqrt(len(X))].T)


def basis(z: Array) -> Array:
    """Return an orthonormal basis of the columns of ``z``, those that are zero up to rounding left out."""
    size = np.abs(z).max(axis=0, initial=0.0)
    z = z[:, size > _ZERO]
    if z.shape[1] == 0:
        return z
    u, values, _ = np.linalg.svd(z / np.linalg.norm(z, axis=0), full_matrices=False)
    return np.asarray(u[:, values > _ZERO * values[0]])


def scaled(net: Array, before: Array) -> Array:
    """Scale what is left of regressors of size ``before`` to at most one, or to zero where it is rounding."""
    after = sizes(net)
    gone = after <= COLLINEAR * before
    return np.where(gone, 0.0, net / np.where(after > 0, after, 1.0))
