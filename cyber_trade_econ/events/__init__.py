"""Coded measures and incidents: the codebook, the events, the checks, the agreement of coders, and the crosswalks."""

from cyber_trade_econ.events.agreement import agreement
from cyber_trade_econ.events.codebook import codebook, recode
from cyber_trade_econ.events.crosswalks.eurepoc import from_eurepoc
from cyber_trade_econ.events.load import check, events, responses
from cyber_trade_econ.events.show import show
from cyber_trade_econ.events.validate import problems, validate

__all__ = [
    "agreement",
    "check",
    "codebook",
    "events",
    "from_eurepoc",
    "problems",
    "recode",
    "responses",
    "show",
    "validate",
]
