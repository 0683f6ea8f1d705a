"""What questions are asked about, and the words and numbers they are asked with."""

from __future__ import annotations

from math import isfinite
from numbers import Real
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.records.estimate import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence


def require_estimate(given: object, question: str) -> None:
    """Refuse, for a question asked about an estimate, what is none."""
    if not isinstance(given, Estimate):
        raise ConfigError(
            f"what {question} is asked about",
            found=f"an object of type {type(given).__name__}",
            allowed="an Estimate",
            fix="Pass what cte.ppml, cte.ols or another estimator returned, and the data after it.",
        )


def require_word(given: object, what: str, allowed: Sequence[str]) -> None:
    """Refuse what is not one of some words, whatever its type."""
    if not (isinstance(given, str) and given in allowed):
        raise ConfigError(what, found=repr(given), allowed=allowed)


def is_number(given: object) -> bool:
    """Whether something is a finite number; a truth value is none."""
    try:
        return isinstance(given, Real) and not isinstance(given, bool) and isfinite(given)
    except OverflowError:  # an integer beyond the largest double
        return False
