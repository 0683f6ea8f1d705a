"""One process at a time per source, with a lock that dies with its owner."""

from __future__ import annotations

import json
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from cyber_trade_econ.errors import Locked, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held(home: Path, name: str, seconds: float) -> Iterator[None]:
    """Hold the lock of one source.

    Parameters
    ----------
    home
        Folder of the lake.
    name
        Name of the source.
    seconds
        How long to wait for another process.

    Raises
    ------
    Locked
        Another process held it all that time; its number and host are named.
    StorageError
        The folder cannot be written.
    """
    folder = home / "locks"
    owner = folder / f"{name}.owner"
    lock = FileLock(folder / f"{name}.lock", timeout=seconds)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise Locked(
            f"another process is at work on {name!r}",
            found=_owner(owner),
            fix=f"Wait for it, or end it. It was waited for during {seconds:g} seconds.",
        ) from None
    except OSError as error:
        raise StorageError(
            f"the lake {home} cannot be written",
            found=error.strerror or str(error),
            fix="Set the variable CYBER_TRADE_ECON_LAKE.",
        ) from error
    try:
        owner.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _owner(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}"
    except (OSError, ValueError, KeyError):
        return "a process that left no name"
