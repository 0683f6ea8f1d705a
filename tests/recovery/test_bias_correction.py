"""Worlds in which three-way PPML is biased and its standard errors too small, and what the correction makes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.bias_correction import bias_correction
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster

TRUTH = 1.0


def world(economies: int, periods: int, rng: np.random.Generator, law: str) -> pd.DataFrame:
    """Draw flows in the manner of Weidner and Zylkin (2021), section 5, https://doi.org/10.1016/j.jinteco.2021.103513.

    The regressor follows the effects and its own past. The noise is log-normal with mean one, correlated over the periods of
    a pair; its variance is one (``"constant"``), or the inverse of the mean (``"poisson"``), or grows with the regressor
    (``"mixed"``).
    """
    n, t = economies, periods
    a, b = rng.normal(0, 0.25, (n, 1, t)), rng.normal(0, 0.25, (1, n, t))
    pair = rng.normal(0, 0.25, (n, n, 1))
    shocks = rng.normal(0, np.sqrt(0.5), (n, n, t + 1))
    x = np.empty((n, n, t))
    last = pair[:, :, 0] + shocks[:, :, 0]
    for period in range(t):
        last = last / 2 + a[:, :, period] + b[:, :, period] + shocks[:, :, period + 1]
        x[:, :, period] = last
    mean = np.exp(TRUTH * x + a + b + pair)
    variance = {"constant": np.ones_like(mean), "poisson": 1 / mean, "mixed": 0.5 / mean + 0.5 * np.exp(2 * x)}[law]
    sd = np.sqrt(np.log1p(variance))
    lags = np.abs(np.subtract.outer(np.arange(t), np.arange(t)))
    z = rng.normal(size=(n, n, t)) @ np.linalg.cholesky(0.3**lags).T
    y = mean * np.exp(sd * z - sd**2 / 2)
    e, i, year = (g.ravel() for g in np.meshgrid(np.arange(n), np.arange(n), np.arange(t), indexing="ij"))
    frame = pd.DataFrame({"exporter": e, "importer": i, "year": year, "x": x.ravel(), "y": y.ravel()})
    return frame[e != i].reset_index(drop=True)


def experiment(economies: int, periods: int, draws: int, law: str = "constant") -> pd.DataFrame:
    """Estimate and standard error, before and after correction, one row per draw."""
    out = []
    for seed in range(draws):
        frame = world(economies, periods, np.random.default_rng([economies, periods, seed]), law)
        e = ppml("y ~ x | exporter^year + importer^year + exporter^importer", frame, vcov=cluster("exporter^importer"))
        c = bias_correction(e, frame)
        out.append((e.coef["x"], e.se["x"], c.coef["x"], c.se["x"]))
    return pd.DataFrame(out, columns=["b", "se", "corrected_b", "corrected_se"])


def summary(draws: pd.DataFrame) -> dict[str, float]:
    """Mean bias, its Monte Carlo error, bias over standard deviation, and coverage of 95 % intervals, before and after."""
    out = {}
    for name, b, se in (("before", "b", "se"), ("after", "corrected_b", "corrected_se")):
        gap = draws[b] - TRUTH
        out |= {
            f"bias {name}": gap.mean(),
            f"error {name}": gap.std() / np.sqrt(len(gap)),
            f"bias/sd {name}": gap.mean() / gap.std(),
            f"se/sd {name}": draws[se].mean() / gap.std(),
            f"coverage {name}": (gap.abs() < 1.959964 * draws[se]).mean(),
        }
    return out


PERIODS = (2, 3, 4, 5)
DRAWS = 100  # of each; coverage then has a Monte Carlo error of 0.022, and of 0.011 over all of them


@pytest.fixture(scope="module")
def twenty() -> dict[int, pd.DataFrame]:
    """Twenty economies over 2 to 5 periods."""
    return {t: experiment(20, t, DRAWS, "poisson") for t in PERIODS}


@pytest.mark.parametrize("periods", PERIODS)
def test_bias_falls_and_standard_errors_rise(twenty, periods):
    d = twenty[periods]
    s = summary(d)
    step = d["corrected_b"] - d["b"]
    assert s["bias before"] > 3 * s["error before"]  # the control: here is something to correct
    assert step.mean() < -4 * step.std() / np.sqrt(DRAWS)
    assert abs(s["bias after"]) < 0.75 * s["bias before"]
    assert s["coverage before"] <= s["coverage after"] <= 0.95 + 2 * 0.022
    # A standard deviation from 100 draws has a relative error of 0.07.
    assert s["se/sd before"] < s["se/sd after"] < 1 + 4 * 0.07


def test_over_all_periods_most_of_the_bias_goes_and_coverage_comes_nearer(twenty):
    """Bounds follow from longer runs of the same experiment, whose Monte Carlo errors stand in brackets.

    Twenty economies, 1,000 draws: for T of 2, 3 and 4 the bias falls from 0.33, 0.35 and 0.55 standard deviations to 0.09,
    0.06 and 0.22 (0.03), coverage rises from 0.857, 0.866 and 0.854 to 0.903, 0.915 and 0.925 (0.009 to 0.011). Thirty
    economies, 600 draws: for T of 2 and 5 from 0.39 and 0.50 to 0.09 and 0.10 (0.04), and from 0.888 and 0.890 to 0.933 and
    0.942 (0.010 to 0.013).
    """
    s = {t: summary(d) for t, d in twenty.items()}
    before, after = (np.mean([s[t][f"bias/sd {when}"] for t in PERIODS]) for when in ("before", "after"))
    assert abs(after) < before / 2
    before, after = (np.mean([s[t][f"coverage {when}"] for t in PERIODS]) for when in ("before", "after"))
    assert before < 0.95 - 4 * 0.011
    assert abs(0.95 - after) < (0.95 - before) * 2 / 3


def test_where_noise_grows_with_the_regressor_the_correction_helps_and_does_not_suffice():
    """The variance rises with exp(2x): from twenty economies the bias of the score is itself badly estimated.

    Fifty economies over five periods are still far off: coverage 0.52 after 0.30 (200 draws, error 0.035).
    """
    d = experiment(20, 3, 60, "mixed")
    s = summary(d)
    step = d["corrected_b"] - d["b"]
    assert s["bias before"] < -5 * s["error before"]
    assert step.mean() > 4 * step.std() / np.sqrt(len(d))
    assert s["coverage before"] < s["coverage after"] < 0.9
