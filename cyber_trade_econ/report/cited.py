"""What to cite when using a study."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.report import script
from cyber_trade_econ.version import __version__

if TYPE_CHECKING:
    from pathlib import Path


def lines(folder: Path) -> list[str]:
    """Return the citations of a study's data, methods and package, under their headings.

    Data come from the published ``run.json``, where there is one, else from the section ``Data`` of the script's
    docstring; methods from its section ``References``.

    Raises
    ------
    ParseError
        If the script or ``run.json`` cannot be read.
    """
    words = script.read(folder / "main.py")
    data = _data(folder / "out" / "run.json") or list(words.data)
    package = f"cyber_trade_econ, version {__version__}; study {folder.name}: {words.title}."
    out: list[str] = []
    for heading, entries in (("Data", data), ("Methods", list(words.references)), ("Package", [package])):
        out += [heading, *(f"  {entry}" for entry in entries or ["none declared"])]
    return out


def _data(run: Path) -> list[str]:
    if not run.is_file():
        return []
    try:
        sources = json.loads(run.read_text(encoding="utf-8"))["sources"]
        found = [_one(name, facts) for name, facts in sources.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParseError(f"run.json of {run.parent.parent.name} cannot be read", found=repr(error)) from error
    return list(dict.fromkeys(found))


def _one(name: str, facts: dict[str, object]) -> str:
    text = str(facts.get("citation") or name)
    extra = [f"{key}: {facts[key]}" for key in ("version", "retrieved", "licence") if facts.get(key)]
    return text + (f" [{'; '.join(extra)}]" if extra else "")
