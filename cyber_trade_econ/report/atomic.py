"""Whole files or none: what a study publishes is never half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from cyber_trade_econ.errors import ConfigError, StorageError


def write(target: Path | str, content: bytes | str) -> Path:
    r"""Write ``content`` to ``target`` through a temporary file beside it, creating the folder.

    Parameters
    ----------
    target
        File to create or replace.
    content
        Bytes, or text that is written as UTF-8 with ``\n`` line ends on every platform.

    Raises
    ------
    StorageError
        If the folder or the file cannot be written; the old file is then untouched.
    """
    path = Path(target)
    data = content.encode("utf-8") if isinstance(content, str) else content
    scratch: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        scratch = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.chmod(0o644)  # mkstemp makes files that nobody else may read
        scratch.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}", found=error.strerror or error, fix="Choose a writable folder."
        ) from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
    return path


def suffix(target: Path | str, allowed: tuple[str, ...]) -> str:
    """Return the lower-case suffix of ``target``, refusing those outside ``allowed``."""
    found = Path(target).suffix.lower()
    if found not in allowed:
        raise ConfigError(
            f"the file name {Path(target).name!r} has no known format", found=found or "no suffix", allowed=allowed
        )
    return found
