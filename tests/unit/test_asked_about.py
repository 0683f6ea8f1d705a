"""Every question about an estimate refuses what is none, and options of a wrong type, by name."""

from __future__ import annotations

import inspect
from functools import cache

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import ConfigError, FormulaError
from cyber_trade_econ.simulate import gravity_world

Y = "trade_musd"


@cache
def world() -> pd.DataFrame:
    frame = gravity_world(7, 6, seed=11)
    rng = np.random.default_rng(0)
    frame["x"] = rng.normal(size=len(frame))
    frame["z"] = frame["x"] + rng.normal(size=len(frame))
    return frame


@cache
def two_way() -> cte.Estimate:
    return cte.ppml(f"{Y} ~ x | exporter^year + importer^year", world())


@cache
def three_way() -> cte.Estimate:
    return cte.ppml(f"{Y} ~ x | exporter^year + importer^year + pair", world(), vcov=cte.cluster("pair"))


@cache
def with_instrument() -> cte.Estimate:
    formula = f"{Y} ~ x | exporter^year + importer^year + pair"
    return cte.iv_ppml(formula, world(), endogenous="x", instruments="z", vcov=cte.cluster("pair"))


QUESTIONS = {
    "average_effect": lambda e: cte.average_effect(e, world()),
    "bias_correction": lambda e: cte.bias_correction(e, world()),
    "bootstrap": lambda e: cte.bootstrap(e, world(), "pair", draws=3),
    "effective_clusters": lambda e: cte.effective_clusters(e, world(), "pair"),
    "figure": cte.figure,
    "gauss_newton": lambda e: cte.gauss_newton(e, world()),
    "iv_bootstrap": lambda e: cte.iv_bootstrap(e, world(), draws=50),
    "park": lambda e: cte.park(e, world()),
    "placebo": lambda e: cte.placebo(e, world(), "x", draws=3, unit="pair", time="year"),
    "reset": lambda e: cte.reset(e, world()),
    "resistances": lambda e: cte.resistances(e, world(), sigma=5),
    "table": cte.table,
    "tariff_equivalent": lambda e: cte.tariff_equivalent(e, elasticity=-4.0),
    "trade_volume": cte.trade_volume,
    "wald": cte.wald,
    "wild_bootstrap": lambda e: cte.wild_bootstrap(e, world(), "x", "pair", draws=99, level=None),
    "with_vcov": lambda e: cte.with_vcov(e, world(), cte.jackknife("pair")),
}
ABOUT = {"iv_bootstrap": with_instrument, "resistances": two_way}


def test_no_question_is_forgotten():
    asked = set()
    for name in cte.__all__:
        thing = getattr(cte, name)
        if inspect.isfunction(thing) and any(
            "Estimate" in str(p.annotation) for p in inspect.signature(thing).parameters.values()
        ):
            asked.add(name)
    assert asked == set(QUESTIONS)


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("given", [3, None, "ppml", pd.DataFrame({"x": [1.0]})], ids=lambda g: type(g).__name__)
def test_what_is_no_estimate_is_named(name, given):
    ask = QUESTIONS[name]
    shown = "str" if isinstance(given, pd.DataFrame) and name in ("table", "figure") else type(given).__name__
    with pytest.raises(ConfigError, match=shown):
        ask(given)
    assert ask(ABOUT.get(name, three_way)()) is not None


OPTIONS = {
    "kind": (lambda v: cte.average_effect(three_way(), world(), kind=v), "derivative"),
    "rows": (lambda v: cte.average_effect(three_way(), world(), rows=v), None),
    "memory_gb": (lambda v: cte.bias_correction(three_way(), world(), memory_gb=v), 4),
    "constant": (lambda v: cte.gauss_newton(three_way(), world(), constant=v), True),
    "min_f": (lambda v: cte.iv_ppml(f"{Y} ~ x | pair", world(), endogenous="x", instruments="z", min_f=v), 0),
    "endogenous": (lambda v: cte.iv_ppml(f"{Y} ~ x | pair", world(), endogenous=v, instruments="z"), "x"),
    "alpha": (lambda v: cte.negbin(f"{Y} ~ x | pair", world(), alpha=v), 0.5),
    "form": (lambda v: cte.park(three_way(), world(), form=v), "logs"),
    "power": (lambda v: cte.park(three_way(), world(), power=v), 1),
    "park's vcov": (lambda v: cte.park(three_way(), world(), vcov=v), "hetero"),
    "sigma": (lambda v: cte.resistances(two_way(), world(), sigma=v), 5),
    "exporter": (lambda v: cte.resistances(two_way(), world(), sigma=5, exporter=v), "exporter"),
    "reference": (lambda v: cte.resistances(two_way(), world(), sigma=5, reference=v), "C01"),
    "elasticity_se": (lambda v: cte.tariff_equivalent(three_way(), elasticity=-4.0, elasticity_se=v), 0.5),
    "terms": (lambda v: cte.wald(three_way(), v), ["x"]),
    "value": (lambda v: cte.wald(three_way(), value=v), 1),
    "null": (lambda v: cte.wild_bootstrap(three_way(), world(), "x", "pair", draws=99, level=None, null=v), 0),
    "with_vcov": (lambda v: cte.with_vcov(three_way(), world(), v), "hetero"),
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("value", ["no such word", b"x", [["x"]], {}, pd.NaT], ids=str)
def test_options_of_a_wrong_type_are_named(option, value):
    ask, right = OPTIONS[option]
    with pytest.raises((ConfigError, FormulaError)):
        ask(value)
    assert ask(right) is not None


def test_a_grid_of_periods_is_counted_and_not_listed():
    frame = world().assign(year=world()["year"].where(world().index > 0, 999_999_999))
    kept = cte.interval(cte.Panel(frame, "pair", "year"), 2).facts["interval"]
    assert kept["periods_absent"] > 4e8
    assert cte.interval(cte.Panel(world(), "pair", "year"), 2).facts["interval"]["periods_absent"] == 0


OTHERS = {
    "row labels on two levels": lambda f: f.set_index(["pair", "year"], drop=False).rename_axis(["a", "b"]),
    "an outcome that overflows": lambda f: f.assign(trade_musd=[1e300, *f[Y].iloc[1:]]),
    "a regressor that overflows": lambda f: f.assign(x=[1e300, *f["x"].iloc[1:]]),
}


@pytest.mark.parametrize("vcov", [cte.cluster("pair"), cte.driscoll_kraay("year")], ids=str)
@pytest.mark.parametrize("case", OTHERS)
def test_data_that_are_not_those_of_the_estimate_give_no_covariance_of_nothing(case, vcov):
    with pytest.raises(ConfigError, match="the data of the estimate"), np.errstate(all="ignore"):
        cte.with_vcov(three_way(), OTHERS[case](world()), vcov)
    assert (cte.with_vcov(three_way(), world(), vcov).se > 0).all()


def test_periods_of_other_types_are_the_same_periods():
    plain, typed = world(), world().convert_dtypes(dtype_backend="pyarrow")
    a, b = (cte.with_vcov(three_way(), f, cte.driscoll_kraay("year")) for f in (plain, typed))
    np.testing.assert_allclose(b.se, a.se, rtol=1e-10)
    kept = [cte.interval(cte.Panel(f, "pair", "year"), 2).facts["interval"]["periods_kept"] for f in (plain, typed)]
    assert kept[0] == kept[1]
    dates = plain.assign(year=pd.to_datetime(plain["year"].astype(str)))
    months = [dates, dates.convert_dtypes(dtype_backend="pyarrow")]
    kept = [cte.interval(cte.Panel(f, "pair", "year"), 24).facts["interval"]["periods_kept"] for f in months]
    assert kept[0] == kept[1] == ["2000_01", "2002_01", "2004_01"]
