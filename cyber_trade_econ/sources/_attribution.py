"""Read who stands on one side of an incident: a country, several, a region or organisation, or nobody known."""

from __future__ import annotations

from dataclasses import dataclass

from cyber_trade_econ.codes.country import lookup
from cyber_trade_econ.errors import UnknownCode

_NO_CODE = ("#N/A", "Not available", "Unknown", "")


@dataclass(frozen=True)
class Party:
    """One side of an incident.

    Parameters
    ----------
    status
        ``country``, ``joint``, ``group``, ``unknown`` or ``not attributed``.
    countries
        Every country named, as ISO3, in the order given.
    unlisted
        A name that has no code and is in no table; empty otherwise.
    """

    status: str
    countries: tuple[str, ...]
    unlisted: str = ""


def party(names: str, codes: str) -> Party:
    """Read one cell of names and its cell of codes.

    Receivers are joined by ``;``. Countries that acted together are joined by a comma in both cells; some names hold a
    comma themselves ("Iran, Islamic Republic of"), so that only the codes can be split by commas.

    Raises
    ------
    UnknownCode
        For a code that no table has.
    """
    countries: list[str] = []
    kinds: list[str] = []
    unlisted = ""
    name_list, code_list = names.split(";"), codes.split(";")
    aligned = len(name_list) == len(code_list)
    for at, joined in enumerate(code_list):
        single = "," not in joined
        for code in (c.strip() for c in joined.split(",")):
            if code in _NO_CODE and single and aligned:
                kind, iso3, strange = _by_name(name_list[at].strip())
                unlisted = unlisted or strange
            else:
                entry = lookup(code, "eurepoc")
                kind, iso3 = entry.kind, entry.iso3
            if iso3:
                countries.append(iso3)
            else:
                kinds.append(kind)
    return Party(_status(countries, kinds), tuple(dict.fromkeys(countries)), unlisted)


def _by_name(name: str) -> tuple[str, str, str]:
    try:
        entry = lookup(name, "eurepoc_name")
    except UnknownCode:
        return "group", "", name  # an organisation that the publisher added; counted by name in the facts
    return entry.kind, entry.iso3, ""


def _status(countries: list[str], kinds: list[str]) -> str:
    """One word for a side; regions beside countries make it joint, unknowns beside countries do not."""
    distinct = set(countries)
    if len(distinct) > 1 or (distinct and "group" in kinds):
        return "joint"
    if distinct:
        return "country"
    for kind in ("group", "not attributed"):
        if kind in kinds:
            return kind
    return "unknown"
