"""Park and Gauss-Newton tests of how the variance moves with the mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.gravity.gauss_newton import gauss_newton
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.park import park
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster

api = pytest.importorskip("statsmodels.api")


def drawn(power: float, rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Gamma outcomes whose variance is the mean to the given power."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    mean = np.exp(0.5 + 0.7 * x)
    variance = 0.5 * mean**power
    y = rng.gamma(mean**2 / variance, variance / mean)
    return pd.DataFrame({"y": y, "x": x, "g": np.arange(rows) % 80, "size": rng.uniform(0.5, 2, rows)})


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_power_is_found(power):
    frame = drawn(power)
    found = park(ppml("y ~ x", frame), frame)
    assert found.form == "levels"
    assert found.hypothesis == 1
    assert abs(found.power - power) < 3 * found.std_error
    assert 0 < found.std_error < 0.3
    truth = park(ppml("y ~ x", frame), frame, power=power)
    assert truth.p_value > 0.01
    if power == 2:
        assert found.p_value < 0.001
        assert gauss_newton(ppml("y ~ x", frame), frame).p_value < 0.001
    else:
        assert gauss_newton(ppml("y ~ x", frame), frame).p_value > 0.01


def test_both_tests_reject_a_true_null_about_as_often_as_they_say():
    """Share of rejections at 5 % in 200 samples: binomial, so within 1 % and 10.5 % in more than 99 of 100 runs."""
    rejected = np.zeros(2)
    for seed in range(200):
        frame = drawn(1.0, 500, seed)
        e = ppml("y ~ x", frame)
        rejected += [park(e, frame).p_value < 0.05, gauss_newton(e, frame).p_value < 0.05]
    assert (rejected / 200 > 0.01).all()
    assert (rejected / 200 < 0.105).all(), rejected


def test_levels_are_a_poisson_regression_of_the_squared_residuals():
    frame = drawn(1.5)
    e = ppml("y ~ x", frame)
    mean = e.predict(frame)
    Z = pd.DataFrame({"constant": 1.0, "log": np.log(mean)})
    theirs = api.GLM((frame["y"] - mean) ** 2, Z, family=api.families.Poisson()).fit(cov_type="HC0", tol=1e-13)
    ours = park(e, frame)
    assert ours.power == pytest.approx(theirs.params["log"], rel=1e-8)
    assert ours.std_error == pytest.approx(theirs.bse["log"], rel=1e-6)  # statsmodels' own convergence
    assert ours.p_value == pytest.approx(theirs.t_test("log = 1").pvalue.item(), rel=1e-4)


def test_logs_are_a_least_squares_regression():
    frame = drawn(2.0)
    e = ols("log(y) ~ x", frame)
    mean = np.exp(e.predict(frame))
    Z = pd.DataFrame({"constant": 1.0, "log": np.log(mean)})
    theirs = api.OLS(np.log((frame["y"] - mean) ** 2), Z).fit()
    ours = park(e, frame)
    assert (ours.form, ours.hypothesis, ours.facts["vcov"]) == ("logs", 2.0, "iid")
    assert ours.power == pytest.approx(theirs.params["log"], rel=1e-9)
    assert ours.std_error == pytest.approx(theirs.bse["log"], rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.t_test("log = 2").pvalue.item(), rel=1e-6)


@pytest.mark.parametrize("constant", [False, True])
def test_gauss_newton_is_a_least_squares_regression(constant):
    frame = drawn(1.5)
    e = ppml("y ~ x", frame)
    mean = e.predict(frame)
    root = np.sqrt(mean)
    Z = pd.DataFrame({"root": root, "log": np.log(mean) * root})
    theirs = api.OLS((frame["y"] - mean) ** 2 / root, Z.assign(one=1.0) if constant else Z).fit(
        cov_type="HC1", use_t=True
    )
    ours = gauss_newton(e, frame, constant=constant)
    assert ours.p_value == pytest.approx(theirs.pvalues["log"], rel=1e-6)
    assert ours.statistic == pytest.approx(theirs.tvalues["log"] ** 2, rel=1e-7)
    in_other_units = frame.assign(y=frame["y"] * 1e6)
    again = gauss_newton(ppml("y ~ x", in_other_units), in_other_units, constant=constant)
    assert again.p_value == pytest.approx(ours.p_value, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-15, 1e15])
def test_the_power_does_not_depend_on_the_units(unit):
    frame = drawn(1.5)
    other = frame.assign(y=frame["y"] * unit)
    for e, again in (
        (ppml("y ~ x", frame), ppml("y ~ x", other)),
        (ols("log(y) ~ x", frame), ols("log(y) ~ x", other)),
    ):
        assert park(again, other).power == pytest.approx(park(e, frame).power, rel=1e-6)
        assert park(again, other).p_value == pytest.approx(park(e, frame).p_value, rel=1e-4)


def test_effects_weights_and_clusters_are_carried_over():
    frame = drawn(1.5)
    e = ppml("y ~ x | g", frame, weights="size", vcov=cluster("g"))
    assert park(e, frame, vcov=cluster("g")).facts["vcov"] == "cluster: g"
    assert gauss_newton(e, frame, vcov=cluster("g")).df_denominator == 79
    unweighted = ppml("y ~ x | g", frame)
    assert park(e, frame).power != park(unweighted, frame).power
    shuffled = frame.sample(frac=1, random_state=1)
    assert park(e, shuffled).power == pytest.approx(park(e, frame).power, rel=1e-9)


def test_only_the_rows_of_the_fit_are_used():
    frame = drawn(1.0)
    frame.loc[:9, "x"] = np.nan
    frame.loc[3990:, "g"] = 1000
    frame.loc[3990:, "y"] = 0.0  # separated: no estimate of this effect
    e = ppml("y ~ x | g", frame)
    assert park(e, frame).facts["rows_used"] == e.nobs == 3980


def test_questions_that_have_no_answer_are_refused():
    frame = drawn(1.0)
    e = ppml("y ~ x", frame)
    with pytest.raises(ConfigError, match="an estimate for a Park test"):
        park(ols("y ~ x", frame), frame)
    with pytest.raises(ConfigError, match="Gauss-Newton"):
        gauss_newton(ols("log(y) ~ x", frame), frame)
    with pytest.raises(ConfigError, match="form of a Park test"):
        park(e, frame, form="squares")
    with pytest.raises(ConfigError, match="row labels"):
        park(e, frame.iloc[:100])
    with pytest.raises(ConfigError, match="row labels"):
        park(e, frame.set_index("g"))
    with pytest.raises(ConfigError, match="add up to zero"):
        park(e, drawn(1.0, seed=1))
    with pytest.raises(ConfigError, match="without outcome or fitted value"):
        park(e, frame.assign(x=np.nan))
    assert park(e, frame).p_value > 0  # control: the untouched data do
