"""What must not change an estimate: order, names, units, and how the same information is written down.

Tolerances: coefficients are solved for to about 1e-11 of their standard error; ``CLOSE`` allows for sums that run in another
order and for a path of the solver that is another one, in coefficients measured by their standard errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cyber_trade_econ as cte
from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import poisson
from cyber_trade_econ.simulate import gravity_world

if TYPE_CHECKING:
    from cyber_trade_econ.records.estimate import Estimate

CLOSE = 1e-8
THREE = " | exporter^year + importer^year + pair"
SPECS = {
    "none": "",
    "gravity": THREE,
    "two-way": " | exporter^year + importer^year",
    "general": " | exporter + importer + year + kind",
}
VCOVS = {
    "hetero": lambda: "hetero",
    "pair": lambda: cte.cluster("pair"),
    "three-way": lambda: cte.cluster("exporter", "importer", "year"),
}
FITS = {"ols": cte.ols, "ppml": cte.ppml}
every = pytest.mark.parametrize(("fit", "effects"), [(f, e) for f in FITS for e in SPECS])
examples = settings(max_examples=6, deadline=None)
seeds = st.integers(0, 10_000)


def world(seed: int) -> pd.DataFrame:
    """Return a gravity panel with gaps, zeros and flows over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    frame = gravity_world(6, 6, seed=seed)
    frame["trade_musd"] *= np.exp(rng.normal(0, 2, 6)[pd.factorize(frame["exporter"])[0]])
    frame["trade_musd"] *= rng.random(len(frame)) > 0.15
    frame["x"] = rng.normal(size=len(frame)) + 0.2 * np.log1p(frame["trade_musd"])
    frame["z"] = rng.gamma(2.0, size=len(frame))
    frame["kind"] = rng.integers(0, 4, len(frame))
    frame["size"] = rng.integers(1, 4, len(frame)).astype(float)
    return frame[rng.random(len(frame)) > 0.1].reset_index(drop=True)


def run(fit: str, effects: str, frame: pd.DataFrame, terms: str = "x + z + treated", **options) -> Estimate:
    options = {"vcov": cte.cluster("pair"), "ssc": "none"} | options
    return FITS[fit](f"trade_musd ~ {terms}{SPECS[effects]}", frame, collinear="drop", **options)


def same(a: Estimate, b: Estimate, factor: float = 1.0, tolerance: float = CLOSE) -> None:
    """Compare coefficients by their standard errors, and the errors; those of ``b`` are ``factor`` times as large."""
    assert a.nobs == b.nobs
    assert set(a.coef.index) == set(b.coef.index)
    terms = list(a.coef.index)
    np.testing.assert_allclose(b.coef[terms] / factor / a.se, a.coef / a.se, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(b.se[terms] / factor, a.se, rtol=10 * tolerance)


@every
@given(seed=seeds, vcov=st.sampled_from(sorted(VCOVS)))
@examples
def test_order_of_rows(fit, effects, seed, vcov):
    frame = world(seed)
    a = run(fit, effects, frame, vcov=VCOVS[vcov]())
    b = run(fit, effects, frame.sample(frac=1, random_state=seed), vcov=VCOVS[vcov]())
    assert sorted(a.sample) == sorted(b.sample)
    if not a.facts.get("vcov_repaired"):  # a repair of rounding-sized eigenvalues may fall either way
        same(a, b)


@every
@given(seed=seeds)
@examples
def test_labels(fit, effects, seed):
    frame = world(seed)
    rng = np.random.default_rng(seed)
    renamed = frame.copy()
    for name in ("exporter", "importer", "pair", "year", "kind"):
        levels = frame[name].unique()
        renamed[name] = frame[name].map(dict(zip(levels, rng.permutation(10**9 + np.arange(len(levels))), strict=True)))
    same(run(fit, effects, frame), run(fit, effects, renamed))


@every
@given(seed=seeds)
@examples
def test_order_of_columns_terms_and_effects(fit, effects, seed):
    frame = world(seed)
    a = run(fit, effects, frame)
    same(a, run(fit, effects, frame[frame.columns[::-1]]))
    same(a, run(fit, effects, frame, terms="treated + z + x"))
    if effects != "none":
        turned = " | " + " + ".join(reversed(SPECS[effects].removeprefix(" | ").split(" + ")))
        b = FITS[fit](
            f"trade_musd ~ x + z + treated{turned}", frame, vcov=cte.cluster("pair"), ssc="none", collinear="drop"
        )
        same(a, b)


@every
@given(seed=seeds, power=st.integers(-15, 15))
@examples
def test_unit_of_the_outcome(fit, effects, seed, power):
    frame = world(seed)
    unit = 10.0**power
    a = run(fit, effects, frame)
    b = run(fit, effects, frame.assign(trade_musd=frame["trade_musd"] * unit))
    if fit == "ols":
        same(a, b, factor=unit)
    else:
        if "Intercept" in b.coef:  # it alone moves
            b.coef["Intercept"] -= np.log(unit)
        same(a, b)


@every
@given(seed=seeds, power=st.integers(-9, 9))
@examples
def test_units_and_origins_of_regressors(fit, effects, seed, power):
    frame = world(seed)
    unit = 10.0**power
    a, b = run(fit, effects, frame), run(fit, effects, frame.assign(x=frame["x"] * unit, z=frame["z"] / unit))
    for term, by in (("x", unit), ("z", 1 / unit), ("treated", 1.0)):
        np.testing.assert_allclose(b.coef[term] * by / a.se[term], a.coef[term] / a.se[term], rtol=CLOSE, atol=CLOSE)
        np.testing.assert_allclose(b.se[term] * by, a.se[term], rtol=10 * CLOSE)
    moved = run(fit, effects, frame.assign(x=frame["x"] + 1000.0))
    terms = ["x", "z", "treated"]
    np.testing.assert_allclose(moved.coef[terms] / a.se[terms], a.coef[terms] / a.se[terms], rtol=CLOSE, atol=CLOSE)
    np.testing.assert_allclose(moved.se[terms], a.se[terms], rtol=10 * CLOSE)


@every
@given(seed=seeds)
@examples
def test_rows_written_out_or_counted_by_weights(fit, effects, seed):
    """Clustered errors do not care; singletons do, so each row is there at least twice."""
    frame = world(seed)
    counts = frame["size"].to_numpy(dtype=int) + 1
    written = frame.loc[frame.index.repeat(counts)].reset_index(drop=True)
    counted = frame.assign(size=counts)
    keep = run(fit, effects, counted, weights="size")
    written = written[written.set_index(["pair", "year"]).index.isin(keep_index(frame, keep))]
    b = run(fit, effects, written)
    assert b.nobs == counts[frame.index.isin(keep.sample)].sum()
    terms = list(keep.coef.index)
    np.testing.assert_allclose(b.coef[terms] / keep.se, keep.coef / keep.se, rtol=CLOSE, atol=CLOSE)
    np.testing.assert_allclose(b.se[terms], keep.se, rtol=10 * CLOSE)


def keep_index(frame: pd.DataFrame, estimate: Estimate) -> pd.MultiIndex:
    return frame.loc[estimate.sample].set_index(["pair", "year"]).index


@every
@given(seed=seeds, unit=st.sampled_from([1e-9, 0.5, 3.0, 1e9]))
@examples
def test_unit_of_the_weights(fit, effects, seed, unit):
    frame = world(seed)
    same(
        run(fit, effects, frame, weights="size", vcov="hetero"),
        run(fit, effects, frame.assign(size=frame["size"] * unit), weights="size", vcov="hetero"),
    )


@every
@given(seed=seeds)
@examples
def test_rows_without_weight_are_no_rows(fit, effects, seed):
    frame = world(seed)
    frame["size"] *= np.random.default_rng(seed).random(len(frame)) > 0.1
    same(run(fit, effects, frame, weights="size"), run(fit, effects, frame[frame["size"] > 0], weights="size"))


@every
@given(seed=seeds, part=st.floats(-2, 2))
@examples
def test_an_offset_is_a_coefficient_that_is_known(fit, effects, seed, part):
    frame = world(seed)
    a, b = run(fit, effects, frame), run(fit, effects, frame.assign(known=part * frame["z"]), offset="known")
    moved = a.coef.copy()
    moved["z"] -= part
    np.testing.assert_allclose(b.coef / a.se, moved / a.se, rtol=CLOSE, atol=CLOSE)
    np.testing.assert_allclose(b.se, a.se, rtol=10 * CLOSE)


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_fitted_totals_are_observed_totals(seed):
    """Fally (2015), https://doi.org/10.1016/j.jinteco.2015.05.005: to 1e-8 of every total, small ones included."""
    frame = world(seed)
    for effects in ("gravity", "two-way", "general"):
        e = run("ppml", effects, frame)
        kept = frame.loc[e.sample]
        fitted = e.predict(kept)
        for effect in e.facts["effects"]:
            by = [kept[c] for c in effect.split("^")]
            got, want = fitted.groupby(by).sum(), kept["trade_musd"].groupby(by).sum()
            np.testing.assert_allclose(got, want, rtol=1e-8)
        np.testing.assert_allclose(kept[["x", "z"]].T @ fitted, kept[["x", "z"]].T @ kept["trade_musd"], rtol=1e-8)
        assert e.facts["largest_relative_score"] < 1e-8


def by_newton(y: np.ndarray, Z: np.ndarray, steps: int = 200) -> np.ndarray:
    """Maximise the Poisson likelihood over all columns, dummies included, with singular directions left at zero."""
    b = np.zeros(Z.shape[1])
    b[:] = np.linalg.lstsq(Z, np.log(y + 0.1 * y.mean()), rcond=None)[0]
    for _ in range(steps):
        mu = np.exp(Z @ b)
        step = np.linalg.lstsq(np.sqrt(mu)[:, None] * Z, (y - mu) / np.sqrt(mu), rcond=1e-13)[0]
        size = np.abs(Z @ step).max()
        b += step / max(1.0, size / 2)
        if size < 1e-12:
            break
    assert size < 1e-10
    return b


@given(seed=seeds)
@settings(max_examples=12, deadline=None)
def test_default_settings_reach_the_maximum(seed):
    """Within 1e-8 of Newton's method on explicit dummies, iterated until its steps are rounding."""
    frame = world(seed)
    for effects in SPECS:
        e = run("ppml", effects, frame)
        kept = frame.loc[e.sample]
        numbers = kept[["x", "z", "treated"]].to_numpy(float)
        levels = [kept[effect.split("^")].astype(str).agg("^".join, axis=1) for effect in e.facts["effects"]]
        dummies = [pd.get_dummies(level).to_numpy(float) for level in levels]
        Z = np.column_stack([numbers, np.ones(len(kept)), *dummies])
        b = by_newton(kept["trade_musd"].to_numpy(), Z)
        np.testing.assert_allclose(e.coef[["x", "z", "treated"]], b[:3], rtol=CLOSE, atol=CLOSE)


def test_both_paths_are_taken_and_agree(monkeypatch):
    frame = world(3)
    special = run("ppml", "gravity", frame)
    assert special.facts["path"] == "gravity"
    monkeypatch.setattr("cyber_trade_econ.hdfe.blocks.detect", lambda _: None)
    general = run("ppml", "gravity", frame)
    assert general.facts["path"] == "general"
    same(special, general)
    np.testing.assert_allclose(special.predict(frame), general.predict(frame), rtol=1e-8)
    np.testing.assert_allclose(special.facts["deviance"], general.facts["deviance"], rtol=1e-10)


def test_no_convergence_is_an_error(monkeypatch):
    frame = world(5)
    original = poisson.fit
    monkeypatch.setattr(poisson, "fit", lambda *a, **k: original(*a, **k, max_iterations=2))
    for effects in ("none", "general"):
        with pytest.raises(NotConverged, match="after 2 iterations"):
            run("ppml", effects, frame)
    monkeypatch.undo()
    assert run("ppml", "general", frame).facts["converged"]  # control


@every
@given(seed=seeds)
@examples
def test_what_is_collinear_is_what_earlier_columns_and_effects_span(fit, effects, seed):
    """Against ranks of explicit dummies; in another order other names go, but as many, and the fit is the same."""
    rng = np.random.default_rng(seed)
    frame = world(seed)
    frame["a"] = rng.normal(size=frame["exporter"].nunique())[
        pd.factorize(frame["exporter"])[0]
    ]  # constant by exporter
    frame["b"] = 2 * frame["x"] - 3 * frame["z"] + rng.choice([0.0, 1.0]) * frame["a"]
    frame["c"] = frame["treated"] * 1.0
    frame["d"] = frame["size"]
    levels = [
        frame[e.strip(" |").split("^")].astype(str).agg("^".join, axis=1) for e in SPECS[effects].split(" + ") if e
    ]
    terms = list(rng.permutation(["x", "z", "treated", "a", "b", "c", "d"]))
    first = run(fit, effects, frame, terms=" + ".join(terms))
    kept = frame.loc[first.sample]
    spanned = np.column_stack(
        [np.ones(len(kept)), *(pd.get_dummies(v.loc[first.sample]).to_numpy(float) for v in levels)]
    )
    expected = []
    for term in terms:
        wider = np.column_stack([spanned, kept[term].to_numpy(float)])
        if np.linalg.matrix_rank(wider) > np.linalg.matrix_rank(spanned):
            expected.append(term)
            spanned = wider
    assert [t for t in first.coef.index if t != "Intercept"] == expected
    assert first.facts.get("collinear", []) == [t for t in terms if t not in expected]
    turned = run(fit, effects, frame, terms=" + ".join(reversed(terms)))
    assert len(turned.coef) == len(first.coef)
    np.testing.assert_allclose(
        turned.predict(kept), first.predict(kept), rtol=1e-7, atol=1e-7 * kept["trade_musd"].std()
    )
