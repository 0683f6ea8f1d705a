"""Effects by elimination: what it proves must hold, and separation found with it must be the separation of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.hdfe import elimination, separation
from cyber_trade_econ.hdfe.factor import compact, components, cross, is_nested, joined
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.regressors import Regressors
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.hdfe.spanning import spanning


def dummies(factors):
    return np.column_stack([f.codes[:, None] == np.arange(f.levels) for f in factors]).astype(float)


def gravity(seed, countries, periods, filled, positive, *, symmetric=False):
    """Exporter-time, importer-time and pair effects of a panel with gaps; outcome and the rows that pruning leaves."""
    rng = np.random.default_rng(seed)
    e, i, t = (a.ravel() for a in np.meshgrid(range(countries), range(countries), range(periods), indexing="ij"))
    keep = rng.random(len(e)) < filled
    e, i, t = e[keep], i[keep], t[keep]
    pair = np.minimum(e, i) * countries + np.maximum(e, i) if symmetric else e * countries + i
    y = (rng.random(len(e)) < positive) * rng.exponential(size=len(e))
    codes = [e * periods + t, i * periods + t, pair]
    left = prune([compact(c) for c in codes], y).keep
    return y[left], [compact(c[left]) for c in codes], rng


@pytest.mark.parametrize("symmetric", [False, True])
@given(seed=st.integers(0, 100_000), positive=st.sampled_from([0.3, 0.45, 0.6]), k=st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_separation_of_gravity_panels_equals_the_definition(lp_oracle, symmetric, seed, positive, k):
    y, factors, rng = gravity(seed, 4, 4, 0.8, positive, symmetric=symmetric)
    if not len(y):
        return
    X = rng.integers(0, 2, size=(len(y), k)).astype(float)
    if k:
        X[:, 0] *= rng.random() < 0.5 or y == 0  # half of the time a regressor that is zero wherever trade is positive
    got = separated(y, X, factors)
    np.testing.assert_array_equal(got, lp_oracle(y, np.column_stack([X, dummies(factors)])))


@given(seed=st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_elimination_and_projection_find_the_same(seed):
    y, factors, rng = gravity(seed, 7, 5, 0.8, 0.4)
    if not (y == 0).any():
        return
    X = rng.integers(-1, 2, size=(len(y), 2)).astype(float)
    by_elimination = elimination.by_elimination(Regressors.plain(X), factors, y == 0, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separation, "by_elimination", lambda *_: None)
        by_projection = separation._combinations(Regressors.plain(X), factors, y == 0, 0)
    if by_elimination is not None:  # one space, in whichever basis
        assert by_elimination.shape == by_projection.shape
        np.testing.assert_allclose(
            by_elimination @ by_elimination.T, by_projection @ by_projection.T, atol=1e-8
        )  # the projection solves to 1e-12 and combinations are scaled up from there


@pytest.mark.parametrize("symmetric", [False, True])
def test_elimination_settles_a_usual_panel(symmetric):
    y, factors, rng = gravity(3, 12, 6, 0.95, 0.6, symmetric=symmetric)
    known = spanning(factors, y > 0)
    assert known is not None
    assert len(known.moved(0)) == 0
    D = dummies(factors)
    assert np.linalg.matrix_rank(D[y > 0]) == np.linalg.matrix_rank(D)
    values = D @ rng.normal(size=(D.shape[1], 2))
    np.testing.assert_allclose(known.sums(known.effects(Regressors.plain(values)), slice(None)), values, atol=1e-10)


def test_effects_that_the_rows_do_not_determine_are_not_called_determined():
    y, factors, _ = gravity(3, 12, 6, 0.95, 0.6)
    level = factors[1].codes == 5
    cut = (y > 0) & ~level
    cut[np.flatnonzero(level)[:1]] = True  # one row of this level is left: its effect and nothing else follows from it
    D = dummies(factors)
    known = spanning(factors, cut)
    assert (len(known.moved(0)) == 0) == (np.linalg.matrix_rank(D[cut]) == np.linalg.matrix_rank(D))
    assert spanning(factors, (y > 0) & ~level) is None


@given(st.integers(0, 100_000), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_joined_parts_are_connected_parts(seed, left, right):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60))
    a, b = compact(rng.integers(0, left, n)), compact(rng.integers(0, right, n))
    of_a, of_b, count = joined(a, b)
    np.testing.assert_array_equal(of_a[a.codes], of_b[b.codes])
    D = dummies([a, b])
    assert a.levels + b.levels - np.linalg.matrix_rank(D) == components(a, b) == count == len(np.union1d(of_a, of_b))


def test_a_long_chain_is_joined():
    a = np.repeat(np.arange(3000), 2)
    b = np.concatenate([[0], np.repeat(np.arange(1, 3000), 2), [3000]])
    assert components(compact(a), compact(b)) == 1


@given(st.integers(0, 100_000), st.sampled_from([1, 10**6, 2**40]))
@settings(max_examples=40, deadline=None)
def test_levels_are_numbered_in_their_order(seed, spread):
    codes = np.random.default_rng(seed).integers(-5, 20, 50) * spread
    levels, inverse = np.unique(codes, return_inverse=True)
    got = compact(codes)
    assert got.levels == len(levels)
    np.testing.assert_array_equal(got.codes, inverse)


def test_nesting_is_decided_by_all_rows():
    inner = np.arange(10_000) // 2
    outer = inner // 3
    assert is_nested(compact(inner), compact(outer))
    outer[-1] += 1
    assert not is_nested(compact(inner), compact(outer))
    assert is_nested(cross([compact(inner), compact(outer)]), compact(outer))
