"""Poisson with two crossed effects on sheets against the general path and dense dummies, which share no step with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy

import cyber_trade_econ as cte
from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import bipartite, blocks, poisson, twoway
from cyber_trade_econ.hdfe.factor import compact
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.simulate import gravity_world


def rows(sectors, exporters, importers, times):
    grid = np.meshgrid(range(sectors), range(exporters), range(importers), range(times), indexing="ij")
    return [v.ravel() for v in grid]


def panel(seed, shape=(1, 9, 8, 4), gaps=0.1, columns=3, spread=1.0, domestic=None, weighted=False, zeros=0.3):
    """Rows of a panel in random order, those without an estimate left out; ``domestic=None`` leaves domestic flows out."""
    rng = np.random.default_rng(seed)
    s, e, i, t = rows(*shape)
    _, N, J, T = shape
    keep = rng.random(len(s)) > gaps
    if domestic is None:
        keep &= e != i
    s, e, i, t = s[keep], e[keep], i[keep], t[keep]
    codes = [(s * N + e) * T + t, (s * J + i) * T + t]
    distance = rng.normal(8, 0.8, (N, J))[e, i]
    X = np.column_stack([distance, rng.random((len(s), max(columns - 1, 0))) > 0.6])[:, :columns]
    effects = sum(rng.normal(0, spread, f.levels)[f.codes] for f in map(compact, codes))
    index = (
        X @ np.append(-1.0, np.linspace(0.5, -0.3, max(columns - 1, 0)))[:columns]
        + effects
        + (domestic or 0) * (e == i)
    )
    y = np.exp(index + rng.normal(size=len(s))) * (rng.random(len(s)) > zeros)
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


def by_sheets(y, X, factors, w, offset, **options):
    sheets = blocks.detect_sheets(factors)
    assert sheets is not None
    return twoway.fit(y, X, w, offset, factors=factors, sheets=sheets, **options)


def both(y, X, factors, w, offset, **options):
    return by_sheets(y, X, factors, w, offset, **options), poisson.fit(y, X, factors, w, offset, tol=1e-12, **options)


def agree(fast, slow, y, w, tolerance=1e-9):
    """Coefficients relative to their standard errors; the rest relative to its size."""
    np.testing.assert_array_equal(fast.kept, slow.kept)
    size = np.sqrt(np.diag(slow.root @ slow.root.T))
    np.testing.assert_allclose(fast.beta / size, slow.beta / size, atol=tolerance * np.sqrt(np.average(y, weights=w)))
    np.testing.assert_allclose(
        fast.root @ fast.root.T / size / size[:, None], slow.root @ slow.root.T / size / size[:, None], atol=tolerance
    )
    np.testing.assert_allclose(fast.mu, slow.mu, rtol=1e-7, atol=1e-12 * y.max())  # the score weighs rows by trade
    want = slow.within * size
    np.testing.assert_allclose(fast.within * size, want, atol=1e-7 * np.abs(want).max(initial=0))
    assert fast.deviance == pytest.approx(slow.deviance, rel=1e-9, abs=1e-9 * np.sum(w * y))
    assert fast.log_likelihood == pytest.approx(slow.log_likelihood, rel=1e-9)
    assert fast.score <= 1e-8


CASES = {
    "plain": {},
    "gappy": {"gaps": 0.45},
    "sectors": {"shape": (3, 8, 9, 3)},
    "weights and offset": {"weighted": True},
    "more importers than exporters": {"shape": (1, 5, 14, 4)},
    "one period": {"shape": (1, 25, 20, 1)},
    "domestic flows": {"shape": (1, 10, 10, 4), "domestic": 0.0},
    "domestic flows that dominate": {"shape": (1, 10, 10, 4), "domestic": 9.0},
    "heavy tails": {"shape": (1, 12, 12, 4), "spread": 2.5},
    "mostly zeros": {"shape": (1, 14, 14, 3), "zeros": 0.8},
    "effects alone": {"columns": 0},
    "many regressors": {"shape": (1, 12, 12, 4), "columns": 12},
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_path(case, seed):
    y, X, factors, w, offset = panel(seed, **CASES[case])
    agree(*both(y, X, factors, w, offset), y, w)


@given(
    st.integers(0, 10_000), st.floats(0, 0.4), st.integers(2, 8), st.integers(2, 8), st.integers(1, 4), st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_equals_the_general_path_on_any_panel(seed, gaps, exporters, importers, times, weighted):
    y, X, factors, w, offset = panel(seed, (1, exporters, importers, times), gaps, columns=1, weighted=weighted)
    if len(y) < 12 or blocks.detect_sheets(factors) is None:
        return
    try:
        slow = poisson.fit(y, X, factors, w, offset, tol=1e-12)
    except NotConverged:  # nothing to compare with
        assume(False)
    agree(by_sheets(y, X, factors, w, offset), slow, y, w, tolerance=1e-8)  # tiny panels can be nearly separated


@pytest.mark.parametrize("case", ["gappy", "weights and offset", "sectors", "domestic flows that dominate"])
def test_equals_dense_dummies(case):
    options = {"shape": (1, 7, 6, 3)} | CASES[case]
    y, X, factors, w, offset = panel(3, **options)
    dummies = np.column_stack([np.eye(f.levels)[f.codes] for f in factors])
    sheets = blocks.detect_sheets(factors)
    last = [np.flatnonzero(sheets.corners[1] == s.importer)[0] for s in sheets.sheets]  # one reference in each sheet
    column = [g * factors[0].levels + level for g, level in zip([sheets.roles[1]] * len(last), last, strict=True)]
    dense = np.column_stack([X, np.delete(dummies, column, axis=1)])
    family = sm.families.Poisson()
    oracle = sm.GLM(y, dense, family, offset=offset, freq_weights=w).fit(tol=1e-13, maxiter=200)
    got = by_sheets(y, X, factors, w, offset)
    k = X.shape[1]
    # both at the maximum: what is left is the square root of rounding in neither, but what statsmodels stops at
    np.testing.assert_allclose(got.beta, oracle.params[:k], rtol=1e-8)
    np.testing.assert_allclose(got.mu, oracle.mu, rtol=1e-7)
    np.testing.assert_allclose(got.root @ got.root.T, oracle.normalized_cov_params[:k, :k], rtol=1e-6)


def test_effects_reproduce_the_fit_and_totals():
    y, X, factors, w, offset = panel(2, weighted=True)
    fast = by_sheets(y, X, factors, w, offset)
    index = X @ fast.beta + offset + sum(e[f.codes] for e, f in zip(fast.effects, factors, strict=True))
    np.testing.assert_allclose(np.exp(index), fast.mu, rtol=1e-10)
    for f in factors:
        np.testing.assert_allclose(f.sums(w * fast.mu), f.sums(w * y), rtol=1e-8)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 2, 1, 0], [3, 0, 4, 6, 1, 5, 2]])
def test_collinear_columns_are_dropped_as_in_the_general_path(order):
    y, X, factors, w, offset = panel(3)
    rng = np.random.default_rng(0)
    by_exporter = rng.normal(size=factors[0].levels)[factors[0].codes]
    copied = X[:, 0] + rng.normal(size=factors[1].levels)[factors[1].codes] + 1e3
    wide = np.column_stack([X, by_exporter, copied, rng.normal(size=len(y)), np.zeros(len(y))])[:, order]
    fast, slow = both(y, wide, factors, w, offset)
    assert fast.kept.sum() == 4
    agree(fast, slow, y, w)


def test_nearly_collinear_columns_keep_their_digits():
    y, X, factors, w, offset = panel(3)
    close = X[:, 0] + 1e-4 * np.random.default_rng(0).normal(size=len(y))
    agree(*both(y, np.column_stack([X, close]), factors, w, offset), y, w, tolerance=1e-7)  # of 1e4 times larger errors


def test_row_order_and_names_of_levels_do_not_matter():
    y, X, factors, w, offset = panel(4, weighted=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(y))
    turned = [compact(rng.permutation(f.levels)[f.codes][order]) for f in reversed(factors)]
    a, b = by_sheets(y, X, factors, w, offset), by_sheets(y[order], X[order], turned, w[order], offset[order])
    np.testing.assert_allclose(a.beta, b.beta, rtol=1e-9)
    np.testing.assert_allclose(a.mu[order], b.mu, rtol=1e-8)
    np.testing.assert_allclose(a.within[order], b.within, atol=1e-7)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_units_do_not_matter(unit):
    y, X, factors, w, offset = panel(5, weighted=True)
    a = by_sheets(y, X, factors, w, offset)
    b = by_sheets(y * unit, X, factors, w, offset)
    c = by_sheets(y, X * unit, factors, w, offset)
    np.testing.assert_allclose(a.beta, b.beta, rtol=1e-9)
    np.testing.assert_allclose(a.beta, c.beta * unit, rtol=1e-9)
    np.testing.assert_allclose(a.mu * unit, b.mu, rtol=1e-8)


def test_sheets_are_found_whatever_the_levels_are_called():
    s, e, i, t = rows(2, 5, 4, 3)
    factors = [compact((s * 5 + e) * 3 + t), compact((s * 4 + i) * 3 + t)]
    for pair in (factors, factors[::-1]):
        sheets = blocks.detect_sheets(pair)
        assert [sheet.shape for sheet in sheets.sheets] == [(5, 4)] * 6
        assert len(np.unique(sheets.cells)) == len(s)
        assert isinstance(blocks.find(pair), blocks.Sheets)


def test_other_structures_are_left_to_the_general_path():
    _, e, i, t = rows(1, 8, 8, 4)
    factors = [compact(e * 4 + t), compact(i * 4 + t)]
    assert blocks.find(factors) is not None  # control
    assert blocks.find(factors[:1]) is None
    assert blocks.find([]) is None
    assert blocks.find([compact(np.tile(f.codes, 2)) for f in factors]) is None  # a cell has two rows
    _, e, i, t = rows(1, 60, 60, 4)
    for share in (0.2, 0.05):
        few = np.random.default_rng(0).random(len(e)) < share
        some = [compact((e * 4 + t)[few]), compact((i * 4 + t)[few])]
        assert (blocks.find(some) is None) == (share < blocks.SMALLEST_FILL)
    for sheets in (blocks.MOST_BOXES, blocks.MOST_BOXES + 1):
        row = np.arange(2 * sheets)
        assert (blocks.find([compact(row), compact(row // 2)]) is None) == (sheets > blocks.MOST_BOXES)


def test_a_sample_without_an_estimate_is_refused():
    y, X, factors, w, offset = panel(6, domestic=0.0)
    assert by_sheets(y, X, factors, w, offset).iterations < 10  # control
    with pytest.raises(NotConverged):
        by_sheets(y, X, factors, w, offset, max_iterations=1)
    marked = (X[:, 1] > 0) & (np.arange(len(y)) % 2 == 0)
    with pytest.raises(NotConverged):  # one only where the outcome is zero: its coefficient runs to minus infinity
        by_sheets(np.where(marked, 0.0, y), marked.astype(float)[:, None], factors, w, offset)


def test_a_sheet_is_solved_exactly_even_where_next_to_nothing_joins_its_parts():
    rng = np.random.default_rng(0)
    mu = rng.lognormal(0, 1, (7, 6))
    mu[:4, 3:] *= 1e-9
    mu[4:, :3] *= 1e-9
    x, z = rng.normal(size=(7, 2)), rng.normal(size=(6, 2))
    r, s = mu.sum(1)[:, None] * x + mu @ z, mu.sum(0)[:, None] * z + mu.T @ x
    got_x, got_z = bipartite.Bipartite(mu).solve(r, s, np.zeros(2))
    fit, want = got_x[:, None] + got_z[None], x[:, None] + z[None]
    root = np.sqrt(mu)[:, :, None]
    np.testing.assert_allclose(root * fit, root * want, atol=1e-6)  # the join of weight 1e-9 has seven digits left
    np.testing.assert_allclose(mu.sum(1)[:, None] * got_x + mu @ got_z, r, rtol=1e-10)
    with pytest.raises(NotConverged):  # the two sides do not add up to the same: no effects have such sums
        bipartite.Bipartite(mu).solve(r, 2 * s, np.zeros(2))


def test_the_path_taken_stands_in_the_facts():
    frame = gravity_world(12, 4, dispersion=0.5, seed=3)
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    formula = "trade_musd ~ x | exporter^year + importer^year"
    once = cte.ppml(formula, frame)
    assert once.facts["path"] == "gravity"
    twice = cte.ppml(formula, pd.concat([frame, frame]))
    assert twice.facts["path"] == "general"
    assert twice.coef["x"] == pytest.approx(once.coef["x"], rel=1e-9)


def test_pseudo_r2_compares_with_a_constant_and_the_offset():
    frame = gravity_world(12, 4, dispersion=0.5, seed=3)
    rng = np.random.default_rng(0)
    frame = frame.assign(
        x=rng.normal(size=len(frame)), weight=rng.uniform(0.2, 3, len(frame)), known=rng.normal(size=len(frame))
    )
    got = cte.ppml("trade_musd ~ x | exporter^year + importer^year", frame, weights="weight", offset="known")
    y, w, exposure = frame["trade_musd"].to_numpy(), frame["weight"].to_numpy(), np.exp(frame["known"].to_numpy())
    assert got.nobs == len(frame)
    mu = exposure * np.sum(w * y) / np.sum(w * exposure)
    null = np.sum(w * (xlogy(y, mu) - mu - gammaln(y + 1)))
    assert got.facts["pseudo_r2"] == pytest.approx(1 - got.facts["log_likelihood"] / null, rel=1e-12)


def test_what_one_path_cannot_do_the_other_decides(monkeypatch):
    frame = gravity_world(12, 4, dispersion=0.5, seed=3)
    frame["x"] = np.random.default_rng(0).normal(size=len(frame))
    formula = "trade_musd ~ x | exporter^year + importer^year"
    want = cte.ppml(formula, frame)

    def refuse(*_args, **_options):
        raise NotConverged("not this one")

    monkeypatch.setattr(twoway, "fit", refuse)
    got = cte.ppml(formula, frame)
    assert (want.facts["path"], got.facts["path"]) == ("gravity", "general")
    np.testing.assert_allclose(got.coef, want.coef, rtol=1e-9)
    np.testing.assert_allclose(got.vcov, want.vcov, rtol=1e-8)
