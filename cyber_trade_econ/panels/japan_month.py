"""Japan's trade in integrated circuits, computers and telephone sets by partner and month (shipped sample only)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.panels.pair import with_pair

if TYPE_CHECKING:
    import pandas as pd

UNIT, TIME = "pair_good", "month"


def finish(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the ordered pair and the unit, pair and good together."""
    named = with_pair(frame)
    return named.assign(pair_good=named["pair"] + " " + named["good"])
