"""From coded events to regressors: which trade is hit, from when, by how much, and what effects would absorb it."""

from __future__ import annotations

from cyber_trade_econ.exposure.attach import expose
from cyber_trade_econ.exposure.identification import identification

__all__ = ["expose", "identification"]
