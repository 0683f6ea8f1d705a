"""Families of codes, and where the goods of headings went."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from cyber_trade_econ.codes.concordance import concord_codes, families
from cyber_trade_econ.codes.links import every, firm, links, principal, shares
from cyber_trade_econ.codes.product import VINTAGES, codes_of
from cyber_trade_econ.errors import ConfigError, UnknownCode, VintageError

if TYPE_CHECKING:
    import pandas as pd


def called(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    return dict(zip(zip(table["vintage"], table["code"], strict=True), table["family"], strict=True))


@pytest.mark.parametrize("traces", [False, True])
def test_families_hold_both_ends_of_every_link(traces: bool) -> None:
    family = called(families(traces=traces))
    for older, newer in itertools.pairwise(VINTAGES):
        pairs = every(older, newer) if traces else firm(older, newer)
        assert all(family[older, start] == family[newer, end] for start, end in pairs)


def test_every_code_is_in_one_family_called_after_a_member() -> None:
    table = families(("HS2012", "HS2017", "HS2022"))
    assert not table.duplicated(["vintage", "code"]).any()
    assert len(table) == sum(len(codes_of(v)) for v in ("HS2012", "HS2017", "HS2022"))
    members = table["vintage"] + ":" + table["code"]
    assert (table["family"].map(dict(zip(members, table["family"], strict=True))) == table["family"]).all()
    facts = table.attrs["families"]
    assert facts["families"] == table["family"].nunique()
    assert facts["largest"] == table.groupby("family").size().max()


def test_a_family_of_two_vintages_is_the_connected_part_between_them() -> None:
    family = called(families(("HS2017", "HS2022")))
    telephones = {family["HS2017", "851712"], family["HS2022", "851713"], family["HS2022", "851714"]}
    assert len(telephones) == 1
    assert family["HS2017", "010121"] == family["HS2022", "010121"] != family["HS2022", "010129"]


def test_without_traces_electrical_waste_does_not_join_all_electronics() -> None:
    apart, joined = families(("HS2017", "HS2022")), families(("HS2017", "HS2022"), traces=True)
    assert apart.attrs["families"]["largest"] < 100 < 1000 < joined.attrs["families"]["largest"]
    family = called(apart)
    assert family["HS2022", "854931"] != family["HS2022", "851762"]


def test_headings_are_answered_at_their_own_level() -> None:
    assert concord_codes(["8517"], "HS2017", "HS2022") == {"8517"}
    assert concord_codes(["851712"], "HS2017", "HS2022") == {"851713", "851714"}
    assert {"8517", "8525"} <= concord_codes(["8517"], "HS2017", "HS2002")
    assert concord_codes(["85", "847130"], "HS2017", "HS2022") >= {"85", "847130"}
    assert concord_codes([], "HS2017", "HS2022") == frozenset()
    assert concord_codes(["8517"], "HS2017", "HS2017") == {"8517"}
    assert "8549" in concord_codes(["8517"], "HS2017", "HS2022", traces=True)


def test_display_modules_come_from_optical_devices_and_parts_of_screens() -> None:
    """The texts of 2017 name liquid crystal devices in 9013 and parts of screens in 8529, those of 2022 in 8524."""
    assert concord_codes(["8524"], "HS2022", "HS2017") == {"8529", "9013"}
    assert links("HS2022", "HS2017")["852491"] == {"852990", "901380"}
    assert "852411" in links("HS2017", "HS2022")["901380"]
    assert principal("HS2022") <= every("HS2017", "HS2022")
    assert shares("HS2017", "HS2022")["901380"] == {"901380": 1.0}


def test_parts_of_clocks_are_no_electrical_waste() -> None:
    assert concord_codes(["911490"], "HS2017", "HS2022") == {"911490"}
    assert links("HS2022", "HS2017")["911490"] == {"911410", "911490"}


@pytest.mark.parametrize(("origin", "target"), [*itertools.pairwise(VINTAGES[::-1]), ("HS2002", "HS2022")])
def test_conversions_stay_within_families(origin: str, target: str) -> None:
    """But for electrical waste, a family of its own."""
    family = called(families((origin, target)))
    for start, ends in links(origin, target).items():
        for end in ends:
            waste = {start[:4], end[:4]} & {"8549"}
            assert family[origin, start] == family[target, end] or waste, (start, end)


def test_a_heading_goes_where_its_subheadings_go() -> None:
    for vintage in VINTAGES[:-1]:
        found = links(vintage, "HS2022")
        for heading in ("8471", "8525", "8542", "2701"):
            ends = {end[:4] for code, codes in found.items() if code.startswith(heading) for end in codes}
            assert concord_codes([heading], vintage, "HS2022") == ends


def test_unknown_codes_and_vintages_are_refused() -> None:
    with pytest.raises(UnknownCode, match=r"851713.*HS2022"):
        concord_codes(["8517", "851713"], "HS2017", "HS2022")
    with pytest.raises(VintageError):
        concord_codes(["8517"], "HS2017", "HS2023")
    with pytest.raises(ConfigError, match="two or more"):
        families(["HS2017"])
    with pytest.raises(VintageError):
        families(["HS2017", "2022"])
