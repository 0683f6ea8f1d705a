"""Prediction from a fitted index: coefficients, encodings and effects by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.columns import planned
from cyber_trade_econ.errors import BadRegressor
from cyber_trade_econ.formula import Atom, Formula, effect_name, slope_name
from cyber_trade_econ.frames import check_frame, column, numeric
from cyber_trade_econ.hdfe.factor import Slope
from cyber_trade_econ.identified import At, Dropped, Span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ import design as designs
    from cyber_trade_econ.encoding import Encoding
    from cyber_trade_econ.hdfe.factor import Array, Mask
    from cyber_trade_econ.records.estimate import Scale

_KINDS = {"string": "text", "integer": "numbers", "floating": "numbers", "mixed-integer-float": "numbers"}
_KINDS |= {
    "decimal": "numbers",
    "boolean": "truth values",
    "period": "periods",
    "date": "days",
    "datetime64": "dates",
    "datetime": "dates",
}


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
    span
        What tells of which rows the effects are identified.
    dropped
        What tells on which rows regressors that were left out do not matter; ``None`` where none was left out.
    """

    formula: Formula
    encoding: Encoding
    beta: Array
    kept: Mask
    effects: Mapping[str, pd.Series]
    offset: str | None
    exponential: bool
    span: Span
    dropped: Dropped | None

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
        span = Span.of(list(design.factors.values()))
        dropped = None if kept.all() else Dropped.of(design, kept, span.effects)
        centred = _centred(labelled, formula)
        return cls(formula, design.encoding, beta, kept, centred, offset, exponential, span, dropped)

    def fixed_effects(self) -> dict[str, pd.Series]:
        """Effects and slopes by name; sets of effects after the first have mean zero over their levels."""
        return {name: values.copy() for name, values in self.effects.items()}

    def predict(self, data: pd.DataFrame, scale: Scale) -> pd.Series:
        """One prediction per row of ``data``.

        It is missing where a variable is missing, a level was not estimated, or the sample does not determine it: where the
        sum of the effects is not identified (exporters and importers of parts of the sample that nothing joins), and where a
        regressor that was left out as collinear or separated is not what it was in the sample.
        """
        check_frame(data)
        X = self.columns(data)
        index = X[:, self.kept] @ self.beta
        if self.offset is not None:
            index = index + numeric(data, self.offset, "the offset")
        at = self._located(data)
        for where, effect in zip(at, self.effects.values(), strict=True):
            values = np.where(where.codes >= 0, effect.to_numpy(dtype=float)[where.codes], np.nan)
            index = index + (values if where.variable is None else values * where.variable)
        known = np.flatnonzero(~np.isnan(index))
        there = [where.rows(known) for where in at]
        if there:
            index[known[~self.span.holds(there)]] = np.nan
        if self.dropped is not None:
            index[known[~self.dropped.holds(X[known], there)]] = np.nan
        return pd.Series(
            np.exp(index) if self.exponential and scale == "response" else index, index=data.index, name="fit"
        )

    def columns(self, data: pd.DataFrame) -> Array:
        """Build all columns of the design, encoded as they were for the fit, shape (m, K)."""
        atoms: dict[Atom, Array] = {}
        for atom in dict.fromkeys(a for t in self.formula.terms for a in t):
            if atom.kind == "i":
                _alike(column(data, atom.name, "the category"), pd.Index(self.encoding.seen[atom.name]))
                continue
            values = numeric(data, atom.name, "the regressor")
            atoms[atom] = np.log(np.where(values > 0, values, np.nan)) if atom.kind == "log" else values
        constant = self.formula.intercept and not self.formula.effects
        return planned(self.formula.terms, atoms, data, self.encoding, constant=constant).columns().whole()

    def _located(self, data: pd.DataFrame) -> list[At]:
        """Find the level of each row in every set of effects, -1 for one not estimated, and the variables of slopes."""
        out, codes = [], {}
        for columns in self.formula.effects:
            keys = [column(data, c, "the fixed effect") for c in columns]
            levels = self.effects[effect_name(columns)].index
            for position, key in enumerate(keys):
                _alike(key, levels.get_level_values(position))
            wanted = pd.MultiIndex.from_arrays(keys) if len(columns) > 1 else pd.Index(keys[0])
            codes[columns] = levels.get_indexer(wanted)
            out.append(At(codes[columns]))
        for columns, name in self.formula.slopes:
            out.append(At(codes[columns], numeric(data, name, "the variable of a slope")))
        return out


def _alike(labels: pd.Series, levels: pd.Index) -> None:
    """Refuse text where levels were numbers, and the like: no label would be found, and every prediction missing."""
    here, there = _kind(labels), _kind(levels)
    if here and there and here != there:
        raise BadRegressor(
            f"{labels.name!r} holds labels of another type than the estimate",
            found=here,
            allowed=there,
            fix="Convert the column to the type it had in the data of the estimate.",
        )


def _kind(labels: pd.Series | pd.Index) -> str:
    """Name the kind of labels that are not missing, empty where they have none in common."""
    values = labels.dropna()
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.dtype.categories.dtype)
    kind = _KINDS.get(pd.api.types.infer_dtype(values, skipna=True), "")
    zoned = kind == "dates" and pd.DatetimeIndex(values[:1]).tz is not None
    return "dates with a time zone" if zoned else kind


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
