"""Dates of an event: text whose length is its precision."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Literal, NamedTuple

Precision = Literal["day", "month", "year"]

ROLES = ("announced", "adopted", "effective", "lifted", "onset", "disclosed")
FORMS = "YYYY-MM-DD, YYYY-MM or YYYY between 1950 and 2100"

_FORM = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 1950, 2100


class Span(NamedTuple):
    """The days that a date can mean, both ends included, and its precision."""

    first: dt.date
    last: dt.date
    precision: Precision


def span(text: str) -> Span | None:
    """Return the span of a date, or None where the text is not a date that exists, in an accepted form."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(g) if g else None for g in match.groups())
    if year is None or not _FIRST_YEAR <= year <= _LAST_YEAR or (month is not None and not 1 <= month <= 12):
        return None
    if month is None:
        return Span(dt.date(year, 1, 1), dt.date(year, 12, 31), "year")
    length = calendar.monthrange(year, month)[1]
    if day is None:
        return Span(dt.date(year, month, 1), dt.date(year, month, length), "month")
    if not 1 <= day <= length:
        return None
    return Span(dt.date(year, month, day), dt.date(year, month, day), "day")


def reversed_pairs(spans: dict[str, Span]) -> list[tuple[str, str]]:
    """Return the pairs (earlier role, later role) whose order is impossible whatever day the dates mean.

    An adoption comes before the effect, an onset before the disclosure, and every other date before the lifting. A
    measure that was lifted before its announced day of effect never bound, so its ``effective`` is empty.
    """
    order = [("adopted", "effective"), ("onset", "disclosed")]
    order += [(role, "lifted") for role in ROLES if role != "lifted"]
    return [(a, b) for a, b in order if a in spans and b in spans and spans[a].first > spans[b].last]
