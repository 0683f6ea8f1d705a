"""The bias correction against its definition written out pair by pair, closed forms, invariances, and what it refuses.

Tolerances: the oracle differentiates the pair's likelihood numerically, which leaves about 1e-8 of the third derivatives;
what needs no third derivative agrees to rounding, 1e-9 with fits converged to 1e-12.
"""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.errors import ConfigError, DuplicateKey, EstimationError, NotIdentified
from cyber_trade_econ.gravity.bias_correction import bias_correction
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster, dyadic
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.report.provenance import json_safe
from cyber_trade_econ.report.table import table

THREE = "y ~ x + z | exporter^year + importer^year + exporter^importer"
TWO = "y ~ x + z | exporter^year + importer^year"
PAIRS = cluster("exporter^importer")


def world(exporters=6, importers=6, periods=3, *, seed=1, missing=0.0, domestic=False):
    """Gravity flows with multiplicative noise and zeros."""
    rng = np.random.default_rng(seed)
    e, i, t = (g.ravel() for g in np.meshgrid(*map(np.arange, (exporters, importers, periods)), indexing="ij"))
    a, b = rng.normal(0, 0.5, (exporters, periods)), rng.normal(0, 0.5, (importers, periods))
    frame = pd.DataFrame({"exporter": e, "importer": i, "year": 2000 + t, "z": rng.normal(size=len(e))})
    frame["x"] = (rng.normal(size=len(e)) + a[e, t] > 0.2).astype(float)
    mean = np.exp(
        0.5 * frame["x"] + 0.2 * frame["z"] + a[e, t] + b[i, t] + rng.normal(0, 0.5, (exporters, importers))[e, i]
    )
    frame["y"] = mean * rng.lognormal(0, 0.7, len(e)) * (rng.random(len(e)) > 0.15)
    keep = rng.random(len(e)) >= missing
    if not domestic:
        keep &= e != i
    names = {side: "E" + frame[side].astype(str) for side in ("exporter", "importer")}
    return frame.assign(**names)[keep].reset_index(drop=True)


def fitted(formula, frame, **options):
    return ppml(formula, frame, **({"vcov": PAIRS, "tol": 1e-12} | options))


# --- the definition, written out ------------------------------------------------------------------------------------------
def definition(estimate, frame, *, concentrated):
    """Propositions of the paper pair by pair: dense dummies, numerical derivatives, pseudo-inverses."""
    rows = frame.loc[estimate.sample].assign(mean=estimate.predict(frame).loc[estimate.sample])
    names = [sorted(rows[c].unique()) for c in ("exporter", "importer", "year")]
    sizes = [len(n) for n in names]
    periods, terms = sizes[2], list(estimate.coef.index)

    def score(index, y):
        if not concentrated:
            return y - np.exp(index)
        return y - np.exp(index) / np.exp(index).sum() * y.sum()

    def curvature(index, y):
        steps = 1e-30j * np.eye(len(index))
        return -np.column_stack([score(index + step, y).imag / 1e-30 for step in steps])

    pairs = []
    for (exporter, importer), cell in rows.groupby(["exporter", "importer"]):
        cell = cell.sort_values("year")
        e, i = names[0].index(exporter), names[1].index(importer)
        t = np.array([names[2].index(y) for y in cell["year"]])
        D = np.zeros((len(t), (sizes[0] + sizes[1]) * periods))
        D[np.arange(len(t)), e * periods + t] = 1
        D[np.arange(len(t)), (sizes[0] + i) * periods + t] = 1
        index, mean = np.log(cell["mean"].to_numpy()), cell["mean"].to_numpy()
        third = np.stack(
            [(curvature(index + step, mean) - curvature(index - step, mean)) / -2e-5 for step in 1e-5 * np.eye(len(t))],
            axis=2,
        )
        X, y = cell[terms].to_numpy(dtype=float), cell["y"].to_numpy()
        pair = {"e": e, "i": i, "t": t, "D": D, "X": X, "S": score(index, y), "H": curvature(index, mean), "G": third}
        pairs.append(pair)
    F = np.linalg.pinv(sum(p["D"].T @ p["H"] @ p["D"] for p in pairs), rcond=1e-11, hermitian=True)
    phi = F @ sum(p["D"].T @ p["H"] @ p["X"] for p in pairs)
    for p in pairs:
        p["x"] = p["X"] - p["D"] @ phi
    W = np.linalg.inv(sum(p["x"].T @ p["H"] @ p["x"] for p in pairs))
    bias = np.zeros(len(terms))
    for side, owners in (("e", sizes[0]), ("i", sizes[1])):
        for owner in range(owners if concentrated else 0):
            mine = [p for p in pairs if p[side] == owner]

            def total(part, mine=mine):
                out = np.zeros((periods, periods))
                for p in mine:
                    out[np.ix_(p["t"], p["t"])] += part(p)
                return out

            own = np.linalg.pinv(total(lambda p: p["H"]), rcond=1e-10, hermitian=True)
            noise = own @ total(lambda p: np.outer(p["S"], p["S"])) @ own
            for k in range(len(terms)):
                first = np.trace(own @ total(lambda p, k=k: np.outer(p["H"] @ p["x"][:, k], p["S"])))
                second = np.trace(total(lambda p, k=k: p["G"] @ p["x"][:, k]) @ noise) / 2
                bias[k] += second - first
    n = max(sizes[:2])
    meat = np.zeros((len(terms), len(terms)))
    for p in pairs:
        hat = p["H"] @ (p["x"] @ W @ p["x"].T + p["D"] @ F @ p["D"].T)
        left = np.linalg.lstsq(np.eye(len(hat)) - hat, p["S"], rcond=1e-8)[0]  # effects may fit a pair perfectly
        meat += np.outer(p["x"].T @ left, p["x"].T @ p["S"])
    factor = len(pairs) / (len(pairs) - 1)
    return n / (n - 1) * W @ bias, W @ (meat + meat.T) @ W / 2 * factor


@pytest.mark.parametrize(
    "shape", [{}, {"periods": 2}, {"missing": 0.1}, {"exporters": 5, "importers": 8}, {"domestic": True}]
)
def test_three_way_is_the_definition(shape):
    frame = world(**shape)
    e = fitted(THREE, frame)
    c = bias_correction(e, frame)
    bias, vcov = definition(e, frame, concentrated=True)
    np.testing.assert_allclose(list(c.facts["bias"].values()), bias, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(c.vcov, vcov, rtol=1e-8)
    np.testing.assert_allclose(c.coef + bias, e.coef, atol=1e-9)


def test_a_pair_that_effects_fit_perfectly_adds_nothing():
    """In a sparse table one pair may be the only one that tells about an effect; its block of the hat matrix is singular."""
    found = 0
    for seed in range(8):
        frame = world(12, 12, 4, seed=seed, missing=0.6, domestic=True)
        e = fitted(THREE, frame)
        c = bias_correction(e, frame)
        np.testing.assert_allclose(c.vcov, definition(e, frame, concentrated=True)[1], rtol=1e-6)
        found += c.facts["pairs_fitted_by_effects"] > 0
    assert 0 < found < 8


@pytest.mark.parametrize("shape", [{}, {"missing": 0.1}, {"exporters": 5, "importers": 8}, {"domestic": True}])
def test_two_way_is_the_definition(shape):
    frame = world(**shape)
    e = fitted(TWO, frame)
    c = bias_correction(e, frame)
    np.testing.assert_allclose(c.vcov, definition(e, frame, concentrated=False)[1], rtol=1e-8)
    assert set(c.facts["bias"].values()) == {0.0}
    np.testing.assert_array_equal(c.coef, e.coef)
    assert any("no bias" in words for words in c.facts["caveats"])


def test_in_a_cross_section_the_covariance_is_hc2():
    """MacKinnon and White (1985), https://doi.org/10.1016/0304-4076(85)90158-7, with the weighted hat matrix of a GLM."""
    frame = world(9, 9, 1)
    e = fitted("y ~ x + z | exporter + importer", frame)
    c = bias_correction(e, frame)
    rows = frame.loc[e.sample]
    dummies = [pd.get_dummies(rows["exporter"]), pd.get_dummies(rows["importer"]).iloc[:, 1:]]
    X = np.column_stack([rows[["x", "z"]], *dummies]).astype(float)
    mean = e.predict(rows).to_numpy()
    inverse = np.linalg.inv(X.T @ (mean[:, None] * X))
    leverage = mean * np.einsum("ij,jk,ik->i", X, inverse, X)
    squared = (rows["y"].to_numpy() - mean) ** 2 / (1 - leverage)
    hc2 = (inverse @ (X.T @ (squared[:, None] * X)) @ inverse)[:2, :2]
    np.testing.assert_allclose(c.vcov, hc2 * len(rows) / (len(rows) - 1), rtol=1e-9)
    assert c.facts["largest_leverage"] == pytest.approx(leverage.max())


# --- facts ----------------------------------------------------------------------------------------------------------------
def test_what_was_done_stands_in_the_facts():
    frame = world(missing=0.05, domestic=True)
    e = fitted(THREE, frame)
    c = bias_correction(e, frame)
    facts = c.facts
    assert c.model == "PPML, bias-corrected"
    for number, term in enumerate(c.coef.index):
        assert facts["uncorrected_coef"][term] == e.coef[term]
        assert facts["uncorrected_se"][term] == pytest.approx(e.se[term], rel=1e-9)  # the fit's own pair clusters
        assert facts["bias"][term] == pytest.approx(e.coef.iloc[number] - c.coef.iloc[number], abs=1e-14)
        assert facts["bias"][term] == pytest.approx(
            facts["bias_from_exporters"][term] + facts["bias_from_importers"][term]
        )
    assert facts["bias_factor"] == 6 / 5
    assert facts["clusters"] == e.facts["clusters"]
    assert 0 < facts["largest_leverage"] < 1
    said = " ".join(facts["caveats"])
    assert "6 pair(s) are domestic" in said
    assert "no row" in said
    assert json.loads(json.dumps(json_safe(dict(facts))))
    assert (c.se > 0).all()
    assert "PPML, bias-corrected" in table([e, c]).to_markdown()
    with pytest.raises(EstimationError, match="do not predict"):
        c.predict(frame)
    assert e.predict(frame).notna().any()


def test_an_unclustered_estimate_gets_the_same_correction_and_is_told_so():
    frame = world()
    a, b = (bias_correction(fitted(THREE, frame, vcov=v), frame) for v in (PAIRS, "hetero"))
    pd.testing.assert_frame_equal(a.vcov, b.vcov)
    assert not any("hetero" in words for words in a.facts["caveats"])
    assert any("hetero" in words for words in b.facts["caveats"])


def test_columns_may_have_any_names_and_pairs_one_column():
    frame = world(periods=4)
    wanted = bias_correction(fitted(THREE, frame), frame)
    other = frame.rename(columns={"exporter": "o", "importer": "d", "year": "when"})
    other["od"], other["ot"] = other["o"] + other["d"], other["o"] + other["when"].astype(str)
    e = fitted("y ~ x + z | ot + d^when + od", other, vcov=cluster("od"))
    got = bias_correction(e, other, exporter="o", importer="d", time="when")
    np.testing.assert_allclose(got.coef, wanted.coef, rtol=1e-9)
    np.testing.assert_allclose(got.vcov, wanted.vcov, rtol=1e-9)


def test_a_panel_and_terms_of_every_kind_are_accepted():
    frame = world(periods=4).assign(w=lambda d: np.exp(d["z"]), kind=lambda d: np.arange(len(d)) % 3)
    e = fitted("y ~ x + log(w) + x:z + i(kind) | exporter^year + importer^year + exporter^importer", frame)
    panel = Panel(frame=frame.assign(pair=frame["exporter"] + frame["importer"]), unit="pair", time="year")
    np.testing.assert_array_equal(bias_correction(e, frame).vcov, bias_correction(e, panel).vcov)
    made = {"log(w)": frame["z"], "x:z": frame["x"] * frame["z"]} | {f"kind::{k}": frame["kind"] == k for k in (1, 2)}
    _, vcov = definition(e, frame.assign(**made), concentrated=True)
    np.testing.assert_allclose(bias_correction(e, frame).vcov, vcov, rtol=1e-8)


# --- invariances ----------------------------------------------------------------------------------------------------------
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), unit=st.sampled_from([1e-9, 1.0, 1e9]), scale=st.sampled_from([1e-6, 3.0, 1e6]))
def test_order_labels_and_units_do_not_matter(seed, unit, scale):
    frame = world(seed=seed)
    rng = np.random.default_rng(seed)
    labels = dict(zip(sorted(frame["exporter"].unique()), rng.permutation(frame["exporter"].nunique()), strict=True))
    other = frame.assign(
        exporter=frame["exporter"].map(labels),
        importer=frame["importer"].map(labels),
        y=frame["y"] * unit,
        z=frame["z"] * scale,
    ).sample(frac=1, random_state=seed)
    a, b = (bias_correction(fitted(THREE, d), d) for d in (frame, other))
    units = np.array([1.0, scale])
    np.testing.assert_allclose(a.coef, b.coef * units, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(a.vcov, b.vcov * np.outer(units, units), rtol=1e-6, atol=1e-12)


def test_exporters_and_importers_play_the_same_part():
    frame = world(5, 7, 3)
    turned = frame.rename(columns={"exporter": "importer", "importer": "exporter"})
    a, b = (bias_correction(fitted(THREE, d), d) for d in (frame, turned))
    np.testing.assert_allclose(a.vcov, b.vcov, rtol=1e-8)
    for term in a.coef.index:
        assert a.facts["bias_from_exporters"][term] == pytest.approx(b.facts["bias_from_importers"][term], rel=1e-8)


def test_the_data_are_not_changed():
    frame = world()
    before = frame.copy(deep=True)
    bias_correction(fitted(THREE, frame), frame)
    assert before.equals(frame)


# --- what it refuses ------------------------------------------------------------------------------------------------------
SYMMETRIC = "y ~ x + z | exporter^year + importer^year + both"


@pytest.fixture(scope="module")
def frame():
    out = world(periods=4)
    out["both"] = [min(a, b) + max(a, b) for a, b in zip(out["exporter"], out["importer"], strict=True)]
    out["sector"] = np.arange(len(out)) % 2
    out["w"] = 1.0 + np.arange(len(out)) % 3
    return out


@pytest.mark.parametrize(
    ("fit", "named"),
    [
        (lambda d: ols("y ~ x + z | exporter^year + importer^year + exporter^importer", d), "OLS"),
        (lambda d: bias_correction(fitted(THREE, d), d), "bias-corrected"),
        (lambda d: fitted(THREE, d, weights="w"), "weights='w'"),
        (lambda d: fitted(THREE, d, offset="w"), "offset='w'"),
        (lambda d: fitted(THREE.replace("x + z", "1"), d), "effects alone"),
        (lambda d: fitted("y ~ x + z | exporter + importer + year", d), "exporter \\+ importer \\+ year"),
        (lambda d: fitted("y ~ x + z | exporter^year + exporter^importer", d), "found exporter\\^year"),
        (lambda d: fitted(THREE + " + sector", d), "sector"),
        (lambda d: fitted("y ~ x + z", d), "found none"),
        (lambda d: fitted(SYMMETRIC, d), "both"),
        (lambda d: fitted(THREE, d, vcov=cluster("both")), "cluster: both"),
        (lambda d: fitted(THREE, d, vcov=cluster("exporter", "importer")), "cluster: exporter, importer"),
        (lambda d: fitted(THREE, d, vcov=dyadic("exporter", "importer")), "dyadic"),
    ],
    ids=["ols", "twice", "weights", "offset", "no regressor", "years", "one side", "fourth", "none", "undirected",
         "undirected clusters", "two-way clusters", "dyadic"],
)  # fmt: skip
def test_other_models_are_refused_by_name(frame, fit, named):
    assert bias_correction(fitted(THREE, frame), frame).nobs  # the control
    with pytest.raises(ConfigError, match=named):
        bias_correction(fit(frame), frame, time="year")


def test_other_data_are_refused(frame):
    e = fitted(THREE, frame)
    assert bias_correction(e, frame.sample(frac=1, random_state=1)).nobs == e.nobs
    with pytest.raises(ConfigError, match="rows of the sample absent"):
        bias_correction(e, frame.iloc[10:])
    with pytest.raises(ConfigError, match="first-order conditions"):
        bias_correction(e, frame.assign(y=frame["y"].to_numpy()[::-1]))
    with pytest.raises(ConfigError, match="type dict"):
        bias_correction(e, frame.to_dict())
    with pytest.raises(ConfigError, match="reset_index"):
        bias_correction(e, pd.concat([frame, frame]))


def test_two_rows_in_a_cell_are_refused(frame):
    twice = pd.concat([frame, frame.iloc[:3]], ignore_index=True)
    with pytest.raises(DuplicateKey, match="3 row"):
        bias_correction(fitted(THREE, twice), twice)
    sectors = "y ~ x + z | exporter + importer"
    with pytest.raises(DuplicateKey):
        bias_correction(fitted(sectors, frame), frame)
    one = frame[frame["year"] == 2001]
    assert bias_correction(fitted(sectors, one), one).nobs


def test_memory_is_estimated_before_it_is_taken():
    frame = world(40, 40, 10)
    e = fitted(THREE, frame)
    tracemalloc.start()
    bias_correction(e, frame)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    with pytest.raises(EstimationError, match="needs about"):
        bias_correction(e, frame, memory_gb=0.001)
    refused = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The estimate is 8 bytes x (40 x 40 x 10 x 20 + 2 x 400 x 400) = 0.0051 GB; frames, codes and one tile come on top.
    assert used < 2.5 * 0.0051e9
    assert refused < used / 2


def test_two_way_effects_need_memory_and_time_for_each_period_by_itself():
    """Periods do not meet without pair effects: ten times as many take ten times as much of both."""
    e = {t: fitted(TWO, frame) for t, frame in ((2, world(30, 30, 2)), (20, world(30, 30, 20)))}
    peak = {}
    for t, estimate in e.items():
        frame = world(30, 30, t)
        tracemalloc.start()
        bias_correction(estimate, frame, memory_gb=0.01)
        peak[t] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak[20] < 15 * peak[2]
    with pytest.raises(EstimationError, match="needs about"):  # the control: pair effects tie periods together
        bias_correction(fitted(THREE, world(30, 30, 20)), world(30, 30, 20), memory_gb=0.005)


def test_a_coefficient_that_one_pair_determines_is_refused():
    frame = world(periods=4)
    frame["event"] = ((frame["exporter"] == "E1") & (frame["importer"] == "E2") & (frame["year"] > 2001)).astype(float)
    frame.loc[frame["event"] == 1, "y"] = 1.0, 2.0
    e = fitted("y ~ x + event | exporter^year + importer^year + exporter^importer", frame)
    with pytest.raises(NotIdentified, match="E1 -> E2"):
        bias_correction(e, frame)
    frame.loc[(frame["exporter"] == "E3") & (frame["year"] > 2002), "event"] = frame["z"].abs()
    e = fitted("y ~ x + event | exporter^year + importer^year + exporter^importer", frame)
    assert np.isfinite(bias_correction(e, frame).se).all()
