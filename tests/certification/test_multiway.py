"""One- to four-way clusters, each term of their sum from other software, under every convention that can be chosen.

Inclusion and exclusion over all intersections is written out here; statsmodels clusters by each intersection alone, without
any factor, on a regression with explicit dummies. In two ways linearmodels and statsmodels have the whole of it.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import SmallSample, cluster, ssc
from cyber_trade_econ.simulate import gravity_world

api = pytest.importorskip("statsmodels.api")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:", "ignore:.*inplace keyword")

WAYS = ["exporter", "importer", "year", "region"]
TERMS = ["treated", "x"]
RULES: dict[str, SmallSample | str] = {
    "none": "none",
    "stata": "stata",
    "fixest": "fixest",
    "conventional": ssc(k_adj=False, g_df="conventional"),
    "smallest": ssc(k_adj=False, g_df="min"),
    "no G": ssc(g_adj=False),
    "all effects": ssc(k_fixef="full"),
    "no effects": ssc(k_fixef="none"),
    "rank": ssc(k_fixef="full", redundant="components"),
}


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    frame = gravity_world(9, 12, seed=17)
    rng = np.random.default_rng(17)
    frame["x"] = rng.normal(size=len(frame))
    for way in ("exporter", "importer", "year"):  # shocks, so that the sum is positive definite
        code = pd.factorize(frame[way])[0]
        frame["x"] += rng.normal(size=code.max() + 1)[code]
        frame["trade_musd"] *= np.exp(rng.normal(0, 0.6, code.max() + 1)[code])
    frame["region"] = pd.factorize(frame["pair"])[0] % 15
    frame["ltrade"] = np.log(frame["trade_musd"])
    return frame


def dummies(frame: pd.DataFrame, effects: list[str]) -> pd.DataFrame:
    parts = [pd.get_dummies(frame[e].astype(str), prefix=e, drop_first=True, dtype=float) for e in effects]
    return pd.concat([frame[TERMS].astype(float), *parts], axis=1).assign(constant=1.0)


def one_by_one(frame: pd.DataFrame, fit, ways: list[str], per_term: bool, with_g: bool) -> np.ndarray:
    """Sum the one-way covariances of all intersections with alternating signs."""
    from statsmodels.stats.sandwich_covariance import cov_cluster

    smallest = min(frame[w].nunique() for w in ways)
    out = np.zeros((2, 2))
    for size in range(1, len(ways) + 1):
        for some in combinations(ways, size):
            codes = frame.groupby(list(some)).ngroup().to_numpy()
            g = codes.max() + 1 if per_term else smallest
            factor = g / (g - 1) if with_g else 1.0
            out -= (-1) ** size * factor * cov_cluster(fit, codes, use_correction=False)[:2, :2]
    return out


def k_factor(rule: SmallSample | str, model: str, frame: pd.DataFrame, effects: list[str], ways: list[str]) -> float:
    """Return (N-1)/(N-K) as the conventions have it, K counted by hand."""
    if rule == "none" or (rule == "stata" and model == "PPML") or (isinstance(rule, SmallSample) and not rule.k_adj):
        return 1.0
    how = rule.k_fixef if isinstance(rule, SmallSample) else "nested"
    counted = [e for e in effects if how == "full" or (how == "nested" and e not in ways)]
    levels = sum(frame[e].nunique() for e in counted) - max(len(counted) - 1, 0)  # all of them are joined to each other
    constant = 0 if effects and how == "none" else 1  # what is left of effects that are nested, or the constant
    n = len(frame)
    return (n - 1) / (n - 2 - max(levels, constant))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("effects", [[], ["exporter", "importer"]], ids=["none", "two-way"])
@pytest.mark.parametrize("model", ["OLS", "PPML"])
def test_against_sums_of_one_way_covariances(world, model, effects, count, rule):
    ways = WAYS[-count:]
    Z = dummies(world, effects)
    left = "ltrade" if model == "OLS" else "trade_musd"
    asked = {"vcov": cluster(*ways), "ssc": RULES[rule]}
    spec = f"{left} ~ treated + x" + (f" | {' + '.join(effects)}" if effects else "")
    if model == "OLS":
        theirs, e = api.OLS(world[left], Z).fit(), ols(spec, world, **asked)
    else:
        theirs = api.GLM(world[left], Z, family=api.families.Poisson()).fit(tol=1e-13)
        e = ppml(spec, world, **asked)
    choice = RULES[rule]
    per_term = isinstance(choice, SmallSample) and choice.g_df == "conventional"
    with_g = choice.g_adj if isinstance(choice, SmallSample) else choice != "none"
    want = one_by_one(world, theirs, ways, per_term, with_g) * k_factor(choice, model, world, effects, ways)
    assert np.linalg.eigvalsh(want).min() > 0  # control: nothing to repair in the two coefficients compared
    if not e.facts["vcov_repaired"]:
        np.testing.assert_allclose(e.vcov.loc[TERMS, TERMS], want, rtol=1e-6)
    assert e.facts["clusters"] == {w: world[w].nunique() for w in ways}
    assert e.facts["vcov"] == "cluster: " + ", ".join(ways)
    assert e.facts["ssc"] == (
        "custom" if isinstance(choice, SmallSample)
        else {"none": "none", "fixest": "fixest"}.get(rule)
        or ("stata (ppmlhdfe)" if model == "PPML" else "stata factors, one redundant level per further set of effects")
    )  # fmt: skip
    np.testing.assert_allclose(e.facts["ssc_factor"], k_factor(choice, model, world, effects, ways), rtol=1e-12)


def test_most_of_these_covariances_need_no_repair(world):
    repaired = 0
    for fit, left in ((ols, "ltrade"), (ppml, "trade_musd")):
        for effects in ("", " | exporter + importer"):
            for count in range(1, 5):
                e = fit(f"{left} ~ treated + x{effects}", world, vcov=cluster(*WAYS[-count:]))
                repaired += e.facts["vcov_repaired"]
    assert repaired <= 4  # so the comparison above looks at numbers


@pytest.mark.parametrize("effects", [[], ["exporter"], ["exporter", "year"]], ids=["none", "one", "two"])
def test_two_ways_in_linearmodels(world, effects):
    panel = pytest.importorskip("linearmodels.iv.absorbing")
    absorbed = world[effects].astype("category") if effects else None
    exog = world[TERMS].astype(float).assign(**({} if effects else {"Intercept": 1.0}))
    theirs = panel.AbsorbingLS(world["ltrade"], exog, absorb=absorbed).fit(
        cov_type="clustered",
        clusters=pd.DataFrame({w: pd.factorize(world[w])[0] for w in ("importer", "region")}),
        debiased=False,
    )
    spec = "ltrade ~ treated + x" + (f" | {' + '.join(effects)}" if effects else "")
    ours = ols(spec, world, vcov=cluster("importer", "region"), ssc="none")
    np.testing.assert_allclose(ours.coef[TERMS], theirs.params[TERMS], rtol=1e-8)
    np.testing.assert_allclose(ours.se[TERMS], theirs.std_errors[TERMS], rtol=1e-6)


def test_four_ways_by_brute_force(world):
    """A pair of rows counts once if the two share any cluster at all: the definition, over all pairs of rows."""
    frame = world.iloc[::3].reset_index(drop=True)
    e = ols("ltrade ~ treated + x", frame, vcov=cluster(*WAYS), ssc="none")
    X = np.column_stack([np.ones(len(frame)), frame[TERMS]])
    scores = X * (frame["ltrade"].to_numpy() - X @ e.coef.to_numpy())[:, None]
    share = np.zeros((len(frame),) * 2, dtype=bool)
    for way in WAYS:
        code = pd.factorize(frame[way])[0]
        share |= code[:, None] == code
    bread = np.linalg.inv(X.T @ X)
    raw = bread @ (scores.T @ (share @ scores)) @ bread
    values, vectors = np.linalg.eigh(raw)
    assert e.facts["vcov_repaired"] == (values.min() < 0)
    np.testing.assert_allclose(e.vcov, (vectors * np.maximum(values, 0)) @ vectors.T, rtol=1e-8, atol=1e-14)
