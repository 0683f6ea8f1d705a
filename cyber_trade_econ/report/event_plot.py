"""The event-study figure: effects by time since the event above, the number of treated pairs behind them below."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.markers import CARETDOWN, CARETUP

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.report import chosen, marks, theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from cyber_trade_econ.records.estimate import Estimate

_UNITS = {"year": "Years", "month": "Months", "quarter": "Quarters", "week": "Weeks", "day": "Days"}
_ONSET = -0.5  # the event falls between the last period before it and period 0
_STEPS = (1, 2, 3, 4, 6, 12, 24, 36, 60, 120)
_CROWD = 25  # more periods than this are drawn with small markers and the band alone
_ABOVE = 16  # points between the axes and a title, room for the words above the axes
_SPREAD = 0.42  # share of a period over which several series are laid side by side


def frame(several: Sequence[Estimate], series: Sequence[str], level: float) -> pd.DataFrame:
    """Return one row per series and event time, the reference included as an exact zero.

    Returns
    -------
    Columns series, event_time, term, estimate, std_error, conf_low, conf_high, is_reference, treated_units.
    """
    parts = []
    for name, estimate in zip(series, several, strict=True):
        facts = estimate.facts
        times = [int(t) for t in facts["event_time"]]
        terms = [str(t) for t in facts.get("event_terms", estimate.coef.index)]
        if len(times) != len(terms) or len(set(times)) != len(times) or not set(terms) <= set(estimate.coef.index):
            raise ConfigError(
                f"event_time and event_terms of {estimate.model} do not describe its coefficients",
                found=f"{len(times)} times ({len(set(times))} different), {len(terms)} terms",
                allowed="one time per term of the estimate",
            )
        tidy = estimate.tidy(level).set_index("term").loc[terms].reset_index()
        part = tidy[["term", "estimate", "std_error", "conf_low", "conf_high"]].assign(event_time=times)
        part = part.replace([np.inf, -np.inf], np.nan)
        reference = facts.get("reference")
        part["is_reference"] = part["event_time"] == reference if reference is not None else False
        if reference is not None and int(reference) not in times:
            zero = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), 0.0)
            row = pd.DataFrame([{"term": "", "event_time": int(reference), "is_reference": True, **zero}])
            part = pd.concat([part, row], ignore_index=True)
        units = {int(t): int(n) for t, n in facts.get("treated_units", {}).items()}
        part["treated_units"] = part["event_time"].map(units).astype("float64")
        parts.append(part.sort_values("event_time", ignore_index=True).assign(series=name))
    columns = ["series", "event_time", "term", "estimate", "std_error", "conf_low", "conf_high"]
    return pd.concat(parts, ignore_index=True)[[*columns, "is_reference", "treated_units"]]


def draw(data: pd.DataFrame, several: Sequence[Estimate], title: str, level: float, extra: Sequence[str]) -> Canvas:
    """Draw the frame of `frame`; call it under the theme of the house."""
    facts = several[0].facts
    counted = bool(data["treated_units"].notna().any())
    low, high = marks.limits_of_series(data)
    beyond = marks.cut(data, low, high)
    drawn = (
        "Markers are point estimates, the band is" if len(several) == 1 else "Markers are point estimates, whiskers are"
    )
    notes = marks.foot(several, level, drawn + " the pointwise {level} confidence interval.", extra)
    notes[1:1] = marks.caveats(data, beyond, data["event_time"].map("event time {}".format))
    references = chosen.distinct(str(e.facts["reference_label"]) for e in several if "reference_label" in e.facts)
    notes[1:1] = [f"Reference: {'; '.join(references)}."] if references else []
    canvas = theme.canvas(theme.WIDTH, 3.5 if counted else 2.8, notes)
    if counted:
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=[4.2, 1])
    else:
        upper = lower = canvas.subplots()
    _effects(upper, data, low, high)
    if len(several) > 1:
        handles, texts = upper.get_legend_handles_labels()
        canvas.legend(handles, texts, loc="outside upper right", ncols=min(4, len(several)))
    if counted:
        _counts(lower, data)
        upper.tick_params(axis="x", length=0)
        canvas.align_ylabels([upper, lower])
    unit = f"\n({textwrap.fill(str(facts['effect_unit']), 30)})" if "effect_unit" in facts else ""
    upper.set_ylabel("Effect" + unit)
    upper.set_title(title, pad=_ABOVE)
    _time_axis(lower, data, facts.get("time_unit", ""), binned=bool(facts.get("binned_ends", False)))
    return canvas


def _effects(axes: Axes, data: pd.DataFrame, low: float, high: float) -> None:
    groups = list(data.groupby("series", sort=False))
    palette = theme.colours(len(groups))
    offsets = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(groups)) if len(groups) > 1 else [0.0]
    axes.axhline(0, color=theme.INK, linewidth=0.8, zorder=1)
    axes.set_ylim(low, high)
    for i, (name, group) in enumerate(groups):
        colour, marker = palette[i % len(palette)], theme.MARKERS[i % len(theme.MARKERS)]
        x = group["event_time"].to_numpy(dtype=float) + offsets[i]
        y, below, above = (group[c].to_numpy(dtype=float) for c in ("estimate", "conf_low", "conf_high"))
        known = np.isfinite(below) & np.isfinite(above)
        if len(groups) == 1 and len(x) > 1:
            axes.fill_between(x, below, above, where=known.tolist(), color=colour, alpha=0.2, linewidth=0, zorder=2)
            axes.plot(x, y, color=colour, zorder=3)
        size = 4.5 if len(x) <= _CROWD else 2.8
        if len(groups) > 1 or len(x) <= _CROWD:
            axes.vlines(x[known], below[known], above[known], color=colour, linewidth=0.9, zorder=3)
        free = ~group["is_reference"].to_numpy(dtype=bool)
        axes.plot(x[free], y[free], marker, color=colour, markersize=size, label=str(name), zorder=4)
        hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.1, "markersize": size + 0.5}
        axes.plot(x[~free], y[~free], marker, color=colour, zorder=5, **hollow)
        for edge, where, sign in ((high, above > high, CARETUP), (low, below < low, CARETDOWN)):  # tips at the edge
            if where.any():  # an empty unclipped line would confuse the layout
                at = np.full(int(where.sum()), edge)
                axes.plot(x[where], at, linestyle="", marker=sign, color=colour, markersize=7, clip_on=False, zorder=6)
    if not np.isfinite(data.loc[~data["is_reference"], "estimate"]).any():
        axes.text(0.5, 0.7, "no finite estimate", transform=axes.transAxes, ha="center", color=theme.MUTED)
    _onset(axes, data)
    _reference(axes, data)


def _reference(axes: Axes, data: pd.DataFrame) -> None:
    """Name the open marker, the period to which all others are compared, above the axes where no whisker reaches."""
    reference = data.loc[data["is_reference"], "event_time"]
    if len(reference):
        at = float(reference.iloc[0])
        first, last = float(data["event_time"].min()), float(data["event_time"].max())
        # To the left of its line, away from the word "event"; to the right where the axis begins and there is room.
        right = at > _ONSET or (at == first and (_ONSET - at > 0.25 * (last - first) or last < 0))
        axes.axvline(at, color=theme.MUTED, linewidth=0.7, linestyle=(0, (1, 3)), zorder=1)
        axes.annotate(
            "reference",
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if right else 3, 3),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom",
            fontsize=8,
            color=theme.MUTED,
        )


def _onset(axes: Axes, data: pd.DataFrame) -> None:
    """Mark the moment of the event, between the last period before it and period 0."""
    times = data["event_time"]
    if times.min() < 0 <= times.max():
        axes.axvline(_ONSET, color=theme.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            "event",
            (_ONSET, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=8,
            color=theme.MUTED,
        )


def _counts(axes: Axes, data: pd.DataFrame) -> None:
    """Bars of treated pairs; series with the same counts share one set of bars."""
    wide = data.pivot_table(index="event_time", columns="series", values="treated_units", sort=False).sort_index()
    same = wide.nunique(axis=1).le(1).all() or wide.shape[1] == 1
    shown = wide.bfill(axis=1).iloc[:, [0]] if same else wide
    width = 0.6 / shown.shape[1]
    palette = ["0.7"] if same else theme.colours(data["series"].nunique())
    for i, column in enumerate(shown.columns):
        x = shown.index.to_numpy(dtype=float) + (i - (shown.shape[1] - 1) / 2) * width
        axes.bar(x, shown[column].to_numpy(dtype=float), width=width, color=palette[i], linewidth=0)
    axes.set_ylabel("Treated\npairs")
    axes.set_ylim(bottom=0)
    axes.yaxis.get_major_locator().set_params(nbins=3, integer=True)  # type: ignore[call-arg]


def _time_axis(axes: Axes, data: pd.DataFrame, unit: str, *, binned: bool) -> None:
    """Label whole periods only, zero and both ends among them."""
    first, last = int(data["event_time"].min()), int(data["event_time"].max())
    step = next((s for s in _STEPS if (last - first) / s <= 14), last - first)
    inner = [t for t in range(first, last + 1) if t % step == 0]
    apart = 0.7 * step if step > 1 else 0
    ticks = sorted({first, last, *(t for t in inner if t in (first, last) or min(t - first, last - t) > apart)})
    texts = {t: f"{t:d}".replace("-", "−") for t in ticks}
    if binned and first < last:
        texts[first], texts[last] = f"≤{texts[first]}", f"≥{texts[last]}"
    axes.set_xticks(ticks, [texts[t] for t in ticks])
    axes.set_xlim(first - 0.6, last + 0.6)
    axes.set_xlabel(f"{_UNITS.get(unit, 'Periods')} since the event")
