"""Show one event as plain text."""

from __future__ import annotations

import difflib
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import UnknownName
from cyber_trade_econ.events.codebook import codebook
from cyber_trade_econ.events.dates import ROLES, span
from cyber_trade_econ.events.read import read
from cyber_trade_econ.events.validate import COLUMNS, validate
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cyber_trade_econ.events.codebook import Codebook

_WIDE = 24
_WRAP = textwrap.TextWrapper(100, subsequent_indent=" " * _WIDE, break_long_words=False, break_on_hyphens=False)
_CODED = COLUMNS[COLUMNS.index("companies") : COLUMNS.index("source_kind")]
_SOURCED = COLUMNS[COLUMNS.index("source_kind") :]


def show(event_id: str, path: str | Path | None = None) -> str:
    """Return one event as a block of plain text: title, pair, dates with their meaning, codes, sources and note.

    Raises
    ------
    UnknownName
        If there is no such event; the message names the nearest ids.
    """
    book = codebook()
    text, numbered = read(shipped.path("data/events/events.csv") if path is None else Path(path))
    validate(text, book, numbered)
    found = text[text["event_id"] == event_id]
    if found.empty:
        near = difflib.get_close_matches(event_id, text["event_id"], 3, 0.5)
        raise UnknownName(
            f"event {event_id!r} does not exist",
            allowed=near or f"{len(text)} ids",
            fix="List them with events(include_unconfirmed=True)['event_id'].",
        )
    return describe({column: str(found.iloc[0][column]) for column in COLUMNS}, book)


def describe(row: Mapping[str, str], book: Codebook) -> str:
    """Return one valid row of events, column -> text, as a block of plain text."""
    who = f"{row['imposer'] or 'nobody named'} -> {row['target']} ({row['flow']})"
    lines = [row["title"], f"{row['event_id']}: {who}", ""]
    for role in ROLES:
        days = span(row[role]) if row[role] else None
        if days is not None:
            exact = "" if days.precision == "day" else f" (known to the {days.precision})"
            lines.append(f"{role:<{_WIDE}}{row[role]}{exact}")
    lines.append("")
    for column in _CODED:
        field = book.fields.get(column)
        several = field is None or field.several or field.along
        parts = (row[column].split(";") if several else [row[column]]) if row[column] else []
        firms = row[field.along].split(";") if field and field.along and len(parts) > 1 else []
        for n, part in enumerate(parts):
            meaning = f"  {field.codes[part].definition}" if field else ""
            of = f" ({firms[n]})" if firms else ""
            lines += _WRAP.wrap(f"{column:<{_WIDE}}{part}{of}{meaning}")
    lines.append("")
    for column in _SOURCED:
        for part in row[column].split(" | ") if row[column] else []:
            lines += _WRAP.wrap(f"{column:<{_WIDE}}{part}")
    return "\n".join(lines)
