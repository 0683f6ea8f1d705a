"""Solves for the exporter-time and importer-time effects of one box by conjugate gradients.

Were it not for the pair effects, periods would not touch each other, and each is a small two-way problem that a Cholesky
factor solves. That exact solution, in single precision, is the preconditioner: it takes a handful of iterations where a
diagonal one takes dozens and fails when domestic flows dominate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.kernels import NUMPY, Kernels

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array, Codes, Mask

RIDGE = 2e-6
"""Added to the unit diagonal of each period: a few units of single rounding."""

MAX_ITERATIONS = 200

TOLERABLE = 1e-6
"""Relative residual above which a solution that was to be exact is not; what stops short of the tolerance stays far below."""

ROUNDING = 1e-15
"""Relative error of a sum, a few units of double rounding."""

_SMALL = 64
"""Rows up to which a triangle is inverted at once."""

NULL = 1e-11
"""Curvature, relative to that of the masses alone, of a direction that counts as not identified, as in the general path."""


class Pairing(NamedTuple):
    """Values of the exporter-time and importer-time effects for several columns, (T, N, m) and (T, J, m)."""

    a: Array
    b: Array

    def dots(self, other: Pairing) -> Array:
        """Return the inner product of each column."""
        return np.asarray(np.einsum("tnm,tnm->m", self.a, other.a) + np.einsum("tnm,tnm->m", self.b, other.b))

    def cross(self, other: Pairing) -> Array:
        """Return the inner products of all columns with all columns."""
        out = np.tensordot(self.a, other.a, ([0, 1], [0, 1])) + np.tensordot(self.b, other.b, ([0, 1], [0, 1]))
        return np.asarray(out)

    def columns(self, which: Mask | Codes | slice) -> Pairing:
        """Return some of the columns."""
        return Pairing(np.ascontiguousarray(self.a[:, :, which]), np.ascontiguousarray(self.b[:, :, which]))


class Information:
    """The information matrix of the effects at given means, pair effects concentrated out.

    Parameters
    ----------
    mu, turned
        Means by cell, (T, N, J), and with importers before exporters, (T, J, N).
    exporter_mass, importer_mass
        Sums of the means, (T, N) and (T, J).
    pair_inverse
        One over the total of each pair, (N, J); zero for pairs without trade.
    kernels
        Who does the work; the compiled ones do it in double precision only.
    """

    def __init__(
        self,
        mu: Array,
        turned: Array,
        exporter_mass: Array,
        importer_mass: Array,
        pair_inverse: Array,
        kernels: Kernels = NUMPY,
    ) -> None:
        self.mu, self.turned = mu, turned
        self.exporter_mass, self.importer_mass = exporter_mass, importer_mass
        self.kernels = kernels
        self._pair_inverse = pair_inverse

    def product(self, v: Pairing) -> Pairing:
        """Multiply the columns of ``v`` by the matrix."""
        masses = self.exporter_mass, self.importer_mass
        return Pairing(*self.kernels.product(self.mu, self.turned, *masses, self._pair_inverse, v.a, v.b))

    def diagonal(self, v: Pairing) -> Pairing:
        """Multiply the columns of ``v`` by the masses alone."""
        return Pairing(self.exporter_mass[:, :, None] * v.a, self.importer_mass[:, :, None] * v.b)


class PerPeriod:
    """Exact solution of each period by itself: the preconditioner.

    Parameters
    ----------
    information
        Matrix whose periods are solved.
    precise
        Work in double precision, for panels whose countries trade next to nothing with each other.
    """

    def __init__(self, information: Information, *, precise: bool = False) -> None:
        T, J, N = information.turned.shape
        self._type = np.dtype(np.float64 if precise else np.float32)
        self._kernels = information.kernels
        root_a, root_b = (np.sqrt(_inverse(m)) for m in (information.exporter_mass, information.importer_mass))
        self._mu = np.empty((T, N, J), self._type)
        self._inverse = np.empty((T, J, J), self._type)
        for t in range(T):
            self._mu[t] = information.mu[t] * root_a[t][:, None] * root_b[t]
            self._inverse[t] = _inverted(self._mu[t], np.sqrt(information.importer_mass[t]))
        self._root_a, self._root_b = root_a, root_b

    def solve(self, r: Pairing) -> Pairing:
        """Apply the inverse to the columns of ``r``."""
        return Pairing(*self._kernels.solve(self._mu, self._inverse, self._root_a, self._root_b, r.a, r.b))


def _inverted(mu: Array, level: Array) -> Array:
    """Invert the Schur complement of one period, whose null vector is ``level``, (J,), all but that vector.

    ``mu`` (N, J) is scaled to unit sums of squares on both sides. Off the diagonal the complement is minus the trade that
    importers share through exporters; its diagonal is what makes the rows add up to zero, and is taken from them: the
    difference of two numbers near one would lose its digits when domestic flows dominate.
    """
    level = level.astype(mu.dtype)
    shared = mu.T @ mu
    np.einsum("ii->i", shared)[:] = 0.0
    left = np.divide(shared @ level, level, out=np.zeros_like(level), where=level > 0)
    root = np.sqrt(_inverse(left))
    null = level * np.sqrt(left)
    null /= max(float(np.linalg.norm(null)), 1e-30)
    shared *= -root
    shared *= root[:, None]
    shared += null[:, None] * null
    np.einsum("ii->i", shared)[:] += 1 + RIDGE
    try:
        half = _inverse_of_lower(np.asarray(np.linalg.cholesky(shared))) * root
    except np.linalg.LinAlgError as error:
        raise NotConverged(
            "a period of the panel cannot be solved by itself",
            found=f"{len(shared)} importers",
            fix="Means of very different size; the general solver treats such data.",
        ) from error
    return np.asarray(half.T @ half)


def _inverse_of_lower(lower: Array) -> Array:
    """Invert a lower triangle by halves: a general inverse would spend most of its time on the zeros above."""
    size = len(lower)
    if size <= _SMALL:
        return np.asarray(np.linalg.inv(lower))
    half = size // 2
    first, last = _inverse_of_lower(lower[:half, :half]), _inverse_of_lower(lower[half:, half:])
    out = np.zeros_like(lower)
    out[:half, :half], out[half:, half:] = first, last
    np.matmul(last, lower[half:, :half] @ -first, out=out[half:, :half])
    return out


def conjugate_gradients(
    information: Information, first: PerPeriod, right: Pairing, start: Pairing, tol: Array, lengths: Array
) -> tuple[int, Pairing, Pairing, Mask]:
    """Solve for several right-hand sides at once.

    Parameters
    ----------
    information, first
        The matrix and its preconditioner.
    right, start
        Right-hand sides, and where to begin.
    tol
        Relative residual of each column, in the norm of the preconditioner, at which it is left alone, shape (m,).
    lengths
        Squared weighted lengths of what the columns were summed from, (m,): a residual no larger than their rounding is left
        alone.

    Returns
    -------
    Iterations, solution, residual, and which columns kept more of the latter than `TOLERABLE`.
    """
    moved = information.product(start)
    x_a, x_b = start.a.copy(), start.b.copy()
    residual = Pairing(right.a - moved.a, right.b - moved.b)
    whole = right.dots(first.solve(right))
    goal = np.maximum(tol**2 * whole, ROUNDING**2 * lengths)
    z = first.solve(residual)
    norm = residual.dots(z)
    reached = norm.copy()
    live = np.flatnonzero(norm > goal)
    r, p, rz = residual.columns(live), z.columns(live), norm[live]
    iterations = 0
    while len(live) and iterations < MAX_ITERATIONS:
        iterations += 1
        q = information.product(p)
        curvature = p.dots(q)
        real = curvature > NULL * p.dots(information.diagonal(p))
        step = np.where(real, rz / np.where(real, curvature, 1.0), 0.0)
        x_a[:, :, live] += step * p.a
        x_b[:, :, live] += step * p.b
        r = Pairing(r.a - step * q.a, r.b - step * q.b)
        z = first.solve(r)
        rz, previous = r.dots(z), rz
        residual.a[:, :, live], residual.b[:, :, live] = r.a, r.b
        reached[live] = rz
        going = (rz > goal[live]) & real
        share = rz / np.where(previous > 0, previous, 1.0)
        p = Pairing(z.a + share * p.a, z.b + share * p.b)
        if not going.all():
            live, r, p, rz = live[going], r.columns(going), p.columns(going), rz[going]
    poor = reached > np.maximum(TOLERABLE**2 * whole, ROUNDING * TOLERABLE * lengths)
    return iterations, Pairing(x_a, x_b), residual, np.asarray(poor)


def _inverse(mass: Array) -> Array:
    return np.asarray(np.divide(1, mass, out=np.zeros_like(mass), where=mass > 0))
