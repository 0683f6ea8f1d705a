"""Read a sheet of an Excel workbook as rows, and check its header for the columns that a source needs."""

from __future__ import annotations

import difflib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_calamine import CalamineError, CalamineWorkbook, ZipError

from cyber_trade_econ.errors import ParseError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows = list[list[Any]]


def rows(content: Path | bytes, name: str, sheet: int = 0) -> tuple[list[str], Rows]:
    """Return header and rows of one sheet.

    Parameters
    ----------
    content
        Path of the workbook, or its bytes.
    name
        File name for messages.
    sheet
        Place of the sheet, 0 for the first.

    Raises
    ------
    ParseError
        Not a workbook, cut, without that sheet, or without rows.
    """
    raw = content.read_bytes() if isinstance(content, Path) else content
    try:
        lines = CalamineWorkbook.from_filelike(io.BytesIO(raw)).get_sheet_by_index(sheet).to_python()
    except (CalamineError, ZipError, OSError) as error:
        raise ParseError(
            f"{name} cannot be read as a workbook", found=str(error)[:120], fix="Delete it and pull again."
        ) from None
    if len(lines) < 2:
        raise ParseError(f"{name} has no rows", found=f"{len(lines)} line(s)")
    return [str(cell).strip() for cell in lines[0]], lines[1:]


def require(header: Sequence[str], needed: Sequence[str], name: str) -> None:
    """Raise SchemaError, with the nearest names, when a column is missing from a header."""
    missing = [n for n in needed if n not in header]
    if missing:
        near = {m: difflib.get_close_matches(m, header, 1) for m in missing}
        raise SchemaError(
            f"{name} lacks column(s) {missing}",
            found=list(header)[:40],
            fix="; ".join(f"{m!r} may now be {n[0]!r}" for m, n in near.items() if n)
            or "The publisher changed the layout.",
        )
