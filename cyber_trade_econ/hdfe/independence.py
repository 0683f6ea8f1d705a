"""Which regressors no combination of earlier ones and of effects reproduces, told without writing them out.

Cross products of regressors net of effects settle nearly all of them. Of one that they leave in doubt, what is left after
effects and earlier columns is computed row by row, which is one column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe.leastsquares import DOUBTFUL, is_left

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyber_trade_econ.hdfe.factor import Array, Mask
    from cyber_trade_econ.hdfe.net import Net

CLEAR = 1e-5
"""Share of a squared length above which cross products settle independence."""

_ROUGH = 1e-12  # share of a squared length of which effects that were taken out to ten digits may be a part
_ROUNDS = 3  # the second and third remove what rounding left of the earlier columns


def clear(products: Array, lengths: Array) -> bool:
    """Whether columns net of effects are independent beyond doubt: no second look is needed, and products keep eleven digits.

    Parameters
    ----------
    products, lengths
        Weighted cross products (k, k), and weighted lengths before effects were taken out, (k,).
    """
    if not (lengths > 0).all():
        return False
    try:
        root = np.linalg.cholesky(products / np.outer(lengths, lengths))
    except np.linalg.LinAlgError:
        return False
    return bool((np.diag(root) ** 2 > CLEAR).all())


def independent(
    net: Net, products: Array, w: Array, lengths: Array, again: Callable[[Array], Array], doubtful: float = DOUBTFUL
) -> Mask:
    """Mark the columns that effects and earlier kept columns leave more than `COLLINEAR` of.

    Parameters
    ----------
    net, w
        Regressors net of effects (n, k), weights (n,).
    products
        Weighted cross products of the former, (k, k).
    lengths
        Weighted length of each column before effects were taken out, (k,).
    again
        Takes the effects out of a column (n,) once more: what the first time left of them is large beside what is left of a
        collinear regressor.
    doubtful
        As for `cyber_trade_econ.hdfe.leastsquares.is_left`.

    Raises
    ------
    NotConverged
        See there.
    """
    unit = np.where(lengths > 0, lengths, 1.0)
    products = products / np.outer(unit, unit)
    left = products.copy()
    kept: list[int] = []
    for j, length in enumerate(lengths):
        share = left[j, j]
        if length > 0 and share <= CLEAR:
            share = _looked_at(net, products, w, unit, kept, j, again)
        if length > 0 and is_left(share, doubtful):
            kept.append(j)
            rest = slice(j + 1, None)
            left[rest, rest] -= np.outer(left[rest, j], left[j, rest]) / share
    mask = np.zeros(len(lengths), dtype=bool)
    mask[kept] = True
    return mask


def _looked_at(
    net: Net, products: Array, w: Array, unit: Array, kept: Sequence[int], j: int, again: Callable[[Array], Array]
) -> float:
    """Return the share of the squared length of column ``j`` that is left after the kept ones."""
    beta = np.zeros(len(unit))
    beta[j] = 1 / unit[j]
    among = np.ix_(kept, kept)
    for _ in range(_ROUNDS if kept else 0):
        along = net.total(w * net.times(beta))[kept] / unit[kept]
        beta[kept] -= np.linalg.lstsq(products[among], along)[0] / unit[kept]
    left = net.times(beta)
    share = float(w @ left**2)
    if share <= _ROUGH:
        share = float(w @ again(left) ** 2)
    return share
