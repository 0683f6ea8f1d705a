"""Combinations of columns that are nowhere negative, by a linear programme whose answer is proven before it is believed.

HiGHS works to absolute tolerances of 1e-7, which columns of very different scales turn into anything. But an answer carries
its own proof: the combination it found, and for the rows that no combination makes positive the multipliers of their
constraints. Both are put right by least squares, after which they hold to rounding or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.late import optimize, sparse

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Mask

_ATTEMPTS = [(m, p) for p in (True, False) for m in ("highs", "highs-ipm", "highs-ds")]  # bad scales can trip one up
_SECONDS = 20.0  # of each attempt
_DENSE = 2_000_000  # entries up to which least squares is done by singular values
_EXACT = 1e-10  # entries of a combination below this share of the largest are zero
_POSITIVE = 1e-8  # entries above this share are not


def positive(A: sparse.csr_array, zero: Mask) -> tuple[Mask, Array]:
    """Find the rows that some combination of columns makes positive.

    Parameters
    ----------
    A
        Columns, (m, d).
    zero
        Rows on which a combination must be nowhere negative, (m,); on the others it must vanish.

    Returns
    -------
    These rows, (m,), and one combination that is positive on all of them and vanishes on all others, (m,).

    Raises
    ------
    NotConverged
        If no answer can be proven.

    Notes
    -----
    Maximising the sum of min(z, 1) over combinations z makes every such row one. By Stiemke's lemma no combination makes a
    row positive if and only if some vector orthogonal to the columns is positive there and nowhere negative.
    """
    if not A.shape[1]:
        return np.zeros(len(zero), dtype=bool), np.zeros(len(zero))
    A, size = _levelled(A)
    said: list[str] = []
    for method, presolve in _ATTEMPTS:
        answer = _solve(A, zero, method, presolve)
        if answer.status != 0:
            said.append(answer.message.split("(HiGHS")[0].strip())
            continue
        found = np.zeros(len(zero), dtype=bool)
        found[zero] = answer.x[A.shape[1] :] > 0.5
        multiplier = np.zeros(len(zero))
        multiplier[zero], multiplier[~zero] = -answer.ineqlin.marginals, answer.eqlin.marginals
        z = _combination(A, found, answer.x[: A.shape[1]])
        if z is None:
            said.append("a combination that does not hold")
        elif not _excluded(A[~found], zero[~found], multiplier[~found]):
            said.append("rows left over without a proof")
        else:
            return found, z * size
    raise NotConverged(
        "the linear programme that looks for separation has no answer that can be proven",
        found="; ".join(dict.fromkeys(said)),
        fix="The variable of a slope, or a regressor, hardly varies in some levels or differs by many orders of magnitude:"
        " rescale or bin it, or pass separation=('fe',) to check effects and slopes alone.",
    )


def _levelled(A: sparse.csr_array) -> tuple[sparse.csr_array, Array]:
    """Scale columns, then rows, to size one; return the sizes of the rows, (m,), too. HiGHS trips up less over such."""
    for axis in (0, 1):
        size = abs(A).max(axis=axis).toarray().reshape(-1)
        size = np.where(size > 0, size, 1.0)
        scale = sparse.diags_array(1 / size)
        A = sparse.csr_array(scale @ A if axis else A @ scale)
    return A, size


def _solve(A: sparse.csr_array, zero: Mask, method: str, presolve: bool) -> optimize.OptimizeResult:
    n0, n1, d = int(zero.sum()), int((~zero).sum()), A.shape[1]
    return optimize.linprog(
        c=np.concatenate([np.zeros(d), -np.ones(n0)]),
        A_ub=sparse.hstack([-A[zero], sparse.eye_array(n0)], format="csr"),  # s <= z, 0 <= s <= 1
        b_ub=np.zeros(n0),
        A_eq=sparse.hstack([A[~zero], sparse.csr_array((n1, n0))], format="csr"),
        b_eq=np.zeros(n1),
        bounds=[(None, None)] * d + [(0.0, 1.0)] * n0,
        method=method,
        options={"presolve": presolve, "time_limit": _SECONDS},
    )


def _combination(A: sparse.csr_array, found: Mask, weights: Array) -> Array | None:
    """Return the combination nearest to the one given that vanishes but where ``found``, if it is positive there."""
    z = np.zeros(len(found))
    if not found.any():
        return z
    weights = weights / np.abs(A @ weights).max()
    for _ in range(2):
        weights = weights - _fitted(A[~found], A[~found] @ weights)
    z = A @ weights
    holds = np.abs(z[~found]).max(initial=0.0) <= _EXACT * np.abs(z).max() and z[found].min() > _POSITIVE * z.max()
    return np.where(found, z, 0.0) if holds else None


def _excluded(A: sparse.csr_array, zero: Mask, multiplier: Array) -> bool:
    """Whether the vector orthogonal to the columns of ``A`` that is nearest to the one given is positive where ``zero``."""
    if not zero.any():
        return True
    w = multiplier
    for _ in range(2):
        w = w - A @ _fitted(A, w)
    return bool(w[zero].min() > _POSITIVE * np.abs(w).max())


def _fitted(A: sparse.csr_array, values: Array) -> Array:
    """Return the weights of the columns of ``A`` (m, d) that fit ``values`` (m,) best, the smallest if there are several."""
    if A.shape[0] * A.shape[1] <= _DENSE:
        return np.asarray(np.linalg.lstsq(A.toarray(), values, rcond=None)[0])
    return np.asarray(sparse.linalg.lsqr(A, values, atol=1e-15, btol=1e-15, iter_lim=5000)[0])
