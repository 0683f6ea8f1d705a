"""Wald tests of linear hypotheses on an Estimate."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from cyber_trade_econ.errors import ConfigError, NotIdentified
from cyber_trade_econ.inference.given import is_number, require_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.records.estimate import Estimate


@dataclass(frozen=True)
class WaldTest:
    """A joint test that coefficients equal given values.

    Parameters
    ----------
    terms
        Coefficients tested.
    statistic
        Wald statistic (b - v)'V^-1(b - v), divided by ``df`` where ``df_denominator`` is finite (an F statistic).
    df, df_denominator
        Rank of the hypothesis; denominator degrees of freedom, ``inf`` for a chi-square test.
    p_value
        From the F or the chi-square distribution.
    """

    terms: tuple[str, ...]
    statistic: float
    df: int
    df_denominator: float
    p_value: float


def wald(estimate: Estimate, terms: Sequence[str] | None = None, value: float = 0.0) -> WaldTest:
    """Test that coefficients are jointly equal to ``value``.

    Parameters
    ----------
    estimate
        A fitted model.
    terms
        Names of coefficients; all but the intercept by default.
    value
        Hypothesised common value, in the units of the coefficients.

    Returns
    -------
    F test on (q, ``estimate.df``) degrees of freedom for q terms; chi-square test on q where ``estimate.df`` is infinite.

    Raises
    ------
    ConfigError
        For what is no estimate, a term it does not have or none at all, or a value that is not a finite number.
    NotIdentified
        If the covariance of the terms is singular, as with more terms than clusters.

    References
    ----------
    Wald (1943), https://doi.org/10.1090/S0002-9947-1943-0012401-3.
    """
    require_estimate(estimate, "a Wald test")
    listed = isinstance(terms, Collection) and not isinstance(terms, str)
    if terms is not None and not (listed and all(isinstance(t, str) for t in terms)):
        raise ConfigError("terms of a Wald test", found=repr(terms), allowed="a list of terms")
    if not is_number(value):
        raise ConfigError("the value of a Wald test", found=repr(value), allowed="a finite number")
    chosen = list(terms) if terms is not None else [t for t in estimate.coef.index if t != "Intercept"]
    unknown = [t for t in chosen if t not in estimate.coef.index]
    if unknown or not chosen:
        raise ConfigError("terms of a Wald test", found=unknown or "none", allowed=list(estimate.coef.index))
    gap = estimate.coef[chosen].to_numpy() - value
    cov = estimate.vcov.loc[chosen, chosen].to_numpy()
    unknown = [t for t, variance in zip(chosen, np.diag(cov), strict=True) if not np.isfinite(variance)]
    if unknown:
        raise NotIdentified(
            f"{len(unknown)} of {len(chosen)} terms tested have no variance",
            found=", ".join(unknown),
            fix="facts say why (vcov_missing, fitted_exactly): the rows that tell of them are fitted exactly, or cancel.",
        )
    scale = np.sqrt(np.diag(cov))
    with np.errstate(divide="ignore", invalid="ignore"):  # a variance of zero is told below
        correlation = cov / np.outer(scale, scale)
    if not np.isfinite(correlation).all() or np.linalg.matrix_rank(correlation, tol=1e-10) < len(chosen):
        raise NotIdentified(
            f"the covariance of the {len(chosen)} terms tested is singular",
            found=f"rank below {len(chosen)}",
            fix="Test fewer terms, or use a covariance with more clusters than terms.",
        )
    statistic = float((gap / scale) @ np.linalg.solve(correlation, gap / scale))
    rank = len(chosen)
    if np.isfinite(estimate.df):
        f = statistic / rank
        return WaldTest(tuple(chosen), f, rank, estimate.df, float(stats.f.sf(f, rank, estimate.df)))
    return WaldTest(tuple(chosen), statistic, rank, np.inf, float(stats.chi2.sf(statistic, rank)))
