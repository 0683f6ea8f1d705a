"""From matches to one row per incident and pair of economies."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from cyber_trade_econ.errors import EventError, SchemaError
from cyber_trade_econ.events import merging
from cyber_trade_econ.events.crosswalks import CROSSWALKS, descriptions
from cyber_trade_econ.events.incidents import incident_frame
from cyber_trade_econ.events.matching import match
from cyber_trade_econ.events.merging import clusters, merge
from cyber_trade_econ.events.reviews import DECISIONS, reviews

DAY = pd.Timestamp("2015-06-01")


def frame(source: str, *ids: str, year: int = 2015) -> pd.DataFrame:
    """Incidents whose sides stand in their ids, ``none`` for unknown."""
    ends = [["" if side == "none" else side.upper() for side in i.split("-")[1:]] for i in ids]
    parts = {
        "event_id": pd.Series([f"{source}-{i}" for i in ids]),
        "imposer": pd.Series([e[0] for e in ends]),
        "target": pd.Series([e[1] for e in ends]),
        "onset": pd.Series([DAY.replace(year=year)] * len(ids)),
    }
    return incident_frame(parts, source=source)


def matches(*pairs: tuple[str, str], score: float = 10.0, by: str = "rule") -> pd.DataFrame:
    rows = [{"id_a": a, "id_b": b, "score": score, "decision": "accepted", "decided_by": by} for a, b in pairs]
    return pd.DataFrame(rows, columns=["id_a", "id_b", "score", "decision", "decided_by"])


def test_the_database_given_first_keeps_its_row():
    frames = {"aa": frame("aa", "1-chn-usa"), "bb": frame("bb", "7-chn-usa", "8-chn-usa")}
    out = merge(frames, matches(("aa-1", "bb-7")))
    assert out["event_id"].tolist() == ["aa-1-chn-usa", "bb-8-chn-usa"]
    assert out["also_in"].tolist() == ["bb-7-chn-usa", ""]
    back = merge(dict(reversed(frames.items())), matches(("aa-1", "bb-7")))
    assert back["event_id"].tolist() == ["bb-7-chn-usa", "bb-8-chn-usa"]


def test_pairs_that_only_one_database_has_stay():
    frames = {"aa": frame("aa", "1-chn-usa"), "bb": frame("bb", "7-chn-usa", "7-chn-deu")}
    out = merge(frames, matches(("aa-1", "bb-7")))
    assert out["event_id"].tolist() == ["aa-1-chn-usa", "bb-7-chn-deu"]


def test_a_row_that_knows_both_sides_stays_before_one_that_does_not():
    frames = {"aa": frame("aa", "1-none-usa"), "bb": frame("bb", "7-chn-usa")}
    out = merge(frames, matches(("aa-1", "bb-7")))
    assert out["event_id"].tolist() == ["bb-7-chn-usa"]
    assert out["also_in"].tolist() == ["aa-1-none-usa"]
    other = merge({"aa": frame("aa", "1-none-usa"), "bb": frame("bb", "7-chn-deu")}, matches(("aa-1", "bb-7")))
    assert len(other) == 2  # an unknown side fits, a known one does not


def test_rows_of_one_database_are_never_put_together():
    frames = {"aa": frame("aa", "1-chn-usa", "2-chn-usa"), "bb": frame("bb", "7-chn-usa")}
    out = merge(frames, matches(("aa-1", "bb-7"), ("aa-2", "bb-7")))
    assert out["event_id"].tolist() == ["aa-1-chn-usa", "aa-2-chn-usa"]


def test_joint_sides_are_covered_by_their_parts():
    wide = incident_frame(
        {
            "event_id": pd.Series(["bb-7-chnrus-usa"]),
            "imposer": pd.Series(["CHN;RUS"]),
            "target": pd.Series(["USA"]),
            "onset": pd.Series([DAY]),
        },
        source="bb",
    )
    both = {"aa": frame("aa", "1-chn-usa", "1-rus-usa"), "bb": wide}
    assert merge(both, matches(("aa-1", "bb-7")))["source"].tolist() == ["aa", "aa"]
    one = {"aa": frame("aa", "1-chn-usa"), "bb": wide}
    assert merge(one, matches(("aa-1", "bb-7")))["source"].tolist() == ["aa", "bb"]


@pytest.mark.parametrize(("by", "kept"), [("hand", ["aa-1", "cc-5"]), ("rule", ["aa-1"])])
def test_what_a_hand_set_apart_stays_apart_in_one_cluster(by: str, kept: list[str]):
    """The second is matched with both, as an entry for the whole is with its parts; only a hand sets parts apart."""
    frames = {n: frame(n, f"{i}-chn-usa") for n, i in (("aa", 1), ("bb", 7), ("cc", 5))}
    joined = matches(("aa-1", "bb-7"), ("bb-7", "cc-5"))
    refused = matches(("cc-5", "aa-1"), by=by).assign(decision="rejected")
    out = merge(frames, pd.concat([joined, refused]))
    assert out["event_id"].str.removesuffix("-chn-usa").tolist() == kept
    taken = out["also_in"].iloc[0].split(";")
    assert taken == ["bb-7-chn-usa", *(["cc-5-chn-usa"] if by == "rule" else [])]
    assert out.attrs["facts"]["clusters"] == {3: 1}


def test_what_is_taken_in_is_set_apart_too():
    frames = {n: frame(n, f"{i}-chn-usa") for n, i in (("aa", 1), ("bb", 7), ("cc", 5))}
    joined = matches(("aa-1", "bb-7"), ("aa-1", "cc-5"))
    refused = matches(("bb-7", "cc-5"), by="hand").assign(decision="rejected")
    assert merge(frames, pd.concat([joined, refused]))["source"].tolist() == ["aa", "cc"]
    assert merge(frames, joined)["source"].tolist() == ["aa"]  # positive control


def test_what_is_no_table_is_refused():
    one = {"aa": frame("aa", "1-chn-usa")}
    wrong: Any = None
    for frames, table in (({}, matches()), (one, wrong), ({"aa": wrong}, matches())):
        with pytest.raises(SchemaError, match=r"merge takes|no frame"):
            merge(frames, table)
    with pytest.raises(SchemaError, match="disclosed_precision"):
        merge({"aa": one["aa"].drop(columns="disclosed_precision")}, matches())
    with pytest.raises(SchemaError, match="reviews are no frame"):
        match(one, reviews=wrong or [1])
    assert len(merge(one, matches())) == 1  # positive control


def test_facts_count_what_each_database_adds_by_year():
    frames = {
        "aa": frame("aa", "1-chn-usa"),
        "bb": frame("bb", "7-chn-usa", "8-rus-usa"),
        "cc": frame("cc", "5-chn-usa", "6-prk-kor", year=2016),
    }
    out = merge(frames, matches(("aa-1", "bb-7"), ("bb-7", "cc-5")))
    facts = out.attrs["facts"]
    assert (facts["given"], facts["kept"], facts["taken_in"]) == (5, 3, 2)
    short = {n: (f["incidents"], f["matched"], f["matched_before"], f["adds"]) for n, f in facts["sources"].items()}
    assert short == {"aa": (1, 1, 0, 1), "bb": (2, 1, 1, 1), "cc": (2, 1, 1, 1)}
    assert facts["sources"]["cc"]["by_year"] == {2016: {"incidents": 2, "adds": 1}}
    assert facts["clusters"] == {1: 2, 3: 1}
    assert sum(f["adds"] for f in facts["sources"].values()) == sum(facts["clusters"].values())


def test_only_accepted_matches_count():
    frames = {"aa": frame("aa", "1-chn-usa"), "bb": frame("bb", "7-chn-usa")}
    for decision, rows in (("accepted", 1), ("review", 2), ("rejected", 2)):
        assert len(merge(frames, matches(("aa-1", "bb-7")).assign(decision=decision))) == rows


def test_a_cluster_does_not_grow_beyond_its_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(merging, "LARGEST", 3)
    sure = matches(("a", "b"), ("b", "c"), score=20)
    weak = matches(("c", "d"), score=9)
    groups, passed_over = clusters(["a", "b", "c", "d"], pd.concat([weak, sure]))
    assert (groups, passed_over) == ([["a", "b", "c"], ["d"]], 1)
    hand = pd.concat([matches(("c", "d"), score=1, by="hand"), sure])
    groups, passed_over = clusters(["a", "b", "c", "d"], hand)
    assert groups[-1] == ["b", "c", "d"] or ["a", "b"] in groups
    assert passed_over == 1


def test_matches_without_a_needed_column_are_refused():
    frames = {"aa": frame("aa", "1-chn-usa")}
    with pytest.raises(SchemaError, match="decided_by"):
        merge(frames, matches().drop(columns="decided_by"))
    assert len(merge(frames, matches())) == 1  # positive control


def test_descriptions_gather_the_columns_that_are_there():
    table = pd.DataFrame({"event_id": ["AB1", "ab2"], "description": ["told", ""]})
    assert descriptions("cissm", {"cissm.events": table}) == {"cissm-ab1": "told", "cissm-ab2": ""}
    assert set(CROSSWALKS) == {"dcid", "eurepoc", "cfr", "cissm"}


def test_shipped_reviews_are_readable_and_consistent():
    given = reviews()
    assert set(given["decision"]) <= set(DECISIONS)
    assert (given["reason"] != "").all()
    pairs = [frozenset(p) for p in zip(given["id_a"], given["id_b"], strict=True)]
    assert len(set(pairs)) == len(pairs)
    drawn = given["drawn"].value_counts()
    assert drawn["accepted by the final lines"] >= 60
    assert drawn["near the line"] >= 60


def test_reviews_of_another_file(tmp_path: Any):
    file = tmp_path / "mine.csv"
    file.write_text("id_a,id_b,decision\naa-1,bb-1,accepted\n", encoding="utf-8")
    assert reviews(file)["decision"].tolist() == ["accepted"]
    file.write_text("id_a,id_b\naa-1,bb-1\n", encoding="utf-8")
    with pytest.raises(SchemaError, match="decision"):
        reviews(file)
    with pytest.raises(EventError):
        reviews(tmp_path / "absent.csv")
