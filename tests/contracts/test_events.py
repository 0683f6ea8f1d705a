"""What the shipped events promise to everybody who uses them."""

from __future__ import annotations

import csv
import importlib.util
import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cyber_trade_econ.codes.country import is_country
from cyber_trade_econ.events import agreement, codebook, events, from_eurepoc, show
from cyber_trade_econ.events.dates import ROLES
from cyber_trade_econ.events.read import read
from cyber_trade_econ.events.show import describe
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
    assert len(default) >= 220
    assert ((default["confidence"] == "confirmed") & (default["record_type"] == "measure")).sum() >= 150
    assert (default["record_type"] == "incident").sum() >= 60
    first = default[[r for r in ROLES if r != "lifted"]].max(axis=1)  # an old operation may become known late
    assert first.dt.year.between(2000, 2025).mean() > 0.99
    assert set(range(2006, 2026)) <= set(first.dt.year)


def test_the_list_is_balanced(default: pd.DataFrame):
    measures = default[default["record_type"] == "measure"]
    imposers = measures["imposer"].str.split(";").explode()
    assert imposers.nunique() >= 60
    assert imposers.eq("USA").mean() < 0.35
    assert (measures["enforcement"] == "never").sum() >= 15  # non-events
    assert (measures["enforcement"] == "bound").mean() > 0.6
    assert measures["lifted"].notna().sum() >= 40
    assert (measures["direction"] == "eases").sum() >= 5
    incidents = default[default["record_type"] == "incident"]
    assert incidents["imposer"].str.split(";").explode().nunique() >= 12
    assert (incidents["imposer"] == "").sum() >= 5
    assert set(incidents["attribution"]) == {"government", "others", "origin_only", "contested", "none"}


def test_pairs_fall_inside_the_shipped_trade_data(default: pd.DataFrame):
    inside = [
        bool(set(i.split(";")) & ECONOMIES and set(t.split(";")) & ECONOMIES)
        for i, t in zip(default["imposer"], default["target"], strict=True)
    ]
    assert sum(inside) >= 150


def test_usable_with_annual_and_with_us_monthly_data(default: pd.DataFrame):
    first = default[[r for r in ROLES if r != "lifted"]].min(axis=1)
    assert ((first >= "2005") & (first < "2022")).sum() >= 40
    us = default["imposer"].eq("USA") | default["target"].str.contains("USA")
    assert us.sum() >= 20


def test_every_event_has_a_date_with_a_role_and_a_source(default: pd.DataFrame):
    starts = default[[r for r in ROLES if r != "lifted"]]
    assert starts.notna().any(axis=1).all()
    assert default["source_citation"].str.len().gt(20).all()
    sure = default[default["confidence"] == "confirmed"]
    assert sure["source_date"].str.fullmatch(r"\d{4}-\d{2}-\d{2}").all()
    assert default["source_kind"].ne("none").all()
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
    assert {"usa-2018-zte-denial-order", "usa-2020-dji-smic-entity-list", "chn-2015-drone-hpc-export"} <= set(
        ground[ground == "no"].index
    )
    assert 10 <= (ground == "no").sum() < 40  # controls, not the bulk
    assert set(ground[ground.index.str.contains("section-301-list")]) == {"partly"}
    assert (ground[ground.index.str.startswith("inc-")] == "yes").all()
    assert ((ground == "yes") & (default["record_type"] == "measure").to_numpy()).sum() >= 40


def test_addresses_are_no_blogs_or_upload_sites(every: pd.DataFrame):
    upload = r"blogspot|wordpress|medium\.com|vdocuments|fdocuments|docslib|docplayer|scribd|slideshare|we54\.com"
    assert pd.Series(["https://x.blogspot.com/a"]).str.contains(upload).all()
    assert not (every["source_url"] + every["other_sources"]).str.contains(upload).any()


def test_doubt_is_explained(every: pd.DataFrame):
    assert every.loc[every["confidence"] != "confirmed", "note"].str.len().gt(20).all()


def test_attribution_names_its_author(every: pd.DataFrame):
    incidents = every[every["record_type"] == "incident"]
    assert incidents["note"].str.len().gt(20).all()
    named = incidents[incidents["attribution"].isin(["government", "others", "origin_only", "contested"])]
    verbs = r"attribut|said|say|names?\b|named|charged|called|placed|point|blam|accus|claimed|spoke|state[sd]|report"
    assert named["note"].str.contains(verbs, case=False).all()
    assert not pd.Series(["A storm took the station down."]).str.contains(verbs, case=False).any()
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
            assert bool(code.examples) == (code.name in used), (field.name, code.name)
            for example in code.examples:
                assert code.name in frame.loc[example, field.name].split(";"), (field.name, code.name)
    for role in book.roles.values():
        assert role.examples
        assert frame.loc[list(role.examples), role.name].notna().all(), role.name
    assert set(book.roles) == set(ROLES)


def test_products_exist_in_the_edition_they_are_written_in(every: pd.DataFrame):
    first_edition = {"851761": 2007, "851762": 2007, "950300": 2007, "854231": 2007, "854232": 2007, "8806": 2022}
    for codes, edition in zip(every["hs_codes"], every["hs_vintage"], strict=True):
        for code in filter(None, codes.split(";")):
            assert int(edition[2:]) >= first_edition.get(code, 1996), (code, edition)


def test_file_is_tidy_text():
    raw = FILE.read_bytes()
    assert raw.endswith(b"\n")
    assert b"\r" not in raw
    assert raw.decode("utf-8").isprintable() or all(c.isprintable() or c == "\n" for c in raw.decode("utf-8"))
    with FILE.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    keys = [(min(r[role] for role in ROLES if r[role] and role != "lifted"), r["event_id"]) for r in rows]
    assert keys == sorted(keys)


def test_every_event_can_be_shown():
    book, (text, _) = codebook(), read(FILE)
    for row in text.to_dict("records"):
        page = describe({str(k): str(v) for k, v in row.items()}, book)
        assert page.startswith(row["title"])
        assert row["source_kind"] in page
    assert show("aus-2018-5g-guidance") == describe(
        dict(text[text["event_id"] == "aus-2018-5g-guidance"].iloc[0]), book
    )


def test_draft_rows_are_used_or_accounted_for(every: pd.DataFrame, shared: Path):
    with (shared / "events" / "cases_draft.csv").open(encoding="utf-8", newline="") as handle:
        draft = {row["case_id"]: row["verification_status"] for row in csv.DictReader(handle)}
    used = every["draft_case"].str.split(";").explode()
    used = used[used != ""]
    assert list(used[used.duplicated()]) == ["165"]  # one notice with two limbs
    left_out = CHANGES.read_text(encoding="utf-8").split("## Draft rows that were not coded")[1].split("\n## ")[0]
    assert set(re.findall(r"\b\d{1,3}\b", left_out)) == set(draft) - set(used) == {"20"}


def test_real_eurepoc_pairs_become_events(shared: Path):
    mirror = shared / "mirror" / "eurepoc"
    raw = [Raw(part.name, next(mirror.glob(part.patterns[0])), "") for part in SOURCE.parts(None)]
    tables = {p.table: p.data.to_pandas() for p in SOURCE.tidy(raw, None)}
    frame = from_eurepoc(tables["dyads"], tables["attributions"])
    facts = frame.attrs["facts"]
    assert facts["given"] == facts["kept"] + sum(facts["left_out"].values()) == 4296
    assert facts["kept"] == len(frame) == 3934
    assert facts["attribution"]["government"] == 233
    assert frame["event_id"].is_unique
    for side in ("imposer", "target"):
        named = frame.loc[frame[side] != "", side].str.split(";").explode()
        assert named.map(is_country).all()
    assert frame["onset"].dt.year.between(2000, 2025).all()
    spells.check(frame)


def test_published_agreement_is_what_the_two_codings_give():
    folder = shipped.path("data/events/agreement")
    stated = pd.read_csv(folder / "agreement.csv")
    now = agreement(folder / "first.csv", folder / "second.csv")
    # Six decimals are written; the draws are seeded.
    pd.testing.assert_frame_equal(now.round(6), stated, check_dtype=False, atol=1e-6)
    assert stated["units"].max() == 60
    assert (stated.loc[stated["field"] == "mechanism", "alpha"] < 0.7).all()  # what is weak is published too


def test_codebook_for_reading_is_that_for_machines():
    folder = shipped.path("data/events")
    spec = importlib.util.spec_from_file_location("make_codebook", folder / "make_codebook.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (folder / "CODEBOOK.md").read_text(encoding="utf-8") == script.page(folder / "codebook.toml")
