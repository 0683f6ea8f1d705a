"""Whatever a frame holds, an event study gives an estimate or names what is wrong; never another exception."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import (
    BadOutcome,
    BadRegressor,
    ConfigError,
    CyberTradeError,
    DuplicateKey,
    EmptySample,
    EventError,
    FormulaError,
    MissingKey,
    NotIdentified,
    SchemaError,
)


@cache
def months() -> pd.DataFrame:
    """Eight units over five years, four of them treated at two dates."""
    rng = np.random.default_rng(3)
    starts = ["2018-06-01"] * 2 + ["2018-09-01"] * 2 + [None] * 4
    rows = [
        (f"u{unit}", month, pd.Timestamp(start), rng.lognormal(3, 0.3), rng.normal())
        for unit, start in enumerate(starts)
        for month in pd.date_range("2015-01-01", periods=60, freq="MS")
    ]
    return pd.DataFrame(rows, columns=["unit", "month", "cohort", "trade", "x"])


def study(frame, estimator, **changed):
    own = {"window": 24} if estimator == "abnormal_trade" else {}
    asked = {"outcome": "trade", "unit": "unit", "time": "month", "cohort": "cohort", "leads": 2, "lags": 2}
    return cte.event_study(frame, **asked | own | changed, estimator=estimator)


def each(name, make):
    """Return a change of a column to what ``make`` gives for each row number."""
    return lambda f: f.assign(**{name: [make(i) for i in range(len(f))]})


def put(name, value):
    """Return a change of one entry, of a unit that is never treated."""
    return lambda f: f.assign(**{name: [*f[name].astype(object).iloc[:-40], value, *f[name].astype(object).iloc[-39:]]})


FRAMES = {
    "no outcome": (lambda f: f.drop(columns="trade"), FormulaError, "'trade' is not a column"),
    "no unit": (lambda f: f.drop(columns="unit"), FormulaError, "'unit' is not a column"),
    "no time": (lambda f: f.drop(columns="month"), FormulaError, "'month' is not a column"),
    "no cohort": (lambda f: f.drop(columns="cohort"), FormulaError, "'cohort' is not a column"),
    "no column": (lambda _: pd.DataFrame(), FormulaError, "not a column"),
    "no row": (lambda f: f.iloc[:0], EmptySample, "needs rows"),
    "one row": (lambda f: f.iloc[:1], NotIdentified, "first treated"),
    "one unit": (lambda f: f[f["unit"] == "u0"], CyberTradeError, "."),
    "none treated": (lambda f: f.assign(cohort=pd.NaT), NotIdentified, "no unit is first treated"),
    "none treated, no type": (lambda f: f.assign(cohort=None), NotIdentified, "no unit is first treated"),
    "all treated from the start": (lambda f: f.assign(cohort=f["month"].min()), NotIdentified, "first treated"),
    "text outcome": (lambda f: f.assign(trade="a"), BadOutcome, "must be numeric"),
    "text that reads as numbers": (lambda f: f.assign(trade=f["trade"].astype(str)), BadOutcome, "must be numeric"),
    "numbers and text": (each("trade", lambda i: i if i % 2 else "a"), BadOutcome, "object"),
    "lists as outcome": (each("trade", lambda i: [i]), BadOutcome, "object"),
    "dates as outcome": (lambda f: f.assign(trade=f["month"].dt.date), BadOutcome, "must be numeric"),
    "complex outcome": (lambda f: f.assign(trade=f["trade"] * 1j), BadOutcome, "complex"),
    "infinite outcome": (put("trade", np.inf), BadOutcome, "infinite"),
    "negative outcome": (put("trade", -1.0), BadOutcome, "negative"),
    "zero outcome": (lambda f: f.assign(trade=0.0), CyberTradeError, "."),
    "missing outcome": (lambda f: f.assign(trade=np.nan), CyberTradeError, "."),
    "missing unit": (put("unit", None), MissingKey, "1 row"),
    "missing time": (put("month", pd.NaT), MissingKey, "1 row"),
    "lists as units": (each("unit", lambda i: [i]), BadRegressor, "cannot be told apart"),
    "lists as time": (each("month", lambda i: [i]), SchemaError, "neither a number nor a date"),
    "dates as text": (lambda f: f.assign(month=f["month"].astype(str)), SchemaError, "to_datetime"),
    "truth values as time": (each("month", lambda i: i % 2 == 0), SchemaError, "neither a number nor a date"),
    "complex time": (each("month", lambda i: i * 1j), SchemaError, "neither a number nor a date"),
    "infinite time": (each("month", lambda i: float(i) if i else np.inf), SchemaError, "infinite"),
    "fractions as time": (each("month", lambda i: i + 0.5), SchemaError, "fractions"),
    "years against dates": (lambda f: f.assign(month=f["month"].dt.year * 12 + f["month"].dt.month), SchemaError, "kinds"),
    "two rows of a month": (lambda f: pd.concat([f, f.iloc[:1]]), DuplicateKey, "more than one row"),
    "two days of a month": (
        lambda f: pd.concat([f, f.iloc[:1].assign(month=pd.Timestamp("2015-01-15"))]), DuplicateKey, r"\(month\)",
    ),
    "a cohort that changes": (lambda f: f.assign(cohort=f["month"]), EventError, "changes within a unit"),
    "two columns of one name": (lambda f: pd.concat([f, f[["cohort"]]], axis=1), FormulaError, "share a name"),
    "columns on two levels": (lambda f: pd.concat({"a": f}, axis=1), FormulaError, "several levels"),
    "a dictionary": (lambda f: {c: f[c] for c in f}, FormulaError, "found dict"),
    "an array": (lambda f: f.to_numpy(), FormulaError, "found ndarray"),
    "nothing": (lambda _: None, FormulaError, "found NoneType"),
    "a number": (lambda _: 3, FormulaError, "found int"),
}  # fmt: skip


@pytest.mark.parametrize("estimator", ["twfe", "abnormal_trade"])
@pytest.mark.parametrize("case", FRAMES)
def test_what_cannot_be_studied_is_named(case, estimator):
    change, error, says = FRAMES[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=says):
            study(change(months()), estimator)
        assert len(study(months(), estimator).coef) == (5 if estimator == "abnormal_trade" else 4)  # control


@pytest.mark.parametrize("estimator", ["twfe", "abnormal_trade"])
@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.convert_dtypes(),
        lambda f: f.assign(unit=f["unit"].astype("category")),
        lambda f: f.assign(month=f["month"].dt.tz_localize("UTC"), cohort=f["cohort"].dt.tz_localize("UTC")),
        lambda f: f.assign(month=f["month"] + pd.Timedelta(14, "D")),
        lambda f: f.set_axis([0] * len(f)),
        lambda f: f.set_index(["unit", "month"], drop=False).rename_axis(["a", "b"]),
        lambda f: f.sample(frac=1, random_state=1),
        lambda f: f.assign(period="z", calendar_month="z", trend_0="z"),
    ],
)
def test_types_and_order_do_not_change_a_number(change, estimator):
    a, b = study(months(), estimator), study(change(months()), estimator)
    np.testing.assert_allclose(b.coef, a.coef, rtol=1e-9, atol=1e-11)  # levels in another order: other sums
    np.testing.assert_allclose(b.se, a.se, rtol=1e-8)


def test_a_column_named_like_one_of_its_own_is_not_overwritten():
    named = months().assign(period=np.where(months()["unit"].isin(["u0", "u2", "u4", "u5"]), "a", "b"))
    a = study(named, "abnormal_trade", common="period")
    b = study(named.rename(columns={"period": "side"}), "abnormal_trade", common="side")
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-12)
    assert not np.allclose(a.coef, study(named, "abnormal_trade").coef)  # control: it matters


@pytest.mark.parametrize(
    ("estimator", "option", "right"),
    [
        *(("twfe", o, r) for o, r in [("leads", 3), ("lags", 3), ("ref", -2), ("model", "OLS"), ("controls", ["x"])]),
        *(("abnormal_trade", o, r) for o, r in [("leads", 3), ("window", 25), ("common", None), ("trend", True)]),
        *(("twfe", o, r) for o, r in [("outcome", "x"), ("unit", "unit"), ("time", "month"), ("cohort", "cohort")]),
    ],
)
@pytest.mark.parametrize("value", [10**30, True, 2.5, "no such word", ["unit", 3], {3: 1}, np.ones(2)], ids=str)
def test_options_of_a_wrong_type_are_named(estimator, option, right, value):
    if option == "trend" and value is True:
        pytest.skip("right")
    with pytest.raises((ConfigError, FormulaError)):
        study(months(), estimator, **{option: value})
    fitted = {"model": "OLS"} if option == "outcome" else {}
    assert len(study(months(), estimator, **fitted | {option: right}).coef) >= 4
