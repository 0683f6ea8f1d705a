"""Border-by-year indicators and interval data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, NotIdentified, SchemaError
from cyber_trade_econ.gravity.border import border_years, interval
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.records.panel import Panel


def domestic_world(years: range = range(2000, 2006), growth: float = 0.1) -> Panel:
    """Eight economies with domestic trade; foreign trade gains ``growth`` log points on it every year."""
    rng = np.random.default_rng(5)
    names = [f"C{k}" for k in range(8)]
    frame = pd.MultiIndex.from_product([names, names, years], names=["exporter", "importer", "year"]).to_frame(
        index=False
    )
    frame["pair"] = frame["exporter"] + "-" + frame["importer"]
    part = {name: rng.normal(size=frame[name].nunique()) for name in ("exporter", "importer", "pair")}
    index = sum(values[pd.factorize(frame[name])[0]] for name, values in part.items())
    foreign = frame["exporter"] != frame["importer"]
    frame["trade"] = np.exp(3 + index + foreign * growth * (frame["year"] - years[0]))
    return Panel(frame, "pair", "year", facts={"origin": "made up"}, events={"treated": ("E1",)}, name="world")


def monthly(panel: Panel) -> Panel:
    frame = panel.frame.assign(month=pd.to_datetime("2019-11-01"))
    frame["month"] = [pd.Timestamp(2019, 11, 1) + pd.DateOffset(months=y - 2000) for y in panel.frame["year"]]
    return Panel(frame, "pair", "month", name="months")


def test_the_border_of_every_year_but_the_base_gets_an_indicator():
    panel = domestic_world()
    wide = border_years(panel)
    names = [f"border_{y}" for y in range(2001, 2006)]
    assert wide.facts["border_years"] == {"columns": names, "base": "2000", "rows_domestic": 48, "rows_foreign": 336}
    assert wide.facts["origin"] == "made up"
    assert wide.events == panel.events
    assert [c for c in wide.frame if c not in panel.frame] == names
    for name in names:
        on = wide.frame[wide.frame[name] == 1]
        assert set(on["year"]) == {int(name[-4:])}
        assert len(on) == 56
        assert (on["exporter"] != on["importer"]).all()
    assert list(border_years(panel, base=2005).frame.filter(like="border")) == [
        f"border_{y}" for y in range(2000, 2005)
    ]


@pytest.mark.parametrize("base", [2000, 2005])
def test_their_coefficients_are_globalisation_since_the_base(base):
    wide = border_years(domestic_world(), base=base)
    e = ppml(
        "trade ~ " + " + ".join(wide.facts["border_years"]["columns"]) + " | exporter^year + importer^year + pair", wide
    )
    want = [0.1 * (int(name[-4:]) - base) for name in e.coef.index]
    np.testing.assert_allclose(e.coef, want, atol=1e-8)  # the data hold the model exactly


def test_months_have_borders_too():
    wide = border_years(monthly(domestic_world()), base="2020-01")
    assert wide.facts["border_years"]["base"] == "2020_01"
    assert wide.facts["border_years"]["columns"][:3] == ["border_2019_11", "border_2019_12", "border_2020_02"]


def test_borders_that_nothing_identifies_are_refused():
    panel = domestic_world()
    foreign = panel.with_frame(panel.frame[panel.frame["exporter"] != panel.frame["importer"]])
    with pytest.raises(NotIdentified, match="domestic and foreign rows in every period"):
        border_years(foreign)
    gap = panel.frame[(panel.frame["year"] != 2002) | (panel.frame["exporter"] != panel.frame["importer"])]
    with pytest.raises(NotIdentified, match=r"1 period\(s\) with one kind alone: 2002"):
        border_years(panel.with_frame(gap))
    with pytest.raises(ConfigError, match="base period"):
        border_years(panel, base=1999)
    with pytest.raises(ConfigError, match="a value of type int64"):
        border_years(panel, base="last")
    with pytest.raises(ConfigError, match="a value of type int64"):
        interval(panel, 2, start="first")
    with pytest.raises(ConfigError, match="not a fraction"):
        border_years(panel, base=2000.5)
    with pytest.raises(ConfigError, match="found 1 period"):
        border_years(panel.with_frame(panel.frame[panel.frame["year"] == 2000]))
    with pytest.raises(SchemaError, match="border_2001"):
        border_years(border_years(panel))
    assert len(border_years(panel)) == len(panel)  # control


def test_intervals_count_what_they_leave_out():
    panel = domestic_world(range(2000, 2010))
    late = panel.frame[(panel.frame["pair"] != "C0-C1") | (panel.frame["year"] == 2003)]
    kept = interval(panel.with_frame(late[late["year"] != 2008]), 4)
    assert kept.facts["interval"] == {
        "every": 4,
        "periods_kept": ["2000", "2004"],
        "periods_left_out": ["2001", "2002", "2003", "2005", "2006", "2007", "2009"],
        "periods_absent": 1,
        "rows_given": 63 * 9 + 1,
        "rows_left_out": 63 * 7 + 1,
        "units_left_out": 1,
    }
    assert len(kept) == 63 * 2
    assert list(kept.frame.index) == list(range(len(kept)))
    assert kept.events == panel.events
    assert interval(panel, 3, start=2008).facts["interval"]["periods_kept"] == ["2002", "2005", "2008"]
    everything = interval(panel, 1)
    assert everything.facts["interval"]["rows_left_out"] == 0
    assert everything.frame.equals(panel.frame)


def test_intervals_of_months():
    kept = interval(monthly(domestic_world(range(2000, 2010))), 3)
    assert kept.facts["interval"]["periods_kept"] == ["2019_11", "2020_02", "2020_05", "2020_08"]
    from_january = interval(monthly(domestic_world(range(2000, 2010))), 3, start="2020-01-01")
    assert from_january.facts["interval"]["periods_kept"] == ["2020_01", "2020_04", "2020_07"]


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "4"])
def test_intervals_that_are_none_are_refused(every):
    with pytest.raises(ConfigError, match="every"):
        interval(domestic_world(), every)


def test_times_without_a_distance_are_refused():
    panel = domestic_world()
    for time in (panel.frame["year"].astype(str), panel.frame["year"] + 0.5):
        with pytest.raises(SchemaError, match="whole years"):
            interval(Panel(panel.frame.assign(year=time), "pair", "year"), 2)
    sparse = panel.with_frame(panel.frame[panel.frame["year"] % 2 == 0])
    with pytest.raises(ConfigError, match="start of an interval"):
        interval(sparse, 2, start=2001)
    assert len(interval(sparse, 2, start=2002)) == len(sparse)
