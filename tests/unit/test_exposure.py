"""Exposure on little worlds whose every cell is worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.errors import ConfigError, EventError, NotIdentified, SchemaError, UnknownCode
from cyber_trade_econ.exposure import expose
from cyber_trade_econ.records.panel import Panel

COUNTRIES = ("CHN", "DEU", "FRA", "GBR", "USA")
ROLES = ("announced", "adopted", "effective", "lifted", "onset", "disclosed")


def yearly(first: int = 2015, last: int = 2022) -> Panel:
    rows = [(i, j, y) for i, j in itertools.permutations(COUNTRIES, 2) for y in range(first, last + 1)]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "year"])
    frame["trade_musd"] = np.arange(len(frame), dtype=float)
    return Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "year", name="little")


def monthly(first: str = "2018-01", last: str = "2019-12") -> Panel:
    months = pd.date_range(first, last, freq="MS")
    rows = [(i, j, m) for i, j in itertools.permutations(COUNTRIES, 2) for m in months]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "month"]).assign(trade_musd=1.0)
    return Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "month", name="little")


def coded(*events: dict[str, str]) -> pd.DataFrame:
    """Events with day precision unless said, as `cyber_trade_econ.events` returns them."""
    plain = {
        "imposer": "USA",
        "target": "CHN",
        "flow": "imports",
        "target_basis": "named",
        "national_action": "import_ban",
    }
    frame = pd.DataFrame([{"event_id": f"e{n}", **plain, **event} for n, event in enumerate(events)])
    for role in ROLES:
        dates = frame[role] if role in frame else pd.Series([None] * len(frame))
        given_precision = frame.get(f"{role}_precision", pd.Series([None] * len(frame)))
        frame[role] = pd.to_datetime(dates)
        frame[f"{role}_precision"] = given_precision.where(
            given_precision.notna(), np.where(frame[role].isna(), "", "day")
        )
    return frame


def on_cells(panel: Panel, column: str = "cyber_on") -> set[tuple[str, str]]:
    """(pair, period) of the rows that are switched on."""
    frame = panel.frame[panel.frame[column] > 0]
    period = frame[panel.time] if panel.time == "year" else frame[panel.time].dt.strftime("%Y-%m")
    return set(zip(frame["pair"], period.astype(str), strict=True))


def months(pair: str, first: str, last: str) -> set[tuple[str, str]]:
    return {(pair, m.strftime("%Y-%m")) for m in pd.date_range(first, last, freq="MS")}


def facts(panel: Panel, prefix: str = "cyber"):
    return panel.facts["exposure"][prefix]


@pytest.mark.parametrize(
    ("flow", "pairs"), [("imports", {"CHN-USA"}), ("exports", {"USA-CHN"}), ("both", {"CHN-USA", "USA-CHN"})]
)
def test_the_flow_decides_the_direction(flow, pairs):
    panel = expose(yearly(), coded({"flow": flow, "effective": "2018-12-31"}))
    assert on_cells(panel) == {(p, str(y)) for p in pairs for y in range(2018, 2023)}
    cohort = panel.frame.set_index("pair")["cyber_cohort"]
    assert cohort.dtype == "Int64"
    assert set(cohort.dropna().index) == pairs
    assert set(cohort.dropna()) == {2018}


def test_the_union_stands_for_its_members_at_the_date():
    before = expose(yearly(), coded({"imposer": "EUU", "effective": "2020-01-31"}))
    after = expose(yearly(), coded({"imposer": "EUU", "effective": "2020-02-01"}))
    assert {p for p, _ in on_cells(before)} == {"CHN-DEU", "CHN-FRA", "CHN-GBR"}
    assert {p for p, _ in on_cells(after)} == {"CHN-DEU", "CHN-FRA"}
    assert facts(before)["pairs_absent_from_panel"] == 28 - 3
    assert facts(after)["pairs_hit"] == 2


def test_several_targets_and_no_country_with_itself():
    panel = expose(
        yearly(), coded({"imposer": "DEU", "target": "CHN; EUU", "flow": "imports", "effective": "2021-05-05"})
    )
    assert on_cells(panel) == {(p, str(y)) for p in ("CHN-DEU", "FRA-DEU") for y in (2021, 2022)}


@pytest.mark.parametrize(
    ("lifted", "precision", "last"),
    [
        ("2018-07-13", "day", "2018-07"),  # on for twelve days of July
        ("2018-07-01", "day", "2018-06"),  # the first day off is the first of July
        ("2018-07-02", "day", "2018-07"),  # on for one day of July
        ("2018-07-01", "month", "2018-07"),  # some day of July
        ("2018-04-15", "day", "2018-04"),  # lifted on the day it began
    ],
)
def test_lifting_ends_the_exposure(lifted, precision, last):
    events = coded({"effective": "2018-04-15", "lifted": lifted, "lifted_precision": precision})
    assert on_cells(expose(monthly(), events)) == months("CHN-USA", "2018-04", last)


def test_a_year_is_on_if_any_day_of_it_was():
    panel = expose(yearly(), coded({"effective": "2017-12-31", "lifted": "2019-01-01"}))
    assert on_cells(panel) == {("CHN-USA", "2017"), ("CHN-USA", "2018")}


def test_anticipation_and_window_move_the_switch_but_not_the_cohort():
    events = coded({"effective": "2018-06-20", "lifted": "2019-06-10"})
    for options, first, last in [
        ({}, "2018-06", "2019-06"),
        ({"anticipation": 2}, "2018-04", "2019-06"),
        ({"window": (0, 3)}, "2018-06", "2018-09"),
        ({"window": (-3, 3)}, "2018-03", "2018-09"),
        ({"window": (-1, 3), "anticipation": 2}, "2018-04", "2018-09"),
        ({"window": (0, 24)}, "2018-06", "2019-06"),
    ]:
        panel = expose(monthly(), events, **options)
        assert on_cells(panel) == months("CHN-USA", first, last), options
        assert set(panel.frame["cyber_cohort"].dropna()) == {pd.Timestamp("2018-06-01")}
        assert panel.frame["cyber_cohort"].dtype.kind == "M"


def test_counts_add_up_and_overlaps_are_reported():
    events = coded(
        {"effective": "2016-03-01"},
        {"effective": "2018-03-01", "lifted": "2020-06-01", "national_action": "tariff;import_ban"},
        {"effective": "2018-09-01", "flow": "exports", "national_action": ""},
    )
    panel = expose(yearly(), events, by="national_action")
    china = panel.frame[panel.frame["pair"] == "CHN-USA"]
    assert china["cyber_count"].tolist() == [0, 1, 1, 2, 2, 2, 1, 1]
    assert china["cyber_on"].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert china["cyber_on_tariff"].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    assert china["cyber_count_import_ban"].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert on_cells(panel, "cyber_on_not_coded") == {("USA-CHN", str(y)) for y in range(2018, 2023)}
    assert set(china["cyber_cohort"]) == {2016}
    assert facts(panel)["overlap"] == {"pair_periods": 3, "pairs": 1, "largest_count": 2, "most": {"CHN-USA": 2}}
    assert facts(panel)["treated_rows"] == 7 + 5
    assert panel.events["cyber_on"] == ("e0", "e1", "e2")
    assert panel.events["cyber_count_tariff"] == ("e1",)
    parts = panel.frame[[c for c in panel.frame if c.startswith("cyber_count_")]]
    assert (parts.sum(axis=1) == panel.frame["cyber_count"]).all()


def test_roles_are_tried_in_the_order_of_preference():
    events = coded({"announced": "2016-01-01", "effective": "2018-01-01"}, {"announced": "2017-01-01", "target": "DEU"})
    first = expose(yearly(), events, on=("effective", "announced"))
    assert first.frame.groupby("pair")["cyber_cohort"].first().dropna().to_dict() == {"CHN-USA": 2018, "DEU-USA": 2017}
    only = expose(yearly(), events)
    assert only.events["cyber_on"] == ("e0",)
    assert facts(only)["left_out"] == {"no date of the role effective": ["e1"]}
    assert (facts(only)["given"], facts(only)["used"]) == (2, 1)


def test_what_cannot_be_placed_is_left_out_by_reason_with_ids():
    events = coded(
        {"effective": "2018-05-01"},
        {"effective": "2019-01-01", "effective_precision": "year"},
        {"effective": "2018-02-01", "lifted": "2019-01-01", "lifted_precision": "year"},
        {"effective": "2020-02-01"},
        {"effective": "2016-02-01", "lifted": "2017-02-01"},
        {"effective": "2018-02-01", "target": "BRA"},
        {"effective": "2018-02-01", "target": "WLD"},
        {"effective": "2018-02-01", "target_basis": "origin_neutral"},
        {"effective": "2018-02-01", "imposer": "WLD"},
        {"announced": "2018-01-01", "effective": "2019-01-01", "lifted": "2018-06-01"},
        {"effective": "2018-03-01", "effective_precision": "month", "target": "DEU"},
    )
    panel = expose(monthly(), events)
    assert facts(panel)["left_out"] == {
        "dated to the year only, in a monthly panel": ["e1"],
        "lifting dated to the year only, in a monthly panel": ["e2"],
        "outside the panel's periods": ["e3", "e4"],
        "no such pair in the panel": ["e5"],
        "origin-neutral": ["e6", "e7"],
        "imposed by the whole world": ["e8"],
        "lifted before it was effective": ["e9"],
    }
    assert facts(panel)["used_ids"] == ["e0", "e10"]
    assert "importer-time effects absorb it" in facts(panel)["explanation"]
    assert expose(yearly(), events.iloc[[1]]).events["cyber_on"] == ("e1",)  # a year is enough for a yearly panel


def test_an_event_before_the_panel_is_in_force_from_its_start():
    panel = expose(yearly(), coded({"effective": "2009-01-01"}, {"effective": "2017-01-01", "target": "DEU"}))
    assert len(on_cells(panel)) == 8 + 6
    assert set(panel.frame.loc[panel.frame["pair"] == "CHN-USA", "cyber_cohort"]) == {2009}


def test_a_pair_without_rows_in_force_has_no_cohort():
    full = yearly()
    short = full.with_frame(full.frame[(full.frame["pair"] != "CHN-DEU") | (full.frame["year"] < 2018)])
    panel = expose(short, coded({"imposer": "DEU;USA", "effective": "2019-01-01"}))
    assert set(panel.frame.loc[panel.frame["cyber_cohort"].notna(), "pair"]) == {"CHN-USA"}


def test_only_origin_neutral_events_are_not_identified():
    neutral = coded({"target": "WLD", "effective": "2018-01-01", "target_basis": "origin_neutral"})
    with pytest.raises(NotIdentified, match=r"origin-neutral: 1.*importer-time effects absorb it.*border"):
        expose(yearly(), neutral)
    with pytest.raises(NotIdentified, match="none was given"):
        expose(yearly(), neutral.iloc[:0])
    with pytest.raises(NotIdentified, match="outside the panel's periods: 1"):
        expose(yearly(), coded({"effective": "2030-01-01"}))


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"effective": "1949-12-31"}, "1949-12-31"),
        ({"effective": "2101-01-01"}, "2101-01-01"),
        ({}, "has no date"),
        ({"lifted": "2018-01-01"}, "has no date"),
        ({"effective": "2018-05-01", "lifted": "2018-04-30"}, "lifted before it starts"),
        ({"effective": "2018-05-01", "effective_precision": "week"}, "'week'"),
        ({"effective": "2018-05-01", "flow": "transit"}, "'transit'"),
        ({"effective": "2018-05-01", "target": " ; "}, "has no target"),
    ],
)
def test_events_that_make_no_sense_are_errors(event, says):
    expose(yearly(), coded({"effective": "2018-05-01"}))
    with pytest.raises(EventError, match=says):
        expose(yearly(), coded({"effective": "2018-05-01"}, event))


def test_lifting_known_to_the_month_is_not_before_a_day_of_that_month():
    events = coded({"effective": "2018-05-20", "lifted": "2018-05-01", "lifted_precision": "month"})
    assert on_cells(expose(monthly(), events)) == months("CHN-USA", "2018-05", "2018-05")


@pytest.mark.parametrize("side", ["imposer", "target"])
@pytest.mark.parametrize("code", ["XXX", "chn", "UK", "EU"])
def test_unknown_codes_are_errors_even_in_events_left_out(side, code):
    with pytest.raises(UnknownCode, match=code):
        expose(yearly(), coded({"effective": "2018-05-01"}, {"announced": "2018-05-01", side: code}))


def test_repeated_ids_are_errors():
    events = coded({"effective": "2018-05-01"}, {"effective": "2019-05-01"})
    with pytest.raises(EventError, match="unique"):
        expose(yearly(), events.assign(event_id="same"))


def test_options_and_columns_are_checked():
    panel, events = yearly(), coded({"effective": "2018-05-01"})
    for options in (
        {"kind": "product"},
        {"on": "lifted"},
        {"on": ()},
        {"by": "colour"},
        {"anticipation": -1},
        {"window": (1, 2)},
        {"window": (-2, -1)},
        {"prefix": "two words"},
    ):
        with pytest.raises(ConfigError):
            expose(panel, events, **options)
    with pytest.raises(SchemaError, match="flow"):
        expose(panel, events.drop(columns="flow"))
    with pytest.raises(SchemaError, match="importer"):
        expose(panel.with_frame(panel.frame.drop(columns="importer")), events)
    with pytest.raises(SchemaError, match="datetime64"):
        expose(panel, events.assign(effective="2018-05-01"))
    late = monthly()
    with pytest.raises(SchemaError, match="first of a month"):
        expose(late.with_frame(late.frame.assign(month=late.frame["month"] + pd.Timedelta(days=4))), events)


def test_two_exposures_live_side_by_side_and_names_are_not_overwritten():
    once = expose(yearly(), coded({"effective": "2018-05-01"}))
    twice = expose(once, coded({"effective": "2019-05-01", "target": "DEU"}), prefix="other")
    assert set(twice.facts["exposure"]) == {"cyber", "other"}
    assert set(twice.events) == {f"{p}_{c}" for p in ("cyber", "other") for c in ("on", "count", "cohort", "first")}
    with pytest.raises(ConfigError, match="cyber_on"):
        expose(once, coded({"effective": "2018-05-01"}))


_DATES = st.dates(pd.Timestamp("2014-01-01").date(), pd.Timestamp("2023-12-31").date())
_EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "imposer": st.sampled_from([*COUNTRIES, "EUU", "BRA"]),
            "target": st.sampled_from([*COUNTRIES, "EUU", "CHN;DEU", "WLD"]),
            "flow": st.sampled_from(["imports", "exports", "both"]),
            "effective": _DATES.map(str),
        }
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(events=_EVENTS, data=st.data())
def test_rows_trade_and_order_never_change(events, data):
    panel = data.draw(st.sampled_from([yearly(), monthly()]))
    positive = coded({"effective": "2018-05-01"}, *events)
    exposed = expose(panel, positive, anticipation=data.draw(st.integers(0, 3)))
    pd.testing.assert_frame_equal(exposed.frame[panel.frame.columns], panel.frame)
    fact = facts(exposed)
    assert fact["used"] + sum(map(len, fact["left_out"].values())) == fact["given"] == len(positive)
    assert ((exposed.frame["cyber_count"] > 0) == (exposed.frame["cyber_on"] == 1)).all()
    assert (exposed.frame["cyber_count"] <= fact["used"]).all()
    treated = exposed.frame.groupby("pair")["cyber_on"].max().astype(bool)
    assert (exposed.frame.groupby("pair")["cyber_cohort"].first().notna() == treated).all()
    order = np.random.default_rng(7).permutation(len(panel))
    shuffled = expose(
        panel.with_frame(panel.frame.iloc[order]), positive.sample(frac=1, random_state=7), anticipation=0
    )
    straight = expose(panel, positive, anticipation=0)
    key = [panel.unit, panel.time]
    pd.testing.assert_frame_equal(
        shuffled.frame.sort_values(key, ignore_index=True), straight.frame.sort_values(key, ignore_index=True)
    )
