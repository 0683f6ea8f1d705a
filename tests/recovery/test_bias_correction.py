"""Worlds in which three-way PPML is biased and its standard errors too small, and what the correction makes of them.

``python tests/recovery/test_bias_correction.py [--economies 50] [--periods 10] [--draws 600] [--law poisson]`` runs the
experiment at any size and writes bias and coverage before and after the correction with their Monte Carlo errors. At the size
given it takes less than a minute.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.bias_correction import bias_correction
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster

TRUTH = 1.0


def world(economies: int, periods: int, rng: np.random.Generator, law: str, *, pairs: bool = True) -> pd.DataFrame:
    """Draw flows in the manner of Weidner and Zylkin (2021), section 5, https://doi.org/10.1016/j.jinteco.2021.103513.

    The regressor follows the effects and its own past. The noise is log-normal with mean one, correlated over the periods of
    a pair; its variance is one (``"constant"``), or the inverse of the mean (``"poisson"``), or grows with the regressor
    (``"mixed"``). Without ``pairs`` no pair differs from others for good.
    """
    n, t = economies, periods
    a, b = rng.normal(0, 0.25, (n, 1, t)), rng.normal(0, 0.25, (1, n, t))
    pair = rng.normal(0, 0.25, (n, n, 1)) * pairs
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


THREE = "y ~ x | exporter^year + importer^year + exporter^importer"
TWO = "y ~ x | exporter^year + importer^year"


def experiment(economies: int, periods: int, draws: int, law: str = "constant", formula: str = THREE) -> pd.DataFrame:
    """Estimate and standard error, before and after correction, one row per draw."""
    out = []
    for seed in range(draws):
        frame = world(
            economies, periods, np.random.default_rng([economies, periods, seed]), law, pairs=formula == THREE
        )
        e = ppml(formula, frame, vcov=cluster("exporter^importer"))
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


def test_fifty_economies_over_ten_periods():
    """The size of a real panel, 100 draws: coverage has an error of 0.022 and the band is three of them wide.

    Longer runs, before and after the correction: 600 draws here 0.905 and 0.953 (0.009), bias 0.49 and 0.06 standard
    deviations; 600 draws over five periods 0.878 and 0.935, bias 0.50 and 0.08; 200 draws of 100 economies 0.925 and 0.940
    (0.015), bias 0.54 and 0.03. Noise of constant relative variance, where a few large flows carry the estimate, gives 0.892
    and 0.890 (600 draws here): standard errors rise from 0.81 to 0.84 of the standard deviation, and that is all.
    """
    d = experiment(50, 10, DRAWS, "poisson")
    s = summary(d)
    ratio = d["corrected_se"] / d["se"]
    # The gap between the two errors hardly differs between draws: 1.050 with a standard deviation of 0.0024 in 60 others.
    assert abs(ratio.mean() - 1.05) < 0.01
    assert ratio.min() > 1.03
    corrected, uncorrected = ((d["corrected_b"] - TRUTH).abs() < 1.959964 * d[se] for se in ("corrected_se", "se"))
    assert corrected.sum() > uncorrected.sum()  # the same estimates, which only the corrected errors do justice
    assert abs(s["coverage after"] - 0.95) < 3 * 0.022
    assert s["coverage before"] <= s["coverage after"]
    assert s["bias before"] > 3 * s["error before"]
    assert abs(s["bias after"]) < 3 * s["error after"]


def test_with_two_way_effects_standard_errors_rise_to_their_level():
    """No bias to correct in a cross-section of 15 economies, but errors that are too small.

    300 draws: 0.83 and 0.95 of the standard deviation (error 0.04), coverage 0.880 and 0.930 (0.013); with 30 economies 0.985
    and 1.07, 0.940 and 0.960.
    """
    d = experiment(15, 1, 200, "poisson", TWO)
    s = summary(d)
    assert (d["corrected_b"] == d["b"]).all()
    assert abs(s["bias before"]) < 3 * s["error before"]
    assert s["coverage before"] < 0.95 - 2 * 0.0154
    assert abs(s["coverage after"] - 0.95) < 3 * 0.0154
    assert s["se/sd before"] < 0.92
    assert abs(s["se/sd after"] - 1) < 3 * 0.05


def main() -> None:
    """Run the experiment at the size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, size in (("economies", 50), ("periods", 10), ("draws", 600)):
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--law", choices=["constant", "poisson", "mixed"], default="poisson")
    asked = parser.parse_args()
    found = summary(experiment(asked.economies, asked.periods, asked.draws, asked.law))
    sys.stdout.write(
        f"{vars(asked)}\nMonte Carlo error of a coverage of 0.95: {(0.95 * 0.05 / asked.draws) ** 0.5:.4f}\n"
    )
    sys.stdout.write("".join(f"{name:18} {value: .4f}\n" for name, value in found.items()))


if __name__ == "__main__":
    main()
