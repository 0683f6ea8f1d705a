"""Weighted least squares by QR, with collinear columns found in the order they were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cyber_trade_econ.errors import NotConverged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cyber_trade_econ.hdfe.factor import Array

Within_co = TypeVar("Within_co", covariant=True)
"""What holds regressors net of effects: an array, or a `cyber_trade_econ.hdfe.net.Net`."""

COLLINEAR = 1e-9
"""A column is collinear when less than this share of its length is left after the columns before it (and the effects)."""

FLAT = 1e-4
"""Share of a squared length left after other columns below which cross products have lost digits that QR keeps."""


DOUBTFUL = 1e-14
"""Share of a squared length below which the quick solvers of gravity panels take effects out too roughly to judge by."""

_NOTHING = 1e-20  # a share that is rounding at any solver's exactness


@dataclass(frozen=True)
class LeastSquares:
    """Solution of a weighted least-squares problem.

    Parameters
    ----------
    beta
        Coefficients of the columns kept, shape (k,).
    residual
        y - X beta, shape (n,).
    root
        Matrix R^-1 with R^-1 R^-1' = (X'WX)^-1, shape (k, k). A covariance built on X R^-1 keeps the digits that one built
        on X'WX loses when columns are nearly collinear.
    """

    beta: Array
    residual: Array
    root: Array


def independent(X: Array, w: Array, lengths: Array, doubtful: float = 0.0) -> NDArray[np.bool_]:
    """Mark the columns of ``X`` (n, k) that no combination of earlier kept columns reproduces.

    Parameters
    ----------
    X
        Regressors, after effects were absorbed.
    w
        Row weights, shape (n,).
    lengths
        Weighted Euclidean length of each column before effects were absorbed, shape (k,): the yardstick for "nothing left".
    doubtful
        As for `is_left`.

    Raises
    ------
    NotConverged
        See `is_left`.
    """
    root = np.sqrt(w)
    kept: list[int] = []
    basis = np.empty((X.shape[0], 0))
    for j in range(X.shape[1]):
        column = root * X[:, j]
        for _ in range(2):  # the second pass removes what rounding left of the first
            column = column - basis @ (basis.T @ column)
        length = float(np.linalg.norm(column))
        if lengths[j] > 0 and is_left((length / lengths[j]) ** 2, doubtful):
            kept.append(j)
            basis = np.column_stack([basis, column / length])
    mask = np.zeros(X.shape[1], dtype=bool)
    mask[kept] = True
    return mask


def is_left(share: float, doubtful: float = 0.0) -> bool:
    """Whether a share of the squared length of a column counts as something left.

    Raises
    ------
    NotConverged
        Where the share is neither nothing nor as large as ``doubtful``: a more exact solver must tell.
    """
    if _NOTHING < share < doubtful:
        raise NotConverged(
            "a regressor is so nearly collinear with effects and other regressors that this solver cannot tell",
            found=f"a share of {share:.1e} of its squared length left",
            allowed=f"below {_NOTHING:.0e} or above {doubtful:.0e}",
            fix="The general solver decides.",
        )
    return share > COLLINEAR**2


def solve(X: Array, y: Array, w: Array, refine: int = 0) -> LeastSquares:
    """Solve min sum w (y - X beta)^2 for a matrix of full column rank.

    Parameters
    ----------
    X, y, w
        Regressors (n, k), outcome (n,), positive weights (n,).
    refine
        Steps of iterative refinement with residuals in extended precision. Two recover the digits that an ill-conditioned
        design loses (NIST Longley, Wampler).
    """
    k = X.shape[1]
    if k == 0:
        return LeastSquares(np.empty(0), y.copy(), np.empty((0, 0)))
    inverse = root_of_products(X.T @ (w[:, None] * X))
    if inverse is not None and not refine:
        beta = inverse @ (inverse.T @ (X.T @ (w * y)))
        beta += inverse @ (inverse.T @ (X.T @ (w * (y - X @ beta))))
        return LeastSquares(beta, y - X @ beta, inverse)
    root = np.sqrt(w)
    scale = np.linalg.norm(root[:, None] * X, axis=0)
    q, r = np.linalg.qr(root[:, None] * (X / scale))
    beta = np.linalg.solve(r, q.T @ (root * y))
    for _ in range(refine):
        exact = y.astype(np.longdouble) - (X / scale).astype(np.longdouble) @ beta.astype(np.longdouble)
        beta = beta + np.linalg.solve(r, q.T @ (root * exact.astype(np.float64)))
    inverse_r = np.linalg.inv(r) / scale[:, None]
    beta = beta / scale
    return LeastSquares(beta, y - X @ beta, inverse_r)


def root_of_products(products: Array) -> Array | None:
    """Return R^-1 with R'R = X'WX (k, k), or ``None`` where the cross products have lost digits that QR keeps."""
    size = np.sqrt(np.maximum(np.diag(products), 0.0))
    if not (size > 0).all():
        return None
    try:
        lower = np.linalg.cholesky(products / np.outer(size, size))
    except np.linalg.LinAlgError:
        return None
    if np.diag(lower).min() ** 2 < FLAT:
        return None
    return np.asarray(np.linalg.inv(lower.T) / size[:, None])


def weighted_lengths(X: Array, w: Array) -> Array:
    """Return the weighted Euclidean length of each column of ``X``, shape (k,)."""
    return np.asarray(np.sqrt(np.einsum("i,ij,ij->j", w, X, X)), dtype=np.float64)


def names_of(mask: NDArray[np.bool_], names: Sequence[str]) -> list[str]:
    """Return the names where ``mask`` is true."""
    return [name for name, flag in zip(names, mask, strict=True) if flag]
