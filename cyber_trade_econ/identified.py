"""Which rows a fit says something about: those whose effects and regressors are combinations of the rows it was made on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Factor, Mask, Slope, cross, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.design import Design

_DRAWS = 2  # one suffices with probability one; two leave nothing to the size of a single number
_CLOSE = 1e-6  # share of its terms below which a sum counts as zero; the solver leaves about 1e-10
_NOTHING = 1e-9  # share of a regressor that the fit took for nothing when it dropped another as collinear


@dataclass(frozen=True)
class At:
    """Where rows stand in one set of effects: their levels (m,), and the variable of a slope (m,)."""

    codes: Codes
    variable: Array | None = None

    def rows(self, rows: Codes) -> At:
        """Return some of the rows."""
        return At(self.codes[rows], None if self.variable is None else self.variable[rows])


@dataclass(frozen=True)
class Span:
    """The effects of a sample, to tell of which other rows their sum is identified.

    Sums of effects are identified up to shifts that leave all sums of the sample as they are: with two sets of effects
    shifts of their connected parts against each other; with more sets or slopes there are others. A row is determined if no
    shift moves it. With two sets the parts are looked up. Otherwise effects are drawn at random and others are found that
    have the same sums on the sample; on a row that is not determined their sums differ with probability one.

    Parameters
    ----------
    effects
        Sets of effects and slopes, codes of shape (n,) in the smallest type that holds them.
    """

    effects: tuple[Effect, ...]

    @classmethod
    def of(cls, effects: Sequence[Effect]) -> Span:
        """Keep what is needed of the effects of a sample: nothing is computed before it is asked for."""
        return cls(tuple(replace(e, codes=e.codes.astype(np.min_scalar_type(e.levels))) for e in effects))

    def holds(self, at: Sequence[At]) -> Mask:
        """Tell which rows, all of whose levels are known, are determined, (m,)."""
        count = len(at[0].codes) if at else 0
        slopes = any(isinstance(e, Slope) for e in self.effects)
        if len(self.effects) < 2 or not count:
            return np.ones(count, dtype=bool)
        if len(self.effects) == 2 and not slopes:
            of_first, of_second = self._parts
            return np.asarray(of_first[at[0].codes] == of_second[at[1].codes])
        known = np.zeros(count, dtype=bool) if slopes else self._seen(at)
        rows = np.flatnonzero(~known)
        if len(rows):
            there = [a.rows(rows) for a in at]
            (one, size), (other, more) = (summed(self.effects, values, there) for values in self._alike)
            known[rows] = (np.abs(one - other) <= _CLOSE * (size + more)).all(axis=1)
        return known

    def _seen(self, at: Sequence[At]) -> Mask:
        """Tell which rows have a row in the sample with the same levels."""
        if all(np.array_equal(e.codes, a.codes) for e, a in zip(self.effects, at, strict=True)):
            return np.ones(len(at[0].codes), dtype=bool)
        n = len(self.effects[0].codes)
        both = cross(
            [Factor(np.concatenate([e.codes, a.codes]), e.levels) for e, a in zip(self.effects, at, strict=True)]
        )
        seen = np.zeros(both.levels, dtype=bool)
        seen[both.codes[:n]] = True
        return np.asarray(seen[both.codes[n:]])

    @cached_property
    def _parts(self) -> tuple[Codes, Codes]:
        first, second = (Factor(e.codes.astype(np.int64), e.levels) for e in self.effects)
        of_first, of_second, _ = joined(first, second)
        return of_first, of_second

    @cached_property
    def _alike(self) -> tuple[list[Array], list[Array]]:
        """Return two sets of effects, (levels, draws) each, with the same sums on the sample."""
        rng = np.random.default_rng(0)
        drawn = [rng.normal(size=(e.levels, _DRAWS)) for e in self.effects]
        layout = Layout([replace(e, codes=e.codes.astype(np.int64)) for e in self.effects])
        sums = np.zeros((len(self.effects[0].codes), _DRAWS))
        for effect, values, scaled in zip(layout.factors, drawn, layout.scaled, strict=True):
            sums += values[effect.codes] if scaled is None else values[effect.codes] * scaled[:, None]
        return drawn, layout_fit(layout, sums)


@dataclass(frozen=True)
class Dropped:
    """Regressors that were left out, each a combination of others and of the effects on the rows of the sample.

    Where a row breaks such a combination its prediction needs the coefficient that was not estimated. One that only rows left
    out as separated told apart is such a case: in the sample it is zero, or constant, and its coefficient is infinite.

    Parameters
    ----------
    kept
        Columns of the design that were kept, shape (K,).
    origin
        What is taken off each column, shape (K,).
    by_regressors, by_effects
        The combinations, (k, K - k), and by set of effects (levels, K - k).
    effects
        Sets of effects and slopes.
    """

    kept: Mask
    origin: Array
    by_regressors: Array
    by_effects: list[Array]
    effects: tuple[Effect, ...]

    @classmethod
    def of(cls, design: Design, kept: Mask, effects: tuple[Effect, ...]) -> Dropped:
        """Find the combinations by least squares."""
        constant = np.array([name == INTERCEPT for name in design.names])
        origin = np.where(constant | (not (design.factors or constant.any())), 0.0, design.regressors.means())
        layout = Layout(list(design.factors.values())) if design.factors else None

        def centred(which: Mask) -> tuple[Array, Array]:
            X = design.regressors.chosen(which).whole() - origin[which]
            return X, layout.weighted(np.ones(len(X))).absorb(X)[0] if layout else X

        X, net = centred(~kept)
        by_regressors = np.zeros((int(kept.sum()), X.shape[1]))
        left = np.linalg.norm(net, axis=0) > _NOTHING * np.linalg.norm(X, axis=0)
        if left.any():  # the others are zero, or sums of effects; hundreds of regressors are looked at only if need be
            others, of_others = centred(kept)
            size = np.maximum(np.linalg.norm(of_others, axis=0), np.finfo(float).tiny)
            by_regressors[:, left] = np.linalg.lstsq(of_others / size, net[:, left])[0] / size[:, None]
            X[:, left] -= others @ by_regressors[:, left]
        return cls(kept, origin, by_regressors, layout_fit(layout, X) if layout else [], effects)

    def holds(self, X: Array, at: Sequence[At]) -> Mask:
        """Tell on which rows of all columns ``X`` (m, K) the combinations hold, (m,)."""
        Z = X - self.origin
        gap, size = summed(self.effects, self.by_effects, at) if at else (0.0, 0.0)
        gap = Z[:, ~self.kept] - Z[:, self.kept] @ self.by_regressors - gap
        size = np.abs(Z[:, ~self.kept]) + np.abs(Z[:, self.kept]) @ np.abs(self.by_regressors) + size
        return np.asarray((np.abs(gap) <= _CLOSE * size + _NOTHING * np.abs(X[:, ~self.kept])).all(axis=1))


def layout_fit(layout: Layout, values: Array) -> list[Array]:
    """Return the effects that fit ``values`` (n, m) best, unweighted."""
    return layout.weighted(np.ones(len(values))).absorb(values)[1]


def summed(effects: Sequence[Effect], values: Sequence[Array], at: Sequence[At]) -> tuple[Array, Array]:
    """Return the sums of effects, in the units of `Slope.scaled`, on rows, and the sums of their sizes, both (m, columns)."""
    total = np.zeros((len(at[0].codes), values[0].shape[1]))
    size = np.zeros_like(total)
    for effect, value, where in zip(effects, values, at, strict=True):
        part = value[where.codes]
        if isinstance(effect, Slope) and where.variable is not None:
            origin, unit = effect.origin_and_unit()
            part = part * ((where.variable - origin[where.codes]) / unit[where.codes])[:, None]
        total += part
        size += np.abs(part)
    return total, size
