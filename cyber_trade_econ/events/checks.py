"""What one row of coded events must obey: each check yields the column, what was found and what is allowed."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import unicodedata
from typing import TYPE_CHECKING

from cyber_trade_econ.codes import product
from cyber_trade_econ.codes.country import is_country, lookup, members, outside_validity
from cyber_trade_econ.events.dates import FORMS, ROLES, reversed_pairs, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyber_trade_econ.events.codebook import Codebook

Row = dict[str, str]
Wrong = tuple[str, str, str]  # column, found, allowed

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
_HS = re.compile(r"\d{2}(\d{2}){0,2}", re.ASCII)
_URL = re.compile(r"https?://\S+")
_COUNTRY = "ISO 3166 alpha-3, EUU; WLD as target, and as imposer of norms"
_FORMULA = re.compile(r"(?:^|[;\t])\s*[=+@-]")  # ; and tab start a cell where they separate columns
_LONGEST = 32_767  # characters that a cell of a spreadsheet holds
_LOST = "\ufffd"  # what a program writes for a character that it could not read
_TRUTH = {"false": "NO, Norway", "true": "a word of another cell"}
_YES_NO = {"false": " (no?)", "true": " (yes?)"}
_INCIDENT_DATES, _MEASURE_DATES = ("onset",), ("announced", "adopted", "effective", "lifted")


def text(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find formulas, cells of several lines, characters that cannot be seen or were lost, ids that are no slugs."""
    for column, cell in row.items():
        if len(cell) > _LONGEST:
            yield column, f"{len(cell):,} characters", f"{_LONGEST:,} characters, what a cell of a spreadsheet holds"
        elif _FORMULA.search(_seen(cell)):
            yield column, repr(cell), "text that no spreadsheet takes for a formula (no leading = + - @)"
        elif "\n" in cell or "\r" in cell or cell != cell.strip():
            yield column, repr(cell), "one line without spaces around it"
        elif not cell.isprintable():
            yield column, ascii(cell), "characters that can be seen, and plain spaces"
        elif _LOST in cell or (meant := _meant(cell)) != cell:
            hint = "" if _LOST in cell else f" ({meant!r} in another encoding?)"
            yield column, repr(cell) + hint, "characters as in the source, in UTF-8"
    if not _SLUG.fullmatch(row["event_id"]):
        yield "event_id", repr(row["event_id"]), "lower-case words joined by hyphens, such as aus-2018-5g-guidance"
    if not row["title"]:
        yield "title", "nothing", "a title"


def coded(row: Row, book: Codebook) -> Iterator[Wrong]:
    """Find codes outside the codebook, and lists that do not follow the column they belong to."""
    for name, field in book.fields.items():
        cell = row[name]
        if not cell:
            if not field.optional:
                yield name, "nothing", ", ".join(field.codes)
            continue
        given = cell.split(";") if field.several or field.along else [cell]
        for code in given:
            if code not in field.codes:
                truth = _YES_NO.get(code.lower(), "") if {"yes", "no"} <= set(field.codes) else ""
                yield name, repr(code) + (truth or _near(code, list(field.codes))), ", ".join(field.codes)
        if field.along:
            firms = row[field.along].split(";") if row[field.along] else []
            if given != ["na"] and len(given) != max(len(firms), 1):
                yield name, f"{len(given)} code(s) for {len(firms)} of {field.along}", "one each, in order, or na alone"
        elif len(set(given)) < len(given):
            yield name, repr(cell), "each code once"
    expected = book.published["national_action"].get(row["national_action"])
    if expected is not None and row["published_action"] != expected:
        yield "published_action", repr(row["published_action"]), f"{expected}, by the table of the codebook"


def firms(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find firms without a name, with blanks around it, or named twice."""
    given = row["companies"].split(";") if row["companies"] else []
    if any(not firm or firm != firm.strip() for firm in given) or len(set(given)) < len(given):
        yield "companies", repr(row["companies"]), "names joined by ; without blanks, each once"


def countries(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find unknown economies, those that did not exist at the date, and targets that fit no basis."""
    days = _first(row)
    union = frozenset(members("EUU", days)) if days else frozenset()
    for side in ("imposer", "target"):
        given = row[side].split(";")
        for code in given:
            world = code == "WLD" and (
                side == "target" or (row["national_action"] == "norms" and row["target"] == "WLD")
            )
            nobody = code == "" and side == "imposer" and row["attribution"] == "none"
            if code == "EUU" or world or nobody:
                continue
            if not is_country(code):
                yield side, repr(code) + _truth(code), _COUNTRY
            elif days and outside_validity([code], "iso3", [days.year])[0]:
                yield side, f"{code!r} in {days.year}", f"an economy that existed at the first date{_lived(code)}"
        if len(set(given)) < len(given):
            yield side, repr(row[side]), "each economy once"
        if "WLD" in given and len(given) > 1:
            yield side, repr(row[side]), "WLD alone, since it is every partner"
        if "EUU" in given and union & set(given):
            yield side, repr(row[side]), "EUU or its members of the day, not both"
    imposers, targets = (
        set(row[side].split(";")) | (union if "EUU" in row[side].split(";") else set())
        for side in ("imposer", "target")
    )
    if (imposers & targets) - {"WLD"}:
        yield "target", repr(row["target"]), f"other economies than the imposer {row['imposer']}"
    if (row["target"] == "WLD") != (row["target_basis"] == "origin_neutral") and row["record_type"] == "measure":
        found = f"{row['target_basis']!r} with target {row['target']!r}"
        yield "target_basis", found, "origin_neutral with WLD and only with it"


def dates(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find dates that do not exist, in a form that is not accepted, reversed or absent."""
    spans = {}
    for column in (*ROLES, "source_date"):
        if not row[column]:
            continue
        days = span(row[column])
        if days is None:
            yield column, repr(row[column]), f"a date that exists: {FORMS}"
            continue
        if column in ROLES:
            spans[column] = days
        if column != "lifted" and days.first > dt.datetime.now(dt.UTC).date():  # an end may be set beforehand
            yield column, repr(row[column]), "a day that has come"
    for earlier, later in reversed_pairs(spans):
        yield later, f"{row[later]}, before {earlier} {row[earlier]}", f"{later} not before {earlier}"
    if not any(row[role] for role in ROLES if role != "lifted"):
        yield "announced", "no date at all", "at least one of announced, adopted, effective, onset, disclosed"


def products(row: Row, book: Codebook) -> Iterator[Wrong]:
    """Find codes that are no HS codes, or do not exist in the edition stated."""
    given = row["hs_codes"].split(";") if row["hs_codes"] else []
    edition = row["hs_vintage"]
    for code in given:
        if not _HS.fullmatch(code):
            short = code.isdigit() and len(code) in (1, 3, 5)
            hint = f" (0{code} without its zero?)" if short else ""
            yield "hs_codes", repr(code) + hint, "text of 2, 4 or 6 digits"
        elif edition in book.fields["hs_vintage"].codes and not product.exists(code, edition):
            having = ", ".join(product.vintages_of(code)) or "no edition"
            yield "hs_codes", f"{code!r}, which {edition} does not have", f"a code of {edition}; {code} is in {having}"
    if len(set(given)) < len(given):
        yield "hs_codes", repr(row["hs_codes"]), "each code once"
    if bool(given) != bool(edition):
        yield "hs_vintage", repr(edition), "an edition where hs_codes are given, and only there"


def sources(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find events that are surer than their source."""
    sure = row["confidence"] != "unconfirmed"
    for column in ("source_citation", "source_date"):
        if sure and not row[column]:
            yield column, "nothing", f"a dated primary source for confidence {row['confidence']}"
    if row["confidence"] == "confirmed" and len(row["source_date"]) < len("YYYY-MM-DD"):
        yield "source_date", repr(row["source_date"]), "the day of the source for confidence confirmed"
    for column in ("source_check", "source_kind"):
        if bool(row["source_citation"]) == (row[column] == "none"):
            yield column, repr(row[column]), "none where no source is cited, and only there"
    if sure and row["source_check"] == "from_memory":
        yield "source_check", "'from_memory'", f"seen for confidence {row['confidence']}"
    if row["source_url"] and not _URL.fullmatch(row["source_url"]):
        yield "source_url", repr(row["source_url"]), "an http or https address, or nothing"


def kinds(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find incidents not coded as one throughout, and measures coded as one anywhere."""
    incident = row["record_type"] == "incident"
    for column, code in (("national_action", "incident"), ("target_basis", "attributed_attacker_and_victim")):
        if (row[column] == code) != incident:
            yield column, repr(row[column]), f"{code} for incidents and only for them"
    for column in ("incident_type", "attribution"):
        if (row[column] == "na") == incident:
            yield column, repr(row[column]), "na for measures and only for them"
    if (row["enforcement"] == "na") != incident:
        yield "enforcement", repr(row["enforcement"]), "na for incidents and only for them"
    if incident and row["direction"] != "na":
        yield "direction", repr(row["direction"]), "na for incidents"
    for column, code in (("flow", "both"), ("cyber_ground", "yes")):
        if incident and row[column] != code:
            yield column, repr(row[column]), f"{code} for incidents"
    for role in _MEASURE_DATES if incident else _INCIDENT_DATES:
        if row[role]:
            yield role, repr(row[role]), f"nothing for a record of type {row['record_type']}"


def severity(row: Row, _: Codebook) -> Iterator[Wrong]:
    """Find days of effect of what never bound, and severities and attributions that do not fit the record."""
    incident = row["record_type"] == "incident"
    if row["enforcement"] in ("never", "pending", "enabling") and row["effective"]:
        yield "effective", repr(row["effective"]), f"nothing with enforcement {row['enforcement']}"
    if row["intensity"] and (not incident or row["intensity"] not in map(str, range(11))):
        yield "intensity", repr(row["intensity"]), "a whole number 0 to 10 for incidents, nothing for measures"
    if incident and not row["intensity"]:
        yield "intensity", "nothing", "a whole number 0 to 10"
    if incident and row["attribution"] == "none" and row["imposer"]:
        yield "imposer", repr(row["imposer"]), "nothing where there is no public attribution"


CHECKS = (text, coded, firms, countries, dates, products, sources, kinds, severity)


def _seen(cell: str) -> str:
    """Return a cell without what cannot be seen before its text, and with full-width characters made plain."""
    start = next((n for n, c in enumerate(cell) if c.isprintable() and not c.isspace()), len(cell))
    return unicodedata.normalize("NFKC", cell[start:])


def _meant(cell: str) -> str:
    """Return a cell with UTF-8 that was read as Windows-1252 (\u00c3\u00b6 for \u00f6) read anew."""

    def anew(match: re.Match[str]) -> str:
        try:
            return match[0].encode("cp1252").decode("utf-8")
        except UnicodeError:
            return match[0]

    return cell if cell.isascii() else re.sub(r"[^\x00-\x7f]+", anew, cell)


def _truth(code: str) -> str:
    word = _TRUTH.get(code.lower())
    return f" (a spreadsheet writes so what was {word})" if word else ""


def _near(code: str, known: list[str]) -> str:
    close = difflib.get_close_matches(code, known, 1)
    return f" ({close[0]}?)" if close else ""


def _first(row: Row) -> dt.date | None:
    days = [d for role in ROLES if row[role] and (d := span(row[role])) is not None]
    return min(d.first for d in days) if days else None


def _lived(code: str) -> str:
    entry = lookup(code, "iso3")
    since = f" from {entry.valid_from}" if entry.valid_from else ""
    until = f" to {entry.valid_to}" if entry.valid_to < 9999 else ""  # the table writes open ends so
    return f"; {code} is valid{since}{until}"
