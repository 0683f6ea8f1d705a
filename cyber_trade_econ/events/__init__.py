"""Coded measures and incidents: the codebook, the events, the checks, and the crosswalk from EuRepoC."""

from cyber_trade_econ.events.codebook import codebook, recode
from cyber_trade_econ.events.eurepoc import from_eurepoc
from cyber_trade_econ.events.load import events, show
from cyber_trade_econ.events.validate import problems, validate

__all__ = ["codebook", "events", "from_eurepoc", "problems", "recode", "show", "validate"]
