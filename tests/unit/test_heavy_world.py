"""The hard world is as hard as it says, and its truth is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.simulate import heavy_world
from cyber_trade_econ.simulate.heavy import REGRESSORS


def test_tails_zeros_and_domestic_share():
    world = heavy_world(40, 10, seed=1)
    home = world["exporter"].astype(str) == world["importer"].astype(str)
    assert (world["trade"] == 0).mean() == pytest.approx(0.43, abs=0.01)  # a quantile of 16,000 draws
    assert not (world.loc[home, "trade"] == 0).any()
    assert 0.5 < world.loc[home, "trade"].sum() / world["trade"].sum() < 0.95
    ranked = np.sort(world["trade"])[::-1]
    assert ranked[: len(ranked) // 100].sum() > 0.7 * ranked.sum()
    assert not world.duplicated(["pair", "sector", "year"]).any()
    assert 0 < 40 * 40 * 10 - len(world) < 200
    pd.testing.assert_frame_equal(world, heavy_world(40, 10, seed=1))
    assert not world["trade"].equals(heavy_world(40, 10, seed=2)["trade"])


def test_sectors_stack():
    world = heavy_world(8, 5, sectors=3, missing=0)
    assert len(world) == 8 * 8 * 5 * 3
    assert world.groupby("sector").size().tolist() == [320, 320, 320]


def test_absent_pairs_are_in_no_year_and_no_sector():
    world = heavy_world(30, 4, sectors=2, missing=0, absent=0.2, seed=1)
    cells = world.groupby("pair").size()
    assert set(cells) == {4 * 2}
    assert {n * 30 + n for n in range(30)} <= set(cells.index)
    assert len(cells) == pytest.approx(30 + 0.8 * 870, abs=4 * np.sqrt(0.16 * 870))  # four standard deviations
    assert len(heavy_world(30, 4, sectors=2, missing=0, seed=1)) == 900 * 8  # control


def test_distance_belongs_to_the_pair_and_lowers_trade():
    world = heavy_world(30, 4, zeros=0, seed=1)
    assert len(world[["pair", "log_distance"]].drop_duplicates()) == 30 * 30
    abroad = world[world["exporter"].astype(str) != world["importer"].astype(str)]
    est = cte.ols("log(trade) ~ log_distance | exporter^year + importer^year", abroad, vcov=cte.cluster("pair"))
    assert abs(est.coef["log_distance"] + 1.1) < 3.5 * est.se["log_distance"]


def test_truth_is_found_without_zeros():
    world = heavy_world(50, 12, zeros=0, seed=3)
    spec = f"trade ~ {' + '.join(REGRESSORS)} | exporter^year + importer^year + pair"
    est = cte.ols(spec.replace("trade ~", "log(trade) ~"), world, vcov=cte.cluster("pair"))
    truth = np.array([0.2, 0.12, 0.0, 0.0, 0.5])
    # Five t statistics of a seeded draw: all within 3.5 standard errors unless the truth is another.
    assert (np.abs(est.coef.to_numpy() - truth) < 3.5 * est.se.to_numpy()).all()


def test_sizes_that_are_none_are_refused():
    assert len(heavy_world(3, 3, missing=0)) == 27
    for wrong in ({"economies": 2}, {"years": 1}, {"sectors": 0}, {"zeros": 1.0}, {"absent": 1.0}):
        with pytest.raises(ConfigError, match="heavy world"):
            heavy_world(**wrong)
