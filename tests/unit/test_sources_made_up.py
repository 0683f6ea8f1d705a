"""Sources on small made-up files: what must be read, and what must be refused by name."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
import stat
import zipfile
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import (
    ArchiveError,
    ConfigError,
    CyberTradeError,
    DuplicateKey,
    ParseError,
    SchemaError,
    TooBig,
    UnknownCode,
)
from cyber_trade_econ.sources import _archive, get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Rows = list[list[Any]]


def xlsx(rows: Rows) -> bytes:
    """A workbook with one sheet of texts and numbers."""

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/'
        f'vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.'
        f'main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="s" sheetId="1" r:id="r1"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def pulled(tmp_path: Path) -> Callable[..., lake.Pulled]:
    """Pull a source from a mirror that holds these files."""

    def pull(name: str, files: dict[str, bytes | str], **options: Any) -> lake.Pulled:
        folder = tmp_path / "mirror" / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for file, content in files.items():
            (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
        return lake.pull(get(name), mirror=folder, **options)

    return pull


# --- us_census -----------------------------------------------------------------------------------------------------------

CENSUS = ["year", "CTY_CODE", "CTYNAME"]
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC", "YR"]
CENSUS = CENSUS + ["I" + m for m in MONTHS] + ["E" + m for m in MONTHS]


def census_row(year: str, code: str, name: str, imports: list[float], exports: list[float]) -> list[Any]:
    return [year, code, name, *imports, sum(imports), *exports, sum(exports)]


def census(*extra: list[Any]) -> Rows:
    full, some = [10.0] * 12, [5.0, 0.0] + [0.0] * 10
    return [
        CENSUS,
        census_row("2023", "7920", "Namibia", full, [0.0] * 12),
        census_row("2024", "7920", "Namibia", some, [0.0] * 12),
        census_row("2024", "0003", "European Union", [50.0, 60.0] + [0.0] * 10, [1.0, 0.0, 0.0] + [0.0] * 9),
        *extra,
    ]


def test_census_months_not_released_are_left_out_and_zeros_kept(pulled: Any) -> None:
    got = pulled("us_census", {"country.xlsx": xlsx(census())})
    frame = lake.load("us_census.flows")
    assert got.facts["flows"]["last_month"] == got.version == "2024-02"
    assert got.facts["flows"]["dropped_not_released"] == 2 * 2 * 10
    assert len(frame) == 2 * 12 + 2 * 2 * 2
    namibia = frame[(frame["partner"] == "NAM") & (frame["flow"] == "import") & (frame["month"] >= "2024-01-01")]
    assert namibia["trade_musd"].tolist() == [5.0, 0.0], "a zero within the released months is a zero"
    assert (frame["month"].max(), frame["month"].min()) == (pd.Timestamp("2024-02-01"), pd.Timestamp("2023-01-01"))


def test_census_direction_and_groups(pulled: Any) -> None:
    pulled("us_census", {"country.xlsx": xlsx(census())})
    frame = lake.load("us_census.flows")
    sides = frame[~frame["is_group"]].groupby("flow")[["exporter", "importer"]].first()
    assert sides.loc["import"].tolist() == ["NAM", "USA"]
    assert sides.loc["export"].tolist() == ["USA", "NAM"]
    group = frame[frame["is_group"]]
    assert set(group["partner_code"]) == {"0003"}
    assert group[["exporter", "importer", "partner"]].isna().all(axis=None)


def test_census_years_can_be_chosen(pulled: Any) -> None:
    got = pulled("us_census", {"country.xlsx": xlsx(census())}, years=[2023])
    assert lake.years("us_census.flows") == (2023,)
    assert got.facts["flows"]["dropped_year_not_asked"] == 48


def test_census_code_after_its_end_is_kept_and_counted(pulled: Any) -> None:
    late = census_row("2023", "4610", "USSR", [0.0] * 12, [0.0] * 12)
    got = pulled("us_census", {"country.xlsx": xlsx(census(late))})
    assert got.facts["flows"]["flagged_outside_validity"] == 24
    assert set(lake.load("us_census.flows", where={"partner_code": "4610"})["partner"]) == {"SUN"}


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def test_census_a_partner_under_another_name_is_listed(pulled: Any) -> None:
    turned = census_row("2024", "4890", "Turkiye", [1.0] + [0.0] * 11, [1.0] + [0.0] * 11)
    got = pulled("us_census", {"country.xlsx": xlsx(census(turned))})
    assert got.facts["flows"]["names_changed"] == ["4890: Turkiye (was Turkey)"]


def test_census_a_new_group_is_a_group(pulled: Any) -> None:
    bloc = census_row("2024", "0099", "A New Bloc", [9.0] + [0.0] * 11, [9.0] + [0.0] * 11)
    got = pulled("us_census", {"country.xlsx": xlsx(census(bloc))})
    assert got.facts["flows"]["names_changed"] == ["0099: A New Bloc (was new)"]
    assert lake.load("us_census.flows", where={"partner_code": "0099"})["is_group"].all()


def test_census_a_cut_file_leaves_the_earlier_bytes(pulled: Any, own_lake: Path) -> None:
    whole = xlsx(census())
    pulled("us_census", {"country.xlsx": whole})
    lock = (own_lake / "raw/us_census/lock.json").read_bytes()
    with pytest.raises(ParseError):
        pulled("us_census", {"country.xlsx": cut(whole)})
    assert (own_lake / "raw/us_census/country.xlsx").read_bytes() == whole
    assert (own_lake / "raw/us_census/lock.json").read_bytes() == lock
    longer = xlsx(census(census_row("2024", "5700", "China", [1.0] * 2 + [0.0] * 10, [1.0] * 2 + [0.0] * 10)))
    pulled("us_census", {"country.xlsx": longer})  # control
    assert (own_lake / "raw/us_census/country.xlsx").read_bytes() == longer


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (xlsx(census(census_row("2024", "9999", "Atlantis", [1.0] * 12, [1.0] * 12))), UnknownCode, "9999 Atlantis"),
        (xlsx(census(census_row("2024", "5700", "China", [-1.0] * 12, [1.0] * 12))), SchemaError, "negative"),
        (xlsx(census(["2024", "5700", "China", *["n/a"] * 26])), ParseError, "line 5.*no number"),
        (xlsx(census(census_row("20x4", "5700", "China", [1.0] * 12, [1.0] * 12))), ParseError, "no year"),
        (xlsx(census(census()[1])), DuplicateKey, r"24 row\(s\)"),
        (xlsx(census(["2024", "5700", "China", *[1.0] * 26])), SchemaError, "not the sum of their months"),
        (
            xlsx([[c.replace("CTY_CODE", "CTYCODE") for c in CENSUS], *census()[1:]]),
            SchemaError,
            "'CTY_CODE' may now be 'CTYCODE'",
        ),
        (xlsx([CENSUS]), ParseError, "no rows"),
        (cut(xlsx(census())), ParseError, "cannot be read as a workbook"),
        (b"year,CTY_CODE\n1,2\n", ParseError, "cannot be read as a workbook"),
        (b"", ParseError, "cannot be read as a workbook"),
    ],
)
def test_census_files_that_are_refused(pulled: Any, content: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pulled("us_census", {"country.xlsx": content})


# --- geodist -------------------------------------------------------------------------------------------------------------

DIST = ["iso_o", "iso_d", "contig", "comlang_off", "comlang_ethno", "colony", "comcol", "curcol", "col45", "smctry",
        "dist", "distcap", "distw", "distwces"]  # fmt: skip


def pair(origin: str, destination: str, *, contig: Any = 0, dist: Any = 10.5, distw: Any = 11.5) -> list[Any]:
    return [origin, destination, contig, 1, 0, 0, 0, 0, 0, 0, dist, 12.5, distw, 9.5]


def geodist(*rows: list[Any], member: str = "dist_cepii.xls") -> dict[str, bytes]:
    return {"dist_cepii.zip": packed({member: xlsx([DIST, *rows])})}


def test_geodist_names_codes_and_missing(pulled: Any) -> None:
    got = pulled("geodist", geodist(pair("ROM", "NAM", distw="."), pair("NAM", "ROM"), pair("YUG", "ZAR")))
    frame = lake.load("geodist.pairs")
    assert frame["exporter"].tolist() == ["ROU", "NAM", "SCG"]
    assert frame["importer"].tolist() == ["NAM", "ROU", "COD"]
    assert frame["iso_d"].tolist() == ["NAM", "ROM", "ZAR"]
    assert frame["dist_weighted_km"].isna().tolist() == [True, False, False]
    assert frame["dist_km"].tolist() == [10.5] * 3
    assert frame["common_language"].tolist() == [1, 1, 1]
    assert got.facts["pairs"]["flagged_distance_missing"] == 1


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (geodist(pair("QQQ", "NAM")), UnknownCode, "'QQQ'"),
        (geodist(pair("NAM", "DEU"), pair("NAM", "DEU")), DuplicateKey, "NAM"),
        (geodist(pair("NAM", "DEU", dist=-1)), SchemaError, "below 0"),
        (geodist(pair("NAM", "DEU", dist=".")), SchemaError, "1 missing"),
        (geodist(pair("NAM", "DEU", contig=2)), SchemaError, "every flag is 0 or 1"),
        (geodist(pair("NAM", "DEU", distw="far")), ParseError, "line 2.*'distw'"),
        (geodist(pair("NAM", "DEU"), member="other.txt"), ArchiveError, r"should hold one \*\.xls"),
        ({"dist_cepii.zip": cut(geodist(pair("NAM", "DEU"))["dist_cepii.zip"])}, ArchiveError, "not a whole zip"),
        ({"dist_cepii.zip": packed({"dist_cepii.xls": b"<html>"})}, ParseError, "workbook"),
    ],
)
def test_geodist_files_that_are_refused(pulled: Any, files: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pulled("geodist", files)


# --- archives ------------------------------------------------------------------------------------------------------------


def reading(path: Path, limit: int = 1 << 22) -> bytes:
    with _archive.opened(path, limit) as archive:
        return _archive.read(archive, _archive.member_named(archive, ".csv"))


def test_a_good_archive_is_read_and_junk_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(packed({"folder/a.csv": b"x\n1\n", "__MACOSX/._a.csv": b"junk"}))
    assert reading(path) == b"x\n1\n"


@pytest.mark.parametrize("name", ["../../x.csv", "/abs.csv", "C:\\x.csv", "a\\..\\x.csv", "a/../../x.csv"])
def test_members_that_point_outside_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(packed({name: b"x\n1\n"}))
    with pytest.raises(ArchiveError, match="outside"):
        reading(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_bombs_twins_links_and_locks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(packed({"a.csv": bytes(3_000_000)}))
    with pytest.raises(TooBig):
        reading(path)
    path.write_bytes(packed({"a.csv": random.Random(1).randbytes(50_000)}))  # noqa: S311  # seeded
    assert len(reading(path, 50_000)) == 50_000
    with pytest.raises(TooBig, match="at most 49999"):
        reading(path, 49_999)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.csv", "2")
    with pytest.raises(ArchiveError, match="same name"):
        reading(path)
    link = zipfile.ZipInfo("a.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match="link"):
        reading(path)
    content = bytearray(packed({"a.csv": b"x"}))
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(mark) + at] |= 1
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="encrypted"):
        reading(path)


def test_every_damage_to_an_archive_is_an_archive_error_or_harmless(tmp_path: Path) -> None:
    whole = packed({"a.csv": b"".join(b"%d,%d\n" % (i, i * i % 997) for i in range(3000))})
    expected = b"".join(b"%d,%d\n" % (i, i * i % 997) for i in range(3000))
    path, dice, caught = tmp_path / "a.zip", random.Random(5), 0  # noqa: S311  # seeded
    for round_ in range(150):
        broken = bytearray(whole)
        if round_ % 2:
            broken = broken[: dice.randrange(len(whole))]
        else:
            broken[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(broken)
        try:
            assert reading(path) == expected
        except (ArchiveError, TooBig):
            caught += 1
    assert caught > 120, "most damage hits the data; a flip in a time stamp does no harm"


# --- eurepoc -------------------------------------------------------------------------------------------------------------

TYPES = [
    "Data theft",
    "Data theft & Doxing",
    "Disruption",
    "Hijacking with Misuse",
    "Hijacking without Misuse",
    "Not available",
    "Ransomware",
]
SHARED = {
    "incident_id": 1, "name": "An incident", "description": "What happened.", "start_date": "2022-03-01",
    "end_date": "Not available",
    "initiator_country": "Russia", "initiator_alpha_2": "RU", "receiver_country": "Namibia",
    "receiver_country_alpha_2_code": "NA", "initiator_name": "Group",
    "receiver_category": "State", "initiator_category": "State", "initiator_subcategory": "Not available",
    "source_disclosure": "x",
    "weighted_intensity": 3, "unweighted_intensity": 3, "number_attributions": 1, "number_political_responses": 0,
    "number_legal_responses": 0, "added_to_db": "2022-08-15", "updated_at": "2022-11-02",
}  # fmt: skip
DYAD = SHARED | {"dyad_id": 9, "operation_type": "Data theft"} | dict.fromkeys(TYPES, 0) | {"Data theft": 1}
INCIDENT = SHARED | {
    "incident_type": "Data theft;Hijacking with Misuse", "start_date": "01.03.2022",
    "source_url": "https://a.example/one;https://a.example/two", "attribution_source_url": "https://a.example/one",
}  # fmt: skip
ATTRIBUTION = {
    "attribution_id": 5, "incident_id": 1, "attribution_date": "2022-4-1", "attribution_subtype": "Not available",
    "attribution_basis": "Receiver attributes attacker", "attribution_type": "Domestic legal action",
    "attributing_country": "Namibia", "attributing_actor": "Court", "settled_attribution": "True",
    "initiator_country": "Russia", "initiator_alpha_2": "RU", "initiator_name": "Group",
    "initiator_category": "State", "initiator_subcategory": "Not available",
}  # fmt: skip


def as_csv(*rows: dict[str, Any]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def eurepoc(dyads: str | None = None, incidents: str | None = None) -> dict[str, str]:
    return {
        "eurepoc_dyadic_dataset_0_1.csv": dyads or as_csv(DYAD),
        "eurepoc_global_dataset_1_3.csv": incidents or as_csv(INCIDENT),
        "eurepoc_attribution_dataset_1.3.csv": as_csv(ATTRIBUTION),
    }


def test_eurepoc_attributions_name_the_initiating_country(pulled: Any) -> None:
    pulled("eurepoc", eurepoc())
    row = lake.load("eurepoc.attributions").iloc[0]
    assert (row["initiator_all"], row["initiator_status"], row["settled"], row["row"]) == ("RUS", "country", "True", 2)
    assert lake.load("eurepoc.dyads")["description"].tolist() == ["What happened."]
    assert lake.load("eurepoc.incidents")["sources"].tolist() == ["https://a.example/one|https://a.example/two"]


def side(**changes: Any) -> pd.Series:
    return lake.load("eurepoc.dyads").iloc[0]


@pytest.mark.parametrize(
    ("country", "code", "iso3", "status", "every"),
    [
        ("Russia", "RU", "RUS", "country", "RUS"),
        ("Namibia", "NA", "NAM", "country", "NAM"),
        ("Iran, Islamic Republic of", "IR", "IRN", "country", "IRN"),
        ("Russia, Belarus", "RU, BY", None, "joint", "RUS;BLR"),
        ("Iran, Islamic Republic of, Not available", "IR, #N/A", "IRN", "country", "IRN"),
        ("Russia;Russia", "RU;RU", "RUS", "country", "RUS"),
        ("France;Europe (region)", "FR;EUROPE", None, "joint", "FRA"),
        ("Europe (region)", "EUROPE", None, "group", ""),
        ("EU (institutions)", "EU", None, "group", ""),
        ("Africa", "#N/A", None, "group", ""),
        ("A new organisation", "#N/A", None, "group", ""),
        ("Unknown", "Unknown", None, "unknown", ""),
        ("Not available", "#N/A", None, "unknown", ""),
        ("Not attributed", "Not attributed", None, "not attributed", ""),
    ],
)
def test_eurepoc_tells_countries_from_the_rest(
    pulled: Any, country: str, code: str, iso3: Any, status: str, every: str
) -> None:
    row = DYAD | {"initiator_country": country, "initiator_alpha_2": code}
    got = pulled("eurepoc", eurepoc(as_csv(row)))
    frame = lake.load("eurepoc.dyads")
    assert frame["initiator"].isna().all() if iso3 is None else frame["initiator"].tolist() == [iso3]
    assert frame["initiator_status"].tolist() == [status]
    assert frame["initiator_all"].tolist() == [every]
    assert frame["initiator_name"].tolist() == [country]
    assert got.facts["dyads"].get("initiator_names_without_code", []) == (
        ["A new organisation"] if "new" in country else []
    )


def test_eurepoc_dates_in_both_forms_and_types(pulled: Any) -> None:
    incident = INCIDENT | {"end_date": "28.02.2023"}
    pulled("eurepoc", eurepoc(incidents="\ufeff" + as_csv(incident)))
    dyads, incidents = lake.load("eurepoc.dyads"), lake.load("eurepoc.incidents")
    assert dyads["start_date"].iloc[0] == incidents["start_date"].iloc[0] == pd.Timestamp("2022-03-01")
    assert dyads["end_date"].isna().all()
    assert incidents["end_date"].iloc[0] == pd.Timestamp("2023-02-28")
    assert incidents.loc[0, ["data_theft", "hijacking_with_misuse", "ransomware"]].tolist() == [1, 1, 0]
    assert dyads.loc[0, ["data_theft", "hijacking_with_misuse"]].tolist() == [1, 0]


def test_eurepoc_the_first_of_two_columns_of_one_name_counts(pulled: Any) -> None:
    lines = [[*list(INCIDENT), "initiator_country"], [*list(INCIDENT.values()), "Settled"]]
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    pulled("eurepoc", eurepoc(incidents=buffer.getvalue()))
    assert lake.load("eurepoc.incidents")["initiator_name"].tolist() == ["Russia"]


def test_eurepoc_the_workbook_is_read_as_the_csv(pulled: Any) -> None:
    pulled("eurepoc", eurepoc())
    from_csv = lake.load("eurepoc.dyads")
    book = xlsx([list(DYAD), list(DYAD.values())])
    pulled(
        "eurepoc",
        {
            "eurepoc_dyadic_dataset_0_1.xlsx": book,
            "eurepoc_global_dataset_1_3.csv": as_csv(INCIDENT),
            "eurepoc_attribution_dataset_1.3.csv": as_csv(ATTRIBUTION),
        },
    )
    pd.testing.assert_frame_equal(lake.load("eurepoc.dyads"), from_csv)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (eurepoc(as_csv(DYAD | {"initiator_alpha_2": "QQ"})), UnknownCode, "'QQ'"),
        (eurepoc(as_csv(DYAD, DYAD)), DuplicateKey, "dyad_id"),
        (eurepoc(as_csv(DYAD | {"start_date": "2022-13-01"})), ParseError, "line 2.*'start_date'.*2022-13-01"),
        (eurepoc(as_csv(DYAD | {"start_date": "1/3/2022"})), ParseError, "start_date"),
        (eurepoc(as_csv(DYAD | {"weighted_intensity": -1})), SchemaError, "weighted_intensity"),
        (eurepoc(as_csv(DYAD | {"weighted_intensity": 2.5})), ParseError, "weighted_intensity"),
        (eurepoc(as_csv(DYAD | {"incident_id": "x"})), ParseError, "incident_id"),
        (eurepoc(incidents=as_csv(INCIDENT | {"incident_type": "Sabotage"})), ParseError, "Sabotage"),
        (eurepoc(as_csv(DYAD)[:-9]), ParseError, "ends inside a row"),
        (eurepoc(as_csv(DYAD, DYAD)[:-40] + "\n"), ParseError, "unexpected end of data"),
        (eurepoc(as_csv(DYAD).replace('receiver_country"', 'receiver_land"', 1)), SchemaError, "receiver_country"),
        (eurepoc(as_csv(DYAD) + "1,2,3\n"), ParseError, "another width, line 3"),
        (eurepoc(as_csv(DYAD).split("\n")[0] + "\n"), ParseError, "no rows"),
    ],
)
def test_eurepoc_files_that_are_refused(pulled: Any, files: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pulled("eurepoc", files)


def test_eurepoc_years_follow_the_start_and_unknown_starts_stay(pulled: Any) -> None:
    rows = [
        DYAD | {"incident_id": n, "start_date": d} for n, d in enumerate(["2021-05-01", "2022-05-01", "Not available"])
    ]
    got = pulled("eurepoc", eurepoc(as_csv(*rows)), years=[2022])
    assert lake.load("eurepoc.dyads")["incident_id"].tolist() == [1, 2]
    assert got.facts["dyads"]["dropped_year_not_asked"] == 1


# --- baci ----------------------------------------------------------------------------------------------------------------

NEW_COUNTRIES = (
    "country_code,country_name,country_iso2,country_iso3\n"
    '516,Namibia,NA,NAM\n490,"Other Asia, nes",N/A,S19\n842,USA,US,USA\n'
)
OLD_COUNTRIES = (
    "country_code,country_name_abbreviation,country_name_full,iso_2digit_alpha,iso_3digit_alpha\r\n"
    '531,Cura\xe7ao,Cura\xe7ao,CW,CUW\r\n28,Antigua,"Antigua and Barbuda",AG,ATA\r\n'
)
FLOWS = "t,i,j,k,v,q\n2021,516,842,010121,   1.500,     NA\n2021,842,490,854231,2.25,   0.125\n2021,490,697,010121,3,\n"


def baci(flows: str | bytes = FLOWS, **more: str | bytes) -> dict[str, str | bytes]:
    return {"BACI_HS92_Y2021_V202301.csv": flows, "country_codes_V202301.csv": NEW_COUNTRIES} | more


def test_baci_reads_padding_missing_and_special_codes(pulled: Any) -> None:
    got = pulled("baci", baci())
    frame = lake.load("baci.flows")
    assert frame["exporter"].tolist() == ["NAM", "USA", "TWN"]
    assert frame["importer"].isna().tolist() == [False, False, True]
    assert frame["is_group"].tolist() == [False, False, True]
    assert frame["product"].tolist() == ["010121", "854231", "010121"]
    assert frame["trade_kusd"].tolist() == [1.5, 2.25, 3.0]
    assert frame["quantity_t"].isna().tolist() == [True, False, True]
    assert set(frame["hs_vintage"]) | set(frame["release"]) == {"HS92", "202301"}
    assert got.version == "HS92 V202301"
    assert got.facts["flows"]["flagged_quantity_missing"] == 2
    assert lake.load("baci.countries")["iso3"].tolist() == ["NAM", "TWN", "USA"]
    assert "no product_codes" in got.facts["flows"]["note"]


@pytest.mark.parametrize(
    "flows",
    [
        FLOWS.replace("\n", "\r\n"),
        "\ufeff" + FLOWS,
        '"t","i","j","k","v","q"\n' + FLOWS.split("\n", 1)[1],
        FLOWS.replace("     NA", '"       NA"').replace("   0.125", '"    0.125"'),
        "\n".join(",".join(line.split(",")[::-1]) for line in FLOWS.strip().split("\n")) + "\n",
        "\n".join(line + ",x" for line in FLOWS.strip().split("\n")) + "\n",
    ],
    ids=["crlf", "bom", "quoted header", "quoted padding", "columns reversed", "a column more"],
)
def test_baci_layouts_give_the_same_table(pulled: Any, flows: str) -> None:
    pulled("baci", baci())
    expected = lake.load("baci.flows")
    pulled("baci", baci(flows))
    pd.testing.assert_frame_equal(lake.load("baci.flows"), expected)


def test_baci_zip_and_loose_files_give_the_same_table(pulled: Any) -> None:
    pulled("baci", baci())
    expected = lake.load("baci.flows")
    members = {name: str(text).encode() for name, text in baci().items()}
    pulled("baci", {"BACI_HS92_V202301.zip": packed(members | {"Readme.txt": b"read me"})})
    pd.testing.assert_frame_equal(lake.load("baci.flows"), expected)


def test_baci_lost_zeros_are_restored_and_counted(pulled: Any) -> None:
    products = "code,description\n10121,Horses\n854231,Processors\n"
    got = pulled("baci", baci(FLOWS.replace("010121", "10121"), **{"product_codes_HS92_V202301.csv": products}))
    assert lake.load("baci.flows")["product"].tolist() == ["010121", "854231", "010121"]
    assert lake.load("baci.products")["product"].tolist() == ["010121", "854231"]
    assert got.facts["flows"]["padded_product_codes"] == 2
    assert got.facts["products"]["padded_product_codes"] == 1


def test_baci_country_list_of_the_same_release_or_the_newest_before(pulled: Any) -> None:
    lists = {"country_codes_V202201.csv": OLD_COUNTRIES.encode("latin-1"), "country_codes_V202501.csv": NEW_COUNTRIES}
    files = {"BACI_HS92_Y2021_V202301.csv": FLOWS, **lists}
    facts = pulled("baci", files).facts["countries"]
    assert (facts["file"], facts["encoding"]) == ("country_codes_V202201.csv", "latin-1")
    frame = lake.load("baci.countries")
    assert frame["name"].tolist() == ["Curaçao", "Antigua and Barbuda"]
    assert frame["iso3"].tolist() == ["CUW", "ATG"], "the publisher's ATA is Antarctica"
    assert facts["iso3_replaced"] == ["28: ATA -> ATG"]
    del files["country_codes_V202201.csv"]
    assert pulled("baci", files).facts["countries"]["file"] == "country_codes_V202501.csv"


def test_baci_copies_in_another_file_are_dropped_and_conflicts_are_not(pulled: Any) -> None:
    part = "t,i,j,k,v,q\n2021,516,842,010121,1.5,NA\n2021,516,490,010121,7,1\n"
    got = pulled("baci", baci(**{"BACI_HS92_Y2021_V202301_more.csv": part}))
    assert got.facts["flows"]["dropped_identical_in_another_file"] == 1
    assert got.tables["flows"].rows == 4
    with pytest.raises(DuplicateKey, match="516"):
        pulled("baci", baci(**{"BACI_HS92_Y2021_V202301_more.csv": part.replace("1.5", "1.6")}))
    twice = FLOWS + "2021,516,842,010121,1.5,NA\n"
    for more in ({}, {"BACI_HS92_Y2021_V202301_more.csv": part}):
        with pytest.raises(DuplicateKey):  # a copy within one file is no overlap of two extracts
            pulled("baci", baci(twice, **more))


def test_baci_years_choose_files(pulled: Any) -> None:
    more = {"BACI_HS92_Y2020_V202301.csv": FLOWS.replace("2021,", "2020,")}
    pulled("baci", baci(**more))
    assert lake.years("baci.flows") == (2020, 2021)
    pulled("baci", baci(**more), years=[2020])
    assert lake.years("baci.flows") == (2020,)
    members = {name: str(text).encode() for name, text in baci(**more).items()}
    got = pulled("baci", {"BACI_HS92_V202301.zip": packed(members)}, years=[2021])
    assert lake.years("baci.flows") == (2021,)
    assert got.facts["flows"]["files_of_other_years"] == 1


def test_baci_years_that_a_mirror_lacks_are_told_from_those_it_has(pulled: Any) -> None:
    more = {"BACI_HS92_Y2020_V202301.csv": FLOWS.replace("2021,", "2020,")}
    with pytest.raises(ConfigError, match=r"of the years 2005, 2006; found files of 2020, 2021\."):
        pulled("baci", baci(**more), years=range(2005, 2007))
    with pytest.raises(ConfigError, match=r"no BACI file of the years 2005; found.*country_codes"):
        pulled("baci", {"country_codes_V202301.csv": NEW_COUNTRIES}, years=2005)
    members = {name: str(text).encode() for name, text in baci(**more).items()}
    with pytest.raises(ConfigError, match=r"found \[2005\]; allowed: 2020, 2021"):
        pulled("baci", {"BACI_HS92_V202301.zip": packed(members)}, years=2005)
    pulled("baci", baci(**more), years=2020)  # control
    assert lake.years("baci.flows") == (2020,)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (baci(FLOWS.replace("516", "987")), UnknownCode, "'987'"),
        (baci(FLOWS.replace("516", "1516")), ParseError, "country code"),
        (baci(FLOWS.replace("2.25", "-2.25")), SchemaError, "trade_kusd.*below 0"),
        (baci(FLOWS.replace("2.25", "1e400")), SchemaError, "infinite"),
        (baci(FLOWS.replace("2.25", "nan")), SchemaError, "not a number"),
        (baci(FLOWS.replace("2.25", "2,25")), ParseError, "cannot be read"),
        (baci(FLOWS.replace("2.25", "x")), ParseError, "cannot be read"),
        (baci(FLOWS.replace("2.25", "")), ParseError, "cannot be read"),
        (baci(FLOWS.replace("0.125", "12.3 p")), ParseError, "column 'q'"),
        (baci(FLOWS.replace("854231", "8542")), ParseError, "8542"),
        (baci(FLOWS.replace("854231", "85423A")), ParseError, "85423A"),
        (baci(FLOWS.replace("2021,842", "2020,842")), ParseError, "another year"),
        (baci(FLOWS.replace("842,490", "842,842")), SchemaError, "exporter as importer"),
        (baci(FLOWS.replace("i,j", "i,dest")), SchemaError, r"lacks column\(s\) \['j'\]"),
        (baci(FLOWS.replace(",", ";")), SchemaError, "lacks column"),
        (baci("t,i,j,k,v,q\n"), ParseError, "BACI_HS92_Y2021"),
        (baci(""), (ParseError, SchemaError), "BACI_HS92_Y2021"),
        (baci(FLOWS[:-5]), ParseError, "ends inside a row"),
        (baci(FLOWS[:-5] + "\n"), ParseError, "cannot be read"),
        (baci(FLOWS.encode("utf-16")), CyberTradeError, "BACI_HS92_Y2021"),
        (baci(**{"BACI_HS92_Y2021_V202401.csv": FLOWS}), ConfigError, "one release"),
        (baci(**{"BACI_HS17_Y2021_V202301.csv": FLOWS}), ConfigError, "one HS vintage"),
        ({"BACI_HS92_Y2021_V202301.csv": FLOWS}, ParseError, "no country_codes"),
        ({"country_codes_V202301.csv": NEW_COUNTRIES}, ConfigError, "BACI_HS92_Y2021"),
        (baci(**{"country_codes_V202301.csv": NEW_COUNTRIES.replace("iso3", "iso")}), ParseError, "unknown header"),
    ],
)  # fmt: skip
def test_baci_files_that_are_refused(pulled: Any, files: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        pulled("baci", files)


def test_baci_a_file_cut_at_any_byte_never_loads(pulled: Any) -> None:
    start = FLOWS.index("\n") + 1
    ends = {i + 1 for i, c in enumerate(FLOWS) if c == "\n"}
    for length in range(start + 1, len(FLOWS)):
        if length in ends:
            continue  # whole rows: only the number of rows or a checksum could tell
        with pytest.raises(CyberTradeError):
            pulled("baci", baci(FLOWS[:length]))
    assert pulled("baci", baci()).tables["flows"].rows == 3
    assert dt.date.fromisoformat(lake.provenance("baci")["retrieved"])
