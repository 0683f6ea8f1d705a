"""Names of ordered pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def with_pair(frame: pd.DataFrame) -> pd.DataFrame:
    """Add ``pair``, such as ``"CHN-USA"`` for what China sells to the United States."""
    return frame.assign(pair=frame["exporter"] + "-" + frame["importer"])
