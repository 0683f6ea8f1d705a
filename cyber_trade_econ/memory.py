"""How much memory this process may still use, and the refusal of work that needs more."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import EstimationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROW, _CELL, _LEVEL = (6.0, 1.5), (2.0, 2.0), 4.0
"""Numbers that a fit holds at its peak per row, and per cell of a gravity panel: alone, and for each regressor written out;
and per level of a gravity panel for each regressor that is listed.

Measured on the leanest path, so that nothing is refused that would have fitted; other paths hold up to twice as much.
"""

SMALLER = "Use fewer rows or fewer terms; categories of i() by which nothing else varies can be fixed effects."
"""What to do about a fit that does not fit into memory."""

_GROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_GIB = 1024.0**3


class NotEnoughMemory(EstimationError):
    """What was asked for needs more memory than there is; nothing of it is kept."""


@contextmanager
def told(what: str, fix: str) -> Iterator[None]:
    """Say what did not fit where an allocation fails that no estimate foresaw."""
    try:
        yield
    except MemoryError as error:
        raise NotEnoughMemory(
            f"{what} does not fit into memory", found=str(error) or "an allocation failed", fix=fix
        ) from error


def require(needed: float, what: str, fix: str) -> None:
    """Refuse work that needs ``needed`` bytes where it is known that they are not there.

    Raises
    ------
    NotEnoughMemory
        With the estimate, what is available and what to do.
    """
    free = available()
    if free is not None and needed > free:
        raise NotEnoughMemory(
            f"{what} needs about {needed / _GIB:.3g} GiB of memory", found=f"{free / _GIB:.3g} GiB available", fix=fix
        )


def room_for_fit(rows: int, k: int, levels: Sequence[int], listed: int = 0) -> None:
    """Refuse a fit that cannot fit into memory, before anything of its size is allocated.

    Parameters
    ----------
    rows, k, levels
        Rows, regressors, and levels of each effect.
    listed
        Regressors that are lists of what is not zero in them; only gravity panels leave them as such.

    Raises
    ------
    NotEnoughMemory
    """
    full, effects = (k - listed, _LEVEL * listed * sum(levels)) if len(levels) == 3 else (k, 0.0)
    require(
        8.0 * (rows * (_ROW[0] + _ROW[1] * full) + effects) + _boxes(rows, full),
        f"a fit of {rows:,} rows and {k:,} regressors",
        SMALLER,
    )


def holds_boxes(cells: int, full: int) -> bool:
    """Whether there is room for the cells of a gravity panel, many of which may be empty, with ``full`` regressors each."""
    free = available()
    return free is None or _boxes(cells, full) <= free


def _boxes(cells: int, full: int) -> float:
    return 8.0 * cells * (_CELL[0] + _CELL[1] * full)


def available() -> float | None:
    """Return the bytes that can be had without swapping: the least of what machine, process and control groups say.

    ``None`` stands for a system that says nothing; then nothing is refused.
    """
    known = [free for free in (_machine(), _address_space(), *_control_groups()) if free is not None]
    return min(known) if known else None


def _machine() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kib = {line.split(":")[0]: line.split()[1] for line in lines if len(line.split()) > 1}
        return 1024.0 * int(kib["MemAvailable"])
    except (OSError, KeyError, ValueError):
        pass
    try:  # free pages alone, without what the system would give back, would refuse too much
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _address_space() -> float | None:
    """Return what is left under the limit of this process, such as that of ``ulimit -v`` or of a batch system."""
    if find_spec("resource") is None:  # as on Windows
        return None
    resource = import_module("resource")
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError):
        return float(most)
    return max(float(most) - pages * os.sysconf("SC_PAGE_SIZE"), 0.0)


def _control_groups() -> list[float]:
    """Return what is left under the limit of each group that this process is in, version 2 or 1."""
    try:
        lines = _OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, kinds, name = line.split(":", 2)
        root, limit, used = (
            (_GROUPS, "memory.max", "memory.current")
            if not kinds
            else (_GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        if kinds and "memory" not in kinds.split(","):
            continue
        here = root / name.strip("/")
        # Inside a container the name may be that of the host; then the root of the mount is the group itself.
        for folder in (here, *(p for p in here.parents if p == root or root in p.parents)):
            most, now = _number(folder / limit), _number(folder / used)
            if most is not None and now is not None:
                left.append(max(most - now + _reclaimable(folder), 0.0))
    return left


def _number(path: Path) -> float | None:
    """Return the number in a file; ``None`` where there is none, as for ``max``, which is no limit."""
    try:
        return float(int(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path) -> float:
    """Return the bytes of files that the group keeps in memory and would give back."""
    try:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
        return float(stat.get("inactive_file", stat.get("total_inactive_file", 0)))
    except (OSError, ValueError):
        return 0.0
