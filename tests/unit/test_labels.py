"""Labels of one kind where another was meant: named errors in place of missing numbers or another estimator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import BadRegressor, ConfigError, EmptySample, EstimationError, FormulaError


@pytest.fixture
def frame():
    rng = np.random.default_rng(3)
    grid = pd.MultiIndex.from_product([range(9), range(9), range(2000, 2004)], names=["e", "i", "year"]).to_frame(
        index=False
    )
    grid["x"], grid["g"] = rng.normal(size=len(grid)), rng.integers(0, 4, len(grid))
    return grid.assign(
        y=np.exp(0.3 * grid["x"] + rng.normal(size=len(grid))), date=pd.to_datetime(grid["year"].astype(str))
    )


@pytest.mark.parametrize("name", ["e", "g", "date"])
def test_predictions_refuse_labels_of_another_type(frame, name):
    e = cte.ppml("y ~ x + i(g) | e + date", frame)
    assert e.predict(frame).notna().all()  # control
    assert e.predict(frame.assign(e=99)).isna().all()  # a number that was never seen is missing, as before
    with pytest.raises(BadRegressor, match=f"{name!r} holds labels of another type"):
        e.predict(frame.assign(**{name: frame[name].astype(str)}))
    with pytest.raises(BadRegressor, match="found numbers; allowed: dates"):
        e.predict(frame.assign(date=frame["year"]))


KINDS = {  # as fitted, as predicted, and what the two are called
    "categories of text": (lambda s: s, lambda s: s.astype(str).astype("category"), "text; allowed: numbers"),
    "numbers for categories": (lambda s: s.astype(str).astype("category"), lambda s: s, "numbers; allowed: text"),
    "numbers for truth": (lambda s: s > 4, lambda s: (s > 4).astype(int), "numbers; allowed: truth values"),
    "days for dates": (lambda s: DAY + s * DAYS, lambda s: (DAY + s * DAYS).dt.date, "days; allowed: dates"),
    "a time zone": (
        lambda s: DAY + s * DAYS,
        lambda s: (DAY + s * DAYS).dt.tz_localize("UTC"),
        "dates with a time zone; allowed: dates",
    ),
    "periods": (lambda s: DAY + s * DAYS, lambda s: (DAY + s * DAYS).dt.to_period("D"), "periods; allowed: dates"),
}
DAY, DAYS = pd.Timestamp("2000-01-01"), pd.Timedelta(days=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("formula", ["y ~ x | e", "y ~ x + i(e) | year"])
def test_predictions_refuse_labels_that_only_look_alike(frame, kind, formula):
    fitted, given, said = KINDS[kind]
    data = frame.assign(e=fitted(frame["e"]))
    e = cte.ppml(formula, data)
    assert e.predict(data).notna().all()  # control
    with pytest.raises(BadRegressor, match=f"found {said}"):
        e.predict(frame.assign(e=given(frame["e"])))


def test_predictions_take_the_same_labels_in_any_storage(frame):
    e = cte.ppml("y ~ x | e", frame)
    for stored in ("int8", "float64", "Int64", "category", object):
        np.testing.assert_array_equal(e.predict(frame.assign(e=frame["e"].astype(stored))), e.predict(frame))


def test_sides_of_a_dyad_without_a_common_label_are_refused(frame):
    assert cte.ppml("y ~ x | year", frame, vcov=cte.dyadic("e", "i")).facts["clusters"] == {"economies": 9}  # control
    with pytest.raises(BadRegressor, match=r"no economy stands on both sides.*cte\.cluster\('e', 'i'\)"):
        cte.ppml("y ~ x | year", frame.assign(i="importer " + frame["i"].astype(str)), vcov=cte.dyadic("e", "i"))
    with pytest.raises(BadRegressor, match="'e and i'"):
        cte.ppml("y ~ x | year", frame.assign(i=frame["i"].astype(str)), vcov=cte.dyadic("e", "i"))


def test_a_date_in_text_names_a_reference(frame):
    by_date = cte.ppml("y ~ x + i(date, ref='2001-01-01') | e", frame)
    by_year = cte.ppml("y ~ x + i(year, ref=2001) | e", frame)
    np.testing.assert_allclose(by_date.coef, by_year.coef, rtol=1e-12)  # the same columns
    for ref in ("2009-01-01", "no date"):
        with pytest.raises(FormulaError, match="does not occur"):
            cte.ppml(f"y ~ x + i(date, ref='{ref}') | e", frame)
    with pytest.raises(FormulaError, match="Quotes make a reference text"):
        cte.ppml("y ~ x + i(year, ref='2001') | e", frame)


def test_covariances_of_after_the_fit_are_told_apart_from_those_of_the_fit(frame):
    with pytest.raises(ConfigError, match=r"go to cte\.with_vcov"):
        cte.ppml("y ~ x | e", frame, vcov=cte.jackknife("e"))
    with pytest.raises(ConfigError, match="ssc"):
        cte.ppml("y ~ x | e", frame, ssc=cte.ssc(k_adj="no"))


def test_a_sample_without_degrees_of_freedom_says_how_they_are_counted():
    rng = np.random.default_rng(1)
    grid = pd.MultiIndex.from_product([range(2), range(2), range(12)], names=["e", "i", "t"]).to_frame(index=False)
    grid["x"], grid["y"] = rng.normal(size=48), rng.normal(size=48)
    with pytest.raises(EmptySample, match="redundant='components'"):
        cte.ols("y ~ x | e^t + i^t", grid, vcov="hetero")
    exact = cte.ols("y ~ x | e^t + i^t", grid, vcov="hetero", ssc=cte.ssc(redundant="components"))
    assert exact.facts["ssc_factor"] == pytest.approx(48 / (48 - 1 - 36))  # 24 + 24 levels in 12 parts


def test_a_bootstrap_of_more_clusters_than_memory_holds_is_refused(frame, monkeypatch):
    frame["row"] = range(len(frame))
    e = cte.ols("y ~ x", frame)
    monkeypatch.setattr(
        "cyber_trade_econ.memory.available", lambda: 2e5
    )  # room for the model, not for 324 by 324 numbers
    assert cte.wild_bootstrap(e, frame, "x", "e", draws=99, level=None).p_value <= 1  # control
    with pytest.raises(EstimationError, match="bootstrap of scores with 324 clusters"):
        cte.wild_bootstrap(e, frame, "x", "row", draws=99, level=None)


def test_a_reference_that_separation_emptied_is_said_to_be_empty(frame):
    part = "i(g, ref=0)"
    full = cte.ppml("y ~ i(g, ref=0) + x | e", frame)
    assert full.facts["references"] == {part: "0"}
    e = cte.ppml("y ~ i(g, ref=0) + x | e", frame.assign(y=frame["y"].where(frame["g"] != 0, 0.0)))
    assert e.facts["references"] == {part: "0 (none of its rows is left)"}
    assert e.facts["collinear"] == ["g::3"]
    text = cte.ppml(
        "y ~ i(h, ref='b') + x | e", frame.assign(h=frame["g"].map(dict(enumerate("abcd"))).astype("category"))
    )
    assert list(text.facts["references"].values()) == ["b"]
