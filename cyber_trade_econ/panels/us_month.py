"""US goods trade by partner and month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from cyber_trade_econ import lake
from cyber_trade_econ.errors import NotPulled
from cyber_trade_econ.panels.pair import with_pair
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

UNIT, TIME = "pair", "month"
_KEY = ["exporter", "importer", "partner", "flow", "month"]


def from_flows(flows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Reduce the tidy table ``us_census.flows`` to one row per exporter, importer and month.

    Groups and partners that are no economy are left out. Where the publisher has several codes for one economy
    (Israel, the West Bank and Gaza, Sudan, Ethiopia before and after a split), their trade is added together.

    Returns
    -------
    Columns exporter, importer, partner, flow, month, trade_musd; and counts of rows left out and added together.
    """
    group = flows["is_group"]
    kept = flows.loc[~group, [*_KEY, "trade_musd"]]
    kept = kept.assign(month=pd.to_datetime(kept["month"]).astype("datetime64[ns]"))
    frame = kept.groupby(_KEY, as_index=False, sort=True).agg({"trade_musd": "sum"})
    return frame, {"group_rows_left_out": int(group.sum()), "rows_added_to_another": len(kept) - len(frame)}


def finish(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what the sample and the built panel share: the name of the ordered pair."""
    return with_pair(frame)


def build(years: Iterable[int] | None, home: Path | None) -> Panel:
    """Build the panel from what was pulled."""
    frame, facts = from_flows(lake.load("us_census.flows", home=home))
    if years is not None:
        wanted = sorted(set(years))
        absent = sorted(set(wanted) - set(frame["month"].dt.year))
        if absent:
            raise NotPulled(
                f"us_census.flows has no month of {absent}",
                found=f"{frame['month'].min():%Y-%m} to {frame['month'].max():%Y-%m}",
                fix='Pull a newer file with cte.pull("us_census"), or ask for fewer years.',
            )
        asked = frame["month"].dt.year.isin(wanted)
        facts["rows_of_other_years_left_out"] = int((~asked).sum())
        frame = frame[asked]
    sources = {"us_census": lake.provenance("us_census", home=home)}
    return Panel(finish(frame).reset_index(drop=True), UNIT, TIME, sources=sources, facts=facts, name="us_month")
