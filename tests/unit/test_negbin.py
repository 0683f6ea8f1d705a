"""Negative-binomial pseudo maximum likelihood against statsmodels and its two limits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, NotIdentified
from cyber_trade_econ.gravity.gamma_pml import gamma_pml
from cyber_trade_econ.gravity.negbin import negbin
from cyber_trade_econ.gravity.ppml import ppml

FORMULA = "y ~ x + d | g"


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(3)
    n = 600
    frame = pd.DataFrame({"x": rng.normal(size=n), "d": rng.integers(0, 2, n), "g": rng.integers(0, 15, n)})
    frame["h"] = rng.integers(0, 12, n)
    mu = np.exp(1 + 0.5 * frame["x"] - 0.4 * frame["d"] + rng.normal(0, 0.5, 15)[frame["g"]])
    frame["y"] = rng.poisson(mu * rng.gamma(1 / 0.8, 0.8, n)).astype(float)
    return frame


def dummies(frame, *by):
    parts = [pd.get_dummies(frame[b], drop_first=i > 0).to_numpy(float) for i, b in enumerate(by)]
    return np.column_stack([frame[["x", "d"]].to_numpy(float), *parts])


@pytest.mark.parametrize("vcov", ["iid", "hetero"])
@pytest.mark.parametrize("by", [("g",), ("g", "h")])
def test_given_alpha_it_is_the_generalised_linear_model(counts, vcov, by):
    import statsmodels.api as sm

    family = sm.families.NegativeBinomial(sm.families.links.Log(), alpha=0.7)
    options = {} if vcov == "iid" else {"cov_type": "HC0"}
    want = sm.GLM(counts["y"], dummies(counts, *by), family=family).fit(maxiter=300, tol=1e-14, **options)
    e = negbin(f"y ~ x + d | {' + '.join(by)}", counts, alpha=0.7, vcov=vcov)
    np.testing.assert_allclose(e.coef, np.asarray(want.params)[:2], rtol=1e-6)  # statsmodels stops on the deviance
    np.testing.assert_allclose(e.se, np.asarray(want.bse)[:2], rtol=1e-5)
    assert e.facts["log_likelihood"] == pytest.approx(want.llf, rel=1e-9)


def test_alpha_is_that_of_maximum_likelihood(counts):
    import statsmodels.api as sm

    want = sm.NegativeBinomial(counts["y"], dummies(counts, "g")).fit(disp=0, method="bfgs", maxiter=5000, gtol=1e-8)
    e = negbin(FORMULA, counts)
    np.testing.assert_allclose(e.coef, np.asarray(want.params)[:2], atol=1e-6)  # as far as BFGS goes
    assert e.facts["alpha"] == pytest.approx(np.asarray(want.params)[-1], rel=1e-5)
    assert e.facts["log_likelihood"] == pytest.approx(want.llf, rel=1e-10)
    assert e.facts["alpha_from"] == "maximum likelihood"


def test_between_poisson_and_gamma(counts):
    np.testing.assert_allclose(negbin(FORMULA, counts, alpha=1e-9).coef, ppml(FORMULA, counts).coef, atol=1e-7)
    np.testing.assert_allclose(negbin(FORMULA, counts, alpha=1e9).coef, gamma_pml(FORMULA, counts).coef, atol=1e-7)


def test_units_matter_and_the_facts_say_so(counts):
    thousand = counts.assign(y=counts["y"] * 1000)
    a, b = (negbin(FORMULA, d, alpha=0.7) for d in (counts, thousand))
    assert np.abs(a.coef - b.coef).max() > 1e-3
    np.testing.assert_allclose(negbin(FORMULA, thousand, alpha=0.7 / 1000).coef, a.coef, atol=1e-9)
    assert any("unit" in words for words in a.facts["caveats"])
    np.testing.assert_allclose(ppml(FORMULA, counts).coef, ppml(FORMULA, thousand).coef, atol=1e-9)  # the control


def test_an_outcome_without_overdispersion_is_refused(counts):
    rng = np.random.default_rng(1)
    flat = counts.assign(y=rng.binomial(10, 0.3 + 0.1 * counts["d"]).astype(float))
    with pytest.raises(NotIdentified, match="overdispersion"):
        negbin(FORMULA, flat)
    assert negbin(FORMULA, flat, alpha=0.5).nobs == len(flat)
    assert negbin(FORMULA, counts).facts["alpha"] > 0.3


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.inf, np.nan])
def test_alpha_must_be_positive(counts, alpha):
    with pytest.raises(ConfigError, match="alpha"):
        negbin(FORMULA, counts, alpha=alpha)
