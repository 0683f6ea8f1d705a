"""One model, one fit: formula and data to an Estimate. The estimators' public functions are thin calls of this."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cyber_trade_econ import cores, estimable, memory
from cyber_trade_econ import design as designs
from cyber_trade_econ.encoding import INTERCEPT, Kept
from cyber_trade_econ.errors import ConfigError, EmptySample, SeparationError
from cyber_trade_econ.formula import Atom, Formula, effect_name, parse
from cyber_trade_econ.hdfe.leastsquares import names_of
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.inference.conventions import Cluster, Dyadic, SmallSample, Vcov, convention
from cyber_trade_econ.predictor import FittedIndex
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.solved import Model, Solved, covariance, facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.hdfe.samplelayout import SampleLayout
    from cyber_trade_econ.numbered import Numbered

SEPARATION = ("fe", "simplex", "relu")


@dataclass(frozen=True)
class Options:
    """Choices of a fit that are the same for every estimator.

    Parameters
    ----------
    vcov
        Covariance; ``None`` clusters by the unit of a Panel and is ``"hetero"`` for a data frame.
    ssc
        Small-sample convention.
    weights, offset
        Columns.
    collinear
        ``"error"``, or ``"drop"`` to leave collinear regressors out and list them.
    separation
        Checks for PPML, a subset of `SEPARATION`, or ``"error"`` to refuse separated samples.
    tol
        Convergence tolerance of PPML.
    """

    vcov: Vcov | None = None
    ssc: str | SmallSample | None = None
    weights: str | None = None
    offset: str | None = None
    collinear: Literal["error", "drop"] = "error"
    separation: Sequence[str] | Literal["error"] = SEPARATION
    tol: float = 1e-8

    def poisson(self, design: designs.Design, sample: SampleLayout | None = None) -> cores.Core:
        """Fit a Poisson model to a design that exists, by the path that suits it; what inference fits again it fits here.

        ``sample`` is the layout of a sample that holds all rows of the design, where it is known.
        """
        return cores.by_poisson(design, np.ones(design.k), self.tol, sample)

    def least_squares(self, design: designs.Design, sample: SampleLayout | None = None) -> cores.Core:
        """Fit a linear model to a design, its regressors net of effects included, by the path that suits it."""
        intercept = INTERCEPT in design.names
        return cores.by_least_squares(design, np.ones(design.k), intercept=intercept, sample=sample)


@one_thread()
@memory.told("the fit", memory.SMALLER)
def fit(
    model: Model,
    formula: str | Formula,
    data: pd.DataFrame | Panel,
    options: Options,
    *,
    numbered: Numbered | None = None,
) -> Estimate:
    """Estimate a model; see `cyber_trade_econ.ppml` and `cyber_trade_econ.ols` for the arguments.

    ``numbered`` holds the same rows with categories made once; several fits can share it.
    """
    parsed = formula if isinstance(formula, Formula) else parse(formula, slopes=True)
    panel = data if isinstance(data, Panel) else None
    frame = data.frame if isinstance(data, Panel) else data
    vcov = chosen_vcov(options.vcov, panel, model)
    convention(options.ssc, model, vcov)  # refuses an unknown one before any work
    check_options(options)
    build = partial(
        designs.build,
        parsed,
        frame if numbered is None else numbered.frame,
        clusters=vcov.by if isinstance(vcov, Cluster) else (),
        dyad=(vcov.exporter, vcov.importer) if isinstance(vcov, Dyadic) else None,
        weights=options.weights,
        offset=options.offset,
        numbered=numbered or Kept,
    )
    design = build()
    if model == "PPML":
        estimable.counts(design.y, parsed.outcome.name, design.offset)
    given = len(design.y)
    design = existing_sample(design, model, options, parsed, numbered)
    estimable.rows(design, parsed)
    centred, back = centred_design(design)
    stretch = _stretch(design, centred)
    sample = None if numbered is None else numbered.layout(design)
    core = (
        cores.by_poisson(centred, stretch, options.tol, sample)
        if model == "PPML"
        else cores.by_least_squares(centred, stretch, intercept=parsed.intercept, sample=sample)
    )
    if not core.kept.all() and options.collinear == "error":
        # The rows that were left out are needed again only here; keeping them would double the memory of every fit.
        collinear = names_of(~core.kept, design.names)
        estimable.refuse_collinear(collinear, build(), separated=len(design.y) < given)
    solved = Solved(model, parsed, design, core, back[np.ix_(core.kept, core.kept)])
    cov, k = covariance(solved, vcov, options.ssc)
    names = pd.Index(names_of(core.kept, design.names), name="term")
    beta = solved.back @ core.beta
    n = len(design.y)
    return Estimate(
        model=model,
        formula=str(parsed),
        coef=pd.Series(beta, index=names, name="coef"),
        vcov=pd.DataFrame(cov.matrix, index=names, columns=names),
        nobs=n,
        df=np.inf if model == "PPML" else min(cov.df, n - k),
        facts=facts(solved, cov, k, frame),
        sources=panel.sources if panel is not None else {},
        events=events_behind(panel, names),
        sample=frame.index[design.rows],
        options=replace(options, vcov=vcov),
        predictor=FittedIndex.of(parsed, design, frame, beta, core.kept, core.effects, options.offset, model == "PPML"),
    )


def centred_design(design: designs.Design) -> tuple[designs.Design, Array]:
    """Centre the regressors where there is a constant; also return the matrix that leads back to the coefficients asked for.

    A regressor far from zero is nearly collinear with the constant, which costs digits in the covariance long before it costs
    any in the coefficients.
    """
    back = np.eye(design.k)
    if INTERCEPT not in design.names:
        return design, back
    with np.errstate(invalid="ignore"):  # products that overflowed are refused by name
        back[0, 1:] = -design.X[:, 1:].mean(axis=0)
        X = design.X.copy()
        X[:, 1:] += back[0, 1:]
    return design.having(X), back


def _stretch(design: designs.Design, centred: designs.Design) -> Array:
    """Return how much longer each regressor was before it was centred, shape (k,)."""
    if centred is design:
        return np.ones(design.k)
    before, after = (np.linalg.norm(d.X, axis=0) for d in (design, centred))
    return np.asarray(before / np.where(after > 0, after, 1.0))


def chosen_vcov(vcov: Vcov | None, panel: Panel | None, model: Model) -> Vcov:
    """Return the covariance asked for, by default the one of the data; refuse what is none."""
    if vcov is None:
        return Cluster((panel.unit,)) if panel is not None else "hetero"
    if not isinstance(vcov, Cluster | Dyadic) and not (isinstance(vcov, str) and vcov in ("iid", "hetero")):
        raise ConfigError(
            f"vcov of {model}",
            found=repr(vcov),
            allowed=("'iid'", "'hetero'", "cte.cluster(...)", "cte.dyadic(...)"),
            fix="Name clusters as in cte.cluster('pair'); jackknife, conley and driscoll_kraay go to cte.with_vcov.",
        )
    return vcov


def check_options(options: Options) -> None:
    """Refuse options outside their lists."""
    if not (isinstance(options.collinear, str) and options.collinear in ("error", "drop")):
        raise ConfigError("collinear", found=repr(options.collinear), allowed=("error", "drop"))
    if not (isinstance(options.separation, str) and options.separation == "error"):
        checks = options.separation
        if isinstance(checks, str) or not isinstance(checks, Collection) or not set(SEPARATION).issuperset(checks):
            raise ConfigError("separation", found=options.separation, allowed=(SEPARATION, "'error'"))
    if not isinstance(options.tol, float) or not 0 < options.tol <= 1e-4:
        raise ConfigError("tol", found=options.tol, allowed="a number above 0 and at most 1e-4")


def existing_sample(
    design: designs.Design, model: Model, options: Options, formula: Formula, numbered: Numbered | None = None
) -> designs.Design:
    """Drop singletons and separated rows until none is left; ``numbered`` remembers what fits before have found."""
    checks: Sequence[str] = SEPARATION if options.separation == "error" else options.separation
    while True:
        factors = list(design.factors.values())
        y = design.y if model == "PPML" and "fe" in checks else None
        shared = numbered.found(design, y) if numbered is not None and factors else None
        pruned = prune(factors, y) if shared is None else shared.pruned
        if factors:
            reasons = {
                "singleton": pruned.singletons,
                "zero in every row of an effect": pruned.zero_levels,
                "separated by a slope": pruned.slopes,
            }
            design = design.keep(pruned.keep, reasons, None if shared is None else shared.anew)
        if not len(design.y):
            raise EmptySample(
                f"no row is left to estimate {formula}",
                found=f"{design.given} row(s) given; left out: {dict(design.dropped)}",
                fix="Use fewer or coarser fixed effects.",
            )
        if model == "OLS" or not {"simplex", "relu"} & set(checks) or (shared is not None and shared.clears(design)):
            break
        bad = separated(design.y, design.regressors, list(design.factors.values()))
        if not bad.any():
            if shared is not None:
                shared.cleared.append(frozenset(design.names))
            break
        numbered = None  # the sample is this model's own from here on
        design = design.keep(~bad, {"separated by regressors": int(bad.sum())})
    lost = {r: c for r, c in design.dropped.items() if r.startswith(("zero in", "separated"))}
    if lost and options.separation == "error":
        raise SeparationError(
            "the Poisson estimate does not exist for this sample",
            found=lost,
            fix="Pass separation=('fe', 'simplex', 'relu') to leave the separated rows out; they carry no information.",
        )
    return design


def events_behind(panel: Panel | None, names: pd.Index) -> dict[str, tuple[str, ...]]:
    """Ids of the events behind each coefficient: those of every exposure column that its term names."""
    if panel is None or not panel.events:
        return {}
    out: dict[str, tuple[str, ...]] = {}
    for name in names:
        parts = {p.split("::")[0].removeprefix("log(").removesuffix(")") for p in name.split(":") if p}
        ids = dict.fromkeys(i for column, ids in panel.events.items() if column in parts for i in ids)
        if ids:
            out[name] = tuple(ids)
    return out


def refit(estimate: Estimate, data: pd.DataFrame | Panel, extra: str) -> Estimate:
    """Estimate the model of ``estimate`` again, with its options and one more column of ``data``, new to the model."""
    if not isinstance(estimate.options, Options) or estimate.model not in ("PPML", "OLS"):
        raise ConfigError("a second fit", found=f"an estimate of {estimate.model}", allowed=("PPML", "OLS"))
    parsed = parse(estimate.formula, slopes=True)
    model: Model = "PPML" if estimate.model == "PPML" else "OLS"
    wider = replace(parsed, terms=(*parsed.terms, (Atom("name", extra),)))
    return fit(model, wider, data, estimate.options)


__all__ = ["SEPARATION", "Model", "Options", "effect_name", "fit", "refit"]
