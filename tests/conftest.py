"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Before NumPy is loaded: several test processes whose linear algebra starts threads of its own wait for each other.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Drawn inputs are the same in every run: a failure is a change of the code, never of the draw.
settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the checkout; tests that use them are skipped where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared, which are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the checkout the tests lie in."""
    return ROOT


@pytest.fixture(autouse=True)
def own_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes the lake of the person who runs it."""
    home = tmp_path / "lake"
    monkeypatch.setenv("CYBER_TRADE_ECON_LAKE", str(home))
    return home


class Shuffled(Executor):
    """Threads that finish in an order of their own."""

    def __init__(self) -> None:
        self.pool, self.wait = ThreadPoolExecutor(3), random.Random(5)  # noqa: S311

    def submit(self, fn, /, *args, **kwargs) -> Future:
        def late(pause: float):
            time.sleep(pause)
            return fn(*args, **kwargs)

        return self.pool.submit(late, self.wait.random() / 50)

    def shutdown(self, wait=True, *, cancel_futures=False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)


EXECUTORS = {
    "threads 1": lambda: ThreadPoolExecutor(1),
    "threads 2": lambda: ThreadPoolExecutor(2),
    "threads 3": lambda: ThreadPoolExecutor(3),
    "shuffled": Shuffled,
    "processes 2": lambda: ProcessPoolExecutor(2, mp_context=get_context("spawn")),
}


@pytest.fixture(params=list(EXECUTORS))
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Whoever can carry pieces of work; a test runs with each of them in turn."""
    with EXECUTORS[request.param]() as pool:
        yield pool


@pytest.fixture
def processes() -> Iterator[Executor]:
    """Two other processes, which see nothing of this one but what is sent to them."""
    with EXECUTORS["processes 2"]() as pool:
        yield pool


@pytest.fixture(scope="session")
def lp_oracle():
    """Rows that a linear programme over all columns ``Z``, dummies written out, finds separated."""
    return _separated_by_definition


def _separated_by_definition(y, Z):
    """Separation by one linear programme on the full matrix, the definition itself."""
    import numpy as np
    from scipy import optimize

    zero = y == 0
    k = Z.shape[1]
    n0 = int(zero.sum())
    answer = optimize.linprog(
        np.concatenate([np.zeros(k), -np.ones(n0)]),
        A_ub=np.column_stack([-Z[zero], np.eye(n0)]),
        b_ub=np.zeros(n0),
        A_eq=np.column_stack([Z[~zero], np.zeros(((~zero).sum(), n0))]),
        b_eq=np.zeros(int((~zero).sum())),
        bounds=[(None, None)] * k + [(0, 1)] * n0,
    )
    assert answer.status == 0
    out = np.zeros(len(y), dtype=bool)
    out[np.flatnonzero(zero)] = answer.x[k:] > 0.5
    return out
