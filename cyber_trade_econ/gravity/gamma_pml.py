"""Gamma pseudo maximum likelihood for trade flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import optimize, sparse

from cyber_trade_econ.errors import NotConverged, SeparationError
from cyber_trade_econ.fit import SEPARATION, Options
from cyber_trade_econ.gravity.pseudo_likelihood import Sample, estimate, sample
from cyber_trade_econ.inference.conventions import SmallSample
from cyber_trade_econ.inference.covariance import absorbed_df

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.inference.conventions import Vcov
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

_PROGRAMME_ROWS = 50_000  # rows up to which a failed fit is explained by a linear programme
_SECONDS = 30.0
_EXACT = SmallSample(k_adj=True, k_fixef="full", redundant="components")


class _Gamma:
    """Variance proportional to the square of the mean: every row counts by its relative residual."""

    def objective(self, y: Array, eta: Array, /) -> Array:
        return -y * np.exp(-eta) - eta

    def share(self, _y: Array, mu: Array, /) -> Array:
        return 1 / mu

    def curvature(self, y: Array, mu: Array, /) -> Array:
        return y / mu

    def metric(self, y: Array, _mu: Array, /) -> Array:
        return np.ones_like(y)

    information = metric


def gamma_pml(
    formula: str,
    data: pd.DataFrame | Panel,
    *,
    vcov: Vcov | None = None,
    ssc: str | SmallSample | None = None,
    weights: str | None = None,
    offset: str | None = None,
    separation: Sequence[str] | Literal["error"] = SEPARATION,
    collinear: Literal["error", "drop"] = "error",
    tol: float = 1e-8,
) -> Estimate:
    """Estimate ``E[y] = exp(x'b + effects)`` by gamma pseudo maximum likelihood.

    It solves ``sum x (y - mu) / mu = 0``: small flows count as much as large ones, where PPML weighs flows by their size.
    Both are consistent when the mean is right, so that a large gap between them speaks against the specification.

    Parameters
    ----------
    formula, data, ssc, weights, offset, collinear, tol
        As in `cyber_trade_econ.ppml`.
    vcov
        As in `cyber_trade_econ.ppml`. ``"iid"`` is the expected information scaled by the Pearson dispersion; the others have
        the observed information as bread, as Stata's glm does, which holds when the variance is wrong.
    separation
        As in `cyber_trade_econ.ppml`. A row that is separated for PPML lets the gamma likelihood rise without bound; leaving
        it out does not move the other coefficients, for its share of the objective is taken up by the coefficient that runs
        to minus infinity.

    Returns
    -------
    Estimate; ``facts["zeros"]`` counts rows with an outcome of zero, whose relative residual is -1 whatever the fit.

    Raises
    ------
    SeparationError
        Also where PPML exists: with zeros the gamma estimate exists if and only if every combination of regressors and
        effects that is nowhere negative on the positive rows, and not zero everywhere, has a positive weighted sum over all
        rows. Without zeros it always exists. A converged fit is itself the proof, so the condition is looked at, by a linear
        programme, only to explain a failure. With pair effects such samples are common: pairs that trade in one year alone,
        all of them in the same year and with the same importer, are enough. Where zeros are part of the question and the
        estimate does not exist, PPML is the answer; fewer effects or fewer years are another question.
    FormulaError, BadOutcome, BadRegressor, EmptySample, Collinear, FewClusters, NotConverged, ConfigError

    References
    ----------
    Gourieroux, Monfort and Trognon (1984), https://doi.org/10.2307/1913472; Santos Silva and Tenreyro (2006),
    https://doi.org/10.1162/rest.88.4.641; Correia, Guimaraes and Zylkin (2019), https://arxiv.org/abs/1903.01633.
    """
    s = sample("Gamma PML", formula, data, Options(vcov, ssc, weights, offset, collinear, separation, tol))
    family = _Gamma()
    try:
        fit = s.fit(family)
    except NotConverged:
        _refuse_separated(s)
        raise
    y, w, mu = s.design.y, s.design.w, np.exp(fit.eta)
    n = len(y)
    pearson = float(np.sum(w * (y / mu - 1) ** 2))
    used = int(fit.kept.sum()) + absorbed_df(list(s.design.factors.values()), (), _EXACT, constant=False)
    facts = {
        "objective": float(np.sum(w * family.objective(y, fit.eta))),
        "dispersion": pearson / n,
        "iterations": fit.iterations,
        "largest_relative_score": fit.score,
    }
    if y.all():
        facts["deviance"] = float(2 * np.sum(w * (y / mu - 1 - np.log(y / mu))))
    sigma2 = pearson / (n - used) if s.vcov == "iid" and n > used else pearson / n
    scores = fit.within * fit.slope[:, None]
    return estimate(s, fit.beta, fit.kept, fit.root, scores, fit.effects, facts=facts, sigma2=sigma2)


def _refuse_separated(s: Sample) -> None:
    """Raise if some combination lets the gamma likelihood rise for ever; return if none was found."""
    d = s.centred
    zero = d.y == 0
    if not zero.any() or len(d.y) > _PROGRAMME_ROWS:
        return
    rows = np.arange(len(d.y))
    effects = [
        sparse.csr_array((np.ones(len(rows)), (rows, f.codes)), shape=(len(rows), f.levels)) for f in d.factors.values()
    ]
    scaled = d.X / np.maximum(np.abs(d.X).max(axis=0, initial=0.0), 1e-300)
    z = sparse.hstack([sparse.csr_array(scaled), *effects]).tocsr()
    answer = optimize.linprog(
        c=z.T @ (d.w / d.w.sum()),
        A_ub=-z,  # z g >= 0 on positive rows, >= -1 on the others
        b_ub=zero.astype(float),
        bounds=(None, None),
        method="highs",
        options={"time_limit": _SECONDS},
    )
    if answer.status == 0 and answer.fun < -1e-9:
        touched = int((z @ answer.x < -1e-6).sum())
        raise SeparationError(
            "the estimate does not exist for this sample",
            found=f"a combination of regressors and effects along which the likelihood rises for ever: {touched} row(s) "
            "with an outcome of zero pull it to infinity",
            fix="Use PPML, or leave the zeros out if they are not part of the question.",
        )
