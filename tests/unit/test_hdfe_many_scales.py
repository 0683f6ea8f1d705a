"""Poisson fits whose outcomes span many orders of magnitude, against Newton's method in extended precision."""

from __future__ import annotations

import numpy as np
import pytest

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import poisson
from cyber_trade_econ.hdfe.factor import chosen, compact
from cyber_trade_econ.hdfe.prune import prune


def draw(seed, span, kind):
    """Outcomes over ``span`` orders of magnitude, a third of them zero, with effects that are no gravity layout."""
    rng = np.random.default_rng([seed, span])
    if kind == "symmetric pairs":
        i, j, t = (a.ravel() for a in np.indices((7, 7, 4)))
        factors = [compact(i * 4 + t), compact(j * 4 + t), compact(np.minimum(i, j) * 7 + np.maximum(i, j))]
    else:
        factors = [compact(rng.integers(0, count, 200)) for count in {"two": (30, 25), "three": (25, 15, 10)}[kind]]
    X = rng.normal(size=(len(factors[0].codes), 3))
    index = sum(rng.normal(size=f.levels)[f.codes] for f in factors) + rng.normal(size=len(X))
    y = np.exp(index * span * np.log(10) / np.ptp(index)) * (rng.random(len(X)) > 0.3)
    keep = prune(factors, y).keep
    return y[keep], X[keep], [chosen(f, np.flatnonzero(keep)) for f in factors]


def eliminated(matrix, right):
    """Solve positive semidefinite equations of unit diagonal by elimination on the largest pivot, in extended precision."""
    a, b = matrix.copy(), right.copy()
    order = []
    for _ in range(len(a)):
        left = np.diag(a).copy()
        left[order] = 0
        p = int(np.argmax(left))
        if left[p] < 1e-15:  # redundant effects
            break
        order.append(p)
        share = a[:, p] / a[p, p]
        share[p] = 0
        row, value = a[p].copy(), b[p]
        a -= np.outer(share, row)
        b -= share * value
    x = np.zeros_like(b)
    x[order] = b[order] / np.diag(a)[order]
    return x


def newton(y, X, factors, mu):
    """Climb on from ``mu``; return by how much coefficients move in two steps or more, to relative scores below 1e-14."""
    Z = np.column_stack([X, *(f.codes[:, None] == np.arange(f.levels) for f in factors)]).astype(np.longdouble)
    y, eta, beta = y.astype(np.longdouble), np.log(mu.astype(np.longdouble)), np.zeros(X.shape[1], dtype=np.longdouble)
    for step_number in range(30):
        mu = np.exp(eta)
        score = Z.T @ (y - mu)
        if step_number >= 2 and np.max(np.abs(score) / (np.abs(Z).T @ (y + mu))) < 1e-14:
            return beta.astype(np.float64)
        size = np.sqrt(np.sum(Z * Z * mu[:, None], axis=0))
        step = eliminated((Z / size).T @ (mu[:, None] * (Z / size)), score / size) / size
        move = Z @ step
        move_share = min(1.0, 2.0 / float(np.max(np.abs(move))))
        eta, beta = eta + move_share * move, beta + move_share * step[: len(beta)]
    raise AssertionError("the reference did not converge")


@pytest.mark.parametrize("kind", ["symmetric pairs", "two", "three"])
@pytest.mark.parametrize("span", [6, 9, 12])
def test_coefficients_and_totals_hold_over_many_orders_of_magnitude(kind, span):
    for seed in range(4):
        y, X, factors = draw(seed, span, kind)
        fit = poisson.fit(y, X, factors, np.ones(len(y)), np.zeros(len(y)))
        assert fit.kept.all()
        for f in factors:  # what is promised of every effect
            np.testing.assert_allclose(f.sums(fit.mu), f.sums(y), rtol=1e-8)
        np.testing.assert_allclose(newton(y, X, factors, fit.mu), 0.0, atol=1e-8)  # what is promised of coefficients


def test_the_reference_sees_coefficients_that_are_off():
    """Positive control: means with one coefficient a little off are brought back by just as much."""
    y, X, factors = draw(0, 9, "three")
    fit = poisson.fit(y, X, factors, np.ones(len(y)), np.zeros(len(y)))
    moved = newton(y, X, factors, fit.mu * np.exp(1e-6 * X[:, 0]))
    np.testing.assert_allclose(moved, [-1e-6, 0.0, 0.0], atol=1e-8)


@pytest.mark.parametrize("span", [3, 9])
def test_a_long_chain_of_firms_and_workers_converges(span):
    """Four thousand links: conjugate gradients would need as many steps, a sparse factorisation needs none."""
    rng = np.random.default_rng(span)
    links = 4000
    a = np.tile(np.repeat(np.arange(links), 2), 2)
    b = np.tile(np.concatenate([[0], np.repeat(np.arange(1, links), 2), [links]]), 2)
    X, index = rng.normal(size=(len(a), 2)), rng.normal(size=len(a))
    y = np.exp(index * span * np.log(10) / np.ptp(index))
    fit = poisson.fit(y, X, [compact(a), compact(b)], np.ones(len(y)), np.zeros(len(y)))
    for codes in (a, b):
        np.testing.assert_allclose(np.bincount(codes, fit.mu), np.bincount(codes, y), rtol=1e-8)
    assert np.max(np.abs(X.T @ (y - fit.mu)) / (np.abs(X).T @ y)) < 1e-8


def test_a_level_without_trade_raises_and_never_returns():
    y, X, factors = draw(1, 9, "three")
    poisson.fit(y, X, factors, np.ones(len(y)), np.zeros(len(y)))  # control
    with pytest.raises(NotConverged):
        poisson.fit(np.where(factors[0].codes == 0, 0.0, y), X, factors, np.ones(len(y)), np.zeros(len(y)))
