"""The CFR tracker on made-up rows in the publisher's layout, and on the publisher's own export."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import DuplicateKey, FetchError, ParseError, SchemaError
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "cyber-operations-incidents.csv"
HEADER = [
    *("Title", "Date", "Affiliations", "Description", "Response", "Victims", "Sponsor", "Type", "Category"),
    *("Sources_1", "Sources_2", "Sources_3"),
]


def row(title: str = "A case", **changes: str) -> list[str]:
    cells = dict.fromkeys(HEADER, "") | {
        "Title": title, "Date": "3/7/2022", "Description": "Words.", "Victims": "Ukraine",
        "Sponsor": "Russian Federation", "Type": "Espionage", "Category": "Government", "Sources_1": "https://a",
        "Sources_3": "https://b",
    } | changes  # fmt: skip
    return [cells[name] for name in HEADER]


def export(*rows: list[str], encoding: str = "utf-8") -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerows([HEADER, *rows])
    return buffer.getvalue().encode(encoding)


@pytest.fixture
def pulled(tmp_path: Path) -> Callable[..., lake.Pulled]:
    def pull(content: bytes, **options: Any) -> lake.Pulled:
        folder = tmp_path / "mirror" / "cfr"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_bytes(content)
        return lake.pull(get("cfr"), mirror=folder, **options)

    return pull


def frame() -> pd.DataFrame:
    return lake.load("cfr.incidents").set_index("title")


def test_dates_are_month_first_and_may_be_missing(pulled: Any) -> None:
    got = pulled(export(row("a"), row("b", Date="12/31/2021"), row("c", Date="")))
    assert frame().loc[["a", "b"], "report_date"].tolist() == [pd.Timestamp("2022-03-07"), pd.Timestamp("2021-12-31")]
    assert pd.isna(frame().loc["c", "report_date"])
    assert got.facts["incidents"]["flagged_date_missing"] == 1
    assert got.version == "to 2022-03-07"


def test_line_ends_within_a_cell_and_other_encodings(pulled: Any) -> None:
    pulled(export(row(Description="One\nTwo, “three”"), encoding="cp1252"))
    assert frame().loc["A case", "description"] == "One\nTwo, “three”"
    assert frame().loc["A case", "sources"] == "https://a | https://b"


@pytest.mark.parametrize(
    ("sponsor", "iso3", "status"),
    [
        ("Korea (Democratic People's Republic of)", "PRK", "country"),
        ("Korea (Republic of)", "KOR", "country"),
        ("Palestine, State of", "PSE", "country"),
        ("Iran (Islamic Republic of)", "IRN", "country"),
        ("United States, Israel", "USA;ISR", "joint"),
        ("Saudi Arabia, United Arab Emirates", "SAU;ARE", "joint"),
        ("United States, United States of America", "USA", "country"),
        ("", "", "none"),
        ("Unknown", "", "unread"),
        ("Korea", "", "unread"),
        ("China, Atlantis", "", "unread"),
    ],
)
def test_sponsors(pulled: Any, sponsor: str, iso3: str, status: str) -> None:
    got = pulled(export(row(Sponsor=sponsor)))
    assert frame().loc["A case", ["sponsor_all", "sponsor_status", "sponsor_name"]].tolist() == [iso3, status, sponsor]
    assert got.facts["incidents"].get("sponsors_without_code", []) == ([sponsor] if status == "unread" else [])


@pytest.mark.parametrize(
    ("victims", "iso3", "status"),
    [
        ("United States", "USA", "country"),
        ("Turkey,", "TUR", "country"),
        ("Russia, Belgium, Rwanda", "RUS;BEL;RWA", "countries"),
        ("United States, The Philippines, and Hong Kong", "USA;PHL;HKG", "countries"),
        ("Ukrainian government agencies", "UKR", "mentioned"),
        ("Austrian Foreign Ministry", "AUT", "mentioned"),
        ("The government, military, and energy sectors in Pakistan", "PAK", "mentioned"),
        ("German Chancellery, Ministry of the Interior", "DEU", "mentioned"),
        ("Ukrainian and Polish military personnel", "", "text"),
        ("Organizations in the United States and Europe", "", "text"),
        ("United States, European Union", "", "text"),
        ("FedEx, UK National Health Service, Renault", "", "text"),
        ("Uyghurs in China", "", "text"),
        ("Prime Minister's Office", "", "text"),
        ("Unknown", "", "text"),
        ("", "", "none"),
    ],
)
def test_victims_count_where_economies_are_named_and_not_guessed(
    pulled: Any, victims: str, iso3: str, status: str
) -> None:
    got = pulled(export(row(Victims=victims)))
    assert frame().loc["A case", ["receiver_all", "receiver_status", "victims"]].tolist() == [iso3, status, victims]
    assert got.facts["incidents"][f"receiver_{status}"] == 1


def test_cells_under_wrong_columns_are_moved_back(pulled: Any) -> None:
    one_left = row("one", Response="Confirmation https://c", Victims="China", Sponsor="Espionage", Type="Military",
                   Category="https://d", Sources_1="https://e", Sources_3="")  # fmt: skip
    two_left = row("two", Response="China", Victims="Espionage", Sponsor="Military", Type="https://d", Category="",
                   Sources_1="", Sources_3="")  # fmt: skip
    one_right = row("right", Response="Iraq", Victims="Pakistan", Sponsor="Israel", Type="China", Category="Doxing",
                    Sources_1="Military", Sources_2="https://d", Sources_3="")  # fmt: skip
    got = pulled(export(one_left, two_left, one_right, row("whole")))
    out = frame()
    assert out["realigned"].tolist() == [True, True, True, False]
    assert out["sponsor_all"].tolist() == ["CHN", "CHN", "CHN", "RUS"]
    assert out["incident_type"].tolist() == ["Espionage", "Espionage", "Doxing", "Espionage"]
    assert out["victim_category"].tolist() == ["Military", "Military", "Military", "Government"]
    assert out["sources"].tolist() == ["https://d | https://e", "https://d", "https://d", "https://a | https://b"]
    assert out["receiver_status"].tolist() == [*["misplaced"] * 3, "country"]
    assert out["response"].tolist() == ["Confirmation", "", "", ""]
    assert got.facts["incidents"]["rows_realigned"] == 3


def test_a_row_without_a_type_is_a_row(pulled: Any) -> None:
    facts = pulled(export(row("A group", Type="", Category=""))).facts["incidents"]
    assert frame().loc["A group", ["incident_type", "sponsor_all", "realigned"]].tolist() == ["", "RUS", False]
    assert (facts["flagged_type_missing"], facts["rows_realigned"]) == (1, 0)


def test_lost_characters_are_counted_not_repaired(pulled: Any) -> None:
    got = pulled(export(row("Poland?? university"), row("Whole", Description="Really? Yes.")))
    assert got.facts["incidents"]["flagged_characters_lost"] == 1


def test_years_follow_the_date_and_undated_rows_stay(pulled: Any) -> None:
    got = pulled(export(row("a"), row("b", Date="1/1/2020"), row("c", Date="")), years=[2022])
    assert frame().index.tolist() == ["a", "c"]
    assert got.facts["incidents"]["dropped_year_not_asked"] == 1


def test_the_id_is_made_of_title_date_and_description(pulled: Any) -> None:
    pulled(export(row("a"), row("a", Date="3/8/2022"), row("a", Description="Other.")))
    ids = frame()["incident_id"].tolist()
    assert len(set(ids)) == 3
    pulled(export(row("a", Sponsor="China", Victims="")))
    assert frame()["incident_id"].tolist() == ids[:1]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (export(row(Date="31/12/2021")), ParseError, "row 1 of .*no date M/D/YYYY.*31/12/2021"),
        (export(row(Date="2021-12-31")), ParseError, "no date"),
        (export(row(Type="Magic")), ParseError, "row 1 of .*type that is new.*Magic"),
        (export(row(), row()), DuplicateKey, "incident_id"),
        (export(row())[:-9], ParseError, "ends inside a row"),
        (export(row()).replace(b"Victims", b"Targets"), SchemaError, "Victims"),
        (export(), ParseError, "no rows"),
        (export(row()) + b"1,2,3\r\n", ParseError, "another width, line 3"),
    ],
)
def test_exports_that_are_refused(pulled: Any, content: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pulled(content)
    pulled(export(row()))  # control
    assert len(frame()) == 1


# --- the publisher's export -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lake")
    lake.pull(get("cfr"), mirror=shared / "mirror", home=home)
    return home


def test_real_rows(real: Path, shared: Path) -> None:
    out = lake.load("cfr.incidents", home=real)
    text = (shared / "mirror/cfr" / FILE).read_text(encoding="utf-8-sig")
    published = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(out) == len(published) == 768
    assert out["report_date"].isna().sum() == sum(not r["Date"] for r in published) == 15
    years = out["report_date"].dropna().map(lambda day: f"{day:%Y}").value_counts().to_dict()
    assert years["2022"] == sum(r["Date"].endswith("/2022") for r in published) == 147
    # One sponsor alone, as published; five more stand in rows whose cells had moved, four of Russia and one of Pakistan.
    assert out["sponsor_all"].value_counts().head(4).to_dict() == {"CHN": 263, "RUS": 159, "IRN": 98, "PRK": 79}
    assert out["realigned"].sum() == 7
    assert set(out.loc[out["realigned"], "sponsor_all"]) == {"RUS", "PAK", ""}


def test_real_victims(real: Path) -> None:
    out = lake.load("cfr.incidents", home=real)
    counts = out["receiver_status"].value_counts().to_dict()
    assert counts == {"text": 338, "mentioned": 223, "country": 90, "countries": 83, "none": 27, "misplaced": 7}
    assert out.loc[out["receiver_status"] == "country", "receiver_all"].str.fullmatch("[A-Z]{3}").all()
    assert (out.loc[out["receiver_status"].isin(["text", "none", "misplaced"]), "receiver_all"] == "").all()


@pytest.mark.live
def test_live_the_old_export_is_gone_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="mirror"):
        lake.pull(get("cfr"), home=tmp_path)
