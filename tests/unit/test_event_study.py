"""Event studies: windows, references, counts, and refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import (
    BadRegressor,
    ConfigError,
    DuplicateKey,
    EventError,
    FewClusters,
    MissingKey,
    NotIdentified,
    SchemaError,
)
from cyber_trade_econ.event_study import event_study
from cyber_trade_econ.event_study.abnormal_trade import _average, _Events
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.simulate import gravity_world, monthly_world

ANNUAL = ("trade_musd", "pair", "year", "cohort")
MONTHLY = ("trade_musd", "partner", "month", "cohort")


@pytest.fixture(scope="module")
def world():
    return gravity_world(10, 10, seed=2)


@pytest.fixture(scope="module")
def months():
    return monthly_world(20, 8, treated=6, seed=3)


def test_cells_equal_hand_made_indicators(world):
    e = event_study(world, *ANNUAL, leads=3, lags=2)
    h = (world["year"] - world["cohort"]).astype("Float64")
    frame = world.assign(
        m3=(h <= -3).fillna(value=False).astype(float),
        m2=(h == -2).fillna(value=False).astype(float),
        p0=(h == 0).fillna(value=False).astype(float),
        p1=(h == 1).fillna(value=False).astype(float),
        p2=(h >= 2).fillna(value=False).astype(float),
    )
    by_hand = ppml(
        "trade_musd ~ m3 + m2 + p0 + p1 + p2 | exporter^year + importer^year + pair", frame, vcov=cluster("pair")
    )
    np.testing.assert_allclose(e.coef, by_hand.coef, rtol=1e-9)
    np.testing.assert_allclose(e.se, by_hand.se, rtol=1e-8)
    assert list(e.coef.index) == [f"event_time::{h}" for h in (-3, -2, 0, 1, 2)]
    treated = world.dropna(subset=["cohort"])
    counts = treated.assign(h=(treated["year"] - treated["cohort"]).clip(-3, 2)).groupby("h")["pair"].nunique()
    assert e.facts["treated_units"] == {int(h): int(n) for h, n in counts.items()}
    assert e.facts["reference"] == -1


def test_other_effects_controls_and_least_squares(world):
    frame = world.assign(x=np.random.default_rng(0).normal(size=len(world)))
    e = event_study(
        frame,
        "log(trade_musd)",
        *ANNUAL[1:],
        leads=2,
        lags=2,
        ref=-2,
        model="OLS",
        effects="pair + year",
        controls=("x",),
    )
    assert list(e.facts["effects"]) == ["pair", "year"]
    assert list(e.coef.index) == ["event_time::-1", "event_time::0", "event_time::1", "event_time::2", "x"]
    assert e.facts["outcome"] == "log(trade_musd)"


def test_units_without_a_before_are_left_out_and_counted(world):
    early = world.assign(cohort=world["cohort"].mask(world["pair"] == "C00-C01", 2000))
    e = event_study(early, *ANNUAL)
    assert e.facts["dropped"]["unit treated in its first period"] == 10
    rest = world[world["pair"] != "C00-C01"]
    np.testing.assert_allclose(e.coef, event_study(rest, *ANNUAL).coef, rtol=1e-9)


def test_cohorts_after_the_panel_are_not_yet_treated(world):
    late = world.assign(cohort=world["cohort"].mask(world["cohort"] > 2007, 2050))
    never = world.assign(cohort=world["cohort"].mask(world["cohort"] > 2007))
    a, b = event_study(late, *ANNUAL), event_study(never, *ANNUAL)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-12)
    assert a.facts["treated_units"] == b.facts["treated_units"] != event_study(world, *ANNUAL).facts["treated_units"]


def test_zero_means_never_treated(world):
    zero = world.assign(cohort=world["cohort"].fillna(0))
    np.testing.assert_allclose(event_study(zero, *ANNUAL).coef, event_study(world, *ANNUAL).coef, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "choices", "error", "says"),
    [
        ({}, {"estimator": "magic"}, ConfigError, "'twfe'|allowed: twfe"),
        ({}, {"window": 36}, ConfigError, "choices of 'twfe'"),
        ({}, {"leads": 1}, ConfigError, "leads >= 2"),
        ({}, {"ref": 0}, ConfigError, "reference period"),
        ({}, {"model": "probit"}, ConfigError, "allowed: PPML, OLS"),
        ({"cohort": pd.NA}, {}, NotIdentified, "no unit is first treated"),
        ({"cohort": 1990}, {}, NotIdentified, "no unit is first treated"),
        ({"cohort": pd.Timestamp("2004-01-01")}, {}, SchemaError, "different kinds"),
        ({"year": lambda f: f["year"] + 0.5}, {}, SchemaError, "fractions"),
    ],
)
def test_refusals(world, change, choices, error, says):
    with pytest.raises(error, match=says):
        event_study(world.assign(**change), *ANNUAL, **choices)
    assert len(event_study(world, *ANNUAL).coef)  # control


def test_a_cohort_that_changes_within_a_unit_is_refused(world):
    moved = world.assign(cohort=world["cohort"].mask(world.index == world["cohort"].first_valid_index(), 2003))
    with pytest.raises(EventError, match="changes within a unit"):
        event_study(moved, *ANNUAL)


def test_events_behind_the_coefficients(world):
    panel = Panel(world, "pair", "year", events={"cohort": ("e1", "e2")})
    assert event_study(panel, *ANNUAL).events["event_time::0"] == ("e1", "e2")


def test_only_events_of_the_units_used_are_named(world):
    first = world["cohort"].map(lambda c: f"e{c}", na_action="ignore").fillna("")
    frame = world.assign(hit_cohort=world["cohort"].mask(world["cohort"] == 2002, 1990), hit_first=first)
    ids = tuple(sorted(set(first) - {""}))
    panel = Panel(frame, "pair", "year", events={"hit_cohort": ids, "hit_first": ids})
    e = event_study(panel, "trade_musd", "pair", "year", "hit_cohort")
    assert set(e.events["event_time::0"]) == set(ids) - {"e2002"}  # those pairs are treated before the panel begins


def test_abnormal_trade_without_noise_is_the_effect():
    world = monthly_world(12, 8, treated=5, effect=-0.3, noise=1e-9, seed=1)
    e = event_study(world, *MONTHLY, estimator="abnormal_trade", leads=6, lags=12, trend=True)
    truth = np.where(np.arange(-6, 13) >= 0, -0.3, 0.0)
    # Units without an event have trends of their own, which the common shock of a period can only average over.
    np.testing.assert_allclose(e.coef, truth, atol=0.02)
    assert e.facts["reference_label"] == "expected flow learnt from months -42 to -7"
    assert e.facts["treated_units"][0] == 5


def test_abnormal_trade_counts_units_it_cannot_use(months):
    first = months.dropna(subset=["cohort"])["partner"].iloc[0]
    gap = months.assign(
        trade_musd=months["trade_musd"].mask((months["partner"] == first) & (months.index % 40 == 0), 0.0)
    )
    e = event_study(gap, *MONTHLY, estimator="abnormal_trade", leads=6, lags=6)
    assert e.facts["dropped"]["unit without trade in every learning period"] == 96  # eight years of one partner
    assert e.facts["rows_given"] == e.facts["rows_used"] + sum(e.facts["dropped"].values())
    assert e.facts["rows_used"] == e.facts["rows_learning"] + e.nobs
    assert e.facts["treated_units"][0] == 5
    whole = event_study(months, *MONTHLY, estimator="abnormal_trade", leads=6, lags=6)
    assert set(whole.facts["dropped"]) == {"outside the learning and event windows"}


def test_events_without_a_common_shock_to_learn_are_counted():
    """Where nearly all units are treated, late events have nobody left to learn the period's shock from."""
    world = monthly_world(30, 10, treated=10, seed=3)
    treated = world.dropna(subset=["cohort"])
    e = event_study(treated, *MONTHLY, estimator="abnormal_trade", leads=3, lags=6)
    lost = e.facts["dropped"]["unit without an expected flow in the whole event window"]
    assert lost / 120 + e.facts["treated_units"][0] == 10
    assert e.facts["never_treated_units"] == 0
    whole = event_study(world, *MONTHLY, estimator="abnormal_trade", leads=3, lags=6)
    assert set(whole.facts["dropped"]) == {"outside the learning and event windows"}
    assert whole.facts["never_treated_units"] == 20


def test_rows_that_teach_nothing_are_not_counted_as_taught(months):
    never = months.loc[months["cohort"].isna(), "partner"].unique()
    holes = months.assign(
        trade_musd=months["trade_musd"].mask((months["partner"] == never[0]) & (months.index % 3 == 0))
    )
    e = event_study(holes, *MONTHLY, estimator="abnormal_trade", leads=6, lags=6)
    rest = event_study(holes.dropna(subset=["trade_musd"]), *MONTHLY, estimator="abnormal_trade", leads=6, lags=6)
    np.testing.assert_allclose(e.coef, rest.coef, rtol=1e-9)
    assert e.facts["rows_learning"] == rest.facts["rows_learning"]
    assert e.facts["rows_given"] == e.facts["rows_used"] + sum(e.facts["dropped"].values())


def test_abnormal_trade_refuses_what_it_cannot_do(months):
    study = {"estimator": "abnormal_trade", "leads": 6, "lags": 6}
    with pytest.raises(ConfigError, match="at least 24 months"):
        event_study(months, *MONTHLY, **study, window=12)
    with pytest.raises(ConfigError, match="jackknife"):
        event_study(months, *MONTHLY, **study, ssc="stata")
    with pytest.raises(DuplicateKey, match="too many"):
        event_study(pd.concat([months, months.iloc[[5]]]), *MONTHLY, **study)
    with pytest.raises(MissingKey, match="1 row"):
        event_study(months.assign(partner=months["partner"].mask(months.index == 5)), *MONTHLY, **study)
    with pytest.raises(ConfigError, match="one column"):
        event_study(months, *MONTHLY, **study, vcov="hetero")
    with pytest.raises(FewClusters, match="at least two clusters"):
        event_study(months.assign(one="a"), *MONTHLY, **study, vcov=cluster("one"))
    gap = months["cohort"].notna() & (months["partner"] == months.dropna(subset=["cohort"])["partner"].iloc[0])
    with pytest.raises(BadRegressor, match="1 missing"):
        event_study(months.assign(k=months["partner"].mask(gap)), *MONTHLY, **study, vcov=cluster("k"))
    with pytest.raises(BadRegressor, match="changing"):
        event_study(months.assign(k=months["month"].dt.year), *MONTHLY, **study, vcov=cluster("k"))
    with pytest.raises(NotIdentified, match="complete window"):
        event_study(months, *MONTHLY, **study | {"lags": 80})
    assert event_study(months, *MONTHLY, **study).df >= 1  # control


def test_the_variance_is_the_jackknife_over_clusters():
    rng = np.random.default_rng(0)
    expected, group = rng.uniform(1, 5, (6, 3)), np.array([0, 0, 1, 2, 3, 3])
    actual = expected * rng.uniform(0.5, 1.5, (6, 3))
    mean, cov, effective = _average(_Events(np.arange(6), actual, expected, group), cluster("unit"))
    every = actual.sum(axis=0) / expected.sum(axis=0)
    left_out = [actual[group != g].sum(axis=0) / expected[group != g].sum(axis=0) for g in range(4)]
    np.testing.assert_allclose(mean, every - 1)
    np.testing.assert_allclose(np.diag(cov), 3 / 4 * ((np.array(left_out) - every) ** 2).sum(axis=0))
    assert 1 < effective < 4
    equal = _Events(np.arange(4), np.ones((4, 3)), np.ones((4, 3)), np.arange(4))
    assert _average(equal, cluster("unit"))[2] == pytest.approx(4.0)
