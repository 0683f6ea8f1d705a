"""Seventeen of the eighteen data sets of ppmlhdfe: the rows left out are the separated ones, and what is left is estimated.

Sets 01 to 09 lie in ../shared; 10 to 18 beside this file, where the twelfth is missing (see their README). The truth of each
is its column `separated`. Singletons are left out first and are no part of the truth.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import SeparationError
from cyber_trade_econ.gravity.ppml import ppml

HERE = Path(__file__).parent / "separation"
SETS = [f"{k:02d}" for k in range(1, 19) if k != 12]
COLLINEAR = {
    "01": ["x2"], "05": ["x4"], "06": ["x4"], "07": ["x2"], "08": ["x2"], "10": ["x3"], "15": ["x3"], "16": ["x2"],
    "17": ["x3"], "18": ["x2"],
}  # fmt: skip
"""What separation leaves collinear, by the rule that the first of the columns written is kept."""


def read(number: str, request: pytest.FixtureRequest) -> tuple[pd.DataFrame, str, np.ndarray]:
    """Return the data, the formula, and the matrix of all its columns (constant or dummies included)."""
    own = HERE / f"{number}.csv"
    frame = pd.read_csv(
        own if own.exists() else request.getfixturevalue("shared") / f"data/gravity/separation/{number}.csv"
    )
    xs = [c for c in frame if c.startswith("x")]
    ids = [c for c in frame if c.startswith("id")]
    spec = f"y ~ {' + '.join(xs) or '1'}" + (f" | {' + '.join(ids)}" if ids else "")
    effects = [pd.get_dummies(frame[c]).to_numpy(float) for c in ids] or [np.ones((len(frame), 1))]
    return frame, spec, np.column_stack([*effects, frame[xs].to_numpy(float)])


@pytest.mark.parametrize("number", SETS)
def test_the_rows_left_out_are_the_separated_ones(number, request):
    frame, spec, Z = read(number, request)
    e = ppml(spec, frame)
    truth = (frame["separated"] == 1).to_numpy()
    dropped = ~frame.index.isin(e.sample)
    assert dropped[truth].all()
    alone = dropped & ~truth
    assert (frame.loc[alone, "y"] > 0).all() or e.facts["dropped"].get("singleton", 0) >= alone.sum()
    assert alone.sum() <= e.facts["dropped"].get("singleton", 0)
    assert sum(e.facts["dropped"].values()) == dropped.sum()
    assert np.isfinite(e.coef).all()
    assert (e.se > 0).all()
    assert e.facts.get("collinear", []) == COLLINEAR.get(number, [])
    lost = np.linalg.matrix_rank(Z) - np.linalg.matrix_rank(Z[~truth])
    assert (lost > 0) == truth.any()  # each direction of separation takes one parameter to infinity
    assert e.facts["largest_relative_score"] < 1e-8


@pytest.mark.parametrize("number", SETS)
def test_the_estimate_solves_the_likelihood_equations_of_the_rows_kept(number, request):
    frame, spec, Z = read(number, request)
    e = ppml(spec, frame)
    kept = frame.index.isin(e.sample)
    y, mu = frame.loc[kept, "y"].to_numpy(), e.predict(frame).to_numpy()[kept]
    scores = Z[kept].T @ (y - mu)
    reach = np.abs(Z[kept]).T @ (y + mu)
    assert (np.abs(scores) <= 1e-9 * reach + 1e-300).all()


@pytest.mark.parametrize("number", SETS)
def test_separated_sets_are_refused_on_request_and_the_others_are_not(number, request):
    frame, spec, _ = read(number, request)
    separated = frame["separated"] == 1
    if separated.any():
        with pytest.raises(SeparationError, match="does not exist"):
            ppml(spec, frame, separation="error")
    rest = frame[~separated]  # control: without them an estimate exists, and it is the same one
    alone, all_rows = ppml(spec, rest, separation="error", collinear="drop"), ppml(spec, frame)
    assert list(alone.coef.index) == list(all_rows.coef.index)
    np.testing.assert_allclose(alone.coef, all_rows.coef, rtol=1e-8, atol=1e-9)


def test_a_set_whose_columns_are_far_apart_in_size_is_no_exception(request):
    """Set 11 has one row of a regressor 200 times as far out as all others, and its fitted mean there is 1e-13."""
    frame, _, _ = read("11", request)
    # Newton's method ends with a step far below the tolerance of 1e-8 on the fit; nine digits are asked.
    np.testing.assert_allclose(ppml("y ~ x1", frame).coef, newton(frame["x1"], frame["y"]), rtol=1e-9)


def newton(x: pd.Series, y: pd.Series) -> list[float]:
    """Return constant and slope of a Poisson regression by Newton's method in 50 digits, from the mean of the outcome."""
    with localcontext(prec=50):
        pairs = [(Decimal(a), Decimal(b)) for a, b in zip(x, y, strict=True)]
        a, b = (sum(v for _, v in pairs) / len(pairs)).ln(), Decimal(0)
        while True:
            means = [((a + b * u).exp(), u, v) for u, v in pairs]
            g0, g1 = sum(v - m for m, _, v in means), sum((v - m) * u for m, u, v in means)
            h0, h1, h2 = (sum(m * u**k for m, u, _ in means) for k in range(3))
            det = h0 * h2 - h1 * h1
            da, db = (h2 * g0 - h1 * g1) / det, (h0 * g1 - h1 * g0) / det
            a, b = a + da, b + db
            if max(abs(da), abs(db)) < Decimal("1e-40"):
                return [float(a), float(b)]


def test_units_of_regressors_do_not_change_what_is_separated(request):
    for number in ("01", "10", "15", "16", "17", "18"):
        frame, spec, _ = read(number, request)
        plain = ppml(spec, frame)
        for unit in (1e-6, 1e6):
            xs = [c for c in frame if c.startswith("x")]
            other = ppml(spec, frame.assign(**{xs[0]: frame[xs[0]] * unit, xs[-1]: frame[xs[-1]] / unit}))
            assert other.facts["dropped"] == plain.facts["dropped"], number
            assert list(other.sample) == list(plain.sample)
