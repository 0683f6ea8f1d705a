"""Country codes: the package's table against itself and against what the sources are known to use."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_trade_econ import codes
from cyber_trade_econ.codes.mention import mentioned
from cyber_trade_econ.errors import ConfigError, UnknownCode

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"country", "territory", "disputed", "former", "group", "unknown", "not attributed"}


def rows() -> list[dict[str, str]]:
    folder = resources.files("cyber_trade_econ.codes")
    texts = [folder.joinpath(f).read_text(encoding="utf-8") for f in ("country.csv", "cow.csv", "names.csv")]
    return [row for text in texts for row in csv.DictReader(text.splitlines())]


def test_the_table_is_consistent() -> None:
    table = rows()
    assert {r["kind"] for r in table} == KINDS
    iso3 = {r["iso3"] for r in table if r["scheme"] == "iso3"}
    for row in table:
        assert bool(row["iso3"]) == (row["kind"] in {"country", "territory", "disputed", "former"}), row
        assert not row["iso3"] or row["iso3"] in iso3, row
        assert row["name"], row
        assert not (row["valid_from"] and row["valid_to"]) or row["valid_from"] <= row["valid_to"], row
    keys = [(r["scheme"], r["code"], r["valid_from"]) for r in table]
    assert len(set(keys)) == len(keys)
    assert {r["scheme"] for r in table} == set(codes.schemes())


def test_doubtful_codes_say_why() -> None:
    assert all(r["note"] for r in rows() if r["kind"] == "disputed")


def test_spans_of_one_code_do_not_overlap() -> None:
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for r in rows():
        spans.setdefault((r["scheme"], r["code"]), []).append((int(r["valid_from"] or 0), int(r["valid_to"] or 9999)))
    for code, listed in spans.items():
        ordered = sorted(listed)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(ordered)), code


@pytest.mark.parametrize(
    ("code", "iso3"),
    [
        (842, "USA"), (251, "FRA"), (699, "IND"), (757, "CHE"), (579, "NOR"), (490, "TWN"), (380, "ITA"), (381, "ITA"),
        (516, "NAM"), ("004", "AFG"), (58, "BEL"), (711, "ZAF"), (736, "SDN"), (729, "SDN"), (810, "SUN"), (891, "SCG"),
        (688, "SRB"), (530, "ANT"), (28, "ATG"), (280, "DEU"), (278, "DDR"), (697, None), (849, None), (899, None), (0, None),
    ],
)  # fmt: skip
def test_numbers_of_baci_are_not_those_of_iso(code: object, iso3: str | None) -> None:
    assert codes.to_iso3([code], "baci").tolist() == [iso3]


def test_namibia_is_a_country_everywhere() -> None:
    assert codes.to_iso3(["NA"], "iso2").tolist() == ["NAM"]
    assert codes.to_iso3(["NA", "US"], "eurepoc").tolist() == ["NAM", "USA"]
    assert codes.to_iso3([7920], "census").tolist() == ["NAM"]
    assert codes.to_iso3(["NAM"], "geodist").tolist() == ["NAM"]
    assert codes.iso3_names()["NAM"] == codes.name_of("NAM") == "Namibia"


def test_a_code_that_was_used_twice_depends_on_the_year() -> None:
    assert codes.to_iso3(["CS", "CS"], "iso2", [1990, 2004]).tolist() == ["CSK", "SCG"]
    assert codes.to_iso3(["CS"], "iso2", 1990).tolist() == ["CSK"]
    assert codes.to_iso3(["CS"], "iso2").tolist() == ["SCG"]


def test_use_of_a_code_after_its_end_is_kept_and_flagged() -> None:
    assert codes.to_iso3(["810"], "baci", 2005).tolist() == ["SUN"]
    assert codes.outside_validity(["810", "810", "643"], "baci", [2005, 1990, 2005]).tolist() == [True, False, False]


def test_old_codes_of_geodist() -> None:
    assert codes.to_iso3(["ROM", "ZAR", "TMP", "PAL", "YUG"], "geodist").tolist() == ["ROU", "COD", "TLS", "PSE", "SCG"]


@pytest.mark.parametrize(
    ("number", "year", "iso3"),
    [
        (2, 2010, "USA"), (365, 2010, "RUS"), (365, 1990, "SUN"), (710, 2010, "CHN"), (713, 2010, "TWN"),
        (731, 2010, "PRK"), (732, 2010, "KOR"), (630, 2010, "IRN"), (200, 2010, "GBR"), (255, 2010, "DEU"),
        (345, 1985, "YUG"), (345, 2000, "SCG"), (345, 2010, "SRB"), (626, 2012, "SSD"), ("710.0", 2010, "CHN"),
        (710.0, 2010, "CHN"), (816, 2010, "VNM"), (347, 2010, "XKX"),
    ],
)  # fmt: skip
def test_numbers_of_the_correlates_of_war(number: object, year: int, iso3: str) -> None:
    assert codes.to_iso3([number], "cow", year).tolist() == [iso3]


def test_states_of_the_correlates_of_war() -> None:
    table = [r for r in rows() if r["scheme"] == "cow"]
    assert len({r["code"] for r in table}) == 196, "195 members in 2016 and Czechoslovakia, which ended in 1992"
    today = [r["iso3"] for r in table if not r["valid_to"]]
    assert len(set(today)) == len(today) == 195
    assert codes.outside_validity([347, 347, 626], "cow", [2005, 2010, 2005]).tolist() == [True, False, True]
    with pytest.raises(UnknownCode, match=r"codes/cow\.csv"):
        codes.to_iso3([999], "cow")


@pytest.mark.parametrize(
    ("name", "iso3"),
    [
        ("Korea (Democratic People's Republic of)", "PRK"), ("Korea (the Democratic People's Republic of)", "PRK"),
        ("Korea (Republic of)", "KOR"), ("N Korea", "PRK"), ("United States Of America", "USA"), (" US ", "USA"),
        ("united  kingdom", "GBR"), ("The Philippines", "PHL"), ("Palestine, State of", "PSE"), ("Congo", "COG"),
        ("Democratic Republic of the Congo", "COD"), ("Turkey", "TUR"), ("Türkiye", "TUR"), ("Niger", "NER"),
        ("Korea (the Republic of)", "KOR"), ("Hong Kong SAR", "HKG"), ("Macao SAR", "MAC"), ("Taiwan", "TWN"),
        ("Taiwan, Province of China", "TWN"), ("Chinese Taipei", "TWN"), ("Republic of the Congo", "COG"),
        ("DR Congo", "COD"), ("Viet Nam", "VNM"), ("Yemen", "YEM"), ("Serbia", "SRB"), ("Soviet Union", "SUN"),
        ("USSR", "SUN"), ("Czechoslovakia", "CSK"), ("East Germany", "DDR"), ("Serbia and Montenegro", "SCG"),
        ("Undetermined", None), ("unknown", None), ("European Union", None), ("Namibia", "NAM"),
    ],
)  # fmt: skip
def test_names_as_databases_write_them(name: str, iso3: str | None) -> None:
    assert codes.to_iso3([name], "name").tolist() == [iso3]


def test_a_bare_korea_is_nobody() -> None:
    with pytest.raises(UnknownCode, match=r"'Korea'.*codes/names\.csv"):
        codes.to_iso3(["Korea"], "name")
    assert codes.to_iso3(["Republic of Korea"], "name").tolist() == ["KOR"]


def test_names_of_former_states_end_with_them() -> None:
    used = ["Soviet Union", "Soviet Union", "East Germany", "Serbia and Montenegro", "Czechoslovakia"]
    assert codes.outside_validity(used, "name", [1990, 2005, 1989, 2006, 1993]).tolist() == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_germany_of_the_correlates_of_war_is_the_one_of_1990() -> None:
    """The Federal Republic until 1990 (260) and the Democratic Republic (265) ended before the years of the table."""
    assert codes.to_iso3([255], "cow", 1990).tolist() == ["DEU"]
    assert codes.outside_validity([255, 255, 679, 679], "cow", [1989, 1990, 1989, 1990]).tolist() == [
        True,
        False,
        True,
        False,
    ]
    for ended in (260, 265, 678, 680, 817):
        with pytest.raises(UnknownCode, match=str(ended)):
            codes.to_iso3([ended], "cow", 1985)


def test_every_united_nations_name_maps(shared: Path) -> None:
    text = (shared / "data/codes/UNSD-M49-en.csv").read_text(encoding="utf-8-sig")
    published = {r["Country or Area"]: r["ISO-alpha3 Code"] for r in csv.DictReader(text.splitlines())}
    assert len(published) > 240
    there = {name: iso3 for name, iso3 in published.items() if codes.is_country(iso3)}
    assert codes.to_iso3(there, "name").tolist() == list(there.values())


@pytest.mark.parametrize(
    ("text", "economies", "wider"),
    [
        ("Ukrainian government agencies", ("UKR",), False),
        ("Ukrainian and Polish military personnel", ("UKR", "POL"), False),
        ("South Sudanese citizens", ("SSD",), False),
        ("Universities in Papua New Guinea", ("PNG",), False),
        ("North Koreans", ("PRK",), False),
        ("Devices of Qatar's royal family", ("QAT",), False),
        ("U.S. Department of State", ("USA",), False),
        ("US Bancorp", (), False),
        ("a turkey farm", (), False),
        ("Nigeria's banks", ("NGA",), False),
        ("Roman ruins and Indiana", (), False),
        ("Companies in New Mexico", (), False),
        ("Latin American ministries", (), True),
        ("South African shipping companies", ("ZAF",), False),
        ("Austrian Foreign Ministry", ("AUT",), False),
        ("Foreign firms in Austria", ("AUT",), True),
        ("Organizations in the United States and Europe", ("USA",), True),
        ("Iranian expats and dissidents", ("IRN",), True),
        ("Likely Armenian officials", ("ARM",), True),
        ("Uyghurs living in Pakistan", ("PAK",), True),
        ("Northern Ireland's assembly", ("GBR",), False),
        ("Schools in British Columbia", (), False),
        ("Banks in French Polynesia and American Samoa", (), False),
        ("Firms around the Indian Ocean", (), True),
        ("Chinese Taipei", ("TWN",), False),
        ("English-language newspapers", ("GBR",), True),
        ("Russian-speaking users", ("RUS",), True),
        ("Boston Children's Hospital", (), False),
        ("", (), False),
    ],
)
def test_economies_that_a_text_names(text: str, economies: tuple[str, ...], wider: bool) -> None:
    found = mentioned(text)
    assert (found.economies, found.wider) == (economies, wider)


def test_every_unknown_code_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownCode, match=r"2 country code\(s\).*'QQZ'.*'UNK' \(near: .*UK"):
        codes.to_iso3(["DEU", "QQZ", "UNK", "QQZ"], "iso3")
    with pytest.raises(UnknownCode, match="no table"):
        codes.name_of("ZZZ")
    with pytest.raises(ConfigError, match="'iso9'"):
        codes.to_iso3([], "iso9")


def test_groups_are_no_countries() -> None:
    assert codes.to_iso3(["EUROPE", "Unknown", "EU"], "eurepoc").tolist() == [None, None, None]
    assert [codes.is_country(c) for c in ("DEU", "TWN", "SUN", "EUU", "WLD", "")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


@given(st.lists(st.sampled_from([r["code"] for r in rows() if r["scheme"] == "baci"]), max_size=50), st.randoms())
def test_order_and_repetition_do_not_matter(listed: list[str], dice: object) -> None:
    whole = codes.to_iso3(listed, "baci")
    assert whole.shape == (len(listed),)
    alone = [codes.to_iso3([c], "baci")[0] for c in listed]
    assert np.array_equal(whole, np.array(alone, dtype=object))


@pytest.mark.parametrize(
    ("day", "count"),
    [
        ("1957-12-31", 0), ("1958-01-01", 6), ("1972-12-31", 6), ("1973-01-01", 9), ("1981-01-01", 10), ("1986-01-01", 12),
        ("1995-01-01", 15), ("2004-04-30", 15), ("2004-05-01", 25), ("2007-01-01", 27), ("2013-07-01", 28),
        ("2020-01-31", 28), ("2020-02-01", 27), ("2025-01-01", 27),
    ],
)  # fmt: skip
def test_members_of_the_european_union(day: str, count: int) -> None:
    listed = codes.members("EUU", day)
    assert len(listed) == count
    assert all(map(codes.is_country, listed))
    assert ("GBR" in listed) == ("1973-01-01" <= day < "2020-02-01")


def test_membership_takes_dates_and_refuses_the_rest() -> None:
    assert codes.members("EUU", dt.date(2021, 1, 1)) == codes.members("EUU", "2021-01-01")
    with pytest.raises(UnknownCode, match="EUU"):
        codes.members("EUR", "2020-01-01")
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        codes.members("EUU", "1.2.2020")


def test_iso_codes_agree_with_the_united_nations_list(shared: Path) -> None:
    text = (shared / "data/codes/UNSD-M49-en.csv").read_text(encoding="utf-8-sig")
    published = {r["ISO-alpha3 Code"]: r for r in csv.DictReader(text.splitlines()) if r["ISO-alpha3 Code"]}
    assert len(published) > 240
    own = {r["iso3"]: r["code"] for r in rows() if r["scheme"] == "iso2" and r["kind"] != "former"}
    assert {a3 for a3 in own if a3 not in published} <= {"TWN", "XKX"}
    assert {a3: own.get(a3) for a3 in published} == {a3: r["ISO-alpha2 Code"] for a3, r in published.items()}
    numbers = dict.fromkeys(published, "")
    for a3, row in published.items():
        numbers[a3] = codes.to_iso3([row["M49 Code"]], "baci")[0]
    # UN Comtrade counts Monaco with France and uses its number, 492, for "Europe EU, nes".
    assert {a3 for a3, got in numbers.items() if got != a3} == {"MCO"}


def test_every_code_of_the_real_baci_lists_maps(shared: Path) -> None:
    for version in ("202001", "202201", "202301"):
        raw = (shared / f"mirror/baci/country_codes_V{version}.csv").read_bytes().decode("latin-1")
        listed = list(csv.reader(raw.splitlines()))[1:]
        assert len(listed) > 220
        codes.to_iso3([r[0] for r in listed], "baci")
