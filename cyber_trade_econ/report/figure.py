"""Figures of estimates: event studies with their cell sizes, and coefficient plots."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.report import chosen, coefficient_plot, event_plot, theme, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from cyber_trade_econ.records.estimate import Estimate

Kind = Literal["auto", "event", "coefficient"]
SUFFIXES = (".png", ".pdf", ".svg")
# Nothing in a file may depend on the day it was made.
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}


@dataclass(frozen=True)
class Figure:
    """A drawn figure and the numbers in it.

    Parameters
    ----------
    canvas
        The matplotlib figure, for changes of one's own.
    data
        One row per drawn estimate: series, term, estimate, std_error, conf_low, conf_high, and for event studies
        event_time, is_reference and treated_units.
    """

    canvas: Canvas = field(repr=False, compare=False)
    data: pd.DataFrame = field(repr=False, compare=False)
    title: str = ""

    @property
    def axes(self) -> tuple[Axes, ...]:
        """The matplotlib axes, the main panel first."""
        return tuple(self.canvas.axes)

    def save(self, path: Path | str, *more: Path | str, dpi: int = 300) -> list[Path]:
        """Write ``.png``, ``.pdf`` or ``.svg``; the same figure gives the same bytes whatever the date.

        Raises
        ------
        ConfigError
            If a suffix is unknown; nothing is written then.
        StorageError
            If a file cannot be written.
        """
        targets = [(target, write.suffix(target, SUFFIXES)) for target in (path, *more)]
        return [write.whole(target, self._bytes(suffix, dpi)) for target, suffix in targets]

    def _bytes(self, suffix: str, dpi: int) -> bytes:
        buffer = io.BytesIO()
        with theme.journal():  # fonts and hash salts are looked up when the file is drawn
            self.canvas.savefig(buffer, format=suffix[1:], dpi=dpi, metadata=_METADATA[suffix])
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self._bytes(".png", 150)


def figure(
    estimates: Estimate | Iterable[Estimate],
    *,
    kind: Kind = "auto",
    labels: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    keep: Sequence[str] | None = None,
    title: str | None = None,
    level: float = 0.95,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw one estimate or several over each other.

    Event studies show the effect by time since the event with pointwise confidence intervals, the reference period, and
    below it the number of treated pairs behind each point. Other estimates show one line per term.

    Parameters
    ----------
    estimates
        One estimate or several, all event studies or none.
    kind
        ``"event"``, ``"coefficient"``, or ``"auto"`` by what the estimates are.
    labels
        Names of the series in the legend. By default the models' names, or number and sample where the samples of
        `cyber_trade_econ.fits` differ.
    names
        Labels of terms (coefficient plots).
    keep
        Terms to show, ``*`` for any text (coefficient plots).
    title
        Text above; none by default, because journals print it in the caption.
    level
        Coverage of the intervals, strictly between 0 and 1.
    notes
        Further sentences at the foot.

    Raises
    ------
    ConfigError
        If there is no estimate, an option is outside its list, or ``kind="event"`` meets another estimate.
    """
    several = chosen.estimates(estimates)
    series = _series(several, labels if labels is not None else chosen.own_titles(estimates) or None)
    events = ["event_time" in e.facts for e in several]
    if kind not in ("auto", "event", "coefficient"):
        raise ConfigError("kind= of a figure", found=repr(kind), allowed=("auto", "event", "coefficient"))
    if kind == "event" and not all(events):
        raise ConfigError(
            "an event-study figure needs estimates by event time",
            found=", ".join(e.model for e, has in zip(several, events, strict=True) if not has),
            fix="Use cte.event_study, or kind='coefficient'.",
        )
    as_event = kind == "event" or (kind == "auto" and all(events))
    if as_event and (names or keep):
        raise ConfigError("names= and keep= are for coefficient plots", found="an event study", fix="Leave them out.")
    with theme.journal():
        if as_event:
            data = event_plot.frame(several, series, level)
            canvas = event_plot.draw(data, several, title or "", level, notes)
        else:
            data = coefficient_plot.frame(several, series, level, keep)
            canvas = coefficient_plot.draw(data, several, names or {}, title or "", level, notes)
        canvas.draw_without_rendering()  # settles the layout under the house's settings
    return Figure(canvas, data, title or "")


def _series(several: Sequence[Estimate], labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels is not None:
        return chosen.titles(labels, len(several))
    models = [e.model for e in several]
    return tuple(models if len(set(models)) == len(models) else [f"({i}) {m}" for i, m in enumerate(models, 1)])
