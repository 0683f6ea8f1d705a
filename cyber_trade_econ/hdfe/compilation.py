"""Which kernels a fit runs on: compiled ones where they pay and are ready, NumPy otherwise.

numba is optional, and nobody waits for its compiler. Compiled loops serve panels so large that loading them pays; machine
code comes from numba's cache on disk. Where that has none yet the fit runs on NumPy, while another process of low priority
fills the cache for later fits: a thread would take the interpreter from the fit, and an interpreter that exits while a thread
is inside the compiler can crash. ``CYBER_TRADE_ECON_KERNELS=numpy`` in the environment switches all of this off, for results
that are the same to the last bit whatever is installed; any other word is refused.
``python -c "from cyber_trade_econ.hdfe.compilation import build; build()"`` fills the cache ahead of use, as when an image is
made.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock, get_ident
from typing import Any

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.hdfe.kernels import NUMPY, Kernels

SWITCH = "CYBER_TRADE_ECON_KERNELS"

WORTH = 5_000_000
"""Cells times columns from which on two fits save what loading the compiled loops costs, a third of a second."""

_FASTMATH = {"reassoc", "contract", "nsz"}
_SIGNATURES = {  # dimensions of the arguments; "f" is single precision, "v" a view that need not be contiguous
    "balance": ("3 2 2 2",),
    "moments": ("3 2 4 3 2",),
    "product": ("3 3v 2 2 2 3 3",),
    "solve": ("3f 3f 2 2 3 3", "3 3 2 2 3 3"),
    "net": ("4 3 2 3 3",),
}
_log = logging.getLogger(__name__)
_lock = Lock()
_ready: list[Kernels] = []
_builders: list[subprocess.Popen[bytes]] = []


class _NotOnDisk(Exception):
    """Machine code would have to be made."""


def chosen(cells: int, columns: int) -> Kernels:
    """Return the kernels for a panel of so many cells and columns (regressors and outcome)."""
    asked = os.environ.get(SWITCH, "")
    if asked not in ("", NUMPY.name):
        raise ConfigError(
            f"the environment variable {SWITCH}",
            found=repr(asked),
            allowed=f"{NUMPY.name!r}, or nothing for compiled kernels where they pay",
        )
    if cells * columns < WORTH or asked or find_spec("numba") is None:
        return NUMPY
    kernels = load()
    if kernels is NUMPY:
        _build_elsewhere()
    return kernels


def load(*, make: bool = False) -> Kernels:
    """Return the compiled kernels, those of NumPy where machine code is not on disk and shall not be made."""
    with _lock:
        if not _ready:
            kernels = _made(wait=-1) if make else _loaded(make=False)
            if kernels is NUMPY:
                return NUMPY
            _ready.append(kernels)
        return _ready[0]


def build() -> None:
    """Fill the cache on disk at low priority, unless another process is at it."""
    if hasattr(os, "nice"):
        os.nice(19)
    _made(wait=0)


def _made(*, wait: float) -> Kernels:
    """Load the functions, or make them: one process at a time, because two would overwrite each other's entries on disk."""
    from filelock import FileLock, Timeout

    functions = _functions()
    if not functions:
        return NUMPY
    try:
        with FileLock(Path(functions["product"].stats.cache_path) / "kernels.lock", timeout=wait):
            return _loaded(make=True)
    except Timeout:
        return NUMPY


def _loaded(*, make: bool) -> Kernels:
    functions = _functions()
    if not functions:
        return NUMPY
    try:
        for name, signatures in _SIGNATURES.items():
            for signature in signatures:
                _compile(functions[name], signature, make=make)
    except _NotOnDisk:
        return NUMPY
    except (UnpicklingError, EOFError, OSError) as error:
        _log.info(
            "compiled kernels on disk are damaged; remove the files in %s: %s",
            functions["product"].stats.cache_path,
            error,
        )
        return NUMPY
    for function in functions.values():
        function.disable_compile()  # arguments of another type are a mistake, not a reason to compile
    return Kernels("numba", **functions)


@cache
def _functions() -> dict[str, Any]:
    """Return numba's functions, nothing compiled yet; none where it does not fit NumPy, is off or cannot write to disk."""
    try:
        numba = import_module("numba")
        source = import_module("cyber_trade_econ.hdfe.compiled")
        if numba.config.DISABLE_JIT:
            return {}
        jit = numba.njit(cache=True, nogil=True, fastmath=_FASTMATH, error_model="numpy")
        return {name: jit(getattr(source, name)) for name in _SIGNATURES}
    except (ImportError, RuntimeError, OSError) as error:
        _log.info("compiled kernels cannot be used: %s", error)
        return {}


def _compile(function: Any, dimensions: str, *, make: bool) -> None:
    """Load the machine code of one function; make it only if that is asked for, and raise `_NotOnDisk` otherwise."""
    event = import_module("numba.core.event")
    arrays = []
    for code in dimensions.split():
        inner = ", ".join([":"] * (int(code[0]) - 1) + [":" if code.endswith("v") else "::1"])
        arrays.append(f"float{32 if code.endswith('f') else 64}[{inner}]")
    here = get_ident()

    def refuse(_listener: Any, _event: Any) -> None:
        if get_ident() == here and not make:  # other threads may compile what is theirs
            raise _NotOnDisk

    listener = type("Refusal", (event.Listener,), {"on_start": refuse, "on_end": lambda *_: None})()
    with event.install_listener("numba:compile", listener):
        function.compile(f"({', '.join(arrays)})")


def _build_elsewhere() -> None:
    """Start a process that fills the cache, once, where this one is an ordinary interpreter."""
    if _builders:
        _builders[0].poll()
        return
    python = Path(sys.executable or "")
    if getattr(sys, "frozen", False) or not python.name.lower().startswith("python") or not _functions():
        return
    code = f"import sys; sys.path[:] = {sys.path!r}; from cyber_trade_econ.hdfe.compilation import build; build()"
    try:
        process = subprocess.Popen(  # noqa: S603  this interpreter, and code of this package
            [str(python), "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        _log.info("compiled kernels cannot be made: %s", error)
        return
    _builders.append(process)
    _log.info("compiled kernels are being made for later fits")
