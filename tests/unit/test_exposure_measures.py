"""Stock, cumulative, dose, first event and donut, on one pair worked out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, NotIdentified, SchemaError
from cyber_trade_econ.exposure import expose
from cyber_trade_econ.records.panel import Panel

YEARS = range(2010, 2020)


def world() -> Panel:
    rows = [(i, j, y) for i, j in (("CHN", "USA"), ("IRN", "USA"), ("USA", "CHN")) for y in YEARS]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "year"])
    return Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "year", name="little")


def coded(*events: dict[str, object]) -> pd.DataFrame:
    plain = {"imposer": "USA", "target": "CHN", "flow": "imports"}
    frame = pd.DataFrame([{"event_id": f"e{n}", **plain, **event} for n, event in enumerate(events)])
    for role in ("effective", "lifted"):
        frame[role] = pd.to_datetime(frame[role] if role in frame else pd.Series([None] * len(frame)))
    return frame


THREE = (
    {"effective": "2012-06-01", "lifted": "2014-01-01", "intensity": "3", "sort": "ban"},
    {"effective": "2014-03-01", "intensity": "1.5", "sort": "tariff"},
    {"effective": "2016-01-01", "lifted": "2016-02-01", "intensity": "4", "sort": "ban"},
)


def line(panel: Panel, column: str, pair: str = "CHN-USA") -> list[float]:
    return panel.frame.loc[panel.frame["pair"] == pair, column].tolist()


def facts(panel: Panel):
    return panel.facts["exposure"]["cyber"]


def test_stock_cumulative_and_dose():
    panel = expose(world(), coded(*THREE), cumulative=True, dose="intensity", by="sort")
    assert line(panel, "cyber_on") == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert line(panel, "cyber_count") == [0, 0, 1, 1, 1, 1, 2, 1, 1, 1]
    assert line(panel, "cyber_cumulative") == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3]
    assert line(panel, "cyber_dose") == [0, 0, 3, 3, 1.5, 1.5, 5.5, 1.5, 1.5, 1.5]
    assert line(panel, "cyber_cumulative_ban") == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert line(panel, "cyber_dose_tariff") == [0, 0, 0, 0, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert not panel.frame.loc[panel.frame["pair"] != "CHN-USA", "cyber_cumulative"].any()
    assert panel.events["cyber_dose_ban"] == ("e0", "e2")
    named = [s.split(":")[0] for s in facts(panel)["identification"]]
    assert {"cyber_cumulative", "cyber_dose", "cyber_dose_ban"} <= set(named)


def test_what_ended_before_the_panel_counts_only_as_cumulated():
    events = coded({"effective": "2005-01-01", "lifted": "2007-01-01"}, {"effective": "2015-01-01"})
    plain = expose(world(), events)
    assert facts(plain)["left_out"] == {"outside the panel's periods": ["e0"]}
    panel = expose(world(), events, cumulative=True)
    assert line(panel, "cyber_cumulative") == [1] * 5 + [2] * 5
    assert line(panel, "cyber_count") == line(plain, "cyber_count") == [0] * 5 + [1] * 5
    assert set(line(panel, "cyber_cohort")) == {2015}
    assert panel.events["cyber_on"] == ("e1",)
    assert panel.events["cyber_cumulative"] == ("e0", "e1")


def test_a_dose_that_is_missing_leaves_the_event_out_and_one_that_is_no_number_is_refused():
    events = coded({**THREE[0], "intensity": ""}, THREE[1])
    panel = expose(world(), events, dose="intensity")
    assert facts(panel)["left_out"] == {"no value of intensity": ["e0"]}
    assert line(panel, "cyber_count") == line(expose(world(), events.iloc[[1]]), "cyber_count")
    numbers = expose(world(), events.assign(intensity=[np.nan, 1.5]), dose="intensity")
    assert line(numbers, "cyber_dose") == line(panel, "cyber_dose")
    for wrong in ("high", "inf"):
        with pytest.raises(SchemaError, match=wrong):
            expose(world(), events.assign(intensity=[wrong, "1"]), dose="intensity")
    with pytest.raises(ConfigError, match="restrictiveness"):
        expose(world(), events, dose="restrictiveness")
    with pytest.raises(NotIdentified, match="no value of intensity: 1"):
        expose(world(), events.iloc[[0]], dose="intensity")


def test_the_first_event_of_each_pair():
    events = coded(*THREE, {"effective": "2016-05-01", "target": "CHN;IRN"}, {"effective": "2012-01-01"})
    panel = expose(world(), events, first_only=True, cumulative=True)
    assert line(panel, "cyber_count") == [0, 0, 2, 2, 1, 1, 1, 1, 1, 1]  # e0 and e4 start in the same year
    assert line(panel, "cyber_on", "IRN-USA") == [0] * 6 + [1] * 4
    assert line(panel, "cyber_cumulative") == [0, 0] + [2] * 8
    assert set(panel.frame["cyber_first"]) == {"", "e0;e4", "e3"}
    assert facts(panel)["first_only"] == {
        "events_ignored": 2,
        "event_cells_ignored": 3,
        "cells_with_several_first_events": 1,
        "cells_with_an_event_over_before_the_panel": 0,
    }
    assert facts(panel)["left_out"] == {"not the first event of any cell": ["e1", "e2"]}
    assert facts(panel)["used_ids"] == ["e0", "e3", "e4"]
    assert panel.frame["cyber_cohort"].equals(expose(world(), events).frame["cyber_cohort"])


def test_a_first_event_over_before_the_panel_is_counted():
    events = coded({"effective": "2005-01-01", "lifted": "2007-01-01"}, {"effective": "2015-01-01"})
    panel = expose(world(), events, first_only=True, cumulative=True)
    assert facts(panel)["first_only"]["cells_with_an_event_over_before_the_panel"] == 1
    assert line(panel, "cyber_on") == line(panel, "cyber_cumulative") == [0] * 5 + [1] * 5


def test_the_donut_flags_and_drops_nothing():
    panel = expose(world(), coded(*THREE[:2]), donut=(-1, 0))
    assert line(panel, "cyber_donut") == [0, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert len(panel) == 30
    assert not panel.frame.loc[panel.frame["pair"] != "CHN-USA", "cyber_donut"].any()
    assert panel.events["cyber_donut"] == ("e0", "e1")
    assert not any(s.startswith("cyber_donut") for s in facts(panel)["identification"])
    late = expose(world(), coded(THREE[0], {"effective": "2020-06-01", "target": "IRN"}), donut=(-2, 2))
    assert line(late, "cyber_donut", "IRN-USA") == [0] * 8 + [1] * 2  # the date lies after the last year
    assert not any(line(late, "cyber_on", "IRN-USA"))
    assert "cyber_donut" not in expose(world(), coded(*THREE)).frame
    with pytest.raises(ConfigError, match="donut"):
        expose(world(), coded(*THREE), donut=(1, 2))


def test_who_ever_bound_anybody_is_counted_where_it_is_coded():
    events = coded(*THREE).assign(enforcement=["bound", "never", "bound"])
    assert facts(expose(world(), events))["used_by_enforcement"] == {"bound": 2, "never": 1}
    assert "used_by_enforcement" not in facts(expose(world(), coded(*THREE)))


def test_events_that_are_only_cumulated_have_columns_by_value():
    """The parts by value add up to the whole, also where all events of a value are over before the panel."""
    over = {"effective": "2005-01-01", "lifted": "2007-01-01", "sort": "ban"}
    panel = expose(world(), coded(over, {"effective": "2015-01-01", "sort": "tariff"}), by="sort", cumulative=True)
    assert line(panel, "cyber_cumulative") == [1] * 5 + [2] * 5
    assert line(panel, "cyber_cumulative_ban") == [1] * 10
    assert line(panel, "cyber_cumulative_tariff") == [0] * 5 + [1] * 5
    assert not any(line(panel, "cyber_on_ban"))
    assert panel.events["cyber_cumulative_ban"] == ("e0",)


def test_exposure_to_no_event_is_refused_with_its_reason():
    over = coded({"effective": "2005-01-01", "lifted": "2007-01-01"})
    assert line(expose(world(), over, cumulative=True), "cyber_cumulative") == [1] * 10
    with pytest.raises(NotIdentified, match="not the first event of any cell: 1"):
        expose(world(), over, cumulative=True, first_only=True)
    late = coded({"effective": "2020-06-01"})
    with pytest.raises(NotIdentified, match="only the donut around its date in the panel: 1"):
        expose(world(), late, donut=(-2, 2))
    assert any(line(expose(world(), late, donut=(-2, 2), anticipation=1), "cyber_on"))


def test_numbers_split_exposure_like_words():
    events = coded(*THREE).assign(level=[1, 2, 2], share=[1.0, 2.5, np.nan], free=[True, False, True])
    named = {c for c in expose(world(), events, by="level").frame if c.startswith("cyber_on_")}
    assert named == {"cyber_on_1", "cyber_on_2"}
    panel = expose(world(), events, by="share")
    assert panel.events["cyber_on_1"] == ("e0",)
    assert panel.events["cyber_on_2_5"] == ("e1",)
    assert panel.events["cyber_on_not_coded"] == ("e2",)
    assert expose(world(), events, by="free").events["cyber_on_True"] == ("e0", "e2")


@pytest.mark.parametrize(
    "wrong", [{"by": ["sort"]}, {"dose": 3}, {"prefix": 3}, {"on": None}, {"on": 3}, {"anticipation": 1.0}]
)
def test_options_of_the_wrong_type_are_named(wrong):
    expose(world(), coded(*THREE), by="sort", dose="intensity", prefix="p", on=["effective"], anticipation=1)
    with pytest.raises(ConfigError):
        expose(world(), coded(*THREE), **wrong)


def test_periods_may_be_numbers_of_numpy():
    one = expose(world(), coded(*THREE), anticipation=np.int64(1), window=(np.int64(0), np.int64(2)))
    two = expose(world(), coded(*THREE), anticipation=1, window=(0, 2))
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert facts(one) == facts(two)


def test_a_split_into_a_hundred_columns_warns_of_nothing():
    events = coded(
        *[{"effective": f"{y}-0{m}-01", "sort": f"s{y}_{m}"} for y in range(2010, 2020) for m in range(1, 8)]
    )
    full = world()
    full.frame.attrs["note"] = "kept"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        panel = expose(full, events, by="sort", cumulative=True)
    assert len(panel.frame.columns) == len(full.frame.columns) + 5 + 3 * 70
    assert panel.frame.attrs == {"note": "kept"}
