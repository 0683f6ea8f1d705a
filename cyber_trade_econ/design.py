"""From a formula and data to arrays: which rows are used, what was left out and why, and how categories were encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.encoding import Encoding, Kept, columns_of, encode
from cyber_trade_econ.errors import BadOutcome, BadRegressor, EmptySample, FormulaError
from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Factor, Mask, chosen, levels_of
from cyber_trade_econ.memory import room_for_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cyber_trade_econ.formula import Atom, Formula


@dataclass(frozen=True)
class Design:
    """Arrays of one estimation sample.

    Parameters
    ----------
    y, X, w, offset
        Outcome (n,), regressors (n, k) with the constant first if there is one, weights (n,), offset (n,).
    names
        Terms of the columns of ``X``.
    factors, groups
        Fixed effects by name, and cluster variables by name; codes of shape (n,).
    rows
        Positions of the rows in the data given, shape (n,).
    given
        Number of rows given.
    dropped
        Rows left out, by reason.
    encoding
        Categories, for prediction.
    dyad
        Names of the two groups whose levels are numbered alike, if any.
    """

    y: Array
    X: Array
    w: Array
    offset: Array
    names: tuple[str, ...]
    factors: Mapping[str, Effect]
    groups: Mapping[str, Factor]
    rows: np.ndarray[Any, np.dtype[np.int64]]
    given: int
    dropped: Mapping[str, int]
    encoding: Encoding
    dyad: tuple[str, ...] = ()

    def renumbered(self, mask: Mask) -> dict[int, Effect]:
        """Return effects and clusters on the rows where ``mask`` is true, numbered anew, by the `id` of the old ones."""
        rows = np.flatnonzero(mask)
        return {id(f): chosen(f, rows) for f in (*self.factors.values(), *self.groups.values())}

    def keep(self, mask: Mask, reasons: Mapping[str, int], anew: Mapping[int, Effect] | None = None) -> Design:
        """Return the design on the rows where ``mask`` is true; ``reasons`` says how many of the others left for what.

        ``anew`` is what `renumbered` returns, where it is known already.
        """
        if mask.all():
            return self
        rows = np.flatnonzero(mask)
        X = np.empty((len(rows), self.X.shape[1]), order="F")
        for j in range(X.shape[1]):
            np.take(self.X[:, j], rows, out=X[:, j], mode="clip")  # "clip" writes without a buffer between
        # The two sides of a dyad share their numbers; everywhere else levels are numbered anew.
        anew = self.renumbered(mask) if anew is None else anew
        dropped = dict(self.dropped)
        for reason, count in reasons.items():
            if count:
                dropped[reason] = dropped.get(reason, 0) + count
        return Design(
            self.y[rows],
            X,
            self.w[rows],
            self.offset[rows],
            self.names,
            {name: anew[id(f)] for name, f in self.factors.items()},
            {
                n: Factor(f.codes[rows], f.levels) if n in self.dyad else levels_of(anew[id(f)])
                for n, f in self.groups.items()
            },
            self.rows[rows],
            self.given,
            dropped,
            self.encoding,
            self.dyad,
        )


def column(frame: pd.DataFrame, name: str, role: str) -> pd.Series:
    """Return a column, or explain which one is missing."""
    if not isinstance(name, str):
        raise FormulaError(f"{role} must be named by text", found=type(name).__name__, fix="Pass the name of a column.")
    if name not in frame.columns:
        near = get_close_matches(name, map(str, frame.columns), n=3)
        raise FormulaError(
            f"{role} {name!r} is not a column of the data",
            allowed=list(frame.columns) if len(frame.columns) <= 30 else f"{len(frame.columns)} columns",
            fix=f"Did you mean {' or '.join(map(repr, near))}?" if near else "Check the spelling.",
        )
    return frame[name]


def numeric(frame: pd.DataFrame, name: str, role: str) -> Array:
    """Return a column as floating-point numbers, missing values as NaN; text and dates are refused.

    The array may be the column itself and is not to be written to.
    """
    series = column(frame, name, role)
    if pd.api.types.is_bool_dtype(series.dtype) and role != "the outcome":
        return series.to_numpy(dtype=float, na_value=np.nan)
    kind = series.dtype
    if (
        not pd.api.types.is_numeric_dtype(kind)
        or pd.api.types.is_bool_dtype(kind)
        or pd.api.types.is_complex_dtype(kind)
    ):
        error = BadOutcome if role == "the outcome" else BadRegressor
        raise error(
            f"{role} {name!r} must be numeric",
            found=f"type {series.dtype}",
            fix="Convert it, or write i(" + name + ") for one indicator per category."
            if role != "the outcome"
            else "Convert it.",
        )
    values = series.to_numpy(dtype=float, na_value=np.nan) if series.dtype != np.float64 else series.to_numpy()
    if not np.isfinite(values).all() and np.isinf(values).any():
        error = BadOutcome if role == "the outcome" else BadRegressor
        raise error(
            f"{role} {name!r} has infinite values",
            found=f"{int(np.isinf(values).sum())} row(s), first at position {int(np.isinf(values).argmax())}",
            fix="Find where they come from (a division by zero, a logarithm of zero) and decide what these rows are.",
        )
    return values


def check_frame(frame: object) -> None:
    """Refuse what is not a data frame whose columns have a name each."""
    if not isinstance(frame, pd.DataFrame):
        raise FormulaError("data must be a pandas DataFrame or a Panel", found=type(frame).__name__)
    if frame.columns.has_duplicates:
        raise FormulaError(
            "two columns of the data share a name", found=list(frame.columns[frame.columns.duplicated()])
        )


class _Sample:
    """Rows still in the sample, and the reasons why others left."""

    def __init__(self, n: int) -> None:
        self.keep = np.ones(n, dtype=bool)
        self.dropped: dict[str, int] = {}

    def drop(self, bad: Mask, reason: str) -> None:
        if not bad.any():
            return
        gone = bad & self.keep
        if gone.any():
            self.dropped[reason] = int(gone.sum())
            self.keep &= ~gone


def build(
    formula: Formula,
    frame: pd.DataFrame,
    *,
    clusters: Iterable[str] = (),
    dyad: tuple[str, str] | None = None,
    weights: str | None = None,
    offset: str | None = None,
    numbered: Callable[[pd.DataFrame, Codes], Kept] = Kept,
) -> Design:
    """Look the formula's names up in ``frame`` and encode them.

    Parameters
    ----------
    formula, frame
        Parsed formula, and data with one row per observation.
    clusters
        Columns, or columns joined by ``^``, that will be clustered by.
    dyad
        Two columns whose values are numbered alike.
    weights, offset
        Columns.
    numbered
        Numbers the rows kept; several designs of one frame can share it.

    Raises
    ------
    FormulaError, BadOutcome, BadRegressor, EmptySample
        For an unknown column, a bad outcome, a regressor that is not numeric or not finite, and when no row is left.
    NotEnoughMemory
        When the fit of so many rows and regressors cannot fit into memory; nothing of its size has been allocated then.
    """
    check_frame(frame)
    sample = _Sample(len(frame))
    y = _outcome(formula.outcome, frame, sample)
    atoms = {a: _atom(a, frame, sample) for a in dict.fromkeys(a for t in formula.terms for a in t)}
    w = None if weights is None else _weights(frame, weights, sample)
    off = None if offset is None else numeric(frame, offset, "the offset")
    if off is not None:
        sample.drop(np.isnan(off), f"missing: {offset}")
    keys = {c for e in formula.effects for c in e}
    for name in sorted(keys):
        sample.drop(column(frame, name, "the fixed effect").isna().to_numpy(), f"missing: {name}")
    variables = {name: numeric(frame, name, "the variable of a slope") for _, name in formula.slopes}
    for name, values in variables.items():
        sample.drop(np.isnan(values), f"missing: {name}")
    by = {name: tuple(name.split("^")) for name in clusters}
    _no_missing_clusters(frame, [c for parts in by.values() for c in parts] + list(dyad or ()), sample)
    rows = np.flatnonzero(sample.keep)
    if not len(rows):
        raise EmptySample(
            f"no row is left to estimate {formula}",
            found=f"{len(frame)} row(s) given; left out: {sample.dropped or 'none'}",
            fix="Check the filters and the columns with missing values.",
        )
    kept = numbered(frame, rows)
    categories = kept.frame({a.name for a in atoms if a.kind == "i"})
    encoding = encode(formula, categories)
    constant = formula.intercept and not formula.effects
    factors = kept.effects(formula, variables)
    room_for_fit(len(rows), constant + _width(formula, encoding), [f.levels for f in factors.values()])
    X, names = columns_of(
        formula.terms, {a: kept.values(v) for a, v in atoms.items()}, categories, encoding, constant=constant
    )
    return Design(
        kept.values(y),
        X,
        np.ones(len(rows)) if w is None else kept.values(w),
        np.zeros(len(rows)) if off is None else kept.values(off),
        names,
        factors,
        {name: kept.factor(parts) for name, parts in by.items()} | (kept.sides(dyad) if dyad else {}),
        rows,
        len(frame),
        sample.dropped,
        encoding,
        dyad or (),
    )


def _width(formula: Formula, encoding: Encoding) -> int:
    """Count the columns of the terms: one per combination of the categories that are shown."""
    return sum(math.prod(len(encoding.shown[t, a]) for a in t if a.kind == "i") for t in formula.terms)


def _outcome(outcome: Atom, frame: pd.DataFrame, sample: _Sample) -> Array:
    values = numeric(frame, outcome.name, "the outcome")
    sample.drop(np.isnan(values), f"missing: {outcome.name}")
    return _log(values, outcome.name, "the outcome", sample) if outcome.kind == "log" else values


def _log(values: Array, name: str, role: str, sample: _Sample) -> Array:
    negative = values < 0
    if negative.any():
        error = BadOutcome if role == "the outcome" else BadRegressor
        raise error(
            f"log({name}) of a negative value",
            found=f"{int(negative.sum())} row(s), smallest {np.nanmin(values):g}",
            fix="Trade values are not negative; correct or remove these rows.",
        )
    sample.drop(values == 0, f"log of zero: {name}")
    with np.errstate(divide="ignore"):
        return np.log(values)


def _atom(atom: Atom, frame: pd.DataFrame, sample: _Sample) -> Array:
    if atom.kind == "i":
        missing = column(frame, atom.name, "the category").isna().to_numpy()
        sample.drop(missing, f"missing: {atom.name}")
        return np.empty(len(frame))  # indicators are made once the levels of the sample are known
    values = numeric(frame, atom.name, "the regressor")
    sample.drop(np.isnan(values), f"missing: {atom.name}")
    return _log(values, atom.name, "the regressor", sample) if atom.kind == "log" else values


def _weights(frame: pd.DataFrame, name: str, sample: _Sample) -> Array:
    w = numeric(frame, name, "the weight")
    if (w < 0).any():
        raise BadRegressor(
            f"the weight {name!r} is negative", found=f"{int((w < 0).sum())} row(s)", fix="Use weights >= 0."
        )
    sample.drop(np.isnan(w), f"missing: {name}")
    sample.drop(w == 0, f"weight of zero: {name}")
    return w


def _no_missing_clusters(frame: pd.DataFrame, names: Sequence[str], sample: _Sample) -> None:
    for name in names:
        missing = column(frame, name, "the cluster").isna().to_numpy() & sample.keep
        if missing.any():
            raise BadRegressor(
                f"the cluster variable {name!r} is missing in {int(missing.sum())} row(s) of the sample",
                fix="Fill it or remove the rows: a missing cluster cannot be guessed.",
            )
