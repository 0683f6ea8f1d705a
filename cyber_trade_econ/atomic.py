"""Files that are whole or absent: a temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = ".tmp-"
"""How the names of temporary files begin."""


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success its file takes the name ``target`` in one step.

    Raises
    ------
    StorageError
        The disk is full, read-only or otherwise refuses. Nothing is left under the final name, and an older file stays.
    """
    temporary = target.with_name(f"{MARK}{os.getpid()}-{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        publish(temporary, target)
    except OSError as error:
        raise StorageError(
            f"cannot write {target.name}",
            found=error.strerror or str(error),
            fix="Free some space, or choose another folder.",
        ) from error
    finally:
        if temporary.exists():  # a parent that is no folder makes unlink fail otherwise
            temporary.unlink()


def publish(temporary: Path, target: Path) -> None:
    """Move a finished file to its final name so that a crash leaves the old file or the new one, never a part."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
