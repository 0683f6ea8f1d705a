"""Whole files or none: what a study publishes is never half written."""

from __future__ import annotations

from pathlib import Path

from cyber_trade_econ.atomic import replacing
from cyber_trade_econ.errors import ConfigError


def whole(target: Path | str, content: bytes | str) -> Path:
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
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def suffix(target: Path | str, allowed: tuple[str, ...]) -> str:
    """Return the lower-case suffix of ``target``, refusing those outside ``allowed``."""
    found = Path(target).suffix.lower()
    if found not in allowed:
        raise ConfigError(
            f"the file name {Path(target).name!r} has no known format", found=found or "no suffix", allowed=allowed
        )
    return found
