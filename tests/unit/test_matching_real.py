"""The shipped table of matches, and the real databases where they are at hand."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import ConfigError, NotPulled, UnknownName
from cyber_trade_econ.events.matching import COLUMNS
from cyber_trade_econ.events.reviews import DECISIONS, reviews

EVENTS = Path(__file__).resolve().parent.parent.parent / "data" / "events"
DATABASES = ("dcid", "eurepoc", "cfr", "cissm")


def shipped() -> list[dict[str, str]]:
    with (EVENTS / "incident_matches.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_shipped_table_has_identifiers_numbers_and_decisions_only():
    rows = shipped()
    assert tuple(rows[0]) == COLUMNS
    for row in rows:
        assert row["decision"] in DECISIONS
        assert row["decided_by"] in ("rule", "hand")
        assert row["source_a"] in ("coded", *DATABASES)
        assert row["source_b"] in DATABASES
        assert row["source_a"] == "coded" or row["id_a"].startswith(row["source_a"] + "-")
        assert re.fullmatch(r"([A-Z]{3}(;[A-Z]{3})*)?", row["same_initiator"])
        assert float(row["score"]) <= 60
    pairs = {frozenset((row["id_a"], row["id_b"])) for row in rows}
    assert len(pairs) == len(rows)


def test_every_decision_by_hand_stands_in_the_shipped_table():
    stands = {frozenset((r["id_a"], r["id_b"])): (r["decision"], r["decided_by"]) for r in shipped()}
    columns = reviews()[["id_a", "id_b", "decision"]].itertuples(index=False, name=None)
    for id_a, id_b, decision in columns:
        assert stands[frozenset((id_a, id_b))] == (decision, "hand")


def test_counts_add_up():
    with (EVENTS / "incident_counts.csv").open(encoding="utf-8", newline="") as handle:
        total = list(csv.DictReader(handle))
    with (EVENTS / "incident_counts_by_year.csv").open(encoding="utf-8", newline="") as handle:
        years = list(csv.DictReader(handle))
    assert len(total) == len(DATABASES)
    for name, row in zip(DATABASES, total, strict=True):
        own = [y for y in years if y["source"] == name]
        assert sum(int(y["incidents"]) for y in own) == int(row["incidents"])
        assert sum(int(y["added"]) for y in own) == int(row["added"])
        assert int(row["incidents"]) == int(row["added"]) + int(row["matched_with_one_above"])


def test_real_databases_merge_to_one_row_per_incident_and_pair(shared: Path):
    for name in DATABASES:
        cte.pull(name, mirror=shared / "mirror" / name)
    every = cte.incidents("all")
    facts = every.attrs["facts"]
    assert tuple(every.attrs["sources"]) == tuple(facts["databases"]) == DATABASES
    assert facts["kept"] == len(every) == facts["given"] - facts["taken_in"]
    assert every["event_id"].is_unique
    taken = every["also_in"][every["also_in"] != ""].str.split(";").explode()
    assert taken.is_unique
    assert len(taken) == facts["taken_in"]
    assert not set(taken) & set(every["event_id"])
    for found in facts["sources"].values():
        assert found["incidents"] == found["adds"] + found["matched_before"]
        assert 0 < found["matched"] < found["incidents"]
    assert facts["matches_passed_over"] == 0
    wannacry = every[every["title"].str.contains("WannaCry", case=False) & (every["target"] == "GBR")]
    assert wannacry["source"].tolist() == ["dcid"]
    assert "eurepoc-1016-prk-gbr" in wannacry["also_in"].iloc[0]
    victims = every[every["event_id"].str.startswith("cissm-") & every["title"].str.contains("SANDWORM")]
    outbreak = victims[(victims["onset"] == "2017-06-27") & (victims["target"] == "UKR")]
    assert len(outbreak) <= 1  # NotPetya victim by victim belongs to the entry for the whole
    single = cte.incidents("dcid")
    assert "also_in" not in single.columns


def test_unknown_or_repeated_databases_are_refused():
    wrong: Any = 5
    for name in ("vcdb", wrong):
        with pytest.raises(UnknownName, match=str(name)):
            cte.incidents(name)
    for asked in ([], ["cfr", "cfr"]):
        with pytest.raises(ConfigError, match="each once"):
            cte.incidents(asked)
    with pytest.raises(NotPulled):  # positive control: the name is known, the data are not there
        cte.incidents("cfr")
