"""More of what a frame or a call can hold that no estimator can use: each is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import BadOutcome, BadRegressor, ConfigError, FormulaError, NotConverged
from cyber_trade_econ.simulate import gravity_world

ONE = "trade_musd ~ x | exporter"


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    frame = gravity_world(7, 5, seed=11)
    rng = np.random.default_rng(0)
    return frame.assign(x=rng.normal(size=len(frame)), z=rng.normal(size=len(frame)))


def lists(n: int) -> pd.Series:
    return pd.Series([[k % 3] for k in range(n)])


@pytest.mark.parametrize("fit", [cte.ols, cte.ppml, cte.gamma_pml], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("change", "formula", "options", "error", "says"),
    [
        ({}, ONE, {"weights": np.ones(3)}, FormulaError, "the weight must be named by text; found ndarray"),
        ({}, ONE, {"weights": 3}, FormulaError, "found int"),
        ({}, ONE, {"offset": pd.Series([1.0])}, FormulaError, "the offset must be named by text; found Series"),
        ({"x": lambda f: f["z"] + 1j}, ONE, {}, BadRegressor, "complex128"),
        ({"trade_musd": lambda f: f["z"] + 1j}, ONE, {}, BadOutcome, "complex128"),
        ({"exporter": lambda f: lists(len(f))}, ONE, {}, BadRegressor, "'exporter' holds values that cannot be told apart"),
        ({"pair": lambda f: lists(len(f))}, ONE, {"vcov": cte.cluster("pair")}, BadRegressor, "'pair' holds values"),
        ({"x": lambda f: f["x"] * 1e200, "z": lambda f: f["z"] * 1e200}, "trade_musd ~ x:z", {}, BadRegressor, "x:z has"),
    ],
)  # fmt: skip
def test_values_and_names(world, fit, change, formula, options, error, says):
    with pytest.raises(error, match=says):
        fit(formula, world.assign(**change), **options)
    named = {k: v if k == "vcov" else "year" for k, v in options.items()}
    assert fit(formula, world, **named).nobs == len(world)  # control


@pytest.mark.parametrize(
    "options", [{"tol": "a"}, {"tol": None}, {"separation": None}, {"separation": 3}, {"separation": [1]}]
)
def test_options(world, options):
    with pytest.raises(ConfigError, match="allowed"):
        cte.ppml(ONE, world, **options)
    assert cte.ppml(ONE, world, tol=1e-9, separation=["fe"]).nobs == len(world)


@pytest.mark.parametrize("sides", [("exporter", "exporter"), ("exporter", 3), ("", "importer")])
def test_a_dyad_has_two_sides(sides):
    with pytest.raises(ConfigError, match="two different column names"):
        cte.dyadic(*sides)
    assert str(cte.dyadic("exporter", "importer")) == "dyadic: exporter, importer"


@pytest.mark.parametrize("fit", [cte.ppml, cte.gamma_pml], ids=lambda f: f.__name__)
@pytest.mark.parametrize("formula", ["trade_musd ~ x", "trade_musd ~ x | exporter^year + importer^year + pair"])
def test_an_offset_in_levels_is_refused(world, fit, formula):
    with pytest.raises(BadRegressor, match="the offset spans more"):
        fit(formula, world.assign(z=world["z"] * 1000), offset="z")
    assert fit(formula, world, offset="z").nobs == len(world)


def test_an_outcome_without_digits_left(world):
    same = np.arange(len(world)).astype(np.uint64) + np.uint64(2**63)  # as floating-point numbers they are all the same
    e = cte.ppml("trade_musd ~ x", world.assign(trade_musd=same))
    np.testing.assert_allclose(e.coef["Intercept"], 63 * np.log(2), rtol=1e-12)
    assert abs(e.coef["x"]) < 1e-10


@pytest.mark.parametrize("formula", ["y ~ x + d", "y ~ x + d | g", "y ~ x + d | g + h"])
def test_without_the_checks_a_coefficient_that_runs_away_is_not_returned(formula):
    rng = np.random.default_rng(4)
    rows = np.arange(300)
    frame = pd.DataFrame({"x": rng.normal(size=300), "g": rows % 6, "h": rows % 7, "d": (rows < 40).astype(float)})
    frame["y"] = np.where(frame["d"] == 1, 0, rng.poisson(np.exp(0.3 * frame["x"])))
    with pytest.raises(NotConverged):
        cte.ppml(formula, frame, separation=())
    assert cte.ppml(formula, frame).facts["dropped"] == {"separated by regressors": 40}  # control


def test_a_regressor_that_is_zero_wherever_trade_is_positive_has_a_meaningful_score():
    frame = pd.DataFrame(
        {"y": [0.0] * 4 + [1.0, 2, 3, 4], "x": [1.0, 1, -1, -1, 0, 0, 0, 0], "z": [1.0, 2, 2, 1, 3, 1, 2, 4]}
    )
    e = cte.ppml("y ~ 0 + x + z", frame)
    assert e.facts["largest_relative_score"] < 1e-8
