"""What an exposure did, in words and counts: events used and left out, overlaps, and what effects would absorb it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pandas as pd

from cyber_trade_econ.errors import NotIdentified
from cyber_trade_econ.exposure.identification import identification
from cyber_trade_econ.exposure.reach import ORIGIN_NEUTRAL, WHY_NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from cyber_trade_econ.exposure.placement import Cells, Tally
    from cyber_trade_econ.exposure.products import Products
    from cyber_trade_econ.records.panel import Panel


def of_events(tally: Tally, events: pd.DataFrame) -> dict[str, Any]:
    """Count the events by what became of them, and those used by whether they ever bound anybody where that is coded."""
    said: dict[str, Any] = {
        "given": len(events),
        "used": len(tally.used),
        "used_ids": tally.used,
        "left_out": {reason: list(ids) for reason, ids in tally.left_out.items()},
    }
    if "enforcement" in events.columns:
        used = events.loc[events["event_id"].astype(str).isin(tally.used), "enforcement"]
        said["used_by_enforcement"] = {str(k): int(n) for k, n in used.value_counts(sort=False).sort_index().items()}
    if ORIGIN_NEUTRAL in tally.left_out:
        said["explanation"] = WHY_NEUTRAL
    return said


def of_rows(panel: Panel, count: np.ndarray, cells: Cells) -> dict[str, Any]:
    """Count rows and pairs switched on, and report where more than one event is in force at a time."""
    ends = panel.frame["exporter"].astype(str) + "-" + panel.frame["importer"].astype(str)
    if cells.products is not None:
        ends = ends + "-" + panel.frame[cells.products.column].astype(str)
    several = pd.Series(count, index=ends)[count > 1]
    most = several.groupby(level=0).max().sort_values(ascending=False, kind="stable")
    return {
        "pairs_hit": int(panel.frame.loc[count > 0, ["exporter", "importer"]].drop_duplicates().shape[0]),
        "treated_rows": int((count > 0).sum()),
        "overlap": {
            "pair_periods": len(several),
            "pairs": len(most),
            "largest_count": int(count.max()),
            "most": {str(pair): int(n) for pair, n in most.head(5).items()},
        },
    }


def of_products(tally: Tally, cells: Cells, spec: Products | None) -> dict[str, Any]:
    """Say which pairs the panel lacks, and how events were matched to products."""
    said: dict[str, Any] = {"pairs_absent_from_panel": tally.pairs_absent}
    if cells.products is not None and spec is not None:
        said["products"] = {
            "headings": spec.headings,
            "column": cells.products.column,
            "vintage": cells.products.vintage,
            "uncoded": spec.uncoded,
            **{note: [i for i in ids if i in tally.used] for note, ids in tally.products.items()},
        }
    return said


def of_identification(panel: Panel, columns: Sequence[str], product: str = "") -> list[str]:
    """Say what the usual effects of a gravity model would absorb; for a panel of one reporter also what its own would.

    With a product column every effect is by product.
    """
    by = f"^{product}" if product else ""
    usual = (f"exporter{by}^{panel.time}", f"importer{by}^{panel.time}", f"exporter^importer{by}")
    said = identification(panel, columns, usual)
    ends = panel.frame[["exporter", "importer"]]
    everywhere = set(ends.iloc[0]) if len(ends) else set()
    if any(((ends["exporter"] == c) | (ends["importer"] == c)).all() for c in everywhere):
        flow = f"flow^{panel.time}" if "flow" in panel.frame.columns else panel.time
        said += identification(panel, columns, (f"exporter^importer{by}", f"{flow}{by}"))
    return list(said)


def refuse(panel: Panel, given: int, tally: Tally) -> NoReturn:
    """Raise when no event is left, with the reasons and their counts."""
    left_out = tally.left_out | ({"only the donut around its date in the panel": tally.used} if tally.used else {})
    reasons = "; ".join(f"{reason}: {len(ids)}" for reason, ids in left_out.items()) or "none was given"
    raise NotIdentified(
        f"no event is left to expose panel {panel.name!r} to",
        found=f"{given} event(s) given, left out: {reasons}",
        fix=WHY_NEUTRAL if ORIGIN_NEUTRAL in tally.left_out else "Choose another date role, panel or set of events.",
    )
