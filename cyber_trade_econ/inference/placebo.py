"""Randomisation inference: what would be estimated had the exposure fallen on others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from cyber_trade_econ import design as designs
from cyber_trade_econ import frames
from cyber_trade_econ.errors import ConfigError, NotIdentified
from cyber_trade_econ.formula import Formula, parse
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.inference.bootstrap import Drawn, counted, solved
from cyber_trade_econ.inference.carried import carried, check_drawing, generator
from cyber_trade_econ.inference.linearised import centred, choices, foreign, frame_of
from cyber_trade_econ.inference.refit import Refit
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.redesign import naming, regressors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from cyber_trade_econ.hdfe.factor import Array, Codes, Mask
    from cyber_trade_econ.records.estimate import Estimate

_TIE = 1e-9  # difference, relative and absolute, up to which two coefficients are the same number
_OFF = 1e-3  # standard errors between estimate and fit above which data and estimate do not belong together


class Draw(Protocol):
    """A placebo assignment."""

    def __call__(self, rng: np.random.Generator, frame: pd.DataFrame, /) -> Array:
        """Return one value of the column per row of ``frame``."""
        ...


@dataclass(frozen=True)
class Placebo:
    """A randomisation test.

    Parameters
    ----------
    column
        Column that was assigned at random.
    p_value
        By term that the column enters: the share of assignments, the true one among them, whose coefficient is at least as
        far from zero as the estimate. Exact for the sharp null hypothesis of no effect on anybody, if exposure could as well
        have fallen as it was drawn.
    estimate
        Coefficients of these terms.
    draws
        Placebo coefficients by draw and term; a row is missing where the draw has no estimate.
    facts
        As for `Bootstrap`; with the exchange of paths also ``units``, ``exposed`` and ``exposed_fixed``: exposed units that
        keep their own values, because no other unit is observed in the same periods.
    """

    column: str
    p_value: pd.Series
    estimate: pd.Series
    draws: pd.DataFrame
    facts: Mapping[str, Any]


@one_thread()
def placebo(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    column: str,
    *,
    draw: Draw | None = None,
    unit: str | None = None,
    time: str | None = None,
    draws: int = 999,
    seed: int = 0,
    executor: Executor | None = None,
) -> Placebo:
    """Estimate again with an exposure column assigned at random.

    Parameters
    ----------
    estimate, data
        An estimate of `cyber_trade_econ.ols` or `cyber_trade_econ.ppml` and the data it was made on.
    column
        Numeric column of the formula, as it is, in a logarithm or in products.
    draw
        ``draw(rng, frame)`` returns the values of the column on the rows of ``frame``, those of the data without missing
        values; for an executor of processes it must be picklable. By default units exchange their whole paths, each with
        one that is observed in the same periods.
    unit, time
        Columns for that default; known for a Panel.
    draws, seed, executor
        As for `cyber_trade_econ.bootstrap`.

    Returns
    -------
    P-values and estimates of the terms that the column enters, shape (k,), placebo coefficients (B, k), and what became of
    the draws.

    Raises
    ------
    ConfigError
        If the column enters no coefficient, unit and time are missing, given beside ``draw`` or not one row each, a draw is
        not one value per row, or the estimate is of another kind or of other data.
    FormulaError
        For a column that is not in the data.
    BadRegressor
        If a draw is not a finite number somewhere.
    NotIdentified
        If most exposed units cannot exchange their paths, or fewer than half of the draws have an estimate.

    References
    ----------
    Fisher (1935); Young (2019), https://doi.org/10.1093/qje/qjy029.
    """
    check_drawing("placebo", draws=draws, seed=seed, executor=executor)
    problem, facts = _problem(estimate, data, column, draw, *_clock(data, draw, unit, time))
    found = carried(partial(_drawn, problem, seed), draws, executor)
    terms = estimate.coef.index[problem.touched]
    frame = pd.DataFrame(np.array([d.beta[problem.touched] for d in found]), columns=terms)
    frame.index.name = "draw"
    facts |= {"seed": seed, **counted(found, "placebo draw")}
    true = estimate.coef[terms]
    there = frame.dropna()
    beyond = (there.abs() >= true.abs() * (1 - _TIE) - _TIE * frame.abs().max()).sum()
    return Placebo(column, ((1 + beyond) / (1 + len(there))).rename("p_value"), true, frame, facts)


@dataclass(frozen=True)
class _Problem:
    """What every draw shares.

    Parameters
    ----------
    formula, column, draw
        What is drawn and where it enters.
    frame
        Rows without missing values.
    design
        These rows without singletons and effects whose outcomes are all zero, which do not depend on the column; for PPML the
        offset holds what the other regressors and the effects contribute, so that each fit starts near its solution.
    rows
        Positions in ``frame`` of the rows of the design.
    kept, touched
        Regressors that are not collinear, (K,); of these, those that the column enters, (k,).
    solver, exponential
        Fits with the options of the estimate, and whether it is PPML.
    """

    formula: Formula
    column: str
    draw: Draw
    frame: pd.DataFrame
    design: designs.Design
    rows: Codes
    kept: Mask
    touched: Mask
    solver: Refit
    exponential: bool

    def fitted(self, values: Array) -> Drawn:
        """Fit with other values of the column."""
        X = regressors(self.formula, self.frame.assign(**{self.column: values}), self.design.encoding)
        design, _ = centred(self.design.having(X[self.rows]), self.kept)  # a constant takes up the centring alone
        return solved(self.solver, design, exponential=self.exponential)


def _problem(
    estimate: Estimate, data: pd.DataFrame | Panel, column: str, draw: Draw | None, unit: str, time: str
) -> tuple[_Problem, dict[str, Any]]:
    options, formula, whole = choices(estimate), parse(estimate.formula, slopes=True), frame_of(data)
    exponential = estimate.model == "PPML"
    design = designs.build(formula, whole, weights=options.weights, offset=options.offset)
    kept = np.array([name not in estimate.facts.get("collinear", ()) for name in design.names], dtype=bool)
    touched = naming(formula, design.encoding, column)[kept]
    if not touched.any() or len(touched) != len(estimate.coef):
        raise ConfigError("the column of a placebo test", found=repr(column), allowed="a regressor with a coefficient")
    used = (
        list(whole.columns) if draw is not None else [c for c in whole.columns if c in {*formula.columns, unit, time}]
    )
    frame, given, facts = whole[used].iloc[design.rows], design.rows, dict[str, Any]()
    if draw is None:
        draw, facts = _exchange(frame, column, unit, time)
    if design.factors:
        design = design.keep(prune(list(design.factors.values()), design.y if exponential else None).keep, {})
    index = estimate.predict(whole.iloc[design.rows], "link").to_numpy() if exponential else np.full(1, np.nan)
    if not np.isnan(index).any():
        design = replace(design, offset=index - design.X[:, kept][:, touched] @ estimate.coef.to_numpy()[touched])
    rows = np.searchsorted(given, design.rows)
    solver = Refit.of(options, design)
    problem = _Problem(formula, column, draw, frame, design, rows, kept, touched, solver, exponential)
    true = problem.fitted(frame[column].to_numpy())
    off = np.abs(true.beta[touched] - estimate.coef.to_numpy()[touched]) / estimate.se.to_numpy()[touched]
    if true.lost or not (off < _OFF).all():
        raise foreign(true.lost or f"coefficients {off.max():.1e} standard errors apart")
    return problem, facts


def _drawn(problem: _Problem, seed: int, number: int) -> Drawn:
    values = np.asarray(problem.draw(generator(seed, number), problem.frame))
    if values.shape != (len(problem.frame),):
        raise ConfigError(
            "the values of a placebo draw",
            found=f"shape {values.shape}",
            allowed=f"one per row, ({len(problem.frame)},)",
        )
    return problem.fitted(values)


def _clock(data: pd.DataFrame | Panel, draw: Draw | None, unit: str | None, time: str | None) -> tuple[str, str]:
    """Return the columns of unit and time that the default needs."""
    if draw is not None and not callable(draw):
        raise ConfigError("placebo(draw=...)", found=repr(draw), allowed="a function draw(rng, frame), or None")
    for name, column in (("unit", unit), ("time", time)):
        if column is not None and not isinstance(column, str):
            raise ConfigError(f"placebo({name}=...)", found=repr(column), allowed="the name of a column")
    if draw is not None:
        if unit is not None or time is not None:
            raise ConfigError("placebo()", found="draw= and unit= or time=", allowed="draw=, or unit= and time=")
        return "", ""
    if isinstance(data, Panel):
        return unit or data.unit, time or data.time
    if unit is None or time is None:
        raise ConfigError(
            "placebo()", found="neither draw= nor both unit= and time=", allowed="a Panel, or one of them"
        )
    return unit, time


@dataclass(frozen=True)
class Exchange:
    """Units exchange the paths of a column; each block holds rows by unit and period, (units, periods)."""

    column: str
    blocks: tuple[Codes, ...]

    def __call__(self, rng: np.random.Generator, frame: pd.DataFrame, /) -> Array:
        """Return the values of the column after the exchange."""
        values = frame[self.column].to_numpy()
        out = values.copy()
        for block in self.blocks:
            out[block] = values[block[rng.permutation(len(block))]]
        return np.asarray(out)


def _exchange(frame: pd.DataFrame, column: str, unit: str, time: str) -> tuple[Exchange, dict[str, Any]]:
    """Group units by the periods in which they are observed."""
    units, _ = pd.factorize(frames.column(frame, unit, "the unit"), sort=True)
    periods, _ = pd.factorize(frames.column(frame, time, "the period"), sort=True)
    if (units < 0).any() or (periods < 0).any() or frame.duplicated([unit, time]).any():
        raise ConfigError(
            "the unit and time of a placebo test", found=f"{unit!r}, {time!r}", allowed="one row per unit and period"
        )
    order = np.lexsort((periods, units))
    paths = np.split(order, np.flatnonzero(np.diff(units[order])) + 1)
    alike: dict[bytes, list[Codes]] = {}
    for rows in paths:
        alike.setdefault(periods[rows].tobytes(), []).append(rows)
    values = frame[column].to_numpy()
    exposed = [group for group in alike.values() for rows in group if values[rows].any()]
    fixed = sum(len(group) < 2 for group in exposed)
    if 2 * fixed >= len(exposed):
        raise NotIdentified(
            f"most units that {column!r} is not zero for cannot exchange their paths with others",
            found=f"{fixed} of {len(exposed)}; {len(paths)} units are observed in {len(alike)} different sets of periods",
            fix="Pass draw=, a function that assigns the column, or a sample in which units are observed alike.",
        )
    facts = {"units": len(paths), "exposed": len(exposed), "exposed_fixed": fixed}
    return Exchange(column, tuple(np.stack(group) for group in alike.values() if len(group) > 1)), facts
