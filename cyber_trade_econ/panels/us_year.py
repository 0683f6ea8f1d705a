"""US goods trade by partner and year, from the months."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.panels import us_month
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KEY = ["exporter", "importer", "partner", "flow", "pair", "year"]


def collapse(panel: Panel) -> Panel:
    """Add up the twelve months of each year of a ``us_month`` panel.

    A year of a pair with fewer than twelve months is left out, so that no sum is smaller because months are missing;
    the facts count such pair-years by year.
    """
    monthly = panel.frame.assign(year=panel.frame["month"].dt.year.astype("int64"))
    summed = monthly.groupby(_KEY, as_index=False, sort=True).agg(
        trade_musd=("trade_musd", "sum"), months=("month", "size")
    )
    whole = summed["months"].eq(12)
    left_out = summed.loc[~whole].groupby("year").size()
    frame = summed.loc[whole].drop(columns="months").reset_index(drop=True)
    facts = {
        **panel.facts,
        "incomplete_pair_years_left_out": dict(zip(left_out.index.tolist(), left_out.tolist(), strict=True)),
    }
    return Panel(frame, "pair", "year", sources=panel.sources, facts=facts, name="us_year")


def build(years: Iterable[int] | None, home: Path | None) -> Panel:
    """Build the panel from what was pulled."""
    return collapse(us_month.build(years, home))
