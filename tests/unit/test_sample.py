"""The figures of the sample against figures published elsewhere."""

from __future__ import annotations

import pandas as pd
import pytest

from cyber_trade_econ import panels
from cyber_trade_econ.errors import UnknownName


def test_us_imports_from_china_are_the_published_years():
    year = panels.sample("us_year").frame.set_index(["pair", "year"])["trade_musd"]
    # Published year totals IYR and EYR of the same workbook; months carry six decimals, so their sum differs by rounding.
    assert year["CHN-USA", 2023] == pytest.approx(426885.00975, abs=1e-5)
    assert year["CHN-USA", 2024] == pytest.approx(438947.386145, abs=1e-5)
    assert year["USA-CHN", 2024] == pytest.approx(143545.739507, abs=1e-5)


def test_the_last_released_month_is_the_last_month():
    frame = panels.sample("us_month").frame
    assert frame["month"].min() == pd.Timestamp("1999-01-01")
    assert frame["month"].max() == pd.Timestamp("2025-02-01")
    assert set(frame["flow"]) == {"import", "export"}
    imports = frame["flow"] == "import"
    assert (frame.loc[imports, "importer"] == "USA").all()
    assert (frame.loc[imports, "exporter"] == frame.loc[imports, "partner"]).all()
    assert (frame.loc[~imports, "exporter"] == "USA").all()
    assert (frame["trade_musd"] == 0).any()


def test_us_months_agree_with_the_bureaus_other_publication(shared):
    """The same figures come from the Census application interface, in US dollars."""
    other = pd.read_parquet(shared / "data/monthly/us_census_api_monthly_totals_2013_2024.parquet")
    ours = panels.sample("us_month").frame.set_index(["pair", "month"])["trade_musd"]
    for code, partner in (("5700", "CHN"), ("1220", "CAN"), ("4280", "DEU")):
        theirs = other[other["CTY_CODE"] == code].set_index("date")
        for pair, column in ((f"{partner}-USA", "imports_usd"), (f"USA-{partner}", "exports_usd")):
            ratio = (ours[pair] / (theirs[column] / 1e6)).dropna()
            assert len(ratio) == 144
            # Most months are equal to the dollar; those revised between the two editions differ by up to 2.4 per cent.
            assert ratio.median() == pytest.approx(1, abs=1e-9)
            assert (ratio - 1).abs().max() < 0.03


def test_the_bilateral_sample_has_the_declared_size_and_gaps():
    frame = panels.sample("bilateral_year").frame
    assert frame["exporter"].nunique() == 29
    assert frame["importer"].nunique() == 29
    assert len(set(frame["exporter"]) | set(frame["importer"])) == 31
    assert len(frame) == 814 * 17 - 60
    per_pair = frame.groupby("pair")["year"].nunique()
    short = per_pair[per_pair < 17].index
    assert all("ARE" in pair for pair in short)
    assert len(short) == 56


def test_total_trade_is_in_million_dollars():
    total = panels.sample("bilateral_year").frame.groupby("year")["trade_musd"].sum()
    # World goods exports of 2019 were about 19 trillion USD (WTO); these pairs carry rather more than half of them.
    assert 0.5 < total[2019] / 19e6 < 0.75


def test_distance_border_and_language_do_not_move():
    frame = panels.sample("bilateral_year").frame
    grouped = frame.groupby("pair")[["dist_km", "contiguity", "common_language"]]
    pd.testing.assert_frame_equal(grouped.min(), grouped.max())
    one = frame.set_index(["pair", "year"])
    assert one.loc[("USA-CAN", 2010), "contiguity"] == 1
    assert one.loc[("MYS-SGP", 2010), "contiguity"] == 1
    assert one.loc[("USA-GBR", 2010), "common_language"] == 1
    assert one.loc[("USA-CHN", 2010), "contiguity"] == 0


def test_japans_goods_are_million_yen():
    frame = panels.sample("japan_month").frame
    chips = frame[
        (frame["good"] == "integrated_circuits") & (frame["flow"] == "export") & (frame["month"].dt.year == 2018)
    ]
    # The published total of 2018 is 2,904.0 billion yen; the listed areas cover nearly all of it.
    assert 0.94 < chips["trade_mjpy"].sum() / 2_903_999.486 <= 1
    assert set(frame["good"]) == {"integrated_circuits", "computers", "telephone_sets"}
    phones = frame[frame["good"] == "telephone_sets"]
    assert set(phones["flow"]) == {"import"}
    assert phones["month"].min() == pd.Timestamp("2017-04-01")


@pytest.mark.parametrize(
    ("name", "unit", "time"),
    [
        ("bilateral_year", "pair", "year"),
        ("us_month", "pair", "month"),
        ("us_year", "pair", "year"),
        ("japan_month", "pair_good", "month"),
    ],
)
def test_a_sample_is_a_panel_with_provenance(name, unit, time):
    panel = panels.sample(name)
    assert (panel.name, panel.unit, panel.time) == (name, unit, time)
    assert panel.sources
    assert all(len(about["sha256"]) == 64 and about["licence"] for about in panel.sources.values())
    assert (panel.frame["pair"] == panel.frame["exporter"] + "-" + panel.frame["importer"]).all()


def test_an_unknown_sample_names_the_known_ones():
    with pytest.raises(UnknownName, match="us_month"):
        panels.sample("us_weekly")


def test_an_incomplete_year_is_left_out_and_counted():
    panel = panels.sample("us_year")
    assert panel.frame["year"].max() == 2024
    assert panel.facts["incomplete_pair_years_left_out"] == {2025: 462}
    months = panels.sample("us_month").frame
    whole = months["month"] < "2025-01-01"
    assert panel.frame["trade_musd"].sum() == pytest.approx(months.loc[whole, "trade_musd"].sum(), rel=1e-12)
