"""From located events to treatment columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.exposure.calendar import MISSING, Frequency, as_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.exposure.placement import Cells, Located, Tally

OUTSIDE = "outside the panel's periods"
NOT_FIRST = "not the first event of any cell"


@dataclass(frozen=True)
class Span:
    """Periods, relative to the first one, in which an event is on, and those around its date that are flagged.

    Parameters
    ----------
    start, end
        First and last period, the start 0 or less; `MISSING` where an event stays on until it is lifted.
    donut
        First and last period flagged, or None.
    """

    start: int
    end: int = MISSING
    donut: tuple[int, int] | None = None


@dataclass(frozen=True)
class Measures:
    """Which columns are asked for besides on, count, cohort and first."""

    prefix: str
    split: bool = False
    cumulative: bool = False
    dose: bool = False
    donut: bool = False

    @property
    def no_regressors(self) -> tuple[str, ...]:
        """Columns that are not meant as regressors."""
        return f"{self.prefix}_cohort", f"{self.prefix}_first", f"{self.prefix}_donut"


@dataclass(frozen=True)
class Hit:
    """The rows one event switches on.

    Parameters
    ----------
    event
        The event.
    on
        Positions of the rows in which it is in force.
    cell_rows
        Positions of all rows of the cells with at least one such row.
    started
        Positions of the rows from its first period on, lifted or not.
    near
        Positions of the rows flagged around its date.
    """

    event: Located
    on: np.ndarray
    cell_rows: np.ndarray
    started: np.ndarray
    near: np.ndarray

    def rows(self) -> dict[str, np.ndarray]:
        """Return the four sets of rows by name."""
        return {"on": self.on, "cell_rows": self.cell_rows, "started": self.started, "near": self.near}


def switch(found: Sequence[Located], cells: Cells, span: Span, tally: Tally, *, cumulative: bool) -> list[Hit]:
    """Switch events on in the periods of the panel; those that no column would show are left out and counted."""
    hits = []
    for event in found:
        time = cells.periods[event.rows] - event.first
        running = cells.periods[event.rows] <= event.last
        on = event.rows[(time >= span.start) & (time <= span.end) & running]
        started = event.rows[time >= span.start]
        near = event.rows[(time >= span.donut[0]) & (time <= span.donut[1])] if span.donut else started[:0]
        if not (len(on) or len(near) or (cumulative and len(started))):
            tally.leave_out(OUTSIDE, event.event_id)
            continue
        cell_rows = event.rows[np.isin(cells.cell[event.rows], cells.cell[on])]
        hits.append(Hit(event, on, cell_rows, started, near))
        tally.used.append(event.event_id)
    return hits


def cohorts(rows: int, hits: Sequence[Hit]) -> np.ndarray:
    """Ordinal of the earliest first period of any event that is in force somewhere in the row's cell, shape (n,)."""
    cohort = np.full(rows, MISSING)
    for hit in hits:
        cohort[hit.cell_rows] = np.minimum(cohort[hit.cell_rows], hit.event.first)
    return cohort


def keep_first(
    found: Sequence[Located], hits: Sequence[Hit], cells: Cells, tally: Tally
) -> tuple[list[Hit], dict[str, Any]]:
    """Keep of each event the cells in which no other event in force in the panel has an earlier first period.

    Returns
    -------
    The events that are first somewhere, with the rows of those cells alone; and counts of what was ignored. Events
    whose first period is the same count together.
    """
    cohort = cohorts(len(cells.periods), hits)
    kept, ignored, several = [], 0, np.zeros(len(cells.periods), dtype=np.int64)
    for hit in hits:
        first = replace(hit, **{name: rows[cohort[rows] == hit.event.first] for name, rows in hit.rows().items()})
        ignored += _number(cells.cell[hit.cell_rows]) - _number(cells.cell[first.cell_rows])
        if any(len(rows) for rows in first.rows().values()):
            several[first.cell_rows] += 1
            kept.append(first)
        else:
            tally.used.remove(hit.event.event_id)
            tally.leave_out(NOT_FIRST, hit.event.event_id)
    before = np.zeros(len(cells.periods), dtype=bool)
    for event in found:
        before[event.rows] |= (cohort[event.rows] != MISSING) & (cohort[event.rows] > event.first)
    return kept, {
        "events_ignored": len(hits) - len(kept),
        "event_cells_ignored": ignored,
        "cells_with_several_first_events": _number(cells.cell[several > 1]),
        "cells_with_an_event_over_before_the_panel": _number(cells.cell[before]),
    }


def _number(values: np.ndarray) -> int:
    return len(np.unique(values))


def build(hits: Sequence[Hit], rows: int, freq: Frequency, ask: Measures) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the new columns, and name the events behind each.

    Returns
    -------
    Column -> values, shape (n,), in the order in which they are added; column -> ids of the events behind it.
    """
    groups: dict[str, Sequence[Hit]] = {"": hits}
    if ask.split:
        values = sorted({h.event.value for h in hits if len(h.on) or (ask.cumulative and len(h.started))})
        groups |= {f"_{v}": [h for h in hits if h.event.value == v] for v in values}
    columns: dict[str, Any] = {}
    behind: dict[str, Any] = {}
    for suffix, group in groups.items():
        on = [h for h in group if len(h.on)]
        count = _sum(rows, [(h.on, 1) for h in on]).astype(np.int64)
        new: dict[str, Any] = {"on": (count > 0).astype(np.int64), "count": count}
        if ask.cumulative:
            new["cumulative"] = _sum(rows, [(h.started, 1) for h in group]).astype(np.int64)
        if ask.dose:
            new["dose"] = _sum(rows, [(h.on, h.event.dose) for h in on])
        columns |= {f"{ask.prefix}_{name}{suffix}": column for name, column in new.items()}
        behind |= {f"{ask.prefix}_{name}{suffix}": _ids(group if name == "cumulative" else on) for name in new}
        if not suffix:
            cohort = cohorts(rows, on)
            columns[f"{ask.prefix}_cohort"] = as_time(cohort, freq)
            columns[f"{ask.prefix}_first"] = _first_events(rows, on, cohort)
            starts = [h for h in on if (cohort[h.cell_rows] == h.event.first).any()]
            behind |= dict.fromkeys((f"{ask.prefix}_cohort", f"{ask.prefix}_first"), _ids(starts))
    if ask.donut:
        near = [h for h in hits if len(h.near)]
        columns[f"{ask.prefix}_donut"] = (_sum(rows, [(h.near, 1) for h in near]) > 0).astype(np.int64)
        behind[f"{ask.prefix}_donut"] = _ids(near)
    return columns, behind


def _sum(rows: int, parts: Sequence[tuple[np.ndarray, float]]) -> np.ndarray:
    total = np.zeros(rows)
    for positions, amount in parts:
        total[positions] += amount  # the positions of one event are distinct
    return total


def _ids(hits: Sequence[Hit]) -> tuple[str, ...]:
    return tuple(h.event.event_id for h in hits)


def _first_events(rows: int, hits: Sequence[Hit], cohort: np.ndarray) -> np.ndarray:
    """Name the events whose date is the cohort of their cell, joined by ``;``; empty where there is none."""
    out = np.full(rows, "", dtype=object)
    for hit in sorted(hits, key=lambda h: h.event.event_id):
        first = hit.cell_rows[cohort[hit.cell_rows] == hit.event.first]
        out[first] = [f"{old};{hit.event.event_id}" if old else hit.event.event_id for old in out[first]]
    return out
