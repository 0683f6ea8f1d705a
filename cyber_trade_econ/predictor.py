"""Prediction from a fitted index: coefficients, encodings and effects by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ import design as designs
from cyber_trade_econ.encoding import Encoding, columns_of
from cyber_trade_econ.formula import Atom, Formula, effect_name, slope_name
from cyber_trade_econ.hdfe.factor import Slope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.hdfe.factor import Array, Mask
    from cyber_trade_econ.records.estimate import Scale


@dataclass(frozen=True)
class FittedIndex:
    """What `Estimate.predict` and `Estimate.fixed_effects` need of a fit.

    Parameters
    ----------
    formula, encoding
        As estimated.
    beta
        Coefficients of the columns in ``kept``, shape (k,).
    kept
        Columns of the design that were kept, shape (K,).
    effects
        Effects by name, each indexed by its level (a MultiIndex for combined columns). Those of a varying slope, such as
        ``pair[year]``, are per unit of its variable; the effect of the same level is what it is where the variable is zero.
    offset
        Column of the offset.
    exponential
        Whether the response is the exponential of the index; otherwise it is the index.
    """

    formula: Formula
    encoding: Encoding
    beta: Array
    kept: Mask
    effects: Mapping[str, pd.Series]
    offset: str | None
    exponential: bool

    @classmethod
    def of(
        cls,
        formula: Formula,
        design: designs.Design,
        frame: pd.DataFrame,
        beta: Array,
        kept: Mask,
        effects: Sequence[Array],
        offset: str | None,
        exponential: bool,
    ) -> FittedIndex:
        """Label the estimated effects with the levels of ``frame``."""
        columns = dict(zip(map(effect_name, formula.effects), formula.effects, strict=True))
        columns |= {slope_name(slope): slope[0] for slope in formula.slopes}
        labelled: dict[str, pd.Series] = {}
        for (name, factor), values in zip(design.factors.items(), effects, strict=True):
            row = np.zeros(factor.levels, dtype=np.int64)
            row[factor.codes] = design.rows  # the last one of each level
            labels = [frame[c].iloc[row] for c in columns[name]]
            index = (
                pd.MultiIndex.from_arrays(labels, names=columns[name])
                if len(labels) > 1
                else pd.Index(labels[0], name=columns[name][0])
            )
            labelled[name] = pd.Series(values, index=index, name=name)
        for slope in formula.slopes:
            _in_units(labelled, slope_name(slope), effect_name(slope[0]), design)
        return cls(formula, design.encoding, beta, kept, _centred(labelled, formula), offset, exponential)

    def fixed_effects(self) -> dict[str, pd.Series]:
        """Effects and slopes by name; sets of effects after the first have mean zero over their levels."""
        return {name: values.copy() for name, values in self.effects.items()}

    def predict(self, data: pd.DataFrame, scale: Scale) -> pd.Series:
        """One prediction per row of ``data``; missing where a variable is missing or a level was not estimated."""
        atoms: dict[Atom, Array] = {}
        for atom in dict.fromkeys(a for t in self.formula.terms for a in t):
            if atom.kind == "i":
                designs.column(data, atom.name, "the category")
                continue
            values = designs.numeric(data, atom.name, "the regressor")
            atoms[atom] = np.log(np.where(values > 0, values, np.nan)) if atom.kind == "log" else values
        constant = self.formula.intercept and not self.formula.effects
        X, _ = columns_of(self.formula.terms, atoms, data, self.encoding, constant=constant)
        index = X[:, self.kept] @ self.beta
        if self.offset is not None:
            index = index + designs.numeric(data, self.offset, "the offset")
        for columns in self.formula.effects:
            index = index + self._effect(columns, effect_name(columns), data)
        for slope in self.formula.slopes:
            variable = designs.numeric(data, slope[1], "the variable of a slope")
            index = index + self._effect(slope[0], slope_name(slope), data) * variable
        return pd.Series(
            np.exp(index) if self.exponential and scale == "response" else index, index=data.index, name="fit"
        )

    def _effect(self, columns: tuple[str, ...], name: str, data: pd.DataFrame) -> Array:
        keys = [designs.column(data, c, "the fixed effect") for c in columns]
        wanted = pd.MultiIndex.from_arrays(keys) if len(columns) > 1 else pd.Index(keys[0])
        return self.effects[name].reindex(wanted).to_numpy(dtype=float)


def _in_units(effects: dict[str, pd.Series], slope: str, effect: str, design: designs.Design) -> None:
    """Turn a slope in the units of its estimation into one per unit of its variable, and its effect accordingly."""
    factor = design.factors[slope]
    if isinstance(factor, Slope):
        origin, unit = factor.origin_and_unit()
        effects[slope] = effects[slope] / unit
        effects[effect] = effects[effect] - effects[slope].to_numpy() * origin


def _centred(effects: dict[str, pd.Series], formula: Formula) -> dict[str, pd.Series]:
    """Move the means of all sets of effects but the first into the first: the sum is what is identified."""
    names = [effect_name(e) for e in formula.effects]
    if len(names) < 2:
        return effects
    shift = {name: float(effects[name].mean()) for name in names[1:]}
    out = effects | {names[0]: effects[names[0]] + sum(shift.values())}
    return out | {name: effects[name] - by for name, by in shift.items()}
