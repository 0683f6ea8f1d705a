"""Observations for which the Poisson maximum-likelihood estimate does not exist.

A row with outcome zero is separated when some combination of regressors and effects is zero on every row with a positive
outcome, nowhere negative on the others, and positive on that row: along it the likelihood rises for ever. The combinations
that vanish on the positive rows form a space of small dimension, usually of none; it is found first, and a linear programme
then looks for its non-negative members. That is exact, where the iterative rectifier of ppmlhdfe needs a tolerance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, sparse
from scipy.sparse import linalg as sparse_linalg

from cyber_trade_econ.errors import NotConverged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask

DENSE_COLUMNS = 400
"""Number of columns up to which the null space comes from a singular value decomposition."""

_NULL = 1e-10  # singular values below this share of the largest count as zero
_ZERO = 1e-7  # entries of a combination below this, where the largest is one, count as zero


def separated(y: Array, X: Array, factors: Sequence[Factor], seed: int = 0) -> Mask:
    """Mark the separated rows.

    Parameters
    ----------
    y, X, factors
        Outcome (n,), regressors with the constant if there is one (n, k), effects.
    seed
        Seed of the random directions by which large null spaces are explored.

    Returns
    -------
    Boolean mask of shape (n,).

    Notes
    -----
    Correia, Guimaraes and Zylkin (2019), https://arxiv.org/abs/1903.01633, characterise separation by such combinations.
    """
    zero = y == 0
    out = np.zeros(len(y), dtype=bool)
    if not zero.any() or zero.all():
        return out
    design = _design(X, factors)
    z = _combinations(design[~zero], design[zero], seed)
    if z.shape[1]:
        out[np.flatnonzero(zero)[_programme(z)]] = True
    return out


def _design(X: Array, factors: Sequence[Factor]) -> sparse.csr_array:
    n = len(X)
    rows = np.arange(n + 1)
    indicators = [sparse.csr_array((np.ones(n), f.codes, rows), shape=(n, f.levels)) for f in factors]
    blocks = [sparse.csr_array(X), *indicators]
    design = sparse.hstack(blocks, format="csr")
    length = np.sqrt(np.asarray(design.multiply(design).sum(axis=0)).reshape(-1))
    return (design @ sparse.diags_array(1 / np.where(length > 0, length, 1.0))).tocsr()


def _combinations(positive: sparse.csr_array, zero: sparse.csr_array, seed: int) -> Array:
    """Return an orthonormal basis, on the zero rows, of the combinations that vanish on the positive rows: (n0, d)."""
    columns = positive.shape[1]
    null = _dense_null(positive) if columns <= DENSE_COLUMNS else None
    if null is not None:
        return _basis(zero @ null)
    rng = np.random.default_rng(seed)
    found = np.empty((zero.shape[0], 0))
    while True:
        # The null-space part of a random direction lies in no smaller subspace, so the first one that adds nothing ends it.
        direction = rng.standard_normal(columns)
        fitted, stop, *_ = sparse_linalg.lsmr(
            positive, positive @ direction, atol=1e-13, btol=1e-13, maxiter=20 * columns
        )
        if stop == 7:
            raise NotConverged(
                "the separation check did not converge",
                fix="Drop sparse levels, or pass separation=('fe',) to check the effects alone.",
            )
        before = found.shape[1]
        found = _basis(np.column_stack([found, zero @ (direction - fitted)]))
        if found.shape[1] == before:
            return found


def _dense_null(positive: sparse.csr_array) -> Array:
    r = np.linalg.qr(positive.toarray(), mode="r")
    _, values, vt = np.linalg.svd(r)
    rank = int((values > _NULL * values.max(initial=0.0)).sum())
    return np.asarray(vt[rank:].T)


def _basis(z: Array) -> Array:
    """Return an orthonormal basis of the columns of ``z``, those that are zero up to rounding left out."""
    size = np.abs(z).max(axis=0, initial=0.0)
    z = z[:, size > _ZERO]
    if z.shape[1] == 0:
        return z
    u, values, _ = np.linalg.svd(z / np.linalg.norm(z, axis=0), full_matrices=False)
    return np.asarray(u[:, values > _ZERO * values[0]])


def _programme(z: Array) -> Mask:
    """Maximise the sum of min(z g, 1) over z g >= 0: positive exactly on the separated rows."""
    n, d = z.shape
    scale = np.abs(z).max()
    rows = sparse.csr_array(z / scale)
    eye = sparse.eye_array(n, format="csr")
    answer = optimize.linprog(
        c=np.concatenate([np.zeros(d), -np.ones(n)]),
        A_ub=sparse.vstack([sparse.hstack([-rows, eye])]).tocsr(),  # s <= z g, 0 <= s <= 1
        b_ub=np.zeros(n),
        bounds=[(None, None)] * d + [(0.0, 1.0)] * n,
        method="highs",
    )
    if answer.status != 0:
        raise NotConverged(f"the separation programme failed: {answer.message}")
    return np.asarray(answer.x[d:] > 0.5)  # the cone can be scaled up, so a separated row reaches one
