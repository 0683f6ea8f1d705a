"""Who stands on which side of an incident of DCID: dyads of COW numbers, and initiators that need correction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.codes.country import lookup
from cyber_trade_econ.errors import ParseError, UnknownCode

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

# Initiators that were wrong in an earlier release: number and dyad -> the right one. J. Lee found them in the CSV of
# September 2022 and corrects them in the replication code of "An Unexpected Link between Export Sanctions and
# Cyberespionage"; the workbook of February 2023 has them right. The dyad guards against numbers that have shifted.
KNOWN_WRONG: Mapping[tuple[int, int], int] = MappingProxyType({(313, 710740): 710, (335, 710816): 710})

# Where an initiator comes from -> what the table says of it.
_STATUS: Mapping[str, str] = MappingProxyType(
    {
        "as_published": "as published",
        "right_where_lee_corrects": "as published",
        "corrected_after_lee": "corrected",
        "corrected_after_second_sheet": "corrected",
        "not_in_dyad": "not in its dyad",
    }
)


@dataclass(frozen=True)
class Dyad:
    """Two COW numbers, the lower first, and the states they stand for."""

    numbers: tuple[int, int]
    iso3: tuple[str, str]


@dataclass(frozen=True)
class Action:
    """What the second sheet says of an incident: COW number of the initiator, severity, first day."""

    initiator: int
    severity: int
    start: dt.date


def dyad(pair: int, first: str, second: str, start: dt.date, where: str) -> Dyad:
    """Split numbers written together, and check them against the names beside them.

    Raises
    ------
    UnknownCode
        For a number or name that no table has.
    ParseError
        If numbers and names disagree.
    """
    numbers = divmod(pair, 1000)  # the higher number, which comes second, has three digits
    try:
        iso3 = (lookup(numbers[0], "cow", start.year).iso3, lookup(numbers[1], "cow", start.year).iso3)
        named = (lookup(first, "name").iso3, lookup(second, "name").iso3)
    except UnknownCode as error:
        raise UnknownCode(f"{where}: {error.what}", found=error.found, fix=error.fix) from None
    if iso3 != named:
        raise ParseError(
            f"{where}: Dyadpair and the names of the states disagree",
            found=f"{pair} ({iso3[0]}, {iso3[1]}) beside {first!r} and {second!r}",
        )
    return Dyad(numbers, iso3)


def sides(
    data: dict[str, list[Any]], dyads: Sequence[Dyad], second: Mapping[tuple[str, int], Action]
) -> dict[str, int]:
    """Add initiator and receiver to the columns, and count where the initiators come from.

    Parameters
    ----------
    data
        Columns so far, one list per column.
    dyads
        The pair of each incident.
    second
        Name and dyad -> the action in the second sheet. Its initiator is taken where the first sheet's is no member.
    """
    ways: Counter[str] = Counter()
    data |= {"initiator": [], "receiver": [], "initiator_status": []}
    keys = zip(data["incident_id"], data["dyad"], data["name"], data["initiator_cow"], dyads, strict=True)
    for number, pair, name, published, both in keys:
        initiator, way = _initiator(published, both, KNOWN_WRONG.get((number, pair)), second.get((name, pair)))
        ways[way] += 1
        inside = initiator in both.numbers
        first, other = both.iso3 if initiator == both.numbers[0] else both.iso3[::-1]
        data["initiator"].append(first if inside else None)
        data["receiver"].append(other if inside else None)
        data["initiator_status"].append(_STATUS[way])
    return {f"initiator_{way}": ways[way] for way in _STATUS if way != "as_published"}


def _initiator(published: int, both: Dyad, known: int | None, there: Action | None) -> tuple[int, str]:
    """Return the COW number of the initiator and where it comes from, a key of `_STATUS`."""
    if known is not None:
        return known, "right_where_lee_corrects" if known == published else "corrected_after_lee"
    if published in both.numbers:
        return published, "as_published"
    if there is not None and there.initiator in both.numbers:
        return there.initiator, "corrected_after_second_sheet"
    return published, "not_in_dyad"


def compare(data: Mapping[str, list[Any]], second: Mapping[tuple[str, int], Action]) -> dict[str, int]:
    """Count what the second sheet has more, less and differently."""
    own = set(zip(data["name"], data["dyad"], strict=True))
    rows = zip(data["name"], data["dyad"], data["severity"], data["start_date"], strict=True)
    both = [(second[name, pair], severity, start) for name, pair, severity, start in rows if (name, pair) in second]
    return {
        "in_both_sheets": len(both),
        "in_second_sheet_only": len(set(second) - own),
        "second_sheet_other_date": sum(there.start != start for there, _, start in both),
        "second_sheet_other_severity": sum(there.severity != severity for there, severity, _ in both),
    }
