"""Standard errors of control-function PPML by drawing clusters and estimating both stages again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, EstimationError
from cyber_trade_econ.fit import Options
from cyber_trade_econ.formula import parse
from cyber_trade_econ.frames import column, numeric
from cyber_trade_econ.gravity.fitted import free_name, sampled
from cyber_trade_econ.gravity.iv_ppml import iv_ppml
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.inference.carried import carried, check_drawing, generator
from cyber_trade_econ.inference.conventions import Cluster
from cyber_trade_econ.inference.given import require_estimate

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel

_QUESTION = "the bootstrap of both stages"
_SAME = 1e-4  # standard errors by which a second fit to the same rows may differ
_LOST = 0.1  # share of draws without an estimate above which the others say too little


@one_thread()
def iv_bootstrap(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    *,
    draws: int = 399,
    seed: int = 0,
    executor: Executor | None = None,
) -> Estimate:
    """Give control-function PPML the covariance of estimates on clusters drawn with replacement, both stages repeated.

    Analytic errors of both stages stacked are too small in panels of few economies, as those of PPML are: in 400 worlds of 25
    economies over 4 years 0.90 of the standard deviation (Monte Carlo error 0.03). The bootstrap is 1.08 times as large
    (0.01), 0.97 of the standard deviation. ``tests/recovery/test_iv_ppml.py`` repeats the experiment.

    Parameters
    ----------
    estimate
        Result of `cyber_trade_econ.iv_ppml` with one set of clusters.
    data
        The data it was estimated on.
    draws
        Number of draws, at least 50.
    seed
        Seed, from which each draw has random numbers of its own.
    executor
        Any `concurrent.futures.Executor`; numbers depend neither on it nor on the order in which draws are done.

    Returns
    -------
    The estimate with the covariance of the draws; ``facts`` hold ``draws``, ``seed``, ``analytic_se``, and ``lost``, draws
    without an estimate by reason.

    Raises
    ------
    ConfigError
        For another estimate, other clusters, data it was not estimated on, or too few draws.
    EstimationError
        If more than a tenth of the draws has no estimate.

    References
    ----------
    Cameron and Miller (2015), section III.E, https://doi.org/10.3368/jhr.50.2.317; Lin and Wooldridge (2019),
    https://doi.org/10.1016/B978-0-12-814367-4.00002-2.
    """
    require_estimate(estimate, _QUESTION)
    options = estimate.options
    vcov = options.vcov if isinstance(options, Options) else None
    if estimate.model != "IV-PPML" or not isinstance(options, Options):
        raise ConfigError("an estimate for the bootstrap of both stages", found=estimate.model, allowed="IV-PPML")
    if not isinstance(vcov, Cluster) or len(vcov.by) != 1:
        raise ConfigError(
            "clusters to draw", found=str(vcov), allowed="one set of clusters", fix="Estimate with cluster(...)."
        )
    check_drawing("iv_bootstrap", draws=draws, seed=seed, executor=executor, least=50)
    rows = sampled(estimate, data, _QUESTION)
    keys = [column(rows, c, "the cluster") for c in vcov.by[0].split("^")]
    codes = pd.MultiIndex.from_arrays(keys).factorize()[0]
    drawn = carried(partial(_draw, _again(estimate, options, rows), codes, seed), draws, executor)
    lost = Counter(d for d in drawn if isinstance(d, str))
    found = np.array([d for d in drawn if not isinstance(d, str)])
    if sum(lost.values()) > _LOST * draws:
        raise EstimationError(
            "too many draws of the bootstrap have no estimate",
            found=", ".join(f"{count} x {name}" for name, count in lost.items()),
            allowed=f"{_LOST * draws:.0f} of {draws}",
        )
    terms = estimate.coef.index
    facts = {
        "vcov": f"bootstrap: {vcov.by[0]}",
        "ssc": "none",
        "draws": draws,
        "seed": seed,
        "lost": dict(lost),
        "analytic_se": dict(zip(map(str, terms), map(float, estimate.se), strict=True)),
    }
    matrix = np.atleast_2d(np.cov(found.T))
    return replace(
        estimate,
        vcov=pd.DataFrame(matrix, index=terms, columns=terms),
        df=np.inf,
        facts={key: value for key, value in estimate.facts.items() if key not in ("ssc_factor", "vcov_repaired")}
        | facts,
    )


def _draw(again: _Again, codes: Array, seed: int, number: int) -> Array | str:
    """Estimate on one draw: coefficients (K,), or the name of the reason why there are none."""
    size = int(codes.max()) + 1
    times = np.bincount(generator(seed, number).integers(0, size, size), minlength=size)[codes]
    try:
        return again(times)
    except EstimationError as error:
        return type(error).__name__


@dataclass(frozen=True)
class _Again:
    """Both stages on the rows of an estimate (its columns alone), each counted a number of times."""

    rows: pd.DataFrame
    weight: Array
    name: str
    formula: str
    facts: tuple[str, str]
    options: Options

    def __call__(self, times: Array) -> Array:
        """Return the coefficients, (K,)."""
        endogenous, instruments = self.facts
        e = iv_ppml(
            self.formula,
            self.rows.assign(**{self.name: self.weight * times})[times > 0],
            endogenous=endogenous,
            instruments=instruments,
            vcov="hetero",
            weights=self.name,
            offset=self.options.offset,
            separation=self.options.separation,
            min_f=0.0,
            tol=self.options.tol,
        )
        return e.coef.to_numpy()


def _again(estimate: Estimate, options: Options, rows: pd.DataFrame) -> _Again:
    """Prepare repeated estimation; refuse rows on which the estimate is another."""
    asked = (str(estimate.facts["endogenous"]), str(estimate.facts["instruments"]))
    weight = np.ones(len(rows)) if options.weights is None else numeric(rows, options.weights, "the weight")
    wanted = {*parse(estimate.formula).columns, *parse(f"{asked[0]} ~ {asked[1]}").columns, options.offset}
    some = rows[[c for c in rows.columns if c in wanted]]
    again = _Again(some, weight, free_name(some, "times_drawn"), estimate.formula, asked, options)
    try:
        apart = np.abs(again(np.ones(len(rows))) - estimate.coef.to_numpy()) / estimate.se.to_numpy()
    except (EstimationError, ValueError) as error:
        found = str(error)
    else:
        if (apart < _SAME).all():
            return again
        found = f"coefficients {apart.max():.2g} standard errors away"
    raise ConfigError(f"data for {_QUESTION}", found=found, allowed="the data it was estimated on, unchanged")
