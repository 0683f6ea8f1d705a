"""What a coefficient means for trade: the change in trade volume, and the tariff that would do the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.inference.given import is_number, require_estimate

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.factor import Array
    from cyber_trade_econ.records.estimate import Estimate

Change = str | Mapping[str, float] | None


@dataclass(frozen=True)
class TradeEffect:
    """Effects derived from coefficients, with two intervals each.

    Parameters
    ----------
    frame
        One row per effect: ``term`` (the change asked for), ``estimate``, ``std_error`` (delta method), ``p_value`` (that
        the change of the linear index is zero, from the coefficients themselves, so that no transformation moves it),
        ``conf_low`` and ``conf_high`` (delta method, symmetric), ``exact_low`` and ``exact_high`` (the ends of the interval
        of the coefficients, transformed: never below -1, and the same verdict as the p-value).
    level
        Coverage of the intervals.
    facts
        ``estimand`` and ``unit`` in words, the elasticity and where it comes from, covariance, degrees of freedom.
    """

    frame: pd.DataFrame
    level: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Show what is estimated, in which unit, and one line per effect."""
        said = {"Estimand": "estimand", "Unit": "unit", "Covariance": "vcov"}
        about = [f"{word}: {self.facts[name]}" for word, name in said.items() if name in self.facts]
        table = self.frame.to_string(index=False, float_format="{:.6g}".format)
        return "\n".join([*about, f"Intervals: {self.level:.4g}", table])


@dataclass(frozen=True)
class IndexChange:
    """A change of the linear index: a label, the weight of each coefficient, its value and its variance."""

    label: str
    weights: Array
    value: float
    variance: float


def trade_volume(estimate: Estimate, change: Change = None, *, level: float = 0.95) -> TradeEffect:
    """Relative change of trade, ``exp(b x change) - 1``, when regressors change and effects stay.

    Parameters
    ----------
    estimate
        A model whose linear index is the logarithm of trade: PPML, or least squares of the logarithm.
    change
        A term (changed by one), or the change of each of several terms: ``{"rta": 1, "rta_lag4": 1}`` is their joint effect,
        ``{"log(dist)": numpy.log(1.1)}`` ten per cent more distance. By default every term but the intercept, each by one.
    level
        Coverage of the intervals.

    Returns
    -------
    Effects as shares of trade (0.05 is five per cent more). They hold output, expenditure and multilateral resistances
    fixed: a partial effect.

    Raises
    ------
    ConfigError
        For an unknown term, a change that is not a finite number, or a level outside (0, 1).

    References
    ----------
    Yotov, Piermartini, Monteiro and Larch (2016), An Advanced Guide to Trade Policy Analysis, UNCTAD/WTO, chapter 1.
    """
    require_estimate(estimate, "a change in trade volume")
    q = quantile(estimate, level)
    rows = []
    for part in index_changes(estimate, change):
        low, high = np.expm1(part.value - q * part.variance**0.5), np.expm1(part.value + q * part.variance**0.5)
        slope = np.exp(part.value)
        rows.append(effect_row(part, estimate.df, q, np.expm1(part.value), slope**2 * part.variance, (low, high)))
    return TradeEffect(pd.DataFrame(rows), level, {"estimand": "exp(b x change) - 1", **about(estimate)})


def tariff_equivalent(
    estimate: Estimate,
    change: Change = None,
    *,
    elasticity: float | str,
    elasticity_se: float = 0.0,
    source: str = "not stated",
    level: float = 0.95,
) -> TradeEffect:
    """Ad-valorem tariff with the same effect on trade, ``exp(b x change / elasticity) - 1``.

    Parameters
    ----------
    estimate, change, level
        As in `trade_volume`.
    elasticity
        Elasticity of trade with respect to one plus the tariff, a negative number: ``-theta``, or ``1 - sigma``. Or the name
        of a term of the same estimate, such as ``"log(one_plus_tariff)"``: its coefficient is then the elasticity and its
        covariance with the others is used.
    elasticity_se
        Standard error of an elasticity taken from elsewhere, whose error is independent of this estimate.
    source
        Where the elasticity comes from; stored in ``facts``.

    Returns
    -------
    Equivalents as shares of the price: 0.05 is a tariff of five per cent, a negative value the tariff cut that does the
    same. With an uncertain elasticity the exact interval is Fieller's for the ratio, transformed; it is (-1, infinity)
    where the elasticity does not differ from zero at this level.

    Raises
    ------
    ConfigError
        As in `trade_volume`, and for an elasticity that is not negative or a standard error that is.

    References
    ----------
    Yotov, Piermartini, Monteiro and Larch (2016), as above; Fieller (1954),
    https://doi.org/10.1111/j.2517-6161.1954.tb00159.x.
    """
    require_estimate(estimate, "a tariff equivalent")
    q = quantile(estimate, level)
    value, variance, pivot = _elasticity(estimate, elasticity, elasticity_se)
    rows = []
    for part in index_changes(estimate, change):
        shared = 0.0 if pivot is None else float(part.weights @ estimate.vcov.to_numpy() @ pivot)
        ratio = part.value / value
        of_ratio = max(part.variance - 2 * ratio * shared + ratio**2 * variance, 0.0) / value**2
        low, high = _fieller(part, shared, (value, variance), q)
        ends = (np.expm1(low), np.expm1(high))
        rows.append(effect_row(part, estimate.df, q, np.expm1(ratio), np.exp(ratio) ** 2 * of_ratio, ends))
    facts = {
        "estimand": "exp(b x change / elasticity) - 1",
        **about(estimate),
        "elasticity": value,
        "elasticity_se": variance**0.5,
        "source": f"coefficient of {elasticity} in this estimate" if isinstance(elasticity, str) else source,
    }
    return TradeEffect(pd.DataFrame(rows), level, facts)


def index_changes(estimate: Estimate, change: Change) -> list[IndexChange]:
    """Turn the change asked for into changes of the linear index."""
    names = list(estimate.coef.index)
    wanted: list[tuple[str, Mapping[str, float]]]
    if change is None:
        wanted = [(t, {t: 1.0}) for t in names if t != "Intercept"]
    elif isinstance(change, str):
        wanted = [(change, {change: 1.0})]
    elif not isinstance(change, Mapping) or not all(isinstance(by, Real) and np.isfinite(by) for by in change.values()):
        raise ConfigError("a change in trade costs", found=repr(change), allowed="a term, or finite numbers by term")
    else:
        wanted = [(" + ".join(t if by == 1 else f"{by:g} x {t}" for t, by in change.items()), change)]
    out = []
    for label, by in wanted:
        unknown = [t for t in by if t not in names]
        if unknown or not by:
            raise ConfigError("terms of a change in trade costs", found=unknown or "none", allowed=names)
        weights = np.array([float(by.get(t, 0.0)) for t in names])
        value = float(weights @ estimate.coef.to_numpy())
        out.append(IndexChange(label, weights, value, max(float(weights @ estimate.vcov.to_numpy() @ weights), 0.0)))
    if not out:
        raise ConfigError("terms of a change in trade costs", found="an estimate of effects alone")
    return out


def quantile(estimate: Estimate, level: float) -> float:
    """Return the quantile that makes a two-sided interval of the given coverage."""
    if not (isinstance(level, Real) and 0 < level < 1):
        raise ConfigError(
            "the level of a confidence interval", found=level, allowed="a number strictly between 0 and 1"
        )
    return float(stats.t(estimate.df).ppf((1 + level) / 2))  # df = inf is the normal distribution


def effect_row(
    part: IndexChange, df: float, q: float, effect: float, variance: float, exact: tuple[float, float]
) -> dict[str, Any]:
    """One row of the frame of a `TradeEffect`."""
    error = variance**0.5
    p = float(2 * stats.t(df).sf(abs(part.value) / part.variance**0.5)) if part.variance > 0 else float("nan")
    return {
        "term": part.label,
        "estimate": effect,
        "std_error": error,
        "p_value": p,
        "conf_low": effect - q * error,
        "conf_high": effect + q * error,
        "exact_low": exact[0],
        "exact_high": exact[1],
    }


def about(estimate: Estimate) -> dict[str, Any]:
    """Facts of the estimate behind an effect."""
    outcome = str(estimate.facts.get("outcome", ""))
    facts = {
        "unit": "share (0.05 is 5 %)",
        "model": estimate.model,
        "formula": estimate.formula,
        "vcov": estimate.facts.get("vcov", ""),
        "df": estimate.df,
    }
    if estimate.model == "OLS" and not outcome.startswith("log("):
        facts["assumes"] = f"the outcome {outcome!r} is the logarithm of trade"
    return facts


def _elasticity(estimate: Estimate, elasticity: float | str, error: float) -> tuple[float, float, Array | None]:
    """Value and variance of the elasticity, and its position among the coefficients if it is one of them."""
    if isinstance(elasticity, str):
        if not (is_number(error) and error == 0):
            raise ConfigError(
                "elasticity_se", found=error, allowed="nothing for an elasticity estimated in the same model"
            )
        part = index_changes(estimate, elasticity)[0]
        value, variance, pivot = part.value, part.variance, part.weights
    elif not (isinstance(elasticity, Real) and isinstance(error, Real)):
        raise ConfigError(
            "the elasticity and its standard error",
            found=f"{elasticity!r}, {error!r}",
            allowed="numbers, or the name of a term",
        )
    else:
        value, variance, pivot = float(elasticity), float(error) ** 2, None
    if not (np.isfinite(value) and value < 0):
        raise ConfigError(
            "the elasticity of trade with respect to one plus the tariff",
            found=value,
            allowed="a negative number",
            fix="Pass -theta, or 1 - sigma.",
        )
    if not (np.isfinite(error) and error >= 0):
        raise ConfigError("elasticity_se", found=error, allowed="a number that is not negative")
    return value, variance, pivot


def _fieller(part: IndexChange, shared: float, elasticity: tuple[float, float], q: float) -> tuple[float, float]:
    """Interval of the ratio of two estimates: all r for which their difference ``index - r x elasticity`` may be zero."""
    value, variance = elasticity
    a = value**2 - q**2 * variance
    if a <= 0:
        return -np.inf, np.inf
    b = part.value * value - q**2 * shared
    root = max(b**2 - a * (part.value**2 - q**2 * part.variance), 0.0) ** 0.5
    return (b - root) / a, (b + root) / a
