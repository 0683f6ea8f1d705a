"""Work in numbered pieces, carried by any executor; what comes out depends on the numbers alone."""

from __future__ import annotations

from itertools import pairwise, repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cyber_trade_econ.hdfe.one_thread import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

_BLOCKS = 32  # pieces travel together, because what they share travels once with each block

T = TypeVar("T")


def carried(work: Callable[[int], T], count: int, executor: Executor | None) -> list[T]:
    """Return ``work(0), work(1), ...`` in this order, whoever computed them and in whatever order they were done.

    Parameters
    ----------
    work
        Function of a number; for an executor of processes it and its result must be picklable.
    count
        Number of pieces.
    executor
        Carries blocks of pieces; ``None`` computes one after the other here.
    """
    if executor is None:
        return _block(work, range(count))
    cuts = np.linspace(0, count, min(count, _BLOCKS) + 1).astype(int).tolist()
    blocks = [range(low, high) for low, high in pairwise(cuts)]
    return [piece for block in executor.map(_block, repeat(work), blocks) for piece in block]


@one_thread()
def _block(work: Callable[[int], T], numbers: range) -> list[T]:
    return [work(number) for number in numbers]


def generator(seed: int, number: int) -> np.random.Generator:
    """Return the random numbers of one piece: those of the child ``number`` that `numpy.random.SeedSequence.spawn` makes."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
