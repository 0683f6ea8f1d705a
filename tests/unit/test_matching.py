"""Which incidents of several databases are one, on made-up databases whose duplicates are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import EventError, SchemaError
from cyber_trade_econ.events.compared import apart, economies, incident_key, nearness
from cyber_trade_econ.events.incidents import incident_frame
from cyber_trade_econ.events.matching import COLUMNS, RULES, match

PLAIN = ("actor", "group", "network", "system", "company", "data", "theft", "access", "server", "attack", "campaign")
NAMES = [
    f"{a}{b}" for a in ("Zor", "Bel", "Kam", "Tiv", "Rud", "Nol") for b in ("tan", "rix", "wen", "dak", "lum", "fos")
]


def frame(source: str, rows: list[dict[str, Any]], role: str = "onset") -> pd.DataFrame:
    given = pd.DataFrame(rows)
    parts = {
        "event_id": source + "-" + given["id"],
        "title": given["title"],
        "imposer": given["imposer"],
        "target": given["target"],
        role: pd.to_datetime(given["date"]),
        "incident_type": pd.Series("espionage", index=given.index),
    }
    if "precision" in given:
        parts[f"{role}_precision"] = given["precision"].fillna("day")
    return incident_frame(parts, source=source)


def fillers(source: str, seed: int, n: int = 60) -> list[dict[str, Any]]:
    """Incidents that share plain words and a few names of groups, but no incident, with those of other databases."""
    rng = np.random.default_rng(seed)
    out = []
    for at in range(n):
        words = " ".join(rng.choice(PLAIN, 5))
        out.append(
            {
                "id": f"f{seed}{at:03d}-rus-usa",
                "title": f"Some {words} by {rng.choice(NAMES[:8])} and {source}{at}",
                "imposer": "RUS",
                "target": "USA",
                "date": f"{rng.integers(2005, 2021)}-{rng.integers(1, 13):02d}-{rng.integers(2, 28):02d}",
            }
        )
    return out


def one(ident: str, title: str, date: str, imposer: str = "RUS", target: str = "USA", **more: Any) -> dict[str, Any]:
    return {"id": ident, "title": title, "imposer": imposer, "target": target, "date": date, **more}


SAME = [one("1-rus-usa", "A theft from the Marrowgate shipyard with Quillworm", "2014-03-02")]
AGAIN = [one("9-rus-usa", "In an attack Quillworm reached the Marrowgate shipyard", "2014-03-09")]


def table(a: list[dict[str, Any]], b: list[dict[str, Any]], role: str = "onset", **options: Any) -> pd.DataFrame:
    frames = {"aa": frame("aa", [*a, *fillers("aa", 1)]), "bb": frame("bb", [*b, *fillers("bb", 2)], role)}
    return match(frames, **options)


def decided(found: pd.DataFrame, a: str = "aa-1", b: str = "bb-9") -> str:
    row = found[(found["id_a"] == a) & (found["id_b"] == b)]
    return "absent" if row.empty else str(row["decision"].iloc[0])


def test_names_pair_and_days_make_a_match_and_nothing_else_is_accepted():
    found = table(SAME, AGAIN)
    assert list(found.columns) == list(COLUMNS)
    accepted = found[found["decision"] == "accepted"]
    assert list(zip(accepted["id_a"], accepted["id_b"], strict=True)) == [("aa-1", "bb-9")]
    row = accepted.iloc[0]
    assert (row["same_initiator"], row["same_receiver"], row["rule"]) == ("RUS", "USA", "both sides")
    assert (row["dates"], row["days_apart"], row["decided_by"]) == ("onset-onset", 7, "rule")
    facts = found.attrs["facts"]
    assert facts["incidents"] == {"aa": 61, "bb": 61}
    assert sum(facts["decisions"].values()) == len(found)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"date": "2019-03-09"}, "absent"),  # five years later is another incident
        ({"target": "DEU"}, "absent"),
        ({"imposer": "CHN"}, "absent"),
        ({"title": "An attack on a company network by a group"}, "absent"),
    ],
)
def test_another_time_pair_or_name_is_no_match(change: dict[str, str], expected: str):
    assert decided(table(SAME, [AGAIN[0] | change])) == expected
    assert decided(table(SAME, AGAIN)) == "accepted"  # positive control


def test_an_unknown_side_asks_for_more():
    found = table(SAME, [AGAIN[0] | {"imposer": ""}])
    row = found[found["id_b"] == "bb-9"].iloc[0]
    assert row["rule"] == "receiver only"
    both = table(SAME, AGAIN)
    assert row["rivals"] >= both[both["id_b"] == "bb-9"].iloc[0]["rivals"]
    assert RULES["receiver only"].words > RULES["both sides"].words
    assert decided(table([SAME[0] | {"imposer": "", "target": ""}], AGAIN)) == "absent"


def test_a_report_may_follow_late_but_not_come_before():
    late = [AGAIN[0] | {"date": "2014-09-01"}]
    early = [AGAIN[0] | {"date": "2013-09-01"}]
    after = table(SAME, late, "disclosed")
    before = table(SAME, early, "disclosed")
    score = [float(t.loc[t["id_b"] == "bb-9", "score"].iloc[0]) for t in (after, before)]
    assert score[0] > score[1] + 1


def test_database_given_first_comes_first_whatever_the_order():
    frames = {"aa": frame("aa", [*SAME, *fillers("aa", 1)]), "bb": frame("bb", [*AGAIN, *fillers("bb", 2)])}
    back = match(dict(reversed(frames.items())))
    assert decided(back, "bb-9", "aa-1") == "accepted"
    numbers = ["days_apart", "words", "score", "rivals"]
    there = match(frames).set_index(["id_a", "id_b"]).loc[("aa-1", "bb-9"), numbers]
    assert back.set_index(["id_a", "id_b"]).loc[("bb-9", "aa-1"), numbers].tolist() == there.tolist()


def test_order_of_rows_does_not_matter():
    frames = {"aa": frame("aa", [*SAME, *fillers("aa", 1)]), "bb": frame("bb", [*AGAIN, *fillers("bb", 2)])}
    mixed = {name: f.sample(frac=1, random_state=3) for name, f in frames.items()}
    pd.testing.assert_frame_equal(match(mixed), match(frames))


def test_rows_of_one_incident_are_compared_together():
    rows = [SAME[0], SAME[0] | {"id": "1-rus-deu", "target": "DEU"}]
    found = table(rows, [AGAIN[0] | {"id": "9-rus-deu", "target": "DEU"}])
    row = found[found["id_b"] == "bb-9"].iloc[0]
    assert (row["same_receiver"], row["rule"]) == ("DEU", "both sides")


def test_a_shared_source_is_evidence_and_a_front_page_is_not():
    page = "https://www.news.example/2014/03/shipyard-intrusion?utm_source=x"
    plain = [AGAIN[0] | {"title": "A group and a company"}]
    texts = {"aa": {"aa-1": page}, "bb": {"bb-9": "http://news.example/2014/03/shipyard-intrusion/"}}
    found = table(SAME, plain, texts=texts)
    assert float(found.loc[found["id_b"] == "bb-9", "sources"].iloc[0]) == 9
    front = {"aa": {"aa-1": "https://news.example/"}, "bb": {"bb-9": "https://news.example"}}
    assert decided(table(SAME, plain, texts=front)) == "absent"


def test_descriptions_count_and_repeated_phrases_more():
    told = "The Marrowgate shipyard lost drawings of a frigate to Quillworm before dawn"
    plain = [AGAIN[0] | {"title": "A group and a company"}]
    texts = {"aa": {"aa-1": told}, "bb": {"bb-9": told}}
    assert decided(table(SAME, plain)) == "absent"
    assert decided(table(SAME, plain, texts=texts)) == "accepted"


def test_a_decision_by_hand_wins():
    away = pd.DataFrame([("bb-9", "aa-1", "rejected")], columns=["id_a", "id_b", "decision"])
    found = table(SAME, AGAIN, reviews=away)
    row = found[(found["id_a"] == "aa-1") & (found["id_b"] == "bb-9")].iloc[0]
    assert (row["decision"], row["decided_by"]) == ("rejected", "hand")
    pairs = [("aa-f1000", "bb-f2000", "accepted"), ("aa-1", "zz-5", "accepted")]
    added = table(SAME, AGAIN, reviews=pd.DataFrame(pairs, columns=["id_a", "id_b", "decision"]))
    assert decided(added, "aa-f1000", "bb-f2000") == "accepted"
    facts = added.attrs["facts"]
    assert (facts["by_hand"], facts["reviews_of_absent_incidents"]) == (1, 1)


def test_reviews_that_contradict_or_say_nothing_known_are_refused():
    columns = ["id_a", "id_b", "decision"]
    twice = pd.DataFrame([("aa-1", "bb-9", "accepted"), ("bb-9", "aa-1", "rejected")], columns=columns)
    with pytest.raises(EventError, match="two ways"):
        table(SAME, AGAIN, reviews=twice)
    with pytest.raises(EventError, match="perhaps"):
        table(SAME, AGAIN, reviews=pd.DataFrame([("aa-1", "bb-9", "perhaps")], columns=columns))
    with pytest.raises(SchemaError, match="decision"):
        table(SAME, AGAIN, reviews=twice[["id_a", "id_b"]])
    assert len(table(SAME, AGAIN, reviews=twice.head(1)))  # positive control


def test_a_frame_without_a_needed_column_is_refused():
    frames = {"aa": frame("aa", SAME), "bb": frame("bb", AGAIN).drop(columns="incident_type")}
    with pytest.raises(SchemaError, match="'bb' lack"):
        match(frames)


def test_days_between_dates():
    day, later = {"onset": (100, 100)}, {"onset": (107, 107)}
    year, report = {"onset": (0, 365)}, {"disclosed": (190, 190)}
    assert apart(day, later)[:3] == ("onset-onset", 7, 7.0)
    assert apart(day, year).counted == 0
    assert apart(day, year).open == pytest.approx(182.5)
    assert apart(day, report).counted == 30  # 90 days from onset to report, one in three counts
    assert apart({"onset": (190, 190)}, {"disclosed": (100, 100)}).counted == 90
    assert nearness(apart(day, day)) > nearness(apart(day, later)) > nearness(apart(day, report))


def test_keys_and_economies():
    assert incident_key("eurepoc-12-chn-usa", "eurepoc") == "eurepoc-12"
    assert incident_key("eurepoc-12-blrrus-none", "eurepoc") == "eurepoc-12"
    assert incident_key("cissm-a-slug-of-words-usa-none", "cissm") == "cissm-a-slug-of-words"
    assert incident_key("usa-2020-huawei-rules", "coded") == "usa-2020-huawei-rules"
    assert economies("CHN;RUS", 2020) == {"CHN", "RUS"}
    assert economies("", 2020) == economies("WLD", 2020) == frozenset()
    assert {"DEU", "GBR"} <= economies("EUU", 2015)
    assert "GBR" not in economies("EUU", 2021)
