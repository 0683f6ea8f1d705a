"""Writes that are whole or absent: a temporary name, fsync, rename, fsync of the folder."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.errors import CorruptFile, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK = ".tmp-"
_STALE_SECONDS = 3600
_BLOCK = 1 << 20


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success its file takes the name ``target`` in one step.

    Raises
    ------
    StorageError
        The disk is full, read-only or otherwise refuses. Nothing is left under the final name, and an older file stays.
    """
    temporary = target.with_name(f"{_MARK}{os.getpid()}-{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        publish(temporary, target)
    except OSError as error:
        raise StorageError(
            f"cannot write {target.name}",
            found=error.strerror or str(error),
            fix="Free some space, or choose another folder with the variable CYBER_TRADE_ECON_LAKE.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


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


def write_json(target: Path, content: Any) -> None:
    """Write a mapping as JSON with sorted keys."""
    with replacing(target) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping; empty when the file does not exist.

    Raises
    ------
    CorruptFile
        If it is not JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CorruptFile(
            f"{path.name} in the lake is damaged", found=str(error), fix=f"Delete {path} and pull again."
        ) from None
    if not isinstance(content, dict):
        raise CorruptFile(
            f"{path.name} in the lake is damaged", found=type(content).__name__, fix=f"Delete {path} and pull again."
        )
    return content


def sha256(path: Path) -> str:
    """Sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy(source: Path, target: Path) -> str:
    """Copy a file in one step and return the sha256 of the bytes copied."""
    digest = hashlib.sha256()
    with replacing(target) as temporary, source.open("rb") as read, temporary.open("wb") as write:
        while block := read.read(_BLOCK):
            digest.update(block)
            write.write(block)
    return digest.hexdigest()


def sweep(folder: Path) -> int:
    """Delete temporary files that a killed process left: older than an hour, or of a process that is gone."""
    count = 0
    for orphan in folder.rglob(f"{_MARK}*"):
        try:
            old = time.time() - orphan.stat().st_mtime > _STALE_SECONDS
            if old or not _alive(orphan.name.removeprefix(_MARK).split("-", 1)[0]):
                orphan.unlink()
                count += 1
        except FileNotFoundError:  # its owner finished in the meantime
            continue
    return count


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
