"""Cells that carry several events."""

from __future__ import annotations

import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, EventError, SchemaError
from cyber_trade_econ.exposure import overlap


def coded(*events: dict[str, object]) -> pd.DataFrame:
    plain = {"imposer": "USA", "target": "CHN", "flow": "imports", "announced": None, "hs_codes": "8517"}
    frame = pd.DataFrame([{"event_id": f"e{n}", "effective": None, **plain, **event} for n, event in enumerate(events)])
    return frame.assign(**{r: pd.to_datetime(frame[r]) for r in ("announced", "effective")})


FIVE = coded(
    {"effective": "2019-01-31", "hs_codes": "8525;8517"},
    {"effective": "2019-01-01"},
    {"announced": "2020-01-01", "target": "CHN;RUS"},
    {"effective": "2019-06-01", "hs_codes": "851762"},
    {"effective": "2019-06-01", "hs_codes": ""},
)


def test_cells_gaps_and_ids():
    table = overlap(FIVE, window_days=180)
    assert table[["imposer", "target", "hs_codes"]].to_numpy().tolist() == [["USA", "CHN", "8517"]]
    row = table.iloc[0]
    assert (row["events"], row["ids"]) == (3, "e1;e0;e2")
    assert (row["first"], row["last"]) == (pd.Timestamp("2019-01-01"), pd.Timestamp("2020-01-01"))
    assert (row["gaps"], row["close_gaps"], row["median_gap_days"]) == (2, 1, (30 + 335) / 2)
    assert overlap(FIVE, window_days=30)["close_gaps"].tolist() == [0]  # below, not up to
    facts = table.attrs["facts"]
    assert (facts["cells"], facts["cells_with_several"]) == (4, 1)
    assert facts["in_no_cell"] == ["e4"]


def test_headings_hold_their_subheadings_when_asked():
    assert overlap(FIVE, digits=4)["ids"].tolist() == ["e1;e0;e3;e2"]
    assert overlap(FIVE.assign(hs_codes="851761;851762"), digits=4)["events"].tolist() == [5]  # each event once


def test_expansion():
    as_it_is = overlap(FIVE, expand="none")
    assert as_it_is.empty
    assert list(as_it_is.columns) == list(overlap(FIVE).columns)
    union = coded({"effective": "2020-01-31", "imposer": "EUU"}, {"effective": "2021-01-01", "imposer": "DEU;GBR"})
    assert overlap(union).empty
    assert overlap(union, expand="members")["imposer"].tolist() == ["DEU", "GBR"]
    later = union.assign(effective=[pd.Timestamp("2020-02-01"), union["effective"][1]])
    assert overlap(later, expand="members")["imposer"].tolist() == ["DEU"]
    world = coded({"effective": "2020-01-31", "target": "WLD"}, {"effective": "2021-01-01", "target": "WLD"})
    assert overlap(world, expand="members")["target"].tolist() == ["WLD"]


def test_roles_cells_and_inexact_dates():
    only = overlap(FIVE, on="effective", by=("imposer", "target"))
    assert only["ids"].tolist() == ["e1;e0;e3;e4"]
    assert only.attrs["facts"]["no_date_of_the_role"] == ["e2"]
    month = FIVE.assign(
        effective_precision=["day", "month", "", "day", "day"], announced_precision=["", "", "year", "", ""]
    )
    assert overlap(month)["inexact_dates"].tolist() == [2]
    assert overlap(FIVE)["inexact_dates"].tolist() == [0]


def test_bad_input():
    for options in (
        {"window_days": 0},
        {"by": ()},
        {"by": ("colour",)},
        {"expand": "all"},
        {"digits": 3},
        {"on": "lifted"},
        {"on": ("effective", "signed")},
        {"on": "disclosed"},
    ):
        with pytest.raises(ConfigError):
            overlap(FIVE, **options)
    with pytest.raises(EventError, match="unique"):
        overlap(FIVE.assign(event_id="same"))
    with pytest.raises(SchemaError):
        overlap([FIVE])


def test_the_draft_list_has_fifteen_measures_on_one_heading(shared):
    """The design paper counts 15 measures of the United States on China's heading 8517, 6 of 14 gaps below 180 days."""
    draft = pd.read_csv(shared / "events" / "cases_draft.csv", dtype=str, keep_default_na=False)
    no_barrier = ["lifted", "norms", "wto", "boycott", "warning"]
    draft = draft[(draft["record_type"] == "measure") & ~draft["national_action"].isin(no_barrier)]
    events = pd.DataFrame(
        {
            "event_id": "case-" + draft["case_id"],
            "imposer": draft["imposer_iso3"],
            "target": draft["target_iso3"],
            "flow": "imports",
            "hs_codes": draft["hs_codes"],
            "effective": pd.to_datetime(draft["date"], format="ISO8601"),
            "effective_precision": draft["date_precision"],
        }
    )
    table = overlap(events, on="effective")
    assert table.attrs["facts"]["cells"] == 105
    most = table.iloc[0]
    assert (most["imposer"], most["target"], most["hs_codes"]) == ("USA", "CHN", "8517")
    assert (most["events"], most["gaps"], most["close_gaps"]) == (15, 14, 6)
    second = table.iloc[1]
    assert (second["hs_codes"], second["events"]) == ("8525", 11)


def test_events_in_no_cell_make_an_empty_table():
    empty = overlap(FIVE.iloc[[4]])
    assert empty.empty
    assert empty.attrs["facts"]["in_no_cell"] == ["e4"]
    assert list(empty.columns) == list(overlap(FIVE).columns)
    assert overlap(FIVE.iloc[:0]).empty


def test_columns_that_make_no_cell():
    assert len(overlap(FIVE, by=("imposer", "target")))
    for by in (("imposer", "imposer"), ("event_id",), ("imposer", "events")):
        with pytest.raises(ConfigError, match="make up a cell"):
            overlap(FIVE.assign(events="x"), by=by)
    with pytest.raises(SchemaError, match=r"hs_codes.*8517"):
        overlap(FIVE.assign(hs_codes=8517))


def test_codes_are_cut_one_by_one_only():
    assert len(overlap(FIVE, expand="values", digits=4))
    with pytest.raises(ConfigError, match="expand='none'"):
        overlap(FIVE, expand="none", digits=4)
