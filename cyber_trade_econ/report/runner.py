"""Run the script of a study with settings of the caller."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import UnknownName
from cyber_trade_econ.report.check import check
from cyber_trade_econ.report.study import CHOICES, Choice, Settings, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CHOICES", "check", "run"]


def run(folder: Path, out: Path, *, data: Choice, in_lake: Callable[[str], bool], say: Callable[[str], None]) -> Path:
    """Execute ``main.py`` of a study's folder; its `study` handle writes into ``out``.

    Parameters
    ----------
    folder
        Folder of the study, with ``main.py``.
    out, data, in_lake, say
        As in `Settings`.

    Returns
    -------
    ``out``.

    Raises
    ------
    UnknownName
        If the folder has no script.
    """
    script = folder / "main.py"
    if not script.is_file():
        raise UnknownName(f"there is no study in {folder.name!r}", fix="A study is a folder with main.py.")
    with running(Settings(out=out, data=data, in_lake=in_lake, say=say)):
        runpy.run_path(str(script), run_name="__main__")
    return out
