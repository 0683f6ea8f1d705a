"""Where the files that travel with the package lie: in the wheel, or in the source checkout around it."""

from __future__ import annotations

from pathlib import Path

from cyber_trade_econ.errors import StorageError

_PACKAGE = Path(__file__).resolve().parent.parent


def path(name: str) -> Path:
    """Return the path of a shipped file or folder such as ``"data/events/events.csv"``.

    Raises
    ------
    StorageError
        If neither the installed package nor the source checkout has it.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        candidate = root / name
        if candidate.exists():
            return candidate
    raise StorageError(
        f"the shipped file {name!r} is missing", fix="Reinstall cyber-trade-econ; its wheel is incomplete."
    )
