"""Trade worlds drawn from a known model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError


def gravity_world(
    economies: int = 20,
    years: int = 10,
    *,
    effect: float = -0.3,
    growth: float = 0.0,
    treated_share: float = 0.3,
    dispersion: float = 0.5,
    noise: float = 0.3,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw an annual bilateral panel in which treated pairs trade ``exp(effect + growth * age)`` times as much.

    Parameters
    ----------
    economies, years
        Size of the world.
    effect, growth
        Effect on log trade in the period of treatment, and its change with each later period.
    treated_share
        Share of ordered pairs that are treated, from a year drawn uniformly after the second and before the last but one.
    dispersion
        Standard deviation of log trade between pairs, and between exporters and importers. Large values let a few flows
        carry the whole likelihood.
    noise
        Standard deviation of the log of the multiplicative error, whose mean is one.
    seed
        Seed of the random numbers.

    Returns
    -------
    Columns exporter, importer, pair, year, trade_musd, treated, cohort (missing where never treated). Exporter-year,
    importer-year and pair components are random.
    """
    if years < 4:
        raise ConfigError("years of a simulated world", found=years, allowed="at least 4")
    rng = np.random.default_rng(seed)
    names = np.array([f"C{i:02d}" for i in range(economies)])
    e, i = (a.reshape(-1) for a in np.meshgrid(np.arange(economies), np.arange(economies), indexing="ij"))
    e, i = e[e != i], i[e != i]
    pairs = len(e)
    pair_part = rng.normal(0, dispersion, pairs)
    export_part = rng.normal(0, dispersion, (economies, 1)) + rng.normal(0, 0.2, (economies, years)).cumsum(axis=1)
    import_part = rng.normal(0, dispersion, (economies, 1)) + rng.normal(0, 0.2, (economies, years)).cumsum(axis=1)
    cohort = np.where(rng.random(pairs) < treated_share, rng.integers(2, years - 1, pairs), -1)
    age = np.where(cohort[:, None] >= 0, np.arange(years) - cohort[:, None], -1)
    index = 3 + pair_part[:, None] + export_part[e] + import_part[i]
    index = index + np.where(age >= 0, effect + growth * age, 0.0)
    error = np.exp(rng.normal(-(noise**2) / 2, noise, (pairs, years)))
    trade = np.exp(index) * error
    first = 2000
    return pd.DataFrame(
        {
            "exporter": np.repeat(names[e], years),
            "importer": np.repeat(names[i], years),
            "pair": np.repeat([f"{a}-{b}" for a, b in zip(names[e], names[i], strict=True)], years),
            "year": np.tile(np.arange(first, first + years), pairs),
            "trade_musd": trade.reshape(-1),
            "treated": (age >= 0).astype(float).reshape(-1),
            "cohort": pd.array(np.repeat(np.where(cohort >= 0, first + cohort, 0), years), dtype="Int64"),
        }
    ).assign(cohort=lambda f: f["cohort"].mask(f["cohort"] == 0))


def monthly_world(
    partners: int = 60,
    years: int = 10,
    *,
    effect: float = -0.2,
    treated: int = 20,
    noise: float = 0.15,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw one economy's monthly imports by partner; treated partners trade ``1 + effect`` times as much after their event.

    Parameters
    ----------
    partners, years
        Size of the world.
    effect
        Relative change of trade from the month of the event on.
    treated
        Number of partners with an event, in a month drawn from the fifth year to the last but one.
    noise
        Standard deviation of the log of the multiplicative error, whose mean is one.
    seed
        Seed of the random numbers.

    Returns
    -------
    Columns partner, month, trade_musd, cohort (first month of the event, missing where there is none). Levels, seasons and
    trends are the partner's own; shocks of a month are common.
    """
    rng = np.random.default_rng(seed)
    months = 12 * years
    t = np.arange(months)
    level = rng.normal(4, 1.5, partners)
    slope = rng.normal(0.03, 0.05, partners) / 12
    season = rng.normal(0, 0.15, (partners, 12))
    shock = rng.normal(0, 0.05, months).cumsum()
    start = np.full(partners, -1)
    start[rng.choice(partners, treated, replace=False)] = rng.integers(48, months - 18, treated)
    on = (start[:, None] >= 0) & (t >= start[:, None])
    index = level[:, None] + slope[:, None] * t + season[:, t % 12] + shock
    error = np.exp(rng.normal(-(noise**2) / 2, noise, (partners, months)))
    calendar = pd.date_range("2005-01-01", periods=months, freq="MS")
    return pd.DataFrame(
        {
            "partner": np.repeat([f"P{p:03d}" for p in range(partners)], months),
            "month": np.tile(calendar.to_numpy(), partners),
            "trade_musd": (np.exp(index) * np.where(on, 1 + effect, 1.0) * error).reshape(-1),
            "cohort": np.repeat(
                np.where(start >= 0, calendar.to_numpy()[np.maximum(start, 0)], np.datetime64("NaT")), months
            ),
        }
    )
