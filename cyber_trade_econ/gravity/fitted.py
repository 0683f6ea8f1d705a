"""The rows of a fit with their outcome and fitted mean in levels: where questions about residuals and flows start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ import design
from cyber_trade_econ.encoding import columns_of
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import Options
from cyber_trade_econ.formula import Formula, parse
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.predictor import FittedIndex
    from cyber_trade_econ.records.estimate import Estimate

_NOISE = 1e-6  # residuals of a fit with a constant or effects add up to about 1e-12 of the outcome


@dataclass(frozen=True)
class Fitted:
    """Rows used by a fit, in their order.

    Parameters
    ----------
    frame
        The rows, every column of the data included.
    formula, options
        What was estimated and how.
    y, mean
        Outcome and fitted mean in levels (for a model of the logarithm: the exponential of the fitted logarithm), shape (n,).
    w
        Weights of the fit, one where there are none, shape (n,).
    """

    frame: pd.DataFrame
    formula: Formula
    options: Options
    y: Array
    mean: Array
    w: Array


def fitted(estimate: Estimate, data: pd.DataFrame | Panel, question: str) -> Fitted:
    """Find the rows of ``estimate`` in ``data`` and their fitted means in levels.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml`, or of `cyber_trade_econ.ols` for the logarithm of an outcome.
    data
        The data it was estimated on.
    question
        What is asked, for the messages.

    Raises
    ------
    ConfigError
        For an estimate without a mean in levels, or data that are not those of the fit.
    """
    parsed = parse(estimate.formula)
    options = estimate.options
    logs = estimate.model == "OLS" and parsed.outcome.kind == "log"
    if not isinstance(options, Options) or not (estimate.model == "PPML" or logs):
        raise ConfigError(
            f"an estimate for {question}",
            found=f"{estimate.model} of {parsed.outcome}",
            allowed=("PPML", "OLS of log(y)"),
        )
    frame = data.frame if isinstance(data, Panel) else data
    if estimate.sample is None or not frame.index.is_unique or not estimate.sample.isin(frame.index).all():
        raise ConfigError(
            f"data for {question}",
            found="row labels that are not unique or not those of the fit",
            fix="Pass the data the model was estimated on; if its row labels repeat, reset_index(drop=True) before the fit.",
        )
    rows = frame.loc[estimate.sample]
    index = estimate.predict(rows, "link").to_numpy()
    y = design.numeric(rows, parsed.outcome.name, "the outcome")
    if np.isnan(index).any() or np.isnan(y).any():
        raise ConfigError(
            f"data for {question}",
            found=f"{int((np.isnan(index) | np.isnan(y)).sum())} row(s) of the fit without outcome or fitted value",
            fix="Pass the data the model was estimated on, unchanged.",
        )
    w = np.ones(len(rows)) if options.weights is None else design.numeric(rows, options.weights, "the weight")
    mean = np.exp(index)
    left = np.log(y) - index if logs else y - mean
    if (parsed.intercept or parsed.effects) and abs(np.sum(w * left)) > _NOISE * np.sum(
        w * (np.abs(left) + (0.0 if logs else mean))
    ):
        raise ConfigError(
            f"data for {question}",
            found="residuals that do not add up to zero",
            fix="Pass the data the model was estimated on, unchanged.",
        )
    return Fitted(rows, parsed, options, y, mean, w)


def regressors(index: FittedIndex, rows: pd.DataFrame) -> Array:
    """Build the columns that were estimated, encoded as they were then, shape (n, K)."""
    atoms = {}
    for atom in dict.fromkeys(a for term in index.formula.terms for a in term if a.kind != "i"):
        values = design.numeric(rows, atom.name, "the regressor")
        atoms[atom] = np.log(np.where(values > 0, values, np.nan)) if atom.kind == "log" else values
    X, _ = columns_of(index.formula.terms, atoms, rows, index.encoding, constant=False)
    return np.asarray(X[:, index.kept])
