"""Place events on the rows of a panel, and count those that have no place there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.exposure import spells
from cyber_trade_econ.exposure.calendar import Frequency, ordinals
from cyber_trade_econ.exposure.products import Assortment, Products, assortment, covered
from cyber_trade_econ.exposure.reach import Grid, Pair, Scope, grid_of, reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cyber_trade_econ.records.panel import Panel

NOT_CODED = "not_coded"
UNCODED = "no product codes"
NO_PRODUCT = "none of its products in the panel"
TOO_FINE = "its product codes are finer than those of the panel"


@dataclass
class Tally:
    """What became of each event: ids used, ids left out by reason, pairs hit that the panel lacks, notes on products."""

    left_out: dict[str, list[str]] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    pairs_absent: int = 0
    products: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, event_id: str) -> None:
        """Count one event under a reason."""
        self.left_out.setdefault(reason, []).append(event_id)


@dataclass(frozen=True)
class Located:
    """An event with its place in a panel and its time, whether or not the panel covers that time.

    Parameters
    ----------
    event_id
        Its id.
    value
        Its value in the column by which exposure is split.
    dose
        Its value in the column of doses; 1 where none is asked for.
    rows
        Positions of all rows of the cells it names, in any period.
    first, last
        Ordinals of the period that contains its date and of the last one in force.
    """

    event_id: str
    value: str
    dose: float
    rows: np.ndarray
    first: int
    last: int


@dataclass(frozen=True)
class Cells:
    """The rows of a panel by ordered pair, and by product where exposure differs between products.

    Parameters
    ----------
    periods
        Ordinal of each row's period, shape (n,).
    cell
        Number of each row's cell, shape (n,): the pair, or the pair and product.
    rows_of
        Ordered pair -> positions of its rows.
    grid
        The pairs by exporter and importer.
    products
        The products, where exposure differs between them.
    """

    periods: np.ndarray
    cell: np.ndarray
    rows_of: Mapping[Pair, np.ndarray]
    grid: Grid
    products: Assortment | None

    def rows(self, pairs: Iterable[Pair]) -> np.ndarray:
        """Positions of the rows of some pairs, by pair in alphabetical order."""
        found = [self.rows_of[pair] for pair in sorted(pairs) if pair in self.rows_of]
        return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


def cells_of(panel: Panel, freq: Frequency, spec: Products | None) -> Cells:
    """Index the rows of a panel whose economies are ISO3 codes."""
    grouped = panel.frame.reset_index(drop=True).groupby(["exporter", "importer"], observed=True)
    rows_of: dict[Pair, np.ndarray] = dict(grouped.indices)  # type: ignore[arg-type]
    cell = grouped.ngroup().to_numpy()
    assorted = assortment(panel, spec) if spec is not None else None
    if assorted is not None:
        cell = cell * len(assorted.codes) + assorted.of_row
    return Cells(ordinals(panel.frame[panel.time], freq), cell, rows_of, grid_of(rows_of), assorted)


@dataclass(frozen=True)
class Question:
    """What is asked of every event: its place, its time, its products, its value and its dose."""

    scope: Scope
    roles: Sequence[str]
    freq: Frequency
    products: Products | None = None
    by: str | None = None
    dose: str | None = None


def locate(events: pd.DataFrame, cells: Cells, ask: Question, part: str = "") -> tuple[list[Located], Tally]:
    """Find the rows and the spell of every checked event.

    Returns
    -------
    The events that have both, in their order; and a tally that has the others by reason, and no ``used`` yet.
    """
    doses = _doses(events, ask.dose)
    found, tally = [], Tally()
    for event, dose in zip(events.to_dict("records"), doses, strict=True):
        ident = str(event["event_id"])
        place = _place(event, cells, ask, part, tally)
        if isinstance(place, str):
            tally.leave_out(place, ident)
        elif np.isnan(dose):
            tally.leave_out(f"no value of {ask.dose}", ident)
        else:
            rows, spell = place
            found.append(Located(ident, _value(event, ask.by), float(dose), rows, spell.first, spell.last))
    return found, tally


def rows_without_time(events: pd.DataFrame, cells: Cells, ask: Question) -> np.ndarray:
    """Positions of the rows that some event names whose time in the panel is not known."""
    named = [np.empty(0, dtype=np.intp)]
    for event in events.to_dict("records"):
        if isinstance(spells.spell(event, ask.roles, ask.freq), str):
            pairs = reach(event, spells.earliest(event).date(), ask.scope, "", cells.grid)
            named.append(np.empty(0, dtype=np.intp) if isinstance(pairs, str) else cells.rows(pairs))
    return np.unique(np.concatenate(named))


def _place(
    event: Mapping[Any, Any], cells: Cells, ask: Question, part: str, tally: Tally
) -> tuple[np.ndarray, spells.Spell] | str:
    """Return the rows and the spell of an event, or the reason why it has none."""
    spell = spells.spell(event, ask.roles, ask.freq)
    date = spells.earliest(event) if isinstance(spell, str) else spell.date
    pairs = reach(event, date.date(), ask.scope, part, cells.grid)
    if isinstance(pairs, str):
        return pairs
    if isinstance(spell, str):
        return spell
    present = pairs & cells.rows_of.keys()
    tally.pairs_absent += len(pairs) - len(present)
    if not present:
        return "no such pair in the panel"
    rows = cells.rows(present)
    if ask.products is None or cells.products is None:
        return rows, spell
    scope = covered(event, ask.products, cells.products)
    if scope.coded and not scope.headings:
        return TOO_FINE if scope.finer else NO_PRODUCT
    if not scope.coded and ask.products.uncoded == "none":
        return UNCODED
    if scope.coded:
        rows = rows[cells.products.mask(scope.headings)[cells.products.of_row[rows]]]
    notes = {"without_codes_hit_all": not scope.coded, "some_codes_too_fine": scope.finer}
    notes |= {f"converted_from_{scope.converted_from}": bool(scope.converted_from)}
    for note in (name for name, holds in notes.items() if holds):
        tally.products.setdefault(note, []).append(str(event["event_id"]))
    return (rows, spell) if len(rows) else NO_PRODUCT


def _value(event: Mapping[Any, Any], by: str | None) -> str:
    """First of the values joined by ``;``, as the end of a column name; a whole number is written without a point."""
    value = event[by] if by else None
    text = "" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)
    first = text.split(";")[0].strip()
    return re.sub(r"\W+", "_", first) or NOT_CODED


def _doses(events: pd.DataFrame, column: str | None) -> np.ndarray:
    """Numbers of a column of the events, text or not; NaN where it is empty."""
    if column is None:
        return np.ones(len(events))
    given = events[column]
    empty = given.isna() | given.astype(str).str.strip().eq("")
    numbers = pd.to_numeric(given.mask(empty), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(numbers) & ~empty.to_numpy()
    if wrong.any():
        shown = events.loc[wrong, ["event_id", column]].head(5).to_dict("records")
        raise SchemaError(f"the dose {column!r} of {int(wrong.sum())} event(s)", found=shown, allowed="finite numbers")
    return np.asarray(numbers)
