"""What the script of a study says about itself in its docstring; the script is read, never run."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from cyber_trade_econ.errors import ParseError

_HEADING = re.compile(r"^(?P<name>[A-Z][A-Za-z ]*)\n-{3,}[ \t]*$", re.MULTILINE)
_ENTRY = re.compile(r"\n\s*\n|\n(?=- )")


@dataclass(frozen=True)
class Words:
    """Docstring of a study: its first line, its paragraphs, and the entries under ``References`` and ``Data``."""

    title: str = ""
    paragraphs: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    sha256: str = ""


def read(path: Path) -> Words:
    """Return the words of the script at ``path``.

    Sections are underlined with dashes; entries are separated by blank lines or start with ``- ``.

    Raises
    ------
    ParseError
        If the file is not Python in UTF-8.
    """
    content = path.read_bytes()
    try:
        text = ast.get_docstring(ast.parse(content)) or ""
    except (SyntaxError, ValueError) as error:
        raise ParseError(f"{path.name} of {path.parent.name} is not a Python script", found=str(error)) from error
    pieces = _HEADING.split(text)
    sections = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    title, *paragraphs = _entries(pieces[0]) or ("",)
    return Words(
        title=title.rstrip("."),
        paragraphs=tuple(paragraphs),
        references=_entries(sections.get("References", "")),
        data=_entries(sections.get("Data", "")),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _entries(text: str) -> tuple[str, ...]:
    parts = (" ".join(part.split()).removeprefix("- ") for part in _ENTRY.split(text))
    return tuple(p for p in parts if p)


def running(name: str) -> Path | None:
    """Return the path of the script being run where it is ``<name>/main.py``, else nothing (a notebook, a prompt)."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    path = Path(file).resolve() if file else None
    return path if path is not None and path.name == "main.py" and path.parent.name == name else None
