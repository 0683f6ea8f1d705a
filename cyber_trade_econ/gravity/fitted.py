"""The rows of a fit with their outcome and fitted mean: where questions about residuals and flows start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import Options
from cyber_trade_econ.formula import Formula, parse
from cyber_trade_econ.frames import check_frame, numeric
from cyber_trade_econ.inference.given import require_estimate
from cyber_trade_econ.predictor import FittedIndex
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.records.estimate import Estimate

_NOISE = 1e-6  # share of the outcome that the first-order conditions of a fit keep far below and other data exceed
_ROUNDING = 1e-8  # times the above: what residuals of an exact fit are made of


@dataclass(frozen=True)
class Fitted:
    """Rows used by a fit, in their order.

    Parameters
    ----------
    frame
        The rows, every column of the data included.
    formula, options
        What was estimated and how.
    index
        Fitted linear index, shape (n,).
    y, mean
        Outcome and fitted mean in levels (for a model of the logarithm: the exponential of the fitted logarithm), shape (n,).
    w
        Weights of the fit, one where there are none, shape (n,).
    """

    frame: pd.DataFrame
    formula: Formula
    options: Options
    index: Array
    y: Array
    mean: Array
    w: Array


def fitted(estimate: Estimate, data: pd.DataFrame | Panel, question: str, *, linear: bool = False) -> Fitted:
    """Find the rows of ``estimate`` in ``data`` and their fitted means in levels.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml`, or of `cyber_trade_econ.ols` for the logarithm of an outcome.
    data
        The data it was estimated on.
    question
        What is asked, for the messages.
    linear
        Whether least squares of the outcome itself will do too.

    Raises
    ------
    ConfigError
        For an estimate without a mean in levels, or data that are not those of the fit: rows that are absent, or values that
        break its first-order conditions (residuals that do not add up to zero, over all rows, within the effects, or times a
        regressor).
    FormulaError
        For data that are no data frame or Panel.
    """
    require_estimate(estimate, question)
    parsed, options = parse(estimate.formula, slopes=True), estimate.options
    logs = estimate.model == "OLS" and parsed.outcome.kind == "log"
    covered = estimate.model == "PPML" or logs or (linear and estimate.model == "OLS")
    if not (covered and isinstance(options, Options) and isinstance(estimate.predictor, FittedIndex)):
        raise ConfigError(
            f"an estimate for {question}",
            found=f"{estimate.model} of {parsed.outcome}",
            allowed=("PPML", "OLS" if linear else "OLS of log(y)"),
        )
    rows = sampled(estimate, data, question)
    index = estimate.predict(rows, "link").to_numpy()
    y = numeric(rows, parsed.outcome.name, "the outcome")
    bad = np.isnan(index) | np.isnan(y) | ((y <= 0) & logs)
    if bad.any():
        raise _other(question, f"{int(bad.sum())} row(s) of the fit without outcome or fitted value")
    w = np.ones(len(rows)) if options.weights is None else numeric(rows, options.weights, "the weight")
    mean = np.exp(index) if estimate.model == "PPML" or logs else index
    left, size = y - mean, mean
    if estimate.model == "OLS":
        left = np.log(y) - index if logs else left
        size = np.abs(left) + _ROUNDING * (np.abs(index) + np.abs(left))
    broken = _broken(estimate.predictor, rows, w * left, w * size, max(_NOISE, 10 * options.tol))
    if broken:
        raise _other(question, f"residuals that do not add up to zero {broken}")
    return Fitted(rows, parsed, options, index, y, mean, w)


def sampled(estimate: Estimate, data: pd.DataFrame | Panel, question: str) -> pd.DataFrame:
    """Return the rows of ``data`` that were estimated on, in their order; refuse data that have not all of them."""
    frame = data.frame if isinstance(data, Panel) else data
    check_frame(frame)
    if estimate.sample is None or not frame.index.is_unique or not estimate.sample.isin(frame.index).all():
        raise ConfigError(
            f"data for {question}",
            found="row labels that are not unique or not those of the fit",
            fix="Pass the data the model was estimated on; if its row labels repeat, reset_index(drop=True) before the fit.",
        )
    return frame.loc[estimate.sample]


def orthogonal(X: Array, residual: Array, size: Array, limit: float = _NOISE) -> bool:
    """Whether residuals (n,) times each column of ``X`` (n, k) add up to next to nothing beside their ``size`` (n,)."""
    gap = np.abs(X.T @ residual) / np.maximum(np.abs(X).T @ size, np.finfo(float).tiny)
    return bool((gap < limit).all())


def free_name(frame: pd.DataFrame, name: str) -> str:
    """Return ``name``, lengthened until no column of the data has it."""
    while name in frame.columns:
        name += "_"
    return name


def _broken(index: FittedIndex, rows: pd.DataFrame, residual: Array, size: Array, limit: float) -> str:
    """Say which first-order condition of a fit weighted residuals break, or nothing."""
    parsed, total = index.formula, np.sum(size)
    if (parsed.intercept or parsed.effects) and abs(np.sum(residual)) > limit * total:
        return "over all rows"
    if not orthogonal(index.columns(rows)[:, index.kept], residual, size, limit):
        return "times a regressor"
    for effect in parsed.effects:
        sums = pd.Series(residual).groupby([rows[c].to_numpy() for c in effect], sort=False).sum()
        if sums.abs().sum() > limit * total:
            return f"within {'^'.join(effect)}"
    return ""


def _other(question: str, found: str) -> ConfigError:
    return ConfigError(f"data for {question}", found=found, fix="Pass the data the model was estimated on, unchanged.")
