"""Preconditioned conjugate gradients on several right-hand sides of normal equations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged

if TYPE_CHECKING:
    from collections.abc import Callable

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.hdfe.precondition import Preconditioner

TOLERANCE = 1e-12
"""Relative residual, in the norm of the preconditioner, at which the iteration stops."""

ACCEPTED = 1e-9
"""Relative residual, worked out anew and weighed by the diagonal alone, above which a solution is refused."""

ANY = 1e100
"""Relative residual to accept where the caller has a judgement of its own."""

ROUNDING = 1e-15
"""Relative error of a sum: a residual no larger than this share of what was summed is zero."""

MAX_ITERATIONS = 2000

_NULL = 1e-14  # curvature below this share of that of the diagonal is rounding
_LOST = 1e6  # growth of a squared residual that tells of rounding: redundant effects let it in
FEW = 1000
"""Unknowns up to which a system that iteration does not solve is solved by eigenvectors."""

_SEEN = 1e-13  # eigenvalues of a matrix with unit diagonal below this are rounding of zero
_RESTARTS = 3  # each takes up what rounding has added to the residual since the one before


def solve(
    product: Callable[[Array], Array],
    near: Preconditioner,
    diagonal: Array,
    right: Array,
    start: Array,
    lengths: Array,
    tolerance: float,
    accepted: float | Array = ACCEPTED,
) -> Array:
    """Solve ``product(x) = right`` for a positive semidefinite matrix whose null space ``right`` does not touch.

    Parameters
    ----------
    product, near, diagonal
        The matrix, an approximate inverse, and the diagonal (m, 1) that it had before other effects were eliminated.
    right, start
        Right-hand sides and where to begin, (m, k).
    lengths
        Squared sizes of what the right-hand sides were summed from, measured as residuals are, (k,). A column that is
        orthogonal to all effects leaves nothing but rounding to solve for, which is recognised by these.
    tolerance
        Relative residual at which the iteration stops.
    accepted
        Relative residual above which a solution is refused, of all columns or by column, (k,).

    Raises
    ------
    NotConverged
        If a residual above ``accepted`` is left.
    """
    goal = np.maximum(tolerance**2 * _dots(right, near.solve(right)), ROUNDING**2 * lengths)
    inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0)
    poorest = np.maximum(accepted, tolerance)
    allowed = np.maximum(poorest**2 * _dots(right, inverse * right), (100 * ROUNDING) ** 2 * lengths)
    x = start
    steps = 0
    for _ in range(_RESTARTS):
        r = right - product(x)
        left = _dots(r, inverse * r)
        live = np.flatnonzero((_dots(r, near.solve(r)) > goal) & (left > 0))
        if not len(live) or (steps and (left <= allowed).all()):
            return x
        more, taken = _descend(product, near, diagonal, r[:, live], goal[live], MAX_ITERATIONS - steps)
        x = x.copy()
        x[:, live] += more
        steps += taken
    r = right - product(x)
    poor = _dots(r, inverse * r) > allowed
    if poor.any() and len(diagonal) <= FEW:
        x = x + _exactly(product, diagonal, r)
        r = right - product(x)
        poor = _dots(r, inverse * r) > allowed
    if not poor.any():
        return x
    raise NotConverged(
        "absorbing the fixed effects did not converge",
        found=f"{int(poor.sum())} column(s) above the tolerance after {steps} iterations",
        allowed=f"a relative residual of {np.min(accepted):.0e}",
        fix="The effects are nearly disconnected; drop one of them or its sparsest levels.",
    )


def _exactly(product: Callable[[Array], Array], diagonal: Array, r: Array) -> Array:
    """Return the solution by eigenvectors of the matrix scaled to a unit diagonal; directions it does not see stay zero."""
    scale = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(scale * product(np.diagflat(scale)))
    seen = values > _SEEN * values[-1]
    root = scale * vectors[:, seen]
    x = np.zeros_like(r)
    for _ in range(3):  # the second and third take up what rounding left of the first
        x = x + root @ ((root.T @ (r - product(x))) / values[seen, None])
    return x


def _descend(
    product: Callable[[Array], Array], near: Preconditioner, diagonal: Array, r: Array, goal: Array, most: int
) -> tuple[Array, int]:
    """Return what to add to the solution and the number of steps; each column has its own step length and its own end."""
    x, out = np.zeros_like(r), np.zeros_like(r)
    live = np.arange(r.shape[1])
    z = near.solve(r)
    p, rz = z.copy(), _dots(r, z)
    least = rz.copy()
    for step in range(1, most + 1):
        q = product(p)
        curvature = _dots(p, q)
        real = curvature > _NULL * _dots(p, diagonal * p)  # else the matrix does not see this direction
        length = np.where(real, rz / np.where(real, curvature, 1.0), 0.0)
        x = x + length * p
        r = r - length * q
        z = near.solve(r)
        rz, before = _dots(r, z), rz
        better = rz < least
        out[:, live[better]] = x[:, better]
        least = np.minimum(rz, least)
        p = z + rz / np.where(before > 0, before, 1.0) * p
        going = real & (rz > goal) & (rz < _LOST * least)
        if not going.all():
            live, goal, least, rz = live[going], goal[going], least[going], rz[going]
            x, r, p = x[:, going], r[:, going], p[:, going]
            if not len(live):
                return out, step
    return out, most


def _dots(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->j", a, b))
