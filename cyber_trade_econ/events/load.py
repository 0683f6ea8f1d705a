"""Load the coded events."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from cyber_trade_econ.errors import EventError
from cyber_trade_econ.events.codebook import Codebook, codebook, restrictiveness
from cyber_trade_econ.events.dates import ROLES, span
from cyber_trade_econ.events.read import read
from cyber_trade_econ.events.validate import Problem, problems, validate
from cyber_trade_econ.records import shipped
from cyber_trade_econ.version import __version__


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
    ``intensity`` is the severity of incidents, 0 to 10, NaN for measures. ``restrictiveness`` comes last: how far the
    action of a measure reaches into trade by the table of the codebook, 0 to 5, NaN for incidents. Both are ordinal.
    All other columns are text, with ``""`` for empty. ``attrs["sources"]`` says where the events come from.

    Raises
    ------
    EventError
        If the file cannot be read, or breaks the codebook; the message lists every problem with its line.
    """
    file, scheme = _file(path), codebook() if book is None else book
    text, lines = read(file)
    validate(text, scheme, lines)
    if not include_unconfirmed:
        text = text[text["confidence"] != "unconfirmed"].reset_index(drop=True)
    out = typed(text)
    out = out.assign(restrictiveness=restrictiveness(out, scheme))
    out.attrs["sources"] = {file.stem: _source(file, shipped_file=path is None)}
    return out


def check(path: str | Path | None = None, book: Codebook | None = None) -> tuple[int, tuple[Problem, ...]]:
    """Return the number of events in a file and everything that is wrong with them, in the order of lines.

    Raises
    ------
    EventError
        If the file cannot be read as a table of text at all.
    """
    text, lines = read(_file(path))
    return len(text), problems(text, codebook() if book is None else book, lines)


def responses(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the responses of firms, one row per event and firm named in it.

    Parameters
    ----------
    frame
        Events, see `events`.

    Returns
    -------
    Frame with ``event_id``, ``company`` and ``org_action``, in the order of the file. Events without firms, and those
    whose firms were not asked to do anything (``na``), are left out and counted in ``attrs["facts"]``.

    Raises
    ------
    EventError
        If an event has another number of responses than of firms.
    """
    rows: list[tuple[str, str, str]] = []
    left_out = {"no firm named": 0, "no response asked for": 0}
    for ident, firms, actions in frame[["event_id", "companies", "org_action"]].itertuples(index=False, name=None):
        if not firms or actions == "na":
            left_out["no firm named" if not firms else "no response asked for"] += 1
            continue
        named, given = firms.split(";"), actions.split(";")
        if len(named) != len(given):
            raise EventError(f"event {ident}: org_action", found=f"{len(given)} code(s)", allowed=f"{len(named)} firms")
        rows += [(ident, firm, action) for firm, action in zip(named, given, strict=True)]
    out = pd.DataFrame(rows, columns=["event_id", "company", "org_action"])
    out.attrs["facts"] = {"events": len(frame), "left_out": left_out}
    return out


def typed(text: pd.DataFrame) -> pd.DataFrame:
    """Return valid events with typed dates and intensity, and the precision of each date in a column after it."""
    columns: dict[str, pd.Series] = {}
    for name in text.columns:
        if name == "intensity":
            columns[name] = text[name].map(lambda cell: float(cell) if cell else float("nan")).astype(float)
        elif name in ROLES:
            spans = [span(cell) for cell in text[name]]
            first = [pd.NaT if s is None else pd.Timestamp(s.first) for s in spans]
            columns[name] = pd.Series(first, index=text.index, dtype="datetime64[ns]")
            precision = ["" if s is None else s.precision for s in spans]
            columns[f"{name}_precision"] = pd.Series(precision, index=text.index, dtype=str)
        else:
            columns[name] = text[name].astype(str)
    return pd.DataFrame(columns)


def _file(path: str | Path | None) -> Path:
    return shipped.path("data/events/events.csv") if path is None else Path(path)


def _source(file: Path, *, shipped_file: bool) -> dict[str, str]:
    about = {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    if not shipped_file:
        return about | {"citation": f"Coded events of {file.name}"}
    name = f"cyber_trade_econ {__version__}, coded cyber measures and incidents, data/events"
    return about | {"citation": name, "version": __version__, "licence": "MIT"}
