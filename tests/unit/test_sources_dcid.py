"""DCID on a made-up workbook in the publisher's layout, and on the publisher's own."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import DuplicateKey, FetchError, ParseError, SchemaError, UnknownCode
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "DCID_2.0_Release_update_February_2023.xlsx"
FIRST = [
    *("Cyberincidentnum", "Dyadpair", "StateA", "StateB", "Name", "interactionstartdate", "interactionenddate"),
    *("method", "targettype", "initiator", "cyber_objective", "information_operation", "objective_achievement"),
    *("Concession ", "3rdpartyinitiator", "severity", "damage type", "Crit Inf", "Supply Ch", "Ransomware"),
    *("Political Objective", "Sources1", "Sources2", "Sources3", "Sources4", "Sources5", "Justice", "Cert", "FBI"),
]
SECOND = ["Cyberincidentnum", "Dyadpair", "Name", "interactionstartdate", "initiator", "target", "severity"]
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def workbook(*sheets: list[list[Any]]) -> bytes:
    """A workbook of texts, numbers and dates."""

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        if isinstance(value, dt.date):
            return f'<c s="1"><v>{(value - dt.date(1899, 12, 30)).days}</v></c>'
        return f"<c><v>{value}</v></c>"

    ids = range(1, len(sheets) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{KIND}.worksheet+xml"/>' for i in ids
    )
    relations = "".join(
        f'<Relationship Id="r{i}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in ids
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="application/'
        f'vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.'
        f'main+xml"/><Override PartName="/xl/styles.xml" ContentType="{KIND}.styles+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" Type="{OFFICE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
        + "".join(f'<sheet name="s{i}" sheetId="{i}" r:id="r{i}"/>' for i in ids)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{relations}<Relationship Id="s" '
        f'Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
    }
    for i, rows in zip(ids, sheets, strict=True):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        files[f"xl/worksheets/sheet{i}.xml"] = f'<worksheet xmlns="{MAIN}"><sheetData>{lines}</sheetData></worksheet>'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def incident(number: int = 1, pair: int = 2365, **changes: Any) -> list[Any]:
    row: dict[str, Any] = dict.fromkeys(FIRST, "") | {
        "Cyberincidentnum": number, "Dyadpair": pair, "StateA": "US ", "StateB": "Russia", "Name": f"Case {number} ",
        "interactionstartdate": dt.date(2015, 5, 17), "interactionenddate": dt.date(2015, 6, 1), "method": 4.2,
        "targettype": 2, "initiator": 365, "cyber_objective": 2, "information_operation": 0,
        "objective_achievement": 1, "Concession ": 0, "3rdpartyinitiator": 0, "severity": 4, "damage type": 1,
        "Crit Inf": 11, "Supply Ch": 0, "Ransomware": 0, "Sources1": "https://a", "Sources3": "https://b",
    } | changes  # fmt: skip
    return [row[name] for name in FIRST]


def book(*rows: list[Any], actions: list[list[Any]] | None = None) -> bytes:
    """Both sheets; the second is made from the first unless given."""
    if actions is None:
        actions = [[r[0], r[1], r[4], r[5], r[9], 0, r[15]] for r in rows]
    return workbook([FIRST, *rows], [SECOND, *actions])


@pytest.fixture
def pulled(tmp_path: Path) -> Callable[..., lake.Pulled]:
    def pull(content: bytes, **options: Any) -> lake.Pulled:
        folder = tmp_path / "mirror" / "dcid"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_bytes(content)
        return lake.pull(get("dcid"), mirror=folder, **options)

    return pull


def frame() -> pd.DataFrame:
    return lake.load("dcid.incidents").set_index("incident_id")


def test_initiator_against_the_other_member_of_the_dyad(pulled: Any) -> None:
    korea = {"StateA": "N Korea", "StateB": "S Korea", "initiator": 731}
    got = pulled(book(incident(1), incident(2, initiator=2), incident(3, 731732, **korea)))
    out = frame()
    assert out["initiator"].tolist() == ["RUS", "USA", "PRK"]
    assert out["receiver"].tolist() == ["USA", "RUS", "KOR"]
    assert set(out["initiator_status"]) == {"as published"}
    assert out.loc[1, ["state_a", "state_b", "name", "method", "sources"]].tolist() == [
        *("USA", "RUS", "Case 1", "4.2", "https://a | https://b"),
    ]
    assert out.loc[1, "start_date"] == pd.Timestamp("2015-05-17")
    assert out.loc[1, ["severity", "concession", "ransomware"]].tolist() == [4, 0, 0]
    assert got.version == "2.0, February 2023"
    assert got.facts["incidents"]["flagged_blanks_around_names"] == 3 + 2


def test_initiators_outside_the_dyad_are_corrected_by_the_second_sheet_or_left_open(pulled: Any) -> None:
    wrong = incident(1, initiator=630), incident(2, initiator=630)
    actions = [
        [7, 2365, "Case 1", dt.date(2015, 5, 17), 365, 2, 4],
        [8, 2365, "Case 2", dt.date(2015, 5, 17), 630, 2, 4],
    ]
    got = pulled(book(*wrong, actions=actions))
    out = frame()
    assert out.loc[1, ["initiator", "receiver", "initiator_status", "initiator_cow"]].tolist() == [
        *("RUS", "USA", "corrected", 630),
    ]
    assert out.loc[2, ["initiator", "receiver"]].isna().all()
    assert out.loc[2, "initiator_status"] == "not in its dyad"
    facts = got.facts["incidents"]
    assert (facts["initiator_corrected_after_second_sheet"], facts["initiator_not_in_dyad"]) == (1, 1)


def test_the_two_initiators_that_an_earlier_release_had_wrong(pulled: Any) -> None:
    china = {"StateA": "China", "initiator": 740}
    rows = (
        incident(313, 710740, StateB="Japan", **china),
        incident(335, 710816, StateB="Vietnam", **china | {"initiator": 710}),
    )
    other = incident(314, 710740, StateB="Japan", **china)
    got = pulled(book(*rows, other))
    out = frame()
    assert out.loc[313, ["initiator", "receiver", "initiator_status"]].tolist() == ["CHN", "JPN", "corrected"]
    assert out.loc[335, ["initiator", "initiator_status"]].tolist() == ["CHN", "as published"]
    assert out.loc[314, "initiator"] == "JPN", "control: the same numbers in another incident stay"
    facts = got.facts["incidents"]
    assert (facts["initiator_corrected_after_lee"], facts["initiator_right_where_lee_corrects"]) == (1, 1)


def test_a_number_that_moved_to_another_dyad_is_not_corrected(pulled: Any) -> None:
    pulled(book(incident(313)))
    assert frame().loc[313, "initiator"] == "RUS"


def test_the_second_sheet_is_compared_not_merged(pulled: Any) -> None:
    actions = [
        [1, 2365, "Case 1", dt.date(2016, 1, 1), 365, 2, 5],
        [1, 2365, "No Cyber", dt.date(2016, 2, 1), 2, 365, 0],
        [2, 2365, "Case 9", dt.date(2016, 1, 1), 365, 2, 5],
    ]
    facts = pulled(book(incident(1), actions=actions)).facts["incidents"]
    assert len(frame()) == 1
    assert frame().loc[1, "severity"] == 4
    keys = ("in_both_sheets", "in_second_sheet_only", "second_sheet_other_date", "second_sheet_other_severity")
    assert [facts[k] for k in keys] == [1, 1, 1, 1]


def test_odd_dates_are_flagged_and_years_chosen(pulled: Any) -> None:
    rows = [
        incident(1, interactionstartdate=dt.date(2014, 1, 1)),
        incident(2, interactionstartdate=dt.date(2015, 3, 1)),
        incident(3, interactionenddate=dt.date(2015, 1, 1)),
    ]
    facts = pulled(book(*rows), years=[2015]).facts["incidents"]
    assert frame().index.tolist() == [2, 3]
    names = ("flagged_start_on_1_january", "flagged_start_on_first_of_other_month", "flagged_end_before_start")
    assert [facts[n] for n in (*names, "dropped_year_not_asked")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (book(incident(1, 2999)), UnknownCode, r"line 2 of DCID.*'999'.*cow\.csv"),
        (book(incident(StateB="Atlantis")), UnknownCode, "'Atlantis'"),
        (book(incident(StateB="China")), ParseError, r"line 2.*disagree.*2365 \(USA, RUS\) beside 'US' and 'China'"),
        (book(incident(severity=11)), SchemaError, "severity is at most 10"),
        (book(incident(severity=2.5)), ParseError, "line 2.*'severity'.*no whole number"),
        (book(incident(initiator="China")), ParseError, "'initiator'"),
        (book(incident(interactionstartdate="2015")), ParseError, "line 2.*'interactionstartdate'.*no date"),
        (book(incident(1), incident(1)), DuplicateKey, "incident_id"),
        (workbook([FIRST, incident()]), ParseError, "cannot be read as a workbook"),
        (
            workbook([[n.replace("initiator", "attacker") for n in FIRST], incident()], [SECOND, [1] * 7]),
            SchemaError,
            "lacks",
        ),
        (book(incident())[:-200], ParseError, "cannot be read as a workbook"),
    ],
)
def test_workbooks_that_are_refused(pulled: Any, content: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pulled(content)
    pulled(book(incident()))  # control
    assert len(frame()) == 1


# --- the publisher's workbook ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lake")
    lake.pull(get("dcid"), mirror=shared / "mirror", home=home)
    return home


def test_real_rows_sides_and_corrections(real: Path) -> None:
    out = lake.load("dcid.incidents", home=real).set_index("incident_id")
    # Counts of the raw sheet by COW number, 710 115, 365 113, 630 65, 731 59, 2 20, less what is corrected or left open.
    assert out.index.tolist() == list(range(1, 430))
    assert out["initiator"].value_counts().head(5).to_dict() == {
        "CHN": 116,
        "RUS": 113,
        "IRN": 63,
        "PRK": 58,
        "USA": 20,
    }
    assert out.loc[[291, 292, 331], "initiator"].tolist() == ["TUR", "TUR", "CHN"]
    assert out.loc[[291, 292, 331], "receiver"].tolist() == ["IRQ", "SYR", "IND"]
    assert out.loc[309, ["initiator", "receiver"]].isna().all()
    assert out.loc[[313, 335], "initiator"].tolist() == ["CHN", "CHN"]
    assert out["severity"].value_counts().to_dict() == {3: 160, 4: 115, 2: 115, 5: 19, 1: 15, 6: 5}
    assert (out["start_date"].min(), out["start_date"].max()) == (
        pd.Timestamp("2000-09-01"),
        pd.Timestamp("2021-01-05"),
    )
    assert (out["initiator"] != out["receiver"]).all()


def test_real_facts(real: Path) -> None:
    facts = lake.provenance("dcid", real)["facts"]["incidents"]
    expected = {
        "initiator_corrected_after_second_sheet": 3, "initiator_corrected_after_lee": 0,
        "initiator_right_where_lee_corrects": 2, "initiator_not_in_dyad": 1, "flagged_end_before_start": 1,
        "flagged_start_on_1_january": 36, "flagged_start_on_first_of_other_month": 166, "in_both_sheets": 428,
        "in_second_sheet_only": 3, "second_sheet_other_date": 10, "second_sheet_other_severity": 3,
    }  # fmt: skip
    assert {k: facts[k] for k in expected} == expected


@pytest.mark.live
def test_live_the_page_is_no_file_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="mirror"):
        lake.pull(get("dcid"), home=tmp_path)
