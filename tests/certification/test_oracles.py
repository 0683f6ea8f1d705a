"""Other software on the same simulated data, run side by side: statsmodels with dummies, and pyfixest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster, ssc
from cyber_trade_econ.simulate import gravity_world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:", "ignore:.*inplace keyword")
NO_K = ssc(k_adj=False)  # pyfixest 0.60 counts nested effects in an order that changes between processes


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    frame = gravity_world(9, 6, seed=21)
    rng = np.random.default_rng(1)
    frame["trade_musd"] = np.where(rng.random(len(frame)) < 0.15, 0.0, frame["trade_musd"])
    frame["x"] = rng.normal(size=len(frame))
    frame["weight"] = rng.uniform(0.5, 2, len(frame))
    return frame


def test_poisson_with_dummies_in_statsmodels(world):
    api = pytest.importorskip("statsmodels.api")
    dummies = pd.get_dummies(world[["exporter", "importer", "year"]].astype(str), drop_first=True, dtype=float)
    Z = pd.concat([world[["treated", "x"]], dummies], axis=1).assign(constant=1.0)
    codes = pd.factorize(world["pair"])[0]
    theirs = api.GLM(world["trade_musd"], Z, family=api.families.Poisson()).fit(
        tol=1e-13, cov_type="cluster", cov_kwds={"groups": codes, "use_correction": False}
    )
    ours = ppml("trade_musd ~ treated + x | exporter + importer + year", world, vcov=cluster("pair"), ssc="none")
    np.testing.assert_allclose(ours.coef, theirs.params[["treated", "x"]], rtol=1e-8)
    np.testing.assert_allclose(ours.se, theirs.bse[["treated", "x"]], rtol=1e-6)
    np.testing.assert_allclose(ours.facts["log_likelihood"], theirs.llf, rtol=1e-10)
    np.testing.assert_allclose(ours.facts["deviance"], theirs.deviance, rtol=1e-9)
    np.testing.assert_allclose(ours.predict(world), theirs.fittedvalues, rtol=1e-7)


@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("ppml", "trade_musd ~ treated + x | exporter^year + importer^year + pair"),
        ("ppml", "trade_musd ~ treated + x | exporter + importer"),
        ("ols", "x ~ treated + trade_musd | exporter^year + importer^year + pair"),
        ("ols", "x ~ treated + trade_musd | pair"),
    ],
)
@pytest.mark.parametrize("by", [("pair",), ("exporter", "importer")], ids=["pair", "two-way"])
def test_pyfixest(world, model, spec, weights, by):
    pf = pytest.importorskip("pyfixest")
    mine = (ppml if model == "ppml" else ols)(spec, world, vcov=cluster(*by), ssc=NO_K, weights=weights)
    left, right = spec.split("|")
    for effect in ("exporter^year", "importer^year"):
        right = right.replace(effect, effect.replace("^", "_"))
    wide = world.assign(
        exporter_year=world["exporter"] + world["year"].astype(str),
        importer_year=world["importer"] + world["year"].astype(str),
    )
    choices = {"iwls_tol": 1e-11, "iwls_maxiter": 100} if model == "ppml" else {}
    theirs = (pf.fepois if model == "ppml" else pf.feols)(
        f"{left}|{right}",
        wide,
        vcov={"CRV1": " + ".join(by)},
        ssc=pf.ssc(k_adj=False, G_adj=True, G_df="min"),
        weights=weights,
        fixef_tol=1e-11,
        **choices,
    )
    np.testing.assert_allclose(mine.coef, theirs.coef(), rtol=1e-6)  # pyfixest demeans iteratively
    if not mine.facts["vcov_repaired"]:
        np.testing.assert_allclose(mine.se, theirs.se(), rtol=1e-5)


@pytest.mark.parametrize(
    "spec", ["trade_musd ~ treated + x | exporter + importer", "trade_musd ~ treated + x | exporter"]
)
@pytest.mark.parametrize("model", ["ppml", "ols"])
@pytest.mark.parametrize("vcov", ["iid", "hetero"])
def test_small_sample_factors_of_fixest(world, model, spec, vcov):
    """pyfixest counts effects right where none is nested in a cluster; so without clusters its factors can be compared."""
    pf = pytest.importorskip("pyfixest")
    mine = (ppml if model == "ppml" else ols)(spec, world, vcov=vcov, ssc="fixest")
    fit = pf.fepois if model == "ppml" else pf.feols
    theirs = fit(
        spec, world, vcov=vcov, ssc=pf.ssc(k_adj=True, k_fixef="full", G_adj=True, G_df="min"), fixef_tol=1e-11
    )
    np.testing.assert_allclose(mine.se, theirs.se(), rtol=1e-5)


def test_grunfeld_in_statsmodels():
    """Pooled and dummy-variable regressions on the copy of Grunfeld's data that statsmodels ships."""
    api = pytest.importorskip("statsmodels.api")
    frame = api.datasets.grunfeld.load_pandas().data
    for effects in ([], ["firm"], ["firm", "year"]):
        dummies = [pd.get_dummies(frame[c].astype(str), drop_first=True, dtype=float) for c in effects]
        Z = pd.concat([frame[["value", "capital"]], *dummies], axis=1).assign(constant=1.0)
        theirs = api.OLS(frame["invest"], Z).fit()
        ours = ols("invest ~ value + capital" + (" | " + " + ".join(effects) if effects else ""), frame, vcov="iid")
        both = ["value", "capital"]
        np.testing.assert_allclose(ours.coef[both], theirs.params[both], rtol=1e-9)
        np.testing.assert_allclose(ours.se[both], theirs.bse[both], rtol=1e-9)
        np.testing.assert_allclose(ours.facts["r2"], theirs.rsquared, rtol=1e-9)
