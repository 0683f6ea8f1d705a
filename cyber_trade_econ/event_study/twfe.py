"""The dynamic two-way (or three-way) fixed-effects event study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, NotIdentified
from cyber_trade_econ.event_study.clock import Clock, check_window, events_of, term, wind
from cyber_trade_econ.fit import Model, Options, fit
from cyber_trade_econ.formula import Atom, Formula, parse
from cyber_trade_econ.inference.given import require_word
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from cyber_trade_econ.records.estimate import Estimate

CAVEAT = (
    "Two-way fixed effects average cohort-specific effects with weights that can be negative when effects differ between "
    "cohorts or grow over time (Sun and Abraham 2021, https://doi.org/10.1016/j.jeconom.2020.09.006)."
)


def twfe(
    data: pd.DataFrame | Panel,
    outcome: str,
    unit: str,
    time: str,
    cohort: str,
    *,
    leads: int,
    lags: int,
    ref: int,
    effects: str | None,
    model: Model,
    controls: Sequence[str],
    options: Options,
) -> Estimate:
    """Estimate leads and lags around the first treatment; see `cyber_trade_econ.event_study.event_study`."""
    check_window(leads, lags, ref)
    listed = isinstance(controls, Sequence) and not isinstance(controls, str)
    if not listed or not all(isinstance(name, str) for name in controls):
        raise ConfigError("controls", found=repr(controls), allowed="a list of terms, such as ['rta', 'log(dist)']")
    frame = data.frame if isinstance(data, Panel) else data
    clock = wind(frame, unit, time, cohort)
    cells = _cells(clock, leads, lags)
    used = ~clock.early
    if not (used & ~clock.treated).any() and (cells[used] > -leads).all():
        raise NotIdentified("every unit is treated and none is observed before the window", fix="Widen the panel.")
    times = [h for h in range(-leads, lags + 1) if h != ref and (cells[used] == h).any()]
    if not (cells[used] == ref).any():
        raise NotIdentified(
            f"no treated unit is observed in the reference period {ref}",
            found=f"event times {sorted({int(c) for c in cells[used & clock.treated]})}",
            fix="Choose another reference period.",
        )
    indicators = pd.DataFrame({term(h): (cells == h).astype(float) for h in times}, index=frame.index)
    wide = pd.concat([frame, indicators], axis=1).loc[used]
    sample: pd.DataFrame | Panel = data.with_frame(wide) if isinstance(data, Panel) else wide
    spec = _formula(outcome, times, controls, _effects(frame, effects, unit, time), model)
    estimate = fit(model, spec, sample, options)
    counted = pd.Series(wide[unit].to_numpy()).groupby(cells[used]).nunique()
    facts: dict[str, Any] = {
        **estimate.facts,
        "rows_given": len(frame),
        "event_time": times,
        "event_terms": [term(h) for h in times],
        "reference": ref,
        "binned_ends": True,
        "treated_units": {h: int(counted.get(h, 0)) for h in range(-leads, lags + 1)},
        "effect_unit": "log points",
        "time_unit": clock.time_unit,
        "identification": [CAVEAT],
    }
    if clock.early.any():
        facts["dropped"] = {**facts["dropped"], "unit treated in its first period": int(clock.early.sum())}
    ids = {term(h): events_of(data, cohort, used & (cells == h)) for h in times}
    return replace(
        estimate,
        model=f"{estimate.model} event study (TWFE)",
        facts=facts,
        events={name: found for name, found in ids.items() if found},
    )


def _cells(clock: Clock, leads: int, lags: int) -> np.ndarray:
    """Event time with both ends binned; units that are never treated lie outside every cell."""
    never = -leads - 10**6
    return np.where(clock.treated, np.clip(clock.event_time, -leads, lags), never)


def _effects(frame: pd.DataFrame, effects: str | None, unit: str, time: str) -> tuple[tuple[str, ...], ...]:
    if effects is None:
        gravity = {"exporter", "importer"} <= set(frame.columns)
        effects = f"exporter^{time} + importer^{time} + {unit}" if gravity else f"{unit} + {time}"
    return parse(f"y ~ 1 | {effects}").effects


def _formula(
    outcome: str, times: Sequence[int], controls: Sequence[str], effects: tuple[tuple[str, ...], ...], model: Model
) -> Formula:
    require_word(model, "model", ("PPML", "OLS"))
    cells = tuple((Atom("name", term(h)),) for h in times)
    extra = parse(f"y ~ {' + '.join(controls)}").terms if controls else ()
    return Formula(parse(f"{outcome} ~ 1").outcome, cells + extra, intercept=True, effects=effects)
