"""The cluster (pair) bootstrap: whole clusters drawn with replacement, each fit started at the estimate."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, EstimationError, NotIdentified
from cyber_trade_econ.hdfe.one_thread import one_thread
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.inference.carried import carried, check_clusters, check_drawing, generator
from cyber_trade_econ.inference.covariance import OF_VCOV, require_clusters
from cyber_trade_econ.inference.existing import existing
from cyber_trade_econ.inference.linearised import linearised, weighted
from cyber_trade_econ.inference.refit import Refit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Executor

    from cyber_trade_econ.design import Design
    from cyber_trade_econ.hdfe.factor import Array, Factor
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel


@dataclass(frozen=True)
class Bootstrap:
    """What the bootstrap draws gave.

    Parameters
    ----------
    estimate
        The estimate with the covariance of the draws in place of its own.
    draws
        Coefficients by draw and term, shape (B, k); a row is missing where the draw has no estimate.
    facts
        ``by``, ``clusters``, ``draws``, ``seed``; ``lost``, draws without an estimate by reason; ``separated``, draws in
        which rows had to be left out because the estimate did not exist with them; a ``warning`` where draws were lost.
    """

    estimate: Estimate
    draws: pd.DataFrame
    facts: Mapping[str, Any]

    def __repr__(self) -> str:
        """Show the estimate, what was drawn, and what was lost."""
        lines = [str(self.estimate), f"Draws: {len(self.draws):,} of {self.facts['by']}, seed {self.facts['seed']}"]
        lines += [f"Draws without an estimate: {count:,} ({why})" for why, count in self.facts["lost"].items()]
        return "\n".join([*lines, "interval() has the percentile intervals, draws the coefficients of each draw."])

    def interval(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile interval by term: conf_low, conf_high."""
        if not (isinstance(level, float) and 0 < level < 1):
            raise ConfigError(
                "the level of an interval", found=repr(level), allowed="a number strictly between 0 and 1"
            )
        ends = self.draws.quantile([(1 - level) / 2, (1 + level) / 2])
        return pd.DataFrame({"conf_low": ends.iloc[0], "conf_high": ends.iloc[1]})


@dataclass(frozen=True)
class Drawn:
    """One draw: coefficients or their change (k,), why there are none, and whether rows were separated."""

    beta: Array
    lost: str = ""
    separated: bool = False


@one_thread()
def bootstrap(
    estimate: Estimate,
    data: pd.DataFrame | Panel,
    by: str,
    *,
    draws: int = 999,
    seed: int = 0,
    executor: Executor | None = None,
) -> Bootstrap:
    """Estimate again on clusters drawn with replacement.

    Parameters
    ----------
    estimate, data
        An estimate of `cyber_trade_econ.ols` or `cyber_trade_econ.ppml` and the data it was made on.
    by
        Cluster column, or columns joined by ``^``; for gravity panels usually the pair. Those of the estimation sample are
        drawn.
    draws, seed
        Number of draws, 2 or more; seed, 0 or more, from which each draw has random numbers of its own.
    executor
        Any `concurrent.futures.Executor`; numbers depend neither on it nor on the order in which draws are done.

    Returns
    -------
    The estimate with the covariance of the draws (k, k) and the normal distribution, the draws (B, k), and what became of
    them.

    Raises
    ------
    ConfigError
        For an argument that is none of the above, an estimate of another kind, or data that are not those of the estimate.
    FormulaError
        For a column that is not in the data.
    FewClusters
        If there is one cluster only.
    NotIdentified
        If fewer than half of the draws have an estimate.

    Notes
    -----
    A cluster drawn m times has weight m in place of m copies. Effects nested in the clusters would be equal across copies,
    so this is the same as copying rows and giving each copy effects of its own. Each fit starts at the estimate, in the
    layout of its sample. A draw in which a coefficient does not exist is lost, counted, and left out of the covariance,
    which is then conditional on existence. Where fits by draw are too slow, `wild_bootstrap` needs none.

    References
    ----------
    Cameron, Gelbach and Miller (2008), https://doi.org/10.1162/rest.90.3.414.
    """
    check_drawing("bootstrap", draws=draws, seed=seed, executor=executor)
    check_clusters("bootstrap", by)
    model = linearised(estimate, data, clusters=(by,))
    group = model.design.groups[by]
    require_clusters({by: group.levels})
    start = model.started if estimate.model == "PPML" else weighted(model.design, model.weight, model.residual)
    work = partial(_draw, Refit.of(model.solver, start), start, group, seed, estimate.model == "PPML")
    found = carried(work, draws, executor)
    changes = np.array([d.beta for d in found]) @ model.back.T
    frame = pd.DataFrame(estimate.coef.to_numpy() + changes, columns=estimate.coef.index)
    frame.index.name = "draw"
    facts = {"by": by, "clusters": group.levels, "seed": seed, **counted(found, "bootstrap draw")}
    name = f"bootstrap ({draws - sum(facts['lost'].values())} draws): {by}"
    about = {k: v for k, v in estimate.facts.items() if k not in OF_VCOV}
    about |= {"vcov": name, "ssc": "none", "clusters": {by: group.levels}}
    return Bootstrap(replace(estimate, vcov=frame.cov(), df=np.inf, facts=about), frame, facts)


def counted(found: list[Drawn], what: str) -> dict[str, Any]:
    """Count draws by what became of them; refuse a majority without an estimate."""
    lost = Counter(d.lost for d in found if d.lost)
    facts: dict[str, Any] = {
        "draws": len(found),
        "lost": dict(sorted(lost.items())),
        "separated": sum(d.separated for d in found),
    }
    if lost:
        reasons = ", ".join(f"{count} ({why})" for why, count in sorted(lost.items()))
        facts["warning"] = f"{lost.total()} of {len(found)} {what}s have no estimate: {reasons}."
        if 2 * lost.total() > len(found):
            raise NotIdentified(
                f"most {what}s have no estimate",
                found=facts["warning"],
                fix="The coefficients rest on too few clusters; use wild_bootstrap, or coarser regressors or effects.",
            )
    return facts


def _draw(solver: Refit, start: Design, group: Factor, seed: int, exponential: bool, number: int) -> Drawn:
    times = np.bincount(generator(seed, number).integers(group.levels, size=group.levels), minlength=group.levels)
    weight = times[group.codes]
    part = replace(start, w=start.w * weight).keep(weight > 0, {})
    return solved(solver, part, exponential=exponential)


def solved(solver: Refit, design: Design, *, exponential: bool) -> Drawn:
    """Fit a draw, or say why that cannot be done."""
    none = np.full(design.k, np.nan)
    gone = 0
    if exponential:
        if not (design.y > 0).any():
            return Drawn(none, "every outcome is zero")
        design, gone = existing(design)
    elif design.factors:
        design = design.keep(prune(list(design.factors.values()), None).keep, {})
    if len(design.y) <= design.k:
        return Drawn(none, "too few rows", gone > 0)
    try:
        result = solver.poisson(design) if exponential else solver.least_squares(design)
    except EstimationError as error:
        return Drawn(none, type(error).__name__, gone > 0)
    if not result.kept.all():
        return Drawn(none, "a coefficient is not identified", gone > 0)
    return Drawn(result.beta, "", gone > 0)
