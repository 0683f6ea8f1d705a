"""What the shipped events promise to everybody who uses them."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cyber_trade_econ.codes.country import is_country
from cyber_trade_econ.events import codebook, events, from_eurepoc, show
from cyber_trade_econ.events.dates import ROLES
from cyber_trade_econ.exposure import spells
from cyber_trade_econ.records import shipped
from cyber_trade_econ.records.source import Raw
from cyber_trade_econ.sources.eurepoc import SOURCE

if TYPE_CHECKING:
    from pathlib import Path

# The economies of the shipped trade data.
ECONOMIES = set(
    "ARE AUS AUT BEL BRA CAN CHE CHN CZE DEU ESP FRA GBR HKG IDN IND "  # noqa: SIM905
    "ITA JPN KOR MEX MYS NLD POL RUS SAU SGP SWE THA TUR USA VNM".split()
)
FILE = shipped.path("data/events/events.csv")
CHANGES = shipped.path("data/events/CHANGES.md")


@pytest.fixture(scope="module")
def every() -> pd.DataFrame:
    return events(include_unconfirmed=True)


@pytest.fixture(scope="module")
def default() -> pd.DataFrame:
    return events()


def test_enough_confirmed_events(default: pd.DataFrame):
    assert ((default["confidence"] == "confirmed") & (default["record_type"] == "measure")).sum() >= 40
    assert default["draft_case"].ne("").all()


def test_pairs_fall_inside_the_shipped_trade_data(default: pd.DataFrame):
    inside = [
        bool(set(i.split(";")) & ECONOMIES and set(t.split(";")) & ECONOMIES)
        for i, t in zip(default["imposer"], default["target"], strict=True)
    ]
    assert sum(inside) >= 20
    known = ECONOMIES | {"EUU", "WLD"}
    for side in ("imposer", "target"):
        assert default[side].map(lambda cell: bool(set(cell.split(";")) & known)).all()


def test_usable_with_annual_and_with_us_monthly_data(default: pd.DataFrame):
    first = default[[r for r in ROLES if r != "lifted"]].min(axis=1)
    assert ((first >= "2005") & (first < "2022")).sum() >= 40
    us = default["imposer"].eq("USA") | default["target"].str.contains("USA")
    assert us.sum() >= 20


def test_every_event_has_a_date_with_a_role_and_a_source(default: pd.DataFrame):
    starts = default[[r for r in ROLES if r != "lifted"]]
    assert starts.notna().any(axis=1).all()
    assert default["source_citation"].str.len().gt(20).all()
    assert default["source_date"].str.fullmatch(r"\d{4}-\d{2}-\d{2}").all()
    spells.check(default)  # exposure accepts the frame as it is


def test_unconfirmed_events_are_listed_with_and_without_a_source(every: pd.DataFrame):
    left_out = every[every["confidence"] == "unconfirmed"]
    listed = CHANGES.read_text(encoding="utf-8").split("## Left out of the default set")[1].split("\n## ")[0]
    bare, cited = (part.replace("\n", " ") for part in listed.split("A source is cited"))
    without = left_out["source_citation"] == ""
    assert 0 < without.sum() < len(left_out)
    ids = re.compile(r"\b[a-z]{3}-\d{4}-[a-z0-9-]+")
    assert set(ids.findall(bare)) == set(left_out.loc[without, "event_id"])
    assert set(ids.findall(cited)) == set(left_out.loc[~without, "event_id"])


def test_what_rests_on_memory_is_left_out(every: pd.DataFrame):
    memory = every[every["source_check"] == "from_memory"]
    assert len(memory) > 0
    assert set(memory["confidence"]) == {"unconfirmed"}


def test_ground_tells_controls_from_cyber_acts(default: pd.DataFrame):
    ground = default.set_index("event_id")["cyber_ground"]
    assert set(ground[ground == "no"].index) == {
        "usa-2018-zte-denial-order",
        "usa-2020-dji-smic-entity-list",
        "chn-2015-drone-hpc-export",
    }
    assert set(ground[ground.index.str.contains("section-301")]) == {"partly"}
    assert (ground[ground.index.str.startswith("inc-")] == "yes").all()
    assert ((ground == "yes") & (default["record_type"] == "measure").to_numpy()).sum() >= 40


def test_addresses_are_no_blogs_or_upload_sites(every: pd.DataFrame):
    upload = r"blogspot|wordpress|medium\.com|vdocuments|fdocuments|docslib|docplayer|scribd|slideshare|we54\.com"
    assert pd.Series(["https://x.blogspot.com/a"]).str.contains(upload).all()
    assert not every["source_url"].str.contains(upload).any()


def test_doubt_is_explained(every: pd.DataFrame):
    assert every.loc[every["confidence"] != "confirmed", "note"].str.len().gt(20).all()


def test_attribution_names_its_author(every: pd.DataFrame, default: pd.DataFrame):
    incidents = every[every["record_type"] == "incident"]
    assert incidents["note"].str.match(r"(Attributed|Said) by ").all()
    kept = default[default["record_type"] == "incident"]
    by_government = kept["note"].str.match(r"Attributed by (the )?(U\.S\.|EU|FBI|two agencies|five governments)")
    assert by_government.sum() >= 8
    assert not every["note"].str.contains(r"\b(?:hackers?|spies|stole|criminal state|rogue)\b", case=False).any()


def test_measures_of_many_kinds_by_many_economies(default: pd.DataFrame):
    measures = default[default["record_type"] == "measure"]
    assert {"AUS", "CAN", "CHN", "DEU", "EUU", "GBR", "IND", "JPN", "RUS", "SWE", "USA", "VNM"} <= set(
        measures["imposer"]
    )
    assert {"AUS", "CAN", "CHN", "RUS", "SWE", "USA", "WLD"} <= set(measures["target"])
    assert measures["national_action"].nunique() >= 12
    assert measures["lifted"].notna().sum() >= 6
    assert set(measures["published_action"]) >= {"develop_import_trade_barriers", "restrict_government_procurement"}


def test_on_and_off_shocks_have_both_days(default: pd.DataFrame):
    frame = default.set_index("event_id")
    assert frame.loc["usa-2018-zte-denial-order", "lifted"] - frame.loc[
        "usa-2018-zte-denial-order", "effective"
    ] == pd.Timedelta(days=89)
    for ident in ("chn-2014-cbrc-317", "euu-2015-schrems-1", "euu-2020-schrems-2", "ind-2010-chinese-equipment"):
        assert pd.notna(frame.loc[ident, "lifted"])


def test_every_example_carries_its_code_and_every_used_code_has_one(every: pd.DataFrame):
    frame = every.set_index("event_id")
    book = codebook()
    for field in book.fields.values():
        used = set(frame[field.name].str.split(";").explode()) - {""}
        for code in field.codes.values():
            assert bool(code.example) == (code.name in used), (field.name, code.name)
            if code.example:
                assert code.name in frame.loc[code.example, field.name].split(";"), (field.name, code.name)
    for role in book.roles.values():
        assert pd.notna(frame.loc[role.example, role.name]), role.name
    assert set(book.roles) == set(ROLES)


def test_products_exist_in_the_edition_they_are_written_in(every: pd.DataFrame):
    first_edition = {"851761": 2007, "851762": 2007, "950300": 2007, "854231": 2007, "854232": 2007, "8806": 2022}
    for codes, edition in zip(every["hs_codes"], every["hs_vintage"], strict=True):
        for code in filter(None, codes.split(";")):
            assert int(edition[2:]) >= first_edition.get(code, 2002), (code, edition)


def test_file_is_tidy_text():
    raw = FILE.read_bytes()
    assert raw.endswith(b"\n")
    assert b"\r" not in raw
    assert raw.decode("utf-8").isprintable() or all(c.isprintable() or c == "\n" for c in raw.decode("utf-8"))
    with FILE.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    keys = [(min(r[role] for role in ROLES if r[role] and role != "lifted"), r["event_id"]) for r in rows]
    assert keys == sorted(keys)


def test_every_event_can_be_shown(every: pd.DataFrame):
    for ident in every["event_id"]:
        assert show(ident).startswith(every.set_index("event_id").loc[ident, "title"])


def test_draft_rows_are_used_or_accounted_for(every: pd.DataFrame, shared: Path):
    with (shared / "events" / "cases_draft.csv").open(encoding="utf-8", newline="") as handle:
        draft = {row["case_id"]: row["verification_status"] for row in csv.DictReader(handle)}
    used = every["draft_case"].str.split(";").explode()
    assert used.is_unique
    assert {c for c in used if draft[c] != "verified"} == {"38", "101", "169"}
    left_out = CHANGES.read_text(encoding="utf-8").split("## Verified draft rows that were not coded")[1]
    accounted = set(re.findall(r"\b\d{1,3}\b", left_out))
    assert accounted == {c for c, status in draft.items() if status == "verified"} - set(used)


def test_real_eurepoc_pairs_become_events(shared: Path):
    mirror = shared / "mirror" / "eurepoc"
    raw = [Raw(part.name, next(mirror.glob(part.patterns[0])), "") for part in SOURCE.parts(None)]
    dyads = next(p.data for p in SOURCE.tidy(raw, None) if p.table == "dyads").to_pandas()
    frame = from_eurepoc(dyads)
    facts = frame.attrs["facts"]
    assert facts["given"] == facts["kept"] + sum(facts["left_out"].values()) == 4296
    assert facts["kept"] == len(frame) == 1678
    assert frame["event_id"].is_unique
    assert frame["imposer"].map(is_country).all()
    assert frame["target"].map(is_country).all()
    assert (frame["imposer"] != frame["target"]).all()
    assert frame["onset"].dt.year.between(2000, 2025).all()
    spells.check(frame)
