"""Pieces that both kinds of figure share: axis limits, cut intervals, notes at the foot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.report import chosen, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from cyber_trade_econ.records.estimate import Estimate

# An interval this many times longer than the rest of the picture would flatten everything else.
_LONGEST = 4.0
_WIDER = 0.4  # of the height of the most precise series
_NAMED = 6  # points that a note names one by one


def limits(data: pd.DataFrame) -> tuple[float, float]:
    """Return axis limits that show every point, zero, and all intervals except freakishly long ones.

    Parameters
    ----------
    data
        Columns estimate, conf_low, conf_high; missing values are passed over.
    """
    points = np.append(_finite(data["estimate"]), 0.0)
    half = _finite((data["conf_high"] - data["conf_low"]) / 2)
    half = half[half > 0]
    typical = float(np.median(half)) if len(half) else 0.0
    reach = max(_LONGEST * typical, 1.5 * float(np.ptp(points)))
    low, high = float(points.min()), float(points.max())
    bounds = np.concatenate([_finite(data["conf_low"]), _finite(data["conf_high"]), points])
    low, high = max(float(bounds.min()), low - reach), min(float(bounds.max()), high + reach)
    if low == high:
        return -1.0, 1.0
    pad = 0.06 * (high - low)
    return low - pad, high + pad


def limits_of_series(data: pd.DataFrame) -> tuple[float, float]:
    """Return `limits` that keep the most precise series readable beside others with far longer intervals.

    Others may widen the picture by 0.4 of its height on either side; points always show.
    """
    groups = [group for _, group in data.groupby("series", sort=False)]
    widths = [_finite(group["conf_high"] - group["conf_low"]) for group in groups]
    precise = [(float(np.median(w[w > 0])), i) for i, w in enumerate(widths) if (w > 0).any()]
    if len(precise) < 2:
        return limits(data)
    low, high = limits(groups[min(precise)[1]])
    more = _WIDER * (high - low)
    points = np.append(_finite(data["estimate"]), 0.0)
    pad = 0.06 * (max(high, float(points.max())) - min(low, float(points.min())))
    every = limits(data)
    return (
        max(every[0], min(low - more, float(points.min()) - pad)),
        min(every[1], max(high + more, float(points.max()) + pad)),
    )


def _finite(values: pd.Series) -> NDArray[np.float64]:
    array: NDArray[np.float64] = values.to_numpy(dtype=float)
    return array[np.isfinite(array)]


def cut(data: pd.DataFrame, low: float, high: float) -> pd.DataFrame:
    """Return the rows whose interval leaves the axis."""
    return data[(data["conf_low"] < low) | (data["conf_high"] > high)]


def caveats(data: pd.DataFrame, beyond: pd.DataFrame, labels: pd.Series) -> list[str]:
    """Return sentences on intervals that are cut or unknown, naming the points by ``labels`` (index of ``data``)."""

    def listed(rows: pd.DataFrame) -> str:
        named = chosen.distinct(labels.loc[rows.index])
        return ", ".join(named) if len(named) <= _NAMED else f"{len(rows)} points"

    unknown = data[np.isfinite(data["estimate"]) & ~np.isfinite(data["conf_high"])]
    out = [f"Arrowheads mark intervals that continue beyond the axis ({listed(beyond)})."] if len(beyond) else []
    return out + ([f"Standard error not determined: {listed(unknown)}."] if len(unknown) else [])


def foot(several: Sequence[Estimate], level: float, drawn: str, extra: Sequence[str]) -> list[str]:
    """Return the notes: what is drawn, inference, sample, further sentences, and the sources."""
    percent = f"{100 * level:g} %"
    kinds = chosen.distinct(text for e in several if (text := _inference(e)))
    errors = f" Standard errors: {'; '.join(kinds)}." if kinds else ""
    rows = chosen.distinct(number.count(e.nobs) for e in several)
    notes = [f"Notes: {drawn.format(level=percent)}{errors} N = {', '.join(rows)}."]
    notes += [str(t) for t in extra]
    cited = chosen.distinct(str(s.get("citation", name)).rstrip(".") for e in several for name, s in e.sources.items())
    return notes + ([f"Source: {'; '.join(cited)}."] if cited else [])


def _inference(estimate: Estimate) -> str:
    text = str(estimate.facts.get("vcov", ""))
    groups = [f"{name} ({number.count(n)})" for name, n in estimate.facts.get("clusters", {}).items()]
    return f"{text.partition(':')[0]} by {' and '.join(groups)}" if groups else text
