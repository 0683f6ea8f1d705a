"""From DCID to the common schema, on a made frame whose every row has a known fate, and on the real one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events import codebook
from cyber_trade_econ.events.crosswalks.dcid import NO_ATTRIBUTION, from_dcid
from cyber_trade_econ.events.incidents import incident_frame
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from pathlib import Path


def incident(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "incident_id": number, "name": f"Case {number}", "start_date": dt.date(2015, 5, 17), "initiator": "RUS",
        "receiver": "USA", "initiator_status": "as published", "initiator_cow": 365, "method": "3",
        "cyber_objective": 2, "information_operation": 0, "third_party_initiator": 0, "ransomware": 0, "severity": 4,
        "us_justice": "", "us_cert": "", "us_fbi": "",
    } | changes  # fmt: skip


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_direction_date_and_severity_are_those_of_the_table():
    frame = from_dcid(table(incident()))
    row = frame.iloc[0]
    assert row[["event_id", "imposer", "target", "title"]].tolist() == ["dcid-1-rus-usa", "RUS", "USA", "Case 1"]
    assert (row["onset"], row["onset_precision"]) == (pd.Timestamp("2015-05-17"), "day")
    assert pd.isna(row["disclosed"])
    assert (row["intensity"], row["intensity_native"], row["attribution"], row["note"]) == (4, 4, "others", "")


def test_first_days_stand_for_months_and_years():
    days = [dt.date(2015, 1, 1), dt.date(2015, 2, 1), dt.date(2015, 1, 2)]
    frame = from_dcid(table(*(incident(n, start_date=day) for n, day in enumerate(days))))
    assert frame["onset_precision"].tolist() == ["year", "month", "day"]
    assert frame["onset"].tolist() == [pd.Timestamp(day) for day in days]
    facts = frame.attrs["facts"]
    assert (facts["dated_to_the_year"], facts["dated_to_the_month"]) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"cyber_objective": 2}, "espionage"),
        ({"cyber_objective": 3}, "espionage"),
        ({"cyber_objective": 4}, "destruction"),
        ({"cyber_objective": 4, "method": "2"}, "disruption"),
        ({"cyber_objective": 1}, "disruption"),
        ({"cyber_objective": 1, "method": "2"}, "disruption"),
        ({"cyber_objective": 1, "method": "1"}, "influence"),
        ({"cyber_objective": 3, "information_operation": 1}, "espionage;influence"),
        ({"cyber_objective": 4, "ransomware": 1}, "destruction;ransomware"),
        ({"cyber_objective": 9}, "unknown"),
    ],
)
def test_types(changes: dict[str, Any], codes: str):
    assert from_dcid(table(incident(**changes)))["incident_type"].tolist() == [codes]
    book = codebook()
    assert set(codes.split(";")) <= set(book.fields["incident_type"].codes)


def test_an_initiator_outside_its_dyad_is_left_out_and_counted():
    rows = incident(1), incident(2, initiator=None, receiver=None, initiator_status="not in its dyad")
    frame = from_dcid(table(*rows))
    facts = frame.attrs["facts"]
    assert frame["event_id"].tolist() == ["dcid-1-rus-usa"]
    assert facts["left_out"] == {"initiator is no member of the dyad": 1}
    assert (facts["given"], facts["kept"], facts["incidents"], facts["usable"]) == (2, 1, 1, 1)


def test_corrections_and_third_parties_are_noted():
    both = incident(1, initiator_status="corrected", initiator_cow=630, third_party_initiator=1)
    frame = from_dcid(table(both, incident(2, third_party_initiator=1)))
    assert frame["note"].tolist() == [
        "a third party took part; initiator corrected, published as COW 630",
        "a third party took part",
    ]
    assert (frame.attrs["facts"]["initiators_corrected"], frame.attrs["facts"]["third_party"]) == (1, 2)


def test_a_document_of_an_authority_is_an_attribution_unless_it_is_known_not_to_be():
    rows = incident(1, us_justice="https://j"), incident(2, us_fbi="https://f"), incident(3, us_cert="https://c")
    slipped = incident(4, us_cert="https://c", name=NO_ATTRIBUTION[0])
    assert from_dcid(table(*rows, slipped))["attribution"].tolist() == [*["government"] * 3, "others"]


def test_schema_index_and_input():
    given = table(incident(1), incident(2))
    before = given.copy(deep=True)
    frame = from_dcid(given)
    empty = incident_frame({"event_id": pd.Series([], dtype=str)}, source="dcid")
    assert list(frame.columns) == list(empty.columns)
    pd.testing.assert_frame_equal(given, before)
    pd.testing.assert_frame_equal(from_dcid(given.set_index(pd.Index([7, 7]))), frame)
    nothing = from_dcid(given.assign(initiator=None))
    assert len(nothing) == 0
    assert list(nothing.columns) == list(frame.columns)


def test_absent_columns_are_named():
    with pytest.raises(SchemaError, match=r"severity.*cte\.load\('dcid\.incidents'\)"):
        from_dcid(table(incident()).drop(columns="severity"))
    assert len(from_dcid(table(incident()))) == 1  # positive control


def test_the_real_incidents(shared: Path, tmp_path: Path):
    lake.pull(get("dcid"), mirror=shared / "mirror", home=tmp_path)
    frame = from_dcid(lake.load("dcid.incidents", home=tmp_path))
    facts = frame.attrs["facts"]
    assert (facts["given"], facts["kept"], facts["usable"], facts["initiators_corrected"]) == (429, 428, 428, 3)
    assert (facts["dated_to_the_year"], facts["dated_to_the_month"]) == (36, 165)
    assert facts["attribution"] == {"government": 21, "others": 407}
    # As counted in the workbook, less number 309 (severity 3), whose initiator is outside its dyad.
    assert frame["intensity"].value_counts().to_dict() == {3: 159, 4: 115, 2: 115, 5: 19, 1: 15, 6: 5}
    assert set(NO_ATTRIBUTION) <= set(frame["title"])
