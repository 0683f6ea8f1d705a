"""Text of others inside TeX, HTML, Markdown and CSV, where some characters are commands."""

from __future__ import annotations

import html as _html
import re

# Those that start or end a group must map to text without a bare special character of its own.
_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after \\ a bare bracket would be read as its optional argument
    "]": "{]}",
    "*": "{*}",
    "×": r"$\times$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "²": "$^2$",
    "–": "--",
    "—": "---",
    "\N{NO-BREAK SPACE}": "~",
}
_MARKDOWN = re.compile(r"([\\`*_\[\]|$~#!])")
# Control characters, surrogates, line breaks and marks that turn the direction of writing have no place in a label.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


def plain(text: str) -> str:
    """Return ``text`` on one line, without control characters."""
    return _CONTROL.sub(" ", text)


def tex(text: str) -> str:
    """Return ``text`` so that TeX prints it and executes nothing."""
    return "".join(_TEX.get(c, c) for c in plain(text))


def html(text: str) -> str:
    """Return ``text`` for an HTML element or a quoted attribute."""
    return _html.escape(plain(text), quote=True)


def markdown(text: str) -> str:
    """Return ``text`` for a cell of a pipe table: no markup, no HTML, no cell border."""
    shown = _MARKDOWN.sub(r"\\\1", plain(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def spreadsheet(text: str) -> str:
    """Return a text cell on one line that no spreadsheet takes for a formula (leading apostrophe); not for numbers."""
    return ("'" if text.startswith(_FORMULA_START) else "") + plain(text)
