"""The common schema of incidents: what is filled in, and what is refused."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events import codebook, events
from cyber_trade_econ.events.incidents import ATTRIBUTIONS, BREAKS, TYPES, incident_frame


def parts(**changes: Any) -> dict[str, pd.Series]:
    given = {
        "event_id": ["x-1-chn-usa", "x-2-none-deu"],
        "title": ["Two\n  words ", "Another"],
        "imposer": ["CHN", ""],
        "target": ["USA", "DEU"],
        "onset": [pd.Timestamp("2021-12-31"), None],
        "disclosed": [None, pd.Timestamp("2022-01-01")],
        "intensity": [3, None],
    }
    return {name: pd.Series(values) for name, values in (given | changes).items()}


def test_schema_is_that_of_the_events_and_three_columns_more():
    frame, coded = incident_frame(parts(), source="x"), events()
    assert list(frame.columns) == [*coded.columns, "source", "intensity_native", "source_break"]
    assert (frame.dtypes[coded.columns] == coded.dtypes).all()
    assert frame["source"].tolist() == ["x", "x"]


def test_codes_are_those_of_the_codebook():
    fields = codebook().fields
    assert set(TYPES) | {"na"} == set(fields["incident_type"].codes)
    assert set(ATTRIBUTIONS) | {"na"} == set(fields["attribution"].codes)
    frame = incident_frame(parts(), source="x")
    for name in set(fields) - {"concern", "hs_vintage", "ebops_items"}:
        assert set(frame[name]) <= set(fields[name].codes), name


def test_what_is_missing_is_empty_or_follows():
    frame = incident_frame(parts(), source="x")
    assert frame["title"].tolist() == ["Two words", "Another"]
    assert frame["attribution"].tolist() == ["others", "none"]
    assert frame["confidence"].tolist() == ["partly", "unconfirmed"]
    assert frame["incident_type"].tolist() == ["unknown", "unknown"]
    assert frame["onset_precision"].tolist() == ["day", ""]
    assert frame["disclosed_precision"].tolist() == ["", "day"]
    assert frame["intensity"].tolist()[0] == 3
    assert frame[["intensity_native", "restrictiveness"]].isna().all(axis=None)
    assert (frame[["companies", "note", "hs_codes"]] == "").all(axis=None)


def test_break_is_by_onset_then_disclosure_and_only_where_a_source_has_one():
    assert incident_frame(parts(), source="eurepoc")["source_break"].tolist() == [False, True]
    assert incident_frame(parts(), source="x")["source_break"].tolist() == [False, False]
    assert set(BREAKS) == {"eurepoc"}


def test_index_of_the_parts_does_not_matter():
    moved = {name: part.set_axis([7, 3]) for name, part in parts().items()}
    pd.testing.assert_frame_equal(incident_frame(moved, source="x"), incident_frame(parts(), source="x"))


def test_no_incident_is_an_empty_frame_of_the_same_types():
    frame = incident_frame({name: part.head(0) for name, part in parts().items()}, source="eurepoc")
    assert len(frame) == 0
    assert list(frame.columns) == list(incident_frame(parts(), source="x").columns)
    assert frame["onset"].dtype == "datetime64[ns]"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"event_id": ["x-1", "x-1"]}, "event_id repeats"),
        ({"weather": ["fine", "rain"]}, "weather"),
        ({"incident_type": ["espionage;magic", "unknown"]}, "incident_type"),
        ({"attribution": ["rumour", "none"]}, "attribution"),
        ({"attribution": ["none", "none"]}, "imposer"),
        ({"attribution": ["others", "others"]}, "imposer"),
        ({"imposer": ["USA;CHN", ""]}, "no economy on both sides"),
        ({"intensity": [11, None]}, "intensity"),
        ({"onset": [None, None], "disclosed": [None, pd.Timestamp("2022-01-01")]}, "at least one of them"),
        ({"intensity": ["much", None]}, "intensity"),
        ({"onset_precision": ["hour", "day"]}, "onset_precision"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(SchemaError, match=message):
        incident_frame(parts(**changes), source="x")
    assert len(incident_frame(parts(), source="x")) == 2  # positive control


def test_parts_on_another_index_or_without_ids_are_refused():
    with pytest.raises(SchemaError, match="index of event_id"):
        incident_frame(parts() | {"target": pd.Series(["USA", "DEU"], index=[1, 0])}, source="x")
    with pytest.raises(SchemaError, match="no event_id"):
        incident_frame({"title": pd.Series(["a"])}, source="x")
