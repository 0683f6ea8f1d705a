"""Read the coded events."""

from __future__ import annotations

import csv
import difflib
import hashlib
import textwrap
from pathlib import Path

import pandas as pd

from cyber_trade_econ.errors import EventError, UnknownName
from cyber_trade_econ.events.codebook import Codebook, codebook
from cyber_trade_econ.events.dates import ROLES, span
from cyber_trade_econ.events.validate import COLUMNS, validate
from cyber_trade_econ.records import shipped
from cyber_trade_econ.version import __version__

_WRAP = textwrap.TextWrapper(100, subsequent_indent=" " * 22, break_long_words=False, break_on_hyphens=False)


def events(
    path: str | Path | None = None, include_unconfirmed: bool = False, book: Codebook | None = None
) -> pd.DataFrame:
    """Return the coded events, one row per event, checked against the codebook.

    Parameters
    ----------
    path
        A CSV file in the layout of the shipped ``data/events/events.csv``, which is read when it is None.
    include_unconfirmed
        Whether to return also the events for which no primary source carries the coded act and pair.
    book
        The coding scheme, that of the package when None.

    Returns
    -------
    Frame with the columns of the file in their order, rows in the order of the file. The date columns ``announced``,
    ``adopted``, ``effective``, ``lifted``, ``onset`` and ``disclosed`` are ``datetime64`` (the first day that the date
    can mean), each followed by ``<role>_precision`` (``day``, ``month``, ``year``, or ``""`` where there is no date).
    All other columns are text, with ``""`` for empty. ``attrs["sources"]`` says where the events come from.

    Raises
    ------
    EventError
        If the file cannot be read, or breaks the codebook; the message lists every problem with its line.
    """
    file = shipped.path("data/events/events.csv") if path is None else Path(path)
    text = read_text(file)
    validate(text, codebook() if book is None else book)
    if not include_unconfirmed:
        text = text[text["confidence"] != "unconfirmed"].reset_index(drop=True)
    out = typed(text)
    out.attrs["sources"] = {file.stem: _source(file, shipped_file=path is None)}
    return out


def _source(file: Path, *, shipped_file: bool) -> dict[str, str]:
    about = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    if not shipped_file:
        return about | {"citation": f"Coded events of {file.name}"}
    name = f"cyber_trade_econ {__version__}, coded cyber measures and incidents, data/events"
    return about | {"citation": name, "version": __version__, "licence": "MIT"}


def read_text(file: Path) -> pd.DataFrame:
    """Return a CSV file strictly as text, so that the codes NA and NO stay codes.

    Raises
    ------
    EventError
        If it is not a CSV file in UTF-8 with rows of equal length.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            header, *rows = list(csv.reader(handle, strict=True)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EventError(
            f"{file.name} cannot be read as coded events",
            found=f"{type(error).__name__}: {error}",
            allowed="a CSV file in UTF-8",
        ) from error
    while rows and not rows[-1]:
        rows.pop()  # editors leave empty lines at the end
    if not rows:
        raise EventError(f"{file.name} holds no event", found="a header" if header else "nothing")
    ragged = [f"line {line} has {len(row)}" for line, row in enumerate(rows, start=2) if len(row) != len(header)]
    if ragged:
        raise EventError(
            f"{file.name} has rows that are not as long as its header",
            found=", ".join(ragged[:5]),
            allowed=f"{len(header)} cells",
            fix="Put cells that hold a comma in double quotes.",
        )
    return pd.DataFrame(rows, columns=header, dtype=object)


def typed(text: pd.DataFrame) -> pd.DataFrame:
    """Return valid events with their dates as ``datetime64`` and the precision of each date in a column after it."""
    columns: dict[str, pd.Series] = {}
    for name in text.columns:
        if name not in ROLES:
            columns[name] = text[name].astype(str)
            continue
        spans = [span(cell) for cell in text[name]]
        first = [pd.NaT if s is None else pd.Timestamp(s.first) for s in spans]
        columns[name] = pd.Series(first, index=text.index, dtype="datetime64[ns]")
        precision = ["" if s is None else s.precision for s in spans]
        columns[f"{name}_precision"] = pd.Series(precision, index=text.index, dtype=str)
    return pd.DataFrame(columns)


def show(event_id: str, path: str | Path | None = None) -> str:
    """Return one event as a block of plain text: title, pair, dates, codes with their meaning, source and note.

    Raises
    ------
    UnknownName
        If there is no such event; the message names the nearest ids.
    """
    book = codebook()
    text = read_text(shipped.path("data/events/events.csv") if path is None else Path(path))
    validate(text, book)
    found = text[text["event_id"] == event_id]
    if found.empty:
        near = difflib.get_close_matches(event_id, text["event_id"], 3, 0.5)
        raise UnknownName(
            f"event {event_id!r} does not exist",
            allowed=near or f"{len(text)} ids",
            fix="List them with events(include_unconfirmed=True)['event_id'].",
        )
    row = {column: str(found.iloc[0][column]) for column in COLUMNS}
    lines = [row["title"], f"{row['event_id']}: {row['imposer']} -> {row['target']} ({row['flow']})", ""]
    lines += [f"{role:<22}{row[role]}" for role in ROLES if row[role]] + [""]
    for column in COLUMNS[COLUMNS.index("companies") : COLUMNS.index("source_citation")]:
        field = book.fields.get(column)
        for part in row[column].split(";") if row[column] else []:
            meaning = f"  {field.codes[part].definition}" if field else ""
            lines.append(f"{column:<22}{part}{meaning}")
    for column in COLUMNS[COLUMNS.index("source_citation") :]:
        if row[column]:
            lines += _WRAP.wrap(f"{column:<22}{row[column]}")
    return "\n".join(lines)
