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
    """Move the argument of the gamma function up by its recurrence, to where the series holds."""
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
