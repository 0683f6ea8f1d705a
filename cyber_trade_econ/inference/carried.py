"""Work in numbered pieces, carried by any executor; what comes out depends on the numbers alone."""

from __future__ import annotations

from concurrent.futures import Executor
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.hdfe.one_thread import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

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


def check_drawing(what: str, *, draws: int, seed: int, executor: Executor | None, least: int = 2) -> None:
    """Refuse a number of draws too small to say anything, a seed that draws nothing that can be drawn again, no executor."""
    _check_whole(f"{what}(draws=...)", draws, least)
    _check_whole(f"{what}(seed=...)", seed, 0)
    check_executor(what, executor)


def check_executor(what: str, executor: Executor | None) -> None:
    """Refuse what cannot carry work."""
    if executor is not None and not isinstance(executor, Executor):
        raise ConfigError(
            f"{what}(executor=...)", found=repr(executor), allowed="an executor of concurrent.futures, or None"
        )


def check_clusters(what: str, by: str) -> None:
    """Refuse what names no cluster variable."""
    if not isinstance(by, str) or not by:
        raise ConfigError(
            f"{what}(by=...)", found=repr(by), allowed="the name of a cluster column, or columns joined by ^"
        )


def _check_whole(what: str, number: int, least: int) -> None:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise ConfigError(what, found=repr(number), allowed=f"a whole number, {least} or more")
