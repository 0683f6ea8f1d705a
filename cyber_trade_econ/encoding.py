"""Categories of a formula: their numbers, which of them get an indicator, and the columns of the regressors."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import BadRegressor, FormulaError
from cyber_trade_econ.formula import effect_name, slope_name
from cyber_trade_econ.hdfe.factor import Factor, Slope, compact, cross

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.formula import Atom, Formula, Term
    from cyber_trade_econ.hdfe.factor import Array, Codes, Effect

INTERCEPT = "Intercept"


@dataclass(frozen=True)
class Encoding:
    """Categories of the ``i()`` parts of a formula.

    Parameters
    ----------
    seen
        Levels of the estimation sample, by column.
    shown
        Levels that have an indicator, by term and part.
    """

    seen: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    shown: Mapping[tuple[Term, Atom], tuple[Any, ...]] = field(default_factory=dict)


def encode(formula: Formula, kept: pd.DataFrame) -> Encoding:
    """Decide which categories get an indicator.

    A reference that is named is left out. Without one, the first category is left out where the indicators would otherwise
    add up to something the model holds already: the constant or the effects, or in a product the rest of its parts.
    """
    columns = {a.name for t in formula.terms for a in t if a.kind == "i"}
    seen = {name: _levels(kept[name]) for name in columns}
    constant = bool(formula.intercept or formula.effects)
    shown: dict[tuple[Term, Atom], tuple[Any, ...]] = {}
    for term in formula.terms:
        for atom in (a for a in term if a.kind == "i"):
            levels = seen[atom.name]
            if atom.ref is not None and atom.ref not in levels:
                raise FormulaError(
                    f"{atom}: the reference level does not occur",
                    found=repr(atom.ref),
                    allowed=[str(v) for v in levels[:20]],
                )
            rest = {a for a in term if a != atom}
            marginal = any(set(t) == rest for t in formula.terms) if rest else constant
            out = atom.ref if atom.ref is not None else levels[0] if marginal else None
            shown[term, atom] = tuple(v for v in levels if out is None or v != out)
    return Encoding(seen, shown)


def _levels(series: pd.Series) -> tuple[Any, ...]:
    try:
        return tuple(pd.unique(series.sort_values()))
    except TypeError as error:
        raise BadRegressor(
            f"i({series.name}) mixes types that have no order",
            found=str(error),
            fix="Make all of them text, or all numbers.",
        ) from None


def columns_of(
    terms: Sequence[Term], atoms: Mapping[Atom, Array], frame: pd.DataFrame, encoding: Encoding, *, constant: bool
) -> tuple[Array, tuple[str, ...]]:
    """Build the columns of the regressors, shape (n, k), and their names; a category never seen is missing.

    Indicators are columns like all others, for hundreds of cells of events too. A fit holds little more than two arrays of
    rows times cells: these, and what the effects leave of them, which is not sparse and which covariances are made of. To
    solve for cells as one more set of effects, and make the second array at the end, was measured at 160 and at 260 cells:
    it takes the same time and the same memory.
    """
    n = len(frame)
    categories = {a.name for term in terms for a in term if a.kind == "i"}
    numbers = {name: _numbers(frame[name], encoding.seen[name]) for name in categories}
    unseen = {name: np.flatnonzero(codes < 0) for name, codes in numbers.items()}
    plan = [
        choice
        for term in terms
        for choice in product(
            *([(a, v) for v in encoding.shown[term, a]] if a.kind == "i" else [(a, None)] for a in term)
        )
    ]
    names = [":".join(f"{a.name}::{v}" if a.kind == "i" else str(a) for a, v in choice) for choice in plan]
    matrix = np.empty((n, constant + len(plan)), order="F")  # column by column, as everything later reads it
    if constant:
        matrix[:, 0] = 1.0
    for column, choice in zip(matrix.T[int(constant) :], plan, strict=True):
        for position, (atom, level) in enumerate(choice):
            values = atoms[atom] if atom.kind != "i" else numbers[atom.name] == encoding.seen[atom.name].index(level)
            if position:
                with np.errstate(over="ignore", invalid="ignore"):  # `estimable.rows` refuses such a column by name
                    column *= values
            else:
                column[:] = values
            if atom.kind == "i":
                column[unseen[atom.name]] = np.nan
    return matrix, tuple([INTERCEPT] * constant + names)


def _numbers(series: pd.Series, levels: tuple[Any, ...]) -> Codes:
    """Return the position of each value among ``levels``, -1 for one that is not among them."""
    return np.asarray(pd.Index(levels).get_indexer(pd.Index(series)), dtype=np.int64)


class Kept:
    """The rows of a sample: only columns that are asked for are looked at, and each combination is numbered once.

    Parameters
    ----------
    frame
        The data given.
    rows
        Positions of the rows kept, shape (n,), ascending.
    """

    def __init__(self, frame: pd.DataFrame, rows: Codes) -> None:
        self._frame, self._rows = frame, rows
        self._all = len(rows) == len(frame)
        self._factors: dict[tuple[str, ...], Factor] = {}

    def values(self, values: Array) -> Array:
        """Return ``values`` of all rows given on those kept."""
        return values if self._all else values[self._rows]

    def frame(self, names: set[str]) -> pd.DataFrame:
        """Return some of the columns."""
        some = self._frame[[c for c in self._frame.columns if c in names]]
        return some if self._all else some.iloc[self._rows]

    def factor(self, names: tuple[str, ...]) -> Factor:
        """Return the combinations of columns without missing values, numbered."""
        if names not in self._factors:
            if len(names) == 1:
                series = self._frame[names[0]]
                self._factors[names] = _codes(series if self._all else series.iloc[self._rows])
            else:
                self._factors[names] = cross([self.factor((name,)) for name in names])
        return self._factors[names]

    def effects(self, formula: Formula, variables: Mapping[str, Array]) -> dict[str, Effect]:
        """Return the effects of a formula by name, then its varying slopes in ``variables``, (rows given,) each."""
        out: dict[str, Effect] = {effect_name(e): self.factor(e) for e in formula.effects}
        for slope in formula.slopes:
            factor = self.factor(slope[0])
            out[slope_name(slope)] = Slope(factor.codes, factor.levels, self.values(variables[slope[1]]))
        return out

    def sides(self, dyad: tuple[str, str]) -> dict[str, Factor]:
        """Return the values of two columns, numbered alike."""
        one, other = (self._frame[name].iloc[self._rows].astype(object) for name in dyad)
        joint = _codes(pd.concat([one, other]))
        half = len(one)
        return {
            dyad[0]: Factor(joint.codes[:half], joint.levels),
            dyad[1]: Factor(joint.codes[half:], joint.levels),
        }


def _codes(series: pd.Series) -> Factor:
    """Return the values of a column without missing ones, numbered in their order."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return compact(series.cat.codes.to_numpy().astype(np.int64))
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "i":
        return compact(series.to_numpy().astype(np.int64, copy=False))
    try:
        codes, levels = pd.factorize(series, sort=True)
    except TypeError as error:
        raise BadRegressor(
            f"{series.name!r} holds values that cannot be told apart",
            found=str(error),
            fix="Make them text or numbers.",
        ) from None
    return Factor(codes.astype(np.int64, copy=False), len(levels))
