"""Worlds with a known answer, to see whether an estimator finds it."""

from cyber_trade_econ.simulate.heavy import heavy_world
from cyber_trade_econ.simulate.worlds import gravity_world, monthly_world

__all__ = ["gravity_world", "heavy_world", "monthly_world"]
