"""Which products an event hits, by headings, levels and editions."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, EventError, NotIdentified, SchemaError, UnknownCode, VintageError
from cyber_trade_econ.exposure import Products, expose
from cyber_trade_econ.records.panel import Panel

GOODS = ("010121", "847130", "851761", "851762", "950300")


def world(goods: tuple[str, ...] = GOODS, vintage: str = "HS2012", column: str = "hs6") -> Panel:
    pairs = (("CHN", "USA"), ("USA", "CHN"), ("DEU", "USA"))
    rows = [(i, j, k, y) for (i, j), k, y in itertools.product(pairs, goods, range(2015, 2020))]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", column, "year"])
    frame["unit"] = frame["exporter"] + "-" + frame["importer"] + "-" + frame[column].astype(str)
    return Panel(frame, "unit", "year", facts={"hs_vintage": vintage}, name="little")


def coded(*events: dict[str, object]) -> pd.DataFrame:
    plain = {"imposer": "USA", "target": "CHN", "flow": "imports", "hs_codes": "8517", "hs_vintage": "HS2012"}
    plain |= {"effective": pd.Timestamp("2017-05-01")}
    return pd.DataFrame([{"event_id": f"e{n}", **plain, **event} for n, event in enumerate(events)])


def hit(panel: Panel) -> set[str]:
    frame = panel.frame[panel.frame["cyber_on"] == 1]
    assert set(frame["year"]) == {2017, 2018, 2019}
    return set(frame["unit"].str.removeprefix("CHN-USA-"))


def facts(panel: Panel):
    return panel.facts["exposure"]["cyber"]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("8517", {"851761", "851762"}),
        ("851762", {"851762"}),
        ("85;9503", {"851761", "851762", "950300"}),
        ("8517; 851762;8517", {"851761", "851762"}),
        ("01", {"010121"}),
    ],
)
def test_rows_whose_code_begins_with_a_heading(codes, expected):
    panel = expose(world(), coded({"hs_codes": codes}), products="hs_codes")
    assert hit(panel) == expected
    assert panel.frame["cyber_count"].max() == 1
    assert set(panel.frame.loc[panel.frame["cyber_cohort"].notna(), "hs6"]) == expected
    assert facts(panel)["products"] == {
        "headings": "hs_codes",
        "column": "hs6",
        "vintage": "HS2012",
        "uncoded": "none",
    }
    every = expose(world(), coded({"hs_codes": codes}))
    assert hit(every) == set(GOODS)  # without asking for products, all of them
    assert "products" not in facts(every)


def test_cohorts_first_events_and_overlaps_are_those_of_the_product():
    events = coded({}, {"hs_codes": "85;84", "effective": pd.Timestamp("2018-01-01")})
    panel = expose(world(), events, products="hs_codes")
    china = panel.frame[panel.frame["exporter"] == "CHN"].drop_duplicates("hs6").set_index("hs6")
    assert china.loc[["851761", "847130"], "cyber_cohort"].tolist() == [2017, 2018]
    assert china.loc[["851761", "847130", "950300"], "cyber_first"].tolist() == ["e0", "e1", ""]
    assert facts(panel)["overlap"]["most"] == {"CHN-USA-851761": 2, "CHN-USA-851762": 2}
    said = facts(panel)["identification"]  # of two columns, by two designs, since the USA is in every row
    assert ["exporter^hs6^year" in s for s in said] == [True, True, False, False]
    assert all("exporter^importer^hs6 + year^hs6" in s for s in said[2:])
    first = expose(world(), events, products="hs_codes", first_only=True)
    assert first.frame["cyber_count"].max() == 1
    assert facts(first)["first_only"]["event_cells_ignored"] == 2
    assert facts(first)["used_ids"] == ["e0", "e1"]


def test_events_without_codes_hit_nothing_or_everything_as_asked():
    events = coded({}, {"hs_codes": "", "hs_vintage": "", "target": "DEU"})
    none = expose(world(), events, products="hs_codes")
    assert facts(none)["left_out"] == {"no product codes": ["e1"]}
    every = expose(world(), events, products=Products(uncoded="all"))
    assert every.frame.loc[every.frame["exporter"] == "DEU", "cyber_on"].sum() == 3 * len(GOODS)
    assert facts(every)["products"]["without_codes_hit_all"] == ["e1"]
    with pytest.raises(NotIdentified, match="no product codes: 1"):
        expose(world(), events.iloc[[1]], products="hs_codes")


def test_products_that_the_panel_lacks_and_codes_finer_than_its_own():
    events = coded({}, {"hs_codes": "9102"}, {"hs_codes": "851762;9503"}, {"hs_codes": "851762"})
    panel = expose(world(), events, products="hs_codes")
    assert facts(panel)["left_out"] == {"none of its products in the panel": ["e1"]}
    headings = expose(world(("8471", "8517", "9503")), events, products="hs_codes")
    assert hit(headings) == {"8517", "9503"}
    assert facts(headings)["left_out"] == {
        "none of its products in the panel": ["e1"],
        "its product codes are finer than those of the panel": ["e3"],
    }
    assert facts(headings)["products"]["some_codes_too_fine"] == ["e2"]


def test_codes_of_another_edition_are_converted_and_counted():
    """Drones had no code of their own before HS2022: their trade was under aircraft, cameras and toys."""
    panel = world(("851762", "880211", "880220", "852580", "950300"), "HS2017")
    drones = coded({"hs_codes": "880621", "hs_vintage": "HS2022"}, {"hs_codes": "9503", "hs_vintage": "HS2017"})
    exposed = expose(panel, drones, products="hs_codes")
    assert hit(exposed) > {"950300"}
    assert "851762" not in hit(exposed)
    assert facts(exposed)["products"]["converted_from_HS2022"] == ["e0"]
    same = expose(panel, coded({"hs_codes": "8517", "hs_vintage": "HS2007"}), products="hs_codes")
    assert hit(same) == {"851762"}


def test_a_heading_is_converted_by_its_subheadings_where_the_panel_has_them():
    """Cameras of heading 8525 lost drones with cameras to 8806, of which only some subheadings hold cameras."""
    cameras = coded({"hs_codes": "8525", "hs_vintage": "HS2017"})
    fine = expose(world(("852589", "880621", "880610"), "HS2022"), cameras, products="hs_codes")
    assert hit(fine) == {"852589", "880621"}
    coarse = expose(world(("8525", "8806"), "HS2022"), cameras, products="hs_codes")
    assert hit(coarse) == {"8525", "8806"}


def test_the_edition_of_the_panel_comes_from_it_or_from_the_caller():
    events = coded({})
    panel = world()
    stated = Panel(panel.frame.assign(hs_vintage="HS12"), "unit", "year")
    assert facts(expose(stated, events, products="hs_codes"))["products"]["vintage"] == "HS2012"
    silent = Panel(panel.frame, "unit", "year")
    with pytest.raises(VintageError, match=r"0 stated.*Products\(vintage="):
        expose(silent, events, products="hs_codes")
    assert hit(expose(silent, events, products=Products(vintage="HS2012"))) == {"851761", "851762"}
    mixed = Panel(panel.frame.assign(hs_vintage=["HS92", "HS12"] * 37 + ["HS12"]), "unit", "year")
    with pytest.raises(VintageError, match="2 stated"):
        expose(mixed, events, products="hs_codes")
    with pytest.raises(VintageError, match="HS1988"):
        expose(silent, events, products=Products(vintage="HS1988"))


@pytest.mark.parametrize(
    ("event", "error", "says"),
    [
        ({"hs_codes": "85176"}, EventError, "85176"),
        ({"hs_codes": "8517.62"}, EventError, "8517.62"),
        ({"hs_codes": 8517}, EventError, "the number 8517"),
        ({"hs_vintage": ""}, EventError, "no hs_vintage"),
        ({"hs_vintage": "HS2013"}, VintageError, "HS2013"),
        ({"hs_codes": "8806"}, UnknownCode, "8806"),
    ],
)
def test_codes_of_events_that_make_no_sense(event, error, says):
    expose(world(), coded({}), products="hs_codes")
    with pytest.raises(error, match=says):
        expose(world(), coded(event), products="hs_codes")


def test_panels_whose_products_make_no_sense():
    events = coded({})
    with pytest.raises(UnknownCode, match="10121"):
        expose(world(("10121", "851762")), events, products="hs_codes")
    with pytest.raises(UnknownCode, match=r"880621.*HS2022"):
        expose(world(("880621", "851762")), events, products="hs_codes")
    numbers = world().with_frame(world().frame.assign(hs6=851762))
    with pytest.raises(UnknownCode, match="text of 2, 4 or 6 digits"):
        expose(numbers, events, products="hs_codes")
    with pytest.raises(SchemaError, match=r"\[4, 6\] digits"):
        expose(world(("8471", "851762")), events, products="hs_codes")
    with pytest.raises(SchemaError, match="none among"):
        expose(world(column="good"), events, products="hs_codes")
    assert hit(expose(world(column="good"), events, products=Products(column="good"))) == {"851761", "851762"}
    assert hit(expose(world((*GOODS, "999999")), events, products="hs_codes")) == {"851761", "851762"}
    for wrong in ("headings", Products("headings"), Products(uncoded="some"), 6):
        with pytest.raises(ConfigError):
            expose(world(), events, products=wrong)


def test_a_chapter_of_another_edition_is_converted_by_its_subheadings():
    """Some goods of chapter 85 of HS2022 were in chapters 39, 84 and 94 before, whose other headings stay uncovered."""
    event = coded({"hs_codes": "85", "hs_vintage": "HS2022"})
    panel = expose(world(("8517", "8418", "9403", "3904"), "HS2002"), event, products="hs_codes")
    assert hit(panel) == {"8517"}
    chapters = expose(world(("84", "85", "01"), "HS2002"), event, products="hs_codes")
    assert hit(chapters) >= {"85"}
    assert "01" not in hit(chapters)


def test_products_may_be_categories():
    panel = world()
    kinds = panel.with_frame(panel.frame.astype({"hs6": "category", "exporter": "category", "importer": "category"}))
    events = coded({}, {"hs_codes": "85"})
    one, two = (expose(p, events, products="hs_codes") for p in (panel, kinds))
    pd.testing.assert_frame_equal(one.frame.filter(like="cyber"), two.frame.filter(like="cyber"))
    assert facts(one) == facts(two)
