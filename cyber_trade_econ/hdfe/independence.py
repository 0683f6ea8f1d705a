"""Which regressors no combination of earlier ones and of effects reproduces, told without writing them out.

Cross products of regressors net of effects settle nearly all of them. Of one that they leave in doubt, what is left after
effects and earlier columns is computed row by row, which is one column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.leastsquares import COLLINEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array, Mask
    from cyber_trade_econ.hdfe.net import Net

CLEAR = 1e-5
"""Share of a squared length above which no second look is needed to call a column independent."""

_ROUNDS = 3  # the second and third remove what rounding left of the earlier columns


def independent(net: Net, products: Array, w: Array, lengths: Array) -> Mask:
    """Mark the columns that effects and earlier kept columns leave more than `COLLINEAR` of.

    Parameters
    ----------
    net, w
        Regressors net of effects (n, k), weights (n,).
    products
        Weighted cross products of the former, (k, k).
    lengths
        Weighted length of each column before effects were taken out, (k,).
    """
    unit = np.where(lengths > 0, lengths, 1.0)
    products = products / np.outer(unit, unit)
    left = products.copy()
    kept: list[int] = []
    for j, length in enumerate(lengths):
        share = left[j, j]
        if length > 0 and share <= CLEAR:
            share = _looked_at(net, products, w, unit, kept, j)
        if length > 0 and share > COLLINEAR**2:
            kept.append(j)
            rest = slice(j + 1, None)
            left[rest, rest] -= np.outer(left[rest, j], left[j, rest]) / share
    mask = np.zeros(len(lengths), dtype=bool)
    mask[kept] = True
    return mask


def _looked_at(net: Net, products: Array, w: Array, unit: Array, kept: Sequence[int], j: int) -> float:
    """Return the share of the squared length of column ``j`` that is left after the kept ones."""
    beta = np.zeros(len(unit))
    beta[j] = 1 / unit[j]
    among = np.ix_(kept, kept)
    for _ in range(_ROUNDS if kept else 0):
        along = net.total(w * net.times(beta))[kept] / unit[kept]
        beta[kept] -= np.linalg.lstsq(products[among], along)[0] / unit[kept]
    return float(w @ net.times(beta) ** 2)
