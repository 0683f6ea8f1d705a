"""The path of gravity panels against the general one, which shares no step of its algorithm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cyber_trade_econ as cte
from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import blocks, perperiod, poisson, threeway
from cyber_trade_econ.hdfe.factor import compact
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.regressors import FEWEST, listed
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.simulate import gravity_world


def cells(sectors, exporters, importers, times):
    grid = np.meshgrid(range(sectors), range(exporters), range(importers), range(times), indexing="ij")
    return [v.ravel() for v in grid]


def panel(seed, shape=(1, 9, 8, 6), gaps=0.1, columns=3, spread=1.0, domestic=0.0, weighted=False, one_pair=False):
    """Rows of a gravity panel in random order, those without an estimate left out."""
    rng = np.random.default_rng(seed)
    s, e, i, t = cells(*shape)
    _, N, J, T = shape
    keep = rng.random(len(s)) > gaps
    s, e, i, t = s[keep], e[keep], i[keep], t[keep]
    pair = e * J + i if one_pair else (s * N + e) * J + i
    codes = [(s * N + e) * T + t, (s * J + i) * T + t, pair]
    X = rng.normal(size=(len(s), columns))
    X[:, ::2] = X[:, ::2] > 0.5
    effects = sum(rng.normal(0, spread, f.levels)[f.codes] for f in map(compact, codes))
    index = X @ np.linspace(0.5, -0.3, columns) + effects + domestic * (e == i)
    y = np.exp(index + rng.normal(size=len(s))) * (rng.random(len(s)) > 0.3)
    kept = np.arange(len(s))
    while True:
        factors = [compact(c[kept]) for c in codes]
        good = prune(factors, y[kept]).keep
        if good.all():
            good = ~separated(y[kept], X[kept], factors)
            if good.all():
                break
        kept = kept[good]
    kept = rng.permutation(kept)
    factors = [compact(c[kept]) for c in codes]
    n = len(kept)
    w, offset = (rng.uniform(0.2, 3, n), rng.normal(size=n)) if weighted else (np.ones(n), np.zeros(n))
    return y[kept], X[kept], factors, w, offset


def with_events(seed, events=11, **shape):
    """A panel with dummies of events, mostly zero and some in the same cell, among other regressors."""
    y, X, factors, w, offset = panel(seed, **shape)
    rng = np.random.default_rng(seed)
    dummies = (rng.random((len(y), events)) < 0.05) * rng.choice([1.0, -0.5], events)
    y = y * np.exp(dummies @ np.linspace(-0.4, 0.4, events))
    at = rng.permutation(X.shape[1] + events)  # their place among the regressors must not matter
    return y, np.column_stack([X, dummies])[:, at], factors, w, offset


def both(y, X, factors, w, offset, **options):
    layout = blocks.detect(factors)
    assert layout is not None
    fast = threeway.fit(y, X, w, offset, factors=factors, blocks=layout, **options)
    return fast, poisson.fit(y, X, factors, w, offset, tol=1e-12, **options)


def agree(fast, slow, y, w, tolerance=1e-9):
    """Coefficients relative to their standard errors; the rest relative to its size."""
    np.testing.assert_array_equal(fast.kept, slow.kept)
    size = np.sqrt(np.diag(slow.root @ slow.root.T))
    np.testing.assert_allclose(fast.beta / size, slow.beta / size, atol=tolerance * np.sqrt(np.average(y, weights=w)))
    np.testing.assert_allclose(
        fast.root @ fast.root.T / size / size[:, None], slow.root @ slow.root.T / size / size[:, None], atol=tolerance
    )
    # A fit stops at a relative score of 1e-9, which weighs rows by trade: small fitted values are known less well.
    np.testing.assert_allclose(fast.mu, slow.mu, rtol=1e-7, atol=1e-9 * y.max())
    want, within = slow.within * size, fast.within.whole() if isinstance(fast.within, Net) else fast.within
    np.testing.assert_allclose(within * size, want, atol=1e-7 * np.abs(want).max(initial=0))
    assert fast.deviance == pytest.approx(slow.deviance, rel=1e-9, abs=1e-9 * np.sum(w * y))
    assert fast.log_likelihood == pytest.approx(slow.log_likelihood, rel=1e-9)
    assert fast.score <= 1e-8


CASES = {
    "plain": {},
    "gappy": {"gaps": 0.45},
    "sectors": {"shape": (3, 9, 8, 5)},
    "pairs across sectors": {"shape": (3, 7, 8, 4), "one_pair": True},
    "weights and offset": {"weighted": True},
    "more importers than exporters": {"shape": (1, 5, 12, 6)},
    "long": {"shape": (1, 5, 4, 30)},
    "domestic flows": {"shape": (1, 10, 10, 6), "domestic": 5.0},
    "heavy tails": {"shape": (1, 12, 12, 6), "spread": 2.0},
    "effects alone": {"columns": 0},
    "many regressors": {"shape": (1, 10, 10, 8), "columns": 12},
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_path(case, seed):
    y, X, factors, w, offset = panel(seed, **CASES[case])
    agree(*both(y, X, factors, w, offset), y, w)


@given(st.integers(0, 10_000), st.floats(0, 0.4), st.integers(2, 7), st.integers(2, 7), st.integers(2, 7))
@settings(max_examples=25, deadline=None)
def test_equals_the_general_path_on_any_panel(seed, gaps, exporters, importers, times):
    y, X, factors, w, offset = panel(seed, (1, exporters, importers, times), gaps, columns=1)
    if len(y) < 20 or blocks.detect(factors) is None:
        return
    try:
        slow = poisson.fit(y, X, factors, w, offset, tol=1e-12)
    except NotConverged:  # nothing to compare with
        assume(False)
    fast = threeway.fit(y, X, w, offset, factors=factors, blocks=blocks.detect(factors))
    agree(fast, slow, y, w, tolerance=1e-8)  # tiny panels can be nearly separated


@pytest.mark.parametrize("case", [{}, {"gaps": 0.4, "weighted": True}, {"shape": (3, 9, 8, 5)}, {"columns": 0}])
def test_regressors_that_are_mostly_zero(case):
    y, X, factors, w, offset = with_events(0, **case)
    assert listed(X).rare.sum() == 11
    fast, slow = both(y, X, factors, w, offset)
    assert isinstance(fast.within, Net)
    agree(fast, slow, y, w)
    index = X @ fast.beta + offset + sum(e[f.codes] for e, f in zip(fast.effects, factors, strict=True))
    np.testing.assert_allclose(np.exp(index), fast.mu, rtol=1e-9)


def test_collinear_regressors_that_are_mostly_zero():
    y, X, factors, w, offset = with_events(1)
    rng = np.random.default_rng(0)
    once = rng.choice(
        np.flatnonzero(factors[0].codes == 3), 1
    )  # one importer's dummy in a period is no effect: it is kept
    single = np.zeros(len(y))
    single[once] = 1.0
    of_effect = (factors[1].codes == 2).astype(float)
    wide = np.column_stack([of_effect, X, X[:, [-1]] * 3, single])
    fast, slow = both(y, wide, factors, w, offset)
    assert fast.kept.tolist() == [False] + [True] * X.shape[1] + [False, True]
    agree(fast, slow, y, w, tolerance=1e-8)  # a dummy of one row makes its fit exact


def test_few_columns_of_zeros_are_not_worth_a_list():
    _, X, *_ = with_events(0)
    few, many = with_events(0, events=FEWEST - 1)[1], with_events(0, events=FEWEST)[1]
    assert (listed(few).rare.sum(), listed(many).rare.sum()) == (0, FEWEST)
    assert not listed(X[:, :0]).rare.any()


def test_effects_reproduce_the_fit():
    y, X, factors, w, offset = panel(2, weighted=True)
    fast, _ = both(y, X, factors, w, offset)
    index = X @ fast.beta + offset + sum(e[f.codes] for e, f in zip(fast.effects, factors, strict=True))
    np.testing.assert_allclose(np.exp(index), fast.mu, rtol=1e-10)
    for f in factors:  # totals fitted are totals observed
        np.testing.assert_allclose(f.sums(w * fast.mu), f.sums(w * y), rtol=1e-8)


def test_collinear_columns_are_dropped_as_in_the_general_path():
    y, X, factors, w, offset = panel(3)
    rng = np.random.default_rng(0)
    by_exporter_time = rng.normal(size=factors[0].levels)[factors[0].codes]
    copied = X[:, 0] + rng.normal(size=factors[2].levels)[factors[2].codes] + 1e3
    fresh = rng.normal(size=len(y))
    wide = np.column_stack([X, by_exporter_time, copied, fresh, np.zeros(len(y))])
    fast, slow = both(y, wide, factors, w, offset)
    assert fast.kept.tolist() == [True, True, True, False, False, True, False]
    agree(fast, slow, y, w)


def test_row_order_and_names_of_levels_do_not_matter():
    y, X, factors, w, offset = panel(4, weighted=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    renamed = [compact(rng.permutation(f.levels)[f.codes][order]) for f in factors]
    turned = [renamed[2], renamed[0], renamed[1]]  # nor which effect is named first
    a, _ = both(y, X, factors, w, offset)
    b, _ = both(y[order], X[order], turned, w[order], offset[order])
    np.testing.assert_allclose(a.beta, b.beta, rtol=1e-9)
    np.testing.assert_allclose(a.mu[order], b.mu, rtol=1e-8)
    np.testing.assert_allclose(a.within[order], b.within, atol=1e-7)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_units_do_not_matter(unit):
    y, X, factors, w, offset = panel(5)
    a, _ = both(y, X, factors, w, offset)
    b, _ = both(y * unit, X, factors, w, offset)
    c, _ = both(y, X * unit, factors, w, offset)
    np.testing.assert_allclose(a.beta, b.beta, rtol=1e-10)
    np.testing.assert_allclose(a.beta, c.beta * unit, rtol=1e-10)
    np.testing.assert_allclose(a.mu * unit, b.mu, rtol=1e-9)


def test_boxes_are_found_whatever_the_levels_are_called():
    s, e, i, t = cells(2, 5, 4, 3)
    factors = [compact(v) for v in ((s * 5 + e) * 3 + t, (s * 4 + i) * 3 + t, (s * 5 + e) * 4 + i)]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        layout = blocks.detect([factors[g] for g in order])
        assert [sorted(b.shape) for b in layout.boxes] == [[3, 4, 5], [3, 4, 5]]
        assert order[layout.roles[2]] == 2
        assert len(np.unique(layout.cells)) == len(s)


def test_roles_do_not_depend_on_how_many_pairs_trade():
    _, e, i, t = cells(1, 12, 11, 7)
    for partners in (11, 3):  # with three each there are more exporter-times than pairs
        traded = (e - i) % 11 < partners
        factors = [compact(v[traded]) for v in (e * 11 + i, e * 7 + t, i * 7 + t)]
        assert (factors[0].levels > factors[1].levels) == (partners == 11)
        layout = blocks.detect(factors)
        assert [box.shape for box in layout.boxes] == [(7, 12, 11)]
        assert layout.roles == (1, 2, 0)


def test_other_structures_are_left_to_the_general_path():
    s, e, i, t = cells(1, 6, 6, 4)
    gravity = [compact(e * 4 + t), compact(i * 4 + t), compact(e * 6 + i)]
    assert blocks.detect(gravity) is not None  # control
    assert blocks.detect(gravity[:2]) is None
    assert blocks.detect([compact(e), compact(i), compact(t)]) is None
    twice = [compact(np.tile(f.codes, 2)) for f in gravity]  # a pair has two rows in a period
    assert blocks.detect(twice) is None
    assert blocks.detect([compact(e * 4 + t), compact(i * 4 + t), compact(t)]) is None
    s, e, i, t = cells(1, 20, 20, 8)
    for share in (0.2, 0.05):
        sparse = np.random.default_rng(0).random(len(s)) < share
        some = [compact(v[sparse]) for v in (e * 8 + t, i * 8 + t, e * 20 + i)]
        assert (blocks.detect(some) is None) == (share < blocks.SMALLEST_FILL)


def test_what_does_not_converge_is_not_returned():
    y, X, factors, w, offset = panel(6)
    layout = blocks.detect(factors)
    assert threeway.fit(y, X, w, offset, factors=factors, blocks=layout).iterations < 10  # control
    with pytest.raises(NotConverged):
        threeway.fit(y, X, w, offset, factors=factors, blocks=layout, max_iterations=2)
    bare = np.where((X[:, 0] > 0) & (np.arange(len(y)) % 2 == 0), 0.0, y)
    apart = ((X[:, 0] > 0) & (np.arange(len(y)) % 2 == 0)).astype(float)  # one only where the outcome is zero
    with pytest.raises(NotConverged):
        threeway.fit(bare, apart[:, None], w, offset, factors=factors, blocks=layout)


def test_the_preconditioner_solves_a_period_by_itself():
    rng = np.random.default_rng(0)
    mu = rng.lognormal(0, 2, size=(1, 6, 5))
    information = perperiod.Information(mu, mu.transpose(0, 2, 1).copy(), mu.sum(2), mu.sum(1), np.zeros((6, 5)))
    first = perperiod.PerPeriod(information, precise=True)
    v = perperiod.Pairing(rng.normal(size=(1, 6, 2)), rng.normal(size=(1, 5, 2)))
    right = information.product(v)
    got = information.product(first.solve(right))
    np.testing.assert_allclose(got.a, right.a, atol=1e-4 * np.abs(right.a).max())  # the ridge is 2e-6
    np.testing.assert_allclose(got.b, right.b, atol=1e-4 * np.abs(right.b).max())


def test_the_path_taken_stands_in_the_facts():
    frame = gravity_world(8, 6, dispersion=0.5, seed=3)
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    both_ways = cte.ppml("trade_musd ~ x | exporter^year + importer^year + pair", frame)
    assert both_ways.facts["path"] == "gravity"
    twice = cte.ppml("trade_musd ~ x | exporter^year + importer^year + pair", pd.concat([frame, frame]))
    assert twice.facts["path"] == "general"
    assert twice.coef["x"] == pytest.approx(both_ways.coef["x"], rel=1e-9)


def test_what_one_path_cannot_do_the_other_decides(monkeypatch):
    frame = gravity_world(8, 6, dispersion=0.5, seed=3)
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    want = cte.ppml("trade_musd ~ x | exporter^year + importer^year + pair", frame)

    def refuse(*_args, **_options):
        raise NotConverged("not this one")

    monkeypatch.setattr(threeway, "fit", refuse)
    got = cte.ppml("trade_musd ~ x | exporter^year + importer^year + pair", frame)
    assert (want.facts["path"], got.facts["path"]) == ("gravity", "general")
    np.testing.assert_allclose(got.coef, want.coef, rtol=1e-10)
    np.testing.assert_allclose(got.vcov, want.vcov, rtol=1e-8)


def test_regressors_that_keep_part_of_the_effects_are_not_returned(monkeypatch):
    y, X, factors, w, offset = panel(8)
    layout = blocks.detect(factors)
    assert threeway.fit(y, X, w, offset, factors=factors, blocks=layout).score <= 1e-8  # control
    monkeypatch.setattr(perperiod, "MAX_ITERATIONS", 1)
    with pytest.raises(NotConverged):
        threeway.fit(y, X, w, offset, factors=factors, blocks=layout)
