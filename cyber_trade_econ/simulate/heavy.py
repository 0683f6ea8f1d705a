"""Worlds as hard as real trade data: heavy tails, domestic flows that dominate, many zeros, gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError

REGRESSORS = ("agreement", "deep_agreement", "before_agreement", "after_agreement", "border_trend")


def heavy_world(
    economies: int = 70,
    years: int = 20,
    *,
    sectors: int = 1,
    zeros: float = 0.43,
    domestic: float = 0.72,
    missing: float = 0.005,
    absent: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Draw an annual bilateral panel with domestic flows for speed and exactness, with five policy regressors.

    Economies differ by a log-normal size (standard deviation 1.9), pairs by distance and a log-normal term (1.7), so that the
    largest hundredth of the flows carries most of the value. Errors are persistent within a pair. Small international
    flows are set to zero until their share is ``zeros``.

    Parameters
    ----------
    economies, years, sectors
        Size of the world; effects differ by sector.
    zeros
        Share of zero flows among all rows, roughly.
    domestic
        Mean share of an economy's output that it buys itself.
    missing
        Share of rows that are left out at random, so that the panel has gaps.
    absent
        Share of pairs that are in no year and no sector; domestic flows stay.
    seed
        Seed of the random numbers.

    Returns
    -------
    Frame with ``exporter, importer`` (categories), ``year, sector, pair`` (int; a directed pair), ``trade``, ``log_distance``
    (-1.1 in trade, next to a term of the pair's own) and the columns `REGRESSORS`. True coefficients are 0.2, 0.12, 0, 0
    and 0.5, up to the zeros that are drawn by size. At the peak twice the memory of the frame is needed.

    Raises
    ------
    ConfigError
        If a size is below 3 economies, 3 years or 1 sector, or a share outside 0 to 0.95.
    """
    if economies < 3 or years < 3 or sectors < 1 or not all(0 <= s <= 0.95 for s in (zeros, domestic, missing, absent)):
        raise ConfigError(
            "the size of a heavy world",
            found=(economies, years, sectors, zeros, domestic, missing, absent),
            allowed="3 economies, 3 years, 1 sector or more; shares from 0 to 0.95",
        )
    rng = np.random.default_rng(seed)
    exporter, importer = (a.ravel() for a in np.indices((economies, economies)))
    home = exporter == importer
    place = rng.normal(size=(economies, 3))
    place /= np.linalg.norm(place, axis=1, keepdims=True)
    distance = np.log(0.01 + np.arccos(np.clip(place @ place.T, -1, 1)))[exporter, importer]
    policy = _policy(rng, economies, years, distance, home)
    size = rng.normal(0, 1.9, economies)[:, None] + np.cumsum(rng.normal(0.03, 0.08, (economies, years)), axis=1)
    parts = [
        _sector(rng, size, (exporter, importer), home, distance, policy, domestic=domestic) for _ in range(sectors)
    ]
    trade = _with_zeros(rng, np.stack(parts), home, zeros)
    keep = rng.random(trade.size) >= missing
    if absent:
        keep &= np.tile(np.repeat(home | (rng.random(len(home)) >= absent), years), sectors)
    by_pair = {"exporter": exporter, "importer": importer, "pair": exporter * economies + importer}
    by_pair_year = {name: np.repeat(x, years) for name, x in (by_pair | {"log_distance": distance}).items()}
    by_pair_year |= {"year": np.tile(np.arange(years) + 2000, len(home))} | {n: x.ravel() for n, x in policy.items()}
    return _stacked(by_pair_year, trade, keep)


def _stacked(by_pair_year: dict[str, np.ndarray], trade: np.ndarray, keep: np.ndarray) -> pd.DataFrame:
    """Repeat the columns for each sector, on the rows kept.

    One column at a time: a frame of all rows and its copy would be the largest memory of a big world.
    """
    sectors = len(trade)
    columns = {name: np.tile(values, sectors)[keep] for name, values in by_pair_year.items()}
    columns["sector"] = np.repeat(np.arange(sectors), trade[0].size)[keep]
    columns["trade"] = trade.ravel()[keep]
    names = pd.Index([f"E{n:03d}" for n in range(int(by_pair_year["exporter"].max()) + 1)])
    for side in ("exporter", "importer"):
        columns[side] = pd.Categorical.from_codes(columns[side], names)
    order = ("exporter", "importer", "year", "sector", "pair", "trade", "log_distance", *REGRESSORS)
    return pd.DataFrame({name: columns[name] for name in order}, copy=False)


def _with_zeros(rng: np.random.Generator, log_trade: np.ndarray, home: np.ndarray, zeros: float) -> np.ndarray:
    """Trade in units of its median, small international flows more often zero, (sectors, pairs, years)."""
    seen = rng.normal(size=log_trade.shape)
    seen *= 3.5
    seen += log_trade
    seen[:, home] = np.inf
    return np.where(seen > np.quantile(seen, zeros), np.exp(log_trade - np.median(log_trade)), 0.0)


def _policy(
    rng: np.random.Generator, economies: int, years: int, distance: np.ndarray, home: np.ndarray
) -> dict[str, np.ndarray]:
    """Regressors by pair and year: staggered agreements, likelier between neighbours, and a border that fades."""
    near = 0.8 / (1 + np.exp(1.2 * (distance - np.quantile(distance, 0.25))))
    upper = [np.triu(rng.random((economies, economies)), 1) for _ in range(3)]  # agreements have two sides
    draw, depth, when = ((a + a.T).ravel() for a in upper)
    start = np.where((draw < near) & ~home, 1 + np.floor(when * max(years - 2, 1)), 10 * years)
    since = np.arange(years) - start[:, None]
    deep = (since >= 3) & (depth < 0.3)[:, None]
    masks = (since >= 0, deep, since == -2, (since >= 0) & (since <= 2))
    trend = ~home[:, None] * np.arange(years) / years
    return dict(zip(REGRESSORS, (*(m.astype(float) for m in masks), trend), strict=True))


def _sector(
    rng: np.random.Generator,
    size: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    home: np.ndarray,
    distance: np.ndarray,
    policy: dict[str, np.ndarray],
    *,
    domestic: float,
) -> np.ndarray:
    """Log trade of one sector by pair and year, domestic flows scaled to their share of output."""
    economies, years = size.shape
    sells, buys = (size * s + rng.normal(0, 0.5, (economies, 1)) for s in (1.0, 0.9))
    sells, buys = (x + np.cumsum(rng.normal(0, 0.05, x.shape), axis=1) for x in (sells, buys))
    level = -1.1 * distance - 2.5 * ~home + rng.normal(0, 1.7, len(home))
    middle = (sells[ends[0], years // 2] + buys[ends[1], years // 2]) + level
    abroad = np.bincount(ends[0][~home], np.exp(middle[~home]), minlength=economies)
    share = rng.beta(7, 7 * (1 - domestic) / domestic, economies) if domestic else np.full(economies, 1e-6)
    level[home] += np.log(abroad * share / (1 - share))[ends[0][home]] - middle[home]
    error = np.empty((len(home), years))
    error[:, 0] = rng.normal(0, 0.45, len(home))
    for t in range(1, years):
        error[:, t] = 0.7 * error[:, t - 1] + rng.normal(0, 0.45 * np.sqrt(1 - 0.49), len(home))
    effect = 0.2 * policy["agreement"] + 0.12 * policy["deep_agreement"] + 0.5 * policy["border_trend"]
    return np.asarray(sells[ends[0]] + buys[ends[1]] + level[:, None] + effect + error)
