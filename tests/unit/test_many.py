"""Many fits at once: what a formula stands for, and that company changes no digit."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ import errors, many, memory
from cyber_trade_econ.errors import BadOutcome, ConfigError, EstimationError, FormulaError
from cyber_trade_econ.hdfe import samplelayout
from cyber_trade_econ.many import FitsFailed
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.simulate import gravity_world
from cyber_trade_econ.stepwise import written_out

FORMULA = "c(trade_musd, other) ~ treated + csw0(x, z) | exporter^year + importer^year + sw0(pair)"


@pytest.fixture(scope="module")
def world():
    frame = gravity_world(10, 6, seed=3)
    rng = np.random.default_rng(0)
    frame["x"], frame["z"] = rng.normal(size=(2, len(frame)))
    frame.loc[::17, "z"] = np.nan
    frame["other"] = frame["trade_musd"] * rng.uniform(0.5, 2, len(frame))
    frame["sector"] = np.where(rng.random(len(frame)) < 0.5, "b", "a")
    frame.loc[::50, "sector"] = None
    return frame


def same(one, other):
    """Bit for bit."""
    np.testing.assert_array_equal(one.coef, other.coef)
    np.testing.assert_array_equal(one.vcov, other.vcov)
    assert (one.formula, one.nobs, one.df) == (other.formula, other.nobs, other.df)
    assert repr(one.facts) == repr(other.facts)
    assert one.sample.equals(other.sample)
    for name, values in other.fixed_effects().items():
        pd.testing.assert_series_equal(one.fixed_effects()[name], values)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("y ~ x | a + b^c", ["y ~ x | a + b^c"]),
        ("c(y, log(z)) ~ x", ["y ~ x", "log(z) ~ x"]),
        ("y ~ sw(a, b)", ["y ~ a", "y ~ b"]),
        ("y ~ x + sw0(a, b) + z", ["y ~ x + z", "y ~ x + a + z", "y ~ x + b + z"]),
        ("y ~ csw(a, b + a:b, log(d)) | f", ["y ~ a | f", "y ~ a + b + a:b | f", "y ~ a + b + a:b + log(d) | f"]),
        ("y ~ csw0(a, b)", ["y ~ 1", "y ~ a", "y ~ a + b"]),
        ("y ~ csw0(a) - 1", ["y ~ - 1", "y ~ a - 1"]),
        ("y~sw(i(a, ref=-1),i(b, ref='sw(1,2)'))", ["y ~ i(a, ref=-1)", "y ~ i(b, ref='sw(1,2)')"]),
        ("y ~ x | csw0(f, g^h)", ["y ~ x", "y ~ x | f", "y ~ x | f + g^h"]),
        ("c(y, z) ~ sw(a, b) | f", ["y ~ a | f", "y ~ b | f", "z ~ a | f", "z ~ b | f"]),
        ("y ~ sw", ["y ~ sw"]),  # a column of that name
    ],
)
def test_what_a_formula_stands_for(text, plain):
    assert written_out(text) == plain


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("y ~ log(sw(a, b))", "cannot stand here"),
        ("y ~ x:sw(a, b)", "cannot stand here"),
        ("sw(y, z) ~ a", "cannot stand here"),
        ("y ~ c(a, b)", "cannot stand here"),
        ("y ~ mvsw(a, b)", "cannot stand here"),
        ("y ~ sw(sw(a), b)", "cannot stand here"),
        ("y ~ sw(a", "cannot stand here"),
        ("y ~ sw(a, b) + csw(d, e)", "one stepwise function"),
        ("y ~ x - sw(a, b)", "cannot be taken away"),
        ("y ~ sw(a,, b)", "between its commas"),
        ("y ~ sw()", "between its commas"),
        ("c(y, y) ~ sw(a, b)", "comes out twice"),
        ("c(y, z)", "one '~'"),
        (3, "must be text"),
    ],
)
def test_what_is_not_understood_is_refused(text, says):
    with pytest.raises(FormulaError, match=says):
        written_out(text)


def test_other_mistakes_are_those_of_the_plain_formula(world):
    for text in (
        "trade_musd ~ sw(x, z) + poly(x)",
        "trade_musd ~ sw(x, z) + + treated",
        "trade_musd ~ sw(x, z) | a | b",
    ):
        with pytest.raises(FormulaError):
            cte.fits(text, world)
    assert len(cte.fits("trade_musd ~ sw(x, z)", world)) == 2  # control


@pytest.mark.parametrize("estimator", ["ppml", "ols"])
def test_each_fit_is_its_single_call_bit_for_bit(world, estimator):
    options = {"vcov": cte.cluster("pair"), "weights": None}
    got = cte.fits(FORMULA, world, estimator=estimator, fsplit="sector", **options)
    assert [len(got), got.facts["fits"], got.facts["samples"], got.facts["formulas"]] == [36, 36, 3, 12]
    assert got.facts["no_sample"] == int(world["sector"].isna().sum())
    assert got.facts["coded_once"] == ("exporter", "importer", "pair")
    for key, estimate in zip(got.keys, got, strict=True):
        rows = world if key.sample == "all rows" else world[world["sector"] == key.sample[-1]]
        same(estimate, getattr(cte, estimator)(key.formula, rows, **options))


def test_no_executor_changes_a_digit(world, executor):
    want = cte.fits("trade_musd ~ csw(treated, x, z) | pair + sw0(year)", world, split="sector")
    got = cte.fits("trade_musd ~ csw(treated, x, z) | pair + sw0(year)", world, split="sector", executor=executor)
    assert got.keys == want.keys
    assert got.facts == want.facts
    for one, other in zip(got, want, strict=True):
        same(one, other)


def test_panels_dyads_indicators_and_categories(world):
    frame = world.drop(columns="sector").assign(exporter=world["exporter"].astype("category"))
    panel = Panel(frame, "pair", "year", sources={"s": {"sha256": "0"}}, events={"treated": ("e1",)})
    for options in ({}, {"vcov": cte.dyadic("exporter", "importer")}, {"offset": "x"}):
        for estimate in cte.fits(
            "trade_musd ~ treated + sw(i(exporter), i(year, ref=2005)) | importer", panel, **options
        ):
            single = cte.ppml(estimate.formula, panel, **options)
            same(estimate, single)
            assert estimate.events == single.events == {"treated": ("e1",)}
            assert estimate.sources == single.sources


def test_failures_are_named_and_the_others_kept(world):
    frame = world.assign(empty=np.where(world["sector"] == "a", world["trade_musd"], 0.0))
    with pytest.raises(FitsFailed, match=r"empty ~ x \| pair \[sector = b\]: BadOutcome") as caught:
        cte.fits("c(trade_musd, empty) ~ x | pair", frame, split="sector")
    assert issubclass(FitsFailed, EstimationError)
    assert len(caught.value.fits) == 3
    assert [type(e) for e in caught.value.failures.values()] == [BadOutcome]
    same(caught.value.fits[0], cte.ppml("trade_musd ~ x | pair", frame[frame["sector"] == "a"]))
    with pytest.raises(FitsFailed, match="reference level") as caught:
        cte.fits("trade_musd ~ i(exporter, ref='C01')", frame.assign(s=frame["exporter"] == "C01"), split="s")
    assert [key.sample for key in caught.value.failures] == ["s = False"]


def test_failures_travel_from_another_process(world, processes):
    frame = world.assign(empty=0.0)
    error = processes.submit(cte.fits, "c(trade_musd, empty) ~ x", frame).exception()
    assert isinstance(error, FitsFailed)
    assert [type(e) for e in error.failures.values()] == [BadOutcome]
    same(error.fits[0], cte.ppml("trade_musd ~ x", frame))
    assert len(processes.submit(cte.fits, "trade_musd ~ x", frame).result()) == 1  # control: the pool still works


ERRORS = {
    kind: kind
    for module in (errors, many, memory)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, errors.CyberTradeError)
}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_can_be_pickled_with_what_it_says(kind):
    said = {"found": 3, "allowed": {"a": 1, "b": 2}.keys(), "fix": "Do without"}  # no full stop, and no plain sequence
    none = many.Fits((), (), {"fits": 1})
    made = (
        FitsFailed(none, {many.Key("s = 1", "y ~ x"): BadOutcome("y", **said)})
        if kind is FitsFailed
        else kind("it", **said)
    )
    again = pickle.loads(pickle.dumps(made))  # noqa: S301
    assert type(again) is kind
    assert (str(again), again.args, again.exit_code) == (str(made), made.args, made.exit_code)
    assert {k: repr(v) for k, v in vars(again).items()} == {k: repr(v) for k, v in vars(made).items()}
    if kind is not FitsFailed:
        assert str(made) == "it; found 3; allowed: a, b. Do without"


def test_tables_and_figures_show_the_sample_of_each_fit(world):
    got = cte.fits("c(trade_musd, other) ~ treated | pair", world, fsplit="sector")
    titles = ("(1) all rows", "(2) all rows", "(3) sector = a", "(4) sector = a", "(5) sector = b", "(6) sector = b")
    table = cte.table(got)
    assert table.columns == got.titles == titles
    assert [k.sample for k in got.keys] == [t[4:] for t in titles]
    assert next(r.cells for r in table.rows if r.label == "Outcome") == ("trade_musd", "other") * 3
    assert all(title in text for title in titles for text in (table.to_html(), table.to_markdown(), table.to_csv()))
    assert tuple(cte.figure(got).data["series"].unique()) == titles
    assert cte.table(got, columns=list("abcdef")).columns == tuple("abcdef")
    assert tuple(cte.figure(got, labels=list("abcdef")).data["series"].unique()) == tuple("abcdef")
    with pytest.raises(ConfigError, match="6 different texts"):
        cte.table(got, columns=[])


def test_fits_of_one_sample_have_the_usual_titles(world):
    for split in ({}, {"split": "one"}):
        got = cte.fits("c(trade_musd, other) ~ treated | pair", world.assign(one="b"), **split)
        assert cte.table(got).columns == ("(1)", "(2)")
        assert set(cte.figure(got).data["series"]) == {"(1) PPML", "(2) PPML"}


def test_a_table_of_many_fits(world):
    got = cte.fits("trade_musd ~ treated + sw(x, z) | pair", world, split="sector")
    assert cte.table(got).columns == ("(1) sector = a", "(2) sector = a", "(3) sector = b", "(4) sector = b")
    assert cte.table(got[:2]).columns == ("(1)", "(2)")
    assert len(cte.table(got, columns=[str(k) for k in got.keys]).columns) == 4
    tidy = got.tidy()
    assert list(tidy.columns[:4]) == ["sample", "formula", "term", "estimate"]
    assert len(tidy) == 8
    assert [e.nobs for e in got[1:3]] == [got[1].nobs, got[2].nobs]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"estimator": "probit"}, ConfigError, "estimator"),
        ({"estimator": "ols", "tol": 1e-8}, ConfigError, "tol"),
        ({"vcoc": "hetero"}, ConfigError, "vcoc"),
        ({"split": "sector", "fsplit": "sector"}, ConfigError, "one of them"),
        ({"split": "secto"}, FormulaError, "'secto'"),
        ({"weights": "sizes"}, FormulaError, "'sizes'"),
        ({"formula": []}, FormulaError, "formulas that differ"),
        ({"formula": ["trade_musd ~ x", "trade_musd~x"]}, FormulaError, "formulas that differ"),
        ({"formula": "trade_musd ~ sw(x, y)"}, FormulaError, "'y'"),
        ({"data": [1]}, FormulaError, "DataFrame or a Panel; found list"),
        ({"data": None}, FormulaError, "DataFrame or a Panel; found NoneType"),
        ({"executor": 3}, ConfigError, r"executor=.*found 3; allowed: an executor of concurrent.futures, or None"),
        ({"executor": ThreadPoolExecutor}, ConfigError, "executor="),
        ({"split": ""}, FormulaError, "''"),
        ({"estimator": ["ppml"]}, ConfigError, "allowed: ppml, ols"),
        ({"formula": None}, FormulaError, "must be text; found NoneType"),
        ({"formula": [3]}, FormulaError, "must be text; found int"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_fitted(world, change, error, says):
    given = {"formula": "trade_musd ~ x", "data": world, "tol": 1e-8} | change
    if given.get("estimator") == "ols" and "tol" not in change:
        del given["tol"]
    with pytest.raises(error, match=says):
        cte.fits(**given)
    assert len(cte.fits("trade_musd ~ x", world, tol=1e-8)) == 1  # control


def test_what_is_shared_is_looked_for_once(world, monkeypatch):
    from cyber_trade_econ import fit, numbered

    calls = {"prune": 0, "separated": 0}

    def counting(module, name):
        work = getattr(module, name)

        def counted(*args):
            calls[name] += 1
            return work(*args)

        monkeypatch.setattr(module, name, counted)

    counting(numbered, "prune")
    counting(fit, "separated")
    cte.fits("c(trade_musd, other) ~ csw(treated, x, z) | exporter^year + pair", world)
    # Two outcomes without zeros: all rows, or those where z is there; the regressors with x clear those without it.
    assert calls == {"prune": 2, "separated": 2}
    zeros = world.assign(other=world["other"] * (np.arange(len(world)) % 3 > 0))
    calls |= {"prune": 0, "separated": 0}
    cte.fits("c(trade_musd, other) ~ csw(treated, x) | exporter^year + pair", zeros)
    assert calls == {"prune": 2, "separated": 2}


def test_the_layout_is_found_once_for_the_same_rows_and_effects(world, monkeypatch):
    found = []
    find = samplelayout.find
    monkeypatch.setattr(samplelayout, "find", lambda effects: found.append(len(effects)) or find(effects))
    three = "exporter^year + importer^year + pair"
    cte.fits(f"c(trade_musd, other) ~ csw(treated, x, z) | {three}", world)
    assert found == [3, 3]  # all rows, or those where z is there; neither outcome is zero anywhere
    found.clear()
    cte.fits("trade_musd ~ csw(treated, x) | exporter^year + importer^year + sw0(pair)", world, estimator="ols")
    assert sorted(found) == [2, 3]
    found.clear()
    for _ in range(2):
        cte.ppml(f"trade_musd ~ treated | {three}", world)
    assert not found  # control: a fit by itself shares nothing


def test_neither_company_nor_order_changes_a_digit(world):
    zeros = world.assign(other=world["other"] * (np.arange(len(world)) % 3 > 0))
    formulas = [
        f"{y} ~ {x} | {effects}"
        for y in ("trade_musd", "other")
        for x in ("treated", "treated + x", "z")
        for effects in ("exporter^year + importer^year + pair", "exporter^year + importer^year")
    ]
    alone = {f: cte.fits(f, zeros)[0] for f in formulas}
    for order in (formulas, formulas[::-1], formulas[1::2] + formulas[::2]):
        got = cte.fits(order, zeros)
        assert {e.facts["path"] for e in got} == {"gravity"}
        for formula, estimate in zip(order, got, strict=True):
            same(estimate, alone[formula])
            same(estimate, cte.ppml(formula, zeros))


def test_separated_samples_come_out_as_alone():
    rng = np.random.default_rng(1)
    n = 240
    frame = pd.DataFrame({"g": np.repeat(np.arange(12), 20), "a": rng.normal(size=n), "b": rng.normal(size=n)})
    frame["y"] = rng.poisson(2.0, n) * (frame["g"] != 3) * 1.0  # an effect of zeros alone
    frame["s"] = ((frame["y"] == 0) & (np.arange(n) % 4 == 0)) * 1.0  # separates the rows where it is one
    frame["y2"] = frame["y"] * (np.arange(n) % 5 > 0)
    got = cte.fits("c(y, y2) ~ csw(a, s, b) | g", frame)
    assert any("separated by regressors" in e.facts["dropped"] for e in got)
    assert not all("separated by regressors" in e.facts["dropped"] for e in got)
    for estimate in got:
        same(estimate, cte.ppml(estimate.formula, frame))
    with ThreadPoolExecutor(3) as executor:
        for one, other in zip(cte.fits("c(y, y2) ~ csw(a, s, b) | g", frame, executor=executor), got, strict=True):
            same(one, other)


@pytest.mark.parametrize("steps", ["sw(x, s)", "sw(s, x)"])
def test_what_one_regressor_clears_is_not_taken_for_another(steps):
    rng = np.random.default_rng(2)
    n = 200
    frame = pd.DataFrame({"g": np.repeat(np.arange(10), 20), "x": rng.normal(size=n)})
    frame["y"] = rng.poisson(2.0, n) * 1.0
    # It separates the rows where it is not zero, and has nothing to say about the others.
    frame["s"] = ((frame["y"] == 0) & (np.arange(n) % 3 == 0)) * 1.0
    got = {e.coef.index[0] if len(e.coef) else "s": e for e in cte.fits(f"y ~ {steps} | g", frame, collinear="drop")}
    assert got["x"].nobs == n
    assert got["s"].facts["dropped"]["separated by regressors"] == frame["s"].sum() > 0
    for estimate in got.values():
        same(estimate, cte.ppml(estimate.formula, frame, collinear="drop"))
