"""The years that were asked for, checked."""

from __future__ import annotations

import operator
from collections.abc import Iterable

from cyber_trade_econ.errors import ConfigError

_ALLOWED = "a year such as 2005, or several, such as [2005, 2006] or range(2005, 2022)"


def chosen_years(years: int | Iterable[int] | None) -> frozenset[int] | None:
    """Return the years asked for; None, for all of them, stays None.

    Parameters
    ----------
    years
        One year, or several. Whole numbers of any kind, NumPy's included; no text.

    Raises
    ------
    ConfigError
        If there is none, or something that is no year.
    """
    if years is None:
        return None
    if isinstance(years, (str, bytes)):
        raise ConfigError("the years", found=repr(years), allowed=_ALLOWED)
    listed = list(years) if isinstance(years, Iterable) else [years]
    if not listed:
        raise ConfigError("the years", found="none", allowed=_ALLOWED, fix="Leave years out to take all of them.")
    return frozenset(map(_year, listed))


def _year(value: object) -> int:
    try:
        year = operator.index(value)  # type: ignore[arg-type]  # its TypeError is what is asked for
    except TypeError:
        year = 0
    if isinstance(value, bool) or not 1000 <= year <= 9999:
        raise ConfigError("a year", found=f"{value!r}, {type(value).__name__}", allowed=_ALLOWED)
    return year
