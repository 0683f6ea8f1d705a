"""Which ordered pairs of a panel an event reaches, by kind of exposure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.exposure import directions

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

Pair = tuple[str, str]

KINDS = ("pair", "origin", "destination", "third_country")
PARTIES = ("flow", "imposer", "target")
PARTS = {"third_country": ("diversion", "deflection")}
"""Kinds whose rows are of more than one sort, each with columns of its own."""

ORIGIN_NEUTRAL = "origin-neutral"
NO_DOMESTIC = "no domestic sales of its economies in the panel"
WHY_NEUTRAL = (
    "An origin-neutral rule treats every exporter alike, so it differs between importers and over time but not "
    "between the pairs of one importer: importer-time effects absorb it. It is identified only where it is "
    "interacted with something that varies within an importer and period, such as the border between domestic and "
    "foreign sales (border=True, in a panel with rows in which exporter and importer are the same economy: Heid, Larch "
    "and Yotov 2021, Canadian Journal of Economics 54(1), 376-409), or covered against uncovered products."
)


@dataclass(frozen=True)
class Scope:
    """Whom an exposure is about: see `cyber_trade_econ.exposure.expose` for the meaning of each part."""

    kind: str = "pair"
    party: str = "flow"
    border: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the sorts of rows; one nameless sort for most kinds."""
        return PARTS.get(self.kind, ("",))


@dataclass(frozen=True)
class Grid:
    """The foreign pairs that a panel has, by exporter and by importer, and the economies with domestic rows."""

    sold: Mapping[str, frozenset[Pair]]
    bought: Mapping[str, frozenset[Pair]]
    domestic: frozenset[str]

    def of(self, economies: Iterable[str], side: str) -> set[Pair]:
        """Return the foreign pairs in which one of the economies is the exporter (``sold``) or importer (``bought``)."""
        listed: Mapping[str, frozenset[Pair]] = getattr(self, side)
        return set().union(*(listed.get(economy, frozenset()) for economy in economies))


def grid_of(pairs: Iterable[Pair]) -> Grid:
    """Index the pairs of a panel."""
    sold: dict[str, set[Pair]] = {}
    bought: dict[str, set[Pair]] = {}
    domestic = set()
    for exporter, importer in pairs:
        if exporter == importer:
            domestic.add(exporter)
            continue
        sold.setdefault(exporter, set()).add((exporter, importer))
        bought.setdefault(importer, set()).add((exporter, importer))
    by_exporter, by_importer = ({e: frozenset(found) for e, found in side.items()} for side in (sold, bought))
    return Grid(by_exporter, by_importer, frozenset(domestic))


def reach(event: Mapping[Any, Any], date: dt.date, scope: Scope, part: str, grid: Grid) -> set[Pair] | str:
    """Return the ordered pairs that an event reaches, or the reason why it reaches none.

    Parameters
    ----------
    event
        One event, its codes as text.
    date
        Day at which the Union stands for its members.
    scope
        Kind of exposure, party and border.
    part
        One of ``scope.parts``.
    grid
        The pairs of the panel. Pairs of kind ``"pair"`` are returned whether the panel has them or not.
    """
    if scope.kind in ("origin", "destination"):
        return _one_sided(event, date, scope, grid)
    imposers = directions.codes(event, "imposer")  # a wrong code is an error even in an event that is left out
    if directions.is_origin_neutral(event):
        return _across_the_border(event, date, grid) if scope.border else ORIGIN_NEUTRAL
    if directions.WORLD in imposers:
        return "imposed by the whole world"
    if not imposers:
        return "attributed to nobody, so no pair is named"
    if not directions.codes(event, "target"):
        return "economy of the victim not known, so no pair is named"
    direct = directions.directed_pairs(event, date)
    if scope.kind == "pair":
        return direct
    if part == "diversion":
        return grid.of({importer for _, importer in direct}, "bought") - direct
    return grid.of({exporter for exporter, _ in direct}, "sold") - direct


def _across_the_border(event: Mapping[Any, Any], date: dt.date, grid: Grid) -> set[Pair] | str:
    """Every foreign row of the imposer, in the direction of the flow; its domestic rows stay untreated."""
    flow, imposers = directions.flow_of(event), directions.economies(event, "imposer", date)
    if not imposers:
        return "imposed by the whole world"
    if not imposers & grid.domestic:
        return NO_DOMESTIC
    bought = grid.of(imposers, "bought") if flow in ("imports", "both") else set()
    return bought | (grid.of(imposers, "sold") if flow in ("exports", "both") else set())


def _one_sided(event: Mapping[Any, Any], date: dt.date, scope: Scope, grid: Grid) -> set[Pair] | str:
    neutral = directions.is_origin_neutral(event)
    named = {
        "imposer": directions.economies(event, "imposer", date),
        "target": set() if neutral else directions.economies(event, "target", date),
    }
    flow = directions.flow_of(event)
    if scope.party != "flow":
        economies = named[scope.party]
    else:
        exporters = {"imports": ("target",), "exports": ("imposer",)}
        importers = {"imports": ("imposer",), "exports": ("target",)}
        sides = (exporters if scope.kind == "origin" else importers).get(flow, ("imposer", "target"))
        economies = set().union(*(named[side] for side in sides))
    if not economies:
        return f"no economy named as {scope.kind if scope.party == 'flow' else scope.party}"
    if scope.border and not economies & grid.domestic:
        return NO_DOMESTIC
    return grid.of(economies, "sold" if scope.kind == "origin" else "bought")
