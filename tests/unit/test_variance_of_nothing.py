"""Variances where nothing is known of the noise, and covariances made again: both paths say the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.inference.covariance import positive


def panel_of_scales(seed):
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([range(9), range(8), range(6)], names=["e", "i", "t"]).to_frame(index=False)
    frame = grid.assign(pair=grid["e"] * 8 + grid["i"], x=rng.normal(size=len(grid)), a=rng.integers(0, 5, len(grid)))
    return frame.assign(y=np.exp(0.4 * frame["x"] + rng.normal(size=len(grid))))


@pytest.mark.parametrize("fit", [cte.ols, cte.ppml], ids=["ols", "ppml"])
@pytest.mark.parametrize("vcov", ["hetero", cte.cluster("t"), cte.cluster("e", "i")], ids=str)
def test_coefficients_that_exactly_fitted_rows_alone_tell_of_have_no_variance(fit, vcov):
    """In one pair each period has a coefficient but one: what they say of the noise is nothing, not a variance of zero."""
    frame = panel_of_scales(1)
    first = frame["pair"] == 0
    frame["x"] = frame["x"].where(~first, 0.0)
    cells = [f"d{t}" for t in range(1, 6)]
    frame = frame.assign(**{f"d{t}": (first & (frame["t"] == t)) * 1.0 for t in range(1, 6)})
    e = fit(f"y ~ x + {' + '.join(cells)} | pair", frame, vcov=vcov)
    assert e.se[cells].isna().all()
    assert e.facts["vcov_missing"] == 5
    control = fit("y ~ x | pair", frame[~first], vcov=vcov)
    assert e.se["x"] == pytest.approx(control.se["x"], rel=0.02)  # but for small-sample factors


@pytest.mark.parametrize("seed", range(4))
def test_the_general_path_hands_over_what_its_solution_says(seed):
    """A covariance made again from the estimate and its data starts from the solution's own weights."""
    frame = panel_of_scales(seed)
    for vcov in ("hetero", cte.cluster("e")):
        e = cte.ppml("y ~ x | pair + t + a", frame, vcov=vcov)
        assert e.facts["path"] == "general"
        assert e.se["x"] == pytest.approx(cte.with_vcov(e, frame, vcov).se["x"], rel=1e-9)  # both solve to 1e-10


def test_a_level_without_any_outcome_is_no_sign_of_other_data():
    frame = panel_of_scales(3)
    frame.loc[frame["i"] == 2, ["y", "x"]] = 0.0
    frame["x"] = frame["x"] * (frame["i"] != 2)
    e = cte.ols("y ~ x | e^t + i", frame.assign(y=np.where(frame["i"] == 2, 0.0, frame["y"] * 1e3)), vcov="hetero")
    again = cte.with_vcov(e, frame.assign(y=np.where(frame["i"] == 2, 0.0, frame["y"] * 1e3)), cte.cluster("pair"))
    assert again.se["x"] > 0


@pytest.mark.parametrize("fit", [cte.ols, cte.ppml], ids=["ols", "ppml"])
def test_a_fit_of_every_outcome_has_no_variances(fit):
    """Two periods of a square with three sets of effects and four regressors: eighteen rows, and as many parameters."""
    rng = np.random.default_rng(1)
    frame = pd.MultiIndex.from_product([range(3), range(3), range(2)], names=["e", "i", "t"]).to_frame(index=False)
    frame[["a", "b", "c", "d"]] = rng.normal(size=(18, 4))
    frame = frame.assign(y=np.exp(rng.normal(size=18)), pair=frame["e"] * 3 + frame["i"])
    saturated = "y ~ a + b + c + d | e^t + i^t + pair"
    for vcov in (cte.cluster("pair"), cte.cluster("e", "i")):
        e = fit(saturated, frame, vcov=vcov, ssc="none")
        assert e.se.isna().all()
        assert e.facts["fitted_exactly"] is True
        assert e.facts["vcov_missing"] == 4
    control = fit("y ~ a + b | e^t + i^t + pair", frame, vcov=cte.cluster("pair"), ssc="none")
    assert "fitted_exactly" not in control.facts
    assert control.se.notna().all()
    again = cte.with_vcov(fit(saturated, frame, vcov=cte.cluster("pair"), ssc="none"), frame, cte.cluster("t"))
    assert again.se.isna().all()


@pytest.mark.parametrize("effects", ["e^t + i^t + pair", "e^t + i^t", "e"])
def test_an_outcome_that_is_a_sum_of_regressors_has_no_variances(effects):
    """The gravity path leaves ten digits of effects in the residuals, others fifteen: neither is noise."""
    frame = panel_of_scales(2)
    frame["z"] = np.random.default_rng(20).normal(size=len(frame))
    exact = cte.ols(f"y ~ x + z | {effects}", frame.assign(y=3 + 2 * frame["x"] - frame["z"]), vcov="hetero")
    np.testing.assert_allclose(exact.coef, [2, -1], rtol=1e-9)
    assert exact.facts["fitted_exactly"] is True
    noise = 1e-6 * np.random.default_rng(3).normal(size=len(frame))  # a millionth is noise
    control = cte.ols(f"y ~ x + z | {effects}", frame.assign(y=3 + 2 * frame["x"] - frame["z"] + noise), vcov="hetero")
    assert control.se.notna().all()


@pytest.mark.parametrize("seed", [0, 5, 24])
def test_a_saturated_model_of_outcomes_far_apart_has_no_variances(seed):
    """Scores weigh rows by trade: the smallest of outcomes over ten orders are fitted to eight digits only."""
    rng = np.random.default_rng(seed)
    frame = pd.MultiIndex.from_product([range(4), range(4), range(2)], names=["e", "i", "t"]).to_frame(index=False)
    names = [f"r{j}" for j in range(9)]  # 8 + 8 + 16 levels of which 9 are redundant, and as many regressors
    frame[names] = rng.normal(size=(32, 9))
    frame = frame.assign(y=np.exp(5 * rng.normal(size=32)), pair=frame["e"] * 4 + frame["i"])
    e = cte.ppml(f"y ~ {' + '.join(names)} | e^t + i^t + pair", frame, vcov="hetero", ssc="none")
    assert e.se.isna().all()
    assert e.facts["fitted_exactly"] is True


def test_one_enormous_outcome_with_its_own_dummy_leaves_the_noise_of_the_others():
    frame = panel_of_scales(4)
    frame["own"] = (frame.index == 5) * 1.0
    want = cte.ols("y ~ x | e", frame.drop(index=5), vcov="hetero", ssc="none").se["x"]
    for size in (1e10, 1e13):
        frame.loc[5, "y"] = size
        e = cte.ols("y ~ x + own | e", frame, vcov="hetero", ssc="none")
        assert e.se["x"] == pytest.approx(want, rel=1e-15 * size)  # eps times the outlier is an error of the others
    shifted = panel_of_scales(4)
    plain = cte.ols("y ~ x", shifted, vcov="hetero").se["x"]
    far = cte.ols("y ~ x", shifted.assign(y=shifted["y"] + 1e9), vcov="hetero")  # noise of a billionth of the outcome
    assert far.se["x"] == pytest.approx(plain, rel=1e-6)


def test_a_variance_of_zero_does_not_hide_a_negative_one():
    matrix = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    fixed, repaired = positive(matrix)
    assert repaired
    np.testing.assert_allclose(fixed[:2, :2], 1.5, rtol=1e-14)  # what is left of eigenvalues 3 and -1
    assert positive(np.diag([1.0, 0.0]))[1] is False
    assert positive(np.zeros((2, 2)))[1] is False


def test_estimates_of_fitted_levels_know_their_own_data():
    """Levels that are fitted exactly leave rounding, which is relative to all outcomes and not to their own."""
    rng = np.random.default_rng(5)
    grid = pd.MultiIndex.from_product([range(8), range(7), range(5)], names=["e", "i", "t"]).to_frame(index=False)
    frame = grid[rng.random(len(grid)) > 0.45].reset_index(drop=True)
    frame = frame.assign(pair=frame["e"] * 10 + frame["i"], x=rng.normal(size=len(frame)))
    frame["y"] = np.exp(3 * rng.normal(size=len(frame)))
    e = cte.ols("y ~ x | e^t + i^t + pair", frame, vcov="hetero", ssc="none")
    assert cte.with_vcov(e, frame, "hetero", ssc="none").se["x"] == pytest.approx(e.se["x"], rel=1e-7)
    other = frame.assign(y=frame["y"] * (1 + 0.1 * rng.normal(size=len(frame))))
    with pytest.raises(cte.errors.ConfigError):
        cte.with_vcov(e, other, "hetero", ssc="none")
