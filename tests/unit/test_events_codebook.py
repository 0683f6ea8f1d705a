"""The codebook as a record, and its table from finer codes to published options."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from cyber_trade_econ.errors import EventError
from cyber_trade_econ.events import codebook, events, recode
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = shipped.path("data/events/codebook.toml")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    return file


def test_codebook_is_frozen():
    book = codebook()
    with pytest.raises(dataclasses.FrozenInstanceError):
        book.version = "4"  # type: ignore[misc]
    with pytest.raises(TypeError):
        book.published["national_action"]["tariff"] = "do_nothing"  # type: ignore[index]
    with pytest.raises(TypeError):
        book.fields["flow"].codes["sideways"] = book.fields["flow"].codes["both"]  # type: ignore[index]


def test_every_code_has_definition_and_rule():
    book = codebook()
    codes = [c for f in book.fields.values() for c in f.codes.values()] + list(book.roles.values())
    assert len(codes) > 110
    assert all(c.definition.endswith(".") and c.rule.endswith(".") and c.borderline.endswith(".") for c in codes)


def test_published_options_are_those_of_the_framework():
    named = {"do_nothing", "develop_import_trade_barriers", "restrict_government_procurement", "develop_norms"}
    named |= {"amplify_the_conflict", "not_in_published_list", "not_an_action"}
    book = codebook()
    assert set(book.options["national_action"]) == named
    assert "do_nothing" not in book.published["national_action"].values()  # the untreated state
    responses = {"acquiesce", "compromise", "avoid", "defy", "collaborate", "not_in_published_list"}
    assert set(book.options["org_action"]) == responses
    assert len(book.options["scenario"]) == len(book.options["mechanism"]) == 4
    assert set(book.published) == {
        *("concern", "national_action", "org_action", "scenario", "mechanism", "supply_chain_position")
    }


def test_another_table_can_replace_the_mapping(tmp_path: Path):
    mine = codebook(
        changed(tmp_path, 'export_control = "amplify_the_conflict"', 'export_control = "not_in_published_list"')
    )
    before = events()
    after = recode(before, mine)
    moved = before["national_action"] == "export_control"
    assert moved.any()
    assert set(after.loc[moved, "published_action"]) == {"not_in_published_list"}
    assert after.loc[~moved, "published_action"].equals(before.loc[~moved, "published_action"])
    same = recode(before, codebook())
    assert same[before.columns].equals(before)  # positive control: the shipped table changes nothing
    assert set(same.columns) - set(before.columns) == {
        f"published_{f}" for f in ("concern", "org_action", "scenario", "mechanism", "supply_chain_position")
    }


def test_several_codes_become_several_names_each_once():
    frame = events().head(2).assign(concern=["military;societal", ""], org_action=["defy;unknown;na", "na"])
    out = recode(frame, codebook())
    assert out["published_concern"].tolist() == ["military_security;culture_and_societal_system", ""]
    assert out["published_org_action"].tolist() == ["defy;not_in_published_list", "not_in_published_list"]


def test_weights_of_actions_can_be_replaced(tmp_path: Path):
    mine = codebook(changed(tmp_path, "tariff = 3", "tariff = 1"))
    tariffs = recode(events(), mine).loc[lambda e: e["national_action"] == "tariff", "restrictiveness"]
    assert set(tariffs) == {1.0}
    assert events().loc[lambda e: e["national_action"] == "tariff", "restrictiveness"].eq(3).all()
    with pytest.raises(EventError, match="tariff"):
        codebook(changed(tmp_path, "tariff = 3\n", ""))
    for step in (6, -1):
        with pytest.raises(EventError, match=rf"'tariff': {step}.*0 to 5"):
            codebook(changed(tmp_path, "tariff = 3", f"tariff = {step}"))


def test_file_that_follows_another_table_is_refused(tmp_path: Path):
    mine = codebook(
        changed(tmp_path, 'export_control = "amplify_the_conflict"', 'export_control = "not_in_published_list"')
    )
    with pytest.raises(EventError, match=r"published_action.*not_in_published_list"):
        events(book=mine)
    assert len(events(book=codebook())) > 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('tariff = "amplify_the_conflict"\n', "", r"missing \['tariff'\]"),
        ('tariff = "amplify_the_conflict"\n', 'tariff = "shout"\n', "shout"),
        ('tariff = "amplify_the_conflict"\n', 'tariff = "amplify_the_conflict"\nquota = "do_nothing"\n', "quota"),
        ('version = "3"', "version = ", "TOMLDecodeError"),
        ('version = "3"\n', "", "KeyError"),
        ('meaning = "What kind of thing happened."\n', "", "KeyError"),
        ("[fields.national_action]\n", "[fields.renamed]\n", "KeyError"),
    ],
)
def test_broken_codebook_is_refused(tmp_path: Path, old: str, new: str, says: str):
    with pytest.raises(EventError, match=says):
        codebook(changed(tmp_path, old, new))


def test_absent_codebook_is_refused(tmp_path: Path):
    with pytest.raises(EventError, match=r"none\.toml"):
        codebook(tmp_path / "none.toml")


def test_recode_names_unknown_actions():
    with pytest.raises(EventError, match="quota"):
        recode(events().assign(national_action="quota"), codebook())
