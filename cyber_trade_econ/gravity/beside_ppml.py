"""How far Jochmans' estimate is from PPML, and how far it would be by chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from cyber_trade_econ.gravity.concentrated import ByPeriod

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.gravity.concentrated import Table
    from cyber_trade_econ.gravity.rectangles import Crossed
    from cyber_trade_econ.hdfe.factor import Array

_EXACT = (
    1e-6  # share of its error that a pair must keep: PPML fits the others exactly, so that nothing is known of theirs
)


def compared(ppml: pd.Series, beta: Array, table: Table, crossed: Crossed) -> dict[str, Any]:
    """Set an estimate beside PPML; both are taken to estimate the same mean, as they do if the model is right.

    Parameters
    ----------
    ppml, beta
        Coefficients of PPML by term, and of the moments, (K,).
    table
        Means and scores of PPML.
    crossed
        The same flows with the power of the moments.

    Notes
    -----
    Both estimates are, to first order, sums of the same errors, so that their difference weighs each error by the difference
    of two weights. Errors are residuals of PPML divided by the root of the share that its effects and coefficients leave of
    them, which makes their squares unbiased where the variance is proportional to the mean (HC2): the raw ones are too small,
    most of all for the flows that weigh most. The moments also hold products of two errors. Where the two estimates are
    nearly the same to first order, that is not small beside it; it is uncorrelated with the first order and added once.
    Summed pair by pair it would be counted for both pairs of each product.
    """
    at = ppml.to_numpy()
    effects = ByPeriod(table)
    x, mean = _periods_first(effects.x), _periods_first(table.mean)
    information = np.tensordot(x * mean, x, ([1, 2, 3], [1, 2, 3]))
    theirs = np.linalg.solve(information, x.reshape(len(x), -1)).reshape(x.shape)
    taken = mean * np.einsum("ktei,ktei->tei", x, theirs)
    for (exporters, importers), own in effects.covariances():
        taken[:, exporters, importers] += mean[:, exporters, importers] * np.diagonal(own, axis1=1, axis2=2).T
    residual, left = _periods_first(table.score), 1 - taken
    error = np.where(left > _EXACT, residual / np.sqrt(np.maximum(left, _EXACT)), 0.0)

    slopes = replace(crossed, y=mean).slopes(at)
    index = np.tensordot(at, crossed.x, 1)
    # The means solve the moments whatever the effects, so that a change of the coefficients is one of the flows by -x.
    matrix = np.tensordot(slopes * mean * np.exp((crossed.power - 1) * index), crossed.x, ([1, 2, 3], [1, 2, 3]))
    weights = np.linalg.solve(matrix, (slopes * np.exp((crossed.power - 1) * index)).reshape(len(x), -1))
    by_pair = ((weights.reshape(x.shape) - theirs) * error).sum(axis=1).reshape(len(x), -1)
    inverse = np.linalg.inv(matrix)
    covariance = by_pair @ by_pair.T + inverse @ replace(crossed, y=error).products(at) @ inverse.T

    gap, spread = beta - at, np.sqrt(np.diag(covariance))
    statistic = float("nan")
    if (spread > 0).all():
        statistic = gap / spread @ np.linalg.lstsq(covariance / np.outer(spread, spread), gap / spread)[0]
    own_error = np.linalg.norm((theirs * residual).sum(axis=1).reshape(len(x), -1), axis=1)
    told = {"ppml_coef": at, "ppml_se": own_error, "difference": gap, "difference_se": spread}
    named = {name: dict(zip(map(str, ppml.index), map(float, values), strict=True)) for name, values in told.items()}
    return {**named, "difference_p": float(stats.chi2.sf(statistic, len(gap)))}


def _periods_first(values: Array) -> Array:
    """Exchange shape (..., E, I, T) for (..., T, E, I)."""
    return np.moveaxis(values, -1, -3)
