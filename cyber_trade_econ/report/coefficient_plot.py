"""Dots and whiskers: one line per term, one colour and marker per estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.report import chosen, marks, theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure as Canvas

    from cyber_trade_econ.records.estimate import Estimate

_SPREAD = 0.5


def frame(several: Sequence[Estimate], series: Sequence[str], level: float, keep: Sequence[str] | None) -> pd.DataFrame:
    """Return one row per series and term: series, term, estimate, std_error, conf_low, conf_high."""
    shown = chosen.terms(several, keep=keep)
    parts = []
    for name, estimate in zip(series, several, strict=True):
        tidy = estimate.tidy(level)
        part = tidy.loc[tidy["term"].isin(shown), ["term", "estimate", "std_error", "conf_low", "conf_high"]]
        parts.append(part.replace([np.inf, -np.inf], np.nan).assign(series=name))
    data = pd.concat(parts, ignore_index=True)
    data["term"] = pd.Categorical(data["term"], categories=[t for t in shown if t in set(data["term"])], ordered=True)
    data = data.sort_values(["term"], kind="stable", ignore_index=True).astype({"term": str})
    return data[["series", "term", "estimate", "std_error", "conf_low", "conf_high"]]


def draw(
    data: pd.DataFrame,
    several: Sequence[Estimate],
    names: Mapping[str, str],
    title: str,
    level: float,
    extra: Sequence[str],
) -> Canvas:
    """Draw the frame of `frame`; call it under the theme of the house."""
    terms = chosen.distinct(data["term"])
    groups = list(data.groupby("series", sort=False))
    low, high = marks.limits(data)
    beyond = marks.cut(data, low, high)
    notes = marks.foot(several, level, "Dots are point estimates, whiskers the {level} confidence interval.", extra)
    notes[1:1] = marks.caveats(data, beyond, data["term"].map(lambda t: chosen.label(t, names)))
    crowd = int(data["term"].value_counts().max())
    height = 0.9 + max(0.3, 0.17 * crowd) * len(terms) + (0.25 if len(groups) > 1 else 0)
    canvas = theme.canvas(theme.WIDTH, max(1.6, height), notes)
    axes = canvas.subplots()
    axes.axvline(0, color=theme.INK, linewidth=0.8, zorder=1)
    axes.set_xlim(low, high)
    palette = theme.colours(len(groups))
    for i, (name, group) in enumerate(groups):
        colour, marker = palette[i % len(palette)], theme.MARKERS[i % len(theme.MARKERS)]
        y = np.array([terms.index(t) + _offset(data, t, str(name)) for t in group["term"]])
        x, left, right = (group[c].to_numpy(dtype=float) for c in ("estimate", "conf_low", "conf_high"))
        known = np.isfinite(left) & np.isfinite(right)
        axes.hlines(y[known], left[known], right[known], color=colour, linewidth=1.3, zorder=2)
        axes.plot(x, y, marker, color=colour, label=str(name), zorder=3)
        for edge, where, sign in ((high, right > high, ">"), (low, left < low, "<")):
            if where.any():  # an empty unclipped line would confuse the layout
                at = np.full(int(where.sum()), edge)
                axes.plot(at, y[where], sign, color=colour, markersize=6, clip_on=False, zorder=4)
    axes.set_yticks(range(len(terms)), [chosen.label(t, names) for t in terms])
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.grid(visible=True, axis="y", color="0.92", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(
        f"Estimate ({several[0].facts['effect_unit']})" if "effect_unit" in several[0].facts else "Estimate"
    )
    axes.set_title(title)
    if not np.isfinite(data["estimate"]).any():
        axes.text(0.5, 0.5, "no finite estimate", transform=axes.transAxes, ha="center", color=theme.MUTED)
    if len(groups) > 1:
        canvas.legend(loc="outside upper right", ncols=min(3, len(groups)))
    return canvas


def _offset(data: pd.DataFrame, term: str, name: str) -> float:
    """Lay the series that have a term side by side around its line."""
    here = chosen.distinct(data.loc[data["term"] == term, "series"])
    return float(np.linspace(-_SPREAD / 2, _SPREAD / 2, len(here))[here.index(name)]) if len(here) > 1 else 0.0
