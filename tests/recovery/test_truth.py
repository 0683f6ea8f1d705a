"""Simulated worlds with a known answer: bias and coverage.

The bounds are those of the binomial and of the mean at four standard errors, so that a correct estimator fails about once in
ten thousand seeds; the seeds are fixed, and each simulation must itself be precise to 0.03. Clustered errors of PPML with
three-way effects are known to be too small in small panels (Weidner and Zylkin 2021,
https://doi.org/10.1016/j.jinteco.2021.103513): their coverage is held to what they deliver.
"""

from __future__ import annotations

import numpy as np
import pytest

from cyber_trade_econ.event_study import event_study
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.simulate import gravity_world, monthly_world

DRAWS = 60


def unbiased(estimates, truth):
    spread = np.std(estimates, axis=0, ddof=1) / np.sqrt(len(estimates))
    return (np.abs(np.mean(estimates, axis=0) - truth) < 4 * spread) & (spread < 0.03)


@pytest.mark.parametrize(("model", "covered"), [("ols", (0.87, 1.0)), ("ppml", (0.75, 0.98))])
def test_three_way_gravity(model, covered):
    estimates, hits = [], []
    for seed in range(DRAWS):
        world = gravity_world(10, 8, effect=-0.3, seed=seed)
        left, fit = ("log(trade_musd)", ols) if model == "ols" else ("trade_musd", ppml)
        e = fit(f"{left} ~ treated | exporter^year + importer^year + pair", world, vcov=cluster("pair"))
        row = e.tidy().iloc[0]
        estimates.append(row["estimate"])
        hits.append(row["conf_low"] < -0.3 < row["conf_high"])
    assert unbiased(np.array(estimates), -0.3)
    assert covered[0] <= np.mean(hits) <= covered[1]


def test_twfe_event_study_with_equal_effects():
    """With one effect for all cohorts and ages two-way fixed effects are unbiased, before and after the event."""
    estimates = []
    for seed in range(30):
        world = gravity_world(10, 8, effect=-0.3, seed=seed)
        e = event_study(world, "trade_musd", "pair", "year", "cohort", leads=3, lags=3)
        estimates.append(e.coef.to_numpy())
    assert unbiased(np.array(estimates), np.array([0, 0, -0.3, -0.3, -0.3, -0.3])).all()


def test_twfe_is_off_when_effects_grow():
    """The caveat in its facts is no decoration: with growing effects the last, binned coefficient mixes ages."""
    ends = []
    for seed in range(20):
        world = gravity_world(12, 10, effect=-0.1, growth=-0.1, noise=0.1, seed=seed)
        e = event_study(world, "trade_musd", "pair", "year", "cohort", leads=3, lags=2)
        ends.append(e.coef["event_time::2"])
    assert np.mean(ends) < -0.1 - 0.1 * 2 - 0.02  # beyond the effect at age two, -0.3


def test_abnormal_trade():
    estimates, hits = [], []
    truth = np.where(np.arange(-6, 7) >= 0, -0.2, 0.0)
    for seed in range(30):
        world = monthly_world(40, 8, effect=-0.2, treated=15, seed=seed)
        e = event_study(world, "trade_musd", "partner", "month", "cohort", estimator="abnormal_trade", leads=6, lags=6)
        tidy = e.tidy()
        estimates.append(e.coef.to_numpy())
        hits.append((tidy["conf_low"] < truth) & (truth < tidy["conf_high"]))
    assert unbiased(np.array(estimates), truth).all()
    assert 0.87 <= np.mean(hits) <= 1.0  # 390 intervals, correlated within a draw
