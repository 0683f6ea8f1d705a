"""The wild and the score bootstrap against regressions run again, draw by draw."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, FewClusters
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.inference.draws import Plan
from cyber_trade_econ.inference.wild import wild_bootstrap


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 60
    frame = pd.DataFrame({"g": np.repeat(range(6), 10), "f": rng.integers(0, 4, n), "h": rng.integers(0, 4, n)})
    frame["x"], frame["z"], frame["w"] = rng.normal(size=n), rng.normal(size=n), rng.uniform(0.5, 2, n)
    frame["x"] += 0.5 * rng.normal(size=6)[frame["g"]]
    noise = rng.normal(size=6)[frame["g"]]
    frame["y"] = 0.3 * frame["x"] + 0.2 * frame["f"] + noise + rng.normal(size=n)
    frame["flow"] = rng.poisson(np.exp(0.5 + 0.2 * frame["x"] + 0.1 * frame["f"] + 0.3 * noise)).astype(float)
    return frame


def dummies(frame: pd.DataFrame, effects: list[str]) -> np.ndarray:
    columns = [pd.get_dummies(frame[e], dtype=float).to_numpy() for e in effects]
    return np.column_stack(columns) if columns else np.ones((len(frame), 1))


def t_of(Z: np.ndarray, w: np.ndarray, target: np.ndarray, groups: np.ndarray, value: float) -> float:
    """Cluster-robust t of the first column: the textbook formulas, with a pseudo-inverse."""
    inverse = np.linalg.pinv(Z.T @ (w[:, None] * Z))
    beta = inverse @ Z.T @ (w * target)
    scores = Z * (w * (target - Z @ beta))[:, None]
    sums = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
    v = inverse @ sums.T @ sums @ inverse
    return float((beta[0] - value) / np.sqrt(v[0, 0]))


@pytest.mark.parametrize("effects", [[], ["f"], ["f", "h"], ["g"], ["g", "f"]], ids=str)
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("imposed", [True, False])
@pytest.mark.parametrize("null", [0.0, 0.25])
def test_least_squares_against_regressions_on_every_sign_pattern(data, effects, weights, imposed, null):
    formula = "y ~ x + z" + (" | " + " + ".join(effects) if effects else "")
    e = ols(formula, data, vcov=cluster("g"), ssc="none", weights=weights)
    got = wild_bootstrap(e, data, "x", "g", null=null, impose_null=imposed, weights="rademacher", draws=99)
    y, groups = data["y"].to_numpy(), data["g"].to_numpy()
    w = np.ones(len(data)) if weights is None else data["w"].to_numpy()
    Z = np.column_stack([data[["x", "z"]], dummies(data, effects)])
    t = t_of(Z, w, y, groups, null)
    np.testing.assert_allclose(got.statistic, t, rtol=1e-8)
    np.testing.assert_allclose(t, (e.coef["x"] - null) / e.se["x"], rtol=1e-8)
    root = np.sqrt(w)
    free = Z[:, 1:] if imposed else Z
    less = y - null * Z[:, 0] if imposed else y
    fit = free @ np.linalg.lstsq(root[:, None] * free, root * less, rcond=None)[0]
    centre = null if imposed else e.coef["x"]
    drawn = []
    for signs in product([1.0, -1.0], repeat=5):
        flipped = (less - fit) * np.array([1.0, *signs])[groups]
        drawn.append(t_of(Z, w, fit + (null * Z[:, 0] if imposed else 0) + flipped, groups, centre))
    beyond = np.sum(np.abs(drawn) >= abs(t) * (1 - 1e-9))
    assert got.p_value == (beyond / 32 if imposed else (1 + beyond) / 33)
    assert got.draws == 32
    assert got.weights == "rademacher, all"


@pytest.mark.parametrize("effects", [[], ["f"], ["f", "h"], ["g", "f"]], ids=str)
@pytest.mark.parametrize("imposed", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
def test_scores_of_poisson_against_one_weighted_regression_per_draw(data, effects, imposed, weights):
    tail = " | " + " + ".join(effects) if effects else ""
    e = ppml("flow ~ x + z" + tail, data, vcov=cluster("g"), ssc="none", weights=weights)
    null = 0.1
    got = wild_bootstrap(e, data, "x", "g", null=null, impose_null=imposed, draws=99)
    if imposed:
        r = ppml("flow ~ z" + tail, data.assign(o=null * data["x"]), offset="o", weights=weights)
        mu = r.predict(data.assign(o=null * data["x"])).to_numpy()
    else:
        mu = e.predict(data).to_numpy()
    w = mu * (1 if weights is None else data["w"].to_numpy())
    Z = np.column_stack([data[["x", "z"]], dummies(data, effects)])
    residual, groups = data["flow"].to_numpy() / mu - 1, data["g"].to_numpy()
    sample = t_of(Z, w, residual, groups, 0.0) if imposed else (e.coef["x"] - null) / e.se["x"]
    np.testing.assert_allclose(got.statistic, sample, rtol=1e-6)
    drawn = [
        t_of(Z, w, residual * np.array([1.0, *signs])[groups], groups, 0.0) for signs in product([1.0, -1.0], repeat=5)
    ]
    beyond = np.sum(np.abs(drawn) >= abs(sample) * (1 - 1e-7))
    assert got.p_value == (beyond / 32 if imposed else (1 + beyond) / 33)


def bigger(seed: int, clusters: int = 14) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(range(clusters), 8)
    x = rng.normal(size=clusters)[g] + rng.normal(size=len(g))
    u = rng.normal(size=clusters)[g]
    flow = rng.poisson(np.exp(1 + 0.3 * x + 0.3 * u)).astype(float)
    return pd.DataFrame(
        {"g": g, "x": x, "y": 0.3 * x + u + rng.normal(size=len(g)), "flow": flow, "f": np.arange(len(g)) % 8}
    )


@pytest.mark.parametrize("fit", [lambda d: ols("y ~ x | f", d), lambda d: ppml("flow ~ x | f", d)], ids=["ols", "ppml"])
@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_ends_of_the_confidence_set_are_where_the_test_turns(fit, weights):
    frame = bigger(1)
    e = fit(frame)

    def choices(null):
        return wild_bootstrap(e, frame, "x", "g", null=null, draws=499, weights=weights, seed=3)

    first = choices(0.0)
    assert first.conf_low < e.coef["x"] < first.conf_high
    step = 1e-3 * (first.conf_high - first.conf_low)
    for end, inward in ((first.conf_low, step), (first.conf_high, -step)):
        assert choices(end + inward).p_value > 0.05
        assert choices(end - inward).p_value <= 0.05
    assert (first.p_value > 0.05) == (first.conf_low <= 0 <= first.conf_high)
    free = wild_bootstrap(e, frame, "x", "g", impose_null=False, draws=499, weights=weights)
    middle = (free.conf_low + free.conf_high) / 2
    np.testing.assert_allclose(middle, e.coef["x"], atol=1e-3 * (free.conf_high - free.conf_low))


def test_draws_depend_on_the_seed_alone():
    frame = bigger(2)
    e = ols("y ~ x | f", frame)
    settings = {"draws": 2500, "seed": 11, "weights": "webb"}
    alone = wild_bootstrap(e, frame, "x", "g", **settings)
    with ThreadPoolExecutor(3) as pool:
        assert wild_bootstrap(e, frame, "x", "g", executor=pool, **settings) == alone
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert wild_bootstrap(e, frame, "x", "g", executor=pool, **settings) == alone
    assert wild_bootstrap(e, frame, "x", "g", **(settings | {"seed": 12})).p_value != alone.p_value
    # Rows in another order and clusters under other names: the same clusters, maybe in another order.
    shuffled = frame.sample(frac=1, random_state=1)
    moved = wild_bootstrap(ols("y ~ x | f", shuffled), shuffled, "x", "g", **settings)
    np.testing.assert_allclose([moved.p_value, moved.conf_low], [alone.p_value, alone.conf_low], rtol=1e-6)


def test_the_weights_have_mean_zero_and_variance_one():
    signs = Plan(5, 99, "rademacher", 0)
    assert signs.all_signs
    assert len({tuple(r) for r in signs.block(0)}) == 16 == signs.count  # up to the overall sign
    assert (signs.block(0)[:, 0] == 1).all()
    six = Plan(5, 20_000, "webb", 0)
    drawn = np.concatenate([six.block(b) for b in six.blocks])
    assert drawn.shape == (20_000, 5)
    values, counts = np.unique(np.round(drawn**2, 12), return_counts=True)
    np.testing.assert_allclose(values, [0.5, 1.0, 1.5])
    np.testing.assert_allclose(counts / drawn.size, 1 / 3, atol=0.01)
    np.testing.assert_allclose([drawn.mean(), drawn.var()], [0, 1], atol=0.02)
    assert not Plan(14, 499, "rademacher", 0).all_signs
    assert Plan(14, 1250, "rademacher", 0).block(1).shape == (250, 14)


def test_with_five_clusters_signs_can_reject_nothing_at_five_per_cent(data):
    frame = data[data["g"] < 5]
    e = ols("y ~ x + z", frame)
    got = wild_bootstrap(e, frame, "x", "g")
    assert (got.conf_low, got.conf_high) == (-np.inf, np.inf)
    assert got.p_value >= 1 / 16
    assert np.isnan(wild_bootstrap(e, frame, "x", "g", level=None).conf_low)
    narrow = wild_bootstrap(e, frame, "x", "g", level=0.9)
    assert narrow.conf_low > -np.inf  # control: 1/16 is below ten per cent


def test_a_constant_can_be_tested(data):
    for fit, y in ((ols, "y"), (ppml, "flow")):
        e = fit(f"{y} ~ x + z", data, vcov=cluster("g"), ssc="none")
        value = float(e.coef["Intercept"])
        at = wild_bootstrap(e, data, "Intercept", "g", null=value, draws=99)
        assert at.p_value == 1
        np.testing.assert_allclose(at.statistic, 0, atol=1e-6)
        shifted = data.assign(x=data["x"] + 3)  # the same hypothesis once the constant has moved with x
        moved = wild_bootstrap(fit(f"{y} ~ x + z", shifted), shifted, "x", "g", null=0.05)
        np.testing.assert_allclose(moved.p_value, wild_bootstrap(e, data, "x", "g", null=0.05).p_value)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"term": "q"}, ConfigError, "the term"),
        ({"by": "one"}, FewClusters, "at least two"),
        ({"by": "nowhere"}, Exception, "nowhere"),
        ({"weights": "mammen"}, ConfigError, "rademacher, webb"),
        ({"draws": 10}, ConfigError, "99 or more"),
        ({"draws": 999.0}, ConfigError, "whole number"),
        ({"draws": "a"}, ConfigError, "draws=.*found 'a'; allowed: a whole number, 99 or more"),
        ({"seed": -1}, ConfigError, "seed=.*found -1; allowed: a whole number, 0 or more"),
        ({"seed": None}, ConfigError, "seed=.*found None; allowed: a whole number, 0 or more"),
        ({"seed": "a"}, ConfigError, "seed=.*found 'a'; allowed: a whole number, 0 or more"),
        ({"executor": 3}, ConfigError, "executor=.*found 3; allowed: an executor of concurrent.futures, or None"),
        ({"by": ["g"]}, ConfigError, r"by=.*allowed: the name of a cluster column, or columns joined by \^"),
        ({"by": None}, ConfigError, "by=.*found None"),
        ({"term": ["x"]}, ConfigError, "the term"),
        ({"null": "a"}, ConfigError, "null=.*found 'a'; allowed: a finite number"),
        ({"null": np.inf}, ConfigError, "null=.*a finite number"),
        ({"level": 95}, ConfigError, "between 0 and 1"),
        ({"level": "a"}, ConfigError, "level=.*found 'a'; allowed: a number strictly between 0 and 1"),
    ],
)
def test_bad_input_is_named(data, change, error, says):
    frame = data.assign(one=1)
    e = ols("y ~ x + z", frame)
    good = {"term": "x", "by": "g", "draws": 99}
    with pytest.raises(error, match=says):
        wild_bootstrap(e, frame, **(good | change))
    assert 0 < wild_bootstrap(e, frame, **good).p_value <= 1  # control


def test_a_perfect_fit_has_no_spread(data):
    frame = data.assign(exact=2 * data["x"])
    e = ols("exact ~ x + z", frame)
    got = wild_bootstrap(e, frame, "x", "g", draws=99)
    assert got.p_value <= 0.1
    np.testing.assert_allclose([got.conf_low, got.conf_high], 2, atol=1e-6)
