"""An Estimate: a labelled coefficient vector, its covariance, its facts and its provenance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cyber_trade_econ.errors import ConfigError, EstimationError
from cyber_trade_econ.records.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from cyber_trade_econ.records.panel import Panel

Scale = Literal["response", "link"]


class Predictor(Protocol):
    """What a fitted model needs to answer questions about rows and effects."""

    def predict(self, data: pd.DataFrame, scale: Scale) -> pd.Series:
        """Return one prediction per row of ``data``, with its index."""
        ...

    def fixed_effects(self) -> dict[str, pd.Series]:
        """Return the estimated effects by name, each indexed by level."""
        ...


@dataclass(frozen=True)
class Estimate:
    """What an estimator returns; tests, aggregates, tables and figures are functions of it.

    Parameters
    ----------
    model
        Short name of the estimator, such as ``"PPML"`` or ``"OLS"``.
    formula
        The formula as understood, in canonical form.
    coef
        Point estimates by term, shape (k,).
    vcov
        Covariance of ``coef``, shape (k, k), labelled on both sides.
    nobs
        Rows used in estimation.
    df
        Degrees of freedom of the t distribution for tests; ``inf`` means the normal distribution.
    facts
        Rows given, used and dropped by reason; effects and their levels; covariance conventions; iterations; fit measures.
    sources
        Provenance of the data, as in `Panel.sources`.
    events
        Term -> ids of the coded events behind the coefficient.
    sample
        Index labels of the rows used, in their order, as in ``data.loc[est.sample]``.
    options
        What the estimator was asked for beside the formula, so that a second fit can be like the first.
    predictor
        Answers `predict` and `fixed_effects`; absent for estimates that do not predict.
    """

    model: str
    formula: str
    coef: pd.Series
    vcov: pd.DataFrame
    nobs: int
    df: float = float("inf")
    facts: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sample: pd.Index | None = field(default=None, compare=False)
    options: object = field(default=None, compare=False)
    predictor: Predictor | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """Model, formula, observations, effects, covariance, and one line per coefficient."""
        return shown(self)

    @property
    def se(self) -> pd.Series:
        """Standard errors by term, shape (k,)."""
        import numpy as np
        import pandas as pd

        return pd.Series(np.sqrt(np.diag(self.vcov.to_numpy())), index=self.coef.index, name="se")

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row per term: term, estimate, std_error, statistic, p_value, conf_low, conf_high.

        Parameters
        ----------
        level
            Coverage of the interval, strictly between 0 and 1.
        """
        import pandas as pd
        from scipy import stats

        if not 0 < level < 1:
            raise ConfigError(
                "the level of a confidence interval", found=level, allowed="a number strictly between 0 and 1"
            )
        dist = stats.t(self.df)  # df = inf is the normal distribution
        statistic = self.coef / self.se
        half = dist.ppf((1 + level) / 2) * self.se
        return pd.DataFrame(
            {
                "term": self.coef.index,
                "estimate": self.coef.to_numpy(),
                "std_error": self.se.to_numpy(),
                "statistic": statistic.to_numpy(),
                "p_value": 2 * dist.sf(statistic.abs().to_numpy()),
                "conf_low": (self.coef - half).to_numpy(),
                "conf_high": (self.coef + half).to_numpy(),
            }
        )

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit: model, outcome, nobs, fit measures, effects, covariance."""
        import pandas as pd

        kept = ("outcome", "r2", "adj_r2", "within_r2", "pseudo_r2", "log_likelihood", "deviance", "iterations")
        row: dict[str, Any] = {"model": self.model, "nobs": self.nobs}
        row |= {k: self.facts[k] for k in kept if k in self.facts}
        row["effects"] = " + ".join(self.facts.get("effects", {}))
        row["vcov"] = self.facts.get("vcov", "")
        row["df"] = self.df
        return pd.DataFrame([row])

    def fixed_effects(self) -> dict[str, pd.Series]:
        """Estimated fixed effects by name, each a Series indexed by level.

        With several sets of effects only sums are identified; the first set carries the level, and in each further set the
        effects are shifted to a mean of zero over its levels.
        """
        return self._predictor().fixed_effects()

    def predict(self, data: pd.DataFrame | Panel, scale: Scale = "response") -> pd.Series:
        """Fitted values for the rows of ``data``, fixed effects included.

        Parameters
        ----------
        data
            Rows with every variable of the formula except the outcome.
        scale
            ``"response"`` (units of the outcome) or ``"link"`` (linear index).

        Returns
        -------
        Series with the index of ``data``; missing where a variable is missing, a level was not estimated, the sum of
        effects is not identified, or a regressor left out as collinear or separated is not what it was in the sample.
        """
        if scale not in ("response", "link"):
            raise ConfigError("the scale of a prediction", found=repr(scale), allowed=("response", "link"))
        from cyber_trade_econ.records.panel import Panel

        return self._predictor().predict(data.frame if isinstance(data, Panel) else data, scale)

    def renamed(self, names: Mapping[str, str]) -> Estimate:
        """Return the same estimate with terms renamed."""
        return replace(
            self,
            coef=self.coef.rename(names),
            vcov=self.vcov.rename(index=names, columns=names),
            events={names.get(t, t): ids for t, ids in self.events.items()},
        )

    def _predictor(self) -> Predictor:
        if self.predictor is None:
            raise EstimationError(
                f"{self.model} estimates do not predict",
                fix="Use the estimates of cte.ols or cte.ppml for fitted values.",
            )
        return self.predictor
