"""Random weights of clusters: drawn in blocks whose seeds depend on nothing but their number."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.inference.scores import ClusterScores

_BLOCK = 1000
_TIE = 1e-9  # difference, relative and absolute, up to which two statistics are the same number
_SIX = np.sqrt(np.array([1.5, 1.0, 0.5]))
_WEBB = np.concatenate([-_SIX, _SIX])


@dataclass(frozen=True)
class Plan:
    """Which draws to make.

    Parameters
    ----------
    clusters, asked, weights, seed
        Number of clusters, draws asked for, kind of weights, seed.
    """

    clusters: int
    asked: int
    weights: str
    seed: int

    @property
    def all_signs(self) -> bool:
        """Whether every sign pattern is used, in place of random ones."""
        return self.weights == "rademacher" and 2**self.clusters <= self.asked

    @property
    def count(self) -> int:
        """Number of draws made; a pattern and its mirror image have the same absolute statistic and count as one."""
        return 2 ** (self.clusters - 1) if self.all_signs else self.asked

    @property
    def smallest(self) -> float:
        """Smallest p-value that a test with the null imposed can have."""
        return 1 / self.count if self.all_signs else 1 / (self.asked + 1)

    def block(self, number: int) -> Array:
        """Return block ``number`` of the draws, shape (at most a thousand, G)."""
        first = number * _BLOCK
        size = min(_BLOCK, self.count - first)
        if self.all_signs:
            bits = np.arange(first, first + size)[:, None] >> np.arange(self.clusters - 1) & 1
            return np.column_stack([np.ones(size), 1.0 - 2.0 * bits])
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number,)))
        points = _WEBB if self.weights == "webb" else np.array([-1.0, 1.0])
        return np.asarray(rng.choice(points, (size, self.clusters)))

    @property
    def blocks(self) -> range:
        """Numbers of the blocks."""
        return range(-(-self.count // _BLOCK))

    def p_value(self, drawn: Array, sample: float, *, imposed: bool) -> float:
        """Share of draws at least as far from zero as the sample, which is one of them where all sign patterns are used."""
        beyond = int(np.sum(np.abs(drawn) >= abs(sample) * (1 - _TIE) - _TIE))
        if self.all_signs and imposed:
            return beyond / self.count
        return (1 + beyond) / (1 + self.count)


def statistics(plan: Plan, scores: ClusterScores, executor: Executor | None) -> Array:
    """Return the statistic of every draw, in the order of the draws whatever carried them."""
    run = map if executor is None else executor.map
    return np.concatenate(list(run(_of_block, repeat(plan), repeat(scores), plan.blocks)))


def _of_block(plan: Plan, scores: ClusterScores, number: int) -> Array:
    return scores.statistic(plan.block(number))
