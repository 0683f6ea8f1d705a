"""Categories of a formula: their numbers, and which of them get an indicator."""

from __future__ import annotations

from dataclasses import dataclass, field
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

    def references(self, frame: pd.DataFrame, rows: Codes) -> dict[str, str]:
        """Levels without an indicator, by part of a formula; with several terms, those of the last one it stands in.

        Of one that has no row left among ``rows`` of the frame, as after separation, it is said: another level of the part
        is then listed as collinear and has taken its place.
        """
        out = {}
        for (_, atom), levels in self.shown.items():
            left = [v for v in self.seen[atom.name] if v not in levels]
            values = frame[atom.name].to_numpy()[rows] if left else None
            named = [f"{v}" if (values == v).any() else f"{v} (none of its rows is left)" for v in left]
            if named:
                out[str(atom)] = ", ".join(named)
        return out


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
            ref = _reference(atom.ref, levels)
            if ref is not None and ref not in levels:
                raise FormulaError(
                    f"{atom}: the reference level does not occur",
                    found=repr(atom.ref),
                    allowed=[str(v) for v in levels[:20]],
                    fix="Quotes make a reference text, and the levels are not."
                    if isinstance(ref, str) and not isinstance(levels[0], str)
                    else None,
                )
            rest = {a for a in term if a != atom}
            marginal = any(set(t) == rest for t in formula.terms) if rest else constant
            out = ref if ref is not None else levels[0] if marginal else None
            shown[term, atom] = tuple(v for v in levels if out is None or v != out)
    return Encoding(seen, shown)


def _reference(ref: Any, levels: Sequence[Any]) -> Any:
    """Return the reference asked for, a date in text as the level of that date."""
    if isinstance(ref, str) and levels and isinstance(levels[0], np.datetime64 | pd.Timestamp):
        return next((v for v in levels if pd.Timestamp(v) == pd.to_datetime(ref, errors="coerce")), ref)
    return ref


def _levels(series: pd.Series) -> tuple[Any, ...]:
    try:
        levels = pd.unique(series.sort_values())
    except TypeError as error:
        raise BadRegressor(
            f"i({series.name}) mixes types that have no order",
            found=str(error),
            fix="Make all of them text, or all numbers.",
        ) from None
    _check_levels(levels, series.name)
    return tuple(levels)


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
        joint = _codes(pd.concat([one, other]).rename(f"{dyad[0]} and {dyad[1]}"))
        half = len(one)
        if not np.isin(joint.codes[:half], joint.codes[half:]).any():
            raise BadRegressor(
                f"no economy stands on both sides of the dyads of {dyad[0]!r} and {dyad[1]!r}",
                found=f"{dyad[0]}: {one.iloc[0]!r}; {dyad[1]}: {other.iloc[0]!r}",
                fix=f"Use the same labels on both; if none is on both, use cte.cluster({dyad[0]!r}, {dyad[1]!r}), "
                "which is the same but for the small-sample factor.",
            )
        return {
            dyad[0]: Factor(joint.codes[:half], joint.levels),
            dyad[1]: Factor(joint.codes[half:], joint.levels),
        }


def _codes(series: pd.Series) -> Factor:
    """Return the values of a column without missing ones, numbered in their order."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        _check_levels(series.cat.categories[np.flatnonzero(np.bincount(codes))], series.name)
        return compact(codes)
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
    _check_levels(levels, series.name)
    return Factor(codes.astype(np.int64, copy=False), len(levels))


def _check_levels(levels: Any, name: object) -> None:
    """Refuse labels that are written in two ways, and infinite numbers, which a division by zero left."""
    values = np.asarray(levels)
    if values.dtype == object:
        numbers = [v for v in values if isinstance(v, int | float | np.number)]
        written = {str(v) for v in numbers} | {str(int(v)) for v in numbers if np.isfinite(v) and v == int(v)}
        twice = [v for v in values if isinstance(v, str) and v.strip() in written]
        if twice:
            raise BadRegressor(
                f"{name!r} holds the same label as text and as a number, which would be two levels",
                found=f"{len(twice)} such label(s), first {twice[0]!r}",
                fix="Make all of them text, or all numbers.",
            )
        infinite = any(np.isinf(v) for v in numbers)
    else:
        infinite = values.dtype.kind == "f" and bool(np.isinf(values).any())
    if infinite:
        raise BadRegressor(
            f"{name!r} has infinite values among its levels",
            fix="Find where they come from (a division by zero) and decide which level these rows belong to.",
        )
