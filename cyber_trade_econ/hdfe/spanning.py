"""Effects found from some of the rows by elimination, and the proof that these rows determine them.

Effects are identified up to shifts: what is constant on the connected parts of two factors can move from one to the other.
Setting as many effects as there are shifts to zero leaves one representation of every sum of effects. A row of which all
effects but one are known then determines the last one, and so on. When this reaches every effect, no sum of effects vanishes
on the rows used without vanishing everywhere. Nothing is rounded in this argument: it counts levels.

Where elimination gets stuck a further effect is taken as given. It is a shift too (with symmetric pairs there are more of
them than two factors show), or a sum of effects that the rows used do not determine, or other rows determine it:
`Spanning.moved` tells which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe import graph
from cyber_trade_econ.hdfe.factor import Array, Codes, Factor, Mask, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.regressors import Regressors

_MAX_FACTORS = 3
_MAX_ROUNDS = 200  # a sample in long chains is left to other methods
_EXACT = 2.0**52  # sums of whole numbers below it are exact

Given = list[tuple[int, Codes]]
"""Levels by factor."""


class Spanning:
    """The order in which rows determine effects, made once and used for any values on the rows.

    Parameters
    ----------
    factors
        Effects, codes of shape (n,).
    steps
        Factor, levels and the rows that determine their effects, in the order of elimination.
    given
        Levels whose effects are given beyond the shifts between two factors.
    """

    def __init__(self, factors: Sequence[Factor], steps: Sequence[tuple[int, Codes, Codes]], given: Given) -> None:
        self.factors, self.steps, self.given = tuple(factors), steps, given
        self.free = sum(len(levels) for _, levels in given)

    def effects(self, values: Regressors) -> list[Array]:
        """Return effects by factor, (levels, k), that reproduce ``values`` (n, k) on the rows that determine them."""
        out = [np.zeros((f.levels, values.shape[1])) for f in self.factors]
        return self._eliminate(out, values)

    def shifted(self, by: Array) -> list[Array]:
        """Return the effects, (levels, k), whose sum is zero on those rows when the given ones are ``by`` (free, k)."""
        out = [np.zeros((f.levels, by.shape[1])) for f in self.factors]
        at = 0
        for which, levels in self.given:
            out[which][levels] = by[at : at + len(levels)]
            at += len(levels)
        return self._eliminate(out, None)

    def _eliminate(self, out: list[Array], values: Regressors | None) -> list[Array]:
        for which, levels, rows in self.steps:
            left = np.zeros((len(rows), out[which].shape[1])) if values is None else values.rows(rows)
            for other, factor in enumerate(self.factors):
                if other != which:
                    left -= out[other][factor.codes[rows]]
            out[which][levels] = left
        return out

    def sums(self, effects: Sequence[Array], rows: Codes | slice) -> Array:
        """Return the sum of effects on the given rows."""
        out = effects[0][self.factors[0].codes[rows]]
        for factor, effect in zip(self.factors[1:], effects[1:], strict=True):
            out += effect[factor.codes[rows]]
        return out

    def moved(self, seed: int) -> Codes | None:
        """Return the rows whose sum of effects changes with some given effect; ``None`` if that cannot be told exactly.

        The given effects are whole numbers drawn from a range so wide that none of the sums vanishes by chance; all
        arithmetic is exact.
        """
        if not self.free:
            return np.empty(0, dtype=np.int64)
        draw = np.random.default_rng(seed).integers(-(2**40), 2**40, (self.free, 1)).astype(np.float64)
        effects = self.shifted(draw)
        if max(float(np.abs(e).max()) for e in effects) * len(effects) > _EXACT:
            return None
        return np.flatnonzero(self.sums([e[:, 0] for e in effects], slice(None)))


def spanning(factors: Sequence[Factor], rows: Mask, most_given: int = 500) -> Spanning | None:
    """Find all effects from the rows where ``rows`` is true, shape (n,), without ever solving a system.

    Returns
    -------
    Spanning, or ``None`` for more than three factors, for a level without such a row, for long chains, and when more than
    ``most_given`` effects would have to be given.
    """
    if len(factors) > _MAX_FACTORS:
        return None
    at = np.flatnonzero(rows)
    codes = [f.codes[at] for f in factors]
    counts = [np.bincount(c, minlength=f.levels) for c, f in zip(codes, factors, strict=True)]
    if any((c == 0).any() for c in counts):
        return None
    unknown = [np.ones(f.levels, dtype=bool) for f in factors]
    shifts, central = _shifts(factors, counts)
    for which, levels in shifts:
        unknown[which][levels] = False
    steps: list[tuple[int, Codes, Codes]] = []
    given: Given = []
    for _ in range(_MAX_ROUNDS):
        missing = np.zeros(len(at), dtype=np.int8)
        for u, c in zip(unknown, codes, strict=True):
            missing += u[c]
        found = _determined(codes, unknown, np.flatnonzero(missing == 1))
        steps += [(which, levels, at[lines]) for which, levels, lines in found]
        if not any(u.any() for u in unknown):
            return Spanning(factors, steps, given)
        if not found:
            central = _give(counts, unknown, central, given)
            if sum(len(levels) for _, levels in given) > most_given:
                return None
        elif int((missing > 1).sum()) < len(at) // 2:
            left = np.flatnonzero(missing > 1)
            at, codes = at[left], [c[left] for c in codes]
    return None


def _determined(codes: Sequence[Codes], unknown: Sequence[Mask], lines: Codes) -> list[tuple[int, Codes, Codes]]:
    """Return factor, levels and one line of each, for lines with one unknown effect; these count as known from now on."""
    out = []
    before = [u[c[lines]] for u, c in zip(unknown, codes, strict=True)]
    for which, here in enumerate(before):
        mine = lines[here]
        if len(mine):
            source = np.full(len(unknown[which]), -1, dtype=np.int64)
            source[codes[which][mine]] = mine
            levels = np.flatnonzero(source >= 0)
            unknown[which][levels] = False
            out.append((which, levels, source[levels]))
    return out


def _give(
    counts: Sequence[Codes], unknown: Sequence[Mask], central: tuple[int, Codes], given: Given
) -> tuple[int, Codes]:
    """Take effects as given: once those of the central levels, then one at a time the unknown one with the most rows."""
    which, levels = central
    levels = levels[unknown[which][levels]]
    if not len(levels):
        heaviest = [int(np.where(u, c, -1).max()) for u, c in zip(unknown, counts, strict=True)]
        which = int(np.argmax(heaviest))
        levels = np.array([int(np.where(unknown[which], counts[which], -1).argmax())])
    unknown[which][levels] = False
    given.append((which, levels))
    return which, levels[:0]


def _shifts(factors: Sequence[Factor], counts: Sequence[Codes]) -> tuple[Given, tuple[int, Codes]]:
    """Choose the levels whose effects shifts can set to zero: those with the most rows.

    Between the largest factor and the second it is one level for each connected part. The shifts of the third factor are
    functions of its connected parts with the first plus functions of those with the second: a spanning forest of the graph
    that joins these parts by the levels of the third pins them.

    Also returns the levels of the second factor that lie in the heaviest part, such as one year.
    """
    order = sorted(range(len(factors)), key=lambda g: -factors[g].levels)
    if len(order) < 2:
        return [], (0, np.empty(0, dtype=np.int64))
    first, second = order[0], order[1]
    parts = joined(factors[first], factors[second])[1]
    if len(order) == 2:
        return [(second, _heaviest(parts, counts[second]))], (second, np.empty(0, dtype=np.int64))
    third = order[2]
    of_second, by_second, _ = joined(factors[second], factors[third])
    by_first = joined(factors[first], factors[third])[1]
    chosen = int(np.bincount(by_second, counts[third]).argmax())
    inside = of_second == chosen
    heavy = counts[second] + np.where(inside, counts[second].max() + 1, 0)
    forest = _forest(by_first, by_second, np.lexsort((-counts[third], by_second != chosen)))
    return [(second, _heaviest(parts, heavy)), (third, forest)], (second, np.flatnonzero(inside))


def _heaviest(parts: Codes, weight: Codes) -> Codes:
    """Return for each part the position of its heaviest member."""
    order = np.lexsort((-weight, parts))
    return np.asarray(order[np.concatenate([[True], np.diff(parts[order]) != 0])])


def _forest(one: Codes, other: Codes, order: Codes) -> Codes:
    """Return the edges (positions) of a spanning forest of the graph that joins ``one`` to ``other``, the first in order."""
    width = int(one.max()) + 1
    return np.asarray(order[graph.forest(one[order], width + other[order], width + int(other.max()) + 1)])
