"""Stacked windows: one sub-experiment per date of treatment, each with its own clean controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.exposure import account, options, spells
from cyber_trade_econ.exposure.calendar import MISSING, Frequency, as_time, frequency
from cyber_trade_econ.exposure.experiments import Experiment, History, Rules, experiments_of, history_of
from cyber_trade_econ.exposure.identification import identification
from cyber_trade_econ.exposure.placement import Question, cells_of, locate, rows_without_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.exposure.attach import Party
    from cyber_trade_econ.exposure.products import Products
    from cyber_trade_econ.records.panel import Panel

Controls = Literal["not_yet", "never"]
Each = Literal["date", "event"]
STACKED = ("pair", "origin", "destination")
COLUMNS = ("stack", "stack_unit", "event_time", "treated", "treated_post", "stack_cohort", "polluted", "stack_weight")


def stack(
    panel: Panel,
    events: pd.DataFrame,
    *,
    window: tuple[int, int],
    on: str | Sequence[str] = "effective",
    controls: Controls = "not_yet",
    each: Each = "date",
    first_only: bool = False,
    kind: Literal["pair", "origin", "destination"] = "pair",
    party: Party = "flow",
    products: Products | str | None = None,
) -> Panel:
    """Copy a window around every date of treatment into a panel of its own, with clean controls, and stack the copies.

    Each sub-experiment compares the units that are hit on one date with units on which no event bears until its window
    is over, in the same periods, so that no unit treated earlier serves as a control for one treated later (Cengiz, Dube,
    Lindner and Zipperer 2019, Quarterly Journal of Economics 134(3), DOI 10.1093/qje/qjz014). Estimate with effects by
    sub-experiment: ``trade ~ treated_post | stack_unit + stack^year``, or in a gravity model
    ``exporter^year^stack + importer^year^stack + stack_unit``. Cluster by the unit of the panel given, not by
    ``stack_unit``, since rows are repeated.

    Parameters
    ----------
    panel, events, on, kind, party, products
        As in `cyber_trade_econ.expose`; a border interaction is not offered. Every row of the unit that an event hits
        is treated from the first period on; a lifting does not end it, but is counted.
    window
        ``(a, b)`` with ``a < 0 <= b``, in periods around the first one. A date whose window is not wholly within the
        periods of the panel is left out and counted, so that every event time has the same sub-experiments.
    controls
        ``"not_yet"``: units on which no event bears before the window has ended, those never hit included.
        ``"never"``: units on which none of the events given bears at all. Units named by an event whose time in the
        panel is not known (no date of the role, or one known to the year only in a monthly panel) are no controls.
    each
        ``"date"``: one sub-experiment per first period. ``"event"``: one per event.
    first_only
        Whether a unit is treated only on the date of the first event that bears on it. By default it is treated in the
        sub-experiment of each of its events, and windows that hold another one are marked as polluted.

    Returns
    -------
    A panel whose unit is ``stack_unit`` (unit and sub-experiment), with the columns of ``panel`` and

    - ``stack``: id of the sub-experiment, its period (``2018`` or ``2018-07``) or event;
    - ``event_time``: periods since the first period of the sub-experiment;
    - ``treated`` (0 or 1): whether the unit is hit on that date; ``treated_post``: times ``event_time >= 0``;
    - ``stack_cohort``: the first period where treated, else null;
    - ``polluted`` (0 or 1): whether another event that bears on the treated unit starts or ends within the window;
    - ``stack_weight``: 1 where treated; for controls the share of the sub-experiment in all treated rows of that event
      time over its share in all control rows, 0 where that event time has no treated row. With effects
      ``stack_unit + stack^year`` the weighted linear estimate is then the mean effect over the treated rows of a
      balanced stack (Wing, Freedman and Hollingsworth 2024, NBER Working Paper 32054); those of a gravity model weight
      sub-experiments in their own way.

    Rows are ordered by sub-experiment, within it as in ``panel``. ``facts["stack"]`` has by sub-experiment its events,
    units treated (and how many of them had an earlier event), controls, rows, and the number and share of polluted
    windows; what was left out and why; how often rows are repeated; and which effects would absorb ``treated_post``.
    ``events["treated_post"]`` has the ids.

    Raises
    ------
    NotIdentified
        If no sub-experiment with treated units and clean controls is left.
    EventError, UnknownCode, VintageError, ConfigError, SchemaError
        As in `cyber_trade_econ.expose`.
    """
    options.check_panel(panel, events)
    rules = _rules(panel, window, controls, each, first_only=first_only)
    if kind not in STACKED:
        raise ConfigError("the kind of exposure of a stack", found=repr(kind), allowed=STACKED)
    spec = options.products_of(products, events)
    roles = spells.roles_of(on, events)
    spells.check(events)
    freq = frequency(panel)
    ask = Question(options.scope_of(panel, kind, party, border=False), roles, freq, spec)
    cells = cells_of(panel, freq, spec)
    found, tally = locate(events, cells, ask)
    history = history_of(panel, cells, found, rows_without_time(events, cells, ask))
    made, left_out = experiments_of(history, rules, freq)
    tally.used = sorted({event for sub in made for event in sub.events})
    for located in found:
        if located.event_id not in tally.used:
            tally.leave_out("in no sub-experiment", located.event_id)
    if not made:
        tally.left_out |= {f"sub-experiments left out since {reason}": names for reason, names in left_out.items()}
        account.refuse(panel, len(events), tally)
    said = {"window": list(rules.window), "on": list(roles), "kind": kind, "controls": controls, "each": each}
    said |= {"first_only": first_only} | account.of_events(tally, events)
    said |= {"sub_experiments_left_out": left_out, "sub_experiments": [_said(sub) for sub in made]}
    said |= {"units_without_known_time": int(history.unclear.sum())} | _repeats(made, len(panel))
    stacked = panel.with_frame(
        _frame(panel, made, history, freq),
        unit="stack_unit",
        events={**panel.events, "treated_post": tuple(tally.used)},
        sources={**panel.sources, **events.attrs.get("sources", {})},
    )
    said["identification"] = _statements(stacked)
    return stacked.with_frame(stacked.frame, facts={**panel.facts, "stack": said})


def _rules(panel: Panel, window: tuple[int, int], controls: str, each: str, *, first_only: bool) -> Rules:
    span = options.periods(window, "the window of a stack")
    if span[0] == 0:
        raise ConfigError("the window of a stack", found=window, allowed="(a, b) with a < 0 <= b: it needs a before")
    for value, allowed, what in ((controls, get_args(Controls), "controls"), (each, get_args(Each), "each")):
        if value not in allowed:
            raise ConfigError(f"{what} of a stack", found=repr(value), allowed=allowed)
    taken = [c for c in COLUMNS if c in panel.frame.columns]
    if taken:
        raise ConfigError(f"column(s) {taken} are already in panel {panel.name!r}", fix="Rename them.")
    return Rules(span, controls, each, first_only)


def _frame(panel: Panel, made: Sequence[Experiment], history: History, freq: Frequency) -> pd.DataFrame:
    """Copy the rows of every sub-experiment and say which part each plays in it."""
    rows = np.concatenate([sub.rows for sub in made])
    names = np.repeat([sub.name for sub in made], [len(sub.rows) for sub in made])
    periods = np.repeat([sub.period for sub in made], [len(sub.rows) for sub in made])
    treated = np.concatenate([sub.treated for sub in made])
    frame = panel.frame.take(rows).reset_index(drop=True)
    time = history.period[rows] - periods
    return frame.assign(
        stack=names,
        stack_unit=frame[panel.unit].astype(str) + "@" + names,
        event_time=time,
        treated=treated.astype(np.int64),
        treated_post=(treated & (time >= 0)).astype(np.int64),
        stack_cohort=as_time(np.where(treated, periods, MISSING), freq),
        polluted=np.concatenate([sub.polluted for sub in made]).astype(np.int64),
        stack_weight=_weights(names, time, treated),
    )


def _weights(names: np.ndarray, time: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Return 1 where treated; for controls the share in the treated rows of an event time over that in its controls."""
    rows = pd.DataFrame({"stack": names, "time": time, "treated": treated, "control": ~treated})
    here = rows.groupby(["stack", "time"])[["treated", "control"]].transform("sum")
    everywhere = rows.groupby("time")[["treated", "control"]].transform("sum")
    controls = here["control"].where(~treated, 1) / everywhere["control"].where(~treated, 1)
    share = here["treated"] / everywhere["treated"].where(everywhere["treated"] > 0, 1)
    return np.where(treated, 1.0, share / controls)


def _said(sub: Experiment) -> dict[str, Any]:
    return {
        "stack": sub.name,
        "events": list(sub.events),
        "treated_units": sub.units,
        "control_units": sub.controls,
        "rows": len(sub.rows),
        "polluted_units": sub.polluted_units,
        "polluted_share": sub.polluted_units / sub.units,
        "lifted_within_window": sub.lifted,
        "treated_before": sub.treated_before,
    }


def _repeats(made: Sequence[Experiment], rows: int) -> dict[str, Any]:
    times = np.bincount(np.concatenate([sub.rows for sub in made]), minlength=rows)
    return {
        "rows_of_panel": rows,
        "rows_in_stack": int(times.sum()),
        "rows_not_used": int((times == 0).sum()),
        "rows_used_once": int((times == 1).sum()),
        "rows_repeated": int((times > 1).sum()),
        "most_copies_of_a_row": int(times.max()),
    }


def _statements(stacked: Panel) -> list[str]:
    """Say whether effects by sub-experiment, and those of a gravity model by sub-experiment, absorb the treatment."""
    time = stacked.time
    designs = (
        ("stack_unit", f"stack^{time}"),
        (f"exporter^{time}^stack", f"importer^{time}^stack", "stack_unit"),
    )
    return [said for effects in designs for said in identification(stacked, ["treated_post"], effects)]
