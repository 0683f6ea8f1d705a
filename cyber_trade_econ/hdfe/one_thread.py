"""Linear algebra on one thread while a model is fitted.

The blocks of a gravity panel are small. Threads that OpenBLAS starts for them wait for each other far longer than they
compute: on two busy cores a fit took up to seventy times as long. One thread also makes results independent of their
number.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import scipy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES = [prefix + "openblas_{}_num_threads" + suffix for prefix in ("scipy_", "") for suffix in ("64_", "")]
_lock = Lock()
_before: list[int] = []
_fits = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Set the OpenBLAS libraries that NumPy and SciPy bring along to one thread, and back afterwards.

    Of fits that run at the same time the first sets and the last sets back. Other libraries are left as they are.
    """
    global _fits  # noqa: PLW0603  the number of threads is global too
    with _lock:
        if _fits == 0:
            _before[:] = [get() for get, _ in _libraries()]
            for _, put in _libraries():
                put(1)
        _fits += 1
    try:
        yield
    finally:
        with _lock:
            _fits -= 1
            if _fits == 0:
                for (_, put), count in zip(_libraries(), _before, strict=True):
                    put(count)


@lru_cache(maxsize=1)
def _libraries() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """Return functions that get and set the number of threads of each library that is loaded."""
    found = []
    for package in (np, scipy):
        folder = Path(str(package.__file__)).parent
        for path in [*folder.parent.glob(f"{folder.name}.libs/*openblas*"), *folder.glob(".dylibs/*openblas*")]:
            try:
                library = ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0) | getattr(os, "RTLD_LAZY", 0))
            except OSError:  # this package brings it along, but nothing has needed it yet
                continue
            for name in _NAMES:
                if hasattr(library, name.format("get")) and hasattr(library, name.format("set")):
                    found.append((getattr(library, name.format("get")), getattr(library, name.format("set"))))
                    break
    return tuple(found)
