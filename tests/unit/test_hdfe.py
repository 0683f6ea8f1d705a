"""The numerical core against explicit dummies, closed forms and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import absorb, conjugate, linear, poisson, precondition
from cyber_trade_econ.hdfe.factor import Factor, compact, components, cross, is_nested
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated


def dummies(factors):
    return np.column_stack([f.codes[:, None] == np.arange(f.levels) for f in factors]).astype(float)


def draw(seed, n=300, levels=(12, 9, 7)):
    rng = np.random.default_rng(seed)
    factors = [compact(rng.integers(0, k, n)) for k in levels]
    X = rng.normal(size=(n, 3))
    index = X @ [0.5, -0.3, 0.1] + sum(rng.normal(0, 0.5, f.levels)[f.codes] for f in factors)
    y = rng.poisson(np.exp(index)).astype(float)
    keep = prune(factors, y).keep
    return y[keep], X[keep], tuple(compact(f.codes[keep]) for f in factors), rng.uniform(0.5, 2, n)[keep]


@pytest.mark.parametrize("limit", [0, 1000], ids=["conjugate gradients", "exact parts"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_projection_equals_least_squares_on_dummies(limit, count, monkeypatch):
    monkeypatch.setattr(precondition, "LARGEST_PART", limit)
    _, X, factors, w = draw(1)
    factors = factors[:count]
    projector = absorb.Layout(factors).weighted(w)
    got = projector.residual(X, projector.effects(X))
    root = np.sqrt(w)[:, None]
    D = dummies(factors)
    want = X - D @ np.linalg.lstsq(root * D, root * X, rcond=None)[0]
    np.testing.assert_allclose(got, want, atol=1e-10)  # two algorithms in double precision


@pytest.mark.parametrize("limit", [0, 1000], ids=["conjugate gradients", "exact parts"])
def test_a_chain_of_effects_is_absorbed_exactly(limit, monkeypatch):
    """The graph on which alternating projections crawl: 200 levels joined in a chain."""
    monkeypatch.setattr(precondition, "LARGEST_PART", limit)
    a = np.repeat(np.arange(200), 2)
    b = np.concatenate([[0], np.repeat(np.arange(1, 200), 2), [200]])
    factors = [compact(np.tile(a, 2)), compact(np.tile(b, 2))]
    x = np.random.default_rng(0).normal(size=(len(factors[0].codes), 1))
    w = np.ones(len(x))
    projector = absorb.Layout(factors).weighted(w)
    got = projector.residual(x, projector.effects(x))
    D = dummies(factors)
    np.testing.assert_allclose(got, x - D @ np.linalg.lstsq(D, x, rcond=None)[0], atol=1e-8)


def chain(levels):
    """Two factors whose levels are joined in one long chain, each link by two rows."""
    a = np.repeat(np.arange(levels), 2)
    b = np.concatenate([[0], np.repeat(np.arange(1, levels), 2), [levels]])
    return [compact(np.tile(a, 2)), compact(np.tile(b, 2))]


@pytest.mark.parametrize("fit", ["linear", "poisson"])
@pytest.mark.parametrize(("levels", "limit"), [(250, 0), (250, 1000), (1200, 1000)])
def test_a_regressor_that_a_chain_of_effects_takes_up_is_found(fit, levels, limit, monkeypatch):
    """What is left of it is the error of the solver, which on a chain is largest."""
    monkeypatch.setattr(precondition, "LARGEST_PART", limit)
    rng = np.random.default_rng(0)
    factors = chain(levels)
    taken = sum(rng.normal(size=f.levels)[f.codes] for f in factors)
    x = rng.normal(size=len(taken))
    X = np.column_stack([x, taken, x + 3 * taken])
    y, w = rng.poisson(np.exp(0.3 * x + 1)) + 1.0, np.ones(len(x))
    with_both, alone = (
        linear.fit(y, Z, factors, w) if fit == "linear" else poisson.fit(y, Z, factors, w, np.zeros(len(y)))
        for Z in (X, X[:, :1])
    )
    assert with_both.kept.tolist() == [True, False, False]
    np.testing.assert_allclose(with_both.beta, alone.beta, rtol=1e-12)


def test_columns_without_effects_are_left_as_they_are(monkeypatch):
    """Residuals are orthogonal to all effects: there is nothing but rounding to solve for."""
    monkeypatch.setattr(precondition, "LARGEST_PART", 0)
    _, X, factors, w = draw(11)
    projector = absorb.Layout(factors).weighted(w)
    net, _ = projector.absorb(X)
    again, effects = projector.absorb(net)
    np.testing.assert_allclose(again, net, atol=1e-13)
    assert max(np.abs(e).max() for e in effects) < 1e-12


@pytest.mark.parametrize(
    ("limit", "used"),
    [(1000, "Separate"), (60, "Bordered"), (20, "Beside"), (0, "Beside")],
)
def test_every_approximate_inverse_leads_to_the_same_projection(limit, used, monkeypatch):
    """Exporter-year and importer-year effects fall into years without the pairs; regions join the years again."""
    monkeypatch.setattr(precondition, "LARGEST_PART", limit)
    rng = np.random.default_rng(5)
    n, years, regions = 15, 8, 5
    exporter, importer, year = (a.ravel() for a in np.indices((n, n, years)))
    kept = rng.random(len(year)) < 0.8
    exporter, importer, year = exporter[kept], importer[kept], year[kept]
    region = (exporter % regions) * regions + importer % regions
    factors = [
        compact(c)
        for c in (exporter * years + year, importer * years + year, exporter * n + importer, region * 2 + year // 4)
    ]
    x, w = rng.normal(size=(len(year), 2)), np.exp(rng.normal(0, 3, len(year)))
    projector = absorb.Layout(factors).weighted(w)
    assert type(projector._near).__name__ == used
    got, _ = projector.absorb(x)
    root = np.sqrt(w)[:, None]
    D = dummies(factors)
    want = x - D @ np.linalg.lstsq(root * D, root * x, rcond=1e-13)[0]
    # Two algorithms in double precision; the lightest rows weigh a millionth of the heaviest.
    np.testing.assert_allclose(root * got, root * want, atol=1e-9 * np.abs(root * x).max())


def test_projection_gives_up_loudly(monkeypatch):
    monkeypatch.setattr(precondition, "LARGEST_PART", 0)
    _, X, factors, w = draw(2)
    projector = absorb.Layout(factors).weighted(w)
    assert projector.effects(X)  # control: enough iterations
    monkeypatch.setattr(conjugate, "MAX_ITERATIONS", 2)
    monkeypatch.setattr(conjugate, "FEW", 0)
    with pytest.raises(NotConverged, match="fixed effects"):
        projector.effects(X)


def test_poisson_equals_newton_on_dummies():
    y, X, factors, w = draw(3)
    fitted = poisson.fit(y, X, factors, w, np.zeros(len(y)))
    Z = np.column_stack([X, dummies(factors)])

    def gradient(b):
        return Z.T @ (w * (np.exp(Z @ b) - y))

    start = np.zeros(Z.shape[1])
    answer = optimize.minimize(
        lambda b: np.sum(w * (np.exp(Z @ b) - y * (Z @ b))), start, jac=gradient, method="BFGS", options={"gtol": 1e-9}
    )
    np.testing.assert_allclose(fitted.beta, answer.x[:3], atol=1e-6)  # BFGS stops at a gradient of about 1e-7
    np.testing.assert_allclose(dummies(factors).T @ (w * (y - fitted.mu)), 0, atol=1e-8)
    assert fitted.score < 1e-10


def test_poisson_without_effects_has_zero_score():
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(200), rng.normal(size=200)])
    y = rng.poisson(np.exp(X @ [1, 0.5])).astype(float)
    fitted = poisson.fit(y, X, [], np.ones(200), np.zeros(200))
    np.testing.assert_allclose(X.T @ (y - fitted.mu), 0, atol=1e-9)


def test_poisson_that_diverges_is_not_returned():
    x = np.array([0.0, 0, 0, 1, 1])
    y = np.array([1.0, 2, 3, 0, 0])  # the coefficient of x runs to minus infinity
    X = np.column_stack([np.ones(5), x])
    with pytest.raises(NotConverged):
        poisson.fit(y, X, [], np.ones(5), np.zeros(5), max_iterations=8)
    assert poisson.fit(y + 1, X, [], np.ones(5), np.zeros(5), max_iterations=8).beta.shape == (2,)  # control


@given(st.integers(0, 10_000), st.floats(1e-9, 1e9))
@settings(max_examples=25, deadline=None)
def test_poisson_does_not_depend_on_the_unit_of_trade(seed, unit):
    y, X, factors, w = draw(seed, n=150, levels=(8, 6))
    a = poisson.fit(y, X, factors, w, np.zeros(len(y)))
    b = poisson.fit(y * unit, X, factors, w, np.zeros(len(y)))
    np.testing.assert_allclose(a.beta, b.beta, atol=1e-9)
    np.testing.assert_allclose(a.mu * unit, b.mu, rtol=1e-8)


def test_linear_equals_least_squares_on_dummies():
    y, X, factors, w = draw(5)
    fitted = linear.fit(y, X, factors, w)
    Z = np.column_stack([X, dummies(factors)])
    root = np.sqrt(w)
    want = np.linalg.lstsq(root[:, None] * Z, root * y, rcond=None)[0]
    np.testing.assert_allclose(fitted.beta, want[:3], atol=1e-10)


def test_effects_reproduce_the_fit():
    y, X, factors, w = draw(6)
    fitted = poisson.fit(y, X, factors, w, np.zeros(len(y)))
    index = X @ fitted.beta + sum(e[f.codes] for e, f in zip(fitted.effects, factors, strict=True))
    np.testing.assert_allclose(np.exp(index), fitted.mu, rtol=1e-9)


def test_prune_iterates():
    a = compact(np.array([0, 0, 1, 1, 2, 2, 2]))
    b = compact(np.array([0, 1, 0, 1, 2, 0, 1]))
    pruned = prune([a, b])
    assert pruned.singletons == 1  # level 2 of b
    y = np.array([0.0, 0, 1, 2, 5, 1, 1])
    pruned = prune([a, b], y)
    assert (pruned.singletons, pruned.zero_levels) == (1, 2)
    assert pruned.keep.tolist() == [False, False, True, True, False, True, True]


@given(st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_separation_equals_the_definition(lp_oracle, seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 30))
    X = rng.integers(-1, 3, size=(n, int(rng.integers(1, 4)))).astype(float)
    factors = [compact(rng.integers(0, 4, n)) for _ in range(int(rng.integers(0, 3)))]
    y = rng.poisson(0.7, n).astype(float)
    if not factors:
        X = np.column_stack([np.ones(n), X])
    if not (y > 0).any():
        y[0] = 1.0
    Z = np.column_stack([X, dummies(factors)]) if factors else X
    np.testing.assert_array_equal(separated(y, X, factors), lp_oracle(y, Z))


def test_factor_algebra():
    a, b = compact(np.array([5, 5, 9, 9])), compact(np.array([1, 2, 1, 2]))
    assert cross([a, b]).levels == 4
    assert is_nested(cross([a, b]), a)
    assert not is_nested(a, b)
    assert components(a, b) == 1
    assert components(a, a) == 2
    big = Factor(np.array([0, 2**31 - 1, 1], dtype=np.int64), 2**31)
    assert cross([big, big]).levels == 3  # 2^62 combinations do not overflow
