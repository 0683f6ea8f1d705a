"""The look of every figure: sizes, fonts and colours for one printed column, without touching global settings."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 5.0  # inches; still readable when a journal prints it at 3.4
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")  # series stay apart in black and white
INK = "0.15"
MUTED = "0.45"
NOTE_SIZE = 7.0  # points
_MARGIN = 0.06  # inches
_HINTING = 0.975  # letters drawn on pixels run up to this much wider than their outlines

# Fonts that come with matplotlib, so that two machines draw the same letters.
_SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-4, 5),
    "axes.formatter.use_locale": False,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.fontsize": 8.0,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "savefig.bbox": None,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "cyber_trade_econ",
    "text.usetex": False,
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
}


@contextmanager
def journal() -> Iterator[None]:
    """Set the look of the house inside, the settings of the caller again outside."""
    import seaborn as sns

    base = {**mpl.rcParamsDefault, **sns.axes_style("ticks"), **sns.plotting_context("paper"), **_SETTINGS}
    base = {
        k: v for k, v in base.items() if not k.startswith(("backend", "interactive", "toolbar", "keymap", "webagg"))
    }
    with mpl.rc_context(base):
        yield


def colours(n: int) -> list[Any]:
    """Return ``n`` colours that readers with colour-vision deficiency can tell apart."""
    import seaborn as sns

    return list(sns.color_palette("colorblind", max(n, 1)))


def canvas(width: float, height: float, foot: list[str]) -> Canvas:
    """Return an empty figure whose foot holds the notes; the axes share the room above.

    Parameters
    ----------
    width, height
        Inches, of the drawing without the foot.
    foot
        Paragraphs, wrapped to the width.
    """
    lines = [line for paragraph in foot for line in _wrapped(paragraph, (width - 2 * _MARGIN) * 72 * _HINTING)]
    room = (len(lines) * NOTE_SIZE * 1.3 + 8) / 72 if lines else 0.0
    total = height + room
    figure = Canvas(figsize=(width, total), layout="constrained")
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0.0, room / total, 1.0, 1.0 - room / total), w_pad=_MARGIN, h_pad=0.05)  # type: ignore[call-arg]
    if lines:
        figure.text(
            _MARGIN / width,
            4 / 72 / total,
            "\n".join(lines),
            fontsize=NOTE_SIZE,
            color=MUTED,
            va="bottom",
            linespacing=1.25,
        )
    return figure


def _wrapped(paragraph: str, points: float) -> list[str]:
    """Lines no wider than ``points``, measured in the font of the notes; a longer word keeps a line of its own."""
    font = FontProperties(size=NOTE_SIZE)

    def width(text: str) -> float:
        return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])

    space = width("a b") - width("ab")
    lines: list[str] = []
    room = 0.0
    for word in paragraph.split():
        needed = width(word)
        if lines and room >= space + needed:
            lines[-1] += f" {word}"
            room -= space + needed
        else:
            lines.append(word)
            room = points - needed
    return lines
