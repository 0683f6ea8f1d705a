"""Borders that change over time, and interval data: what a panel needs before such a gravity model is estimated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype

from cyber_trade_econ.errors import ConfigError, EmptySample, MissingKey, NotIdentified, SchemaError
from cyber_trade_econ.frames import check_frame, column
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from typing import Any

_FAR = 1e9  # whole numbers beyond this are no years


def border_years(
    panel: Panel,
    *,
    exporter: str = "exporter",
    importer: str = "importer",
    base: Any = None,
) -> Panel:
    """Add one indicator per period for trade that crosses a border.

    Their coefficients trace how much harder it is to trade across borders than at home, relative to the base period: common
    globalisation, which would otherwise be taken for the effect of whatever spread at the same time.

    Parameters
    ----------
    panel
        Panel with domestic flows: rows in which exporter and importer are the same economy.
    exporter, importer
        Columns of the two sides.
    base
        Period without an indicator; the first by default. One period must go without: pair effects hold the mean border.

    Returns
    -------
    The panel with columns ``border_1986`` (``border_1986_01`` for months) and so on; their names stand in
    ``facts["border_years"]["columns"]``, ready for ``" + ".join(...)``.

    Raises
    ------
    NotIdentified
        If a period has no domestic or no foreign rows: exporter-time effects would absorb its indicator.
    ConfigError
        If the base is not a period of the panel, there is only one period, or the data are no Panel.
    SchemaError
        If a column of that name is there already, or time is neither whole years nor dates.
    MissingKey, EmptySample
        If a side of trade is missing somewhere, or there is no row.

    References
    ----------
    Bergstrand, Larch and Yotov (2015), https://doi.org/10.1016/j.euroecorev.2015.06.003; Yotov, Piermartini, Monteiro and
    Larch (2016), An Advanced Guide to Trade Policy Analysis, UNCTAD/WTO, chapter 1.
    """
    _require_panel(panel)
    frame, time = panel.frame, panel.frame[panel.time]
    check_frame(frame)
    sides = [column(frame, name, "a side of trade") for name in (exporter, importer)]
    missing = sides[0].isna() | sides[1].isna()
    if missing.any():
        raise MissingKey(
            f"{exporter!r} or {importer!r} is missing", found=f"{int(missing.sum())} row(s)", fix="Remove these rows."
        )
    if frame.empty:
        raise EmptySample(f"panel {panel.name!r} has no row", fix="Check the filters.")
    _count(time, panel)  # refuses what are no periods
    periods = sorted(time.unique())
    foreign = sides[0].astype(object).ne(sides[1].astype(object)).astype(bool)
    both = foreign.groupby(time).nunique()
    alone = [_label(p) for p in both.index[both < 2]]
    if alone:
        raise NotIdentified(
            f"border indicators of panel {panel.name!r} need domestic and foreign rows in every period",
            found=f"{len(alone)} period(s) with one kind alone: {', '.join(alone[:5])}",
            fix="Add domestic sales (output less exports), or leave those periods out.",
        )
    chosen = periods[0] if base is None else _period(base, time, "the base period of border indicators")
    if chosen not in periods or len(periods) < 2:
        raise ConfigError(
            "the base period of border indicators",
            found=base if base is not None else f"{len(periods)} period(s)",
            allowed=[_label(p) for p in periods],
        )
    added = {f"border_{_label(p)}": (foreign & (time == p)).astype(float) for p in periods if p != chosen}
    taken = [name for name in added if name in frame.columns]
    if taken:
        raise SchemaError(f"panel {panel.name!r} has column(s) {taken} already", fix="Drop or rename them.")
    facts = {
        "columns": list(added),
        "base": _label(chosen),
        "rows_domestic": int((~foreign).sum()),
        "rows_foreign": int(foreign.sum()),
    }
    return replace(panel, frame=frame.assign(**added), facts={**panel.facts, "border_years": facts})


def interval(panel: Panel, every: int, *, start: Any = None) -> Panel:
    """Keep every so many periods.

    Trade does not adjust within one year, which is why Cheng and Wall (2005) and Olivero and Yotov (2012) estimate on data
    some years apart. Egger, Larch and Yotov (2022) show what that throws away and prefer consecutive years: estimate both
    and compare, `every` = 1 keeps all.

    Parameters
    ----------
    panel
        Panel with whole years, or months as first days.
    every
        Distance between the periods kept, counted in the panel's own periods (years or months).
    start
        A period to keep; the others lie a multiple of ``every`` before or after it. The first of the panel by default.

    Returns
    -------
    The panel on the periods kept, its rows numbered anew; ``facts["interval"]`` lists the periods kept and left out, those
    of the grid that the panel does not have, and counts rows and units left out.

    Raises
    ------
    ConfigError
        If ``every`` is not a whole number above zero, no period lies on the grid, or the data are no Panel.
    SchemaError
        If time is neither whole years nor dates.

    References
    ----------
    Cheng and Wall (2005), Federal Reserve Bank of St. Louis Review 87(1); Olivero and Yotov (2012),
    https://doi.org/10.1111/j.1540-5982.2011.01687.x; Egger, Larch and Yotov (2022), https://doi.org/10.1111/ecca.12394.
    """
    if isinstance(every, bool) or not isinstance(every, int | np.integer) or not 1 <= every < 2**31:
        raise ConfigError("every", found=repr(every), allowed="a whole number of periods, at least 1")
    _require_panel(panel)
    check_frame(panel.frame)
    frame, time = panel.frame, panel.frame[panel.time]
    if frame.empty:
        raise EmptySample(f"panel {panel.name!r} has no row", fix="Check the filters.")
    count = _count(time, panel)
    first = count.min()
    if start is not None:
        first = _count(pd.Series([_period(start, time, "the start of an interval")], dtype=time.dtype), panel).iloc[0]
    on = (count - first) % every == 0
    if not on.any():
        raise ConfigError("the start of an interval", found=start, allowed=[_label(p) for p in sorted(time.unique())])
    kept = frame[on]
    grid = (int(count.max()) - int(first)) // every + (int(first) - int(count.min())) // every + 1
    facts = {
        "every": int(every),
        "periods_kept": [_label(p) for p in sorted(time[on].unique())],
        "periods_left_out": [_label(p) for p in sorted(time[~on].unique())],
        "periods_absent": grid - int(count[on].nunique()),
        "rows_given": len(frame),
        "rows_left_out": int((~on).sum()),
        "units_left_out": int(frame[panel.unit].nunique() - kept[panel.unit].nunique()),
    }
    return panel.with_frame(kept, facts={**panel.facts, "interval": facts})


def _require_panel(panel: object) -> None:
    if not isinstance(panel, Panel):
        raise ConfigError(
            "data with periods",
            found=f"an object of type {type(panel).__name__}",
            allowed="a Panel",
            fix="Say which columns hold unit and time: cte.Panel(frame, 'pair', 'year').",
        )


def _count(time: pd.Series, panel: Panel) -> pd.Series:
    """Count the periods: years as they are, months since year zero."""
    if pd.api.types.is_datetime64_any_dtype(time.dtype):
        months: pd.Series = (time.dt.year * 12 + time.dt.month).astype("int64")
        return months
    values = time if pd.api.types.is_numeric_dtype(time.dtype) else None
    whole = None if values is None or is_complex_dtype(values.dtype) else values.to_numpy(dtype=float, na_value=np.nan)
    if whole is None or not (np.abs(whole) < _FAR).all() or (whole % 1 != 0).any():
        raise SchemaError(
            f"the time {panel.time!r} of panel {panel.name!r} must be whole years or the first days of months",
            found=f"type {time.dtype}",
        )
    return pd.Series(whole, index=time.index).astype("int64")


def _period(asked: Any, time: pd.Series, what: str) -> Any:
    """Read a period as the panel writes its own."""
    try:
        period = pd.Series([asked]).astype(time.dtype).iloc[0]
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(what, found=repr(asked), allowed=f"a value of type {time.dtype}") from error
    if isinstance(asked, float) and period != asked:
        raise ConfigError(what, found=asked, allowed="a period, not a fraction of one")
    return period


def _label(period: Any) -> str:
    return (
        period.strftime("%Y_%m")
        if isinstance(period, pd.Timestamp)
        else f"{period:g}"
        if isinstance(period, float | np.floating)
        else str(period)
    )
