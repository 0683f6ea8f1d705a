"""Files that a user may hand over broken: the message names line and column, and nothing hangs or floods."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from cyber_trade_econ.errors import EventError
from cyber_trade_econ.events import check
from cyber_trade_econ.events.validate import Problem
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from pathlib import Path

with shipped.path("data/events/events.csv").open(encoding="utf-8", newline="") as handle:
    HEADER, *ROWS = list(csv.reader(handle))
FIRST = next(row for row in ROWS if row[0] == "usa-2018-section-301-list-1")
SECOND = next(row for row in ROWS if row[0] == "usa-2018-zte-denial-order")


def text(*rows: list[str], header: list[str] = HEADER) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


def changed(**cells: str) -> str:
    """Two events, the second (line 3) changed."""
    return text(FIRST, [cells.get(name, cell) for name, cell in zip(HEADER, SECOND, strict=True)])


def found(tmp_path: Path, content: str | bytes) -> list[str]:
    file = tmp_path / "mine.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [str(problem) for problem in check(file)[1]]


def refusal(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(EventError) as caught:
        found(tmp_path, content)
    return str(caught.value)


def test_positive_control(tmp_path: Path):
    good = text(FIRST, SECOND)
    assert found(tmp_path, good) == []
    assert found(tmp_path, "\ufeff" + good) == []
    assert found(tmp_path, good.replace("\n", "\r\n")) == []
    assert found(tmp_path, good.replace("\n", "\r")) == []
    assert found(tmp_path, text(FIRST[::-1], SECOND[::-1], header=HEADER[::-1])) == []
    assert found(tmp_path, changed(note="Größe, São Tomé, Æther, 5 − 3, 北京; a=b + c", title="Łódź")) == []


@pytest.mark.parametrize(
    "cell",
    [
        "\uff1d1+1",  # full-width signs, which some spreadsheets read as plain ones
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(A1)",
        "\t=1+1",
        " =1+1",
        "\u00a0=1+1",
        "\u200b=1+1",
        "\ufeff=1+1",
        "a;=1+1",
        "a\t=1+1",
    ],
)
def test_formulas_in_disguise(tmp_path: Path, cell: str):
    (problem,) = found(tmp_path, changed(note=cell))
    assert problem.startswith("line 3, note: found ")
    assert "no spreadsheet takes for a formula" in problem


@pytest.mark.parametrize("character", ["\u0085", "\u2028", "\x0b", "\x1b", "\u202e", "\u200d", "a\u00a0"])
def test_characters_that_cannot_be_seen(tmp_path: Path, character: str):
    (problem,) = found(tmp_path, changed(note=f"a{character}b"))
    assert problem.startswith("line 3, note: found ")
    assert "can be seen" in problem
    assert problem.isascii()


@pytest.mark.parametrize(("cell", "hint"), [("GrÃ¶ÃŸe", "'Größe' in another encoding?"), ("Gr\ufffdsse", "UTF-8")])
def test_cells_that_went_through_another_encoding(tmp_path: Path, cell: str, hint: str):
    (problem,) = found(tmp_path, changed(title=cell))
    assert problem.startswith("line 3, title: found ")
    assert hint in problem


def test_long_cells_are_named_and_not_printed(tmp_path: Path):
    assert found(tmp_path, changed(note="x" * 32_767)) == []
    for length in (32_768, 200_000):  # the second is beyond what the csv module reads by default
        (problem,) = found(tmp_path, changed(note="x" * length))
        assert problem.startswith(f"line 3, note: found {length:,} characters; allowed: 32,767")
    *_, problem = found(tmp_path, changed(concern="x" * 30_000))
    assert "line 3, concern" in problem
    assert len(problem) < 400
    assert str(Problem(2, "note", "short", "shorter")) == "line 2, note: found short; allowed: shorter"


def test_reading_leaves_the_csv_module_as_it_was(tmp_path: Path):
    before = csv.field_size_limit()
    found(tmp_path, text(FIRST))
    refusal(tmp_path, text(FIRST) + '"open')
    assert csv.field_size_limit() == before


def test_bytes_of_another_encoding_are_placed(tmp_path: Path):
    lines = text(FIRST, SECOND).encode().split(b"\n")
    lines[2] = lines[2].replace(b",measure,", b",mea\xdfure,", 1)
    for end in (b"\n", b"\r\n", b"\r"):
        said = refusal(tmp_path, end.join(lines))
        assert "byte 0xdf at line 3" in said
        assert "column record_type" in said
    lines[2] = lines[2].replace(b"\xdf", b"\0")
    assert "a byte 0 at line 3" in refusal(tmp_path, b"\r".join(lines))
    lines[0], lines[2] = lines[0].replace(b"title", b"ti\xdfle"), b""
    assert "line 1, byte 12 of it, column 2" in refusal(tmp_path, b"\n".join(lines))


def test_bytes_after_a_cell_of_several_lines_are_placed(tmp_path: Path):
    rows = text([FIRST[0], "two\nlines", *FIRST[2:]], SECOND).encode()
    said = refusal(tmp_path, rows.replace(SECOND[1].encode(), b"\xe9", 1))
    assert "byte 0xe9 at line 4" in said
    assert "column title" in said


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (SECOND[:5], "line 3 has 5 (ends in column target)"),
        ([*SECOND, "more"], "line 3 has 40 ('more' after the last column)"),
        ([], "line 3 is empty"),
    ],
)
def test_rows_of_another_length(tmp_path: Path, row: list[str], says: str):
    assert says in refusal(tmp_path, text(FIRST, row, [*SECOND]))


def test_empty_rows_are_one_problem_each(tmp_path: Path):
    nothing = [""] * len(HEADER)
    assert found(tmp_path, text(FIRST, nothing, SECOND, nothing)) == [
        f"line {n}, event_id: found an empty row; allowed: one event per row" for n in (3, 5)
    ]


def test_quotes_are_placed(tmp_path: Path):
    body = text(FIRST, SECOND)
    after = refusal(tmp_path, body.replace(f",{SECOND[1]},", f',"{SECOND[1]}" more,'))
    assert "starts on line 3, column title" in after
    never = refusal(tmp_path, body.replace(f",{SECOND[1]},", f',"{SECOND[1]},'))
    assert "starts on line 3, column title" in never
    assert "starts on line 1, column 1" in refusal(tmp_path, '"event_id"x,title\n')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (",".join(HEADER), "a header alone, line 1, 'event_id,title"),
        ('[{"event_id": "a"}]', "column names on line 1"),
        ("sep=,\n" + text(FIRST), "Line 1 is read as the header: 'sep=,'"),
        ("# mine\n" + text(FIRST), "Line 1 is read as the header: '# mine'"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (text(FIRST).encode("utf-32"), "UTF-32"),
        (text(FIRST).encode("utf-16-le"), "byte 0 at line 1"),
    ],
)
def test_other_files_say_what_was_expected(tmp_path: Path, content: str | bytes, says: str):
    assert says in refusal(tmp_path, content)


def test_columns_are_named_with_the_nearest(tmp_path: Path):
    wrong = [{"title": " Title", "flow": "", "note": "no\nte"}.get(name, name) for name in HEADER]
    said = found(tmp_path, text(FIRST, header=wrong))
    assert [p for p in said if "absent" in p] == [
        f"line 1, {name}: found absent; allowed: present" for name in ("title", "flow", "note")
    ]
    assert any(p.startswith("line 1,  Title: found unknown (title?); allowed: event_id, ") for p in said)
    assert any(p.startswith("line 1, column 6, '': found unknown") for p in said)
    assert not any("\n" in p for p in said)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"companies": "ZTE;;Huawei", "org_action": "defy;defy;defy"}, "companies"),
        ({"companies": "ZTE; Huawei", "org_action": "defy;defy"}, "companies"),
        ({"companies": "ZTE;ZTE", "org_action": "defy;defy"}, "companies"),
        ({"target": "CHN;WLD"}, "target"),
        ({"target": "EUU;DEU"}, "target"),
        ({"imposer": "EUU;DEU"}, "imposer"),
        ({"imposer": "DEU", "target": "EUU"}, "target"),
        ({"imposer": "EUU", "target": "DEU;CHN"}, "target"),
        ({"target": "SSD", "announced": "2008-01-01"}, "target"),
        ({"imposer": "WLD", "national_action": "norms", "published_action": "develop_norms"}, "imposer"),
        ({"effective": "2099-01-01", "lifted": ""}, "effective"),
        ({"announced": "2099-01-01", "lifted": ""}, "announced"),
    ],
)
def test_what_a_row_may_not_say(tmp_path: Path, cells: dict[str, str], column: str):
    said = found(tmp_path, changed(**cells))
    assert any(p.startswith(f"line 3, {column}: ") for p in said)


@pytest.mark.parametrize(
    "cells",
    [
        {"companies": "ZTE;Huawei", "org_action": "defy;unknown"},
        {
            "imposer": "USA",
            "target": "EUU;GBR",
            "announced": "2020-02-01",
            "adopted": "",
            "effective": "",
            "lifted": "",
        },
        {"imposer": "POL", "target": "EUU", "announced": "2004-04-30", "adopted": "", "effective": "", "lifted": ""},
        {"target": "SSD"},
        {"lifted": "2099-01-01"},  # an end may be set beforehand
    ],
)
def test_what_a_row_may_say(tmp_path: Path, cells: dict[str, str]):
    assert found(tmp_path, changed(**cells)) == []


def test_validity_and_truth_are_spelled_out(tmp_path: Path):
    (said,) = found(tmp_path, changed(target="SUN"))
    assert said.endswith(
        "found 'SUN' in 2018; allowed: an economy that existed at the first date; SUN is valid to 1991"
    )
    (said,) = found(tmp_path, changed(cyber_ground="FALSE"))
    assert said == "line 3, cyber_ground: found 'FALSE' (no?); allowed: yes, partly, no"


def test_what_has_no_end_is_not_read_to_the_end(tmp_path: Path):
    endless = tmp_path / "endless.csv"
    endless.symlink_to("/dev/zero")
    with pytest.raises(EventError, match=r"more than 20,000,000 bytes"):
        check(endless)
    with pytest.raises(EventError, match=r"cannot be opened.*IsADirectoryError.*may be read"):
        check(tmp_path)
    with pytest.raises(EventError, match="cannot be opened"):
        check("a\0b.csv")
