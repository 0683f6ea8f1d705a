"""The layout of a sample, found once for fits to it and to parts of it, such as draws of a bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.blocks import Blocks, Sheets, detect_sheets, find
from cyber_trade_econ.hdfe.factor import Factor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Codes, Effect


@dataclass(frozen=True)
class SampleLayout:
    """A layout, and the rows that lie in it.

    Parameters
    ----------
    layout
        Layout from `cyber_trade_econ.hdfe.blocks.find`; ``None`` where the sample has none that pays.
    rows
        Numbers by which the rows are known, ascending, shape (n,).
    """

    layout: Blocks | Sheets | None
    rows: Codes

    @classmethod
    def of(cls, effects: Sequence[Effect], rows: Codes) -> SampleLayout:
        """Find the layout of a sample in its effects."""
        return cls(find(effects), rows)

    def within(self, effects: Sequence[Effect], rows: Codes) -> Blocks | Sheets | None:
        """Return the layout of all rows of the sample, or of some whose levels have been numbered anew as ``effects``.

        Some rows have a layout if all have one, however few they are. Boxes are those of the sample. Sheets are made anew:
        what no row joins any more must not be on one sheet, while a box may hold parts that share nothing.
        """
        if self.layout is None or len(rows) == len(self.rows):
            return self.layout
        factors = [f for f in effects if isinstance(f, Factor)]
        if isinstance(self.layout, Sheets):
            return detect_sheets(factors, fill=0.0)
        here = np.zeros(self.rows[-1] + 1, dtype=bool)
        here[rows] = True
        return self.layout.restricted(np.flatnonzero(here[self.rows]), factors)
