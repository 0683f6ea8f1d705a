"""What the lake writes and reads in one piece: JSON, copies, hashes; and the sweep of what a killed process left."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.atomic import MARK, replacing
from cyber_trade_econ.errors import CorruptFile

if TYPE_CHECKING:
    from pathlib import Path

_STALE_SECONDS = 3600
_BLOCK = 1 << 20


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
    for orphan in folder.rglob(f"{MARK}*"):
        try:
            old = time.time() - orphan.stat().st_mtime > _STALE_SECONDS
            if old or not _alive(orphan.name.removeprefix(MARK).split("-", 1)[0]):
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
