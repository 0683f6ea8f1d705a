"""The columns of a design made again from other values of the same rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.columns import planned
from cyber_trade_econ.errors import BadRegressor
from cyber_trade_econ.frames import numeric

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.encoding import Encoding
    from cyber_trade_econ.formula import Formula
    from cyber_trade_econ.hdfe.factor import Array, Mask


def regressors(formula: Formula, frame: pd.DataFrame, encoding: Encoding) -> Array:
    """Build the regressors, (n, k), of rows whose categories were encoded before.

    Raises
    ------
    BadRegressor
        If a value is missing, infinite, without logarithm or of a category that was not encoded.
    """
    atoms = {
        a: np.empty(0) if a.kind == "i" else numeric(frame, a.name, "the regressor")
        for a in dict.fromkeys(a for t in formula.terms for a in t)
    }
    with np.errstate(divide="ignore", invalid="ignore"):
        atoms = {a: np.log(v) if a.kind == "log" else v for a, v in atoms.items()}
    plan = planned(formula.terms, atoms, frame, encoding, constant=formula.intercept and not formula.effects)
    X = plan.columns().whole()
    bad = ~np.isfinite(X).all(axis=0)
    if bad.any():
        raise BadRegressor(
            f"the regressor {plan.names[int(bad.argmax())]!r} is not a finite number everywhere",
            found=f"{int((~np.isfinite(X)).any(axis=1).sum())} row(s)",
            fix="Give it a finite value, or a category that the estimate has seen, on every row.",
        )
    return X


def naming(formula: Formula, encoding: Encoding, column: str) -> Mask:
    """Mark the regressors that a column enters, (k,)."""
    widths = [math.prod(len(encoding.shown[t, a]) for a in t if a.kind == "i") for t in formula.terms]
    entered = [any(a.name == column for a in t) for t in formula.terms]
    constant = [False] * (formula.intercept and not formula.effects)
    return np.concatenate([np.array(constant, dtype=bool), np.repeat(np.array(entered, dtype=bool), widths)])
