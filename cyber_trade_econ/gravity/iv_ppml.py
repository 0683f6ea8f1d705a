"""Poisson pseudo maximum likelihood with one endogenous regressor, by a control function."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import stats

from cyber_trade_econ import estimable
from cyber_trade_econ.encoding import INTERCEPT, Encoding
from cyber_trade_econ.errors import ConfigError, FormulaError, NotIdentified
from cyber_trade_econ.fit import SEPARATION, Options
from cyber_trade_econ.formula import Formula, parse
from cyber_trade_econ.gravity.pseudo_likelihood import Sample, estimate, existing, looked_up, on
from cyber_trade_econ.hdfe import poisson
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.leastsquares import (
    COLLINEAR,
    LeastSquares,
    independent,
    names_of,
    solve,
    weighted_lengths,
)
from cyber_trade_econ.hdfe.metric import Absorber
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.inference.conventions import Cluster, convention
from cyber_trade_econ.inference.covariance import absorbed_df, degrees_of_freedom, sandwich
from cyber_trade_econ.inference.given import is_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.inference.conventions import SmallSample, Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

WEAK = 10.0
"""First-stage F below which instruments count as weak (Staiger and Stock 1997, https://doi.org/10.2307/2171753)."""

CAVEAT = (
    "Consistent only if the endogenous regressor is linear in instruments, exogenous regressors and effects, and the mean of "
    "the flow depends on its unobserved part through exp(rho * residual): valid instruments alone do not suffice, as they do "
    "in a linear model. The effects of the first stage are estimated too: with few rows per effect the residual carries "
    "their error, the correction is incomplete and the intervals are too short."
)
BINARY = (
    "The endogenous regressor takes two values only (an agreement, a sanction): its residual cannot be independent of the "
    "instruments, so the control function is an approximation."
)


@one_thread()
def iv_ppml(
    formula: str,
    data: pd.DataFrame | Panel,
    *,
    endogenous: str,
    instruments: str,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
    separation: Sequence[str] | Literal["error"] = SEPARATION,
    min_f: float = WEAK,
    tol: float = 1e-8,
) -> Estimate:
    """Estimate ``E[y] = exp(x'b + rho v + effects)`` with ``v`` the first-stage residual of an endogenous regressor.

    The first stage regresses the endogenous regressor on the instruments, all other regressors and the same effects by least
    squares, on the rows of the second. Its residual enters PPML; the covariance is that of both stages stacked.

    Parameters
    ----------
    formula
        ``"trade ~ tariff + rta | exporter^year + importer^year + pair"``, the endogenous regressor included.
    data, ssc, weights, offset, separation, tol
        As in `cyber_trade_econ.ppml`. A collinear regressor is an error; an instrument that is collinear is left out.
    endogenous
        The term that is endogenous, a column or its logarithm, which no other term may use.
    instruments
        Excluded instruments in the same grammar, such as ``"log(distance_shock) + i(region):year"``.
    vcov
        ``"hetero"``, `cluster` or `dyadic`, for both stages; by default as in `cyber_trade_econ.ppml`.
    min_f
        Smallest first-stage F that is accepted. Lower it to see an estimate whose intervals cannot be trusted.

    Returns
    -------
    Estimate; the coefficient ``residual(<endogenous>)`` is rho, and its test is one of exogeneity. ``facts`` hold the first
    stage (F on the excluded instruments with the covariance asked for, degrees of freedom, coefficients) and ``caveats``.
    It does not predict: that would need the residual of rows not seen.

    Raises
    ------
    NotIdentified
        For instruments that are weak or that the effects and the other regressors absorb, with the F statistic.
    FormulaError, BadOutcome, BadRegressor, EmptySample, Collinear, SeparationError, FewClusters, NotConverged, ConfigError

    Notes
    -----
    With ``s`` the scores of PPML, ``u = y - mu``, ``x`` the regressors net of effects and ``P`` the first stage's projection,
    row ``j`` contributes ``s_j - w_j v_j P(e u - x mu rho)_j``, where ``e`` picks the residual's coefficient.

    In simulated worlds of 25 economies over 4 years intervals of 95 % cover in 92 % of 400 draws. The first stage is not the
    reason: PPML that is told the unobserved part covers in 91 % of the same draws. Clustered errors are too small where there
    are many effects and a few flows weigh much; the deficit shrinks with the number of economies, and
    `cyber_trade_econ.gravity.iv_bootstrap.iv_bootstrap`, which repeats both stages, makes it good.

    References
    ----------
    Lin and Wooldridge (2019), https://doi.org/10.1016/B978-0-12-814367-4.00002-2; Newey and McFadden (1994), section 6,
    https://doi.org/10.1016/S1573-4412(05)80005-4.
    """
    if not is_number(min_f) or min_f < 0:
        raise ConfigError("min_f", found=repr(min_f), allowed="a number that is not negative")
    for name, text in (("endogenous", endogenous), ("instruments", instruments)):
        if not isinstance(text, str):
            raise FormulaError(f"{name} must be named by text", found=type(text).__name__)
    second, joint = _formulas(formula, endogenous, instruments)
    options = Options(vcov, ssc, weights, offset, "error", separation, tol)
    s = looked_up("IV-PPML", joint, data, options, iid=False)
    width = (INTERCEPT in s.full.names) + sum(_width(t, s.full.encoding) for t in second.terms)
    z, z_names = s.full.X[:, width:], s.full.names[width:]
    full = s.full.having(s.full.X[:, :width], s.full.names[:width])
    s = existing(replace(s, formula=second, full=full, design=full))
    while True:
        first = _first_stage(s, endogenous, z[np.searchsorted(full.rows, s.design.rows)], z_names)
        d = s.design
        s = on(d.having(np.column_stack([d.X, first.v]), (*d.names, f"residual({endogenous})")), s)
        wider, s = s, existing(s)
        if len(s.design.y) == len(wider.design.y):
            break
        s = on(s.design.having(s.design.X[:, :-1], s.design.names[:-1]), s)
    told = _strength(s, first)
    if not told["first_stage_f"] >= min_f:
        raise NotIdentified(
            f"the instruments {instruments!r} are weak for {endogenous}",
            found=f"a first-stage F of {told['first_stage_f']:.3g}, p = {told['first_stage_p']:.2g}",
            allowed=f"at least {min_f:g}",
            fix="Find stronger instruments; with weak ones neither the estimate nor its interval can be trusted.",
        )
    binary = len(np.unique(s.design.X[:, s.design.names.index(endogenous)])) == 2
    facts = {"endogenous": endogenous, "instruments": instruments, **told}
    return _second_stage(s, first, facts | {"caveats": [CAVEAT, BINARY] if binary else [CAVEAT]})


@dataclass(frozen=True)
class _First:
    """A first stage: its fit, columns net of effects (n, k), residual (n,), and the instruments kept (its last columns)."""

    fit: LeastSquares
    within: Array
    v: Array
    excluded: tuple[str, ...]
    absorb: Absorber

    def projected(self, values: Array) -> Array:
        """Return the fit of ``values`` (n, k) on the first stage's regressors and effects."""
        net, _ = self.absorb(values)
        root, w = self.fit.root, self.absorb.weights
        return np.asarray(values - net + self.within @ (root @ (root.T @ (self.within.T @ (w[:, None] * net)))))


def _formulas(formula: str, endogenous: str, instruments: str) -> tuple[Formula, Formula]:
    """Return the second stage's formula, and that of all columns with the instruments last."""
    second = parse(formula)
    excluded = parse(f"{second.outcome} ~ {instruments}")
    term = next((t for t in second.terms if ":".join(map(str, t)) == endogenous), None)
    if term is None or len(term) > 1 or term[0].kind == "i":
        raise FormulaError(
            f"the endogenous regressor {endogenous!r} must be a term of {formula!r}",
            allowed=[str(t[0]) for t in second.terms if len(t) == 1 and t[0].kind != "i"],
            fix="Name one column of the formula, or its logarithm as written there.",
        )
    if not excluded.terms or excluded.effects:
        raise FormulaError(
            "instruments must name at least one term and no effects",
            found=repr(instruments),
            allowed="x + log(x) + i(x) + a:b",
            fix="The effects of the formula are part of the first stage already.",
        )
    others = [t for t in (*second.terms, *excluded.terms) if t != term]
    used = [":".join(map(str, t)) for t in others if term[0].name in {a.name for a in t}]
    shared = [":".join(map(str, t)) for t in excluded.terms if t in second.terms]
    if used or shared or any(term[0].name in e for e in second.effects):
        raise FormulaError(
            f"the instruments of {endogenous!r} cannot be kept apart from the regressors",
            found=", ".join(dict.fromkeys((*used, *shared))) or "an effect made of the endogenous regressor",
            fix="An instrument is no regressor, and no other term may use the endogenous column: a function of it is "
            "endogenous too.",
        )
    return second, replace(second, terms=(*second.terms, *excluded.terms))


def _width(term: Any, encoding: Encoding) -> int:
    return prod(len(encoding.shown[term, a]) for a in term if a.kind == "i")


def _first_stage(s: Sample, endogenous: str, z: Array, z_names: tuple[str, ...]) -> _First:
    """Regress the endogenous regressor on the others, the instruments and the effects."""
    d = s.design
    at = d.names.index(endogenous)
    rest = on(d.having(np.column_stack([np.delete(d.X, at, axis=1), z]), (*np.delete(d.names, at), *z_names)), s)
    c = rest.centred
    factors = list(c.factors.values())
    absorb = Absorber(Layout(factors) if factors else None, c.w)
    net, _ = absorb(np.column_stack([c.X, d.X[:, at]]))
    kept = independent(net[:, :-1], c.w, weighted_lengths(c.X, c.w) * rest.stretch)
    excluded = tuple(n for n in names_of(kept, c.names) if n in z_names)
    if not excluded:
        raise NotIdentified(
            f"no instrument is left for {endogenous}",
            found=f"{', '.join(z_names)}: absorbed by the effects and the other regressors",
            fix="Instruments must vary within the levels of the effects.",
        )
    within = net[:, :-1][:, kept]
    result = solve(within, net[:, -1], c.w, refine=2)
    before = np.linalg.norm(d.X[:, at] - d.X[:, at].mean())
    if np.linalg.norm(result.residual) <= COLLINEAR * before:
        raise NotIdentified(
            f"the first stage fits {endogenous} exactly",
            found="no residual",
            fix="It is a combination of effects, regressors and instruments; nothing endogenous is left to correct.",
        )
    return _First(result, within, result.residual, excluded, absorb)


def _strength(s: Sample, first: _First) -> dict[str, Any]:
    """Test that the excluded instruments matter, with the covariance asked for and Stata's factors of least squares."""
    d, fit = s.design, first.fit
    rule = convention(s.options.ssc, "OLS", s.vcov)
    groups = list(d.groups.values()) if isinstance(s.vcov, Cluster) else []
    k = len(fit.beta) + absorbed_df(list(d.factors.values()), groups, rule, constant=INTERCEPT in d.names)
    degrees_of_freedom(len(d.y), k, s.formula)
    scores = (first.within @ fit.root) * (d.w * first.v)[:, None]
    cov = sandwich(fit.root, scores, s.vcov, d.groups, rule, k, sigma2=1.0)
    q = len(first.excluded)
    beta, matrix = fit.beta[-q:], cov.matrix[-q:, -q:]
    scale = np.sqrt(np.diag(matrix))
    correlation = matrix / np.outer(scale, scale)
    if not np.isfinite(correlation).all() or np.linalg.matrix_rank(correlation, tol=1e-10) < q:
        raise NotIdentified(
            f"the first stage has {q} instruments, more than its covariance can test",
            found=str(cov.clusters or s.vcov),
            fix="Use fewer instruments or more clusters.",
        )
    f = float((beta / scale) @ np.linalg.solve(correlation, beta / scale)) / q
    df = float(min(cov.df, len(d.y) - k))
    return {
        "first_stage_f": f,
        "first_stage_df": (q, df),
        "first_stage_p": float(stats.f.sf(f, q, df)),
        "first_stage": {name: (float(b), float(e)) for name, b, e in zip(first.excluded, beta, scale, strict=True)},
    }


def _second_stage(s: Sample, first: _First, facts: dict[str, Any]) -> Estimate:
    """Fit PPML with the residual, and add to each row's score what the first stage's error makes of it."""
    c = s.centred
    fit = poisson.fit(c.y, c.X, list(c.factors.values()), c.w, c.offset, stretch=s.stretch, tol=s.options.tol)
    if not fit.kept.all():
        estimable.refuse_collinear(names_of(~fit.kept, c.names), s.design, separated=False)
    u, rho = c.y - fit.mu, fit.beta[-1]
    moved = -fit.within * (fit.mu * rho)[:, None]
    moved[:, -1] += u
    scores = c.w[:, None] * (fit.within * u[:, None] - first.projected(moved) * first.v[:, None])
    facts |= {"deviance": fit.deviance, "iterations": fit.iterations, "largest_relative_score": fit.score}
    return estimate(s, fit.beta, fit.kept, fit.root, scores, fit.effects, facts=facts, predicts=False)
