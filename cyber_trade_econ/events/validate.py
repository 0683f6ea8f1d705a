"""Check coded events against the codebook and collect every problem before complaining."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyber_trade_econ.codes.country import is_country, outside_validity
from cyber_trade_econ.errors import EventError
from cyber_trade_econ.events.dates import FORMS, ROLES, reversed_pairs, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from cyber_trade_econ.events.codebook import Codebook

COLUMNS = (
    *("event_id", "title", "record_type", "imposer", "target", "flow"),
    *ROLES,
    *(
        "companies",
        "hs_codes",
        "hs_vintage",
        "ebops_items",
        "concern",
        "cyber_ground",
        "national_action",
        "published_action",
    ),
    *("org_action", "scenario", "mechanism", "supply_chain_position", "target_basis", "confidence"),
    *("source_citation", "source_date", "source_url", "source_check", "draft_case", "note"),
)

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_HS = re.compile(r"\d{2}(\d{2}){0,2}", re.ASCII)
_FIRST_CHAPTER, _LAST_CHAPTER = 1, 97
_URL = re.compile(r"https?://\S+")
_COUNTRY = "ISO 3166 alpha-3, EUU; WLD as target only"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SHOWN = 40


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: line of the file (the header is line 1), column, what was found and what is allowed."""

    line: int
    column: str
    found: str
    allowed: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: found {self.found}; allowed: {self.allowed}"


Row = dict[str, str]
Wrong = tuple[str, str, str]  # column, found, allowed


def problems(frame: pd.DataFrame, book: Codebook) -> tuple[Problem, ...]:
    """Return everything that is wrong with events given as text, in the order of lines.

    Parameters
    ----------
    frame
        The file as text: columns `COLUMNS`, every cell a str, ``""`` for empty; row i stands on line i + 2.
    book
        The coding scheme.
    """
    odd = [Problem(1, c, "absent", "present") for c in COLUMNS if c not in frame.columns]
    strange = frame.columns[frame.columns.duplicated() | ~frame.columns.isin(COLUMNS)]
    odd += [Problem(1, str(c), "unknown or repeated", ", ".join(COLUMNS)) for c in strange]
    odd += [
        Problem(1, f, "a field of the codebook only", "fields that are columns")
        for f in book.fields
        if f not in COLUMNS
    ]
    if odd:
        return tuple(odd)
    cells = zip(*(frame[c] for c in COLUMNS), strict=True)
    first_line: dict[str, int] = {}
    for line, values in enumerate(cells, start=2):
        row: Row = dict(zip(COLUMNS, values, strict=True))
        textless = [c for c in COLUMNS if not isinstance(row[c], str)]
        if textless:
            odd += [Problem(line, c, repr(row[c]), "text (dtype=str, keep_default_na=False)") for c in textless]
            continue
        odd += [Problem(line, *wrong) for check in _CHECKS for wrong in check(row, book)]
        ident = row["event_id"]
        if ident in first_line:
            odd.append(Problem(line, "event_id", f"{ident!r} as in line {first_line[ident]}", "ids that occur once"))
        first_line.setdefault(ident, line)
    return tuple(odd)


def validate(frame: pd.DataFrame, book: Codebook) -> None:
    """Refuse events that break the codebook.

    Raises
    ------
    EventError
        With one line per problem (line of the file, column, found, allowed).
    """
    odd = problems(frame, book)
    if odd:
        more = f"\n  and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        raise EventError(
            f"{len(odd)} problem(s) in the coded events",
            found="\n  " + "\n  ".join(map(str, odd[:_SHOWN])) + more,
            fix="Correct the named cells; data/events/codebook.toml defines the codes.",
        )


def _text(row: Row, _: Codebook) -> Iterator[Wrong]:
    for column, cell in row.items():
        if cell.startswith(_FORMULA):
            yield column, repr(cell), "text that no spreadsheet takes for a formula (no leading = + - @)"
        if "\n" in cell or "\r" in cell or cell != cell.strip():
            yield column, repr(cell), "one line without spaces around it"
    if not _SLUG.fullmatch(row["event_id"]):
        yield "event_id", repr(row["event_id"]), "lower-case words joined by hyphens, such as aus-2018-5g-guidance"
    if not row["title"]:
        yield "title", "nothing", "a title"


def _coded(row: Row, book: Codebook) -> Iterator[Wrong]:
    for name, field in book.fields.items():
        cell = row[name]
        if not cell:
            if not field.optional:
                yield name, "nothing", ", ".join(field.codes)
            continue
        given = cell.split(";") if field.several else [cell]
        for code in given:
            if code not in field.codes:
                yield name, repr(code), ", ".join(field.codes)
        if len(set(given)) < len(given):
            yield name, repr(cell), "each code once"
    expected = book.published.get(row["national_action"])
    if expected is not None and row["published_action"] != expected:
        yield "published_action", repr(row["published_action"]), f"{expected}, by the table `published` of the codebook"


def _countries(row: Row, _: Codebook) -> Iterator[Wrong]:
    for side in ("imposer", "target"):
        given = row[side].split(";")
        for code in given:
            if code == "EUU" or (code == "WLD" and side == "target"):
                continue
            if not is_country(code):
                yield side, repr(code), _COUNTRY
            elif (year := _year(row)) and outside_validity([code], "iso3", [year])[0]:
                yield side, f"{code!r} in {year}", "an economy that existed at the first date"
        if len(set(given)) < len(given):
            yield side, repr(row[side]), "each economy once"
    if set(row["imposer"].split(";")) & set(row["target"].split(";")):
        yield "target", repr(row["target"]), "other economies than the imposer"
    if (row["target"] == "WLD") != (row["target_basis"] == "origin_neutral") and row["record_type"] == "measure":
        found = f"{row['target_basis']!r} with target {row['target']!r}"
        yield "target_basis", found, "origin_neutral with WLD and only with it"


def _year(row: Row) -> int | None:
    days = [d for role in ROLES if row[role] and (d := span(row[role])) is not None]
    return min(d.first.year for d in days) if days else None


def _dates(row: Row, _: Codebook) -> Iterator[Wrong]:
    spans = {}
    for column in (*ROLES, "source_date"):
        if not row[column]:
            continue
        days = span(row[column])
        if days is None:
            yield column, repr(row[column]), f"a date that exists: {FORMS}"
        elif column in ROLES:
            spans[column] = days
        elif days.first > dt.datetime.now(dt.UTC).date():
            yield column, repr(row[column]), "a day that has come"
    for earlier, later in reversed_pairs(spans):
        yield later, f"{row[later]}, before {earlier} {row[earlier]}", f"{later} not before {earlier}"
    if not any(row[role] for role in ROLES if role != "lifted"):
        yield "announced", "no date at all", "at least one of announced, adopted, effective, onset, disclosed"


def _products(row: Row, _: Codebook) -> Iterator[Wrong]:
    codes = row["hs_codes"].split(";") if row["hs_codes"] else []
    for code in codes:
        if not _HS.fullmatch(code) or not _FIRST_CHAPTER <= int(code[:2]) <= _LAST_CHAPTER:
            yield "hs_codes", repr(code), "2, 4 or 6 digits, of chapters 01 to 97"
    if bool(codes) != bool(row["hs_vintage"]):
        yield "hs_vintage", repr(row["hs_vintage"]), "an edition where hs_codes are given, and only there"


def _sources(row: Row, _: Codebook) -> Iterator[Wrong]:
    sure = row["confidence"] != "unconfirmed"
    for column in ("source_citation", "source_date"):
        if sure and not row[column]:
            yield column, "nothing", f"a dated primary source for confidence {row['confidence']}"
    if bool(row["source_citation"]) == (row["source_check"] == "none"):
        yield "source_check", repr(row["source_check"]), "none where no source is cited, and only there"
    if sure and row["source_check"] == "from_memory":
        yield "source_check", "'from_memory'", f"seen for confidence {row['confidence']}"
    if row["source_url"] and not _URL.fullmatch(row["source_url"]):
        yield "source_url", repr(row["source_url"]), "an http or https address, or nothing"


def _kinds(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find incidents not coded as one throughout, and measures coded as one anywhere."""
    incident = row["record_type"] == "incident"
    for column, code in (("national_action", "incident"), ("target_basis", "attributed_attacker_and_victim")):
        if (row[column] == code) != incident:
            yield column, repr(row[column]), f"{code} for incidents and only for them"
    for column, code in (("flow", "both"), ("cyber_ground", "yes")):
        if incident and row[column] != code:
            yield column, repr(row[column]), f"{code} for incidents"
    for role in ("announced", "adopted", "effective", "lifted") if incident else ("onset",):
        if row[role]:
            yield role, repr(row[role]), f"nothing for a record of type {row['record_type']}"


_CHECKS = (_text, _coded, _countries, _dates, _products, _sources, _kinds)
