"""Check coded events against the codebook and collect every problem before complaining."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import EventError
from cyber_trade_econ.events.checks import CHECKS
from cyber_trade_econ.events.dates import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cyber_trade_econ.events.checks import Row
    from cyber_trade_econ.events.codebook import Codebook

COLUMNS = (
    *("event_id", "title", "record_type", "imposer", "target", "flow"),
    *ROLES,
    *("companies", "org_action", "hs_codes", "hs_vintage", "ebops_items", "concern", "cyber_ground"),
    *("national_action", "published_action", "scenario", "mechanism", "supply_chain_position", "target_basis"),
    *("enforcement", "direction", "incident_type", "attribution", "intensity", "confidence"),
    *("source_kind", "source_citation", "source_date", "source_url", "other_sources", "source_check"),
    *("draft_case", "note"),
)
_SHOWN = 40
_WIDE = 200  # characters of what was found that a message quotes


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: line of the file (the header is line 1), column, what was found and what is allowed."""

    line: int
    column: str
    found: str
    allowed: str

    def __str__(self) -> str:
        found = self.found if len(self.found) <= _WIDE else f"{self.found[:_WIDE]}... ({len(self.found):,} characters)"
        return f"line {self.line}, {self.column}: found {found}; allowed: {self.allowed}"


def problems(frame: pd.DataFrame, book: Codebook, lines: Sequence[int] | None = None) -> tuple[Problem, ...]:
    """Return everything that is wrong with events given as text, in the order of lines.

    Parameters
    ----------
    frame
        The file as text: columns `COLUMNS`, every cell a str, ``""`` for empty.
    book
        The coding scheme.
    lines
        Line of the file on which each row starts; row i stands on line i + 2 when None.
    """
    odd = _columns(frame, book)
    if odd:
        return tuple(odd)
    cells = zip(*(frame[c] for c in COLUMNS), strict=True)
    numbered = zip(range(2, len(frame) + 2) if lines is None else lines, cells, strict=True)
    first_line: dict[str, int] = {}
    for line, values in numbered:
        row: Row = dict(zip(COLUMNS, values, strict=True))
        textless = [c for c in COLUMNS if not isinstance(row[c], str)]
        if textless:
            odd += [Problem(line, c, repr(row[c]), "text (dtype=str, keep_default_na=False)") for c in textless]
            continue
        if not any(values):
            odd.append(Problem(line, COLUMNS[0], "an empty row", "one event per row"))
            continue
        odd += [Problem(line, *wrong) for check in CHECKS for wrong in check(row, book)]
        ident = row["event_id"]
        if ident in first_line:
            odd.append(Problem(line, "event_id", f"{ident!r} as in line {first_line[ident]}", "ids that occur once"))
        first_line.setdefault(ident, line)
    return tuple(odd)


def validate(frame: pd.DataFrame, book: Codebook, lines: Sequence[int] | None = None) -> None:
    """Refuse events that break the codebook.

    Raises
    ------
    EventError
        With one line per problem (line of the file, column, found, allowed).
    """
    odd = problems(frame, book, lines)
    if odd:
        more = f"\n  and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        raise EventError(
            f"{len(odd)} problem(s) in the coded events",
            found="\n  " + "\n  ".join(map(str, odd[:_SHOWN])) + more,
            fix="Correct the named cells; data/events/CODEBOOK.md defines the codes.",
        )


def _columns(frame: pd.DataFrame, book: Codebook) -> list[Problem]:
    odd = [Problem(1, c, "absent", "present") for c in COLUMNS if c not in frame.columns]
    again = frame.columns.duplicated()
    for n, given in enumerate(map(str, frame.columns)):
        if again[n] or given not in COLUMNS:
            near = difflib.get_close_matches(given.strip().lower(), COLUMNS, 1)
            found = "repeated" if again[n] else "unknown" + (f" ({near[0]}?)" if near else "")
            name = given if given.isprintable() and given else f"column {n + 1}, {given!r}"
            odd.append(Problem(1, name, found, ", ".join(COLUMNS)))
    return odd + [
        Problem(1, f, "a field of the codebook only", "fields that are columns")
        for f in book.fields
        if f not in COLUMNS
    ]
