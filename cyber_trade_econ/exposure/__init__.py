"""From coded events to regressors: which trade is hit, from when, by how much, and what effects would absorb it."""

from __future__ import annotations

from cyber_trade_econ.exposure.attach import expose
from cyber_trade_econ.exposure.identification import identification
from cyber_trade_econ.exposure.overlap import overlap
from cyber_trade_econ.exposure.products import Products
from cyber_trade_econ.exposure.stack import stack

__all__ = ["Products", "expose", "identification", "overlap", "stack"]
