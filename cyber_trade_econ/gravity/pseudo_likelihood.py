"""What the estimators beside PPML share: from formula and data to a sample, and from a fit to an Estimate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ import design as designs
from cyber_trade_econ import estimable
from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.fit import (
    Options,
    centred_design,
    check_options,
    chosen_vcov,
    events_behind,
    existing_sample,
)
from cyber_trade_econ.formula import Formula, parse
from cyber_trade_econ.hdfe import pml
from cyber_trade_econ.hdfe.leastsquares import names_of
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.inference.conventions import Cluster, Dyadic, SmallSample, Vcov, convention
from cyber_trade_econ.inference.covariance import absorbed_df, degrees_of_freedom, sandwich
from cyber_trade_econ.inference.few_clusters import counted_only
from cyber_trade_econ.predictor import FittedIndex
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cyber_trade_econ.hdfe.factor import Array, Mask


@dataclass(frozen=True)
class Sample:
    """A model on its estimation sample.

    Parameters
    ----------
    model, formula, options
        As asked for.
    frame, panel
        The data, and the Panel they came in, if any.
    vcov, rule
        Covariance and small-sample convention, resolved.
    full, design
        All rows without missing values, and those for which an estimate can exist.
    centred, back, stretch
        The design with centred regressors, the matrix that leads back, and how much longer each column was before.
    """

    model: str
    formula: Formula
    options: Options
    frame: pd.DataFrame
    panel: Panel | None
    vcov: Vcov
    rule: SmallSample
    full: designs.Design
    design: designs.Design
    centred: designs.Design
    back: Array
    stretch: Array

    def fit(self, family: pml.Family, start: Array | None = None) -> pml.PmlFit:
        """Maximise the pseudo likelihood of ``family`` on the sample."""
        d = self.centred
        return pml.fit(
            family,
            d.y,
            d.X,
            list(d.factors.values()),
            d.w,
            d.offset,
            stretch=self.stretch,
            tol=self.options.tol,
            start=start,
            observed=self.vcov != "iid",
        )


def sample(model: str, formula: str, data: pd.DataFrame | Panel, options: Options, *, iid: bool = True) -> Sample:
    """Look up, check and prune; see `looked_up` and `existing`."""
    return existing(looked_up(model, parse(formula), data, options, iid=iid))


def looked_up(
    model: str, formula: Formula, data: pd.DataFrame | Panel, options: Options, *, iid: bool = True
) -> Sample:
    """Look the formula up in the data and check outcome and options.

    Parameters
    ----------
    iid
        Whether the model has an information matrix to fall back on.
    """
    panel = data if isinstance(data, Panel) else None
    frame = data.frame if isinstance(data, Panel) else data
    vcov = chosen_vcov(options.vcov, panel, "PPML")
    if vcov == "iid" and not iid:
        raise ConfigError(
            f"vcov of {model}", found="'iid'", allowed=("'hetero'", "cte.cluster(...)", "cte.dyadic(...)")
        )
    check_options(options)
    full = designs.build(
        formula,
        frame,
        clusters=vcov.by if isinstance(vcov, Cluster) else (),
        dyad=(vcov.exporter, vcov.importer) if isinstance(vcov, Dyadic) else None,
        weights=options.weights,
        offset=options.offset,
    )
    estimable.counts(full.y, formula.outcome.name, full.offset)
    rule = convention(options.ssc, "PPML", vcov)
    return Sample(model, formula, options, frame, panel, vcov, rule, full, *_three(full))


def existing(sample: Sample) -> Sample:
    """Leave out singletons and the rows for which PPML has no estimate, and require more rows than coefficients."""
    design = existing_sample(sample.design, "PPML", sample.options, sample.formula)
    estimable.rows(design, sample.formula)
    return on(design, sample)


def on(design: designs.Design, sample: Sample) -> Sample:
    """Return ``sample`` with another design."""
    design, centred, back, stretch = _three(design)
    return replace(sample, design=design, centred=centred, back=back, stretch=stretch)


def _three(design: designs.Design) -> tuple[designs.Design, designs.Design, Array, Array]:
    centred, back = centred_design(design)
    before, after = (np.linalg.norm(d.X, axis=0) for d in (design, centred))
    return design, centred, back, before / np.where(after > 0, after, 1.0)


@one_thread()
def estimate(
    sample: Sample,
    beta: Array,
    kept: Mask,
    root: Array,
    scores: Array,
    effects: tuple[Array, ...],
    *,
    facts: Mapping[str, Any],
    sigma2: float = 1.0,
    predicts: bool = True,
) -> Estimate:
    """Label a fit.

    Parameters
    ----------
    beta, kept, root, effects
        As in `cyber_trade_econ.hdfe.pml.PmlFit`, for the centred regressors.
    scores
        Score of each row, effects concentrated out, shape (n, k).
    facts
        What the estimator adds to the facts.
    sigma2
        Dispersion, used by ``vcov="iid"`` alone.
    predicts
        Whether the columns of the design can be built for other rows.
    """
    design, full, parsed = sample.design, sample.full, sample.formula
    back = sample.back[np.ix_(kept, kept)]
    beta = back @ beta
    collinear = names_of(~kept, design.names)
    if collinear and sample.options.collinear == "error":
        estimable.refuse_collinear(collinear, full, separated=len(design.y) < len(full.y))
    names = pd.Index(names_of(kept, design.names), name="term")
    factors = list(design.factors.values())
    groups = list(design.groups.values()) if isinstance(sample.vcov, Cluster) else []
    k = len(beta) + absorbed_df(factors, groups, sample.rule, constant=INTERCEPT in design.names)
    n = len(design.y)
    if sample.rule.k_adj:
        degrees_of_freedom(n, k, parsed)
    cov = sandwich(back @ root, scores @ root, sample.vcov, design.groups, sample.rule, k, sigma2=sigma2)
    told = {
        "outcome": str(parsed.outcome),
        "rows_given": full.given,
        "rows_used": n,
        "dropped": dict(design.dropped),
        "effects": {name: f.levels for name, f in design.factors.items()},
        **cov.notes,
        **counted_only(cov.clusters),
        "zeros": int((design.y == 0).sum()),
        "converged": True,
        "tolerance": sample.options.tol,
        **facts,
        "k": k,
    }
    if collinear:
        told["collinear"] = collinear
    predictor = (
        FittedIndex.of(parsed, design, sample.frame, beta, kept, effects, sample.options.offset, True)
        if predicts
        else None
    )
    return Estimate(
        model=sample.model,
        formula=str(parsed),
        coef=pd.Series(beta, index=names, name="coef"),
        vcov=pd.DataFrame(cov.matrix, index=names, columns=names),
        nobs=n,
        facts=told,
        sources=sample.panel.sources if sample.panel is not None else {},
        events=events_behind(sample.panel, names),
        sample=sample.frame.index[design.rows],
        options=replace(sample.options, vcov=sample.vcov),
        predictor=predictor,
    )
