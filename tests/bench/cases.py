"""What is fitted in the benchmark: worlds of several sizes and shapes, and models on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.simulate import heavy_world
from cyber_trade_econ.simulate.heavy import REGRESSORS

if TYPE_CHECKING:
    from collections.abc import Callable

AGTPA = Path(__file__).resolve().parents[3] / "shared" / "data" / "gravity" / "agtpa_applications_1986_2006.parquet"
LEADS, LAGS, BORDERS = 12, 11, 9  # 11 leads (the last one before is left out), the year itself, 11 lags; 9 borders


@dataclass(frozen=True)
class Size:
    """A world to draw: economies, years, sectors, further options, and what is done to it afterwards."""

    economies: int
    years: int
    sectors: int = 1
    options: dict[str, float] = field(default_factory=dict)
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None


@dataclass(frozen=True)
class Case:
    """A frame and a model on it; ``terms`` are columns, or one ``i()`` part; ``^`` joins columns of an effect."""

    frame: pd.DataFrame
    outcome: str
    terms: tuple[str, ...]
    effects: tuple[str, ...]
    cluster: str
    kind: str = "ppml"

    @property
    def formula(self) -> str:
        outcome = f"log({self.outcome})" if self.kind == "ols" else self.outcome
        return f"{outcome} ~ {' + '.join(self.terms) or '1'} | {' + '.join(self.effects)}"

    def slim(self) -> Case:
        """Leave out the columns that the model does not name, so that memory is that of the model."""
        named = {self.outcome, self.cluster, "cell", *self.terms, *(c for e in self.effects for c in e.split("^"))}
        return Case(
            self.frame[[c for c in self.frame.columns if c in named]],
            self.outcome,
            self.terms,
            self.effects,
            self.cluster,
            self.kind,
        )


def _domestic(world: pd.DataFrame) -> pd.DataFrame:
    """Domestic flows times a hundred, and economies that differ far more in size: hard to condition."""
    rng = np.random.default_rng(1)
    size = rng.normal(0, 1.5, len(world["exporter"].cat.categories))
    exporter, importer = (world[side].cat.codes.to_numpy() for side in ("exporter", "importer"))
    return world.assign(
        trade=world["trade"] * np.exp(size[exporter] + size[importer]) * np.where(exporter == importer, 100.0, 1.0)
    )


def _every_fifth(world: pd.DataFrame) -> pd.DataFrame:
    return world[world["year"] % 5 == 0].reset_index(drop=True)


SIZES = {
    "tiny": Size(15, 12),
    "S": Size(70, 20),
    "M": Size(200, 27),
    "L1": Size(200, 27, sectors=5),
    "L2": Size(230, 60, options={"absent": 0.05}),
    "XL": Size(220, 20, sectors=17, options={"absent": 0.1}),
    "H": Size(70, 20, change=_domestic),
    "U": Size(70, 20, options={"missing": 0.55}),
    "I": Size(70, 20, change=_every_fifth),
}


def world(size: Size) -> pd.DataFrame:
    drawn = heavy_world(size.economies, size.years, sectors=size.sectors, seed=7, **size.options)
    return size.change(drawn) if size.change else drawn


def _effects(size: Size) -> tuple[str, str, str]:
    by = "^sector" if size.sectors > 1 else ""
    return f"exporter{by}^year", f"importer{by}^year", f"pair{by}"


def three_way(size: Size) -> Case:
    return Case(world(size), "trade", REGRESSORS, _effects(size), "pair")


def effects_only(size: Size) -> Case:
    return Case(world(size), "trade", (), _effects(size), "pair")


def least_squares(size: Size) -> Case:
    drawn = world(size)
    return Case(drawn[drawn["trade"] > 0].reset_index(drop=True), "trade", REGRESSORS, _effects(size), "pair", "ols")


def two_way(size: Size) -> Case:
    """Gravity covariates, which pair effects would absorb; clusters are pairs all the same."""
    drawn = world(size)
    exporter, importer = (drawn[side].cat.codes.to_numpy() for side in ("exporter", "importer"))
    language = np.random.default_rng(2).integers(0, 12, size.economies)
    near = drawn["log_distance"] < drawn["log_distance"][exporter != importer].quantile(0.03)
    drawn["contiguous"] = (near & (exporter != importer)).astype(float)
    drawn["same_language"] = (language[exporter] == language[importer]).astype(float)
    terms = ("log_distance", "contiguous", "same_language", "agreement")
    return Case(drawn, "trade", terms, _effects(size)[:2], "pair")


def _since(drawn: pd.DataFrame) -> pd.Series:
    """Years since a pair's first year with an agreement; missing for pairs without one."""
    started = drawn["year"].where(drawn["agreement"] > 0)
    return drawn["year"] - started.groupby(drawn["pair"]).transform("min")


def event_study(size: Size, terms: int = LEADS - 1 + 1 + LAGS + BORDERS) -> Case:
    """Years before and after an agreement, the last one before left out, and a border by year: 32 columns, or the first."""
    drawn = world(size)
    since = _since(drawn)
    columns = {
        f"event_{'m' if lag < 0 else 'p'}{abs(lag)}": (since == lag).astype(float)
        for lag in range(-LEADS, LAGS + 1)
        if lag != -1
    }
    abroad = drawn["exporter"].cat.codes != drawn["importer"].cat.codes
    for year in np.linspace(drawn["year"].min() + 1, drawn["year"].max(), BORDERS).astype(int):
        columns[f"border_{year}"] = (abroad & (drawn["year"] == year)).astype(float)
    chosen = dict(list(columns.items())[::-1][:terms])  # borders first: with few years the far leads and lags are empty
    return Case(drawn.assign(**chosen), "trade", tuple(chosen), _effects(size), "pair")


def staggered(size: Size) -> Case:
    """One coefficient per cohort and year from its first agreement on; the real panel at S where it is at hand.

    The recipe for the Advanced Guide's panel: consecutive years with domestic trade, treatment that stays on from the first
    year of an agreement, directed pairs. What peers estimate stands in ``tests/certification/reference/event_cells.json``, to
    which ``test_event_cells.py`` holds this package.
    """
    if AGTPA.exists() and size is SIZES["S"]:
        drawn = pd.read_parquet(AGTPA, columns=["exporter", "importer", "year", "trade", "rta"])
        drawn["pair"] = drawn.groupby(["exporter", "importer"], sort=True).ngroup()
        drawn["agreement"], drawn["year"] = drawn["rta"], drawn["year"].astype("int64")
    else:
        drawn = world(size)
    since = _since(drawn)
    cohort = (drawn["year"] - since).fillna(0).astype("int64")
    drawn["cell"] = np.where(since >= 0, cohort * 10_000 + drawn["year"], 0)
    return Case(drawn, "trade", ("i(cell, ref=0)",), _effects(size), "pair")


MODELS: dict[str, Any] = {
    "ppml3": three_way,
    "ols3": least_squares,
    "ppml2": two_way,
    "events": event_study,
    "cells": staggered,
    "effects": effects_only,
}
