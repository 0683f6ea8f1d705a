"""Multilateral resistances and trade costs recovered from the effects of a structural gravity model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, EstimationError, NotIdentified
from cyber_trade_econ.formula import effect_name
from cyber_trade_econ.frames import column
from cyber_trade_econ.gravity.fitted import Fitted, fitted
from cyber_trade_econ.inference.given import is_number, require_estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

_CELL = "number_of_the_period"
_ADDS_UP = 1e-6  # coefficients converge to about 1e-12; a gap above this is not rounding


@dataclass(frozen=True)
class Resistances:
    """Resistances by economy and period, and trade costs by row.

    Parameters
    ----------
    outward
        One row per exporter and period: ``output`` (its sales to all importers), ``power`` (resistance to the power
        1 - sigma, which needs no sigma), ``resistance``.
    inward
        One row per importer and period: ``expenditure``, ``power``, ``resistance``.
    costs
        One row per row of the fit, with its label: exporter, importer, period, ``index`` (trade cost to the power 1 - sigma),
        ``cost`` (the iceberg factor).
    facts
        ``normalisation`` in words, ``reference``, ``sigma``, how well margins and the system of resistances are met,
        combinations of exporter, importer and period without a row, rows that the fit left out, what is identified.
    """

    outward: pd.DataFrame
    inward: pd.DataFrame
    costs: pd.DataFrame
    facts: Mapping[str, Any] = field(default_factory=dict)


def resistances(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    *,
    sigma: float,
    exporter: str = "exporter",
    importer: str = "importer",
    reference: Any = None,
) -> Resistances:
    """Recover multilateral resistances and trade costs.

    Structural gravity is ``X_ij = Y_i E_j / Y x (t_ij / (O_i P_j))^(1 - sigma)``. Poisson PML with exporter and importer
    effects fits output Y_i and expenditure E_j exactly, so its effects are the model's own terms (Fally 2015), and
    outward and inward resistances O and P solve the system of Anderson and van Wincoop (2003),
    ``O_i^(1-s) = sum_j (t_ij / P_j)^(1-s) E_j / Y`` and ``P_j^(1-s) = sum_i (t_ij / O_i)^(1-s) Y_i / Y``.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.ppml` with an effect of the exporter and one of the importer, alone or each combined with
        the same further columns (``exporter^year + importer^year``). All else, pair effects included, is trade cost.
    data
        The data it was estimated on: with domestic flows, if output and expenditure are to be those of the economies.
    sigma
        Elasticity of substitution, above one.
    exporter, importer
        Columns of the two sides.
    reference
        Importer whose inward resistance is one in every period. By default, of those present in every period the one that
        spends most in all.

    Returns
    -------
    Outward resistance by exporter and period, inward by importer and period, trade cost by row of the fit. Output and
    expenditure are in units of trade; resistances are relative to the reference, costs are iceberg factors.

    Raises
    ------
    ConfigError
        For an estimate of another kind or with other effects, a sigma of one or less, or a reference that is no importer.
    FormulaError
        For a column that is not in the data.
    NotIdentified
        If the reference is absent in some period, or exporters and importers of a period fall into unconnected groups.
    EstimationError
        If fitted margins are not those of the data, as in a weighted fit.

    References
    ----------
    Fally (2015), https://doi.org/10.1016/j.jinteco.2015.05.005; Anderson and van Wincoop (2003),
    https://doi.org/10.1257/000282803321455214.
    """
    require_estimate(estimate, "multilateral resistances")
    if estimate.model != "PPML":
        raise ConfigError("multilateral resistances", found=estimate.model, allowed="PPML: only its margins add up")
    if not (is_number(sigma) and sigma > 1):
        raise ConfigError("sigma", found=repr(sigma), allowed="an elasticity of substitution above one")
    used = fitted(estimate, data, "multilateral resistances")
    for name, role in ((exporter, "the exporter"), (importer, "the importer")):
        column(used.frame, name, role)
    if reference is not None and not pd.api.types.is_hashable(reference):
        raise ConfigError("the reference importer", found=repr(reference), allowed="one importer")
    out_effect, in_effect, cells = _sides(used, exporter, importer)
    flows = used.frame[[exporter, importer, *cells]].assign(
        fitted=used.mean, observed=used.y, **{_CELL: used.frame.groupby(cells, observed=True).ngroup() if cells else 0}
    )
    effects = estimate.fixed_effects()
    flows["out_term"] = _by_row(effects[effect_name(out_effect)], used.frame[list(out_effect)])
    flows["in_term"] = _by_row(effects[effect_name(in_effect)], used.frame[list(in_effect)])
    flows["index"] = np.exp(np.log(flows["fitted"]) - flows["out_term"] - flows["in_term"])
    gap = max(_margin_gap(flows, exporter), _margin_gap(flows, importer))
    if gap > _ADDS_UP:
        raise EstimationError(
            "the fitted flows do not add up to the output and expenditure in the data",
            found=f"largest relative gap {gap:.1e}",
            fix="Estimate without weights: they put the weighted margins in the place of the margins.",
        )
    chosen = _reference(flows, importer, reference)
    _require_connected(flows, exporter, importer)
    outward, inward = _solve(flows, exporter, importer, chosen)
    residual = _system_residual(flows, outward, inward, exporter, importer)
    labels = flows[[_CELL, *cells]].drop_duplicates(_CELL).set_index(_CELL)
    root = 1 / (1 - sigma)
    costs = flows[[exporter, importer, *cells, "index"]].assign(cost=flows["index"] ** root)
    absent = flows.groupby(_CELL).agg(e=(exporter, "nunique"), i=(importer, "nunique"), n=("fitted", "size"))
    facts = {
        "normalisation": f"inward resistance of {chosen} is 1 in every period; trade cost is 1 where the index of all "
        "regressors is zero" + (" and other effects have mean zero" if len(used.formula.effects) > 2 else ""),
        "reference": chosen,
        "sigma": sigma,
        "margins_relative_gap": gap,
        "system_relative_residual": residual,
        "combinations_without_row": int((absent["e"] * absent["i"] - absent["n"]).sum()),
        "rows_left_out": int(estimate.facts["rows_given"] - estimate.nobs),
        "rows_domestic": int((flows[exporter].astype(object) == flows[importer].astype(object)).sum()),
        "identified": "changes over time within an economy or pair, not levels: pair effects hold trade costs of each side"
        if len(used.formula.effects) > 2
        else "levels, up to the normalisation",
    }
    return Resistances(_labelled(outward, labels, root), _labelled(inward, labels, root), costs, facts)


def _sides(used: Fitted, exporter: str, importer: str) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Find the exporter's and the importer's effect and the columns of the period they share."""
    found = [
        (a, b)
        for a in used.formula.effects
        for b in used.formula.effects
        if exporter in a and importer in b and set(a) - {exporter} == set(b) - {importer} and importer not in a
    ]
    if len(found) != 1:
        raise ConfigError(
            "effects for multilateral resistances",
            found=" + ".join(effect_name(e) for e in used.formula.effects) or "none",
            allowed=f"one effect of {exporter} and one of {importer}, alone or with the same further columns",
        )
    return found[0][0], found[0][1], [c for c in found[0][0] if c != exporter]


def _by_row(effect: pd.Series, keys: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    wanted = pd.MultiIndex.from_frame(keys) if keys.shape[1] > 1 else pd.Index(keys.iloc[:, 0])
    return effect.reindex(wanted).to_numpy(dtype=float)


def _margin_gap(flows: pd.DataFrame, side: str) -> float:
    sums = flows.groupby([_CELL, side], observed=True)[["fitted", "observed"]].sum()
    return float((sums["fitted"] / sums["observed"] - 1).abs().max())


def _reference(flows: pd.DataFrame, importer: str, asked: Any) -> Any:
    """Choose the importer whose inward resistance is one."""
    by = flows.groupby([importer, _CELL], observed=True)["fitted"].sum()
    present = by.groupby(level=0, observed=True).size() == flows[_CELL].nunique()
    if asked is not None and asked not in present.index:
        raise ConfigError("the reference importer", found=repr(asked), allowed=list(present.index))
    if not present.any() or (asked is not None and not present[asked]):
        raise NotIdentified(
            "the reference importer must be there in every period",
            found=f"{asked if asked is not None else 'no importer'} in all of {flows[_CELL].nunique()} period(s)",
            fix="Name another, or estimate on the periods in which one importer is present throughout.",
        )
    return asked if asked is not None else by.groupby(level=0, observed=True).sum()[present].idxmax()


def _require_connected(flows: pd.DataFrame, exporter: str, importer: str) -> None:
    """One normalisation per period fixes all effects only where trade joins all its economies."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a = flows.groupby([_CELL, exporter], observed=True).ngroup().to_numpy()
    b = flows.groupby([_CELL, importer], observed=True).ngroup().to_numpy() + a.max() + 1
    size = int(b.max()) + 1
    groups = connected_components(coo_matrix((np.ones(len(a)), (a, b)), (size, size)), directed=False)[0]
    if groups > flows[_CELL].nunique():
        raise NotIdentified(
            "resistances of economies that do not trade with each other have no common scale",
            found=f"{groups} unconnected groups in {flows[_CELL].nunique()} period(s)",
        )


def _solve(flows: pd.DataFrame, exporter: str, importer: str, reference: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn effects into resistances to the power 1 - sigma."""
    outward = flows.groupby([_CELL, exporter], observed=True).agg(output=("fitted", "sum"), term=("out_term", "first"))
    inward = flows.groupby([_CELL, importer], observed=True).agg(
        expenditure=("fitted", "sum"), term=("in_term", "first")
    )
    world = flows.groupby(_CELL)["fitted"].sum()
    at = inward.xs(reference, level=importer)
    scale = np.exp(at["term"]) / at["expenditure"]
    inward["power"] = inward["expenditure"] * np.exp(-inward["term"]) * scale.reindex(inward.index, level=_CELL)
    outward["power"] = outward["output"] * np.exp(-outward["term"])
    outward["power"] /= (world * scale).reindex(outward.index, level=_CELL)
    return outward.drop(columns="term").reset_index(), inward.drop(columns="term").reset_index()


def _system_residual(
    flows: pd.DataFrame, outward: pd.DataFrame, inward: pd.DataFrame, exporter: str, importer: str
) -> float:
    """Largest relative gap in the two sets of equations of Anderson and van Wincoop."""
    rows = flows[[_CELL, exporter, importer, "index"]]
    rows = rows.merge(outward, on=[_CELL, exporter]).merge(inward, on=[_CELL, importer], suffixes=("_o", "_i"))
    world = rows[_CELL].map(outward.groupby(_CELL)["output"].sum())
    from_importers = rows["index"] * rows["expenditure"] / rows["power_i"] / world
    from_exporters = rows["index"] * rows["output"] / rows["power_o"] / world
    gaps = [
        (terms.groupby([rows[_CELL], rows[side]], observed=True).sum() / table.set_index([_CELL, side])["power"] - 1)
        for terms, side, table in ((from_importers, exporter, outward), (from_exporters, importer, inward))
    ]
    return float(max(g.abs().max() for g in gaps))


def _labelled(table: pd.DataFrame, labels: pd.DataFrame, root: float) -> pd.DataFrame:
    """Put the columns of the period in the place of its number and add the resistance itself."""
    wide = table.join(labels, on=_CELL).drop(columns=_CELL)
    front = [wide.columns[0], *labels.columns]
    rest = [c for c in wide.columns if c not in front]
    return wide[[*front, *rest]].assign(resistance=wide["power"] ** root)
