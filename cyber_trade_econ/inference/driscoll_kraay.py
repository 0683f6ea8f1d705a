"""Driscoll-Kraay: any dependence across units, and serial dependence that fades within some periods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import BadRegressor, ConfigError, FewClusters
from cyber_trade_econ.hdfe.factor import Codes, Factor, compact

if TYPE_CHECKING:
    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array


_FAR = 2.0**53  # whole numbers beyond this are not told apart as floating-point numbers


@dataclass(frozen=True)
class DriscollKraay:
    """Built by `driscoll_kraay`."""

    time: str
    lags: int | None

    def __str__(self) -> str:
        return f"Driscoll-Kraay: {self.time}"


def driscoll_kraay(time: str, *, lags: int | None = None) -> DriscollKraay:
    """Allow for dependence between all units, at once and across nearby periods, with Bartlett weights.

    It needs many periods (25 or more), not many units.

    Parameters
    ----------
    time
        Column of the period: whole numbers or dates. Lags count periods of time: nothing is lagged across a period that is
        absent. The period is the largest step that reaches all of them (4 for 1986, 1990, 1998).
    lags
        Periods after which dependence has ended; by default ``floor(4 (T/100)^(2/9))`` for T periods.

    Returns
    -------
    Value for ``vcov`` of `with_vcov`.

    Raises
    ------
    ConfigError
        If ``lags`` is not a whole number, 0 or more. `with_vcov` raises BadRegressor for periods that are neither whole
        numbers nor dates, or missing, and FewClusters for a single period.

    References
    ----------
    Driscoll and Kraay (1998), https://doi.org/10.1162/003465398557825.
    """
    if lags is not None and (isinstance(lags, bool) or not isinstance(lags, int) or lags < 0):
        raise ConfigError("driscoll_kraay(lags=...)", found=repr(lags), allowed="a whole number, 0 or more")
    return DriscollKraay(time, lags)


@dataclass(frozen=True)
class Periods:
    """Periods of the rows: their factor, how many steps each row is from the first period (n,), the step in words."""

    factor: Factor
    at: Codes
    step: str


def meat(scores: Array, periods: Periods, lags: int | None) -> tuple[Array, int]:
    """Sum products of scores (n, k) at most ``lags`` periods apart; return the matrix (k, k) and the lags used."""
    count = periods.factor.levels
    if count < 2:
        raise FewClusters("Driscoll-Kraay standard errors need at least two periods", found=f"{count}")
    used = int(4 * (count / 100) ** (2 / 9)) if lags is None else lags
    total = np.zeros((int(periods.at.max()) + 1, scores.shape[1]))
    total[np.unique(periods.at)] = periods.factor.sums(scores)
    out = total.T @ total
    for lag in range(1, min(used, len(total) - 1) + 1):
        gamma = total[lag:].T @ total[:-lag]
        out += (1 - lag / (used + 1)) * (gamma + gamma.T)
    return out, used


def _whole(series: pd.Series) -> bool:
    """Whether a column holds whole numbers that an integer can, and missing values at most beside them."""
    import pandas as pd

    kind = series.dtype
    if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_complex_dtype(kind):
        return False
    values = series.to_numpy(dtype=float, na_value=0.0)
    return bool((np.abs(values) < _FAR).all() and (values % 1 == 0).all())


def numbered(series: pd.Series, name: str) -> Periods:
    """Turn a column of whole numbers or dates into numbered periods."""
    import pandas as pd

    gaps = bool(series.isna().any())
    if pd.api.types.is_datetime64_any_dtype(series.dtype) and not gaps:
        monthly = bool((series.dt.day == 1).all())
        days = (series.dt.normalize() - series.min().normalize()).dt.days
        values = (series.dt.year * 12 + series.dt.month if monthly else days).to_numpy(dtype=np.int64)
        unit = "month" if monthly else "day"
    elif _whole(series) and not gaps:
        values, unit = series.to_numpy(dtype=np.int64), "unit"
    else:
        raise BadRegressor(
            f"the period {name!r} must be whole numbers or dates without missing values",
            found=f"type {series.dtype}, {int(series.isna().sum())} missing",
            fix="Use a year, or a datetime64 column.",
        )
    steps = values - values.min()
    step = max(int(np.gcd.reduce(np.unique(steps))), 1)
    return Periods(compact(steps), steps // step, f"{step} {unit}{'s' if step > 1 else ''} of {name}")
