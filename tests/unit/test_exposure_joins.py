"""Whatever the events are, no row comes, goes, moves or changes its trade."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.errors import EventError, NotIdentified
from cyber_trade_econ.exposure import Products, expose, overlap, stack
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTRIES = ("CHN", "DEU", "FRA", "GBR", "USA")
GOODS = ("847130", "851761", "851762", "950300")
KINDS = ("pair", "origin", "destination", "third_country")


def world(*, months: bool = False, domestic: bool = False, goods: bool = False) -> Panel:
    time = pd.date_range("2017-01", "2018-12", freq="MS") if months else range(2014, 2022)
    pairs = itertools.product(COUNTRIES, COUNTRIES) if domestic else itertools.permutations(COUNTRIES, 2)
    name = "month" if months else "year"
    rows = [(i, j, k, t) for (i, j), k, t in itertools.product(pairs, GOODS if goods else ("",), time)]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "hs6", name])
    frame["trade_musd"] = np.random.default_rng(1).lognormal(0, 3, len(frame))
    frame["unit"] = frame["exporter"] + "-" + frame["importer"] + frame["hs6"]
    frame = frame if goods else frame.drop(columns="hs6")
    facts = {"hs_vintage": "HS2012"} if goods else {}
    return Panel(frame.sample(frac=1, random_state=4, ignore_index=True), "unit", name, facts=facts, name="little")


WORLDS = {
    "years": world(),
    "months": world(months=True),
    "domestic": world(domestic=True),
    "goods": world(goods=True, domestic=True),
}
# A measure that always has a place, so that no draw is refused as a whole.
ANCHOR = {"imposer": "USA", "target": "CHN", "flow": "imports", "effective": "2017-05-01", "record_type": "measure"}
_DAYS = st.dates(pd.Timestamp("2012-01-01").date(), pd.Timestamp("2023-12-31").date())
_EVENT = st.fixed_dictionaries(
    {
        "imposer": st.sampled_from([*COUNTRIES, "EUU", "WLD", "BRA", "CHN;USA", ""]),
        "target": st.sampled_from([*COUNTRIES, "EUU", "CHN;CHN", "CHN;DEU;EUU", "WLD"]),
        "flow": st.sampled_from(["imports", "exports", "both"]),
        "effective": _DAYS.map(str),
        "lifted": st.one_of(st.none(), _DAYS.map(str)),
        "hs_codes": st.sampled_from(["", "85", "8517;851762", "851762", "9503;8471", "010121"]),
    }
)
EVENTS = st.lists(_EVENT, max_size=7)


def coded(drawn: list[dict]) -> pd.DataFrame:
    frame = pd.DataFrame([{"lifted": None, "hs_codes": "8517", **event} for event in [ANCHOR, *drawn]])
    frame["record_type"] = np.where(frame["imposer"] == "", "incident", "measure")
    frame["hs_vintage"] = np.where(frame["hs_codes"] == "", "", "HS2012")
    frame["score"] = np.arange(len(frame)).astype(str)
    frame.insert(0, "event_id", [f"e{n}" for n in range(len(frame))])
    dates = {role: pd.to_datetime(frame[role]) for role in ("effective", "lifted")}
    dates["lifted"] = dates["lifted"].where(dates["lifted"] > dates["effective"])
    return frame.assign(**dates)


def options(name: str, data: st.DataObject) -> dict:
    kind = data.draw(st.sampled_from(KINDS))
    chosen = {
        "kind": kind,
        "anticipation": data.draw(st.integers(0, 3)),
        "window": data.draw(st.sampled_from([None, (-2, 3), (0, 0)])),
        "cumulative": data.draw(st.booleans()),
        "dose": data.draw(st.sampled_from([None, "score"])),
        "donut": data.draw(st.sampled_from([None, (-1, 1)])),
        "first_only": data.draw(st.booleans()),
    }
    if kind in ("origin", "destination"):
        chosen["party"] = data.draw(st.sampled_from(["flow", "imposer", "target"]))
    if name in ("domestic", "goods") and kind != "third_country":
        chosen["border"] = data.draw(st.booleans())
    if name == "goods":
        chosen["products"] = data.draw(st.sampled_from([None, "hs_codes", Products(uncoded="all")]))
    return chosen


def attempt(call: Callable[[], Panel]) -> Panel | str:
    try:
        return call()
    except NotIdentified as refused:
        return str(refused)


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=25, deadline=None)
@given(drawn=EVENTS, data=st.data())
def test_rows_order_and_trade_never_change(name, drawn, data):
    panel, events, chosen = WORLDS[name], coded(drawn), options(name, data)
    before = panel.frame.copy(deep=True)
    exposed = expose(panel, events, **chosen)
    pd.testing.assert_frame_equal(panel.frame, before)  # the panel given is as it was
    pd.testing.assert_frame_equal(exposed.frame[before.columns], before)
    assert exposed.frame["trade_musd"].sum() == before["trade_musd"].sum()
    for prefix, fact in exposed.facts["exposure"].items():
        frame = exposed.frame[[c for c in exposed.frame if c.startswith(prefix)]].rename(
            columns=lambda c, p=prefix: c.removeprefix(f"{p}_")
        )
        assert fact["used"] + sum(map(len, fact["left_out"].values())) == fact["given"] == len(events)
        assert ((frame["count"] > 0) == (frame["on"] == 1)).all()
        assert frame["count"].between(0, fact["used"]).all()
        assert not frame.drop(columns=["cohort", "first"]).isna().any(axis=None)
        assert not frame.loc[exposed.frame["exporter"] == exposed.frame["importer"], "count"].any()
        by_unit = frame.groupby(panel.frame["unit"])
        treated = by_unit["on"].max() == 1
        assert len(frame[["cohort"]].assign(unit=panel.frame["unit"]).drop_duplicates()) == len(treated)
        assert (by_unit["cohort"].first().notna() == treated).all()
        assert (by_unit["first"].first().ne("") == treated).all()
        if chosen["cumulative"]:
            assert (frame["cumulative"] >= frame["count"]).all()
        if chosen["dose"]:
            assert (frame["dose"] <= frame["count"] * (len(events) - 1)).all()


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(drawn=EVENTS, seed=st.integers(0, 99))
def test_neither_order_of_rows_nor_of_events_matters(kind, drawn, seed):
    panel, events = WORLDS["years"], coded(drawn)
    shuffled = panel.with_frame(panel.frame.sample(frac=1, random_state=seed))
    one = expose(panel, events, kind=kind, cumulative=True, dose="score")
    two = expose(shuffled, events.sample(frac=1, random_state=seed), kind=kind, cumulative=True, dose="score")
    key = ["unit", "year"]
    pd.testing.assert_frame_equal(
        one.frame.sort_values(key, ignore_index=True), two.frame.sort_values(key, ignore_index=True)
    )


@settings(max_examples=15, deadline=None)
@given(drawn=EVENTS)
def test_products_split_an_event_and_add_nothing(drawn):
    """Without codes every product of a pair is hit alike; with them only a part, and never another one."""
    panel, events = WORLDS["goods"], coded(drawn)
    everything = expose(panel, events).frame
    by_product = expose(panel, events, products="hs_codes").frame
    loose = expose(panel, events, products=Products(uncoded="all")).frame
    assert (by_product["cyber_count"] <= loose["cyber_count"]).all()
    assert (loose["cyber_count"] <= everything["cyber_count"]).all()
    key = ["exporter", "importer", "year"]
    assert len(everything[[*key, "cyber_count"]].drop_duplicates()) == len(everything[key].drop_duplicates())
    assert not by_product.loc[by_product["hs6"] == "950300", "cyber_first"].str.contains("e0").any()


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=20, deadline=None)
@given(drawn=EVENTS, data=st.data())
def test_a_stack_copies_rows_and_changes_none(name, drawn, data):
    panel, events = WORLDS[name], coded(drawn)
    controls = data.draw(st.sampled_from(["not_yet", "never"]))
    each = data.draw(st.sampled_from(["date", "event"]))
    products = "hs_codes" if name == "goods" else None
    stacked = attempt(lambda: stack(panel, events, window=(-1, 1), controls=controls, each=each, products=products))
    if isinstance(stacked, str):
        assert "no clean control" in stacked  # the anchor's window lies in every panel
        return
    frame, key = stacked.frame, ["unit", panel.time]
    assert not frame.duplicated(["stack", *key]).any()
    original = panel.frame.set_index(key)["trade_musd"]
    for _, sub in frame.groupby("stack"):
        pd.testing.assert_series_equal(sub.set_index(key)["trade_musd"], original.loc[sub.set_index(key).index])
        assert sub["treated"].groupby(sub["unit"]).nunique().eq(1).all()
        assert set(sub["treated"]) == {0, 1}
    times = frame.groupby(key).size()
    fact = stacked.facts["stack"]
    assert (fact["rows_in_stack"], fact["rows_repeated"]) == (len(frame), (times > 1).sum())
    assert fact["most_copies_of_a_row"] == times.max()
    assert fact["rows_not_used"] + fact["rows_used_once"] + fact["rows_repeated"] == len(panel)
    assert sum(s["rows"] for s in fact["sub_experiments"]) == len(frame)
    exposed = expose(panel, events, products=products).frame.set_index(key)
    clean = frame[frame["treated"] == 0].set_index(key).index
    assert not exposed.loc[clean, "cyber_on"].any()  # nothing bears on a control within its window
    assert (frame["stack_weight"] > 0).all()


def test_repeated_ids_are_refused_everywhere():
    events = coded([{"imposer": "USA", "target": "DEU", "flow": "imports", "effective": "2018-05-01"}])
    twice = events.assign(event_id="same")
    calls = [lambda e, k=kind: expose(WORLDS["years"], e, kind=k) for kind in KINDS]
    calls += [lambda e: stack(WORLDS["years"], e, window=(-1, 1)), overlap]
    for call in calls:
        call(events)
        with pytest.raises(EventError, match="unique"):
            call(twice)
