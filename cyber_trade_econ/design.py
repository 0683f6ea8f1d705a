"""From a formula and data to arrays: which rows are used, what was left out and why, and how categories were encoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.columns import planned, widths
from cyber_trade_econ.encoding import Encoding, Kept, encode
from cyber_trade_econ.errors import BadOutcome, BadRegressor, EmptySample
from cyber_trade_econ.frames import check_frame, column, numeric
from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Factor, Mask, chosen, levels_of
from cyber_trade_econ.hdfe.regressors import Regressors
from cyber_trade_econ.memory import room_for_fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd

    from cyber_trade_econ.formula import Atom, Formula

_WEIGHTS = 1e15  # times the smallest weight: beyond it that row is lost in any sum with the largest


@dataclass(frozen=True)
class Design:
    """Arrays of one estimation sample.

    Parameters
    ----------
    y, regressors, w, offset
        Outcome (n,), regressors (n, k) with the constant first if there is one, weights (n,), offset (n,).
    names
        Terms of the regressors.
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
    regressors: Regressors
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

    @cached_property
    def X(self) -> Array:  # noqa: N802  as everybody writes it
        """The regressors written out, (n, k): for what has no use for lists of entries."""
        return self.regressors.whole()

    @property
    def k(self) -> int:
        """Number of regressors."""
        return self.regressors.shape[1]

    def having(self, X: Array, names: tuple[str, ...] | None = None) -> Design:
        """Return the design with other regressors, (n, k), and their names."""
        return replace(self, regressors=Regressors.plain(X), names=self.names if names is None else names)

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
        # The two sides of a dyad share their numbers; everywhere else levels are numbered anew.
        anew = self.renumbered(mask) if anew is None else anew
        dropped = dict(self.dropped)
        for reason, count in reasons.items():
            if count:
                dropped[reason] = dropped.get(reason, 0) + count
        return Design(
            self.y[rows],
            self.regressors.kept(rows),
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
    levels = [f.levels for f in factors.values()]
    numbers, indicators = widths(formula.terms, encoding)
    room_for_fit(len(rows), constant + numbers + indicators, levels, listed=indicators)
    plan = planned(
        formula.terms, {a: kept.values(v) for a, v in atoms.items()}, categories, encoding, constant=constant
    )
    room_for_fit(len(rows), len(plan.names), levels, listed=int(plan.rare.sum()))
    return Design(
        kept.values(y),
        plan.columns(),
        np.ones(len(rows)) if w is None else kept.values(w),
        np.zeros(len(rows)) if off is None else kept.values(off),
        plan.names,
        factors,
        {name: kept.factor(parts) for name, parts in by.items()} | (kept.sides(dyad) if dyad else {}),
        rows,
        len(frame),
        sample.dropped,
        encoding,
        dyad or (),
    )


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
    used = w[w > 0]  # false for missing weights
    if used.size and float(used.min()) < float(used.max()) / _WEIGHTS:
        raise BadRegressor(
            f"the weight {name!r} spans more than double precision can work with",
            found=f"weights from {used.min():g} to {used.max():g}",
            allowed=f"a largest weight of {_WEIGHTS:.0e} times the smallest",
            fix="Look for a wrong unit or a division by almost zero; rows that shall not count have a weight of zero.",
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
