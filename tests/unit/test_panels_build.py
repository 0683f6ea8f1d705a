"""Panels built from the lake: a world counted by hand, and the publishers' own files."""

from __future__ import annotations

import pandas as pd
import pytest

from cyber_trade_econ import lake, panels
from cyber_trade_econ.errors import ConfigError, NotPulled, UnknownName
from cyber_trade_econ.panels import bilateral_year, us_month, us_year
from cyber_trade_econ.sources import get as source_named

# year, exporter, importer, thousand USD, is_group; two products of A to B in 2020, one area that is no country.
BACI = pd.DataFrame(
    [
        (2020, "A", "B", 1000.0, False),
        (2020, "A", "B", 500.0, False),
        (2020, "B", "A", 2000.0, False),
        (2020, "C", "A", 8000.0, False),
        (2020, "C", "C", 7.0, False),
        (2020, "A", None, 99.0, True),
        (2021, "A", "B", 3000.0, False),
    ],
    columns=["year", "exporter", "importer", "trade_kusd", "is_group"],
).astype({"year": "int16"})
PAIRS = pd.DataFrame(
    {
        "exporter": ["A", "B", "A", "C"],
        "importer": ["B", "A", "A", "B"],
        "dist_km": [10.0, 10.0, 1.0, 7.0],
        "contiguity": 1,
        "common_language": 0,
    }
)


@pytest.fixture
def little_lake(monkeypatch):
    """A lake of two tables in memory, with the interface of the real one."""
    tables = {"baci.flows": BACI, "geodist.pairs": PAIRS}

    def load(table, *, columns=None, where=None, home=None):
        frame = tables[table]
        for column, value in (where or {}).items():
            frame = frame[frame[column] == value]
        return frame[list(columns or frame.columns)].reset_index(drop=True)

    monkeypatch.setattr(lake, "load", load)
    monkeypatch.setattr(lake, "years", lambda table, home=None: tuple(sorted(set(map(int, tables[table]["year"])))))
    monkeypatch.setattr(lake, "provenance", lambda name, home=None: {"version": "1"})


def test_products_add_up_to_million_dollars(little_lake):
    panel = panels.build("bilateral_year")
    trade = panel.frame.set_index(["pair", "year"])["trade_musd"]
    assert trade.to_dict() == {("A-B", 2020): 1.5, ("A-B", 2021): 3.0, ("B-A", 2020): 2.0, ("C-A", 2020): 8.0}
    assert panel.facts["group_rows_left_out"] == 1
    assert panel.facts["domestic_rows_left_out"] == 1
    assert panel.facts["product_rows"] == len(BACI)
    assert set(panel.sources) == {"baci", "geodist"}
    assert (panel.unit, panel.time, panel.name) == ("pair", "year", "bilateral_year")


def test_a_pair_without_covariates_stays_and_is_named(little_lake):
    panel = panels.build("bilateral_year")
    assert panel.facts["geodist_unmatched_keys"] == ["C-A"]
    assert panel.facts["geodist_unmatched_rows"] == 1
    assert panel.frame.set_index(["pair", "year"])["dist_km"].isna().to_dict()["C-A", 2020]


def test_zeros_are_filled_among_those_who_trade_that_year(little_lake):
    # 2020: exporters A, B, C; importers A, B. 2021: A exports, B imports. So C-B of 2020 is the only absent pair.
    panel = panels.build("bilateral_year", zeros="fill")
    assert panel.facts["zero_rows_added"] == 1
    zero = panel.frame[panel.frame["trade_musd"] == 0]
    assert zero[["pair", "year"]].to_numpy().tolist() == [["C-B", 2020]]
    absent = panels.build("bilateral_year")
    assert "zero_rows_added" not in absent.facts
    assert panel.frame["trade_musd"].sum() == absent.frame["trade_musd"].sum() == 14.5
    assert len(panel) == len(absent) + 1


def test_years_not_pulled_are_named(little_lake):
    assert set(panels.build("bilateral_year", years=[2021]).frame["year"]) == {2021}
    with pytest.raises(NotPulled, match=r"no year 2018, 2019; found years 2020, 2021"):
        panels.build("bilateral_year", years=range(2018, 2022))


def test_one_year_is_a_year(little_lake):
    assert set(panels.build("bilateral_year", years=2021).frame["year"]) == {2021}
    with pytest.raises(ConfigError, match="'2021'"):
        panels.build("bilateral_year", years="2021")


def test_names_and_options_are_checked():
    with pytest.raises(UnknownName, match="bilateral_year"):
        panels.build("bilateral_yearly")
    with pytest.raises(ConfigError, match="'interpolate'"):
        panels.build("bilateral_year", zeros="interpolate")
    with pytest.raises(ConfigError, match="us_month"):
        panels.build("us_month", zeros="fill")


def test_an_empty_lake_says_what_to_pull():
    with pytest.raises(NotPulled):
        panels.build("bilateral_year")
    with pytest.raises(NotPulled):
        panels.build("us_month")


def test_codes_of_one_economy_are_added_and_groups_left_out():
    flows = pd.DataFrame(
        [
            ("ISR", "USA", "ISR", "import", "2000-01-01", 1.0, False),
            ("ISR", "USA", "ISR", "import", "2000-01-01", 2.0, False),
            ("USA", "ISR", "ISR", "export", "2000-01-01", 0.0, False),
            (None, None, None, "import", "2000-01-01", 50.0, True),
        ],
        columns=["exporter", "importer", "partner", "flow", "month", "trade_musd", "is_group"],
    )
    frame, facts = us_month.from_flows(flows)
    assert frame.set_index("flow")["trade_musd"].to_dict() == {"export": 0.0, "import": 3.0}
    assert facts == {"group_rows_left_out": 1, "rows_added_to_another": 1}


def test_a_year_of_eleven_months_is_left_out():
    months = pd.date_range("2000-01-01", periods=23, freq="MS")
    flows = pd.DataFrame(
        {"exporter": "CHN", "importer": "USA", "partner": "CHN", "flow": "import", "month": months, "trade_musd": 2.0}
    )
    panel = us_year.collapse(us_month.Panel(us_month.finish(flows), "pair", "month"))
    assert panel.frame[["year", "trade_musd"]].to_numpy().tolist() == [[2000, 24.0]]
    assert panel.facts["incomplete_pair_years_left_out"] == {2001: 1}


def test_the_built_us_panel_is_the_sample_and_more(shared, own_lake):
    lake.pull(source_named("us_census"), mirror=shared / "mirror" / "us_census")
    built = panels.build("us_month", years=range(1999, 2026))
    shipped = panels.sample("us_month")
    key = ["pair", "month"]
    columns = [*key, "exporter", "importer", "partner", "flow", "trade_musd"]
    one, two = (p.frame[columns].sort_values(key, ignore_index=True) for p in (built, shipped))
    pd.testing.assert_frame_equal(one, two, check_dtype=False)
    assert built.facts["rows_of_other_years_left_out"] == 51168
    with pytest.raises(NotPulled, match="2026"):
        panels.build("us_month", years=[2024, 2026])
    assert panels.build("us_year", years=[2024]).frame["year"].unique().tolist() == [2024]


def test_the_built_bilateral_panel_adds_up_to_the_official_rows(shared, own_lake):
    lake.pull(source_named("baci"), mirror=shared / "mirror" / "baci")
    lake.pull(source_named("geodist"), mirror=shared / "mirror" / "geodist")
    panel = panels.build("bilateral_year", years=[2021])
    flows = lake.load("baci.flows", where={"year": 2021, "is_group": False})
    named = flows[flows["exporter"] != flows["importer"]]
    assert panel.frame["trade_musd"].sum() == pytest.approx(named["trade_kusd"].sum() / 1000, rel=1e-12)
    assert set(panel.frame["exporter"]) <= {"AFG", "ZAF"}
    assert panel.frame["dist_km"].notna().mean() > 0.9
    assert panel.facts["geodist_unmatched_rows"] == int(panel.frame["dist_km"].isna().sum())


def test_totals_of_one_year_keep_their_key():
    summed, facts = bilateral_year.totals(BACI[BACI["year"] == 2020])
    assert summed["year"].dtype == "int64"
    assert facts == {"product_rows": 6, "group_rows_left_out": 1, "domestic_rows_left_out": 1}
