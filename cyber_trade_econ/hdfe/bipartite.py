"""Exact weighted least squares on two crossed factors, such as the exporters and the importers of one period.

Effects of the longer side are eliminated in closed form. What is left for the other is the Laplacian of a graph that joins
importers through the exporters they share: its diagonal is the sum of the rest of its row, and taking it from there instead
of as a difference keeps its digits where domestic flows dominate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.late import blas, lapack

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array

EXACT = 1e-11
"""Relative residual that a solution keeps at most."""

ROUNDING = 1e-14
"""The same relative to the length of what the right-hand sides were summed from, a few units of double rounding."""

REFINEMENTS = 4


class Bipartite:
    """The normal equations of both sides at given weights, factorised.

    Parameters
    ----------
    mu
        Weight of each cell, (N, J), zero where there is no row; every row and column has a positive one.

    Raises
    ------
    NotConverged
        If the weights fall apart into groups that next to nothing joins.
    """

    def __init__(self, mu: Array) -> None:
        self.mu = mu
        self.mass, self.other_mass = mu.sum(1), mu.sum(0)
        shared = blas.dsyrk(1.0, (mu * np.sqrt(1 / self.mass)[:, None]).T, lower=1)
        np.einsum("ii->i", shared)[:] = 0.0
        shared += shared.T
        diagonal = shared.sum(0)
        self._root = np.sqrt(np.divide(1, diagonal, out=np.zeros_like(diagonal), where=diagonal > 0))
        null = np.sqrt(diagonal)  # shifting all effects of one side against the other changes nothing
        null /= max(float(np.linalg.norm(null)), 1e-300)
        shared *= -self._root
        shared *= self._root[:, None]
        shared += null[:, None] * null
        np.einsum("ii->i", shared)[:] += 1.0
        self._lower, fault = lapack.dpotrf(shared, lower=1, overwrite_a=1)
        if fault:
            raise NotConverged(
                "effects of a period cannot be told apart",
                found=f"pivot {fault} is not positive",
                fix="Means of very different size; the general solver treats such data.",
            )

    def solve(self, r: Array, s: Array, lengths: Array) -> tuple[Array, Array]:
        """Return the effects of both sides.

        Parameters
        ----------
        r, s
            Sums that they are to have, (N, m) and (J, m).
        lengths
            Weighted lengths of what was summed, (m,): a residual no larger than its rounding is left alone.

        Raises
        ------
        NotConverged
            If refinement does not bring the residual below `EXACT`.
        """
        x, z = self.approximate(r, s)
        goal = np.maximum(EXACT * self._length(r, s), ROUNDING * lengths)
        for _ in range(REFINEMENTS):
            left = r - self.mass[:, None] * x - self.mu @ z, s - self.other_mass[:, None] * z - self.mu.T @ x
            if (self._length(*left) <= goal).all():
                return x, z
            dx, dz = self.approximate(*left)
            x, z = x + dx, z + dz
        raise NotConverged(
            "effects of a period cannot be solved for exactly",
            found=f"residual {np.max(self._length(*left) / np.maximum(goal, 1e-300)):.1e} times what is allowed",
            fix="Means of very different size; the general solver treats such data.",
        )

    def approximate(self, r: Array, s: Array) -> tuple[Array, Array]:
        """Return the effects of both sides as the factor gives them."""
        scaled = r / self.mass[:, None]
        z, _ = lapack.dpotrs(self._lower, self._root[:, None] * (s - self.mu.T @ scaled), lower=1)
        z *= self._root[:, None]
        return scaled - self.mu @ z / self.mass[:, None], z

    def _length(self, r: Array, s: Array) -> Array:
        return np.asarray(np.sqrt((1 / self.mass) @ r**2 + (1 / self.other_mass) @ s**2))
