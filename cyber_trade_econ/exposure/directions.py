"""Which directed pairs of economies an event hits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyber_trade_econ.codes import country
from cyber_trade_econ.errors import EventError, UnknownCode

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

FLOWS = ("imports", "exports", "both")
GROUPS = ("EUU",)
WORLD = "WLD"


def is_origin_neutral(event: Mapping[Any, Any]) -> bool:
    """Tell whether a rule treats every origin alike: target ``WLD``, or coded so in ``target_basis``."""
    return WORLD in codes(event, "target") or event.get("target_basis") == "origin_neutral"


def codes(event: Mapping[Any, Any], side: str) -> tuple[str, ...]:
    """Return the codes of ``imposer`` or ``target``, which are joined by ``;``.

    Raises
    ------
    EventError
        If the field is empty.
    UnknownCode
        If a code is neither an ISO3 code nor ``EUU`` nor ``WLD``.
    """
    value = event[side]
    found = tuple(c.strip() for c in value.split(";") if c.strip()) if isinstance(value, str) else ()
    if not found:
        raise EventError(
            f"event {event['event_id']} has no {side}", found=repr(value), allowed="ISO3 codes, EUU or WLD, joined by ;"
        )
    wrong = [c for c in found if c != WORLD and c not in GROUPS and not country.is_country(c)]
    if wrong:
        raise UnknownCode(
            f"event {event['event_id']}: {side} {', '.join(wrong)}",
            allowed="ISO 3166 alpha-3 codes, EUU (European Union), WLD (world)",
        )
    return found


def directed_pairs(event: Mapping[Any, Any], date: dt.date) -> set[tuple[str, str]]:
    """Return the (exporter, importer) pairs that an event hits, groups expanded to their members at ``date``.

    ``imports`` restricts what the imposer buys: exporter = target, importer = imposer. ``exports`` restricts what it
    sells. ``both`` hits the two directions. A pair is listed once, and no economy is paired with itself.
    """
    flow = event["flow"]
    if flow not in FLOWS:
        raise EventError(f"event {event['event_id']}: flow", found=repr(flow), allowed=FLOWS)
    imposers = _members(codes(event, "imposer"), date)
    targets = _members(codes(event, "target"), date)
    bought = {(t, i) for i in imposers for t in targets} if flow in ("imports", "both") else set()
    sold = {(i, t) for i in imposers for t in targets} if flow in ("exports", "both") else set()
    return {(a, b) for a, b in bought | sold if a != b}


def _members(listed: tuple[str, ...], date: dt.date) -> set[str]:
    expanded: set[str] = set()
    for code in listed:
        expanded |= set(country.members(code, date)) if code in GROUPS else {code}
    return expanded
