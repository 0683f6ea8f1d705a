"""Who an event names, and which directed pairs of economies it bears on."""

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

    An incident (``record_type``) that nobody attributes has no imposer, and one whose victim's economy is not known no
    target: nothing is returned then.

    Raises
    ------
    EventError
        If the field is empty in any other case.
    UnknownCode
        If a code is neither an ISO3 code nor ``EUU`` nor ``WLD``.
    """
    value = event[side]
    found = tuple(c.strip() for c in value.split(";") if c.strip()) if isinstance(value, str) else ()
    if not found and event.get("record_type") == "incident":
        return ()
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


def flow_of(event: Mapping[Any, Any]) -> str:
    """Return the trade of the imposer that an event bears on.

    Raises
    ------
    EventError
        If it is none of `FLOWS`.
    """
    flow = str(event["flow"])
    if flow not in FLOWS:
        raise EventError(f"event {event['event_id']}: flow", found=repr(flow), allowed=FLOWS)
    return flow


def economies(event: Mapping[Any, Any], side: str, date: dt.date) -> set[str]:
    """Return the economies of one side, the Union expanded to its members at ``date``; the world is no economy."""
    expanded: set[str] = set()
    for code in codes(event, side):
        expanded |= set(country.members(code, date)) if code in GROUPS else {code}
    return expanded - {WORLD}


def directed_pairs(event: Mapping[Any, Any], date: dt.date) -> set[tuple[str, str]]:
    """Return the (exporter, importer) pairs between imposers and targets, groups expanded to their members at ``date``.

    ``imports`` restricts what the imposer buys: exporter = target, importer = imposer. ``exports`` restricts what it
    sells. ``both`` hits the two directions. A pair is listed once, and no economy is paired with itself.
    """
    flow = flow_of(event)
    imposers, targets = economies(event, "imposer", date), economies(event, "target", date)
    bought = {(t, i) for i in imposers for t in targets} if flow in ("imports", "both") else set()
    sold = {(i, t) for i in imposers for t in targets} if flow in ("exports", "both") else set()
    return {(a, b) for a, b in bought | sold if a != b}
