"""Linear algebra on one thread while a model is fitted.

The blocks of a gravity panel are small. Threads that OpenBLAS starts for them wait for each other far longer than they
compute: on two busy cores a fit took up to seventy times as long. One thread also makes results independent of their
number.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Switch = tuple[Callable[[], int], Callable[[int], None]]

_NAMES = [prefix + "openblas_{}_num_threads" + suffix for prefix in ("scipy_", "") for suffix in ("64_", "")]
_BRINGS = {"numpy": "numpy", "scipy": "scipy.linalg"}  # package, and the module with which its library is loaded
_lock = Lock()
_found: dict[str, list[Switch]] = {}
_before: dict[str, list[int]] = {}
_fits = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Set the OpenBLAS libraries that NumPy and SciPy bring along to one thread, and back afterwards.

    Of fits that run at the same time the first sets and the last sets back. Other libraries are left as they are.
    """
    global _fits  # noqa: PLW0603  the number of threads is global too
    with _lock:
        _fits += 1
    join()
    try:
        yield
    finally:
        with _lock:
            _fits -= 1
            if _fits == 0:
                for package, counts in _before.items():
                    for (_, put), count in zip(_libraries(package), counts, strict=True):
                        put(count)
                _before.clear()


def join() -> None:
    """Set libraries that were loaded since the fit began to one thread as well; without a fit nothing is done."""
    with _lock:
        for package, module in _BRINGS.items():
            if _fits and package not in _before and module in sys.modules:
                _before[package] = [get() for get, _ in _libraries(package)]
                for _, put in _libraries(package):
                    put(1)


def _libraries(package: str) -> list[Switch]:
    """Return functions that get and set the number of threads of each library that a loaded package brought along."""
    if _found.get(package):
        return _found[package]
    found: list[Switch] = []
    folder = Path(str(sys.modules[package].__file__)).parent
    for path in [*folder.parent.glob(f"{folder.name}.libs/*openblas*"), *folder.glob(".dylibs/*openblas*")]:
        try:
            library = ctypes.CDLL(str(path), mode=getattr(os, "RTLD_NOLOAD", 0) | getattr(os, "RTLD_LAZY", 0))
        except OSError:  # this package brings it along, but nothing has needed it yet
            continue
        for name in _NAMES:
            if hasattr(library, name.format("get")) and hasattr(library, name.format("set")):
                found.append((getattr(library, name.format("get")), getattr(library, name.format("set"))))
                break
    _found[package] = found
    return found
