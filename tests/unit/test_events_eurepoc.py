"""From EuRepoC pairs to events, on a made frame whose every row has a known fate."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events import codebook, events, from_eurepoc

DAY = dt.date(2020, 5, 17)
STATE, GANG = "State affiliated actor", "Non-state-group"
ROWS = [
    # incident, start, initiators, status, category, receivers, status, intensity
    (1, DAY, "CHN", "country", STATE, "USA", "country", 4),
    (1, DAY, "CHN", "country", STATE, "DEU", "country", 4),
    (2, dt.date(2019, 1, 1), "RUS", "country", GANG, "UKR", "country", 0),
    (3, DAY, "", "unknown", "Unknown", "USA", "country", 1),
    (4, dt.date(2022, 3, 1), "", "not attributed", "Not attributed", "", "group", 15),
    (5, DAY, "RUS;BLR", "joint", STATE, "USA", "country", 1),
    (6, DAY, "IRN", "country", STATE, "", "group", 1),
    (7, DAY, "IND", "country", GANG, "IND", "country", 1),
    (8, None, "PRK", "country", STATE, "KOR", "country", 1),
    (1, DAY, "CHN", "country", STATE, "USA", "country", 9),
    (5, DAY, "BLR;RUS", "joint", STATE, "USA", "country", 1),
    (9, DAY, "CHN;RUS", "joint", STATE, "RUS", "country", 1),
]
COLUMNS = "incident_id start_date initiator_all initiator_status initiator_category receiver_all receiver_status"
FLAGS = ("data_theft", "data_theft_and_doxing", "disruption", "ransomware")
HIJACKED = ("hijacking_with_misuse", "hijacking_without_misuse")


@pytest.fixture
def dyads() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=[*COLUMNS.split(), "weighted_intensity"])
    flags = dict.fromkeys((*FLAGS, *HIJACKED), 0)
    return frame.assign(name="An incident", initiator_actor="Unknown", operation_type="Not available", **flags)


def attributions(*rows: tuple[Any, ...]) -> pd.DataFrame:
    names = "incident_id initiator_all initiator_category attribution_basis attribution_type"
    return pd.DataFrame(rows, columns=names.split())


def test_every_row_is_kept_or_counted(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads)
    facts = frame.attrs["facts"]
    assert facts["left_out"] == {
        "initiator and receiver share an economy": 2,
        "start date missing": 1,
        "pair repeated within its incident": 2,
    }
    assert facts["given"] == len(dyads) == facts["kept"] + sum(facts["left_out"].values())
    assert frame["event_id"].tolist() == [
        *("eurepoc-1-chn-deu", "eurepoc-2-rus-ukr", "eurepoc-3-none-usa", "eurepoc-4-none-none"),
        *("eurepoc-5-blrrus-usa", "eurepoc-6-irn-none", "eurepoc-1-chn-usa"),
    ]
    assert (facts["incidents"], facts["after_source_break"], facts["intensity_not_assessed"]) == (6, 1, 1)


def test_sides_without_one_economy_are_kept_and_unknown_is_no_country(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads).set_index("event_id")
    assert frame.loc["eurepoc-5-blrrus-usa", "imposer"] == "BLR;RUS"
    assert frame.loc["eurepoc-6-irn-none", ["imposer", "target"]].tolist() == ["IRN", ""]
    assert frame.loc["eurepoc-4-none-none", ["imposer", "target"]].tolist() == ["", ""]
    assert ((frame["imposer"] == "") == (frame["attribution"] == "none")).all()


def test_most_intense_of_a_repeated_pair_stays_and_points_are_scaled(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads).set_index("event_id")
    assert frame.loc["eurepoc-1-chn-usa", ["intensity_native", "intensity"]].tolist() == [9, 6]
    assert frame.loc["eurepoc-4-none-none", "intensity"] == 10
    assert pd.isna(frame.loc["eurepoc-2-rus-ukr", "intensity"])
    assert frame.loc["eurepoc-2-rus-ukr", "intensity_native"] == 0


def test_the_order_of_the_rows_decides_nothing(dyads: pd.DataFrame):
    """Two rows repeat a pair with the same intensity, one against a region and one against nobody known."""
    tied = dyads.iloc[[5, 5]].assign(receiver_status=["unknown", "group"], operation_type=["Data theft", "Other"])
    one, two = from_eurepoc(tied), from_eurepoc(tied.iloc[::-1])
    pd.testing.assert_frame_equal(one, two)
    assert one.attrs["facts"] == two.attrs["facts"]
    assert len(one) == 1


def test_what_is_no_table_and_no_date_is_refused(dyads: pd.DataFrame):
    wrong: Any = [1]
    with pytest.raises(SchemaError, match="takes a table"):
        from_eurepoc(wrong)
    with pytest.raises(SchemaError, match="start_date"):
        from_eurepoc(dyads.assign(start_date="2020-13-01"))
    assert len(from_eurepoc(dyads.assign(start_date="2020-12-01")))  # positive control


def test_schema_is_that_of_the_coded_events(dyads: pd.DataFrame):
    frame, coded = from_eurepoc(dyads), events()
    assert list(frame.columns) == [*coded.columns, "source", "intensity_native", "source_break"]
    assert (frame.dtypes[coded.columns] == coded.dtypes).all()
    joined = pd.concat([coded, frame], ignore_index=True)
    assert joined["event_id"].is_unique
    book = codebook()
    empty = {"concern", "hs_vintage", "ebops_items"}
    for name in set(book.fields) - empty:
        codes = set(frame[name].str.split(";").explode())
        assert codes <= set(book.fields[name].codes), name
    assert (frame["published_action"] == frame["national_action"].map(dict(book.published["national_action"]))).all()


def test_first_of_january_is_a_year_and_first_of_another_month_a_month(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads).set_index("event_id")
    year, day = frame.loc["eurepoc-2-rus-ukr"], frame.loc["eurepoc-1-chn-deu"]
    assert (year["onset_precision"], day["onset_precision"]) == ("year", "day")
    assert frame.loc["eurepoc-4-none-none", "onset_precision"] == "month"
    assert day["onset"] == pd.Timestamp(DAY)
    facts = from_eurepoc(dyads).attrs["facts"]
    assert (facts["dated_to_the_year"], facts["dated_to_the_month"]) == (1, 1)


@pytest.mark.parametrize(
    ("flags", "operation", "expected"),
    [
        (("data_theft",), "Not available", "espionage"),
        (("data_theft", "hijacking_with_misuse"), "Data theft", "espionage"),
        (("data_theft_and_doxing",), "Hack and leak", "espionage;influence"),
        (("disruption", "ransomware"), "Ransomware & data theft extortion", "disruption;ransomware"),
        (("hijacking_with_misuse",), "Prolonged system outage (e.g., wiper)", "disruption"),
        (("hijacking_without_misuse",), "Hijacking without Misuse", "access"),
        ((), "Hijacking with Misuse", "access"),
        ((), "DDoS/Defacement", "disruption"),
        ((), "Other", "unknown"),
    ],
)
def test_types(dyads: pd.DataFrame, flags: tuple[str, ...], operation: str, expected: str):
    one = dyads.head(1).assign(operation_type=operation, **dict.fromkeys(flags, 1))
    assert from_eurepoc(one)["incident_type"].tolist() == [expected]


def test_a_new_type_of_operation_is_refused(dyads: pd.DataFrame):
    with pytest.raises(SchemaError, match="Teleportation"):
        from_eurepoc(dyads.assign(operation_type="Teleportation"))
    assert len(from_eurepoc(dyads.assign(operation_type="Other"))) == 7  # positive control


RECEIVER, THIRD = "Attribution by receiver government / state entity", "Attribution by third-party"
POLITICAL, FIRM = "Political statement / report (e.g., on government / state agency websites)", "Technical report"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "others"),
        ([(1, "CHN", STATE, RECEIVER, POLITICAL)], "government"),
        ([(1, "CHN", STATE, THIRD, POLITICAL)], "government"),
        ([(1, "CHN", STATE, THIRD, FIRM)], "others"),
        ([(1, "CHN", STATE, RECEIVER, "Anonymous statement in media report")], "others"),
        ([(1, "CHN", GANG, RECEIVER, POLITICAL)], "others"),
        ([(1, "CHN", STATE, RECEIVER, POLITICAL), (1, "RUS", STATE, THIRD, FIRM)], "contested"),
        ([(1, "CHN", STATE, "Contested attribution", FIRM)], "contested"),
        ([(1, "CHN", STATE, RECEIVER, POLITICAL), (1, "", STATE, THIRD, FIRM)], "government"),
        ([(2, "CHN", STATE, RECEIVER, POLITICAL)], "others"),
    ],
)
def test_attribution(dyads: pd.DataFrame, rows: list[tuple[Any, ...]], expected: str):
    given = attributions(*rows) if rows else None
    assert from_eurepoc(dyads.head(1), given)["attribution"].tolist() == [expected]


def test_a_gang_is_an_origin_whoever_names_it(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads, attributions((2, "RUS", GANG, RECEIVER, POLITICAL))).set_index("event_id")
    assert frame.loc["eurepoc-2-rus-ukr", "attribution"] == "origin_only"
    assert frame.loc["eurepoc-3-none-usa", "attribution"] == "none"


def test_several_initiators_of_one_incident_do_not_contest_each_other(dyads: pd.DataFrame):
    two = dyads.head(2).assign(initiator_all=["CHN", "PRK"])
    named = attributions((1, "CHN", STATE, RECEIVER, POLITICAL), (1, "PRK", STATE, THIRD, FIRM))
    assert from_eurepoc(two, named)["attribution"].tolist() == ["government", "others"]


def test_nothing_left_is_an_empty_frame_of_the_same_schema(dyads: pd.DataFrame):
    frame = from_eurepoc(dyads.head(0))
    assert len(frame) == 0
    assert list(frame.columns) == list(from_eurepoc(dyads).columns)
    assert frame["onset"].dtype == "datetime64[ns]"


def test_input_is_not_changed_and_its_index_does_not_matter(dyads: pd.DataFrame):
    before = dyads.copy(deep=True)
    frame = from_eurepoc(dyads)
    pd.testing.assert_frame_equal(dyads, before)
    pd.testing.assert_frame_equal(from_eurepoc(dyads.set_index(pd.Index([7] * len(dyads)))), frame)


def test_absent_columns_are_named(dyads: pd.DataFrame):
    with pytest.raises(SchemaError, match="start_date"):
        from_eurepoc(dyads.drop(columns="start_date"))
    with pytest.raises(SchemaError, match="attribution_basis"):
        from_eurepoc(dyads, pd.DataFrame({"incident_id": [1]}))
    assert len(from_eurepoc(dyads)) == 7  # positive control
