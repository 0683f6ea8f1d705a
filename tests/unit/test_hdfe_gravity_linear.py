"""Least squares on gravity panels against the general path, and against dense dummies where these are small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cyber_trade_econ as cte
from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import blocks, correction, gravity_linear, linear, perperiod
from cyber_trade_econ.hdfe.factor import compact
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.simulate import gravity_world


def panel(seed, shape=(1, 9, 8, 6), gaps=0.1, columns=3, weights=None, domestic=True, ways=3, one_pair=False):
    """Rows of a panel in random order; singletons are left out."""
    rng = np.random.default_rng(seed)
    s, e, i, t = (v.ravel() for v in np.meshgrid(*map(range, shape), indexing="ij"))
    _, N, J, T = shape
    keep = rng.random(len(s)) > gaps
    if not domestic:
        keep &= e != i
    s, e, i, t = s[keep], e[keep], i[keep], t[keep]
    codes = [(s * N + e) * T + t, (s * J + i) * T + t, e * J + i if one_pair else (s * N + e) * J + i][:ways]
    X = rng.normal(5, 1, size=(len(s), columns))
    X[:, ::2] = X[:, ::2] > 5.5
    y = (
        1
        + X @ np.linspace(0.5, -0.3, columns)
        + sum(rng.normal(0, 3, c.max() + 1)[c] for c in codes)
        + rng.normal(size=len(s))
    )
    w = np.ones(len(s)) if weights is None else rng.lognormal(0, weights, len(s))
    kept = np.arange(len(s))
    while not (good := prune([compact(c[kept]) for c in codes]).keep).all():
        kept = kept[good]
    kept = rng.permutation(kept)
    return y[kept], X[kept], [compact(c[kept]) for c in codes], w[kept]


def both(y, X, factors, w, **options):
    layout = blocks.find(factors)
    assert layout is not None
    return gravity_linear.fit(y, X, factors, w, layout=layout, **options), linear.fit(y, X, factors, w, **options)


def agree(fast, slow, y, factors, w, tolerance=1e-10):
    """Coefficients relative to their standard errors; the rest relative to its size."""
    np.testing.assert_array_equal(fast.kept, slow.kept)
    inverse = slow.root @ slow.root.T
    size = np.sqrt(np.diag(inverse))
    spread = max(float(np.sqrt(np.average(slow.residual**2, weights=w))), 1e-6)
    np.testing.assert_allclose(fast.beta / (size * spread), slow.beta / (size * spread), atol=tolerance, rtol=tolerance)
    np.testing.assert_allclose(
        fast.root @ fast.root.T / size / size[:, None], inverse / size / size[:, None], atol=1e-9
    )
    np.testing.assert_allclose(fast.within * size, slow.within * size, atol=1e-8)
    np.testing.assert_allclose(fast.residual, slow.residual, atol=1e-8 * np.abs(y).max())
    assert fast.within_total == pytest.approx(slow.within_total, rel=1e-10)
    for f in factors:
        for column in (fast.residual, *fast.within.T):
            assert (np.abs(f.sums(w * column)) <= 1e-8 * f.sums(w * np.abs(column)) + 1e-8 * w.max()).all()


CASES = {
    "plain": {},
    "gappy": {"gaps": 0.5},
    "sectors": {"shape": (3, 9, 8, 5)},
    "pairs across sectors": {"shape": (3, 7, 8, 4), "one_pair": True},
    "weights": {"weights": 0.7},
    "weights over nine orders of magnitude": {"weights": 3.5},
    "no domestic flows": {"shape": (1, 10, 10, 6), "domestic": False},
    "more importers than exporters": {"shape": (1, 5, 12, 6)},
    "long": {"shape": (1, 5, 4, 30)},
    "two periods": {"shape": (1, 12, 12, 2)},
    "effects alone": {"columns": 0},
    "many regressors": {"shape": (1, 10, 10, 8), "columns": 12},
}


@pytest.mark.parametrize("ways", [2, 3])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_path(case, ways):
    y, X, factors, w = panel(0, ways=ways, **CASES[case])
    agree(*both(y, X, factors, w), y, factors, w)


@given(
    st.integers(0, 10_000),
    st.floats(0, 0.5),
    st.tuples(st.integers(1, 2), st.integers(2, 7), st.integers(2, 7), st.integers(2, 7)),
    st.sampled_from([2, 3]),
    st.sampled_from([None, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_equals_the_general_path_on_any_panel(seed, gaps, shape, ways, weights):
    y, X, factors, w = panel(seed, shape, gaps, columns=2, ways=ways, weights=weights)
    if len(y) < 10 or blocks.find(factors) is None:
        return
    agree(*both(y, X, factors, w), y, factors, w, tolerance=1e-8)  # tiny panels leave next to nothing of a regressor


@pytest.mark.parametrize("ways", [2, 3])
@pytest.mark.parametrize("case", ["plain", "gappy", "weights", "sectors", "effects alone"])
def test_equals_dense_dummies(case, ways):
    y, X, factors, w = panel(1, ways=ways, **CASES[case])
    dense = np.column_stack([X, *(np.eye(f.levels)[f.codes] for f in factors)])
    root = np.sqrt(w)
    solution = np.linalg.lstsq(dense * root[:, None], y * root, rcond=1e-12)[0]
    got = gravity_linear.fit(y, X, factors, w, layout=blocks.find(factors))
    np.testing.assert_allclose(got.beta, solution[: X.shape[1]], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(got.residual, y - dense @ solution, atol=1e-10)
    total = X @ got.beta + sum(e[f.codes] for e, f in zip(got.effects, factors, strict=True))
    np.testing.assert_allclose(y - total, got.residual, atol=1e-10)


@pytest.mark.parametrize("ways", [2, 3])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 4, 6, 1, 5, 2]])
def test_collinear_columns_are_dropped_as_in_the_general_path(order, ways):
    y, X, factors, w = panel(3, ways=ways)
    rng = np.random.default_rng(0)
    by_exporter = 1e6 * rng.normal(size=factors[0].levels)[factors[0].codes]
    copied = X[:, 0] + rng.normal(size=factors[-1].levels)[factors[-1].codes] + 1e3
    wide = np.column_stack([X, by_exporter, copied, rng.normal(size=len(y)), np.zeros(len(y))])[:, order]
    fast, slow = both(y, wide, factors, w)
    assert fast.kept.sum() == 4
    agree(fast, slow, y, factors, w)


def test_nearly_collinear_columns_keep_their_digits():
    y, X, factors, w = panel(3)
    close = X[:, 0] + 1e-4 * np.random.default_rng(0).normal(size=len(y))
    fast, slow = both(y, np.column_stack([X, close]), factors, w)
    agree(fast, slow, y, factors, w, tolerance=1e-7)  # relative to errors that are 1e4 times larger


def test_row_order_units_and_names_of_levels_do_not_matter():
    y, X, factors, w = panel(4, weights=1.0)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    turned = [compact(rng.permutation(factors[g].levels)[factors[g].codes][order]) for g in (2, 0, 1)]
    a, _ = both(y, X, factors, w)
    b, _ = both(1e9 * y[order], X[order], turned, 1e-12 * w[order])
    np.testing.assert_allclose(1e9 * a.beta, b.beta, rtol=1e-9)
    np.testing.assert_allclose(a.within[order], b.within, atol=1e-9)
    np.testing.assert_allclose(1e9 * a.residual[order], b.residual, atol=1e-9 * 1e9)


def test_effects_that_stay_in_the_columns_are_not_returned(monkeypatch):
    y, X, factors, w = panel(5, gaps=0.4)
    layout = blocks.find(factors)
    gravity_linear.fit(y, X, factors, w, layout=layout)  # control
    monkeypatch.setattr(correction, "MOST_STEPS", 0)
    with pytest.raises(NotConverged):
        gravity_linear.fit(y, X, factors, w, layout=layout)


def test_rounds_stay_in_single_precision():
    mu = np.random.default_rng(0).random((3, 5, 4), dtype=np.float32)
    turned = np.ascontiguousarray(mu.transpose(0, 2, 1))
    information = perperiod.Information(mu, turned, mu.sum(2), mu.sum(1), 1 / mu.sum(0))
    v = perperiod.Pairing(np.ones((3, 5, 2), dtype=np.float32), np.ones((3, 4, 2), dtype=np.float32))
    for out in (information.product(v), perperiod.PerPeriod(information).solve(v)):
        assert (out.a.dtype, out.b.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("at_once", [7, 1 << 15])
def test_dummies_sum_and_take_out_what_dense_ones_do(at_once, monkeypatch):
    monkeypatch.setattr(gravity_linear, "_AT_ONCE", at_once)  # the last stretch of rows is a short one
    _, X, factors, w = panel(6, weights=1.0)
    layout = blocks.find(factors)
    dummies = gravity_linear.Dummies(factors, w, layout)
    first, places = 0, []
    for role, corner, size in zip(layout.roles, layout.corners, layout.sizes[1:], strict=True):
        places.append(first + corner[factors[role].codes])
        first += size
    dense = sum(np.eye(first)[place] for place in places)
    np.testing.assert_allclose(dummies.sums(X), dense.T @ (X * w[:, None]), atol=1e-11)  # sums of some hundred numbers
    effects, left = np.random.default_rng(0).normal(size=(first, X.shape[1])), X.copy()
    dummies.take_out(effects, left)
    np.testing.assert_allclose(left, X - dense @ effects, atol=1e-13)  # three numbers around one


@pytest.mark.parametrize("columns", [0, 1, 2, 4, 6])
def test_columns_of_zeros_that_fill_up_the_lanes_change_nothing(columns, monkeypatch):
    y, X, factors, w = panel(7, columns=columns, weights=0.5)
    filled = gravity_linear.fit(y, X, factors, w, layout=blocks.find(factors))
    monkeypatch.setattr(correction, "LANES", 1)
    bare = gravity_linear.fit(y, X, factors, w, layout=blocks.find(factors))
    np.testing.assert_allclose(filled.beta, bare.beta, rtol=1e-10, atol=1e-12)  # effects are taken out to 1e-10
    np.testing.assert_allclose(filled.residual, bare.residual, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 130, 257])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_triangles_are_inverted_by_halves(size, precision):
    lower = np.tril(np.random.default_rng(size).normal(size=(size, size)) / size) + np.eye(size)
    got = perperiod._inverse_of_lower(lower.astype(precision))
    assert got.dtype == precision
    rounding = 100 * np.finfo(precision).eps  # the triangle is well conditioned
    np.testing.assert_allclose(got, np.linalg.inv(lower), atol=rounding)
    assert not np.triu(got, 1).any()


def test_the_columns_given_stay_as_they_are():
    y, X, factors, w = panel(8)
    before = y.copy(), X.copy(), w.copy()
    gravity_linear.fit(y, X, factors, w, layout=blocks.find(factors))
    for given_, kept in zip((y, X, w), before, strict=True):
        np.testing.assert_array_equal(given_, kept)


def frame_and_formula(effects):
    frame = gravity_world(9, 6, dispersion=0.5, seed=3)
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    return frame[frame["trade_musd"] > 0], f"log(trade_musd) ~ x | {effects}"


@pytest.mark.parametrize("effects", ["exporter^year + importer^year + pair", "exporter^year + importer^year"])
def test_the_path_taken_stands_in_the_facts(effects):
    frame, formula = frame_and_formula(effects)
    once = cte.ols(formula, frame)
    assert once.facts["path"] == "gravity"
    twice = cte.ols(formula, pd.concat([frame, frame]))
    assert twice.facts["path"] == "general"
    assert twice.coef["x"] == pytest.approx(once.coef["x"], rel=1e-10)
    assert cte.ols("log(trade_musd) ~ x", frame).facts["path"] == "general"


def test_what_one_path_cannot_do_the_other_decides(monkeypatch):
    frame, formula = frame_and_formula("exporter^year + importer^year + pair")
    want = cte.ols(formula, frame)

    def refuse(*_args, **_options):
        raise NotConverged("not this one")

    monkeypatch.setattr(gravity_linear, "fit", refuse)
    got = cte.ols(formula, frame)
    assert (want.facts["path"], got.facts["path"]) == ("gravity", "general")
    np.testing.assert_allclose(got.coef, want.coef, rtol=1e-10)
    np.testing.assert_allclose(got.vcov, want.vcov, rtol=1e-8)
