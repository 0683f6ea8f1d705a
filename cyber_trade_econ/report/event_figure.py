"""Pictures of the coded events: a timeline by action and economy, a matrix of imposers and targets, a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.ticker import MultipleLocator

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.report import event_counts, theme, world_map
from cyber_trade_econ.report.figure import Figure

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.figure import Figure as Canvas

Kind = Literal["timeline", "matrix", "map"]
KINDS: tuple[Kind, ...] = ("timeline", "matrix", "map")
SIDES = ("imposer", "target")

_WIDTH = 7.0  # inches, a full page: two hundred marks do not fit a column
_ROWS, _COLUMNS = 24, 16
_FIRST = 2000.0  # the list begins there; an incident disclosed later may have begun before
_WORDS = {
    "develop_import_trade_barriers": "import trade barriers",
    "restrict_government_procurement": "government procurement",
    "develop_norms": "norms",
    "amplify_the_conflict": "amplify the conflict",
    "not_in_published_list": "not in the published list",
    "incident": "incident",
    "eases": "easing of a limit",
}
_ORIGIN = "A choice of known cases and not a census: numbers of events say what was coded, not what states do."


def event_figure(
    events: pd.DataFrame, kind: Kind = "timeline", *, side: str = "imposer", title: str | None = None
) -> Figure:
    """Draw coded events.

    Parameters
    ----------
    events
        Coded events, see `events`.
    kind
        ``"timeline"``: one mark per event and imposing economy, coloured by published action, with a line to the day of
        lifting. ``"matrix"``: number of events by imposer and target. ``"map"``: number of events by economy.
    side
        ``"imposer"`` or ``"target"``: whose numbers the map shows.
    title
        Text above; none by default.

    Returns
    -------
    A figure with the numbers behind it in ``data``.

    Raises
    ------
    ConfigError
        If ``kind`` or ``side`` is outside its list.
    SchemaError
        If the frame is no frame of coded events.
    """
    if kind not in KINDS or side not in SIDES:
        raise ConfigError("the kind and side of a picture of events", found=(kind, side), allowed=(KINDS, SIDES))
    if kind == "map":
        counts = event_counts.economies(events, side)
        left = len(events) - int(events[side].str.split(";").map(lambda c: bool(set(c) - {"", "WLD", "EUU"})).sum())
        notes = (f"Number of coded events by {side}; {left} of EUU, WLD or nobody named are not drawn. {_ORIGIN}",)
        values = {str(iso3): float(n) for iso3, n in counts.items()}
        return world_map.world_map(values, title=title or "", notes=notes)
    with theme.journal():
        if kind == "timeline":
            data = event_counts.marks(events, _ROWS)
            canvas = _timeline(data, title or "")
        else:
            data = event_counts.pairs(events, _ROWS, _COLUMNS)
            canvas = _matrix(data, title or "")
        canvas.draw_without_rendering()
    return Figure(canvas, data, title or "")


def _timeline(data: pd.DataFrame, title: str) -> Canvas:
    known = set(data["row"])
    counts = data["row"].value_counts()
    rows = sorted(known, key=lambda r: (r == event_counts.OTHERS, -int(counts[r]), r))
    groups = [g for g in _WORDS if g in set(data["group"])]
    pooled = data.loc[data["row"] == event_counts.OTHERS, "imposer"].nunique()
    notes = [
        (
            "One mark per event and imposing economy (for incidents: the economy it is attributed to) at its first known "
            "date: effective, else adopted, announced, onset or disclosed. A line ends on the day of lifting."
        ),
        f"{event_counts.OTHERS}: {pooled} economies with fewer events. {_ORIGIN}" if pooled else _ORIGIN,
    ]
    early = int((_years(data["start"]) < _FIRST).sum())
    if early:
        notes.append(f"{early} mark(s) of dates before {_FIRST:.0f} stand at the left edge.")
    canvas = theme.canvas(_WIDTH, 1.0 + 0.23 * len(rows), notes)
    axes = canvas.subplots()
    palette = theme.colours(len(groups))
    offset = np.linspace(-0.3, 0.3, len(groups)) if len(groups) > 1 else np.zeros(1)
    for n, group in enumerate(groups):
        part = data[data["group"] == group]
        y = part["row"].map(rows.index).to_numpy(dtype=float) + offset[n]
        x = np.maximum(_years(part["start"]), _FIRST)
        ended = part["end"].notna().to_numpy()
        last = _years(part["end"].where(part["end"].notna(), part["start"]))
        axes.hlines(y[ended], x[ended], last[ended], color=palette[n], linewidth=1.1, zorder=2)
        axes.plot(x, y, theme.MARKERS[n], color=palette[n], markersize=3.2, alpha=0.85, label=_WORDS[group], zorder=3)
    axes.set_yticks(range(len(rows)), [f"{r} ({counts[r]})" for r in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(_FIRST - 0.35, None)
    axes.xaxis.set_major_locator(MultipleLocator(5))
    axes.xaxis.set_minor_locator(MultipleLocator(1))
    for edge in np.arange(0.5, len(rows) - 1):
        axes.axhline(edge, color="0.92", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
    canvas.legend(loc="outside upper center", ncols=3, handletextpad=0.3, columnspacing=1.2)
    return canvas


def _years(days: pd.Series) -> npt.NDArray[np.float64]:
    """Return days as years with a fraction."""
    return np.asarray(days.dt.year + (days.dt.day_of_year - 1) / 366, dtype=np.float64)


def _matrix(data: pd.DataFrame, title: str) -> Canvas:
    notes = [
        (
            "Number of coded events by imposer (row) and target (column); EUU is the European Union, WLD every partner. For "
            "incidents the imposer is the economy it is attributed to. An event with several counts in each cell."
        ),
        _ORIGIN,
    ]
    canvas = theme.canvas(_WIDTH, 0.9 + 0.22 * len(data), notes)
    axes = canvas.subplots()
    values = data.to_numpy(dtype=float)
    shade = np.log1p(values)
    axes.pcolormesh(np.ma.masked_equal(shade, 0), cmap="Blues", edgecolors="0.9", linewidth=0.4, vmin=0)
    limit = shade.max() * 0.6
    for i, j in zip(*np.nonzero(values), strict=True):
        colour = "white" if shade[i, j] > limit else theme.INK
        axes.text(j + 0.5, i + 0.5, f"{values[i, j]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(np.arange(data.shape[1]) + 0.5, list(data.columns), rotation=90)
    axes.set_yticks(np.arange(data.shape[0]) + 0.5, list(data.index))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("Target")
    axes.set_ylabel("Imposer")
    axes.set_ylim(data.shape[0], 0)
    axes.tick_params(length=0)
    axes.set_title(title)
    return canvas
