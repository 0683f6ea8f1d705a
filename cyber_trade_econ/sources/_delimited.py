"""Read small comma-separated files strictly: declared encoding, whole rows, no guessing of types."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ParseError

if TYPE_CHECKING:
    from pathlib import Path

csv.field_size_limit(1 << 24)


def rows(path: Path, encodings: tuple[str, ...] = ("utf-8-sig",)) -> tuple[list[str], list[list[str]], str]:
    """Return header, rows and the encoding that fitted.

    Raises
    ------
    ParseError
        Undecodable or NUL bytes, a row of another width than the header, an open quote, an end inside a row, no rows.
    """
    text, encoding = _decoded(path.read_bytes(), path.name, encodings)
    if text and not text.endswith("\n"):
        raise ParseError(
            f"{path.name} ends inside a row",
            found=repr(text[-40:]),
            fix="Pull again; if the file is whole, end it with a newline.",
        )
    header, out = _parsed(text, path.name)
    return header, out, encoding


def beginning(path: Path, encodings: tuple[str, ...] = ("utf-8-sig",)) -> tuple[list[str], list[list[str]], bool]:
    """Return header and whole rows of a file that is declared to be the beginning of a longer one, and whether it is cut.

    What follows the last end of a line outside quotes is the row that was cut; it is left out.

    Raises
    ------
    ParseError
        As in `rows`, but for an end inside a row.
    """
    text, _ = _decoded(path.read_bytes(), path.name, encodings)
    end = len(text)
    while (end := text.rfind("\n", 0, end)) >= 0 and text.count('"', 0, end) % 2:
        continue
    whole = text[: end + 1]
    header, out = _parsed(whole, path.name)
    return header, out, whole != text


def _parsed(text: str, name: str) -> tuple[list[str], list[list[str]]]:
    if "\0" in text:
        raise ParseError(f"{name} has a NUL byte", found=f"at character {text.index(chr(0))}")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    out: list[list[str]] = []
    header: list[str] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        for row in reader:
            if not row:  # a blank line
                continue
            if len(row) != len(header):
                raise ParseError(
                    f"{name} has a row of another width, line {reader.line_num}",
                    found=len(row),
                    allowed=f"{len(header)} fields",
                )
            out.append(row)
    except csv.Error as error:
        raise ParseError(f"{name} is not well-formed near line {reader.line_num}", found=str(error)) from None
    if not out:
        raise ParseError(f"{name} has no rows", found=f"header {header[:8]}")
    return header, out


def _decoded(raw: bytes, name: str, encodings: tuple[str, ...]) -> tuple[str, str]:
    reason = ""
    for encoding in encodings:
        try:
            return raw.decode(encoding), encoding
        except UnicodeDecodeError as error:
            reason = f"byte {raw[error.start]:#04x} at offset {error.start}"
    raise ParseError(f"{name} is not text in {' or '.join(encodings)}", found=reason)
