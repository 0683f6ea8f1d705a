"""What an Estimate looks like when it is printed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

import cyber_trade_econ as cte
from cyber_trade_econ.records.estimate import Estimate


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame([(o, d, t) for o in range(8) for d in range(8) for t in range(5)], columns=["o", "d", "t"])
    frame["x"] = rng.normal(size=len(frame))
    frame["twice"] = 2 * frame["x"]
    frame["y"] = rng.poisson(np.exp(0.3 * frame["x"])).astype(float)
    frame.loc[:3, "x"] = np.nan
    return frame


def test_a_fit_says_what_was_estimated_on_what():
    e = cte.ppml("y ~ x + twice | o^t + d^t", _frame(), vcov=cte.cluster("o"), collinear="drop")
    lines = repr(e).splitlines()
    assert str(e) == repr(e)
    assert lines[:2] == ["PPML: y ~ x + twice | o^t + d^t", "Observations: 316"]
    assert "Rows dropped: missing: x (4)" in lines
    assert "Effects: o^t (40), d^t (40)" in lines
    assert "Covariance: cluster: o; statistics: normal" in lines
    assert "Left out as collinear: twice" in lines
    term, estimate, error, statistic, _ = lines[-1].split()
    row = e.tidy().iloc[0]
    assert term == "x"
    np.testing.assert_allclose(
        [float(estimate), float(error)], [row["estimate"], row["std_error"]], rtol=1e-5
    )  # six digits are shown
    assert statistic == f"{row['statistic']:.3f}"


def test_least_squares_show_degrees_of_freedom_and_no_effects():
    e = cte.ols("y ~ x", _frame(), vcov="hetero")
    assert f"statistics: t({e.df:g})" in repr(e)
    assert "Effects" not in repr(e)


def test_an_estimate_made_by_hand_and_one_with_many_terms_are_shown():
    names = [f"x{i}" for i in range(60)]
    vcov = pd.DataFrame(np.eye(60), index=names, columns=names)
    text = repr(Estimate("OLS", "y ~ x", pd.Series(1.0, index=names), vcov, 100))
    assert "Rows dropped" not in text
    assert text.endswith("... and 10 more; tidy() has all")
    assert len(text.splitlines()) == 3 + 1 + 50 + 1


def test_bootstraps_and_trade_effects_are_shown():
    frame = _frame()
    e = cte.ppml("y ~ x | o^t + d^t", frame, vcov=cte.cluster("o"))
    drawn = cte.bootstrap(e, frame, "o", draws=5, seed=3)
    lines = repr(drawn).splitlines()
    assert repr(drawn).startswith(repr(drawn.estimate))
    assert lines[-2:] == [
        "Draws: 5 of o, seed 3",
        "interval() has the percentile intervals, draws the coefficients of each draw.",
    ]
    lost = repr(replace(drawn, facts=drawn.facts | {"lost": {"singular": 2}}))
    assert "Draws without an estimate: 2 (singular)" in lost.splitlines()
    lines = repr(cte.average_effect(e, frame, "x")).splitlines()
    assert lines[0].startswith("Estimand: ")
    assert lines[2:4] == ["Covariance: cluster: o", "Intervals: 0.95"]
    shown = float(lines[-1].split()[1])
    np.testing.assert_allclose(shown, cte.average_effect(e, frame, "x").frame["estimate"][0], rtol=1e-5)  # six digits
