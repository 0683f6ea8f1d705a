"""From the CFR tracker to the common schema, on a made frame whose every row has a known fate, and on the real one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events import codebook
from cyber_trade_econ.events.crosswalks.cfr import TYPES, from_cfr
from cyber_trade_econ.events.incidents import incident_frame
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from pathlib import Path


def operation(ident: str = "aa", **changes: Any) -> dict[str, Any]:
    return {
        "incident_id": ident, "title": "A case", "report_date": dt.date(2022, 3, 7), "sponsor_all": "RUS",
        "sponsor_status": "country", "receiver_all": "UKR", "receiver_status": "country",
        "incident_type": "Espionage", "response": "",
    } | changes  # fmt: skip


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_the_date_is_that_of_the_disclosure():
    row = from_cfr(table(operation())).iloc[0]
    assert row[["event_id", "imposer", "target"]].tolist() == ["cfr-aa-rus-ukr", "RUS", "UKR"]
    assert (row["disclosed"], row["disclosed_precision"]) == (pd.Timestamp("2022-03-07"), "day")
    assert pd.isna(row["onset"])
    assert row["onset_precision"] == ""
    assert pd.isna(row["intensity"])


def test_one_row_per_sponsor_and_receiver():
    joint = operation(
        "a", sponsor_all="USA;ISR", sponsor_status="joint", receiver_all="IRN;ISR", receiver_status="countries"
    )
    frame = from_cfr(table(joint, operation("b")))
    assert frame["event_id"].tolist() == ["cfr-a-usa-irn", "cfr-a-usa-isr", "cfr-a-isr-irn", "cfr-b-rus-ukr"]
    assert frame["note"].tolist() == [*["one of 2 economies listed as victims"] * 3, ""]
    facts = frame.attrs["facts"]
    assert facts["left_out"] == {"initiator and receiver are the same": 1}
    assert (facts["given"], facts["kept"], facts["incidents"], facts["operations"]["given"]) == (5, 4, 2, 2)
    assert (facts["kept_from_lists_of_receivers"], facts["kept_from_joint_sponsors"]) == (3, 3)


def test_sides_that_nobody_named_stay_empty():
    rows = [
        operation("a", sponsor_all="", sponsor_status="none"),
        operation("b", sponsor_all="", sponsor_status="unread", receiver_all="", receiver_status="text"),
        operation("c", receiver_all="", receiver_status="text", response="Sanctions"),
    ]
    frame = from_cfr(table(*rows))
    assert frame["event_id"].tolist() == ["cfr-a-none-ukr", "cfr-b-none-none", "cfr-c-rus-none"]
    assert frame["imposer"].tolist() == ["", "", "RUS"]
    assert frame["target"].tolist() == ["UKR", "", ""]
    assert frame["attribution"].tolist() == ["none", "none", "government"]
    assert frame["confidence"].tolist() == ["unconfirmed", "unconfirmed", "partly"]
    assert frame.attrs["facts"]["usable"] == 0


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("Denouncement", "government"),
        ("Criminal charges", "government"),
        ("Sanctions", "government"),
        ("Confirmation", "others"),
        ("Denial", "others"),
        ("Unknown", "others"),
        ("", "others"),
    ],
)
def test_attribution_by_response(response: str, code: str):
    assert from_cfr(table(operation(response=response)))["attribution"].tolist() == [code]


def test_types_are_codes_of_the_codebook():
    frame = from_cfr(table(*(operation(f"a{n}", incident_type=t) for n, t in enumerate(TYPES))))
    assert frame["incident_type"].tolist() == list(TYPES.values())
    assert set(frame["incident_type"]) <= set(codebook().fields["incident_type"].codes)


def test_undated_operations_are_left_out_and_counted():
    frame = from_cfr(table(operation("a", report_date=None), operation("b")))
    assert frame.attrs["facts"]["left_out"] == {"date missing": 1}
    assert frame["event_id"].tolist() == ["cfr-b-rus-ukr"]


def test_schema_index_and_input():
    given = table(operation("a"), operation("b"))
    before = given.copy(deep=True)
    frame = from_cfr(given)
    empty = incident_frame({"event_id": pd.Series([], dtype=str)}, source="cfr")
    assert list(frame.columns) == list(empty.columns)
    pd.testing.assert_frame_equal(given, before)
    pd.testing.assert_frame_equal(from_cfr(given.set_index(pd.Index([7, 7]))), frame)
    assert len(from_cfr(given.assign(report_date=None))) == 0


def test_absent_columns_are_named():
    with pytest.raises(SchemaError, match=r"response.*cte\.load\('cfr\.incidents'\)"):
        from_cfr(table(operation()).drop(columns="response"))
    assert len(from_cfr(table(operation()))) == 1  # positive control


def test_the_real_operations(shared: Path, tmp_path: Path):
    lake.pull(get("cfr"), mirror=shared / "mirror", home=tmp_path)
    frame = from_cfr(lake.load("cfr.incidents", home=tmp_path))
    facts = frame.attrs["facts"]
    assert facts["given"] == facts["kept"] + sum(facts["left_out"].values()) == 1415
    assert (facts["kept"], facts["incidents"], facts["usable"], facts["operations"]["given"]) == (1334, 722, 866, 768)
    usable = frame[(frame["imposer"] != "") & (frame["target"] != "")]
    assert (usable["note"] == "").sum() == 259, "those whose victims are in one economy"
    assert frame["disclosed"].notna().all()
    assert frame["onset"].isna().all()
