"""Weighted least squares on any number of fixed effects and varying slopes.

The largest factor, with its slopes, is eliminated in closed form. The normal equations of the others (its Schur complement)
are solved by conjugate gradients with the approximate inverse that `precondition` makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe import conjugate, precondition
from cyber_trade_econ.hdfe.factor import Array, Effect, levels_of
from cyber_trade_econ.hdfe.late import sparse
from cyber_trade_econ.hdfe.precondition import (
    Beside,
    Bordered,
    Diagonal,
    Nested,
    Preconditioner,
    Separate,
    Sparse,
    eliminated,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.absorb import Layout

_SMALL = 1e-5  # share of a column left by its effects below which a second look is taken
_LITTLE = 1e-8  # share of a mass below which a diagonal entry is rounding


class Projector:
    """Least-squares fit on the effects of a `Layout` with given weights.

    The variable of a slope is centred within the levels of its factor, in the weights: it is then orthogonal to the effects
    of that factor, so that both are eliminated together level by level.
    """

    def __init__(self, layout: Layout, w: Array) -> None:
        self.layout, self.order, self.w = layout, layout.order, w
        factors = layout.factors
        self._values = list(layout.scaled)
        self._centre: dict[int, Array] = {}
        for g, leader in enumerate(self.order.leader):
            if leader != g:
                mass = _sums(factors[g], w)
                self._centre[g] = _sums(factors[g], self._along(g, w)) / mass
                scaled = layout.scaled[g]
                self._values[g] = scaled - self._centre[g][factors[g].codes] if scaled is not None else None
        self._mass = [_sums(f, self._along(g, self._along(g, w))) for g, f in enumerate(factors)]
        self._inverse = [_inverse(m)[:, None] for m in self._mass]
        if self.order.rest:
            self._diagonal = np.concatenate([self._mass[g] for g in self.order.rest])[:, None]
            self._border = {
                (g, h): c.sums(self._along(g, self._along(h, w))) for (g, h), c in self.order.border.items()
            }
            self._inner = {(g, h): c.sums(self._along(g, self._along(h, w))) for (g, h), c in self.order.inner.items()}
            self._near = self._preconditioner()

    def _along(self, g: int, weighted: Array) -> Array:
        """Multiply rows by the variable of a slope; a factor leaves them as they are."""
        v = self._values[g]
        if v is None:
            return weighted
        return weighted * (v if weighted.ndim == 1 else v[:, None])

    def effects(
        self,
        values: Array,
        start: Sequence[Array] | None = None,
        tolerance: float = conjugate.TOLERANCE,
        accepted: float | Array = conjugate.ACCEPTED,
    ) -> list[Array]:
        """Return the effects that fit ``values`` (n, k) best: one array (levels, k) per factor.

        Parameters
        ----------
        start
            Effects of a similar problem, from which the iteration begins.
        tolerance
            Relative residual at which it stops.
        accepted
            Relative residual above which a solution is refused, of all columns or by column, (k,).

        Raises
        ------
        NotConverged
            If conjugate gradients do not get there.
        """
        weighted = values * self.w[:, None]
        totals = [_sums(f, self._along(g, weighted)) for g, f in enumerate(self.layout.factors)]
        return self.effects_of(totals, self._sizes(np.abs(weighted)), start, tolerance, accepted)

    def _sizes(self, weighted: Array) -> Array:
        """Return the squared size of what sums of ``weighted`` (n, k) add up, (k,): their rounding is a share of it.

        It is measured as residuals are. The squares of the rows would not do: a row that is far off at a tiny weight adds
        next to nothing to any sum.
        """
        own = [g for g, leader in enumerate(self.order.leader) if leader == g]
        parts = [np.sum(_sums(self.layout.factors[g], weighted) ** 2 * self._inverse[g], axis=0) for g in own]
        return np.asarray(np.max(parts, axis=0))

    def effects_of(
        self,
        totals: Sequence[Array],
        lengths: Array,
        start: Sequence[Array] | None = None,
        tolerance: float = conjugate.TOLERANCE,
        accepted: float | Array = conjugate.ACCEPTED,
    ) -> list[Array]:
        """Return the same for values of which only weighted sums by level, (levels, k), and their sizes, (k,), are given."""
        layout = self.layout
        out: list[Array] = [np.empty(0)] * len(layout.factors)
        means = {g: self._inverse[g] * totals[g] for g in self.order.big}
        if self.order.rest:
            right = np.concatenate([totals[h] for h in self.order.rest])
            for (g, h), cells in self._border.items():
                right[self.order.place[h]] -= cells.T @ means[g]
            first = np.zeros_like(right)
            if start is not None:
                shifted = self._moved(start, 1.0)
                first = np.concatenate([shifted[h] for h in self.order.rest])
            solution = conjugate.solve(
                self._product, self._near, self._diagonal, right, first, lengths, tolerance, accepted
            )
            for h in self.order.rest:
                out[h] = solution[self.order.place[h]]
            for (g, h), cells in self._border.items():
                means[g] = means[g] - self._inverse[g] * (cells @ out[h])
        for g in self.order.big:
            out[g] = means[g]
        return self._moved(out, -1.0)

    def _moved(self, effects: Sequence[Array], sign: float) -> list[Array]:
        """Let each factor take up what centring the variable of its slope does."""
        out = list(effects)
        for g, centre in self._centre.items():
            leader = self.order.leader[g]
            out[leader] = out[leader] + sign * centre[:, None] * effects[g]
        return out

    def absorb(
        self,
        values: Array,
        start: Sequence[Array] | None = None,
        tolerance: float = conjugate.TOLERANCE,
        accepted: float | Array = conjugate.ACCEPTED,
    ) -> tuple[Array, list[Array]]:
        """Return ``values`` (n, k) net of their effects, and the effects; arguments as for `effects`.

        What is left of a column that the effects take up all but wholly is mostly the error of the solution, which grows with
        the length of chains of levels. Taking effects out of it once more tells it from rounding.
        """
        effects = self.effects(values, start, tolerance, accepted)
        net = self.residual(values, effects)
        before, after = (np.einsum("i,ij,ij->j", self.w, v, v) for v in (values, net))
        small = np.flatnonzero((after < _SMALL**2 * before) & (after > 0))
        if len(small):
            more = self.effects(net[:, small], accepted=np.broadcast_to(accepted, len(before))[small])
            net[:, small] = self.residual(net[:, small], more)
            for effect, extra in zip(effects, more, strict=True):
                effect[:, small] += extra
        return net, effects

    def residual(self, values: Array, effects: Sequence[Array]) -> Array:
        """Return ``values`` (n, k) less the effects of their levels."""
        out = values.copy()
        for factor, scaled, effect in zip(self.layout.factors, self.layout.scaled, effects, strict=True):
            out -= effect[factor.codes] if scaled is None else effect[factor.codes] * scaled[:, None]
        return out

    def _product(self, v: Array) -> Array:
        place = self.order.place
        out = self._diagonal * v
        for (g, h), cells in self._inner.items():
            out[place[g]] += cells @ v[place[h]]
            out[place[h]] += cells.T @ v[place[g]]
        for g in self.order.big:
            mine = [(place[h], cells) for (of, h), cells in self._border.items() if of == g]
            mean = self._inverse[g] * sum(cells @ v[where] for where, cells in mine)
            for where, cells in mine:
                out[where] -= cells.T @ mean
        return np.asarray(out)

    def _preconditioner(self) -> Preconditioner:
        order, mass, matrix = self.order, self._diagonal[:, 0], self._without_border()
        if order.whole:
            early, parts = order.whole
            schur = parts.entries(matrix, parts)
            for g in order.big:
                schur -= eliminated(self._border_of(g), self._inverse[g][:, 0], early, parts)
            return Separate(parts, schur, mass)
        second, late = order.cuts
        few = len(mass) - late
        bordered = 0 < few <= precondition.LARGEST_PART and few * late <= precondition.LARGEST_SUM
        near: Preconditioner
        joined = None if few or order.late else self._sparse(matrix)
        if joined is not None:
            return Sparse(joined)
        if order.late:
            C, Q = matrix[:second, second:late], matrix[second:late, second:late]
            near = Nested(_inverse(mass[:second]), C, Q, *order.late)
        else:
            near = Diagonal(_inverse(mass[:second])[:, None] if bordered else self._left(slice(second)))
        if bordered:
            return Bordered(near, matrix[:late, late:], matrix[late:, late:])
        return Beside(near, Diagonal(self._left(slice(late, None))), late) if few else near

    def _sparse(self, matrix: sparse.csr_array) -> sparse.csr_array | None:
        """Return the Schur complement where eliminating its unknowns hardly joins others, otherwise ``None``."""
        borders = [self._border_of(g) for g in self.order.big]
        joined = sum(int(np.sum(np.diff(border.indptr) ** 2)) for border in borders)
        if joined > precondition.FEWEST_JOINED * len(self._diagonal):
            return None
        for g, border in zip(self.order.big, borders, strict=True):
            matrix = sparse.csr_array(matrix - border.T @ (sparse.diags_array(self._inverse[g][:, 0]) @ border))
        return matrix if (matrix.diagonal() > _LITTLE * self._diagonal[:, 0]).all() else None

    def _border_of(self, g: int) -> sparse.csr_array:
        return sparse.csr_array(sparse.hstack([c for (of, _), c in self._border.items() if of == g], format="csr"))

    def _left(self, unknowns: slice) -> Array:
        """Return one over the diagonal of the Schur complement for some of the unknowns, (m, 1)."""
        mass = self._diagonal[:, 0]
        left = mass.copy()
        for g in self.order.big:
            border = self._border_of(g)
            left -= border.multiply(border).T @ self._inverse[g][:, 0]
        return _inverse(np.where(left > _LITTLE * mass, left, mass))[unknowns, None]

    def _without_border(self) -> sparse.csr_array:
        """Return the normal equations of all factors but the big one as they would be without it."""
        rest = self.order.rest
        blocks: list[list[sparse.sparray | None]] = [[None] * len(rest) for _ in rest]
        for i, g in enumerate(rest):
            blocks[i][i] = sparse.diags_array(self._mass[g])
            for j, h in enumerate(rest):
                if (g, h) in self._inner:
                    blocks[i][j], blocks[j][i] = self._inner[g, h], self._inner[g, h].T
        return sparse.csr_array(sparse.block_array(blocks, format="csr"))


def _sums(effect: Effect, values: Array) -> Array:
    return levels_of(effect).sums(values)


def _inverse(values: Array) -> Array:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
