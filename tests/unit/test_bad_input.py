"""Whatever a frame holds, an estimator gives the right numbers or names what is wrong with it; never another exception."""

from __future__ import annotations

import datetime as dt
import warnings
from decimal import Decimal
from functools import cache

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import (
    BadOutcome,
    BadRegressor,
    Collinear,
    ConfigError,
    EmptySample,
    FewClusters,
    FormulaError,
    NotConverged,
    SchemaError,
)
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.simulate import gravity_world

Y = "trade_musd"
PLAIN = "trade_musd ~ x"
ONE = "trade_musd ~ x | exporter"
THREE = "trade_musd ~ x | exporter^year + importer^year + pair"
FITS = {
    "ols": cte.ols,
    "ppml": cte.ppml,
    "gamma_pml": cte.gamma_pml,
    "negbin": lambda f, d, **k: cte.negbin(f, d, alpha=0.5, **k),
    "expectile": lambda f, d, **k: cte.expectile(f, d, tau=0.7, **k),
    "iv_ppml": lambda f, d, **k: cte.iv_ppml(f, d, endogenous="x", instruments="z", min_f=0, **k),
}
both = pytest.mark.parametrize("fit", ["ols", "ppml"])
every = pytest.mark.parametrize("fit", FITS)


@cache
def world() -> pd.DataFrame:
    frame = gravity_world(7, 5, seed=11)
    rng = np.random.default_rng(0)
    n = len(frame)
    frame["x"], frame["z"] = rng.normal(size=n), rng.normal(size=n)
    frame["size"] = rng.uniform(0.5, 2, n)
    frame["text"] = "a"
    frame["origin"] = pd.factorize(frame["exporter"])[0]
    frame["place"] = pd.factorize(frame["importer"])[0]
    return frame


def quiet() -> np.errstate:
    """NumPy may warn of an overflow before the sample is refused for it."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


def at(name: str, value: object):
    """Return a change of one entry of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[name].to_list()
        values[3] = value
        return frame.assign(**{name: values})

    return change


def with_columns(**columns):
    """Return a change of whole columns; a function gets the frame."""
    return lambda frame: frame.assign(**columns)


def of_kind(make):
    """Return a change of the regressor to what ``make`` gives for each row number."""
    return lambda f: f.assign(x=pd.Series([make(i) for i in range(len(f))], index=f.index))


REFUSED = {
    "infinite outcome": (at(Y, np.inf), THREE, {}, BadOutcome, "infinite"),
    "minus infinite regressor": (at("x", -np.inf), THREE, {}, BadRegressor, "'x' has infinite"),
    "zero outcome": (with_columns(trade_musd=0.0), PLAIN, {}, BadOutcome, "zero in every row"),
    "zero outcome, effects": (with_columns(trade_musd=0.0), THREE, {}, BadOutcome, "zero in every row"),
    "one row": (lambda f: f.iloc[:1], PLAIN, {}, EmptySample, r"1 row\(s\), 2 coefficient"),
    "one row, effects": (lambda f: f.iloc[:1], THREE, {}, EmptySample, "singleton"),
    "two rows": (lambda f: f.iloc[:2], PLAIN, {}, EmptySample, "too few rows"),
    "no row": (lambda f: f.iloc[:0], PLAIN, {}, EmptySample, r"0 row\(s\) given"),
    "no row, effects": (lambda f: f.iloc[:0], THREE, {}, EmptySample, r"0 row\(s\) given"),
    "no row, no type": (lambda f: pd.DataFrame({c: [] for c in f}), THREE, {}, EmptySample, r"0 row\(s\) given"),
    "no column": (lambda _: pd.DataFrame(), PLAIN, {}, FormulaError, "not a column"),
    "missing everywhere": (with_columns(x=np.nan), PLAIN, {}, EmptySample, "missing: x"),
    "missing category": (with_columns(text=None), "trade_musd ~ x + i(text)", {}, EmptySample, "missing: text"),
    "missing effect": (with_columns(text=None), "trade_musd ~ x | text", {}, EmptySample, "missing: text"),
    "one cluster": (with_columns(pair=1), PLAIN, {"vcov": cte.cluster("pair")}, FewClusters, "'pair'"),
    "one cluster of two ways": (
        with_columns(pair=1), ONE, {"vcov": cte.cluster("exporter", "pair")}, FewClusters, "'pair'",
    ),
    "missing cluster": (at("pair", None), PLAIN, {"vcov": cte.cluster("pair")}, BadRegressor, "missing in 1 row"),
    "no such cluster": (lambda f: f.drop(columns="pair"), PLAIN, {"vcov": cte.cluster("pair")}, FormulaError, "pair"),
    "no such dyad": (
        lambda f: f.drop(columns="importer"), PLAIN, {"vcov": cte.dyadic("exporter", "importer")}, FormulaError, "importer",
    ),
    "text": (with_columns(x="a"), THREE, {}, BadRegressor, "'x' must be numeric"),
    "numbers and text": (of_kind(lambda i: i if i % 2 else "a"), THREE, {}, BadRegressor, "object"),
    "numbers as objects": (lambda f: f.assign(x=f["x"].astype(object)), THREE, {}, BadRegressor, "object"),
    "decimals": (of_kind(Decimal), THREE, {}, BadRegressor, "object"),
    "dates": (of_kind(lambda i: pd.Timestamp("2020-01-01") + pd.Timedelta(i, "D")), PLAIN, {}, BadRegressor, "datetime"),
    "durations": (of_kind(dt.timedelta), PLAIN, {}, BadRegressor, "timedelta"),
    "periods": (of_kind(lambda i: pd.Period(str(2000 + i), "Y")), PLAIN, {}, BadRegressor, "period"),
    "categories": (lambda f: f.assign(x=pd.Categorical(f["exporter"])), PLAIN, {}, BadRegressor, r"i\(x\)"),
    "dates as outcome": (with_columns(trade_musd=pd.Timestamp("2020-01-01")), PLAIN, {}, BadOutcome, "datetime"),
    "text as outcome": (with_columns(trade_musd="1"), PLAIN, {}, BadOutcome, "must be numeric"),
    "log of a negative value": (
        with_columns(size=-1.0), "trade_musd ~ x + log(size)", {}, BadRegressor, r"log\(size\) of a negative",
    ),
    "categories without order": (
        lambda f: f.assign(text=[i if i % 2 else "a" for i in range(len(f))]), "trade_musd ~ x + i(text)", {},
        BadRegressor, "mixes types",
    ),
    "reference that does not occur": (
        lambda f: f.assign(exporter=f["exporter"].replace("C01", "C02")), "trade_musd ~ x + i(exporter, ref='C01')", {},
        FormulaError, "reference level",
    ),
    "effect equal to a regressor": (
        lambda f: f.assign(x=f["origin"]), ONE, {}, Collinear, "constant within every level of exporter",
    ),
    "constant regressor": (with_columns(x=0.1 + 0.2), PLAIN, {}, Collinear, "x: constant"),
    "zero regressor": (with_columns(x=0.0), THREE, {}, Collinear, "zero everywhere"),
    "a level for each row": (lambda f: f.assign(exporter=range(len(f))), ONE, {}, EmptySample, "singleton"),
    "fewer rows than columns": (
        lambda f: f.iloc[:5], "trade_musd ~ x + i(importer) + i(year) + z", {}, EmptySample, "coefficient",
    ),
    "two columns of one name": (lambda f: pd.concat([f, f[["x"]]], axis=1), THREE, {}, FormulaError, "share a name"),
    "two other columns of one name": (
        lambda f: pd.concat([f, f[["text"]]], axis=1), THREE, {}, FormulaError, r"share a name; found \['text'\]",
    ),
    "weights of zero": (with_columns(size=0.0), THREE, {"weights": "size"}, EmptySample, "weight of zero"),
    "negative weight": (at("size", -1.0), THREE, {"weights": "size"}, BadRegressor, "negative"),
    "infinite weight": (at("size", np.inf), THREE, {"weights": "size"}, BadRegressor, "infinite"),
    "weight of text": (with_columns(size="1"), THREE, {"weights": "size"}, BadRegressor, "the weight 'size'"),
    "no such weight": (lambda f: f.drop(columns="size"), THREE, {"weights": "size"}, FormulaError, "the weight 'size'"),
    "infinite offset": (at("z", np.inf), THREE, {"offset": "z"}, BadRegressor, "infinite"),
    "logarithm of zero as offset": (at("z", -np.inf), THREE, {"offset": "z"}, BadRegressor, "infinite"),
    "offset of text": (with_columns(z="1"), THREE, {"offset": "z"}, BadRegressor, "the offset 'z'"),
    "columns on two levels": (lambda f: pd.concat({"a": f}, axis=1), THREE, {}, FormulaError, "several levels"),
    "columns on two levels, one empty": (
        lambda f: f.set_axis(pd.MultiIndex.from_product([f.columns, [""]]), axis=1), THREE, {}, FormulaError,
        "several levels",
    ),
    "columns without names": (lambda f: pd.DataFrame(f[[Y, "x"]].to_numpy()), PLAIN, {}, FormulaError, "not a column"),
    "infinity as a level": (lambda f: f.assign(exporter=f["origin"].replace(0, np.inf)), ONE, {}, BadRegressor, "infinite"),
    "a label as text and as a number": (
        lambda f: f.assign(exporter=f["origin"].astype(object).where(f["year"] % 2 == 0, f["origin"].astype(str))),
        ONE,
        {},
        BadRegressor,
        "as text and as a number",
    ),
    "infinity among objects": (
        lambda f: f.assign(exporter=f["origin"].astype(object).replace(0, np.inf)), ONE, {}, BadRegressor, "infinite",
    ),
    "infinity as a category": (
        lambda f: f.assign(exporter=f["origin"].replace(0, np.inf).astype("category")), ONE, {}, BadRegressor, "infinite",
    ),
    "infinity in i()": (
        lambda f: f.assign(exporter=f["origin"].replace(0, np.inf)), "trade_musd ~ x + i(exporter)", {}, BadRegressor,
        "infinite",
    ),
    "infinity as a cluster": (
        lambda f: f.assign(pair=f["origin"].replace(0, -np.inf)), PLAIN, {"vcov": cte.cluster("pair")}, BadRegressor,
        "'pair' has infinite",
    ),
    "infinity on a side": (
        lambda f: f.assign(exporter=f["origin"].replace(0, np.inf)), PLAIN, {"vcov": cte.dyadic("exporter", "importer")},
        BadRegressor, "infinite",
    ),
    "a dictionary": (lambda f: {c: f[c] for c in f}, THREE, {}, FormulaError, "found dict"),
    "an array": (lambda f: f[["x"]].to_numpy(), THREE, {}, FormulaError, "found ndarray"),
    "nothing": (lambda _: None, THREE, {}, FormulaError, "found NoneType"),
    "huge outcome": (lambda f: f.assign(trade_musd=f[Y] * 1e300), PLAIN, {}, BadOutcome, "magnitude"),
    "tiny outcome": (lambda f: f.assign(trade_musd=f[Y] * 1e-300), PLAIN, {}, BadOutcome, "magnitude"),
    "largest double": (with_columns(trade_musd=1.7e308), PLAIN, {}, BadOutcome, "magnitude"),
    "smallest double": (with_columns(trade_musd=5e-324), PLAIN, {}, BadOutcome, "magnitude"),
    "huge regressor": (lambda f: f.assign(x=f["x"] * 1e200), ONE, {}, BadRegressor, "x has a magnitude"),
    "tiny regressor": (lambda f: f.assign(x=f["x"] * 1e-200), PLAIN, {}, BadRegressor, "x has a magnitude"),
    "a product that overflows": (
        lambda f: f.assign(x=f["x"] * 1e200, size=f["size"] * 1e200), "trade_musd ~ x:size", {}, BadRegressor,
        "x:size has a magnitude",
    ),
}  # fmt: skip


@cache
def control(fit: str, formula: str, options: tuple[tuple[str, object], ...]) -> int:
    return FITS[fit](formula, world(), **dict(options)).nobs


@both
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_estimated_is_named(fit, case):
    change, formula, options, error, says = REFUSED[case]
    with pytest.raises(error, match=says), quiet():
        FITS[fit](formula, change(world()), **options)
    assert control(fit, formula, tuple(options.items())) > 0


@pytest.mark.parametrize("fit", ["gamma_pml", "negbin", "expectile", "iv_ppml"])
@pytest.mark.parametrize(
    "case",
    ["infinite outcome", "zero outcome, effects", "one row", "no row, effects", "one cluster", "text", "dates",
     "two columns of one name", "negative weight", "infinite offset", "largest double",
     "huge regressor"],
)  # fmt: skip
def test_the_other_estimators_name_it_too(fit, case):
    change, formula, options, error, says = REFUSED[case]
    with pytest.raises(error, match=says), quiet():
        FITS[fit](formula, change(world()), **options)
    assert control(fit, formula, tuple(options.items())) > 0


@every
def test_negative_outcomes_are_refused_by_all_but_least_squares(fit):
    frame = at(Y, -1.0)(world())
    if fit == "ols":
        assert cte.ols(THREE, frame).nobs == len(frame)
        with pytest.raises(BadOutcome, match="negative"):
            cte.ols(f"log({Y}) ~ x", frame)
    else:
        with pytest.raises(BadOutcome, match="negative"):
            FITS[fit](THREE, frame)


@every
@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (at("x", np.nan), {}, "missing: x"),
        (at(Y, np.nan), {}, "missing: trade_musd"),
        (at("size", np.nan), {"weights": "size"}, "missing: size"),
        (at("size", 0.0), {"weights": "size"}, "weight of zero: size"),
        (at("size", np.nan), {"offset": "size"}, "missing: size"),
        (at("exporter", None), {}, "missing: exporter"),
    ],
)
def test_one_missing_entry_costs_one_row_and_is_counted(fit, change, options, reason):
    frame = world()
    e = FITS[fit](ONE, change(frame), **options)
    assert e.facts["dropped"] == {reason: 1}
    without = FITS[fit](ONE, frame.drop(index=frame.index[3]), **options)
    pd.testing.assert_series_equal(e.coef, without.coef, rtol=1e-10)
    pd.testing.assert_series_equal(e.se, without.se, rtol=1e-10)


def relabelled(make):
    """Return a change of the two countries' labels."""
    return lambda f: f.assign(exporter=make(f["origin"]), importer=make(f["place"]))


SAME = {
    "numbers near 2^62": relabelled(lambda c: c.astype(np.int64) * 2**50 + 2**62),
    "numbers of both signs": relabelled(lambda c: np.where(c % 2, 2**62, -(2**62)) + c),
    "numbers above 2^63": relabelled(lambda c: np.uint64(2**63) + c.astype(np.uint64)),
    "small integers": relabelled(lambda c: c.astype(np.int8)),
    "fractions": relabelled(lambda c: c / 7),
    "dates": relabelled(lambda c: pd.Timestamp("2000-01-01") + pd.to_timedelta(c, "D")),
    "dates of the standard library": relabelled(lambda c: pd.Series([dt.date(2000, 1, 1 + k) for k in c], index=c.index)),
    "periods": relabelled(lambda c: pd.PeriodIndex([pd.Period(str(2000 + k), "Y") for k in c])),
    "decimals": relabelled(lambda c: pd.Series([Decimal(int(k)) for k in c], index=c.index)),
    "tuples": relabelled(lambda c: pd.Series([(int(k), "a") for k in c], index=c.index)),
    "numbers and text": relabelled(lambda c: pd.Series([k if k % 2 else str(k) for k in c], index=c.index, dtype=object)),
    "complex numbers": relabelled(lambda c: c * 1j),
    "nullable integers": relabelled(lambda c: c.astype("Int64")),
    "arrow text": relabelled(lambda c: c.astype(str).astype("string[pyarrow]")),
    "intervals": relabelled(lambda c: pd.cut(c, range(-1, 7))),
    "categories in another order, some unused": relabelled(
        lambda c: pd.Categorical(c.astype(str), categories=["x", *map(str, range(6, -1, -1)), "y"])
    ),
    "categories that differ": lambda f: f.assign(
        exporter=pd.Categorical(f["exporter"], categories=sorted(f["exporter"].unique())),
        importer=pd.Categorical(f["importer"], categories=sorted(f["importer"].unique(), reverse=True)),
    ),
    "categories of mixed types": relabelled(lambda c: pd.Categorical([k if k % 2 else str(k) for k in c])),
    "nullable types": lambda f: f.convert_dtypes(),
    "arrow types": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "an index that is not unique": lambda f: f.set_index(np.zeros(len(f), dtype=int)),
    "an index of missing values": lambda f: f.set_index(pd.Index([np.nan] * len(f))),
    "an index on two levels": lambda f: f.set_index(["exporter", "year"], drop=False).rename_axis(["a", "b"]),
    "an index named like a column": lambda f: f.rename_axis("x"),
    "a column named by a number": lambda f: f.rename(columns={"text": 5}),
    "a column named by a tuple": lambda f: f.rename(columns={"text": ("a", "b")}),
    "a column named by nothing": lambda f: f.rename(columns={"text": None}),
}  # fmt: skip


@both
@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("spec", [THREE, "trade_musd ~ x | exporter^importer + year"])
def test_labels_and_types_do_not_change_a_number(fit, case, spec):
    a, b = FITS[fit](spec, world()), FITS[fit](spec, SAME[case](world()))
    assert a.nobs == b.nobs
    assert a.facts["effects"] == b.facts["effects"]
    np.testing.assert_allclose(b.coef, a.coef, rtol=1e-9, atol=1e-11)  # levels in another order: other sums
    np.testing.assert_allclose(b.se, a.se, rtol=1e-9)


@pytest.mark.parametrize("fit", ["gamma_pml", "negbin", "expectile", "iv_ppml"])
@pytest.mark.parametrize(
    "case", ["numbers near 2^62", "categories that differ", "arrow types", "an index that is not unique"]
)
def test_nor_those_of_the_other_estimators(fit, case):
    a, b = FITS[fit](THREE, world()), FITS[fit](THREE, SAME[case](world()))
    np.testing.assert_allclose(b.coef, a.coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(b.se, a.se, rtol=1e-7)


@both
def test_products_of_three_large_factors_do_not_overflow(fit):
    frame = world()
    n = np.arange(len(frame))
    levels = {"a": n // 4, "b": n // 4 % 13, "c": n % 2}
    small = frame.assign(**levels)
    large = frame.assign(a=levels["a"] * 2**55, b=levels["b"] * 2**58 - 2**62, c=levels["c"] * (2**62))
    a, b = (FITS[fit]("trade_musd ~ x | a^b^c + year", f) for f in (small, large))
    assert a.facts["effects"] == b.facts["effects"]
    assert a.facts["effects"]["a^b^c"] > 100
    np.testing.assert_allclose(b.coef, a.coef, rtol=1e-9)
    product = large.assign(u=frame["origin"] * 2**55 + 1, v=frame["place"] * 2**55 + 1)  # as integers 2^110 overflows
    by_hand = product.assign(uv=product["u"].astype(float) * product["v"].astype(float))
    got, want = FITS[fit]("trade_musd ~ u:v | year", product), FITS[fit]("trade_musd ~ uv | year", by_hand)
    np.testing.assert_allclose(got.coef, want.coef, rtol=1e-9)
    np.testing.assert_allclose(got.se, want.se, rtol=1e-9)


@both
@pytest.mark.parametrize(
    ("nested", "alone"),
    [
        ("pair + exporter", "pair"),
        ("exporter + pair", "pair"),
        ("pair + exporter + importer + year", "pair + year"),
        ("exporter^year + importer^year + pair + exporter + year", "exporter^year + importer^year + pair"),
        ("exporter^sector + exporter", "exporter^sector"),
        ("pair + twin", "pair"),
    ],
)
def test_effects_nested_in_each_other_do_not_change_the_estimate(fit, nested, alone):
    frame = world().assign(sector=np.arange(len(world())) % 3, twin=world()["pair"].str.lower())
    a, b = (FITS[fit](f"trade_musd ~ x | {effects}", frame, ssc="none") for effects in (alone, nested))
    np.testing.assert_allclose(b.coef, a.coef, rtol=1e-9)
    np.testing.assert_allclose(b.se, a.se, rtol=1e-8)
    np.testing.assert_allclose(b.predict(frame), a.predict(frame), rtol=1e-8)


@both
@pytest.mark.parametrize("unit", [1e9, 1e18])
def test_regressors_of_very_different_size(fit, unit):
    frame = world().assign(u=world()["x"] * unit, v=world()["z"] / unit)
    for effects in ("", " | exporter", " | exporter^year + importer^year + pair"):
        a = FITS[fit]("trade_musd ~ x + z" + effects, frame)
        b = FITS[fit]("trade_musd ~ u + v" + effects, frame)
        np.testing.assert_allclose(b.coef.iloc[-2:] * [unit, 1 / unit], a.coef.iloc[-2:], rtol=1e-8)
        np.testing.assert_allclose(b.se.iloc[-2:] * [unit, 1 / unit], a.se.iloc[-2:], rtol=1e-8)


@both
def test_missing_categories_cost_rows_and_unused_ones_nothing(fit):
    frame = world()
    kind = pd.Series(pd.Categorical(np.where(frame["origin"] % 2, "odd", "even"), categories=["odd", "even", "none"]))
    unused = frame.assign(kind=kind)
    e = FITS[fit]("trade_musd ~ x + i(kind)", unused)
    by_hand = FITS[fit]("trade_musd ~ x + even", frame.assign(even=kind.eq("even")))
    np.testing.assert_allclose(e.coef, by_hand.coef, rtol=1e-9)
    gaps = unused.assign(kind=kind.mask(frame.index < 4))
    assert FITS[fit]("trade_musd ~ x + i(kind)", gaps).facts["dropped"] == {"missing: kind": 4}
    only = FITS[fit]("trade_musd ~ x + i(text)", frame)  # one category: its indicator is the constant
    np.testing.assert_allclose(only.coef, FITS[fit](PLAIN, frame).coef, rtol=1e-10)


@both
def test_a_panel_is_its_frame_with_a_default_cluster(fit):
    frame = world()
    panel = FITS[fit](THREE, Panel(frame, "pair", "year"))
    plain = FITS[fit](THREE, frame, vcov=cte.cluster("pair"))
    pd.testing.assert_series_equal(panel.coef, plain.coef)
    pd.testing.assert_series_equal(panel.se, plain.se)


@both
@pytest.mark.parametrize(
    "options",
    [
        *(
            {"vcov": {"CRV1": "pair"}},
            {"vcov": ["pair"]},
            {"vcov": "HC9"},
            {"ssc": 5},
            {"ssc": "r"},
            {"collinear": True},
        ),
        *({"vcov": np.ones(2)}, {"ssc": ["stata"]}, {"collinear": np.array(["drop", "drop"])}),
    ],
)
def test_options_of_another_type_are_named(fit, options):
    with pytest.raises(ConfigError, match="allowed"):
        FITS[fit](THREE, world(), **options)
    assert control(fit, THREE, ()) > 0


@pytest.mark.parametrize("arguments", [(3,), (None,), (), ("pair", "pair"), ("a", "b", "c", "d", "e"), (["pair"],)])
def test_clusters_are_named_by_text(arguments):
    with pytest.raises(ConfigError, match="one to four different column names"):
        cte.cluster(*arguments)
    assert cte.cluster("pair").by == ("pair",)


@pytest.mark.parametrize("spread", [1e3, 1e4])
def test_an_offset_that_no_index_can_follow_is_refused_or_does_not_converge(spread):
    frame = world().assign(z=world()["z"] * spread)
    with pytest.raises((BadRegressor, NotConverged)), quiet():
        cte.ppml(PLAIN, frame, offset="z")
    assert cte.ppml(PLAIN, frame.assign(z=frame["z"] / spread), offset="z").nobs == len(frame)
    with quiet():
        constant = cte.ppml(THREE, frame.assign(z=1e6), offset="z")  # the effects take it up, however large
    np.testing.assert_allclose(constant.coef, cte.ppml(THREE, frame).coef, rtol=1e-8)


@both
def test_weights_of_any_unit_and_wide_spread(fit):
    frame = world()
    e = FITS[fit](THREE, frame, weights="size")
    for unit in (1e-100, 1e-9, 1e9, 1e100):
        other = FITS[fit](THREE, frame.assign(size=frame["size"] * unit), weights="size")
        np.testing.assert_allclose(other.coef, e.coef, rtol=1e-8)
        np.testing.assert_allclose(other.se, e.se, rtol=1e-8)
    wide = frame.assign(size=10.0 ** (np.arange(len(frame)) % 15 - 7))
    assert np.isfinite(FITS[fit](PLAIN, wide, weights="size").se).all()


@every
@pytest.mark.parametrize("formula", [PLAIN, ONE, THREE])
@pytest.mark.parametrize("heavy", [1e16, 1e300])
def test_weights_further_apart_than_the_digits_of_a_double_are_named(fit, formula, heavy):
    """With one such row regressors would be called collinear; with a few, least squares gives another model's numbers."""
    for rows in (1, 5):
        frame = world().assign(size=np.where(np.arange(len(world())) < rows, heavy, 1.0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(BadRegressor, match="the weight 'size' spans more"):
                FITS[fit](formula, frame, weights="size")
    assert control(fit, formula, (("weights", "size"),)) > 0
    light = world().assign(size=np.where(np.arange(len(world())) < 5, 0.0, 1.0))
    assert FITS[fit](formula, light, weights="size").nobs <= len(light) - 5  # zero is no small weight


@pytest.mark.parametrize(
    "frame", [None, 3, {"pair": [1], "year": [1]}, pd.DataFrame({("a", "pair"): [1], ("a", "year"): [1]})]
)
def test_a_panel_needs_a_frame(frame):
    with pytest.raises(SchemaError, match="needs a pandas DataFrame"):
        Panel(frame, "pair", "year")
    with pytest.raises(SchemaError, match="cannot be told apart"):
        Panel(pd.DataFrame({"pair": [[1], [2]], "year": [1, 1]}), "pair", "year")
    assert len(Panel(world(), "pair", "year")) == len(world())
