"""Varying slopes in the numerical core: against explicit dummies, statsmodels and the definition of separation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.hdfe import linear, poisson, precondition, separated_slopes
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import Slope, chosen, compact
from cyber_trade_econ.hdfe.prune import prune


def dummies(effects, origin=0.0):
    """One column per level, times the variable less ``origin`` for a slope."""
    return np.column_stack(
        [
            (e.codes[:, None] == np.arange(e.levels)) * (e.variable[:, None] - origin if isinstance(e, Slope) else 1.0)
            for e in effects
        ]
    )


def panel(seed, n=6, years=8):
    rng = np.random.default_rng(seed)
    exporter, importer, t = (a.ravel() for a in np.indices((n, n, years)))
    seen = rng.random(len(t)) < 0.9
    exporter, importer, t = exporter[seen], importer[seen], t[seen]
    by = [compact(c) for c in (exporter * 100 + t, importer * 100 + t, exporter * 100 + importer)]
    X = rng.normal(size=(len(t), 2))
    trend = rng.normal(0, 0.1, by[2].levels)[by[2].codes] * t
    index = X @ [0.3, -0.2] + rng.normal(0, 0.5, by[2].levels)[by[2].codes] + trend + 1
    return rng.poisson(np.exp(index)) + 1.0, X, by, t + 2000.0, rng.uniform(0.5, 2, len(t))


def sets(by, year):
    """Effects that are eliminated first have the slope, or others do, or there are no others."""
    exporter_year, importer_year, pair = by
    trend = Slope(pair.codes, pair.levels, year)
    region = compact(pair.codes % 5)
    return {
        "three-way": [exporter_year, importer_year, pair, trend],
        "pairs alone": [pair, trend],
        "of a smaller factor": [exporter_year, pair, region, Slope(region.codes, 5, year)],
        "two": [exporter_year, pair, trend, region, Slope(region.codes, 5, year**2 / 1e3)],
    }


@pytest.mark.parametrize("limit", [0, 1000], ids=["conjugate gradients", "exact parts"])
@pytest.mark.parametrize("which", ["three-way", "pairs alone", "of a smaller factor", "two"])
def test_fits_equal_those_on_dummies(which, limit, monkeypatch):
    monkeypatch.setattr(precondition, "LARGEST_PART", limit)
    y, X, by, year, w = panel(1)
    effects = sets(by, year)[which]
    Z = np.column_stack([X, dummies(effects, 2004.0)])
    root = np.sqrt(w)
    want = np.linalg.lstsq(root[:, None] * Z, root * y, rcond=1e-11)[0]
    got = linear.fit(y, X, effects, w)
    np.testing.assert_allclose(got.beta, want[:2], atol=1e-10)
    np.testing.assert_allclose(got.residual, y - Z @ want, atol=1e-8)
    eta = np.log(y)
    for _ in range(25):
        mu = np.exp(eta)
        root = np.sqrt(w * mu)
        step = np.linalg.lstsq(root[:, None] * Z, root * (eta + (y - mu) / mu), rcond=1e-11)[0]
        eta = Z @ step
    fitted = poisson.fit(y, X, effects, w, np.zeros(len(y)))
    np.testing.assert_allclose(fitted.beta, step[:2], atol=1e-10)  # both iterate to rounding
    np.testing.assert_allclose(fitted.mu, np.exp(eta), rtol=1e-8)
    assert fitted.score < 1e-9


def test_poisson_agrees_with_statsmodels():
    api = pytest.importorskip("statsmodels.api")
    y, X, by, year, _ = panel(2)
    effects = [by[2], Slope(by[2].codes, by[2].levels, year)]
    Z = np.column_stack([X, dummies(effects, 2004.0)])
    want = api.GLM(y, Z, family=api.families.Poisson()).fit(tol=1e-13, maxiter=100)
    got = poisson.fit(y, X, effects, np.ones(len(y)), np.zeros(len(y)))
    np.testing.assert_allclose(got.beta, want.params[:2], atol=1e-9)
    np.testing.assert_allclose(got.root @ got.root.T, want.cov_params()[:2, :2], rtol=1e-8)


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e9])
def test_neither_origin_nor_unit_of_the_variable_matter(shift):
    y, X, by, year, w = panel(3)
    pair = by[2]
    near = linear.fit(y, X, [*by, Slope(pair.codes, pair.levels, year - 2000)], w)
    far = linear.fit(y, X, [*by, Slope(pair.codes, pair.levels, (year - 2000) * 1024 + shift)], w)
    np.testing.assert_allclose(far.beta, near.beta, atol=1e-11)
    np.testing.assert_allclose(far.effects[3], near.effects[3], atol=1e-8)  # in units of the range: the same


def test_levels_in_which_the_variable_does_not_vary_have_no_slope():
    y, X, by, year, w = panel(4)
    pair = by[2]
    flat = np.where(pair.codes < 10, 0.1 * 3, year)  # not a whole number: nothing may depend on exact arithmetic
    slope = Slope(pair.codes, pair.levels, flat)
    assert slope.moves.tolist() == [False] * 10 + [True] * (pair.levels - 10)
    got = linear.fit(y, X, [pair, slope], w)
    Z = np.column_stack([X, dummies([pair]), dummies([slope], 2004.0)[:, 10:]])
    root = np.sqrt(w)
    want = np.linalg.lstsq(root[:, None] * Z, root * y, rcond=None)[0]
    np.testing.assert_allclose(got.beta, want[:2], atol=1e-10)
    assert (got.effects[1][:10] == 0).all()


def test_a_regressor_that_slopes_take_up_is_found():
    y, X, by, year, w = panel(5)
    effects = [*by, Slope(by[2].codes, by[2].levels, year)]
    taken = np.random.default_rng(0).normal(size=by[2].levels)[by[2].codes] * (year - 2000)
    assert linear.fit(y, np.column_stack([X, taken]), effects, w).kept.tolist() == [True, True, False]
    assert linear.fit(y, np.column_stack([X, taken]), by, w).kept.all()  # control: it is the slopes


def test_rows_that_a_slope_separates_are_dropped():
    pair = compact(np.repeat([0, 1, 2], 4))
    year = np.tile(np.arange(4.0), 3) + 2000
    y = np.array([5.0, 0, 0, 0, 0, 7, 0, 0, 3, 0, 0, 2])
    slope = Slope(pair.codes, 3, year)
    pruned = prune([pair, slope], y)
    # The first trades in its first year alone, and is then a singleton; the second between two zeros; the third at both ends.
    assert (pruned.slopes, pruned.singletons) == (3, 1)
    assert pruned.keep.tolist() == [False] * 4 + [True] * 8
    assert prune([pair], y).keep.all()  # control: without slopes nothing is wrong


def kept_rows(y, X, effects):
    """Leave out separated rows until there are none."""
    rows = np.arange(len(y))
    while True:
        bad = separated_slopes.separated(y[rows], X[rows], effects)
        if not bad.any():
            return rows
        at = np.flatnonzero(~bad)
        rows, effects = rows[at], [chosen(e, at) for e in effects]


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_separation_equals_the_definition(lp_oracle, seed):
    rng = np.random.default_rng(seed)
    groups, years = int(rng.integers(2, 5)), int(rng.integers(3, 7))
    group, t = (a.ravel() for a in np.indices((groups, years)))
    seen = rng.random(len(t)) < 0.9
    factor, t = compact(group[seen]), t[seen]
    effects = [factor, Slope(factor.codes, factor.levels, t + 2000.0)]
    effects += [compact(t), compact(rng.integers(0, 3, len(t)))][: int(rng.integers(0, 3))]
    X = rng.integers(-1, 3, size=(len(t), int(rng.integers(0, 3)))).astype(float)
    y = rng.poisson(0.8, len(t)).astype(float)
    y[0] = max(y[0], 1.0)
    Z = np.column_stack([X, dummies(effects, 2000 + years / 2)])
    separated = lp_oracle(y, Z)
    rows = kept_rows(y, X, effects)
    np.testing.assert_array_equal(np.setdiff1d(np.arange(len(y)), rows), np.flatnonzero(separated))


def test_slopes_follow_their_factor_through_a_choice_of_rows():
    factor = compact(np.array([5, 5, 7, 7, 9, 9]))
    slope = chosen(Slope(factor.codes, 3, np.arange(6.0)), np.array([2, 3, 5]))
    assert (slope.codes.tolist(), slope.levels, slope.variable.tolist()) == ([0, 0, 1], 2, [2.0, 3.0, 5.0])
    assert Layout([chosen(factor, np.array([2, 3, 5])), slope]).order.leader == [0, 0]
