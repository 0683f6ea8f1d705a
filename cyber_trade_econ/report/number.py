"""Numbers as a journal prints them."""

from __future__ import annotations

import math

MISSING = "-"
_LARGEST_PLAIN = 1e7


def fixed(value: float, digits: int = 3) -> str:
    """Return ``value`` with ``digits`` decimals; scientific where that would show only zeros or a long row of digits.

    A missing value is ``"-"``; there is never a ``"-0.000"``.

    Examples
    --------
    >>> fixed(-0.12345), fixed(-1e-17), fixed(2.5e-5), fixed(1e15), fixed(float("nan"))
    ('-0.123', '-1.0e-17', '2.5e-05', '1.000e+15', '-')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return f"{0:.{digits}f}"
    if abs(value) >= _LARGEST_PLAIN:
        return f"{value:.{digits}e}"
    shown = f"{value:.{digits}f}"
    return f"{value:.1e}" if float(shown) == 0 else shown


def p_value(value: float, digits: int = 3) -> str:
    """Return a p-value, ``"<0.001"`` where it would round to zero."""
    if math.isnan(value):
        return MISSING
    return f"<{10.0**-digits:.{digits}f}" if value < 10.0**-digits else f"{value:.{digits}f}"


def count(value: float) -> str:
    """Return a count with thousands separators, ``"-"`` where missing."""
    return MISSING if math.isnan(value) else f"{int(value):,}"


def exact(value: float) -> str:
    """Return the shortest text that reads back as the same double (17 digits where needed), ``"nan"`` where missing."""
    return repr(float(value))


def stars(p: float) -> str:
    """Return the conventional stars: ``***`` below 0.01, ``**`` below 0.05, ``*`` below 0.10."""
    return "" if math.isnan(p) else "***" if p < 0.01 else "**" if p < 0.05 else "*" if p < 0.10 else ""
