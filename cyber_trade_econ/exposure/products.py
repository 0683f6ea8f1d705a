"""Which products of a panel an event covers, by the headings coded for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cyber_trade_econ.codes import product
from cyber_trade_econ.codes.concordance import concord_codes
from cyber_trade_econ.errors import ConfigError, EventError, SchemaError, UnknownCode, VintageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.records.panel import Panel

COLUMNS = ("hs6", "hs_code", "product")
_CODE = re.compile(r"\d{2}(\d{2}){0,2}", re.ASCII)
_SHOWN = 8


@dataclass(frozen=True)
class Products:
    """How events are matched to the products of a panel.

    Parameters
    ----------
    headings
        Column of the events with their HS codes of 2, 4 or 6 digits, joined by ``;``. The edition in which they are
        written stands in the column ``hs_vintage``, such as ``HS2012``. Codes of another edition than the panel's are
        converted by `cyber_trade_econ.codes.concordance.concord_codes`, subheading by subheading: a product of the
        panel that takes over some of the goods of a covered one is covered. The facts count them.
    column
        Column of the panel with the product of each row, as text of 2, 4 or 6 digits with leading zeros, all of one
        length. When empty, the one of ``hs6``, ``hs_code`` and ``product`` that the panel has. A code of an event that
        is finer than those of the panel hits nothing, and is counted.
    vintage
        Edition of the panel's codes. When empty, what the panel says: its column ``hs_vintage``, else
        ``facts["hs_vintage"]``.
    uncoded
        What an event without codes does, such as an incident or a rule on services: ``"none"`` (default) leaves it
        out, ``"all"`` lets it hit every product. Either way it is counted in the facts.
    """

    headings: str = "hs_codes"
    column: str = ""
    vintage: str = ""
    uncoded: Literal["none", "all"] = "none"


@dataclass(frozen=True)
class Assortment:
    """The products of a panel, ready to be matched.

    Parameters
    ----------
    codes
        Distinct codes, shape (p,).
    of_row
        Position of each row's code in ``codes``, shape (n,).
    column, vintage, level
        Name of the column, edition of its codes and number of their digits.
    """

    codes: tuple[str, ...]
    of_row: np.ndarray
    column: str
    vintage: str
    level: int

    def mask(self, headings: Sequence[str]) -> np.ndarray:
        """Return which of the codes begin with one of the headings, shape (p,)."""
        return np.array([code.startswith(tuple(headings)) for code in self.codes], dtype=bool)


def assortment(panel: Panel, spec: Products) -> Assortment:
    """Read the products of a panel.

    Raises
    ------
    ConfigError, SchemaError
        If the column is not given and not clear, or an option is outside its list.
    UnknownCode
        If a code is no HS code as text, or is not in the edition.
    VintageError
        If no edition is stated, or the panel mixes several.
    """
    if spec.uncoded not in ("none", "all"):
        raise ConfigError("what an event without codes hits", found=repr(spec.uncoded), allowed=("none", "all"))
    present = [c for c in ((spec.column,) if spec.column else COLUMNS) if c in panel.frame.columns]
    if len(present) != 1:
        raise SchemaError(
            f"the product column of panel {panel.name!r}",
            found=f"{present or 'none'} among {list(panel.frame.columns)}",
            allowed=spec.column or f"one of {', '.join(COLUMNS)}",
            fix="Name it: Products(column=...).",
        )
    column = present[0]
    vintage = _vintage_of(panel, spec)
    of_row, distinct = pd.factorize(panel.frame[column])
    wrong = [c for c in distinct if not (isinstance(c, str) and _CODE.fullmatch(c))]
    if wrong or (of_row < 0).any():
        raise UnknownCode(
            f"column {column!r} of panel {panel.name!r} holds values that are no HS codes",
            found=wrong[:_SHOWN] or f"{int((of_row < 0).sum())} missing",
            allowed="text of 2, 4 or 6 digits with leading zeros",
        )
    # Chapters 98 and 99 are left to national use and to goods not specified; no edition lists them.
    product.require_codes([c for c in distinct if c[:2] not in ("98", "99")], vintage)
    levels = sorted({len(c) for c in distinct})
    if len(levels) > 1:
        raise SchemaError(
            f"column {column!r} of panel {panel.name!r}", found=f"codes of {levels} digits", allowed="one"
        )
    return Assortment(tuple(distinct), of_row, column, vintage, levels[0] if levels else 0)


def _vintage_of(panel: Panel, spec: Products) -> str:
    if spec.vintage:
        return edition(spec.vintage, "the HS edition of the panel")
    said = panel.frame["hs_vintage"].unique().tolist() if "hs_vintage" in panel.frame.columns else []
    said = said or [v for v in (panel.facts.get("hs_vintage"),) if v]
    if len(said) != 1:
        raise VintageError(
            f"the HS edition of panel {panel.name!r}",
            found=f"{len(said)} stated" + (f": {said[:_SHOWN]}" if said else ""),
            allowed="one",
            fix="Convert the panel to one edition, or state it: Products(vintage='HS2017').",
        )
    return edition(str(said[0]), f"the HS edition of panel {panel.name!r}")


def edition(name: str, what: str) -> str:
    """Return the full name of an edition, of which ``HS92`` and ``1992`` are short forms.

    Raises
    ------
    VintageError
        If there is no such edition.
    """
    tail = name.strip().upper().removeprefix("HS").removeprefix("-")
    known = {year: v for v in product.VINTAGES for year in (v[2:], v[4:])}
    if tail not in known:
        raise VintageError(what, found=repr(name), allowed=product.VINTAGES)
    return known[tail]


@dataclass(frozen=True)
class Covered:
    """What an event covers in a panel.

    Parameters
    ----------
    coded
        Whether the event has codes at all.
    headings
        Its codes in the edition of the panel, without those finer than the codes of the panel.
    finer
        Whether some were finer.
    converted_from
        The edition in which they are written where it is another one, else empty.
    """

    coded: bool
    headings: tuple[str, ...] = ()
    finer: bool = False
    converted_from: str = ""


def covered(event: Mapping[Any, Any], spec: Products, assorted: Assortment) -> Covered:
    """Return what an event covers.

    Raises
    ------
    EventError
        If a code is not text of 2, 4 or 6 digits, or no edition is stated beside codes.
    VintageError
        If the edition does not exist.
    UnknownCode
        If a code is not in the edition stated.
    """
    cell, ident = event[spec.headings], event["event_id"]
    if not isinstance(cell, str) and not pd.isna(cell):
        raise EventError(f"event {ident}: {spec.headings}", found=f"the number {cell!r}", allowed="codes as text")
    given = frozenset(c.strip() for c in cell.split(";") if c.strip()) if isinstance(cell, str) else frozenset()
    if not given:
        return Covered(coded=False)
    wrong = sorted(c for c in given if not _CODE.fullmatch(c))
    if wrong:
        raise EventError(f"event {ident}: {spec.headings}", found=wrong, allowed="text of 2, 4 or 6 digits")
    stated = event.get("hs_vintage", "")
    if not isinstance(stated, str) or not stated:
        raise EventError(f"event {ident} has HS codes but no hs_vintage", found=repr(stated), allowed=product.VINTAGES)
    own = edition(stated, f"event {ident}: hs_vintage")
    product.require_codes(given, own)
    usable = frozenset(c for c in given if len(c) <= assorted.level)
    other = own if own != assorted.vintage else ""
    headings = _converted(usable, own, assorted.vintage, assorted.level) if other and usable else usable
    return Covered(True, tuple(sorted(headings)), len(usable) < len(given), other)


@cache
def _converted(given: frozenset[str], origin: str, target: str, level: int) -> frozenset[str]:
    """Convert codes by their subheadings, and cut those found to the digits of the panel.

    A chapter converted as such would be every chapter that took over one of its goods, with all other goods of it.
    """
    subheadings = (c for c in product.codes_of(origin) if c.startswith(tuple(given)))
    return frozenset(c[:level] for c in concord_codes(subheadings, origin, target))
