"""Asymmetric Poisson regression: PPML in the middle, sample expectiles without regressors, a dense optimiser between."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.gravity.expectile import expectile
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.simulate import gravity_world

TWO_WAY = "trade_musd ~ treated + x | exporter^year + importer^year"
TAUS = (0.05, 0.3, 0.5, 0.9)


@pytest.fixture(scope="module")
def world():
    frame = gravity_world(8, 6, noise=1.0, seed=2)
    rng = np.random.default_rng(0)
    frame["x"] = rng.normal(size=len(frame))
    frame.loc[rng.random(len(frame)) < 0.2, "trade_musd"] = 0.0
    return frame


def test_the_middle_is_ppml(world):
    a, b = expectile(TWO_WAY, world, tau=0.5, vcov=cluster("pair")), ppml(TWO_WAY, world, vcov=cluster("pair"))
    np.testing.assert_allclose(a.coef, b.coef, atol=1e-9)
    np.testing.assert_allclose(a.vcov, b.vcov, rtol=1e-7)
    np.testing.assert_allclose(a.predict(world), b.predict(world), rtol=1e-7)


@pytest.mark.parametrize("tau", TAUS)
def test_effects_alone_fit_sample_expectiles(world, tau):
    fitted = expectile("trade_musd ~ 1 | exporter", world, tau=tau).predict(world)
    for name, y in world.groupby("exporter")["trade_musd"]:
        want = optimize.brentq(
            lambda m, y=y: tau * np.maximum(y - m, 0).sum() - (1 - tau) * np.maximum(m - y, 0).sum(),
            0,
            y.max(),
            xtol=1e-12,
        )
        np.testing.assert_allclose(fitted[world["exporter"] == name], want, rtol=1e-9)


@pytest.mark.parametrize("tau", TAUS)
def test_it_agrees_with_a_dense_optimiser(world, tau):
    groups = pd.get_dummies(world["exporter"]).to_numpy(float)
    X = np.column_stack([world[["treated", "x"]].to_numpy(float), groups])
    y = (world["trade_musd"] / world["trade_musd"].mean()).to_numpy()

    def side(b):
        return np.where(y > np.exp(X @ b), tau, 1 - tau)

    def loss(b):
        log_y = np.log(np.where(y > 0, y, 1))
        return -np.mean(side(b) * (y * (X @ b - log_y) - np.exp(X @ b) + y))

    other = optimize.minimize(
        loss,
        np.zeros(X.shape[1]),
        jac=lambda b: -X.T @ (side(b) * (y - np.exp(X @ b))) / len(y),
        options={"gtol": 1e-10},
    )
    e = expectile("trade_musd ~ treated + x | exporter", world, tau=tau)
    np.testing.assert_allclose(e.coef, other.x[:2], atol=1e-5)  # BFGS on a loss with kinks in its second derivative


def test_fits_rise_with_tau_and_units_do_not_matter(world):
    fits = [expectile("trade_musd ~ x", world, tau=t) for t in TAUS]
    assert all((np.diff([f.predict(world).mean() for f in fits])) > 0)
    assert fits[0].facts["share_above"] > 0.5 > fits[-1].facts["share_above"]
    scaled = expectile(TWO_WAY, world.assign(trade_musd=world["trade_musd"] * 1e9), tau=0.3)
    np.testing.assert_allclose(scaled.coef, expectile(TWO_WAY, world, tau=0.3).coef, atol=1e-8)


def test_what_it_refuses(world):
    for tau in (0.0, 1.0, -0.2, np.nan):
        with pytest.raises(ConfigError, match="tau"):
            expectile(TWO_WAY, world, tau=tau)
    with pytest.raises(ConfigError, match="vcov"):
        expectile(TWO_WAY, world, tau=0.4, vcov="iid")
    assert expectile(TWO_WAY, world, tau=0.4).nobs == len(world)
