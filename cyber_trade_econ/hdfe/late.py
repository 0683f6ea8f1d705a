"""SciPy, loaded when it is first needed.

Fits of gravity panels of moderate size get by with NumPy. Loading SciPy would take longer than such a fit, and starts the
threads of a second linear algebra library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.hdfe import one_thread


class Late:
    """A module that is imported when one of its names is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)
        one_thread.join()  # the library may have been loaded in the middle of a fit
        return value


if TYPE_CHECKING:
    from scipy import linalg, optimize, sparse
    from scipy.linalg import blas, lapack
    from scipy.sparse import csgraph
else:
    linalg, optimize, sparse = Late("scipy.linalg"), Late("scipy.optimize"), Late("scipy.sparse")
    blas, lapack, csgraph = Late("scipy.linalg.blas"), Late("scipy.linalg.lapack"), Late("scipy.sparse.csgraph")

__all__ = ["blas", "csgraph", "lapack", "linalg", "optimize", "sparse"]
