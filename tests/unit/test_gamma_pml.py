"""Gamma pseudo maximum likelihood against statsmodels, closed forms and an independent dense optimiser."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cyber_trade_econ.errors import BadOutcome, Collinear, ConfigError, SeparationError
from cyber_trade_econ.gravity.expectile import expectile
from cyber_trade_econ.gravity.gamma_pml import gamma_pml
from cyber_trade_econ.gravity.negbin import negbin
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.simulate import gravity_world

TWO_WAY = "trade_musd ~ treated + x | exporter^year + importer^year"


@pytest.fixture(scope="module")
def world():
    frame = gravity_world(8, 6, noise=1.0, seed=2)
    rng = np.random.default_rng(0)
    frame["x"] = rng.normal(size=len(frame))
    frame["size"] = rng.integers(1, 4, len(frame)).astype(float)
    frame["with_zeros"] = np.where(rng.random(len(frame)) < 0.2, 0.0, frame["trade_musd"])
    return frame


def dense(frame):
    """Regressors and dummies of full rank: one importer per year is left out."""
    exporters = pd.get_dummies(frame["exporter"] + frame["year"].astype(str)).astype(float)
    importers = pd.get_dummies(frame["importer"] + frame["year"].astype(str)).astype(float)
    importers = importers.loc[:, ~importers.columns.str.startswith(frame["importer"].min())]
    return np.column_stack([frame[["treated", "x"]].to_numpy(float), exporters, importers])


@pytest.mark.parametrize("vcov", ["iid", "hetero"])
def test_it_agrees_with_statsmodels_on_dummies(world, vcov):
    import statsmodels.api as sm

    model = sm.GLM(world["trade_musd"], dense(world), family=sm.families.Gamma(sm.families.links.Log()))
    want = model.fit(maxiter=500, tol=1e-14, **({} if vcov == "iid" else {"cov_type": "HC0"}))
    e = gamma_pml(TWO_WAY, world, vcov=vcov)
    # statsmodels stops on the deviance, which leaves about half of its digits to the coefficients.
    np.testing.assert_allclose(e.coef, np.asarray(want.params)[:2], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(e.se, np.asarray(want.bse)[:2], rtol=1e-5)
    assert e.facts["deviance"] == pytest.approx(want.deviance, rel=1e-10)
    assert e.facts["largest_relative_score"] < 1e-9


def test_zeros_count_and_the_first_order_conditions_hold(world):
    e = gamma_pml(TWO_WAY.replace("trade_musd", "with_zeros"), world)
    y, X = world["with_zeros"].to_numpy(), dense(world)
    assert e.facts["zeros"] == (y == 0).sum() > 0
    ratio = y / e.predict(world).to_numpy() - 1
    np.testing.assert_allclose(X.T @ ratio, 0, atol=1e-8)
    start = np.linalg.lstsq(X, np.log(y + 1), rcond=None)[0]
    other = optimize.minimize(
        lambda b: np.mean(y * np.exp(-X @ b) + X @ b),
        start,
        jac=lambda b: X.T @ (1 - y * np.exp(-X @ b)) / len(y),
        hess=lambda b: (X.T * (y * np.exp(-X @ b))) @ X / len(y),
        method="trust-exact",
        options={"gtol": 1e-11},
    )
    np.testing.assert_allclose(e.coef, other.x[:2], atol=1e-7)  # as far as the optimiser's gradient goes


@pytest.mark.parametrize("weights", [None, "size"])
def test_effects_alone_fit_weighted_means(world, weights):
    e = gamma_pml("with_zeros ~ 1 | exporter", world, weights=weights)
    w = world[weights] if weights else pd.Series(1.0, index=world.index)
    by = world["exporter"]
    means = (world["with_zeros"] * w).groupby(by).sum() / w.groupby(by).sum()
    np.testing.assert_allclose(e.predict(world), means.loc[by], rtol=1e-9)


def test_units_weights_and_offsets(world):
    e = gamma_pml(TWO_WAY, world, vcov=cluster("pair"), weights="size")
    scaled = gamma_pml(
        TWO_WAY, world.assign(trade_musd=world["trade_musd"] * 1e12), vcov=cluster("pair"), weights="size"
    )
    twice = world.loc[world.index.repeat(world["size"].astype(int))]
    repeated = gamma_pml(TWO_WAY, twice, vcov=cluster("pair"))
    for other in (scaled, repeated):
        np.testing.assert_allclose(e.coef, other.coef, atol=1e-9)
        np.testing.assert_allclose(e.se, other.se, rtol=1e-8)
    known = world.assign(known=0.3 * world["x"])
    moved = gamma_pml(TWO_WAY, known, offset="known")
    np.testing.assert_allclose(moved.coef["x"] + 0.3, gamma_pml(TWO_WAY, world).coef["x"], atol=1e-9)


def test_no_effects_and_a_panel(world):
    e = gamma_pml("trade_musd ~ log(size) + x", world.assign(size=world["size"] + 1), vcov="hetero")
    assert list(e.coef.index) == ["Intercept", "log(size)", "x"]
    panel = Panel(frame=world, unit="pair", time="year")
    assert gamma_pml(TWO_WAY, panel).facts["clusters"] == {"pair": 56}


def test_an_estimate_that_does_not_exist_is_refused():
    """The zeros lie at negative x: the slope runs to infinity, though no row is separated for PPML."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(0, 1, 40), rng.uniform(-9, -8, 40)])
    frame = pd.DataFrame({"x": x, "y": np.where(x > 0, rng.uniform(0.5, 2, 80), 0.0)})
    assert np.isfinite(ppml("y ~ 0 + x", frame).coef).all()
    with pytest.raises(SeparationError, match="does not exist"):
        gamma_pml("y ~ 0 + x", frame)
    assert np.isfinite(gamma_pml("y ~ 0 + x", frame.assign(y=frame["y"] + 0.1)).coef).all()


def test_a_combination_seen_in_zeros_alone_is_refused():
    """The third level of b meets positive rows through one level of a only: two zeros pull in opposite directions."""
    frame = pd.DataFrame({"x": [1.0, 1.0, 0.0, 0.0, 2.0, 0.0] * 5, "y": [0.0, 0.0, 1.0, 2.0, 0.0, 3.0] * 5})
    frame["x"] = np.where(frame["y"] > 0, 0.0, np.tile([1.0, -2.0, 0, 0, 3.0, 0], 5))
    assert np.isfinite(ppml("y ~ x", frame).coef).all()
    with pytest.raises(SeparationError, match="pull it to infinity"):
        gamma_pml("y ~ x", frame)


def test_rows_that_carry_no_information_are_dropped_and_counted(world):
    frame = world.copy()
    first = frame["exporter"].min()
    frame.loc[(frame["exporter"] == first) & (frame["year"] == frame["year"].min()), "trade_musd"] = 0.0
    e = gamma_pml(TWO_WAY, frame)
    assert e.facts["dropped"] == {"zero in every row of an effect": 7}
    assert e.nobs == len(frame) - 7
    with pytest.raises(SeparationError):
        gamma_pml(TWO_WAY, frame, separation="error")


@pytest.mark.parametrize(
    ("change", "formula", "options", "error"),
    [
        ({"trade_musd": -1.0}, TWO_WAY, {}, BadOutcome),
        ({"trade_musd": 0.0}, TWO_WAY, {}, BadOutcome),
        ({"x": 1.0}, TWO_WAY, {}, Collinear),
        ({}, TWO_WAY, {"vcov": "HC3"}, ConfigError),
        ({}, TWO_WAY, {"tol": 1.0}, ConfigError),
    ],
)
def test_bad_input_has_a_name(world, change, formula, options, error):
    assert gamma_pml(formula, world).nobs == len(world)
    with pytest.raises(error):
        gamma_pml(formula, world.assign(**change), **options)


@pytest.mark.parametrize("fit", [gamma_pml, partial(expectile, tau=0.3), negbin], ids=["gamma", "expectile", "negbin"])
def test_few_clusters_are_pointed_out(world, fit):
    formula = "trade_musd ~ treated + x | exporter + year"
    assert fit(formula, world, vcov=cluster("year")).facts["few_clusters"].startswith("year: 6")
    assert "few_clusters" not in fit(formula, world, vcov=cluster("pair")).facts  # 56 of them
