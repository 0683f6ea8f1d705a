"""Conley: dependence between rows whose places lie near each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cyber_trade_econ.errors import BadRegressor, ConfigError
from cyber_trade_econ.frames import column, numeric
from cyber_trade_econ.hdfe.factor import Codes, compact

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from cyber_trade_econ.hdfe.factor import Array

    Distances = Callable[[Codes, Codes], Array]

EARTH_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""
_BLOCK = 1024  # places at a time, which bounds the memory for distances


@dataclass(frozen=True)
class Conley:
    """Built by `conley`."""

    place: tuple[str, ...]
    cutoff_km: float
    kernel: str
    time: str | None
    distances: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        within = f" within {self.time}" if self.time else ""
        return f"Conley, {self.kernel} kernel to {self.cutoff_km:g} km{within}: {', '.join(self.place)}"


def conley(
    *place: str,
    cutoff_km: float,
    kernel: Literal["uniform", "bartlett"] = "bartlett",
    time: str | None = None,
    distances: pd.DataFrame | None = None,
) -> Conley:
    """Allow for dependence between rows whose places are at most ``cutoff_km`` apart.

    Parameters
    ----------
    place
        Two columns, latitude and longitude in degrees; or, with ``distances``, one column of labels.
    cutoff_km
        Distance from which on rows are independent, kilometres.
    kernel
        ``"bartlett"`` lets the weight fall linearly to zero at the cutoff, ``"uniform"`` is one up to it. Neither is positive
        semi-definite on the sphere for certain; a repair is reported.
    time
        Only rows of one period depend on each other. By default rows of near places do in all periods, those of one place
        with full weight.
    distances
        Symmetric table of distances in kilometres, labels on both sides, for places other than points: economies whose
        distances weight their cities, for one.

    Returns
    -------
    Value for ``vcov`` of `with_vcov`.

    Raises
    ------
    ConfigError
        For another number of columns, a cutoff that is not positive, or an unknown kernel. `with_vcov` raises it for a table
        of distances that lacks a place or is not symmetric, and BadRegressor for coordinates that are missing or off the
        globe.

    References
    ----------
    Conley (1999), https://doi.org/10.1016/S0304-4076(98)00084-0.
    """
    wanted = 2 if distances is None else 1
    if len(place) != wanted or not all(isinstance(p, str) for p in place):
        raise ConfigError("conley()", found=place, allowed="two columns of degrees, or one column and distances=")
    if not np.isfinite(cutoff_km) or cutoff_km <= 0:
        raise ConfigError("conley(cutoff_km=...)", found=cutoff_km, allowed="a positive number of kilometres")
    if kernel not in ("uniform", "bartlett"):
        raise ConfigError("conley(kernel=...)", found=repr(kernel), allowed=("uniform", "bartlett"))
    return Conley(place, float(cutoff_km), kernel, time, distances)


def meat(scores: Array, vcov: Conley, frame: pd.DataFrame) -> tuple[Array, int]:
    """Sum kernel-weighted products of scores; return the matrix (k, k) and the number of places.

    Parameters
    ----------
    scores
        Score by row, shape (n, k).
    frame
        The rows, in their order, with the columns that ``vcov`` names.
    """
    codes, apart = _places(vcov, frame)
    places = int(codes.max()) + 1
    period = np.zeros(len(codes), dtype=np.int64)
    if vcov.time is not None:
        series = column(frame, vcov.time, "the period")
        period = series.factorize()[0].astype(np.int64)
        if (period < 0).any():
            raise BadRegressor(f"the period {vcov.time!r} is missing in {int((period < 0).sum())} row(s)")
    cells = compact(period * places + codes)
    total = cells.sums(scores)
    key = np.unique(period * places + codes)
    out = np.zeros((scores.shape[1],) * 2)
    for t in np.unique(period):
        inside = key // places == t
        here, sums = key[inside] % places, total[inside]
        for start in range(0, len(here), _BLOCK):
            block = slice(start, start + _BLOCK)
            d = apart(here[block], here)
            kernel = np.maximum(1 - d / vcov.cutoff_km, 0.0) if vcov.kernel == "bartlett" else d <= vcov.cutoff_km
            out += sums[block].T @ (kernel @ sums)
    return out, places


def great_circle(latitude: Array, longitude: Array, a: Codes, b: Codes) -> Array:
    """Haversine distance in kilometres between points ``a`` and points ``b``, shape (len(a), len(b))."""
    north, east = np.radians(latitude), np.radians(longitude)
    up = np.sin((north[a][:, None] - north[b]) / 2) ** 2
    along = np.sin((east[a][:, None] - east[b]) / 2) ** 2
    half = up + np.cos(north[a])[:, None] * np.cos(north[b]) * along
    return np.asarray(2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def _places(vcov: Conley, frame: pd.DataFrame) -> tuple[Codes, Distances]:
    """Return the place of each row as a number, and a function that says how far places are apart."""
    if vcov.distances is not None:
        return _labelled(vcov.place[0], vcov.distances, frame)
    latitude, longitude = (numeric(frame, name, "the coordinate") for name in vcov.place)
    bad = ~((np.abs(latitude) <= 90) & (longitude >= -180) & (longitude <= 360))
    if bad.any():
        raise BadRegressor(
            f"the coordinates {vcov.place} are missing or outside the globe",
            found=f"{int(bad.sum())} row(s) of the sample",
            allowed="latitude -90 to 90, longitude -180 to 360, in this order",
        )
    points, codes = np.unique(np.column_stack([latitude, longitude]), axis=0, return_inverse=True)
    return codes.reshape(-1).astype(np.int64), lambda a, b: great_circle(points[:, 0], points[:, 1], a, b)


def _labelled(name: str, distances: pd.DataFrame, frame: pd.DataFrame) -> tuple[Codes, Distances]:
    labels = column(frame, name, "the place")
    codes, seen = labels.factorize()
    known = distances.index.is_unique and distances.columns.is_unique
    absent = [v for v in seen if v not in distances.index or v not in distances.columns] if known else []
    if not known or absent or (codes < 0).any():
        raise ConfigError(
            f"the places of {name!r} in the table of distances",
            found=f"not there: {absent[:10]}; missing in {int((codes < 0).sum())} row(s)"
            if known
            else "repeated labels",
            fix="Give a square table with one row and one column per place.",
        )
    table: np.ndarray[Any, np.dtype[np.float64]] = distances.loc[list(seen), list(seen)].to_numpy(dtype=float).copy()
    np.fill_diagonal(table, 0.0)  # a place is with itself, whatever its internal distance
    if not np.isfinite(table).all() or (table < 0).any() or not np.allclose(table, table.T, rtol=1e-6):
        raise ConfigError(
            "the table of distances", found="missing, negative or asymmetric entries", allowed="km, symmetric"
        )
    return codes.astype(np.int64), lambda a, b: table[np.ix_(a, b)]
