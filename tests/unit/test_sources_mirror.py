"""Sources on the publishers' real files. The expected numbers come from an independent reading of the same files.

Census: openpyxl, values summed with fsum. GeoDist: xlrd. EuRepoC: openpyxl. BACI: the csv module.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cyber_trade_econ import codes, lake
from cyber_trade_econ.sources import all as every_source
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    for source in every_source().values():
        if (shared / "mirror" / source.name).is_dir():
            lake.pull(source, mirror=shared / "mirror", home=folder)
    return folder


def facts(source: str, table: str, home: Path) -> dict[str, object]:
    return dict(lake.provenance(source, home)["facts"][table])


def test_a_second_pull_of_everything_does_nothing(home: Path, shared: Path) -> None:
    names = ("us_census", "geodist", "baci", "eurepoc", "dcid", "cfr", "cissm")
    assert set(lake.pulled(home)) >= set(names)
    for name in names:
        assert lake.pull(get(name), mirror=shared / "mirror", home=home).skipped


# --- us_census -----------------------------------------------------------------------------------------------------------


def test_census_rows_and_totals(home: Path) -> None:
    frame = lake.load("us_census.flows", home=home)
    counts = facts("us_census", "flows", home)
    # 8,972 partner-years of 24 cells; ten months of 2025 of 247 partners are not released.
    assert counts["dropped_not_released"] == 247 * 20
    assert len(frame) == 8972 * 24 - 247 * 20
    assert counts["last_month"] == "2025-02"
    assert frame["month"].max() == pd.Timestamp("2025-02-01")
    assert counts["year_totals_off"] == 0
    totals = frame[~frame["is_group"]].groupby("flow")["trade_musd"].agg(math.fsum)
    # Cells are doubles near 1e4 with 6 decimals; their fsum is exact to far below 1e-3.
    assert totals["import"] == pytest.approx(62676592.2912, abs=1e-3)
    assert totals["export"] == pytest.approx(40985873.311882, abs=1e-3)


def test_census_china_and_namibia_in_2024(home: Path) -> None:
    frame = lake.load("us_census.flows", where="year(month) = 2024 and partner in ('CHN', 'NAM')", home=home)
    totals = frame.groupby(["partner", "flow"])["trade_musd"].agg(math.fsum)
    expected = {("CHN", "import"): 438947.386145, ("CHN", "export"): 143545.739507, ("NAM", "import"): 275.225098}
    for key, value in expected.items():
        assert totals[key] == pytest.approx(value, abs=1e-6)
    assert set(frame.loc[frame["flow"] == "import", "importer"]) == {"USA"}
    assert set(frame.loc[frame["flow"] == "export", "exporter"]) == {"USA"}


def test_census_partners_add_up_to_the_published_world(home: Path) -> None:
    frame = lake.load("us_census.flows", where="year(month) in (1992, 2010, 2024)", home=home)
    countries = frame[~frame["is_group"] | frame["partner_code"].isin(["8220", "8500"])]
    world = frame[frame["partner_code"] == "0015"].groupby([frame["month"].dt.year, "flow"])["trade_musd"].sum()
    summed = countries.groupby([countries["month"].dt.year, "flow"])["trade_musd"].sum()
    assert len(world) == 6
    # The world of the latest years is revised before the countries: 2e-4 apart in 2024, equal to rounding before.
    assert ((summed / world - 1).abs() < 2e-4).all()
    assert ((summed / world - 1).abs()[[1992, 2010]] < 1e-9).all()


def test_census_groups_and_former_partners(home: Path) -> None:
    frame = lake.load("us_census.flows", home=home)
    groups = frame[frame["is_group"]].drop_duplicates("partner_code")
    assert set(groups["partner_code"]) == {c for c in frame["partner_code"].unique() if c < "1000"} | {"8220", "8500"}
    assert len(groups) == 19
    assert frame.loc[~frame["is_group"], ["exporter", "importer", "partner"]].notna().all(axis=None)
    by_code = frame.drop_duplicates("partner_code").set_index("partner_code")["partner"]
    former = {"4610": "SUN", "4790": "YUG", "4350": "CSK", "4799": "SCG", "2771": "ANT", "5160": "NTZ"}
    others = {"4803": "XKX", "5830": "TWN", "7920": "NAM", "5460": "MMR", "7660": "COD", "4802": "SRB", "5790": "PRK"}
    for code, iso3 in (former | others).items():
        assert by_code[code] == iso3
    assert set(by_code.dropna()) <= set(codes.iso3_names())


def test_census_agrees_with_the_publishers_other_channel(home: Path, shared: Path) -> None:
    other = pd.read_parquet(shared / "data/monthly/us_census_api_monthly_totals_2013_2024.parquet")
    other = other.melt(["CTY_CODE", "date"], ["imports_usd", "exports_usd"], "flow", "usd")
    other["flow"] = other["flow"].str[:6]
    own = lake.load("us_census.flows", where="not is_group and year(month) between 2013 and 2024", home=home)
    both = own.merge(other, left_on=["partner_code", "flow", "month"], right_on=["CTY_CODE", "flow", "date"])
    assert len(both) > 67_000
    # The two were retrieved at different times and differ by later revisions.
    assert both["trade_musd"].sum() == pytest.approx(both["usd"].sum() / 1e6, rel=1e-4)
    close = (both["trade_musd"] - both["usd"] / 1e6).abs() <= 0.01 * (both["usd"] / 1e6).clip(lower=1)
    assert close.mean() > 0.96


# --- geodist -------------------------------------------------------------------------------------------------------------


def test_geodist_rows_and_totals(home: Path) -> None:
    frame = lake.load("geodist.pairs", home=home)
    assert len(frame) == 224**2
    assert math.fsum(frame["dist_km"]) == pytest.approx(425582766.8790399, rel=1e-14)
    assert math.fsum(frame["dist_weighted_km"].dropna()) == pytest.approx(402523643.8322739, rel=1e-14)
    assert frame["dist_weighted_km"].isna().sum() == frame["dist_weighted_ces_km"].isna().sum() == 2215
    assert frame[["contiguity", "common_language", "same_country"]].sum().tolist() == [616, 8750, 401]
    assert set(frame["exporter"]) == set(frame["importer"])
    assert {"ROU", "COD", "TLS", "PSE", "SCG", "NAM"} <= set(frame["exporter"])
    assert {"ROM", "ZAR", "TMP", "PAL", "YUG"} <= set(frame["iso_o"])


def test_geodist_namibia_has_its_neighbour(home: Path) -> None:
    row = lake.load("geodist.pairs", where={"exporter": "NAM", "importer": "ZAF"}, home=home).iloc[0]
    assert row[["dist_km", "dist_capitals_km", "dist_weighted_km", "dist_weighted_ces_km"]].tolist() == [
        1272.133, 1182.444, 1371.972, 1324.115,
    ]  # fmt: skip
    assert row[["contiguity", "common_language", "colony", "common_colonizer"]].tolist() == [1, 1, 1, 0]


# --- eurepoc -------------------------------------------------------------------------------------------------------------


def test_eurepoc_rows_and_totals(home: Path) -> None:
    dyads = lake.load("eurepoc.dyads", home=home)
    assert len(dyads) == 4296
    assert dyads["incident_id"].nunique() == 2957
    assert dyads["weighted_intensity"].sum() == 10729
    assert dyads["ransomware"].sum() == 558
    assert (dyads["start_date"].dt.year == 2023).sum() == 805
    assert dyads["start_date"].isna().sum() == 99
    # 2,128 cells hold two letters that are a country; "Iran ..., Not available" (IR, #N/A) names one country more.
    assert dyads["initiator"].notna().sum() == 2129
    # 3,930 receiver cells hold two letters; OC is Oceania.
    assert dyads["receiver"].notna().sum() == 3929
    status = dyads["initiator_status"].value_counts()
    assert (status["unknown"], status["not attributed"]) == (1063, 1029)
    assert ((dyads["initiator"] == "RUS") & (dyads["receiver"] == "UKR")).sum() == 58
    assert (dyads["receiver"] == "NAM").sum() == 3
    assert set(dyads["initiator"].dropna()) | set(dyads["receiver"].dropna()) <= set(codes.iso3_names())


def test_eurepoc_regions_and_unknowns_are_no_countries(home: Path) -> None:
    dyads = lake.load("eurepoc.dyads", home=home)
    words = {
        "Unknown",
        "Not attributed",
        "Not available",
        "Europe (region)",
        "EU (institutions)",
        "NATO (region)",
        "Africa",
    }
    rows = dyads[dyads["receiver_name"].isin(words)]
    assert len(rows) > 100
    assert rows["receiver"].isna().all()
    assert (rows["receiver_all"] == "").all()
    assert (dyads.loc[dyads["receiver_name"] == "Europe (region)", "receiver_status"] == "group").all()


def test_eurepoc_incidents_agree_with_dyads(home: Path) -> None:
    incidents = lake.load("eurepoc.incidents", home=home)
    assert len(incidents) == 3414
    dyads = lake.load("eurepoc.dyads", home=home)
    both = dyads.merge(incidents, on="incident_id", suffixes=("", "_i"))
    assert len(both) > 4000
    same = (both["start_date"] == both["start_date_i"]) | (both["start_date"].isna() & both["start_date_i"].isna())
    assert same.mean() > 0.99, "two files, two date formats, one calendar"
    assert incidents["data_theft_and_doxing"].sum() == 414


# --- baci ----------------------------------------------------------------------------------------------------------------


def raw_rows(path: Path) -> dict[tuple[str, str, str], tuple[float, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {(r["i"], r["j"], r["k"].zfill(6)): (float(r["v"]), r["q"].strip()) for r in rows}


def test_baci_rows_and_totals(home: Path, shared: Path) -> None:
    folder = shared / "mirror/baci"
    big = raw_rows(folder / "BACI_HS92_Y2021_V202301_exporters_004_710.csv")
    small = raw_rows(folder / "BACI_HS92_Y2021_V202301_first499rows.csv")
    assert (len(big), len(small)) == (71_192, 499)
    assert all(big[k] == v for k, v in small.items() if k in big), "the files do not contradict each other"
    union = big | small
    frame = lake.load("baci.flows", home=home)
    counts = facts("baci", "flows", home)
    assert counts["dropped_identical_in_another_file"] == len(big) + len(small) - len(union) == 250
    assert len(frame) == len(union) == 71_441
    assert math.fsum(frame["trade_kusd"]) == pytest.approx(math.fsum(v for v, _ in union.values()), rel=1e-15)
    tons = [float(q) for _, q in union.values() if q != "NA"]
    assert math.fsum(frame["quantity_t"].dropna()) == pytest.approx(math.fsum(tons), rel=1e-15)
    assert frame["quantity_t"].isna().sum() == len(union) - len(tons) == counts["flagged_quantity_missing"]
    assert counts["padded_product_codes"] == 4442


def test_baci_codes(home: Path) -> None:
    frame = lake.load("baci.flows", home=home)
    by_code = frame.drop_duplicates("importer_code").set_index("importer_code")["importer"]
    assert by_code[[842, 251, 699, 757, 490, 579, 380, 516]].tolist() == [
        "USA", "FRA", "IND", "CHE", "TWN", "NOR", "ITA", "NAM",
    ]  # fmt: skip
    assert frame["product"].str.fullmatch("[0-9]{6}").all()
    # 4,442 codes of the large file had lost their zero; 36 more rows with one stand in the small file alone.
    assert frame["product"].str.startswith("0").sum() == 4442 + 36
    usa = frame[(frame["exporter"] == "ZAF") & (frame["importer"] == "USA")]
    assert len(usa) > 1000
    products = lake.load("baci.products", home=home)
    assert products["product"].str.fullmatch("[0-9]{6}").all()
    assert set(frame["product"]) <= set(products["product"])


def test_baci_countries(home: Path) -> None:
    frame = lake.load("baci.countries", home=home).set_index("country_code")
    assert set(frame["release"]) == {"202301"}
    assert frame.loc[516, ["iso3_published", "iso3"]].tolist() == ["NAM", "NAM"]
    assert pd.isna(frame.loc[516, "iso2_published"]), (
        "the list itself has no ISO2 for Namibia: somebody read NA as missing"
    )
    assert frame.loc[490, "iso3"] == "TWN"
    assert pd.isna(frame.loc[490, "iso3_published"])
    assert frame.loc[531, "name"] == "Curaçao"


# --- the publishers themselves -------------------------------------------------------------------------------------------


@pytest.mark.live
@pytest.mark.parametrize("name", ["us_census", "geodist", "eurepoc"])
def test_live_pull(name: str, tmp_path: Path) -> None:
    got = lake.pull(get(name), home=tmp_path)
    assert all(table.rows > 1000 for table in got.tables.values())


@pytest.mark.live
def test_live_baci_is_where_it_is_expected() -> None:
    import requests

    part = get("baci").parts(None)[0]
    with requests.get(part.url, headers={"Range": "bytes=0-3"}, stream=True, timeout=60) as answer:
        assert answer.status_code == 206, "the server resumes"
        assert answer.raw.read(4) == b"PK\x03\x04"
        assert int(answer.headers["Content-Range"].split("/")[1]) < get("baci").max_bytes
