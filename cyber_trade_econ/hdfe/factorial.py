"""The Poisson density of outcomes at a mean equal to them: the part of a likelihood that does not depend on the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array

_LARGE = 10.0
"""From ten on the series below is exact to rounding."""

_STRETCH = 1 << 13
"""Values worked on at once, so that they and what is computed on the way stay in the cache."""

_TINY = 0.01
"""Below it the parts of the general formula cancel, and a power series is exact to rounding."""

_ZETA = (
    *(1.6449340668482264, 1.2020569031595943, 1.0823232337111382, 1.0369277551433699),
    *(1.0173430619844491, 1.0083492773819228, 1.0040773561979443),
)
_SERIES = (1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)


def saturated(y: Array, w: Array) -> float:
    """Return the sum of ``w (y log y - y - log y!)`` over the outcomes ``y > 0``, where ``y!`` is the gamma function.

    Notes
    -----
    By Stirling's series (NIST Digital Library of Mathematical Functions, 5.11.1) the large terms of a large outcome cancel
    before they are computed. SciPy has the gamma function too, but takes far longer to load than this takes to compute.
    """
    total = 0.0
    for part in (slice(at, at + _STRETCH) for at in range(0, len(y), _STRETCH)):
        positive = y[part] > 0
        total += float(w[part][positive] @ at_own_mean(y[part][positive]))
    return total


def at_own_mean(y: Array) -> Array:
    """Return ``y log y - y - log y!`` for ``y > 0``."""
    large = np.maximum(y, _LARGE)
    out = -0.5 * np.log(2 * np.pi * large) - _remainder(large)
    small = y < _LARGE
    out[small] = _of_small(y[small])
    return np.asarray(out)


def _of_small(y: Array) -> Array:
    """Sum the power series of tiny outcomes; move the argument of the gamma function up to where the other one holds."""
    out = np.empty_like(y)
    tiny = y < _TINY
    out[tiny], out[~tiny] = _by_powers(y[tiny]), _by_recurrence(y[~tiny])
    return out


def _by_powers(y: Array) -> Array:
    """Use the power series of the logarithm of the gamma function around one (as above, 5.7.3, its logarithm expanded)."""
    tail = np.zeros_like(y)
    for k in range(len(_ZETA) + 1, 1, -1):
        tail = (_ZETA[k - 2] / k - tail) * y
    return np.asarray(y * (np.log(y) - 1 + np.euler_gamma - tail))


def _by_recurrence(y: Array) -> Array:
    x, product = y + _LARGE, y + 1
    for step in range(2, int(_LARGE)):
        product *= y + step
    log_factorial = (x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi) + _remainder(x) - np.log(product)
    return np.asarray(y * np.log(y) - y - log_factorial)


def _remainder(x: Array) -> Array:
    """Return what the leading terms of Stirling's series lack."""
    inverse = 1 / x
    square = inverse * inverse
    tail = np.full_like(x, _SERIES[0])
    for coefficient in _SERIES[1:]:
        tail *= square
        tail += coefficient
    return np.asarray(tail * inverse)
