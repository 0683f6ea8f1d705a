"""A simulated world with a known elasticity and a regressor that depends on what moves trade: bias and coverage.

``python tests/recovery/test_iv_ppml.py [--draws 400] [--bootstrapped 40] [--replications 100]`` runs the experiment at any
size, in about a minute at the size given, which gave: standard errors 0.90 (error 0.03) times the standard deviation and
coverage 0.920 (0.014); the bootstrap of both stages 0.97 times the standard deviation; PPML that is told the unobserved part
covers in 0.908 of the same draws: the deficit is that of clustered errors of PPML in a small panel, not of the first stage.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.iv_bootstrap import iv_bootstrap
from cyber_trade_econ.gravity.iv_ppml import iv_ppml
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster

DRAWS = 100
TRUTH = -0.5


def world(seed, economies=25, years=4):
    """Tariffs follow an instrument, exporter-year and importer-year parts, and a shock that also moves trade."""
    rng = np.random.default_rng(seed)
    e, i, t = (a.ravel() for a in np.meshgrid(*map(np.arange, (economies, economies, years)), indexing="ij"))
    shape = (economies, years)
    of_exporter, of_importer, a, b = (rng.normal(0, 0.5, shape) for _ in range(4))
    z = rng.normal(size=len(e)) + 0.5 * a[e, t]
    v = rng.normal(size=len(e))
    tariff = 0.7 * z + a[e, t] + b[i, t] + v
    mean = np.exp(1 + TRUTH * tariff + of_exporter[e, t] + of_importer[i, t] + 0.8 * v)
    noise = np.exp(rng.normal(-0.08, 0.4, len(e)))
    return pd.DataFrame(
        {
            "exporter": e,
            "importer": i,
            "year": t,
            "pair": e * 100 + i,
            "y": rng.poisson(mean * noise),
            "tariff": tariff,
            "z": z,
            "unobserved": v,
        }
    )


FORMULA = "y ~ tariff | exporter^year + importer^year"


def experiment(draws: int, bootstrapped: int, replications: int) -> pd.DataFrame:
    """One row per world; the bootstrap in the first of them.

    Columns: estimate and standard error; the standard error of PPML that takes the first stage's residual for data; estimate
    and standard error of PPML that is told the unobserved part; that of the bootstrap.
    """
    out = []
    for seed in range(draws):
        frame = world(seed)
        e = iv_ppml(FORMULA, frame, endogenous="tariff", instruments="z", vcov=cluster("pair"))
        first = ols("tariff ~ z | exporter^year + importer^year", frame)
        frame["residual"] = frame["tariff"] - first.predict(frame)
        naive, told = (
            ppml(FORMULA.replace("tariff", f"tariff + {name}"), frame, vcov=cluster("pair"))
            for name in ("residual", "unobserved")
        )
        again = iv_bootstrap(e, frame, draws=replications, seed=seed).se["tariff"] if seed < bootstrapped else np.nan
        out.append(
            (e.coef["tariff"], e.se["tariff"], naive.se["tariff"], told.coef["tariff"], told.se["tariff"], again)
        )
    return pd.DataFrame(out, columns=["b", "se", "naive_se", "told_b", "told_se", "bootstrap_se"])


def covers(found: pd.DataFrame, b: str, se: str) -> float:
    """Share of intervals of 95 % that hold the truth."""
    return float(((found[b] - TRUTH).abs() < 1.959964 * found[se]).mean())


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return experiment(DRAWS, 10, 50)


def test_control_function_recovers_what_ppml_misses(found):
    spread = found["b"].std() / np.sqrt(DRAWS)
    assert spread < 0.01
    assert abs(found["b"].mean() - TRUTH) < 4 * spread
    plain = [ppml(FORMULA, world(seed)).coef["tariff"] for seed in range(10)]
    assert abs(np.mean(plain) - TRUTH) > 0.3  # the bias is there to be removed


def test_the_error_of_the_first_stage_counts(found):
    """In the same draws: without it standard errors are a third too small and intervals miss the truth in a quarter of them.

    The ratio of the two hardly differs between worlds, so its band is narrow; coverage has an error of 0.03.
    """
    ratio = found["se"] / found["naive_se"]
    assert abs(ratio.mean() - 1.48) < 4 * ratio.std() / np.sqrt(DRAWS)
    assert abs(found["se"].mean() / found["b"].std() - 0.90) < 3 * 0.07
    assert covers(found, "b", "naive_se") < 0.85
    assert covers(found, "b", "se") > covers(found, "b", "naive_se") + 0.08
    assert covers(found, "b", "se") > covers(found, "told_b", "told_se") - 2 * 0.03
    assert covers(found, "b", "se") > 0.95 - 3 * 0.022


def test_the_bootstrap_makes_good_what_analytic_errors_lack(found):
    """Ten worlds of 50 draws: the mean ratio has an error of 0.04; 40 worlds of 100 draws gave 1.08 (0.013)."""
    ratio = (found["bootstrap_se"] / found["se"]).dropna()
    assert len(ratio) == 10
    assert abs(ratio.mean() - 1.08) < 3 * 0.04


def main() -> None:
    """Run the experiment at the size asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, size in (("draws", 400), ("bootstrapped", 40), ("replications", 100)):
        parser.add_argument(f"--{name}", type=int, default=size)
    asked = parser.parse_args()
    d = experiment(asked.draws, asked.bootstrapped, asked.replications)
    ratio = (d["bootstrap_se"] / d["se"]).dropna()
    analytic = d["se"].mean() / d["b"].std()
    lines = {
        "se/sd": analytic,
        "its Monte Carlo error": analytic / np.sqrt(2 * len(d)),
        "naive se/sd": d["naive_se"].mean() / d["b"].std(),
        "bootstrap se/se": ratio.mean(),
        "bootstrap se/sd": ratio.mean() * analytic,
        "coverage": covers(d, "b", "se"),
        "coverage, naive": covers(d, "b", "naive_se"),
        "coverage, told": covers(d, "told_b", "told_se"),
    }
    sys.stdout.write(f"{vars(asked)}\n" + "".join(f"{name:22} {value: .4f}\n" for name, value in lines.items()))


if __name__ == "__main__":
    main()
