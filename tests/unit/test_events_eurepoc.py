"""From EuRepoC pairs to events, on a made frame whose every row has a known fate."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events import codebook, events, from_eurepoc

DAY = dt.date(2020, 5, 17)
ROWS = [
    # incident, start, initiator, status, receiver, status, intensity, attributions
    (1, DAY, "CHN", "country", "USA", "country", 4, 2),
    (1, DAY, "CHN", "country", "DEU", "country", 4, 2),
    (2, dt.date(2019, 1, 1), "RUS", "country", "UKR", "country", 5, 0),
    (3, DAY, None, "unknown", "USA", "country", 1, 1),
    (4, DAY, None, "not attributed", None, "group", 1, 1),
    (5, DAY, None, "joint", "USA", "country", 1, 1),
    (6, DAY, "IRN", "country", None, "group", 1, 1),
    (7, DAY, "IND", "country", "IND", "country", 1, 1),
    (8, None, "PRK", "country", "KOR", "country", 1, 1),
    (1, DAY, "CHN", "country", "USA", "country", 9, 2),
]
NAMES = (
    "incident_id start_date initiator initiator_status receiver receiver_status weighted_intensity number_attributions"
)


@pytest.fixture
def dyads() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=NAMES.split())
    return frame.assign(name="An incident", dyad_id=range(len(frame)))


def test_every_row_is_kept_or_counted(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads)
    facts = frame.attrs["facts"]
    assert facts["left_out"] == {
        "initiator unknown": 1,
        "initiator not attributed": 1,
        "initiator joint": 1,
        "receiver group": 1,
        "initiator and receiver are the same": 1,
        "start date missing": 1,
        "pair repeated within its incident": 1,
    }
    assert facts["given"] == len(dyads) == facts["kept"] + sum(facts["left_out"].values())
    assert frame["event_id"].tolist() == ["eurepoc-1-chn-deu", "eurepoc-2-rus-ukr", "eurepoc-1-chn-usa"]


def test_most_intense_of_a_repeated_pair_stays(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads).set_index("event_id")
    assert frame.loc["eurepoc-1-chn-usa", "intensity"] == 9


def test_schema_is_that_of_the_coded_events(dyads: pd.DataFrame):
    frame, coded = from_eurepoc(dyads), events()
    assert list(frame.columns) == [*coded.columns, "intensity"]
    assert (frame.dtypes[coded.columns] == coded.dtypes).all()
    joined = pd.concat([coded, frame], ignore_index=True)
    assert joined["event_id"].is_unique
    assert set(frame["cyber_ground"]) == {"yes"}
    book = codebook()
    empty = {"concern", "hs_vintage", "ebops_items"}
    for name in set(book.fields) - empty:
        assert set(frame[name]) <= set(book.fields[name].codes), name
    assert (frame["published_action"] == frame["national_action"].map(dict(book.published))).all()


def test_first_of_january_is_a_year_and_no_attribution_is_unconfirmed(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads).set_index("event_id")
    year, day = frame.loc["eurepoc-2-rus-ukr"], frame.loc["eurepoc-1-chn-deu"]
    assert (year["onset_precision"], year["confidence"]) == ("year", "unconfirmed")
    assert (day["onset_precision"], day["confidence"]) == ("day", "partly")
    assert day["onset"] == pd.Timestamp(DAY)
    assert from_eurepoc(dyads).attrs["facts"]["dated_to_the_year"] == 1


def test_nothing_left_is_an_empty_frame_of_the_same_schema(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads[dyads["initiator"].isna()])
    assert len(frame) == 0
    assert list(frame.columns) == [*events().columns, "intensity"]
    assert frame["onset"].dtype == "datetime64[ns]"


def test_input_is_not_changed_and_its_index_does_not_matter(dyads: pd.DataFrame):
    before = dyads.copy(deep=True)
    frame = from_eurepoc(dyads)
    pd.testing.assert_frame_equal(dyads, before)
    pd.testing.assert_frame_equal(from_eurepoc(dyads.set_index(pd.Index([7] * len(dyads)))), frame)


def test_absent_columns_are_named(dyads: pd.DataFrame):
    with pytest.raises(SchemaError, match="start_date"):
        from_eurepoc(dyads.drop(columns="start_date"))
    assert len(from_eurepoc(dyads)) == 3  # positive control
