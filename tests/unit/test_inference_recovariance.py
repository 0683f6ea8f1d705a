"""Covariances put on a fitted model: the same numbers as a fit, brute force, and what bad input says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import BadRegressor, ConfigError, FewClusters, NotIdentified
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.reset import reset
from cyber_trade_econ.inference.conventions import cluster, dyadic, ssc
from cyber_trade_econ.inference.covariance import known
from cyber_trade_econ.inference.driscoll_kraay import driscoll_kraay
from cyber_trade_econ.inference.few_clusters import effective_clusters
from cyber_trade_econ.inference.jackknife import jackknife
from cyber_trade_econ.inference.linearised import linearised
from cyber_trade_econ.inference.recovariance import with_vcov
from cyber_trade_econ.inference.spatial import EARTH_KM, conley, great_circle
from cyber_trade_econ.inference.wald import wald
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.report.table import table
from cyber_trade_econ.simulate import gravity_world

THREE_WAY = "trade_musd ~ treated + x | exporter^year + importer^year + pair"
PLAIN = "trade_musd ~ treated + x"
LINEAR = "log(trade_musd) ~ treated + x | exporter + year"


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    frame = gravity_world(9, 6, seed=5)
    rng = np.random.default_rng(2)
    frame["x"] = rng.normal(size=len(frame))
    frame["trade_musd"] = np.where(rng.random(len(frame)) < 0.15, 0.0, frame["trade_musd"])
    frame["size"] = rng.uniform(0.5, 2, len(frame))
    frame["block"] = rng.integers(0, 7, len(frame))
    economies = sorted(frame["exporter"].unique())
    frame["lat"] = frame["exporter"].map(dict(zip(economies, rng.uniform(-60, 60, 9), strict=True)))
    frame["lon"] = frame["exporter"].map(dict(zip(economies, rng.uniform(-180, 180, 9), strict=True)))
    return frame


FITS = {
    "three-way": lambda d, **k: ppml(THREE_WAY, d, **k),
    "plain": lambda d, **k: ppml(PLAIN, d, weights="size", **k),
    "linear": lambda d, **k: ols(LINEAR, d, weights="size", **k),
    "constant": lambda d, **k: ols("log(trade_musd) ~ treated + x", d, **k),
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("convention", [None, "fixest", "none"])
@pytest.mark.parametrize(
    "vcov",
    ["iid", "hetero", cluster("pair"), cluster("exporter", "importer", "year"), dyadic("exporter", "importer")],
    ids=str,
)
def test_another_covariance_is_the_one_of_another_fit(world, fit, convention, vcov):
    started = fit(world, vcov="hetero", ssc=convention)
    want = fit(world, vcov=vcov, ssc=convention)
    got = with_vcov(started, world, vcov)
    scale = np.sqrt(np.outer(want.se, want.se))
    np.testing.assert_allclose(got.vcov / scale, want.vcov / scale, atol=1e-8)
    assert got.df == want.df
    for name, value in want.facts.items():
        if isinstance(value, (str, bool, int, dict)):
            assert got.facts[name] == value, name
    pd.testing.assert_series_equal(got.coef, started.coef)


def by_hand(estimate: Estimate, world: pd.DataFrame, related: np.ndarray) -> np.ndarray:
    """Sum over all pairs of rows that are related: the definition."""
    model = linearised(estimate, world)
    return model.bread @ (model.scores.T @ related @ model.scores) @ model.bread.T


def same(frame: pd.DataFrame, *columns: str) -> np.ndarray:
    keys = frame[list(columns)].astype(str).agg("|".join, axis=1).to_numpy()
    return keys[:, None] == keys


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize(
    "by",
    [("pair",), ("exporter", "importer"), ("exporter", "importer", "year"), ("exporter", "importer", "year", "block")],
)
def test_multiway_is_the_sum_over_rows_that_share_any_cluster(world, fit, by):
    estimate = fit(world, vcov=cluster(*by), ssc="none")
    used = world.loc[estimate.sample]
    related = np.logical_or.reduce([same(used, c) for c in by])
    want = by_hand(estimate, world, related)
    if estimate.facts["vcov_repaired"]:
        assert np.linalg.eigvalsh(want).min() < 0
        assert np.linalg.eigvalsh(estimate.vcov).min() > -1e-12 * np.trace(want)
    else:
        scale = np.sqrt(np.outer(estimate.se, estimate.se))
        np.testing.assert_allclose(estimate.vcov / scale, want / scale, atol=1e-9)


def test_each_term_of_four_ways_has_its_own_factor_if_asked(world):
    by = ("exporter", "importer", "year", "block")
    rule = ssc(k_adj=False, g_df="conventional")
    estimate = ols(LINEAR, world, vcov=cluster(*by), ssc=rule)
    used = world.loc[estimate.sample]
    want = np.zeros((2, 2))
    for size in range(1, 5):
        from itertools import combinations

        for subset in combinations(by, size):
            groups = used.groupby(list(subset)).ngroups
            want += (-1) ** (size + 1) * groups / (groups - 1) * by_hand(estimate, world, same(used, *subset))
    np.testing.assert_allclose(estimate.vcov, want, rtol=1e-8)


def test_a_matrix_that_is_not_positive_is_repaired_and_reported():
    # Chosen so that inclusion and exclusion give a negative variance: one row per cell of two crossed clusters.
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": np.repeat(range(3), 3), "b": np.tile(range(3), 3), "y": rng.normal(size=9)})
    frame["x"], frame["z"] = rng.normal(size=9), rng.normal(size=9)
    found = 0
    for seed in range(20):
        frame["y"] = np.random.default_rng(seed).normal(size=9)
        e = ols("y ~ x + z", frame, vcov=cluster("a", "b"), ssc="none")
        raw = by_hand(e, frame, same(frame, "a") | same(frame, "b"))
        negative = np.linalg.eigvalsh(raw).min() < -1e-10 * np.trace(raw)
        assert e.facts["vcov_repaired"] == negative
        assert (np.diag(e.vcov) >= 0).all()
        assert with_vcov(e, frame, cluster("a", "b")).facts["vcov_repaired"] == negative
        found += negative
    assert 0 < found < 20  # both cases occurred


def leave_one_out(fit, world, estimate, by):
    """The definition: one fit without each cluster."""
    changes = [fit(world[world[by] != g], vcov="hetero").coef - estimate.coef for g in world[by].unique()]
    count = len(changes)
    return (count - 1) / count * sum(np.outer(c, c) for c in changes)


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("by", ["block", "exporter"])
def test_jackknife_is_a_fit_without_each_cluster(world, fit, by):
    frame = world[world["trade_musd"] > 0] if fit is FITS["linear"] or fit is FITS["constant"] else world
    e = fit(frame, vcov="hetero")
    got = with_vcov(e, frame, jackknife(by))
    want = leave_one_out(fit, frame, e, by)
    np.testing.assert_allclose(got.vcov, want, rtol=1e-6, atol=1e-9 * np.trace(want))
    assert got.facts["clusters"] == {by: frame[by].nunique()}
    assert got.facts["ssc"] == "(G-1)/G"
    assert np.isinf(got.df) if e.model == "PPML" else got.df == frame[by].nunique() - 1


def test_jackknife_downdates_where_effects_are_nested(world):
    frame = world[world["trade_musd"] > 0]
    e = ols("log(trade_musd) ~ treated + x | pair", frame, vcov="hetero")
    got = with_vcov(e, frame, jackknife("pair"))
    want = leave_one_out(lambda d, **k: ols("log(trade_musd) ~ treated + x | pair", d, **k), frame, e, "pair")
    np.testing.assert_allclose(got.vcov, want, rtol=1e-8)
    # One step of a Poisson model is near the full fits, not equal to them.
    p = ppml("trade_musd ~ treated + x | pair", world, vcov="hetero")
    full, step = (with_vcov(p, world, jackknife("exporter", one_step=o)) for o in (False, True))
    np.testing.assert_allclose(step.se, full.se, rtol=0.1)
    assert not np.allclose(step.se, full.se, rtol=1e-6)
    assert "one step" in step.facts["vcov"]


def test_rows_that_lose_their_estimate_with_a_cluster_are_left_out_there():
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"g": np.repeat(range(5), 24), "x": rng.normal(size=120), "f": "b", "h": "b"})
    frame.loc[frame.index % 3 == 0, "f"] = "a"
    frame.loc[frame.index % 3 == 1, "h"] = "a"
    frame["y"] = rng.poisson(np.exp(0.5 + 0.3 * frame["x"])).astype(float)
    # Cell (f=b, h=b) is seen in cluster 4 alone, and cell (a, a), made of zeros, only exists beside it.
    frame.loc[(frame.index % 3 == 2) & (frame["g"] < 4), ["f", "h"]] = "a"
    frame.loc[(frame["f"] == "a") & (frame["h"] == "a"), "y"] = 0.0
    # Level c of f has a positive outcome in cluster 0 alone.
    frame.loc[[2, 26, 50], "f"], frame.loc[[2, 26, 50], "y"] = "c", [3.0, 0.0, 0.0]

    def fit(d, **k):
        return ppml("y ~ x | f + h", d, **k)

    assert "dropped" not in fit(frame).facts or not fit(frame).facts["dropped"]
    assert fit(frame[frame["g"] != 4]).facts["dropped"]["separated by regressors"] > 0
    assert fit(frame[frame["g"] != 0]).facts["dropped"]["zero in every row of an effect"] > 0
    e = fit(frame)
    np.testing.assert_allclose(with_vcov(e, frame, jackknife("g")).vcov, leave_one_out(fit, frame, e, "g"), rtol=1e-6)


def test_jackknife_names_a_cluster_it_cannot_leave_out(world):
    frame = world.assign(one=(world["exporter"] == "C03") * world["x"])
    for fit in (ppml, ols):
        e = fit("trade_musd ~ x + one", frame)
        with pytest.raises(NotIdentified, match="without each cluster"):
            with_vcov(e, frame, jackknife("exporter"))
        assert with_vcov(e, frame, jackknife("pair")).se["one"] > 0  # control: pairs of C03 can each be left out


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
@pytest.mark.parametrize("kernel", ["uniform", "bartlett"])
@pytest.mark.parametrize("time", [None, "year"])
def test_conley_is_the_weighted_sum_over_pairs_of_rows(world, fit, kernel, time):
    e = fit(world, vcov="hetero", ssc="none")
    got = with_vcov(e, world, conley("lat", "lon", cutoff_km=6000, kernel=kernel, time=time))
    used = world.loc[e.sample]
    north, east = np.radians(used["lat"].to_numpy()), np.radians(used["lon"].to_numpy())
    # Another formula for the angle: the dot product of unit vectors.
    unit = np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    d = EARTH_KM * np.arccos(np.clip(unit @ unit.T, -1, 1))
    weights = np.maximum(1 - d / 6000, 0) if kernel == "bartlett" else (d <= 6000) * 1.0
    if time:
        weights = weights * same(used, "year")
    want = by_hand(e, world, weights)
    assert got.facts["places"] == 9
    if not got.facts["vcov_repaired"]:
        np.testing.assert_allclose(got.vcov, want, rtol=1e-6, atol=1e-8 * np.trace(want))
    else:
        assert np.linalg.eigvalsh(want).min() < 0


def test_conley_with_nobody_near_is_clustering_by_place(world):
    e = ppml(THREE_WAY, world, vcov=cluster("exporter"), ssc="none")
    near = with_vcov(e, world, conley("lat", "lon", cutoff_km=1e-3))
    np.testing.assert_allclose(near.vcov, e.vcov, rtol=1e-8)
    names = sorted(world["exporter"].unique())
    far = pd.DataFrame(1e4, index=names, columns=names)
    table = with_vcov(e, world, conley("exporter", cutoff_km=5000, distances=far))
    np.testing.assert_allclose(table.vcov, e.vcov, rtol=1e-8)
    far.loc["C01", "C02"] = far.loc["C02", "C01"] = 10.0
    assert not np.allclose(
        with_vcov(e, world, conley("exporter", cutoff_km=5000, distances=far)).vcov, e.vcov, rtol=1e-6
    )
    london_paris = great_circle(np.array([51.5074, 48.8566]), np.array([-0.1278, 2.3522]), np.array([0]), np.array([1]))
    assert abs(london_paris[0, 0] - 343.6) < 0.5  # published great-circle distance, km


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_driscoll_kraay_by_hand_with_gaps_and_steps(world, fit):
    frame = world[world["year"] != world["year"].min() + 2]  # a year is missing
    e = fit(frame, vcov="hetero", ssc="none")
    got = with_vcov(e, frame, driscoll_kraay("year", lags=2))
    used = frame.loc[e.sample]
    gap = np.abs(used["year"].to_numpy()[:, None] - used["year"].to_numpy())
    np.testing.assert_allclose(got.vcov, by_hand(e, frame, np.maximum(1 - gap / 3, 0)), rtol=1e-8)
    assert got.facts["lags"] == 2
    assert got.facts["period"] == "1 unit of year"
    # The same periods four years apart, and as months of a calendar, are the same periods.
    wide = frame.assign(year=4 * frame["year"])
    dates = frame.assign(
        month=pd.to_datetime({"year": 2000, "month": frame["year"] - frame["year"].min() + 1, "day": 1})
    )
    np.testing.assert_allclose(
        with_vcov(fit(wide), wide, driscoll_kraay("year", lags=2), ssc="none").vcov, got.vcov, rtol=1e-6
    )
    np.testing.assert_allclose(with_vcov(e, dates, driscoll_kraay("month", lags=2)).vcov, got.vcov, rtol=1e-8)
    assert with_vcov(e, frame, driscoll_kraay("year")).facts["lags"] == 2  # floor(4 (5/100)^(2/9))


def test_small_sample_factors_of_driscoll_kraay_and_conley(world):
    frame = world[world["trade_musd"] > 0]
    e = ols("log(trade_musd) ~ treated + x | exporter + year", frame)
    n, k = e.nobs, 2 + 9  # effects of years are nested in years and not counted
    for vcov, factor, df in (
        (driscoll_kraay("year"), 6 / 5 * (n - 1) / (n - k), 5),
        (conley("lat", "lon", cutoff_km=1e-3), n / (n - 2 - 9 - 6 + 1), n - 2 - 9 - 6 + 1),
    ):
        got, raw = with_vcov(e, frame, vcov), with_vcov(e, frame, vcov, ssc="none")
        np.testing.assert_allclose(got.vcov, raw.vcov * factor, rtol=1e-10)
        np.testing.assert_allclose(got.facts["ssc_factor"], factor, rtol=1e-12)
        assert got.df == df
        assert raw.facts["ssc"] == "none"


def test_effective_clusters_by_the_definition(world):
    e = ols("x ~ treated + size", world, vcov=cluster("exporter"))
    got = effective_clusters(e, world, "exporter")
    X = np.column_stack([np.ones(len(world)), world["treated"], world["size"]])
    inverse = np.linalg.inv(X.T @ X)
    groups = [np.flatnonzero(world["exporter"] == g) for g in sorted(world["exporter"].unique())]
    for j, term in enumerate(["Intercept", "treated", "size"]):
        for column, omega in (("effective_0", np.eye), ("effective_1", lambda m: np.ones((m, m)))):
            gamma = np.array([inverse[j] @ X[r].T @ omega(len(r)) @ X[r] @ inverse[:, j] for r in groups])
            want = len(groups) / (1 + np.mean((gamma / gamma.mean() - 1) ** 2))
            np.testing.assert_allclose(got.loc[term, column], want, rtol=1e-10)
    assert (got["clusters"] == 9).all()
    assert (got[["effective_0", "effective_1"]] <= 9 + 1e-9).all(axis=None)


def test_the_smaller_effective_number_is_the_fact(world):
    e = with_vcov(ols("x ~ treated + size", world), world, cluster("exporter"))
    numbers = effective_clusters(e, world, "exporter")[["effective_0", "effective_1"]]
    np.testing.assert_allclose(e.facts["effective_clusters"], numbers.min(axis=None))
    assert numbers.max(axis=None) > numbers.min(axis=None) + 0.1


def test_few_clusters_are_a_fact(world):
    e = ppml(THREE_WAY, world, vcov="hetero")
    few = with_vcov(e, world, cluster("exporter"))
    assert few.facts["few_clusters"].startswith("exporter: 9 clusters, effectively ")
    assert few.facts["effective_clusters"] <= 9
    many = with_vcov(e, world, cluster("pair"))
    assert many.facts["effective_clusters"] <= 72
    assert "few_clusters" not in with_vcov(few, world, "hetero").facts  # a fact of the covariance goes with it
    balanced = pd.DataFrame({"g": np.repeat(range(40), 4), "x": np.tile([0, 1, 0, 1], 40)})
    balanced["y"] = np.random.default_rng(0).normal(size=160)
    fine = with_vcov(ols("y ~ x", balanced), balanced, cluster("g"))
    np.testing.assert_allclose(fine.facts["effective_clusters"], 40, rtol=1e-9)
    assert "few_clusters" not in fine.facts


def test_few_economies_or_periods_are_a_fact_too(world):
    e = ppml(THREE_WAY, world, vcov="hetero")
    assert with_vcov(e, world, dyadic("exporter", "importer")).facts["few_clusters"].startswith("economies: 9.")
    assert with_vcov(e, world, driscoll_kraay("year")).facts["few_clusters"].startswith("year: 6.")
    assert "few_clusters" not in with_vcov(e, world, conley("lat", "lon", cutoff_km=1000)).facts  # control


def test_order_of_rows_and_names_of_levels_do_not_matter(world):
    moved = world.sample(frac=1, random_state=3).assign(exporter=lambda f: "Z" + f["exporter"].str[::-1])
    for vcov in (jackknife("exporter"), driscoll_kraay("year"), conley("lat", "lon", cutoff_km=4000)):
        pairs = [with_vcov(ppml(THREE_WAY, d, vcov="hetero"), d, vcov).vcov for d in (world, moved)]
        np.testing.assert_allclose(*pairs, rtol=1e-8)
    counts = [effective_clusters(ppml(THREE_WAY, d), d, "exporter") for d in (world, moved)]
    pd.testing.assert_frame_equal(*counts, rtol=1e-8)


def test_effects_alone_have_an_empty_covariance(world):
    e = ppml("trade_musd ~ 1 | exporter + importer", world)
    for vcov in (
        "hetero",
        cluster("pair"),
        jackknife("exporter"),
        driscoll_kraay("year"),
        conley("lat", "lon", cutoff_km=9),
    ):
        assert with_vcov(e, world, vcov).vcov.shape == (0, 0)


def test_where_effects_take_what_is_common_to_a_cluster_only_the_other_number_is_given(world):
    for e in (ols("x ~ treated | pair", world, weights="size"), ppml(THREE_WAY, world)):
        got = effective_clusters(e, world, "pair")
        assert got["effective_1"].isna().all()
        assert got["effective_0"].between(1, 72).all()
    assert effective_clusters(e, world, "year")["effective_1"].isna().all()  # exporter-years lie within years
    assert effective_clusters(e, world, "block")["effective_1"].between(1, 7).all()  # control: crossed with all effects


def test_panels_subsets_and_dropped_rows(world):
    frame = world.copy()
    frame.loc[frame.index[:5], "x"] = np.nan
    panel = Panel(frame.reset_index(drop=True), "pair", "year")
    e = ppml(THREE_WAY, panel)
    got = with_vcov(e, panel, cluster("exporter"))
    np.testing.assert_allclose(got.se, ppml(THREE_WAY, panel, vcov=cluster("exporter")).se, rtol=1e-8)
    twice = pd.concat([world, world.assign(trade_musd=np.nan)])  # labels repeat
    assert np.isfinite(with_vcov(ppml(PLAIN, world), world, "hetero").se).all()
    with pytest.raises(ConfigError, match="reset_index"):
        with_vcov(ppml(PLAIN, twice), twice.iloc[::-1], "hetero")
    dropped = frame.assign(twice=2 * frame["x"])
    e = ppml("trade_musd ~ x + twice + treated", dropped, collinear="drop", vcov="hetero")
    np.testing.assert_allclose(with_vcov(e, dropped, "hetero").vcov, e.vcov, rtol=1e-8)
    renamed = e.renamed({"x": "Something"})
    assert list(with_vcov(renamed, dropped, "hetero").se.index) == ["Intercept", "Something", "treated"]


def test_tests_that_fit_again_refuse_a_covariance_that_a_fit_does_not_know(world):
    e = ppml(PLAIN, world)
    assert wald(with_vcov(e, world, jackknife("exporter")), ["treated"]).p_value < 1
    assert 0 <= reset(with_vcov(e, world, cluster("pair")), world).p_value <= 1
    with pytest.raises(ConfigError, match="vcov of PPML"):
        reset(with_vcov(e, world, jackknife("exporter")), world)


@pytest.mark.parametrize(
    ("vcov", "change", "error", "says"),
    [
        ("HC3", {}, ConfigError, "cte.jackknife"),
        (cluster("pair"), {"trade_musd": 1.0}, ConfigError, "do not sum to zero"),
        (cluster("continent"), {}, Exception, "continent"),
        (jackknife("same"), {}, FewClusters, "at least two clusters"),
        (driscoll_kraay("pair"), {}, BadRegressor, "whole numbers or dates"),
        (driscoll_kraay("same"), {}, FewClusters, "two periods"),
        (conley("lat", "wrong", cutoff_km=10), {}, BadRegressor, "outside the globe"),
        (conley("lat", "text", cutoff_km=10), {}, BadRegressor, "numeric"),
        (conley("exporter", cutoff_km=10, distances=pd.DataFrame()), {}, ConfigError, "not there"),
    ],
)
def test_bad_input_is_named(world, vcov, change, error, says):
    frame = world.assign(same=1, wrong=400.0, text="a")
    e = ppml(PLAIN, frame)
    with pytest.raises(error) as caught:
        with_vcov(e, frame.assign(**change), vcov)
    assert says in str(caught.value)
    assert with_vcov(e, frame, "hetero").nobs == e.nobs  # control


def test_other_data_and_other_estimates_are_refused(world):
    e = ppml(PLAIN, world)
    with pytest.raises(ConfigError, match="of its"):
        with_vcov(e, world.iloc[10:], "hetero")
    other = Estimate("ETWFE", "y ~ x", e.coef, e.vcov, e.nobs)
    with pytest.raises(ConfigError, match="an estimate of ETWFE"):
        with_vcov(other, world, "hetero")


def test_constructors_refuse_nonsense():
    for call in (
        lambda: jackknife(""),
        lambda: driscoll_kraay("year", lags=-1),
        lambda: driscoll_kraay("year", lags=1.5),
        lambda: conley("lat", cutoff_km=5),
        lambda: conley("lat", "lon", cutoff_km=0),
        lambda: conley("lat", "lon", cutoff_km=float("nan")),
        lambda: conley("lat", "lon", cutoff_km=5, kernel="gauss"),
    ):
        with pytest.raises(ConfigError):
            call()
    assert str(conley("lat", "lon", cutoff_km=500)) == "Conley, bartlett kernel to 500 km: lat, lon"


def test_tables_print_every_covariance(world):
    e = ppml(PLAIN, world)
    kinds = (
        cluster("exporter", "year"),
        jackknife("exporter"),
        driscoll_kraay("year"),
        conley("lat", "lon", cutoff_km=500),
    )
    text = table([with_vcov(e, world, vcov) for vcov in kinds]).to_markdown()
    assert "cluster jackknife (CRV3): exporter" in text
    assert "Driscoll-Kraay: year" in text
    assert "Conley, bartlett kernel to 500 km" in text
    both = with_vcov(e, world, kinds[0]).facts
    assert both["few_clusters"].count("effectively") == 2
    assert f"{both['effective_clusters']:.1f}" in both["few_clusters"]


def test_clusters_may_be_combinations_of_columns(world):
    e = ppml(PLAIN, world)
    joined = world.assign(both=world["exporter"] + world["year"].astype(str))
    for kind in (jackknife, cluster):
        a, b = (with_vcov(e, joined, kind(name)).se for name in ("exporter^year", "both"))
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_data_that_effects_alone_would_tell_apart_are_refused():
    frame = gravity_world(8, 6, seed=2)
    e = ols("trade_musd ~ treated | pair[year]", frame)
    pd.testing.assert_frame_equal(with_vcov(e, frame, "hetero").vcov, e.vcov, rtol=1e-8)  # control
    with pytest.raises(ConfigError, match="within a level of the effects"):
        with_vcov(e, frame.assign(year=frame["year"] - 2000), "hetero")
    e = ols("trade_musd ~ treated | pair + year", frame)
    moved = frame["trade_musd"] + frame.groupby("pair").ngroup()
    with pytest.raises(ConfigError, match="within a level of the effects"):
        with_vcov(e, frame.assign(trade_musd=moved), "hetero")


@pytest.mark.parametrize("fit", [cte.ols, cte.ppml], ids=["ols", "ppml"])
def test_a_variance_of_nothing_is_missing_and_not_zero(fit):
    """All rows share an economy, so that all are correlated: the scores add up to zero and leave no variance at all."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": "B0", "b": [f"B{k % 9}" for k in range(90)], "x": rng.normal(size=90)})
    frame["y"] = np.exp(0.3 * frame["x"] + rng.normal(size=90))
    e = fit("y ~ x", frame, vcov=cte.dyadic("a", "b"))
    assert e.se.isna().all()
    assert e.facts["vcov_missing"] == 2
    assert e.tidy()["p_value"].isna().all()
    assert cte.with_vcov(e, frame, cte.dyadic("a", "b")).se.isna().all()
    with pytest.raises(NotIdentified):
        cte.wald(e)
    both = frame.assign(a=[f"B{k // 10}" for k in range(90)])
    control = fit("y ~ x", both, vcov=cte.dyadic("a", "b"))
    assert (control.se > 0).all()
    assert "vcov_missing" not in control.facts
    exact = fit("z ~ x", frame.assign(z=1.0), vcov=cte.cluster("b"))
    assert exact.se.isna().all()  # nor does an exact fit tell of any noise
    assert exact.facts["fitted_exactly"] is True


@pytest.mark.parametrize("lost", [[], [0], [1], [0, 2]])
def test_variances_that_vanish_go_with_their_covariances_and_leave_the_others(lost):
    scores = np.random.default_rng(1).normal(size=(50, 3))
    root = np.diag([1.0, 1e-4, 1e3])  # units of coefficients do not matter
    matrix = root @ (scores.T @ scores) @ root
    size = np.sqrt(np.diag(matrix))
    matrix[lost] *= 1e-14  # rounding, as a share of the variance without clusters
    matrix[:, lost] *= 1e-14
    before = matrix.copy()
    found, count = known(matrix, root, scores)
    gone = np.isin(np.arange(3), lost)
    missing = gone[:, None] | gone
    assert count == len(lost)
    np.testing.assert_array_equal(np.isnan(found), missing)
    np.testing.assert_array_equal(found[~missing], before[~missing])
    np.testing.assert_array_equal(matrix, before)  # what was given stays
    assert (size > 0).all()
