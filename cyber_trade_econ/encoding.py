"""Categories of a formula: which of them get an indicator, and the columns of the regressors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import BadRegressor, FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.formula import Atom, Formula, Term
    from cyber_trade_econ.hdfe.factor import Array

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
    """Build the columns of the regressors, shape (n, k), and their names; a category never seen is missing."""
    out: list[tuple[str, Array]] = [(INTERCEPT, np.ones(len(frame)))] if constant else []
    for term in terms:
        parts: list[tuple[str, Array]] = [("", np.ones(len(frame)))]
        for atom in term:
            if atom.kind == "i":
                known = frame[atom.name].isin(encoding.seen[atom.name]).to_numpy()
                choices = [
                    (f"{atom.name}::{v}", np.where(known, frame[atom.name].isin([v]).to_numpy(), np.nan))
                    for v in encoding.shown[term, atom]
                ]
            else:
                choices = [(str(atom), atoms[atom])]
            parts = [(f"{a}:{b}" if a else b, x * z) for a, x in parts for b, z in choices]
        out += parts
    matrix = np.column_stack([x for _, x in out]) if out else np.empty((len(frame), 0))
    return matrix, tuple(name for name, _ in out)
