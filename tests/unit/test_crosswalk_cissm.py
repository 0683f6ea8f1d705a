"""From the CISSM database to the common schema, on a made frame whose every row has a known fate, and on a real one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events import codebook
from cyber_trade_econ.events.crosswalks.cissm import from_cissm
from cyber_trade_econ.events.incidents import incident_frame
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from pathlib import Path


def event(ident: str = "a", **changes: Any) -> dict[str, Any]:
    return {
        "event_id": ident, "event_date": dt.date(2021, 5, 7), "reported_date": None, "initiator": "RUS",
        "initiator_status": "country", "receiver": "USA", "receiver_status": "country", "actor": "A gang",
        "actor_type": "Criminal", "organization": "A firm", "motive": "Undetermined", "event_type": "exploitive",
        "event_subtype": "Exploitation of Application Server", "description": "Words.",
    } | changes  # fmt: skip


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_sides_dates_and_title():
    frame = from_cissm(table(event(reported_date=dt.date(2021, 5, 9)), event("b", event_date=dt.date(2021, 1, 1))))
    row = frame.iloc[0]
    assert row[["event_id", "imposer", "target", "title"]].tolist() == [
        *("cissm-a-rus-usa", "RUS", "USA", "A gang against A firm"),
    ]
    assert (row["onset"], row["disclosed"]) == (pd.Timestamp("2021-05-07"), pd.Timestamp("2021-05-09"))
    assert frame["onset_precision"].tolist() == ["day", "day"]
    assert frame["disclosed_precision"].tolist() == ["day", ""]
    assert frame["intensity"].isna().all()


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, "espionage"),
        ({"event_type": "disruptive", "event_subtype": "External Denial of Services"}, "disruption"),
        ({"event_type": "disruptive", "event_subtype": "Message Manipulation"}, "influence"),
        ({"event_type": "disruptive", "event_subtype": "Undetermined"}, "disruption"),
        ({"event_type": "disruptive", "event_subtype": "Physical Attack"}, "destruction"),
        ({"event_type": "disruptive", "event_subtype": "Data Attack"}, "destruction"),
        ({"event_type": "disruptive", "event_subtype": "Data Attack", "motive": "Protest,Financial"}, "ransomware"),
        ({"event_type": "disruptive", "event_subtype": "Data Attack", "description": "A Ransom note."}, "ransomware"),
        ({"event_type": "mixed", "event_subtype": "Data Attack", "motive": "Financial"}, "espionage;ransomware"),
        (
            {"event_type": "mixed", "event_subtype": "Message Manipulation,External Denial of Service"},
            "espionage;disruption;influence",
        ),
        ({"event_type": "undetermined", "event_subtype": "Undetermined"}, "unknown"),
    ],
)
def test_types(changes: dict[str, Any], codes: str):
    assert from_cissm(table(event(**changes)))["incident_type"].tolist() == [codes]
    assert set(codes.split(";")) <= set(codebook().fields["incident_type"].codes)


def test_attribution_follows_actor_and_country():
    rows = [
        event("a", actor_type="Nation-State"),
        event("b", actor_type="Hacktivist"),
        event("c", actor_type="Undetermined"),
        event("d", actor_type="Nation-State", initiator=None, initiator_status="unknown"),
    ]
    frame = from_cissm(table(*rows))
    assert frame["attribution"].tolist() == ["others", "origin_only", "origin_only", "none"]
    assert frame["imposer"].tolist() == ["RUS", "RUS", "RUS", ""]


def test_unknown_countries_stay_empty_and_domestic_events_are_left_out():
    rows = [
        event("a", initiator=None, initiator_status="unknown"),
        event("b", receiver=None, receiver_status="unknown"),
        event("c", initiator=None, receiver=None),
        event("d", initiator="USA"),
    ]
    frame = from_cissm(table(*rows))
    facts = frame.attrs["facts"]
    assert frame["event_id"].tolist() == ["cissm-a-none-usa", "cissm-b-rus-none", "cissm-c-none-none"]
    assert facts["left_out"] == {"initiator and receiver are the same": 1}
    assert (facts["given"], facts["kept"], facts["usable"]) == (4, 3, 0)
    assert from_cissm(table(event())).attrs["facts"]["usable"] == 1  # control


def test_a_report_before_the_event_loses_its_day():
    frame = from_cissm(table(event(reported_date=dt.date(2020, 1, 1))))
    assert frame["disclosed"].isna().all()
    assert frame["onset"].tolist() == [pd.Timestamp("2021-05-07")]
    assert frame.attrs["facts"]["report_before_event"] == 1


def test_schema_index_and_input():
    given = table(event("a"), event("b"))
    before = given.copy(deep=True)
    frame = from_cissm(given)
    empty = incident_frame({"event_id": pd.Series([], dtype=str)}, source="cissm")
    assert list(frame.columns) == list(empty.columns)
    pd.testing.assert_frame_equal(given, before)
    pd.testing.assert_frame_equal(from_cissm(given.set_index(pd.Index([7, 7]))), frame)
    assert len(from_cissm(given.assign(initiator="USA"))) == 0


def test_absent_columns_are_named():
    with pytest.raises(SchemaError, match=r"motive.*cte\.load\('cissm\.events'\)"):
        from_cissm(table(event()).drop(columns="motive"))
    assert len(from_cissm(table(event()))) == 1  # positive control


def test_the_real_events(shared: Path, tmp_path: Path):
    lake.pull(get("cissm"), mirror=shared / "mirror", home=tmp_path)
    frame = from_cissm(lake.load("cissm.events", home=tmp_path))
    facts = frame.attrs["facts"]
    assert facts["given"] == facts["kept"] + sum(facts["left_out"].values()) == 3945
    assert (facts["kept"], facts["usable"]) == (3464, 1513)
    assert facts["left_out"] == {"initiator and receiver are the same": 481}
    assert (frame["attribution"] == "none").sum() == (frame["imposer"] == "").sum() == 1902
