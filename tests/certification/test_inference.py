"""Covariances and bootstraps against other software, textbook formulas, and simulations with a known size."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster, ssc
from cyber_trade_econ.inference.driscoll_kraay import driscoll_kraay
from cyber_trade_econ.inference.few_clusters import effective_clusters
from cyber_trade_econ.inference.jackknife import jackknife
from cyber_trade_econ.inference.recovariance import with_vcov
from cyber_trade_econ.inference.wild import wild_bootstrap
from cyber_trade_econ.simulate import gravity_world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:", "ignore:.*inplace keyword")


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    frame = gravity_world(8, 12, seed=31)
    rng = np.random.default_rng(7)
    frame["x"] = rng.normal(size=len(frame)) + 0.1 * frame["year"] % 3
    frame["ltrade"] = np.log(frame["trade_musd"])
    return frame.sort_values(["pair", "year"]).reset_index(drop=True)


@pytest.mark.parametrize("lags", [0, 1, 3])
@pytest.mark.parametrize("model", ["OLS", "PPML"])
def test_driscoll_kraay_in_statsmodels(world, lags, model):
    api = pytest.importorskip("statsmodels.api")
    Z = world[["treated", "x"]].astype(float).assign(constant=1.0)
    how = {
        "cov_type": "hac-groupsum",
        "cov_kwds": {"time": pd.factorize(world["year"], sort=True)[0], "maxlags": lags, "use_correction": False},
    }
    if model == "OLS":
        theirs = api.OLS(world["ltrade"], Z).fit(**how)
        e = ols("ltrade ~ treated + x", world)
    else:
        theirs = api.GLM(world["trade_musd"], Z, family=api.families.Poisson()).fit(tol=1e-13, **how)
        e = ppml("trade_musd ~ treated + x", world)
    ours = with_vcov(e, world, driscoll_kraay("year", lags=lags), ssc="none")
    np.testing.assert_allclose(
        ours.se[["treated", "x"]], theirs.bse[["treated", "x"]], rtol=1e-6
    )  # GLM iterates to 1e-8


@pytest.mark.parametrize("lags", [0, 2, None])
def test_driscoll_kraay_in_linearmodels(world, lags):
    panel = pytest.importorskip("linearmodels.panel")
    indexed = world.set_index(["pair", "year"])
    theirs = panel.PanelOLS(indexed["ltrade"], indexed[["treated", "x"]], entity_effects=True, time_effects=False).fit(
        cov_type="kernel", kernel="bartlett", bandwidth=lags, debiased=False
    )
    e = ols("ltrade ~ treated + x | pair", world)
    ours = with_vcov(e, world, driscoll_kraay("year", lags=lags), ssc="none")
    # linearmodels multiplies by N/(N-effects) in place of a factor chosen by us.
    factor = np.asarray(theirs.std_errors)[0] / ours.se.iloc[0]
    np.testing.assert_allclose(ours.se * factor, theirs.std_errors, rtol=1e-8)
    n, units = len(world), world["pair"].nunique()
    assert min(abs(factor**2 - f) for f in (1.0, n / (n - units), n / (n - units - 2))) < 1e-8
    assert ours.facts["lags"] == (0 if lags == 0 else 2)  # both choose floor(4 (12/100)^(2/9)) = 2


@pytest.mark.parametrize("model", ["ols", "ppml"])
def test_driscoll_kraay_in_pyfixest(world, model):
    pf = pytest.importorskip("pyfixest")
    left = "ltrade" if model == "ols" else "trade_musd"
    spec = f"{left} ~ treated + x | exporter + importer"
    theirs = (pf.feols if model == "ols" else pf.fepois)(
        spec,
        world.assign(unit=pd.factorize(world["pair"])[0]),
        vcov="DK",
        vcov_kwargs={"time_id": "year", "panel_id": "unit", "lag": 2},
        ssc=pf.ssc(k_adj=False, G_adj=True),
    )
    e = (ols if model == "ols" else ppml)(spec, world)
    ours = with_vcov(e, world, driscoll_kraay("year", lags=2), ssc=ssc(k_adj=False))
    np.testing.assert_allclose(ours.se, theirs.se(), rtol=1e-5)  # pyfixest demeans iteratively


def test_driscoll_kraay_of_poisson_with_effects_in_statsmodels(world):
    api = pytest.importorskip("statsmodels.api")
    dummies = pd.get_dummies(world[["exporter", "importer"]].astype(str), drop_first=True, dtype=float)
    Z = pd.concat([world[["treated", "x"]], dummies], axis=1).astype(float).assign(constant=1.0)
    theirs = api.GLM(world["trade_musd"], Z, family=api.families.Poisson()).fit(
        tol=1e-13,
        cov_type="hac-groupsum",
        cov_kwds={"time": pd.factorize(world["year"], sort=True)[0], "maxlags": 2, "use_correction": False},
    )
    e = ppml("trade_musd ~ treated + x | exporter + importer", world)
    ours = with_vcov(e, world, driscoll_kraay("year"), ssc="none")
    np.testing.assert_allclose(ours.se, theirs.bse[["treated", "x"]], rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("ols", "ltrade ~ treated + x"),
        ("ols", "ltrade ~ treated + x | pair"),
        ("ols", "ltrade ~ treated + x | exporter + importer + year"),
        ("ppml", "trade_musd ~ treated + x"),
        ("ppml", "trade_musd ~ treated + x | exporter + importer"),
    ],
)
def test_jackknife_in_pyfixest(world, model, spec):
    pf = pytest.importorskip("pyfixest")
    mine = with_vcov((ols if model == "ols" else ppml)(spec, world), world, jackknife("exporter"))
    theirs = (pf.feols if model == "ols" else pf.fepois)(
        spec, world, vcov={"CRV3": "exporter"}, ssc=pf.ssc(k_adj=False, G_adj=False)
    )
    # pyfixest sums the squares without (G-1)/G, and iterates with its default tolerance when it leaves a cluster out.
    np.testing.assert_allclose(mine.se[["treated", "x"]], theirs.se()[["treated", "x"]] * np.sqrt(7 / 8), rtol=1e-4)


@pytest.mark.parametrize("two", [("exporter", "importer"), ("pair", "year")])
def test_two_way_clusters_of_poisson_in_statsmodels(world, two):
    api = pytest.importorskip("statsmodels.api")
    Z = world[["treated", "x"]].astype(float).assign(constant=1.0)
    codes = np.column_stack([pd.factorize(world[c])[0] for c in two])
    e = with_vcov(ppml("trade_musd ~ treated + x", world), world, cluster(*two), ssc="none")
    fit = api.GLM(world["trade_musd"], Z, family=api.families.Poisson()).fit(tol=1e-13)
    from statsmodels.stats import sandwich_covariance

    raw = sandwich_covariance.cov_cluster_2groups(fit, codes[:, 0], codes[:, 1], use_correction=False)[0][:2, :2]
    positive = np.linalg.eigvalsh(raw).min() > 0
    assert positive or e.facts["vcov_repaired"]
    if not e.facts["vcov_repaired"]:
        np.testing.assert_allclose(e.vcov.loc[["treated", "x"], ["treated", "x"]], raw, rtol=1e-6)


def test_of_a_mean_the_jackknife_is_the_textbook_variance_of_cluster_means():
    rng = np.random.default_rng(0)
    means = rng.normal(size=9)
    frame = pd.DataFrame({"g": np.repeat(range(9), 4), "y": np.repeat(means, 4)})
    frame["y"] += np.tile([-1.0, 1.0, 2.0, -2.0], 9)  # sums to zero in each cluster
    e = ols("y ~ 1", frame)
    np.testing.assert_allclose(with_vcov(e, frame, jackknife("g")).se["Intercept"], means.std(ddof=1) / 3, rtol=1e-12)
    np.testing.assert_allclose(effective_clusters(e, frame, "g").loc["Intercept", ["effective_0", "effective_1"]], 9)


def test_of_a_mean_the_wild_bootstrap_is_the_sign_test_of_cluster_means():
    """Fisher's sign-change test: with equal clusters both order sign patterns by the absolute mean."""
    rng = np.random.default_rng(1)
    means = rng.normal(0.5, 1, 8)
    frame = pd.DataFrame({"g": np.repeat(range(8), 3), "y": np.repeat(means, 3) + np.tile([-1.0, 0.0, 1.0], 8)})
    got = wild_bootstrap(ols("y ~ 1", frame), frame, "Intercept", "g", null=0.1)
    flipped = [abs(np.mean((means - 0.1) * s)) for s in product([1.0, -1.0], repeat=8)]
    want = np.mean(np.array(flipped) >= abs(means.mean() - 0.1) - 1e-12)
    assert got.p_value == want
    assert got.draws == 128


def rejections(kind: str, clusters: int, repetitions: int) -> dict[str, float]:
    """Share of rejections at five per cent of a true hypothesis; regressor and error vary by cluster, sizes are unequal."""
    sizes = np.maximum(2, (60 * np.exp(2 * np.arange(clusters) / clusters) / clusters).astype(int))
    group = np.repeat(np.arange(clusters), sizes)
    counts = dict.fromkeys(("t(G-1)", "normal", "jackknife", "wild"), 0)
    for repetition in range(repetitions):
        rng = np.random.default_rng([repetition, clusters])
        x = rng.normal(size=clusters)[group] + 0.3 * rng.normal(size=len(group))
        u = rng.normal(size=clusters)[group]
        frame = pd.DataFrame({"g": group, "x": x})
        if kind == "ols":
            frame["y"] = u + rng.normal(size=len(group))
            e = ols("y ~ x", frame, vcov=cluster("g"))
        else:
            frame["y"] = rng.poisson(np.exp(1 + 0.5 * u)).astype(float)
            e = ppml("y ~ x", frame, vcov=cluster("g"))
        t = abs(e.coef["x"] / e.se["x"])
        third = abs(e.coef["x"] / with_vcov(e, frame, jackknife("g", one_step=True)).se["x"])
        edge = stats.t.ppf(0.975, clusters - 1)
        counts["t(G-1)"] += t > edge
        counts["normal"] += t > stats.norm.ppf(0.975)
        counts["jackknife"] += third > edge
        wild = wild_bootstrap(e, frame, "x", "g", draws=399, seed=repetition, level=None)
        counts["wild"] += wild.p_value <= 0.05
    return {name: count / repetitions for name, count in counts.items()}


@pytest.mark.parametrize("kind", ["ols", "ppml"])
def test_size_with_ten_unequal_clusters(kind):
    """The naive test rejects far too often, the restricted bootstrap about as often as it says (Cameron et al. 2008)."""
    got = rejections(kind, 10, 400)
    assert got["normal"] > 0.11
    assert got["wild"] < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)  # three standard errors of the simulation: 0.083
    assert got["wild"] > 0.05 - 3 * np.sqrt(0.05 * 0.95 / 400)
    assert got["jackknife"] <= got["t(G-1)"] < got["normal"]
