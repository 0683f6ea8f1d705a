"""One model, one fit: formula and data to an Estimate. The estimators' public functions are thin calls of this."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cyber_trade_econ import cores, estimable
from cyber_trade_econ import design as designs
from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.errors import ConfigError, EmptySample, FormulaError, SeparationError
from cyber_trade_econ.formula import Atom, Formula, effect_name, parse
from cyber_trade_econ.hdfe.leastsquares import names_of
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.inference.conventions import Cluster, Dyadic, SmallSample, Vcov, convention
from cyber_trade_econ.inference.covariance import absorbed_df, sandwich
from cyber_trade_econ.predictor import FittedIndex
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.factor import Array

Model = Literal["OLS", "PPML"]
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


@one_thread()
def fit(model: Model, formula: str | Formula, data: pd.DataFrame | Panel, options: Options) -> Estimate:
    """Estimate a model; see `cyber_trade_econ.ppml` and `cyber_trade_econ.ols` for the arguments."""
    parsed = formula if isinstance(formula, Formula) else parse(formula)
    panel = data if isinstance(data, Panel) else None
    frame = data.frame if isinstance(data, Panel) else data
    vcov = chosen_vcov(options.vcov, panel, model)
    rule = convention(options.ssc, model, vcov)
    check_options(options)
    build = partial(
        designs.build,
        parsed,
        frame,
        clusters=vcov.by if isinstance(vcov, Cluster) else (),
        dyad=(vcov.exporter, vcov.importer) if isinstance(vcov, Dyadic) else None,
        weights=options.weights,
        offset=options.offset,
    )
    design = build()
    if model == "PPML":
        estimable.counts(design.y, parsed.outcome.name)
    given = len(design.y)
    design = existing_sample(design, model, options, parsed)
    estimable.rows(design, parsed)
    centred, back = centred_design(design)
    stretch = _stretch(design, centred)
    core = (
        cores.by_poisson(centred, stretch, options.tol)
        if model == "PPML"
        else cores.by_least_squares(centred, stretch, intercept=parsed.intercept)
    )
    back = back[np.ix_(core.kept, core.kept)]
    beta = back @ core.beta
    collinear = names_of(~core.kept, design.names)
    if collinear and options.collinear == "error":
        # The rows that were left out are needed again only here; keeping them would double the memory of every fit.
        estimable.refuse_collinear(collinear, build(), separated=len(design.y) < given)
    names = pd.Index(names_of(core.kept, design.names), name="term")
    factors = list(design.factors.values())
    groups = list(design.groups.values()) if isinstance(vcov, Cluster) else []
    constant = INTERCEPT in design.names
    k = len(core.beta) + absorbed_df(factors, groups, rule, constant=constant)
    if model == "OLS" or rule.k_adj:
        estimable.degrees_of_freedom(len(design.y), k, parsed)
    n = len(design.y)
    sigma2 = core.sigma2 * ((n - 1 if model == "PPML" else n) / (n - k) if rule.k_adj else 1.0)
    scores = _scores(core, design.w)
    cov = sandwich(back @ core.root, scores, vcov, design.groups, rule, k, sigma2=sigma2)
    facts = {
        "outcome": str(parsed.outcome),
        "rows_given": design.given,
        "rows_used": n,
        "dropped": dict(design.dropped),
        "effects": {name: f.levels for name, f in design.factors.items()},
        **cov.notes,
        **core.facts,
        "k": k,
    }
    if collinear:
        facts["collinear"] = collinear
    if model == "OLS":
        facts |= cores.goodness(design, core, k)
    return Estimate(
        model=model,
        formula=str(parsed),
        coef=pd.Series(beta, index=names, name="coef"),
        vcov=pd.DataFrame(cov.matrix, index=names, columns=names),
        nobs=n,
        df=np.inf if model == "PPML" else min(cov.df, n - k),
        facts=facts,
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
    back = np.eye(design.X.shape[1])
    if INTERCEPT not in design.names:
        return design, back
    back[0, 1:] = -design.X[:, 1:].mean(axis=0)
    X = design.X.copy()
    X[:, 1:] += back[0, 1:]
    return replace(design, X=X), back


def _stretch(design: designs.Design, centred: designs.Design) -> Array:
    """Return how much longer each regressor was before it was centred, shape (k,)."""
    if centred is design:
        return np.ones(design.X.shape[1])
    before, after = (np.linalg.norm(d.X, axis=0) for d in (design, centred))
    return np.asarray(before / np.where(after > 0, after, 1.0))


def _scores(core: cores.Core, w: Array, at_once: int = 1 << 16) -> Array:
    """Return the score of each row times the root of the inverse information, (n, k), in the place of ``core.within``.

    The net regressors are needed no longer, and a second array of their size would often be the largest of a fit.
    """
    scores, weight = core.within, w * core.residual
    for rows in (slice(at, at + at_once) for at in range(0, len(scores), at_once)):
        scores[rows] = (scores[rows] @ core.root) * weight[rows, None]
    return scores


def chosen_vcov(vcov: Vcov | None, panel: Panel | None, model: Model) -> Vcov:
    """Return the covariance asked for, by default the one of the data; refuse what is none."""
    if vcov is None:
        return Cluster((panel.unit,)) if panel is not None else "hetero"
    if not isinstance(vcov, Cluster | Dyadic) and vcov not in ("iid", "hetero"):
        raise ConfigError(
            f"vcov of {model}", found=repr(vcov), allowed=("'iid'", "'hetero'", "cte.cluster(...)", "cte.dyadic(...)")
        )
    return vcov


def check_options(options: Options) -> None:
    """Refuse options outside their lists."""
    if options.collinear not in ("error", "drop"):
        raise ConfigError("collinear", found=repr(options.collinear), allowed=("error", "drop"))
    if options.separation != "error":
        unknown = set(options.separation) - set(SEPARATION)
        if unknown or isinstance(options.separation, str):
            raise ConfigError("separation", found=options.separation, allowed=(SEPARATION, "'error'"))
    if not 0 < options.tol <= 1e-4:
        raise ConfigError("tol", found=options.tol, allowed="a number above 0 and at most 1e-4")


def existing_sample(design: designs.Design, model: Model, options: Options, formula: Formula) -> designs.Design:
    """Drop singletons and separated rows until none is left."""
    checks: Sequence[str] = SEPARATION if options.separation == "error" else options.separation
    while True:
        factors = list(design.factors.values())
        y = design.y if model == "PPML" and "fe" in checks else None
        pruned = prune(factors, y)
        if factors:
            design = design.keep(
                pruned.keep, {"singleton": pruned.singletons, "zero in every row of an effect": pruned.zero_levels}
            )
        if not len(design.y):
            raise EmptySample(
                f"no row is left to estimate {formula}",
                found=f"{design.given} row(s) given; left out: {dict(design.dropped)}",
                fix="Use fewer or coarser fixed effects.",
            )
        if model == "OLS" or not {"simplex", "relu"} & set(checks):
            break
        bad = separated(design.y, design.X, list(design.factors.values()))
        if not bad.any():
            break
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
    """Estimate the model of ``estimate`` again, with its options and one more column of ``data``."""
    if not isinstance(estimate.options, Options) or estimate.model not in ("PPML", "OLS"):
        raise ConfigError("a second fit", found=f"an estimate of {estimate.model}", allowed=("PPML", "OLS"))
    parsed = parse(estimate.formula)
    if extra in parsed.columns:
        raise FormulaError(f"the column {extra!r} is already part of {estimate.formula}")
    model: Model = "PPML" if estimate.model == "PPML" else "OLS"
    wider = replace(parsed, terms=(*parsed.terms, (Atom("name", extra),)))
    return fit(model, wider, data, estimate.options)


__all__ = ["SEPARATION", "Model", "Options", "effect_name", "fit", "refit"]
