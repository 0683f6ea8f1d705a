"""The arguments that exposure functions share, checked before anything is computed."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import pandas as pd

from cyber_trade_econ.codes.country import is_country
from cyber_trade_econ.errors import ConfigError, NotIdentified, SchemaError, UnknownCode
from cyber_trade_econ.exposure.products import Products
from cyber_trade_econ.exposure.reach import KINDS, PARTIES, WHY_NEUTRAL, Scope
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_panel(panel: Panel, events: pd.DataFrame) -> None:
    """Refuse what is no panel of trade between economies, or no frame of events."""
    if not isinstance(panel, Panel) or not isinstance(events, pd.DataFrame):
        raise SchemaError(
            "exposure takes a Panel and a frame of events",
            found=f"{type(panel).__name__}, {type(events).__name__}",
            fix="Wrap a data frame: cte.Panel(frame, unit, time).",
        )
    absent = [c for c in ("exporter", "importer") if c not in panel.frame.columns]
    if absent:
        raise SchemaError(f"panel {panel.name!r} lacks the column(s) {absent}", found=list(panel.frame.columns))
    found = pd.unique(pd.concat([panel.frame["exporter"], panel.frame["importer"]]))
    unknown = [code for code in found if not (isinstance(code, str) and is_country(code))]
    if unknown:
        raise UnknownCode(
            f"panel {panel.name!r} has economies that no event could name",
            found=f"{len(unknown)}: {unknown[:8]}",
            allowed="ISO 3166-1 alpha-3 codes in exporter and importer",
            fix="Translate them before exposing the panel.",
        )


def scope_of(panel: Panel, kind: str, party: str, *, border: bool) -> Scope:
    """Return whom the exposure is about.

    Raises
    ------
    ConfigError
        If a part is outside its list, or has no meaning for this kind.
    NotIdentified
        If a border interaction is asked of a panel without domestic rows.
    """
    if kind not in KINDS:
        raise ConfigError("the kind of exposure", found=repr(kind), allowed=KINDS)
    if party not in PARTIES:
        raise ConfigError("the party whose trade is exposed", found=repr(party), allowed=PARTIES)
    if party != "flow" and kind not in ("origin", "destination"):
        raise ConfigError(
            f"party={party!r} with kind={kind!r}", allowed="party only where one side is exposed: origin, destination"
        )
    if border and kind == "third_country":
        raise ConfigError("border=True with kind='third_country'", allowed="pair, origin, destination")
    exporter, importer = (panel.frame[side].astype(str) for side in ("exporter", "importer"))  # categories may differ
    if border and not (exporter == importer).any():
        raise NotIdentified(
            f"a border interaction needs domestic sales, and panel {panel.name!r} has none",
            found=f"0 of {len(panel)} rows in which exporter and importer are the same economy",
            fix=WHY_NEUTRAL,
        )
    return Scope(kind, party, bool(border))


def products_of(products: Products | str | None, events: pd.DataFrame) -> Products | None:
    """Return how events are matched to products, a name standing for the column of the events with their codes."""
    spec = Products(headings=products) if isinstance(products, str) else products
    if spec is None:
        return None
    if not isinstance(spec, Products):
        raise ConfigError("products", found=repr(products), allowed="a column of the events, Products(...) or None")
    check_column(spec.headings, events, "the column of the events with their product codes")
    return spec


def check_column(column: str | None, events: pd.DataFrame, what: str) -> None:
    """Refuse a column that the events do not have."""
    if column is not None and not (isinstance(column, str) and column in events.columns):
        raise ConfigError(what, found=repr(column), allowed=list(events.columns))


def periods(value: Any, what: str) -> tuple[int, int]:
    """Return ``(a, b)`` with ``a <= 0 <= b``, in periods.

    Raises
    ------
    ConfigError
        If it is anything else.
    """
    sides: Sequence[Any] = value if isinstance(value, tuple | list) else ()
    if len(sides) == 2 and all(isinstance(s, Integral) for s in sides) and sides[0] <= 0 <= sides[1]:
        return int(sides[0]), int(sides[1])
    raise ConfigError(what, found=value, allowed="(a, b) with a <= 0 <= b, in periods")


def anticipation_of(anticipation: Any) -> int:
    """Return a number of periods.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if not isinstance(anticipation, Integral) or anticipation < 0:
        raise ConfigError("anticipation", found=repr(anticipation), allowed="a whole number of periods, 0 or more")
    return int(anticipation)


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that makes no names of columns."""
    if not (isinstance(prefix, str) and prefix.isidentifier()):
        raise ConfigError(
            "the prefix of the new columns", found=repr(prefix), allowed="a name of letters, digits and _"
        )
