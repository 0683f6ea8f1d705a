"""Separation on random designs in which it was planted, against the dual of the definition."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cyber_trade_econ.errors import SeparationError
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.hdfe.factor import Factor, Slope, compact
from cyber_trade_econ.hdfe.prune import prune
from cyber_trade_econ.hdfe.separation import separated


def columns(effect: Factor | Slope) -> np.ndarray:
    dummies = (effect.codes[:, None] == np.arange(effect.levels)).astype(float)
    return dummies * effect.variable[:, None] if isinstance(effect, Slope) else dummies


def dual_oracle(y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Mark rows to which no solution of ``Z0'u + Z1'v = 0, u >= 0`` gives a positive ``u``.

    By Stiemke's lemma such a solution and a combination of columns that separates the row exclude each other, and one of
    them exists. The programme finds a solution with as many positive entries as there can be; it shares neither variables
    nor constraints with the search for combinations.
    """
    zero = y == 0
    n0, n1 = int(zero.sum()), int((~zero).sum())
    if n0 == 0:
        return zero
    Z = Z / np.maximum(np.abs(Z).max(axis=0), 1e-300)
    answer = optimize.linprog(  # u = s + t with 0 <= s <= 1, t >= 0: the sum of s counts the support
        np.concatenate([-np.ones(n0), np.zeros(n0 + n1)]),
        A_eq=np.concatenate([Z[zero], Z[zero], Z[~zero]]).T,
        b_eq=np.zeros(Z.shape[1]),
        bounds=[(0, 1)] * n0 + [(0, None)] * n0 + [(None, None)] * n1,
        method="highs",
    )
    assert answer.status == 0
    out = np.zeros(len(y), dtype=bool)
    out[zero] = answer.x[:n0] < 0.5
    return out


def planted(seed: int, *, effects: int, slope: bool = False) -> tuple[np.ndarray, np.ndarray, list[Factor | Slope]]:
    """Make a sample in which some combination of all columns is zero on positive rows and positive on some others."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(20, 60)), int(rng.integers(1, 4))
    factors: list[Factor | Slope] = [compact(rng.integers(0, rng.integers(2, 6), n)) for _ in range(effects)]
    if slope:
        first = factors[0]
        factors.append(Slope(first.codes, first.levels, rng.integers(0, 6, n) + rng.choice([0.0, 2000.0])))
    X = rng.integers(-3, 4, (n, k)).astype(float)
    y = rng.poisson(1.5, n).astype(float)
    zero = y == 0
    hidden = np.where(zero & (rng.random(n) < rng.choice([0.0, 0.3, 0.7])), rng.integers(1, 4, n), 0).astype(float)
    if rng.random() < 0.3:  # a direction with both signs, which does not separate alone
        hidden = np.where(zero, hidden - (rng.random(n) < 0.3), hidden)
    for f in factors:  # what separates is the regressor net of effects and other regressors
        hidden += rng.integers(-4, 5, f.levels)[f.codes] * (f.scaled() if isinstance(f, Slope) else 1.0)
    hidden += X[:, 1:] @ rng.integers(-2, 3, k - 1) if k > 1 else 0.0
    X[:, 0] = hidden
    if not factors:
        X = np.column_stack([np.ones(n), X])
    if not y.any():
        y[0] = 1.0
    return y, X, factors


@pytest.mark.parametrize(
    ("effects", "slope"), [(0, False), (1, False), (2, False), (3, False), (4, False), (1, True), (2, True)]
)
def test_planted_separation_is_found_and_nothing_else(effects, slope):
    found = 0
    for seed in range(60):
        y, X, factors = planted(1000 * effects + seed, effects=effects, slope=slope)
        Z = np.column_stack([X, *(columns(f) for f in factors)])
        if slope:  # measured from near zero, so that the oracle keeps its digits
            f = factors[-1]
            Z[:, -f.levels :] = columns(Slope(f.codes, f.levels, f.variable - f.variable.min()))
        want = dual_oracle(y, Z)
        np.testing.assert_array_equal(separated(y, X, factors), want, err_msg=f"seed {seed}")
        found += want.any() and not want[y == 0].all()
    assert found >= 5  # control: in these samples some zeros are separated and some are not


@pytest.mark.parametrize("unit", [1e-9, 1e-4, 1e4, 1e9])
def test_units_and_origins_do_not_matter(unit):
    for seed in range(20):
        y, X, factors = planted(seed, effects=2)
        moved = X * np.where(np.arange(X.shape[1]) % 2, 1 / unit, unit)
        np.testing.assert_array_equal(separated(y, moved, factors), separated(y, X, factors))
        np.testing.assert_array_equal(separated(y, X + 1e4, factors), separated(y, X, factors))


@pytest.mark.parametrize("effects", [0, 1, 2, 3])
def test_what_is_left_has_an_estimate_and_what_was_left_out_did_not_matter(effects):
    fitted = 0
    for seed in range(25):
        y, X, factors = planted(7000 + seed, effects=effects)
        names = [f"x{k}" for k in range(X.shape[1])]
        frame = pd.DataFrame(X, columns=names).assign(y=y, **{f"g{k}": f.codes for k, f in enumerate(factors)})
        spec = f"y ~ {'' if effects else '0 + '}{' + '.join(names)}"
        spec += f" | {' + '.join(f'g{k}' for k in range(effects))}" if effects else ""
        kept = prune(factors, y).keep if factors else np.ones(len(y), dtype=bool)
        bad = np.zeros(len(y), dtype=bool)
        bad[kept] = dual_oracle(y[kept], np.column_stack([X, *(columns(f) for f in factors)])[kept])
        if (y[kept & ~bad] > 0).sum() <= X.shape[1] + sum(f.levels for f in factors):
            continue
        e = ppml(spec, frame, collinear="drop")
        fitted += 1
        assert not set(np.flatnonzero(bad)) & set(e.sample)
        assert np.isfinite(e.coef).all()
        assert e.facts["largest_relative_score"] < 1e-8
        rest = frame.loc[e.sample]
        again = ppml(spec, rest, collinear="drop", separation="error")  # control: it is not refused
        pd.testing.assert_series_equal(again.coef, e.coef, rtol=1e-9, atol=1e-11)
        if bad.any():
            with pytest.raises(SeparationError):
                ppml(spec, frame, collinear="drop", separation="error")
    assert fitted >= 5


def test_all_outcomes_positive_or_all_zero_need_no_search():
    X = np.ones((4, 1))
    assert not separated(np.ones(4), X, []).any()
    assert not separated(np.zeros(4), X, []).any()
    assert (
        separated(np.array([0.0, 1, 2, 3]), np.column_stack([X, [1.0, 0, 0, 0]]), []).tolist() == [True] + [False] * 3
    )


def test_an_effect_of_zeros_alone_is_separated_by_its_own_indicator():
    g = compact(np.array([0, 0, 1, 1, 1]))
    y = np.array([0.0, 0, 1, 2, 0])
    assert separated(y, np.empty((5, 0)), [g]).tolist() == [True, True, False, False, False]
