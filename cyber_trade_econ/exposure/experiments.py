"""Sub-experiments of a stack: who is treated on a date, who is a clean control, and what else happens in the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.exposure.calendar import MISSING, Frequency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.exposure.placement import Cells, Located
    from cyber_trade_econ.records.panel import Panel

OUTSIDE = "its window reaches outside the panel"
NO_CONTROL = "no clean control"
NO_TREATED = "no treated row in the window"


@dataclass(frozen=True)
class History:
    """When events bear on the units of a panel.

    Parameters
    ----------
    unit
        Number of each row's unit, shape (n,).
    period
        Ordinal of each row's period, shape (n,).
    spells
        One row per unit and event that bears on it: unit, event_id, first, last (ordinals).
    first
        First period of the unit's first event, shape (u,); `MISSING` where none bears on it.
    unclear
        Units named by an event whose time is not known, shape (u,).
    """

    unit: np.ndarray
    period: np.ndarray
    spells: pd.DataFrame
    first: np.ndarray
    unclear: np.ndarray


@dataclass(frozen=True)
class Rules:
    """How sub-experiments are cut: window in periods, kind of controls, one per date or event, first events only."""

    window: tuple[int, int]
    controls: str
    each: str
    first_only: bool


@dataclass(frozen=True)
class Experiment:
    """One sub-experiment.

    Parameters
    ----------
    name, period
        Its id and the ordinal of its first treated period.
    events
        Ids of the events that define it.
    rows
        Positions of its rows in the panel, shape (m,), ascending.
    treated, polluted
        For each of its rows: whether its unit is treated, and has another event that starts or ends within the window.
    units, controls, polluted_units, lifted, treated_before
        Numbers of treated units; of control units; and of treated units with a polluted window, with a lifting within
        it, and with an earlier event.
    """

    name: str
    period: int
    events: tuple[str, ...]
    rows: np.ndarray
    treated: np.ndarray
    polluted: np.ndarray
    units: int
    controls: int
    polluted_units: int
    lifted: int
    treated_before: int


def history_of(panel: Panel, cells: Cells, found: Sequence[Located], unclear_rows: np.ndarray) -> History:
    """Collect the spells of every unit.

    Raises
    ------
    SchemaError
        If a unit is not one ordered pair (and product) throughout.
    """
    unit, names = pd.factorize(panel.frame[panel.unit])
    if len(pd.DataFrame({"unit": unit, "cell": cells.cell}).drop_duplicates()) > len(names):
        raise SchemaError(
            f"the unit {panel.unit!r} of panel {panel.name!r} changes its exporter, importer or product over time",
            allowed="one ordered pair, and product, per unit",
        )
    parts = [
        pd.DataFrame({"unit": np.unique(unit[e.rows]), "event_id": e.event_id, "first": e.first, "last": e.last})
        for e in found
    ]
    empty = pd.DataFrame({"unit": [], "event_id": [], "first": [], "last": []}).astype({"unit": int, "first": int})
    spells = pd.concat(parts, ignore_index=True) if parts else empty
    first = np.full(len(names), MISSING)
    np.minimum.at(first, spells["unit"].to_numpy(), spells["first"].to_numpy())
    unclear = np.zeros(len(names), dtype=bool)
    unclear[unit[unclear_rows]] = True
    return History(unit, cells.periods, spells, first, unclear)


def experiments_of(history: History, rules: Rules, freq: Frequency) -> tuple[list[Experiment], dict[str, list[str]]]:
    """Cut the sub-experiments, in the order of their dates; those that cannot be are returned by reason."""
    out: list[Experiment] = []
    left_out: dict[str, list[str]] = {}
    by_date = rules.each == "date"
    for _, spells in history.spells.groupby(["first"] if by_date else ["first", "event_id"], sort=True):
        period = int(spells["first"].iloc[0])
        name = period_name(period, freq) if by_date else str(spells["event_id"].iloc[0])
        made = _experiment(name, period, spells, history, rules)
        if isinstance(made, str):
            left_out.setdefault(made, []).append(name)
        else:
            out.append(made)
    return out, left_out


def _experiment(name: str, period: int, own: pd.DataFrame, history: History, rules: Rules) -> Experiment | str:
    start, end = period + rules.window[0], period + rules.window[1]
    if start < history.period.min() or end > history.period.max():
        return OUTSIDE
    treated = np.zeros(len(history.first), dtype=bool)
    treated[own["unit"]] = True
    if rules.first_only:
        treated &= history.first == period
    clean = history.first > end if rules.controls == "not_yet" else history.first == MISSING
    control = clean & ~history.unclear
    rows = np.flatnonzero((history.period >= start) & (history.period <= end))
    rows = rows[(treated | control)[history.unit[rows]]]
    units = history.unit[rows]
    if not treated[units].any():
        return NO_TREATED
    if not control[units].any():
        return NO_CONTROL
    spells = history.spells
    mine = spells["event_id"].isin(own["event_id"]) & (spells["first"] == period)
    begins = spells["first"].between(start + 1, end)
    ends = spells["last"].between(start, end - 1)  # the period after the last one in force lies within the window
    polluted = np.zeros_like(treated)
    polluted[spells.loc[~mine & (begins | ends), "unit"]] = True
    lifted = np.zeros_like(treated)
    lifted[spells.loc[mine & ends, "unit"]] = True
    seen = np.zeros_like(treated)
    seen[units] = True
    return Experiment(
        name,
        period,
        tuple(sorted(own.loc[treated[own["unit"]], "event_id"].unique())),
        rows,
        treated[units],
        (treated & polluted)[units],
        int((seen & treated).sum()),
        int((seen & control).sum()),
        int((seen & treated & polluted).sum()),
        int((seen & treated & lifted).sum()),
        int((seen & treated & (history.first < period)).sum()),
    )


def period_name(period: int, freq: Frequency) -> str:
    """Return the year, or the year and month, of an ordinal as text."""
    return str(period) if freq == "year" else f"{period // 12:04d}-{period % 12 + 1:02d}"
