"""The weighted regression that a fit ends with, made again from an Estimate and its data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from cyber_trade_econ import design as designs
from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.formula import parse
from cyber_trade_econ.hdfe.factor import Slope, levels_of
from cyber_trade_econ.inference.given import require_estimate
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cyber_trade_econ.hdfe.factor import Array, Effect, Mask
    from cyber_trade_econ.hdfe.samplelayout import SampleLayout
    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate

_SMALL = 1e-6  # share of the outcomes of a level that its residuals may add up to
_ROUNDING = 1e-10  # of the length of the outcome
_OFF = 1e-3  # sums of scores, in standard deviations, above which data and estimate do not belong together


class Solution(Protocol):
    """What is read from a model that was fitted again; arrays as in `Linearised`."""

    @property
    def beta(self) -> Array:
        """Coefficients of the columns kept, (k,)."""
        ...

    @property
    def kept(self) -> Mask:
        """Columns kept, (K,)."""
        ...

    @property
    def root(self) -> Array:
        """Root of the inverse information, (k, k)."""
        ...

    @property
    def within(self) -> Array:
        """Columns kept net of the effects, (n, k)."""
        ...

    @property
    def residual(self) -> Array:
        """Outcome less fit, (n,)."""
        ...


class Choices(Protocol):
    """What is read from the options of a fit; with them comes the solver, which takes the path that suits a design."""

    vcov: Vcov
    ssc: str | SmallSample | None
    weights: str | None
    offset: str | None

    def poisson(self, design: designs.Design, sample: SampleLayout | None = None) -> Solution:
        """Fit a Poisson model; ``sample`` is the layout of a sample that holds all rows of the design, where it is known."""
        ...

    def least_squares(self, design: designs.Design, sample: SampleLayout | None = None) -> Solution:
        """Fit a linear model; ``sample`` is as for `poisson`."""
        ...


@dataclass(frozen=True)
class Linearised:
    """A least-squares problem whose solution, at the estimate, is no change.

    Parameters
    ----------
    design
        The estimation sample, with the regressors that were kept; centred where there is a constant.
    back
        Matrix that leads from the coefficients of the centred regressors to those asked for, shape (k, k).
    within
        Regressors net of the effects, shape (n, k).
    weight, residual
        Weights (n,) and working residuals (n,): w and y - fit for OLS, w mu and (y - mu) / mu for PPML.
    root
        Root of the inverse of ``within' W within``, shape (k, k).
    solver
        Options of the fit, which know how to solve such problems.
    """

    design: designs.Design
    back: Array
    within: Array
    weight: Array
    residual: Array
    root: Array
    solver: Choices

    @property
    def started(self) -> designs.Design:
        """The design of a Poisson model with the fitted index as its offset: its coefficients are changes of the estimate.

        A model that differs little from the one fitted starts at its solution in this way, whatever path solves it.
        """
        return replace(self.design, offset=np.log(self.weight / self.design.w))

    @property
    def basis(self) -> Array:
        """Regressors net of the effects, orthonormal in the weights, shape (n, k)."""
        return self.within @ self.root

    @property
    def bread(self) -> Array:
        """Root of the inverse information matrix of the coefficients asked for, shape (k, k)."""
        return self.back @ self.root

    @property
    def scores(self) -> Array:
        """Score of each row in the coordinates of `basis`, shape (n, k)."""
        return self.basis * (self.weight * self.residual)[:, None]


def choices(estimate: Estimate) -> Choices:
    """Return the options of an estimate of `cyber_trade_econ.ols` or `cyber_trade_econ.ppml`; refuse all others."""
    require_estimate(estimate, "inference from scores")
    known = all(hasattr(estimate.options, name) for name in ("vcov", "ssc", "weights", "offset", "poisson"))
    if estimate.model not in ("PPML", "OLS") or not known or estimate.sample is None:
        raise ConfigError(
            "inference from scores",
            found=f"an estimate of {estimate.model}",
            allowed=("PPML", "OLS"),
            fix="Pass vcov to the estimator itself, or use bootstrap, which fits any of them again.",
        )
    return cast("Choices", estimate.options)


def frame_of(data: pd.DataFrame | Panel) -> pd.DataFrame:
    """Return the frame of a Panel, or the frame itself."""
    return data.frame if isinstance(data, Panel) else data


def linearised(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    *,
    clusters: Iterable[str] = (),
    dyad: tuple[str, str] | None = None,
) -> Linearised:
    """Make the last regression of ``estimate`` again.

    Parameters
    ----------
    estimate, data
        An estimate of PPML or OLS and the data it was made on.
    clusters, dyad
        Columns to number as clusters, or as the two sides of a dyad; they become ``design.groups``.

    Raises
    ------
    ConfigError
        For an estimate of another kind, or if the data are not those of the estimate.
    """
    options = choices(estimate)
    frame = frame_of(data)
    full = designs.build(
        parse(estimate.formula, slopes=True),
        frame,
        clusters=clusters,
        dyad=dyad,
        weights=options.weights,
        offset=options.offset,
    )
    design = full.keep(_used(estimate, frame, full), {})
    index = estimate.predict(frame.iloc[design.rows], "link").to_numpy()
    collinear = estimate.facts.get("collinear", ())
    kept = np.array([name not in collinear for name in design.names], dtype=bool)
    if kept.sum() != len(estimate.coef) or np.isnan(index).any():
        raise foreign(f"{int(kept.sum())} regressors, {int(np.isnan(index).sum())} rows without a prediction")
    design, back = centred(design, kept)
    weight, residual = working(design.y, index, design.w, estimate.model)
    out = at(design, back, weight, residual, options)
    drift = np.abs(out.scores.sum(axis=0))
    scale = np.sqrt((out.scores**2).sum(axis=0)) + 1e-9 * np.sqrt(np.sum(design.w * design.y**2))
    if not (np.isfinite(scale) & (drift <= _OFF * scale)).all():
        raise foreign("scores that do not sum to zero at the coefficients")
    if any(_unbalanced(f, weight * residual, design.w * design.y) for f in design.factors.values()):
        raise foreign("residuals that do not sum to zero within a level of the effects")
    return out


def _unbalanced(effect: Effect, pull: Array, outcome: Array) -> bool:
    """Whether weighted residuals (n,) of some level add up to more than an estimate leaves, with outcomes (n,) for scale."""
    level, along = levels_of(effect), effect.scaled() if isinstance(effect, Slope) else 1.0
    off, spread = np.abs(level.sums(pull * along)), np.sqrt(level.sums(pull**2))
    rounding = _ROUNDING * float(np.sqrt(outcome @ outcome))  # what is left where a level is fitted exactly
    return bool((off > _OFF * spread + _SMALL * level.sums(np.abs(outcome)) + rounding).any())


def working(y: Array, index: Array, w: Array, model: str) -> tuple[Array, Array]:
    """Return the working weights and residuals, each (n,), at a linear index (n,), offset included."""
    if model == "OLS":
        return w, y - index
    mu = np.exp(index)
    return w * mu, (y - mu) / mu


def at(design: designs.Design, back: Array, weight: Array, residual: Array, solver: Choices) -> Linearised:
    """Absorb the effects from the regressors of ``design`` at the given weights."""
    net = solver.least_squares(weighted(design, weight, residual))
    if not net.kept.all():
        raise foreign(f"{int((~net.kept).sum())} regressors that the effects and the others reproduce")
    return Linearised(design, back, net.within, weight, residual, net.root, solver)


def weighted(design: designs.Design, weight: Array, residual: Array) -> designs.Design:
    """Return the least-squares problem with the given weights and outcomes."""
    return replace(design, y=residual, w=weight, offset=np.zeros(len(weight)))


def _used(estimate: Estimate, frame: pd.DataFrame, full: designs.Design) -> Mask:
    labels = frame.index[full.rows]
    if len(labels) == estimate.nobs and labels.equals(estimate.sample):
        return np.ones(len(labels), dtype=bool)
    if not frame.index.is_unique:
        raise ConfigError(
            "the rows of the estimation sample",
            found="an index with repeated labels",
            fix="Call reset_index(drop=True) before the fit and hand over the same frame.",
        )
    sample = pd.Index([]) if estimate.sample is None else estimate.sample
    if sample.nlevels != labels.nlevels:
        raise foreign(f"row labels on {labels.nlevels} level(s) in the place of {sample.nlevels}")
    used = np.asarray(labels.isin(sample))
    if used.sum() != estimate.nobs:
        raise foreign(f"{int(used.sum())} of its {estimate.nobs} rows")
    return used


def centred(design: designs.Design, kept: Mask) -> tuple[designs.Design, Array]:
    """Keep some regressors, centred where there is a constant, and return what leads back to the coefficients asked for."""
    names = tuple(n for n, flag in zip(design.names, kept, strict=True) if flag)
    X = design.X[:, kept]
    back = np.eye(X.shape[1])
    if INTERCEPT in names:
        back[0, 1:] = -X[:, 1:].mean(axis=0)
        X[:, 1:] += back[0, 1:]
    return design.having(X, names), back


def foreign(found: str) -> ConfigError:
    """Return the error of data that are not those of the estimate."""
    return ConfigError(
        "the data of the estimate",
        found=found,
        allowed="the data frame or Panel it was estimated on, unchanged",
        fix="Hand over the same data, or estimate again.",
    )
