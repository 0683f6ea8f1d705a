"""Abnormal trade: flows around an event against the flow expected without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import BadRegressor, ConfigError, FewClusters, NotIdentified
from cyber_trade_econ.event_study.clock import LONGEST, Clock, check_window, events_of, term, whole, wind
from cyber_trade_econ.fit import Options, fit
from cyber_trade_econ.formula import Atom, Formula, parse
from cyber_trade_econ.frames import column, numeric
from cyber_trade_econ.inference.conventions import Cluster, Vcov
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Mask

FEWEST = {"month": 24, "year": 5}
"""Periods from which an expected flow can be learnt: two of every calendar month, or five years."""


WITHOUT_TREND = (
    "Reads as the effect of the events only if, without them, trade would have kept the unit's own level and season and "
    "moved with the shocks common to all units. Units that grow faster or slower than the others break this. "
)
WITH_TREND = (
    "Reads as the effect of the events only if, without them, trade would have kept the unit's own level, season and trend "
    "and moved with the shocks common to all units. Trends are extrapolated: the error of a slope, which serial correlation "
    "raises, makes the expected flow too large on average and abnormal trade too small. "
)
KNOWN_SHOCKS = (
    "The common shocks are treated as known: with few units that are never treated, or many events on one date, intervals "
    "are too short."
)


@dataclass(frozen=True)
class _Windows:
    """Which rows teach the expected flow, and which are compared with it, shape (n,)."""

    learn: Mask
    compare: Mask


def abnormal_trade(
    data: pd.DataFrame | Panel,
    outcome: str,
    unit: str,
    time: str,
    cohort: str,
    *,
    leads: int,
    lags: int,
    window: int,
    common: str | None,
    trend: bool,
    options: Options,
) -> Estimate:
    """Estimate mean abnormal trade by event time; see `cyber_trade_econ.event_study.event_study`."""
    check_window(leads, lags, -1)
    frame = (data.frame if isinstance(data, Panel) else data).reset_index(drop=True)
    clock = wind(frame, unit, time, cohort)
    _check(frame, outcome, window, trend, clock)
    if common is not None:
        column(frame, common, "the column of common shocks")
    vcov = Cluster((cohort,)) if options.vcov is None else options.vcov
    sides = _windows(clock, leads, lags, window)
    usable, left_out = _usable(frame, unit, outcome, clock, sides, leads + lags + 1, window)
    learn = sides.learn & (usable | ~clock.treated)
    flows = _flows(frame, clock, outcome, unit, learn, usable, common=common, trend=trend, options=options)
    events = _events(flows, frame, vcov, leads, lags)
    mean, cov, effective = _average(events, vcov)
    averaged = frame[unit].isin(events.units).to_numpy()
    lost = usable & ~averaged
    if lost.any():
        left_out |= {"unit without an expected flow in the whole event window": int(lost.sum())}
    learn = flows["learn"].to_numpy()
    used = (learn | (sides.compare & flows["compare"].to_numpy())) & ~lost
    left_out |= flows.attrs["dropped"]
    left_out |= {"outside the learning and event windows": len(frame) - int(used.sum()) - sum(left_out.values())}
    terms = pd.Index([term(h) for h in range(-leads, lags + 1)], name="term")
    facts: dict[str, Any] = {
        "outcome": outcome,
        "rows_given": len(frame),
        "rows_used": int(used.sum()),
        "rows_learning": int((learn & used).sum()),
        "dropped": left_out,
        "vcov": str(vcov),
        "clusters": {str(vcov).removeprefix("cluster: "): len(np.unique(events.group))},
        "never_treated_units": int(frame.loc[learn & ~clock.treated, unit].nunique()),
        "ssc": "jackknife over clusters; t with the effective number of clusters less one",
        "event_time": list(range(-leads, lags + 1)),
        "event_terms": list(terms),
        "reference": -leads - 1,
        "reference_label": f"expected flow learnt from {clock.time_unit}s {-leads - window} to {-leads - 1}",
        "binned_ends": False,
        "treated_units": {h: len(events.actual) for h in range(-leads, lags + 1)},
        "effective_clusters": effective,
        "effect_unit": "share of the expected flow",
        "time_unit": clock.time_unit,
        "identification": [(WITH_TREND if trend else WITHOUT_TREND) + KNOWN_SHOCKS],
    }
    ids = events_of(data, cohort, averaged)
    return Estimate(
        model="abnormal trade",
        formula=flows.attrs["formula"],
        coef=pd.Series(mean, index=terms, name="coef"),
        vcov=pd.DataFrame(cov, index=terms, columns=terms),
        nobs=int(len(events.actual) * (leads + lags + 1)),
        df=max(effective - 1, 1.0),
        facts=facts,
        sources=data.sources if isinstance(data, Panel) else {},
        events=dict.fromkeys(terms, ids) if ids else {},
    )


def _check(frame: pd.DataFrame, outcome: str, window: int, trend: bool, clock: Clock) -> None:
    numeric(frame, outcome, "the outcome")
    fewest = FEWEST[clock.time_unit]
    if not whole(window, fewest):
        raise ConfigError(
            "window",
            found=repr(window),
            allowed=f"at least {fewest} {clock.time_unit}s to learn from, at most {LONGEST}",
        )
    if not isinstance(trend, bool):
        raise ConfigError("trend", found=repr(trend), allowed=(True, False))


def _windows(clock: Clock, leads: int, lags: int, window: int) -> _Windows:
    h = clock.event_time
    inside = (h >= -leads) & (h <= lags)
    before = (h >= -leads - window) & (h < -leads)
    compared = clock.period[inside]
    if not inside.any():
        raise NotIdentified("no treated unit is observed in the event window", fix="Choose a shorter window.")
    span = (clock.period >= compared.min() - window) & (clock.period <= compared.max())
    return _Windows(np.asarray(before | (~clock.treated & ~clock.early & span)), np.asarray(inside))


def _usable(
    frame: pd.DataFrame, unit: str, outcome: str, clock: Clock, sides: _Windows, length: int, window: int
) -> tuple[Mask, dict[str, int]]:
    """Rows of treated units whose whole estimation and event window is observed and that trade in every learning period."""
    units, _ = pd.factorize(frame[unit])
    y = numeric(frame, outcome, "the outcome")
    before = sides.learn & clock.treated
    seen = np.bincount(units[before & (y > 0)])
    compared = np.bincount(units[sides.compare & ~np.isnan(y)])
    size = units.max() + 1
    seen, compared = np.pad(seen, (0, size - len(seen))), np.pad(compared, (0, size - len(compared)))
    treated = np.bincount(units[clock.treated], minlength=size) > 0
    short = treated & (compared < length)
    sparse = treated & ~short & (seen < window)
    good = treated & ~short & ~sparse
    if not good.any():
        raise NotIdentified(
            "no treated unit has a complete window",
            found=f"{int(short.sum())} without the whole event window, {int(sparse.sum())} without trade in every one of the "
            f"{window} periods from which the expected flow is learnt",
            fix="Choose shorter windows.",
        )
    reasons = {"unit without the whole event window": short, "unit without trade in every learning period": sparse}
    return np.asarray(good[units]), {r: int(m[units].sum()) for r, m in reasons.items() if m.any()}


def _flows(
    frame: pd.DataFrame,
    clock: Clock,
    outcome: str,
    unit: str,
    learn: Mask,
    usable: Mask,
    *,
    common: str | None,
    trend: bool,
    options: Options,
) -> pd.DataFrame:
    """Actual and expected flow of every row, and which rows were learnt from and which are compared."""
    work = frame.copy()
    period, month = (_free(frame, name) for name in ("period", "calendar_month"))
    work[period] = clock.period.astype(np.int64)
    work[month] = (clock.period.astype(np.int64) - 1) % 12 if clock.time_unit == "month" else 0
    trends: list[str] = []
    if trend:
        for position, name in enumerate(pd.unique(frame.loc[usable, unit])):
            own = (frame[unit] == name).to_numpy()
            centre = clock.period[own & learn].mean()
            trends.append(_free(frame, f"trend_{position}"))
            work[trends[-1]] = np.where(own, (clock.period - centre) / 12, 0.0)
    season = (unit, month) if clock.time_unit == "month" else (unit,)
    shock = (period,) if common is None else (common, period)
    spec = Formula(
        parse(f"{outcome} ~ 1").outcome,
        tuple((Atom("name", t),) for t in trends),
        intercept=True,
        effects=(season, shock),
    )
    expected = fit("PPML", spec, work.loc[learn], Options(vcov="hetero", collinear="drop", tol=options.tol))
    flow = expected.predict(work).to_numpy()
    out = pd.DataFrame({"unit": frame[unit].to_numpy(), "h": clock.event_time}, index=frame.index)
    out["learn"] = np.isin(out.index, np.asarray(expected.sample))
    out["compare"] = usable & ~learn & ~np.isnan(flow) & ~np.isnan(clock.event_time)
    out["actual"] = numeric(frame, outcome, "the outcome")
    out["expected"] = flow
    shown = f"{outcome} ~ own trends | " if trend else f"{outcome} ~ 1 | "
    out.attrs["dropped"] = {f"learning: {reason}": n for reason, n in expected.facts["dropped"].items()}
    out.attrs["formula"] = shown + " + ".join("^".join(e) for e in spec.effects)
    return out


def _free(frame: pd.DataFrame, name: str) -> str:
    """Return ``name``, lengthened until no column of the data has it."""
    while name in frame.columns:
        name += "_"
    return name


@dataclass(frozen=True)
class _Events:
    """Actual and expected flow by event (rows) and event time (columns); unit and cluster of each event."""

    units: np.ndarray
    actual: np.ndarray
    expected: np.ndarray
    group: np.ndarray


def _events(flows: pd.DataFrame, frame: pd.DataFrame, vcov: Vcov, leads: int, lags: int) -> _Events:
    wanted = flows[flows["compare"] & flows["h"].between(-leads, lags)]
    times = range(-leads, lags + 1)
    wide = {
        v: wanted.pivot_table(index="unit", columns="h", values=v).reindex(columns=times)
        for v in ("actual", "expected")
    }
    complete = wide["expected"].dropna().index
    if complete.empty:
        raise NotIdentified(
            "no expected flow could be formed for any event",
            fix="The periods after the event need units without an event in the same period to learn the common shock from.",
        )
    if not (isinstance(vcov, Cluster) and len(vcov.by) == 1):
        raise ConfigError(
            "vcov of abnormal trade", found=str(vcov), allowed="cte.cluster(one column), by default the cohort"
        )
    values = column(frame, vcov.by[0], "the cluster").to_numpy()
    of_unit = pd.DataFrame({"unit": flows["unit"].to_numpy(), "group": values}).drop_duplicates()
    of_unit = of_unit[of_unit["unit"].isin(complete)]
    if of_unit["group"].isna().any() or of_unit["unit"].duplicated().any():
        raise BadRegressor(
            f"the cluster {vcov.by[0]!r} must be known and the same in every row of a unit",
            found=f"{int(of_unit['group'].isna().sum())} missing, {int(of_unit['unit'].duplicated().sum())} changing",
        )
    group = of_unit.set_index("unit").loc[complete, "group"].to_numpy()
    actual, expected = (wide[v].loc[complete].to_numpy() for v in ("actual", "expected"))
    return _Events(complete.to_numpy(), actual, expected, pd.factorize(group)[0])


def _average(events: _Events, vcov: Vcov) -> tuple[np.ndarray, np.ndarray, float]:
    """Total actual over total expected flow, less one; its jackknife variance; the effective number of clusters.

    Leaving out one cluster of events at a time is honest about clusters of unequal weight, where the sandwich is not.
    """
    groups = int(events.group.max()) + 1
    if groups < 2:
        raise FewClusters(
            "the spread between events needs at least two clusters of events",
            found=f"{groups} ({vcov})",
            fix="Study more units, or a single unit by its own time series.",
        )
    actual = np.zeros((groups, events.actual.shape[1]))
    expected = np.zeros_like(actual)
    np.add.at(actual, events.group, events.actual)
    np.add.at(expected, events.group, events.expected)
    total, yardstick = actual.sum(axis=0), expected.sum(axis=0)
    without = (total - actual) / (yardstick - expected) - total / yardstick
    shares = (expected / yardstick).mean(axis=1)
    return total / yardstick - 1, without.T @ without * (groups - 1) / groups, float(1 / np.sum(shares**2))
