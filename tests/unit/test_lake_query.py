"""Reading tables: columns, conditions, names, and a condition that tries to leave the table."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ import lake
from cyber_trade_econ.errors import ConfigError, NotPulled, UnknownName
from cyber_trade_econ.records.source import Part, Piece, Source
from cyber_trade_econ.records.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRADE = Table(
    "trade",
    "Trade.",
    (
        Column("product", "string", "HS", "Product."),
        Column("partner", "string", "ISO3", "Partner.", nullable=True),
        Column("month", "date", "day", "Month."),
        Column("v", "float64", "USD", "Value.", nullable=True),
        Column("count", "int32", "1", "Count."),
        Column("is_group", "bool", "1", "Group."),
    ),
    ("product", "month"),
)
PLAIN = Table("plain", "No time.", (Column("name", "string", "text", "A name."),), ("name",))


def tidy(raw: Any, years: Any) -> Iterator[Piece]:
    rows = {
        "product": ["010121", "854231", "851762"],
        "partner": ["NAM", None, "CHN"],
        "month": [dt.date(2021, 1, 1), dt.date(2021, 2, 1), dt.date(2023, 1, 1)],
        "v": [1.5, None, 3.0],
        "count": [1, 2, 3],
        "is_group": [False, True, False],
    }
    types = {c.name: c.arrow for c in TRADE.columns}
    whole = pa.table({k: pa.array(v, types[k]) for k, v in rows.items()})
    yield Piece("trade", "a", whole.slice(0, 2))
    yield Piece("trade", "b", whole.slice(2))
    yield Piece("plain", "all", pa.table({"name": ["x; drop"]}))


@pytest.fixture(autouse=True)
def lake_with_a_table(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a.csv").write_text("a\n")
    part = Part("a", "https://example.org/a.csv", "a.csv", ("a.csv",))
    text = dict.fromkeys(("title", "publisher", "licence", "licence_url", "citation", "homepage"), "a test")
    parts = lambda years: (part,)  # noqa: E731
    source = Source("t", **text, hosts=("example.org",), max_bytes=99, tables=(TRADE, PLAIN), parts=parts, tidy=tidy)
    lake.pull(source, mirror=tmp_path / "m")


def test_a_whole_table_with_its_types() -> None:
    frame = lake.load("t.trade")
    assert list(frame["product"]) == ["010121", "854231", "851762"]
    assert frame["month"].dtype.kind == "M"
    assert frame["is_group"].dtype == bool
    assert frame["count"].dtype == np.int32
    assert frame["v"].isna().tolist() == [False, True, False]
    assert frame["partner"].isna().tolist() == [False, True, False]
    assert frame.index.equals(pd.RangeIndex(3))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, [1, 2, 3]),
        ({}, [1, 2, 3]),
        ({"partner": "NAM"}, [1]),
        ({"partner": ["NAM", "CHN"]}, [1, 3]),
        ({"partner": ("NAM", None)}, [1, 2]),
        ({"partner": None}, [2]),
        ({"v": float("nan")}, [2]),
        ({"partner": []}, []),
        ({"product": "010121", "partner": "CHN"}, []),
        ({"count": range(2, 9)}, [2, 3]),
        ({"count": np.int64(3)}, [3]),
        ({"count": np.array([1, 3])}, [1, 3]),
        ({"v": 1.5}, [1]),
        ({"is_group": True}, [2]),
        ({"month": "2021-02-01"}, [2]),
        ({"month": dt.date(2021, 1, 1)}, [1]),
        ({"month": pd.Timestamp("2023-01-01")}, [3]),
        ({"month": pd.to_datetime(["2023-01-01", "2021-01-01"])}, [1, 3]),
        ("v > 1 and partner <> 'CHN'", [1]),
        ("year(month) = 2021 -- a remark", [1, 2]),
        ("product like '85%'", [2, 3]),
    ],
)
def test_conditions(where: Any, expected: list[int]) -> None:
    assert lake.load("t.trade", columns=["count"], where=where)["count"].tolist() == expected


def test_columns_come_in_the_order_asked() -> None:
    assert list(lake.load("t.trade", columns=("v", "product"))) == ["v", "product"]
    with pytest.raises(ConfigError, match="none"):
        lake.load("t.trade", columns=[])


@pytest.mark.parametrize(
    "where", [{"product": 10121}, {"count": "1"}, {"count": True}, {"is_group": 1}, {"month": 2021}, {"v": ["x"]}]
)
def test_a_value_of_another_type_is_refused(where: Any) -> None:
    with pytest.raises(ConfigError, match="a value to find"):
        lake.load("t.trade", where=where)


@pytest.mark.parametrize("where", [["count"], 3, ("count", 1), {"count"}, 1.5, True, b"count = 1"])
def test_a_condition_of_another_type_is_refused(where: Any) -> None:
    with pytest.raises(ConfigError, match=r"the condition of a load.*a mapping such as"):
        lake.load("t.trade", where=where)
    assert len(lake.load("t.trade", where={"count": 1})) == 1  # control


@pytest.mark.parametrize(
    ("columns", "message"), [("count", r"Pass a list: columns=\['count'\]"), (3, "a list of names")]
)
def test_columns_that_are_no_list_are_refused(columns: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lake.load("t.trade", columns=columns)
    assert list(lake.load("t.trade", columns=("count",))) == ["count"]  # control


def test_a_table_that_is_no_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="source and table"):
        lake.load(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("years", ["2005", b"2005", ["2005"], 2005.0, [2005.5], True, [None], 5, [], range(0)])
def test_what_is_no_year_is_refused_everywhere(years: Any) -> None:
    for ask in (lambda: cte.pull("baci", years=years), lambda: cte.panel("us_month", years)):
        with pytest.raises(ConfigError, match="year"):
            ask()


@pytest.mark.parametrize("years", [2005, [2005], (2005, 2005), range(2005, 2006), np.int16(2005), np.array([2005])])
def test_a_year_or_several_are_years(years: Any) -> None:
    assert lake.chosen_years(years) == {2005}
    assert lake.chosen_years(None) is None
    with pytest.raises(NotPulled):  # past the check of the years
        cte.panel("us_month", years)


def test_a_mirror_or_source_of_another_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="the path of a folder"):
        cte.pull("baci", mirror=5)
    with pytest.raises(UnknownName):
        cte.pull(["baci"])


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UnknownName, match=r"'trad'.*Did you mean trade"):
        lake.load("t.trad")
    with pytest.raises(UnknownName, match=r"'partnr'.*Did you mean partner"):
        lake.load("t.trade", columns=["partnr"])
    with pytest.raises(UnknownName, match=r"'produkt'.*Did you mean product"):
        lake.load("t.trade", where={"produkt": "1"})
    with pytest.raises(UnknownName, match=r"'us_cencus'.*us_census\.flows"):
        lake.load("us_cencus.flows")
    with pytest.raises(NotPulled, match="cyber-trade-econ pull us_census"):
        lake.load("us_census.flows")
    with pytest.raises(NotPulled, match="cyber-trade-econ pull baci"):
        lake.provenance("baci")


@pytest.mark.parametrize(
    "where",
    [
        "count in (select 1 from read_csv('{secret}'))",
        "true) union all select 1 from range(3) where (true",
        "exists (SELECT 1 from duckdb_settings())",
        "count in (FROM (VALUES (1)))",
        "true) union all select * from read_text('{secret}') --",
        "true); copy (select 1) to '{target}'; select (1",
        "true); attach '{target}'; select (1",
        "(select count(*) from read_parquet('{target}')) > 0",
        "getenv('HOME') <> ''",
        "nothing = 1",
        "count >",
        " ",
        "count = 1; select 2",
    ],
)
def test_a_condition_stays_in_its_table(tmp_path: Path, where: str) -> None:
    secret, target = tmp_path / "secret.csv", tmp_path / "written"
    secret.write_text("a\n1\n")
    with pytest.raises(ConfigError):
        lake.load("t.trade", where=where.format(secret=secret, target=target))
    assert len(lake.load("t.trade", where="partner <> 'select'"))  # control: the word in quotes is a value
    assert not target.exists()


def test_hostile_values_are_values(tmp_path: Path) -> None:
    assert len(lake.load("t.trade", where={"partner": "x' OR '1'='1"})) == 0
    assert lake.load("t.plain", where={"name": "x; drop"})["name"].tolist() == ["x; drop"]


def test_years() -> None:
    assert lake.years("t.trade") == (2021, 2023)
    with pytest.raises(UnknownName, match="has no time"):
        lake.years("t.plain")


def test_home_is_the_variable_or_the_users_folder(monkeypatch: pytest.MonkeyPatch, own_lake: Path) -> None:
    assert lake.home() == own_lake
    monkeypatch.delenv("CYBER_TRADE_ECON_LAKE")
    assert lake.home().name == "cyber-trade-econ"
    assert lake.pulled(own_lake / "nowhere") == ()
