"""Every error of the validator, each against a row that passes."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from cyber_trade_econ.errors import EventError
from cyber_trade_econ.events import codebook, problems, validate
from cyber_trade_econ.events.dates import reversed_pairs, span
from cyber_trade_econ.events.validate import COLUMNS

BOOK = codebook()
MEASURE = dict.fromkeys(COLUMNS, "") | {
    "event_id": "deu-2020-made-up",
    "title": "A measure that never was",
    "record_type": "measure",
    "imposer": "DEU",
    "target": "CHN",
    "flow": "imports",
    "announced": "2020-03",
    "adopted": "2020-03-10",
    "effective": "2020-04-01",
    "lifted": "2021",
    "hs_codes": "85;8517;851762",
    "hs_vintage": "HS2017",
    "ebops_items": "SI1;SI2",
    "concern": "military;economic",
    "cyber_ground": "partly",
    "national_action": "import_ban",
    "published_action": "develop_import_trade_barriers",
    "companies": "Huawei;ZTE",
    "org_action": "defy;unknown",
    "scenario": "geopolitical",
    "mechanism": "supply_chain_risk",
    "supply_chain_position": "equipment",
    "target_basis": "named",
    "enforcement": "bound",
    "direction": "restricts",
    "incident_type": "na",
    "attribution": "na",
    "confidence": "confirmed",
    "source_kind": "register",
    "source_citation": "Bundesgesetzblatt I, made up",
    "source_date": "2020-03-12",
    "source_url": "https://example.org/act",
    "source_check": "seen",
}
INCIDENT = MEASURE | {
    "event_id": "inc-2020-made-up",
    "record_type": "incident",
    "imposer": "CHN",
    "target": "DEU;FRA",
    "flow": "both",
    "cyber_ground": "yes",
    "announced": "",
    "adopted": "",
    "effective": "",
    "lifted": "",
    "onset": "2020",
    "disclosed": "2020-05-01",
    "national_action": "incident",
    "published_action": "not_an_action",
    "companies": "",
    "org_action": "na",
    "scenario": "na",
    "mechanism": "na",
    "supply_chain_position": "na",
    "target_basis": "attributed_attacker_and_victim",
    "enforcement": "na",
    "direction": "na",
    "incident_type": "espionage;influence",
    "attribution": "government",
    "intensity": "4",
}


def found(*rows: dict[str, str]) -> set[tuple[int, str]]:
    return {(p.line, p.column) for p in problems(pd.DataFrame(list(rows), columns=list(COLUMNS), dtype=object), BOOK)}


def test_positive_control():
    assert found(MEASURE, INCIDENT) == set()
    assert found(MEASURE | {"imposer": "EUU", "target": "WLD", "target_basis": "origin_neutral"}) == set()
    assert found(MEASURE | {"imposer": "NAM", "target": "NOR"}) == set()  # NA and NO in other schemes
    assert (
        found(MEASURE | {"hs_codes": "", "hs_vintage": "", "ebops_items": "", "source_url": "", "lifted": ""}) == set()
    )
    bare = {
        "confidence": "unconfirmed",
        "source_citation": "",
        "source_date": "",
        "source_url": "",
        "source_check": "none",
        "source_kind": "none",
    }
    assert found(MEASURE | bare) == set()
    assert found(MEASURE | {"confidence": "unconfirmed"}) == set()  # a source that does not carry the act
    assert found(MEASURE | {"confidence": "unconfirmed", "source_check": "from_memory"}) == set()
    assert found(MEASURE | {"confidence": "partly", "source_date": "2020-03"}) == set()
    assert found(MEASURE | {"org_action": "na"}) == set()
    assert found(MEASURE | {"companies": "", "org_action": "unknown"}) == set()
    assert found(MEASURE | {"effective": "", "lifted": "2020-03-20", "enforcement": "never"}) == set()
    norms = {"national_action": "norms", "published_action": "develop_norms", "target_basis": "origin_neutral"}
    assert found(MEASURE | norms | {"imposer": "WLD", "target": "WLD"}) == set()
    assert found(INCIDENT | {"attribution": "none", "imposer": ""}) == set()
    assert found(INCIDENT | {"target": "WLD", "intensity": "10"}) == set()
    assert all(found(MEASURE | {"cyber_ground": code}) == set() for code in ("yes", "partly", "no"))


@pytest.mark.parametrize(
    ("change", "column"),
    [
        # dates
        ({"effective": "2020-02-30"}, "effective"),
        ({"effective": "2020-13"}, "effective"),
        ({"effective": "01.04.2020"}, "effective"),
        ({"effective": "2020-4-1"}, "effective"),
        ({"effective": "2O20"}, "effective"),
        ({"announced": "1820"}, "announced"),
        ({"source_date": "yesterday"}, "source_date"),
        ({"lifted": "2020-03-31"}, "lifted"),
        ({"adopted": "2020-04-02"}, "effective"),
        ({"announced": "", "adopted": "", "effective": ""}, "announced"),
        # codes
        ({"national_action": "import ban"}, "national_action"),
        ({"concern": "military;fiscal"}, "concern"),
        ({"concern": "military;military"}, "concern"),
        ({"concern": ""}, "concern"),
        ({"cyber_ground": ""}, "cyber_ground"),
        ({"cyber_ground": "maybe"}, "cyber_ground"),
        ({"cyber_ground": "yes;no"}, "cyber_ground"),
        ({"flow": "Imports"}, "flow"),
        ({"scenario": "geopolitical;na"}, "scenario"),
        ({"ebops_items": "SI1, SI2"}, "ebops_items"),
        ({"hs_vintage": "HS2018"}, "hs_vintage"),
        ({"published_action": "develop_norms"}, "published_action"),
        ({"confidence": "sure"}, "confidence"),
        ({"org_action": "defy"}, "org_action"),
        ({"org_action": "defy;unknown;unknown"}, "org_action"),
        ({"companies": "", "org_action": "defy;defy"}, "org_action"),
        ({"enforcement": ""}, "enforcement"),
        ({"enforcement": "na"}, "enforcement"),
        ({"enforcement": "never"}, "effective"),
        ({"enforcement": "pending"}, "effective"),
        ({"enforcement": "enabling"}, "effective"),
        ({"incident_type": "espionage"}, "incident_type"),
        ({"attribution": "none"}, "attribution"),
        ({"intensity": "4"}, "intensity"),
        # economies
        ({"imposer": "GER"}, "imposer"),
        ({"imposer": "WLD"}, "imposer"),
        ({"imposer": ""}, "imposer"),
        ({"imposer": "False"}, "imposer"),
        ({"imposer": "SUN"}, "imposer"),  # the Soviet Union in 2020
        ({"target": "EU"}, "target"),
        ({"target": "CHN, RUS"}, "target"),
        ({"target": "CHN;CHN"}, "target"),
        ({"target": "CHN;DEU"}, "target"),
        ({"target": "WLD"}, "target_basis"),
        ({"target_basis": "origin_neutral"}, "target_basis"),
        # identity
        ({"event_id": "DEU 2020"}, "event_id"),
        ({"event_id": ""}, "event_id"),
        ({"title": ""}, "title"),
        # products
        ({"hs_codes": "8517.62"}, "hs_codes"),
        ({"hs_codes": "851"}, "hs_codes"),
        ({"hs_codes": "85176200"}, "hs_codes"),
        ({"hs_codes": "10121"}, "hs_codes"),
        ({"hs_codes": "8806"}, "hs_codes"),  # drones, from HS2022 on
        ({"hs_codes": "98"}, "hs_codes"),
        ({"hs_codes": "8517;8517"}, "hs_codes"),
        ({"hs_codes": "ALL"}, "hs_codes"),
        ({"hs_codes": "85\u0661\u0667"}, "hs_codes"),  # digits, but not ASCII
        ({"hs_vintage": ""}, "hs_vintage"),
        ({"hs_codes": ""}, "hs_vintage"),
        # spreadsheets
        ({"note": "=HYPERLINK(1)"}, "note"),
        ({"note": "+1"}, "note"),
        ({"companies": "-Huawei"}, "companies"),
        ({"title": "@SUM(A1)"}, "title"),
        ({"note": "two\nlines"}, "note"),
        ({"companies": "Huawei "}, "companies"),
        # sources
        ({"source_citation": ""}, "source_citation"),
        ({"source_date": ""}, "source_date"),
        ({"source_date": "2020-03"}, "source_date"),
        ({"source_check": "none"}, "source_check"),
        ({"source_check": "from_memory"}, "source_check"),
        ({"source_kind": "none"}, "source_kind"),
        ({"source_kind": ""}, "source_kind"),
        ({"source_url": "example.org"}, "source_url"),
        ({"confidence": "partly", "source_citation": "", "source_check": "none"}, "source_citation"),
        # kinds
        ({"onset": "2019"}, "onset"),
        ({"target_basis": "attributed_attacker_and_victim"}, "target_basis"),
        ({"record_type": "incident"}, "national_action"),
    ],
)
def test_each_error_is_found_where_it_is(change: dict[str, str], column: str):
    assert (3, column) in found(INCIDENT, MEASURE | change)
    assert found(INCIDENT, MEASURE) == set()


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"flow": "imports"}, "flow"),
        ({"cyber_ground": "partly"}, "cyber_ground"),
        ({"effective": "2020-05-01"}, "effective"),
        ({"disclosed": "2019-12-31"}, "disclosed"),
        ({"imposer": ""}, "imposer"),
        ({"attribution": "none"}, "imposer"),
        ({"imposer": "Unknown", "attribution": "none"}, "imposer"),
        ({"attribution": "na"}, "attribution"),
        ({"incident_type": "na"}, "incident_type"),
        ({"incident_type": "espionage;espionage"}, "incident_type"),
        ({"enforcement": "bound"}, "enforcement"),
        ({"direction": "eases"}, "direction"),
        ({"intensity": ""}, "intensity"),
        ({"intensity": "11"}, "intensity"),
        ({"intensity": "4.5"}, "intensity"),
        ({"national_action": "sanction"}, "national_action"),
    ],
)
def test_incidents_have_their_own_rules(change: dict[str, str], column: str):
    assert (2, column) in found(INCIDENT | change)


def test_repeated_id_names_the_first_line():
    frame = pd.DataFrame([MEASURE, INCIDENT, MEASURE], columns=list(COLUMNS), dtype=object)
    (problem,) = problems(frame, BOOK)
    assert (problem.line, problem.column) == (4, "event_id")
    assert "line 2" in problem.found


def test_all_problems_are_collected_in_one_error():
    rows = [MEASURE | {"flow": "sideways", "hs_codes": "1"}, INCIDENT | {"target": "XXX"}]
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    with pytest.raises(EventError) as caught:
        validate(frame, BOOK)
    message = str(caught.value)
    assert "3 problem(s)" in message
    for part in (
        "line 2, flow: found 'sideways'; allowed: imports, exports, both",
        "line 2, hs_codes",
        "line 3, target",
    ):
        assert part in message
    validate(pd.DataFrame([MEASURE, INCIDENT], columns=list(COLUMNS), dtype=object), BOOK)


def test_columns_must_be_those_of_the_schema():
    frame = pd.DataFrame([MEASURE], columns=list(COLUMNS), dtype=object)
    assert [p.column for p in problems(frame.drop(columns="flow"), BOOK)] == ["flow"]
    assert [p.column for p in problems(frame.assign(colour="red"), BOOK)] == ["colour"]
    assert [p.column for p in problems(pd.concat([frame, frame[["flow"]]], axis=1), BOOK)] == ["flow"]


def test_field_that_is_no_column_is_named():
    frame = pd.DataFrame([MEASURE], columns=list(COLUMNS), dtype=object)
    wider = dataclasses.replace(BOOK, fields={**BOOK.fields, "colour": BOOK.fields["flow"]})
    assert [p.column for p in problems(frame, wider)] == ["colour"]
    assert problems(frame, BOOK) == ()


def test_cells_that_are_not_text_are_named():
    frame = pd.DataFrame([MEASURE, MEASURE | {"event_id": "another-one"}], columns=list(COLUMNS), dtype=object)
    frame.loc[1, "note"] = float("nan")
    (problem,) = problems(frame, BOOK)
    assert (problem.line, problem.column, problem.found) == (3, "note", "nan")


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"imposer": "FALSE"}, "NO, Norway"),
        ({"hs_codes": "10121"}, "010121"),
        ({"hs_codes": "8806"}, "8806 is in HS2022"),
        ({"scenario": "geopolitic"}, "geopolitical?"),
        ({"effective": "2020-02-30"}, "YYYY-MM-DD"),
    ],
)
def test_messages_say_what_to_do(change: dict[str, str], hint: str):
    (problem, *_) = problems(pd.DataFrame([MEASURE | change], columns=list(COLUMNS), dtype=object), BOOK)
    assert hint in str(problem)


@pytest.mark.parametrize(
    ("text", "first", "last", "precision"),
    [
        ("2020", "2020-01-01", "2020-12-31", "year"),
        ("2020-02", "2020-02-01", "2020-02-29", "month"),
        ("2021-02", "2021-02-01", "2021-02-28", "month"),
        ("2020-02-29", "2020-02-29", "2020-02-29", "day"),
    ],
)
def test_length_is_precision(text: str, first: str, last: str, precision: str):
    days = span(text)
    assert days is not None
    assert (days.first.isoformat(), days.last.isoformat(), days.precision) == (first, last, precision)


@pytest.mark.parametrize(
    "text", ["", "20", "2021-02-29", "2020-00", "2020-01-00", "2020-01-1", " 2020", "2020-01-01T00", "\u0662020"]
)
def test_what_is_not_a_date(text: str):
    assert span(text) is None


def test_order_is_impossible_only_if_no_days_fit():
    def pairs(**dates: str) -> list[tuple[str, str]]:
        return reversed_pairs({role: s for role, text in dates.items() if (s := span(text)) is not None})

    assert pairs(effective="2020-06-01", lifted="2020") == []
    assert pairs(effective="2020-06-01", lifted="2020-05") == [("effective", "lifted")]
    assert pairs(adopted="2020-06", effective="2020-06-01") == []
    assert pairs(adopted="2020-06-02", effective="2020-06-01") == [("adopted", "effective")]
    assert pairs(announced="2020-06-02", effective="2020-06-01") == []  # an act may bind before it is made known
    assert pairs(onset="2020-06-02", disclosed="2020-06-01") == [("onset", "disclosed")]
