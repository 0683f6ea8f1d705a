"""Control-function PPML: its covariance against the two stages stacked densely, its first stage against least squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, EstimationError, FormulaError, NotIdentified
from cyber_trade_econ.gravity.iv_ppml import iv_ppml
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster, dyadic
from cyber_trade_econ.inference.wald import wald
from cyber_trade_econ.records.panel import Panel

FORMULA = "y ~ tariff + x | g"
IV = {"endogenous": "tariff", "instruments": "z + z2"}


def draw(n=400, groups=6, seed=0, strength=0.7, endogeneity=0.6):
    rng = np.random.default_rng(seed)
    g, group = rng.integers(0, groups, n), rng.normal(0, 0.4, groups)
    x, z, z2, v = rng.normal(size=(4, n))
    tariff = strength * z + 0.3 * z2 * strength + 0.3 * x + group[g] + v
    y = np.exp(1 - 0.5 * tariff + 0.2 * x + group[g] + endogeneity * v + rng.normal(-0.08, 0.4, n))
    frame = pd.DataFrame({"y": y, "tariff": tariff, "x": x, "z": z, "z2": z2, "g": g, "pair": rng.integers(0, 40, n)})
    frame["size"] = rng.integers(1, 4, n).astype(float)
    return frame


@pytest.fixture(scope="module")
def flows():
    return draw()


def stacked(frame, exogenous, groups=None):
    """Covariance of two stacked stages from their moments and a numerical Jacobian: an M-estimator without short cuts."""
    y, t = frame["y"].to_numpy(), frame["tariff"].to_numpy()
    w = frame["size"].to_numpy()
    Q = np.column_stack([frame[["z", "z2"]], exogenous])
    pi = np.linalg.lstsq(np.sqrt(w)[:, None] * Q, np.sqrt(w) * t, rcond=None)[0]

    def second(p):
        return np.column_stack([t, exogenous, t - Q @ p])

    X = second(pi)
    b = np.zeros(X.shape[1])
    b[1 + exogenous.shape[1] - 1] = 0.0
    for _ in range(100):
        mu = np.exp(X @ b)
        b = b + np.linalg.solve((X.T * (w * mu)) @ X, X.T @ (w * (y - mu)))

    def moments(params):
        p, c = params[: len(pi)], params[len(pi) :]
        Z = second(p)
        return np.column_stack([Q * (w * (t - Q @ p))[:, None], Z * (w * (y - np.exp(Z @ c)))[:, None]])

    at = np.concatenate([pi, b])
    steps = 1e-6 * np.eye(len(at))
    A = np.column_stack([(moments(at + s).sum(0) - moments(at - s).sum(0)) / 2e-6 for s in steps])
    rows = moments(at) if groups is None else pd.DataFrame(moments(at)).groupby(groups).sum().to_numpy()
    inverse = np.linalg.inv(A)
    cov = inverse @ (rows.T @ rows) @ inverse.T
    return b, np.sqrt(np.diag(cov))[len(pi) :]


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("effects", [False, True])
def test_the_covariance_is_that_of_both_stages_stacked(flows, effects, clustered):
    dummies = pd.get_dummies(flows["g"]).to_numpy(float) if effects else np.ones((len(flows), 1))
    exogenous = np.column_stack([flows["x"], dummies])
    b, se = stacked(flows, exogenous, flows["pair"].to_numpy() if clustered else None)
    vcov = cluster("pair") if clustered else "hetero"
    e = iv_ppml(FORMULA if effects else "y ~ tariff + x", flows, **IV, vcov=vcov, ssc="none", weights="size")
    terms = ["tariff", "x", "residual(tariff)"]
    np.testing.assert_allclose(e.coef[terms], b[[0, 1, -1]], rtol=1e-8)
    np.testing.assert_allclose(e.se[terms], se[[0, 1, -1]], rtol=1e-5)  # central differences of moments of order 1e3


def test_the_first_stage_is_least_squares(flows):
    e = iv_ppml(FORMULA, flows, **IV, vcov=cluster("pair"))
    first = ols("tariff ~ x + z + z2 | g", flows, vcov=cluster("pair"))
    test = wald(first, ["z", "z2"])
    assert e.facts["first_stage_f"] == pytest.approx(test.statistic, rel=1e-9)
    assert e.facts["first_stage_df"] == (2, 39.0)
    assert e.facts["first_stage_p"] == pytest.approx(test.p_value, rel=1e-6)
    assert e.facts["first_stage"]["z"] == pytest.approx((first.coef["z"], first.se["z"]), rel=1e-9)
    both = flows.assign(v=flows["tariff"] - first.predict(flows))
    np.testing.assert_allclose(e.coef.to_numpy(), ppml("y ~ tariff + x + v | g", both).coef.to_numpy(), atol=1e-8)


def test_the_second_stage_alone_would_be_too_sure():
    flows = draw(strength=0.4, endogeneity=0.9)
    e = iv_ppml(FORMULA, flows, **IV, vcov="hetero")
    first = ols("tariff ~ x + z + z2 | g", flows)
    naive = ppml("y ~ tariff + x + v | g", flows.assign(v=flows["tariff"] - first.predict(flows)), vcov="hetero")
    assert e.se["tariff"] > 1.1 * naive.se["tariff"]


@pytest.mark.parametrize("vcov", ["hetero", cluster("pair"), cluster("pair", "g"), dyadic("pair", "other")])
def test_repeated_rows_weights_order_and_units(flows, vcov):
    flows = flows.assign(other=(flows["pair"] + 1 + flows["g"]) % 40)
    e = iv_ppml(FORMULA, flows, **IV, vcov=vcov, ssc="none")
    assert (e.se > 0).all()
    other = flows.sample(frac=1, random_state=1).assign(y=lambda d: d["y"] * 1e9)
    moved = iv_ppml(FORMULA, other, **IV, vcov=vcov, ssc="none")
    np.testing.assert_allclose(e.coef, moved.coef, atol=1e-9)
    np.testing.assert_allclose(e.se, moved.se, rtol=1e-7)
    if vcov == cluster("pair"):
        twice = flows.loc[flows.index.repeat(flows["size"].astype(int))]
        a, b = iv_ppml(FORMULA, twice, **IV, vcov=vcov), iv_ppml(FORMULA, flows, **IV, vcov=vcov, weights="size")
        np.testing.assert_allclose(a.se, b.se, rtol=1e-7)


def test_rows_without_instrument_and_separated_rows_are_counted(flows):
    gaps = flows.assign(z=flows["z"].where(flows.index > 4), y=flows["y"].where(flows["g"] != 3, 0.0))
    e = iv_ppml(FORMULA, gaps, **IV)
    assert e.facts["dropped"]["missing: z"] == 5
    assert e.facts["dropped"]["zero in every row of an effect"] == ((gaps["g"] == 3) & (gaps.index > 4)).sum()
    assert e.nobs == len(flows) - sum(e.facts["dropped"].values())


def test_what_it_says_of_itself(flows):
    e = iv_ppml(
        "y ~ log(price) + x | g", flows.assign(price=np.exp(flows["tariff"])), endogenous="log(price)", instruments="z"
    )
    assert list(e.coef.index) == ["log(price)", "x", "residual(log(price))"]
    assert "linear in instruments" in e.facts["caveats"][0]
    assert not any("two values" in words for words in e.facts["caveats"])
    binary = iv_ppml(FORMULA, flows.assign(tariff=(flows["tariff"] > 0) * 1.0), **IV)
    assert any("two values" in words for words in binary.facts["caveats"])
    with pytest.raises(EstimationError, match="do not predict"):
        e.predict(flows)
    panel = Panel(frame=flows.assign(year=flows.index), unit="pair", time="year")
    assert iv_ppml(FORMULA, panel, **IV).facts["clusters"] == {"pair": 40}


def test_weak_and_useless_instruments_are_refused(flows):
    noise = flows.assign(noise=np.random.default_rng(9).normal(size=len(flows)), by_group=flows["g"] * 1.5)
    with pytest.raises(NotIdentified, match=r"first-stage F of"):
        iv_ppml(FORMULA, noise, endogenous="tariff", instruments="noise")
    assert iv_ppml(FORMULA, noise, endogenous="tariff", instruments="noise", min_f=0).facts["first_stage_f"] < 10
    with pytest.raises(NotIdentified, match="no instrument is left"):
        iv_ppml(FORMULA, noise, endogenous="tariff", instruments="by_group")
    kept = iv_ppml(FORMULA, noise, endogenous="tariff", instruments="z + by_group")
    assert list(kept.facts["first_stage"]) == ["z"]
    with pytest.raises(NotIdentified, match="exactly"):
        iv_ppml(FORMULA, noise.assign(copy=noise["tariff"]), endogenous="tariff", instruments="copy")


@pytest.mark.parametrize(
    ("formula", "options", "error"),
    [
        (FORMULA, {"endogenous": "price"}, FormulaError),
        ("y ~ x:tariff | g", {}, FormulaError),
        ("y ~ tariff + x + tariff:x | g", {}, FormulaError),
        (FORMULA, {"instruments": "x"}, FormulaError),
        (FORMULA, {"instruments": "tariff:z"}, FormulaError),
        (FORMULA, {"instruments": "1"}, FormulaError),
        (FORMULA, {"instruments": "z | g"}, FormulaError),
        (FORMULA, {"instruments": ""}, FormulaError),
        (FORMULA, {"instruments": "y"}, FormulaError),
        (FORMULA, {"instruments": "nowhere"}, FormulaError),
        (FORMULA, {"vcov": "iid"}, ConfigError),
        (FORMULA, {"min_f": -1}, ConfigError),
    ],
)
def test_bad_calls_have_a_name(flows, formula, options, error):
    assert iv_ppml(FORMULA, flows, **IV).nobs == len(flows)
    with pytest.raises(error):
        iv_ppml(formula, flows, **{**IV, **options})
