"""Reading the coded events: strictly text, typed dates, the default set, and one event in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cyber_trade_econ.errors import EventError, UnknownName
from cyber_trade_econ.events import check, events, responses, show
from cyber_trade_econ.events.dates import ROLES
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = shipped.path("data/events/events.csv")


@pytest.fixture
def lines() -> list[str]:
    return SHIPPED.read_text(encoding="utf-8").splitlines()


def write(tmp_path: Path, lines: list[str]) -> Path:
    file = tmp_path / "events.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_shipped_file_is_valid_and_typed():
    frame = events()
    for role in ROLES:
        assert frame[role].dtype == "datetime64[ns]"
        known = frame[role].notna()
        assert (frame.loc[known, f"{role}_precision"].isin(["day", "month", "year"])).all()
        assert (frame.loc[~known, f"{role}_precision"] == "").all()
    assert frame["intensity"].dropna().between(0, 10).all()
    assert frame["intensity"].notna().equals(frame["record_type"] == "incident")
    assert frame["restrictiveness"].notna().equals(frame["record_type"] == "measure")
    rest = [c for c in frame.columns if c not in (*ROLES, "intensity", "restrictiveness")]
    assert all(isinstance(cell, str) for c in rest for cell in frame[c])
    assert list(frame.index) == list(range(len(frame)))


def test_default_set_leaves_out_the_unconfirmed_and_keeps_the_order():
    every, default = events(include_unconfirmed=True), events()
    assert (every["confidence"] == "unconfirmed").any()
    expected = every[every["confidence"] != "unconfirmed"].reset_index(drop=True)
    pd.testing.assert_frame_equal(default, expected)
    pd.testing.assert_frame_equal(events(), default)


def test_dates_keep_their_precision():
    frame = events().set_index("event_id")
    china = frame.loc["usa-2021-china-telecom"]
    assert (china["effective"], china["effective_precision"]) == (pd.Timestamp("2022-01-01"), "month")
    zte = frame.loc["usa-2018-zte-denial-order"]
    assert (zte["effective"], zte["lifted"]) == (pd.Timestamp("2018-04-15"), pd.Timestamp("2018-07-13"))
    assert pd.isna(frame.loc["are-2010-blackberry-suspension", "effective"])


def test_codes_that_look_like_missing_values_stay_text(tmp_path: Path, lines: list[str]):
    row = next(line for line in lines if line.startswith("usa-2018-zte-denial-order,"))
    assert (row.count(",USA,CHN,"), row.count(",ZTE,")) == (1, 1)
    row = row.replace(",USA,CHN,", ",NAM,NOR,").replace(",ZTE,", ",NA,")
    frame = events(write(tmp_path, [lines[0], row]))
    assert frame.loc[0, ["imposer", "target", "companies"]].tolist() == ["NAM", "NOR", "NA"]


def test_byte_order_mark_and_empty_last_lines_are_harmless(tmp_path: Path, lines: list[str]):
    file = tmp_path / "events.csv"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, "", ""]).encode())
    pd.testing.assert_frame_equal(events(file), events())


def test_error_names_the_line_of_the_file(tmp_path: Path, lines: list[str]):
    at = next(i for i, line in enumerate(lines) if line.startswith("usa-2018-section-301-list-2,"))
    lines[at] = lines[at].replace(",USA,CHN,", ",USA,XYZ,")
    with pytest.raises(EventError, match=rf"line {at + 1}, target: found 'XYZ'"):
        events(write(tmp_path, lines))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no event"),
        (b"event_id,title\n", "holds no event; found a header"),
        (b"a,b\n1,2\n", "event_id: found absent"),
        (b"a,b\n1\n", "line 2 has 1"),
        (b"a,b\n1,2,3\n", "line 2 has 3"),
        (b'a,b\n"1,2\n', "cannot be read as CSV.*line"),
        (b"a,b\n1,\x002\n", "line 2"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"PK\x03\x04 and so on", "workbook"),
        (b"a;b\n1;2\n", "commas"),
        ("a,b\n1,2\n3,caf\u00e9\n".encode("latin-1"), "byte 0xe9 at line 3, byte 6"),
        ("a,b\n1,caf\u00e9\n".encode() + b"2,caf\xe9\n", "byte 0xe9 at line 3"),  # two encodings in one file
    ],
)
def test_files_that_are_no_events(tmp_path: Path, content: bytes, says: str):
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    with pytest.raises(EventError, match=says):
        events(file)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, lines: list[str]):
    file = tmp_path / "huge.csv"
    with file.open("wb") as handle:
        handle.truncate(100_000_000)  # sparse: takes no room on the disk
    with pytest.raises(EventError, match=r"100,000,000 bytes.*20,000,000"):
        events(file)
    assert len(events(write(tmp_path, lines))) > 0  # positive control


def test_lines_are_those_of_the_file_after_cells_of_several_lines(tmp_path: Path, lines: list[str]):
    at = next(i for i, line in enumerate(lines) if line.startswith("usa-2018-section-301-list-2,"))
    two = lines[1].split(",", 2)
    lines[1] = f'{two[0]},"a title\nof two lines",{two[2]}'
    lines[at] = lines[at].replace(",USA,CHN,", ",USA,XYZ,")
    with pytest.raises(EventError, match=rf"line {at + 2}, target: found 'XYZ'") as caught:
        events(write(tmp_path, lines))
    assert "line 2, title" in str(caught.value)


def test_the_file_of_a_user_is_never_changed(tmp_path: Path, lines: list[str]):
    good, bad = write(tmp_path, lines), tmp_path / "bad.csv"
    bad.write_text("\n".join([lines[0], lines[1].replace("USA", "XYZ")]), encoding="utf-8")
    before = {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (good, bad)}
    assert check(good)[1] == ()
    assert check(bad)[1] != ()
    events(good)
    show(lines[1].split(",")[0], good)
    assert {f: (f.read_bytes(), f.stat().st_mtime_ns) for f in (good, bad)} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.csv", "events.csv"]


def test_responses_are_one_row_per_firm():
    frame = events(include_unconfirmed=True)
    out = responses(frame)
    zte = out[out["event_id"] == "usa-2012-hpsci-report"]
    assert zte[["company", "org_action"]].to_numpy().tolist() == [["Huawei", "defy"], ["ZTE", "defy"]]
    facts = out.attrs["facts"]
    assert facts["events"] == len(frame) == out["event_id"].nunique() + sum(facts["left_out"].values())
    with pytest.raises(EventError, match="2 firms"):
        responses(frame[frame["event_id"] == "usa-2012-hpsci-report"].assign(org_action="defy"))


def test_absent_file(tmp_path: Path):
    with pytest.raises(EventError, match="cannot be opened"):
        events(tmp_path / "none.csv")


def test_show_gives_codes_with_meaning_and_source():
    text = show("usa-2018-zte-denial-order")
    for part in (
        "USA -> CHN (exports)",
        "lifted                  2018-07-13",
        "83 FR 34825",
        "a destination or firm need a licence",
        "61;62",
    ):
        assert part in text
    assert max(map(len, show("usa-2012-hpsci-report").splitlines())) < 200
    assert "unconfirmed" in show("ind-2020-apps-47")  # not in the default set, but to be looked up


def test_show_of_an_unknown_event_names_the_nearest():
    with pytest.raises(UnknownName, match="usa-2018-zte-denial-order"):
        show("usa-2018-zte-denial")
    with pytest.raises(UnknownName, match="ids"):
        show("qqqqqqqq")
