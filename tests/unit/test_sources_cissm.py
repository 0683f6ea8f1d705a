"""The CISSM database on made-up rows in the layouts of its exports, and on the beginning of a real one."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import DuplicateKey, FetchError, ParseError, SchemaError
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OLD = [
    *("evtDate", "actor", "actor_type", "organization", "industry_code", "industry", "motive", "event_type"),
    *("event_subtype", "description", "source_url", "country", "actor_country"),
]
FULL, PART = "cyber_events_2026-03-31.csv", "cissm_cyber_attacks_part.csv"


def row(organization: str = "A firm", **changes: str) -> dict[str, str]:
    return {
        "evtDate": "2021-05-07", "actor": "A gang", "actor_type": "Criminal", "organization": organization,
        "industry_code": "22", "industry": "Utilities", "motive": "Financial", "event_type": "Mixed",
        "event_subtype": "Data Attack", "description": "Words.", "source_url": "https://a",
        "country": "United States of America", "actor_country": "Russian Federation",
    } | changes  # fmt: skip


def new(**changes: str) -> dict[str, str]:
    given = row(**changes)
    day = given.pop("evtDate")
    return {"slug": "abc-1", "event_date": day, "reported_date": "2021-05-09", "original_method": "x"} | given | changes


def export(*rows: dict[str, str]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


@pytest.fixture
def pulled(tmp_path: Path) -> Callable[..., lake.Pulled]:
    def pull(content: str, file: str = FULL, **options: Any) -> lake.Pulled:
        folder = tmp_path / "mirror" / "cissm"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        (folder / file).write_text(content, encoding="utf-8")
        return lake.pull(get("cissm"), mirror=folder, **options)

    return pull


def frame() -> pd.DataFrame:
    return lake.load("cissm.events")


def test_older_exports_have_one_date_and_no_id(pulled: Any) -> None:
    got = pulled(export(row(), row("Other")))
    out = frame()
    assert out["event_date"].tolist() == [pd.Timestamp("2021-05-07")] * 2
    assert out["reported_date"].isna().all()
    assert out["event_id"].str.fullmatch("[0-9a-f]{12}").all()
    assert out["event_id"].is_unique
    assert out.loc[0, ["initiator", "receiver", "event_type"]].tolist() == ["RUS", "USA", "mixed"]
    assert got.version == "to 2021-05-07"


def test_newer_exports_have_two_dates_an_id_and_brackets(pulled: Any) -> None:
    got = pulled(export(new(country="[United States Of America]", event_type="[Exploitative]")))
    out = frame().iloc[0]
    assert out["event_id"] == "abc-1"
    assert (out["event_date"], out["reported_date"]) == (pd.Timestamp("2021-05-07"), pd.Timestamp("2021-05-09"))
    assert out[["receiver", "event_type"]].tolist() == ["USA", "exploitive"]
    assert got.facts["events"]["columns_not_kept"] == 1


@pytest.mark.parametrize(
    ("name", "iso3", "status"),
    [
        ("Korea (the Democratic People's Republic of)", "PRK", "country"),
        ("Korea (the Republic of)", "KOR", "country"),
        ("Bonaire, Sint Eustatius and Saba", "BES", "country"),
        ("Tanzania, United Republic of", "TZA", "country"),
        ("Taiwan (Province of China)", "TWN", "country"),
        ("Namibia", "NAM", "country"),
        ("Undetermined", None, "unknown"),
        ("undetermined", None, "unknown"),
        ("", None, "unknown"),
        ("Not attributed", None, "unknown"),
        ("Europe", None, "group"),
        ("Atlantis", None, "unread"),
    ],
)
def test_an_unknown_country_is_no_country(pulled: Any, name: str, iso3: str | None, status: str) -> None:
    got = pulled(export(row(country=name, actor_country=name)))
    out = frame().iloc[0]
    for role in ("initiator", "receiver"):
        assert out[role] == iso3 if iso3 else pd.isna(out[role])
        assert out[[f"{role}_status", f"{role}_name"]].tolist() == [status, name]
        assert got.facts["events"][f"{role}_{status}"] == 1
    assert got.facts["events"].get("names_without_code", []) == (["Atlantis"] if status == "unread" else [])


def test_spellings_are_unified_and_counted(pulled: Any) -> None:
    rows = (
        row("a", actor_type="Hacktvist"),
        row("b", event_type="Exploitative"),
        row("c", actor_type="hobbyist"),
        row("d"),
    )
    got = pulled(export(*rows))
    out = frame()
    assert out["actor_type"].tolist() == ["Hacktivist", "Criminal", "Hobbyist", "Criminal"]
    assert out["event_type"].tolist() == ["mixed", "exploitive", "mixed", "mixed"]
    assert got.facts["events"]["flagged_spelling_of_type"] == 3


def test_rows_that_repeat_or_have_slipped_are_dropped_and_counted(pulled: Any) -> None:
    slipped = row("b", event_type="Political-Espionage", event_subtype="Exploitive", country="https://a")
    got = pulled(export(row("a"), row("a"), slipped, row("a", actor="Another")))
    assert frame()["actor"].tolist() == ["A gang", "Another"]
    assert (got.facts["events"]["dropped_repeats"], got.facts["events"]["dropped_misaligned"]) == (1, 1)


def test_new_types_in_more_than_a_few_rows_are_refused(pulled: Any) -> None:
    strange = [row(f"s{n}", event_type="Quantum") for n in range(2)]
    with pytest.raises(ParseError, match=r"new.*'Quantum'.*allowed: exploitive"):
        pulled(export(*strange, *[row(f"r{n}") for n in range(50)]))
    pulled(export(*strange, *[row(f"r{n}") for n in range(200)]))  # control: one in a hundred may slip
    assert len(frame()) == 200


@pytest.mark.parametrize("cut", [3, 30, 100])
def test_only_a_part_may_end_inside_a_row(pulled: Any, cut: int) -> None:
    text = export(row("a", description="One\nTwo, three"), row("b", description="One\nTwo, four"))
    with pytest.raises(ParseError, match=r"ends inside a row|unexpected end|another width"):
        pulled(text[:-cut])
    got = pulled(text[:-cut], PART)
    assert frame()["organization"].tolist() == ["a"]
    assert got.facts["events"]["dropped_cut_off"] == 1
    assert got.version.endswith(", part")
    assert pulled(text, PART).facts["events"]["dropped_cut_off"] == 0
    assert frame()["description"].tolist() == ["One\nTwo, three", "One\nTwo, four"]


def test_a_part_is_read_as_strictly_before_its_end(pulled: Any) -> None:
    text = export(row("a"), row("b"), row("c"))
    lines = text.splitlines(keepends=True)
    with pytest.raises(ParseError, match="another width, line 2"):
        pulled(lines[0] + "1,2,3\n" + lines[1] + lines[2][:20], PART)


def test_a_report_before_the_event_is_flagged_and_years_chosen(pulled: Any) -> None:
    rows = (
        new(slug="a", reported_date="2020-01-01"),
        new(slug="b", event_date="2019-01-01"),
        new(slug="c", reported_date=""),
    )
    got = pulled(export(*rows), years=[2021])
    assert frame()["event_id"].tolist() == ["a", "c"]
    facts = got.facts["events"]
    assert (facts["flagged_reported_before_event"], facts["dropped_year_not_asked"]) == (1, 1)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (export(row(evtDate="07/05/2021")), ParseError, "row 1 of .*'evtDate'.*no date YYYY-MM-DD.*07/05/2021"),
        (export(new(event_date="")), ParseError, "'event_date'"),
        (export(new(), new(organization="Other")), DuplicateKey, "abc-1"),
        (export(row()).replace("evtDate", "day"), SchemaError, "event_date"),
        (export(row()).replace("actor_country", "origin"), SchemaError, "actor_country"),
        (export(row()).split("\n")[0] + "\n", ParseError, "no rows"),
    ],
)
def test_exports_that_are_refused(pulled: Any, content: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pulled(content)
    pulled(export(row()))  # control
    assert len(frame()) == 1


# --- the beginning of a real export ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lake")
    lake.pull(get("cissm"), mirror=shared / "mirror", home=home)
    return home


def test_real_rows_are_all_accounted_for(real: Path, shared: Path) -> None:
    out = lake.load("cissm.events", home=real)
    facts = lake.provenance("cissm", real)["facts"]["events"]
    text = next((shared / "mirror/cissm").glob("*_part.csv")).read_text(encoding="utf-8")
    published = list(csv.reader(io.StringIO(text, newline="")))[1:]
    whole = [tuple(r) for r in published if len(r) == len(OLD)]
    assert (len(published), len(whole), len(set(whole))) == (3988, 3987, 3946)
    assert len(out) == 3945, "one more row has slipped cells"
    dropped = {k: facts[k] for k in ("dropped_repeats", "dropped_misaligned", "dropped_cut_off")}
    assert dropped == {"dropped_repeats": 41, "dropped_misaligned": 1, "dropped_cut_off": 1}
    assert len(out) + sum(dropped.values()) == len(published)


def test_real_countries(real: Path) -> None:
    out = lake.load("cissm.events", home=real)
    assert "names_without_code" not in lake.provenance("cissm", real)["facts"]["events"]
    assert out.loc[out["receiver_name"] == "Undetermined", "receiver"].isna().all()
    unknown = out["initiator"].isna()
    assert set(out.loc[unknown, "initiator_name"]) == {"Undetermined", ""}
    assert out["initiator"].value_counts().head(3).index.tolist() == ["RUS", "USA", "PRK"]


@pytest.mark.live
def test_live_the_portal_is_no_file_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="mirror"):
        lake.pull(get("cissm"), home=tmp_path)
