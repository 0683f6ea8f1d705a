"""The logarithm of the factorial, for the constant of a Poisson likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array

_SHIFT = 9
"""From ten on the series below is exact to rounding."""

_STRETCH = 1 << 13
"""Values worked on at once, so that they and what is computed on the way stay in the cache."""

_SERIES = (1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)


def log_factorial(y: Array) -> Array:
    """Return the logarithm of ``y!``, that is of the gamma function at ``y + 1``, for ``y >= 0``.

    Notes
    -----
    Stirling's series (NIST Digital Library of Mathematical Functions, 5.11.1); small arguments are moved up by the recurrence
    of the gamma function. SciPy has it too, but takes far longer to load than this takes to compute.
    """
    out = np.empty(y.shape)
    for start in range(0, len(y), _STRETCH):
        out[start : start + _STRETCH] = _of_stretch(y[start : start + _STRETCH])
    return out


def _of_stretch(y: Array) -> Array:
    small = y < _SHIFT
    x = np.where(small, y + (1 + _SHIFT), y + 1.0)
    square = 1 / (x * x)
    tail = np.zeros_like(x)
    for coefficient in _SERIES:
        tail *= square
        tail += coefficient
    out = (x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi) + tail / x
    low = y[small]
    product = low + 1
    for step in range(2, _SHIFT + 1):
        product *= low + step
    out[small] -= np.log(product)
    return np.asarray(out)
