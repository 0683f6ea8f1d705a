"""Maps of numbers by economy, on the outlines of ``data/map/world.csv`` (Natural Earth, public domain)."""

from __future__ import annotations

import csv
import math
from functools import cache
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.collections import PathCollection
from matplotlib.patches import Patch
from matplotlib.path import Path

from cyber_trade_econ.errors import SchemaError, UnknownCode
from cyber_trade_econ.records import shipped
from cyber_trade_econ.report import theme
from cyber_trade_econ.report.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from matplotlib.figure import Figure as Canvas

_WIDTH, _HEIGHT = 7.0, 3.4  # inches, a full page
_SOUTH, _NORTH = -57.0, 86.0  # degrees; Antarctica is not drawn
_CLASSES, _STEPS = 5, 6
_NOTHING = "0.92"
_BOUNDARIES = (
    "Outlines: Natural Earth 1:110 million, public domain, by way of geopandas, Equal Earth projection. Boundaries and codes "
    "are those of the sources and imply no judgement on the status of any territory."
)


def world_map(
    values: Mapping[str, float],
    *,
    title: str = "",
    label: str = "",
    breaks: Sequence[float] | None = None,
    notes: Sequence[str] = (),
) -> Figure:
    """Colour the economies of the world by a number.

    Parameters
    ----------
    values
        ISO 3166 alpha-3 -> finite number. Economies that are not named stay grey.
    title
        Text above; none by default, because journals print it in the caption.
    label
        What the numbers are, with their unit: the heading of the legend.
    breaks
        Lower ends of the classes, finite and ascending, the first not above the least value. By default 0 and the six steps
        1, 2, 5, 10, 20, 50 for counts (from the step below the least for whole numbers of 50 and more), and fifths of the
        economies for other numbers.
    notes
        Sentences at the foot.

    Returns
    -------
    A figure with one row per economy in ``data``: iso3, name, value, shade (the class) and drawn. Economies that have no
    outline of their own, mostly small islands, city states and states of the past, are named with their values at the foot.

    Raises
    ------
    UnknownCode
        If a code is not that of a country or territory.
    SchemaError
        If there is no value, one is no finite number, or the breaks are not finite or do not ascend from the least value.
    """
    data = _frame(values)
    edges = _edges(data["value"].to_numpy(), breaks)
    names = [_range(low, high, data["value"]) for low, high in pairwise([*edges, math.inf])]
    data["shade"] = np.digitize(data["value"], edges) - 1
    with theme.journal():
        canvas = _draw(data, names, title, label, [*_absent(data), *notes, _BOUNDARIES])
        canvas.draw_without_rendering()
    return Figure(canvas, data.assign(shade=[names[i] for i in data["shade"]]), title)


def _frame(values: Mapping[str, float]) -> pd.DataFrame:
    foreign = sorted((code for code in values if code not in _names()), key=repr)
    if foreign:
        raise UnknownCode(
            "a map needs codes of economies",
            found=", ".join(map(repr, foreign)),
            allowed="ISO 3166 alpha-3 of countries and territories, no groups such as EUU and WLD",
        )
    odd = [code for code, value in values.items() if not isinstance(value, Real) or not math.isfinite(value)]
    if odd or not len(values):
        raise SchemaError("a map needs finite numbers", found=", ".join(odd) or "none")
    rows = [(code, _names()[code], float(value), code in _outlines()) for code, value in sorted(values.items())]
    return pd.DataFrame(rows, columns=["iso3", "name", "value", "drawn"])


def _edges(values: npt.NDArray[np.float64], breaks: Sequence[float] | None) -> list[float]:
    least, most = float(values.min()), float(values.max())
    if breaks is not None:
        edges = [float(edge) for edge in breaks]
        if not edges or not all(map(math.isfinite, edges)) or edges[0] > least or edges != sorted(set(edges)):
            raise SchemaError("breaks= of a map", found=edges, allowed=f"ascending numbers from {least:g} or below")
        return edges
    if least >= 0 and (values == values.round()).all():
        steps = [float(m * 10**k) for k in range(16) for m in (1, 2, 5) if m * 10**k <= max(most, 1)]
        low = float(values[values > 0].min(initial=most))
        first = sum(step <= low for step in steps[1:]) if low >= steps[:_STEPS][-1] else 0
        # Few classes are told apart by eye: the upper steps of a long range are one class.
        return ([0.0] if least < 1 else []) + steps[first : first + _STEPS]
    return sorted({float(edge) for edge in np.quantile(values, np.linspace(0, 1, _CLASSES + 1)[:-1])})


def _range(low: float, high: float, values: pd.Series[float]) -> str:
    whole = bool((values == values.round()).all()) and low == round(low) and (math.isinf(high) or high == round(high))
    if whole and high - 1 <= low:
        return f"{low:,.0f}"
    if math.isinf(high):
        return f"{low:,.0f} and more" if whole else f"{low:,.3g} and more"
    return f"{low:,.0f} to {high - 1:,.0f}" if whole else f"{low:,.3g} to {high:,.3g}"


def _absent(data: pd.DataFrame) -> list[str]:
    """Sentence on economies that the map cannot show."""
    missing = data[~data["drawn"]].sort_values(["value", "name"], ascending=[False, True])
    if missing.empty:
        return []
    named = ", ".join(f"{n} ({v:,.6g})" for n, v in zip(missing["name"], missing["value"], strict=True))
    return [f"Without an outline of their own on this map: {named}."]


@cache
def _names() -> dict[str, str]:
    """ISO3 -> name of every economy, those without an outline included."""
    with shipped.path("data/map/names.csv").open(encoding="utf-8", newline="") as file:
        return {row["iso3"]: row["name"] for row in csv.DictReader(file)}


@cache
def _outlines() -> dict[str, Path]:
    """ISO3 -> outline in the plane, holes included."""
    rings: dict[str, list[npt.NDArray[np.float64]]] = {}
    with shipped.path("data/map/world.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            points = np.array([point.split() for point in row["lon_lat"].split(";")], dtype=float)
            rings.setdefault(row["iso3"], []).append(project(points))
    found = {}
    for iso3, parts in rings.items():
        strokes = [[Path.MOVETO, *[Path.LINETO] * (len(part) - 2), Path.CLOSEPOLY] for part in parts]
        found[iso3] = Path(np.concatenate(parts), np.concatenate(strokes))
    return found


def project(lon_lat: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Project longitude and latitude in degrees, shape (n, 2), onto the Equal Earth plane of a sphere of radius one.

    Savric, B., Patterson, T. and Jenny, B. (2019), The Equal Earth map projection, International Journal of Geographical
    Information Science 33(3), 454-465, doi:10.1080/13658816.2018.1504949.
    """
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    lon, lat = np.radians(lon_lat[:, 0]), np.radians(lon_lat[:, 1])
    t = np.arcsin(math.sqrt(3) / 2 * np.sin(lat))
    slope = 9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1
    x = 2 * math.sqrt(3) / 3 * lon * np.cos(t) / slope
    return np.column_stack([x, t * (a4 * t**8 + a3 * t**6 + a2 * t**2 + a1)])


def _draw(data: pd.DataFrame, names: list[str], title: str, label: str, foot: list[str]) -> Canvas:
    canvas = theme.canvas(_WIDTH, _HEIGHT, foot)
    axes = canvas.subplots()
    shades = _shades(len(names))
    drawn = dict(zip(data["iso3"], data["shade"], strict=True))
    outlines = _outlines()
    fills = [shades[drawn[iso3]] if iso3 in drawn else _NOTHING for iso3 in outlines]
    axes.add_collection(PathCollection(list(outlines.values()), facecolors=fills, edgecolors="white", linewidths=0.3))
    frame = project(np.array([[x, y] for y in (_SOUTH, _NORTH) for x in (-180.0, 0.0, 180.0)]))
    axes.set_xlim(project(np.array([[-180.0, 0.0]]))[0, 0], project(np.array([[180.0, 0.0]]))[0, 0])
    axes.set_ylim(frame[:, 1].min(), frame[:, 1].max())
    axes.set_aspect("equal")
    axes.axis("off")
    if title:
        axes.set_title(title)
    used = sorted(set(data["shade"]))
    keys = [Patch(facecolor=shades[i], label=names[i]) for i in used]
    keys.append(Patch(facecolor=_NOTHING, label="no value"))
    axes.legend(
        handles=keys,
        title=label or None,
        loc="lower left",
        bbox_to_anchor=(0.0, 0.02),
        handlelength=1.2,
        handleheight=0.9,
        labelspacing=0.25,
        borderaxespad=0.0,
        alignment="left",
    )
    return canvas


def _shades(n: int) -> list[Any]:
    """Return ``n`` blues from light to dark, apart from each other in grey as well."""
    return list(mpl.colormaps["Blues"](np.linspace(0.28, 0.95, max(n, 1))))
