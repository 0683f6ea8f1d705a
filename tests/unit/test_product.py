"""Code lists of the Harmonized System: what each vintage has, and what the messages say about codes it has not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_trade_econ.codes import product
from cyber_trade_econ.codes.product import VINTAGES, codes_of, exists, vintages_of
from cyber_trade_econ.errors import UnknownCode, VintageError

# Subheadings and headings as the World Customs Organization and the United Nations count them. For 2022 the customs count
# 5,609 subheadings; the lists of the United Nations have 5,612.
COUNTS = {
    "HS1992": (5020, 1241),
    "HS1996": (5113, 1241),
    "HS2002": (5224, 1244),
    "HS2007": (5052, 1221),
    "HS2012": (5205, 1224),
    "HS2017": (5387, 1222),
    "HS2022": (5612, 1228),
}


@pytest.mark.parametrize("vintage", VINTAGES)
def test_each_vintage_has_its_number_of_codes(vintage: str) -> None:
    assert (len(codes_of(vintage, 6)), len(codes_of(vintage, 4)), len(codes_of(vintage, 2))) == (*COUNTS[vintage], 96)


def test_telephones_appear_and_go_as_the_editions_say() -> None:
    assert vintages_of("851712") == ("HS2007", "HS2012", "HS2017")  # telephones for cellular networks
    assert vintages_of("851713") == ("HS2022",)  # smartphones
    assert vintages_of("8469") == VINTAGES[:5]  # typewriters
    assert vintages_of("85") == VINTAGES
    assert vintages_of("999999") == vintages_of("77") == ()


@given(st.sampled_from(VINTAGES), st.data())
def test_a_subheading_exists_with_its_heading_and_chapter(vintage: str, data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(codes_of(vintage))))
    assert all(exists(code[:digits], vintage) for digits in (2, 4, 6))
    assert vintage in vintages_of(code)
    assert product.unknown_codes([code], vintage) == ()


@given(st.sampled_from(VINTAGES), st.data())
def test_a_lost_zero_is_named_with_the_code_it_belongs_to(vintage: str, data: st.DataObject) -> None:
    code = data.draw(st.sampled_from(sorted(c for c in codes_of(vintage) if c.startswith("0"))))
    product.require_codes([code], vintage)
    with pytest.raises(UnknownCode, match=f"zero is lost.*{code}.*{vintage}"):
        product.require_codes([code.lstrip("0")], vintage)


def test_a_message_says_where_a_code_does_exist() -> None:
    assert "in HS2007, HS2012, HS2017" in product.whereabouts("851712", "HS2022")
    assert "in no edition" in product.whereabouts("851799", "HS2022")
    assert "no digits" in product.whereabouts("85.17", "HS2022")
    assert "3 digits" not in product.whereabouts("851", "HS2022")  # 0851 with its zero lost
    assert "8 digits" in product.whereabouts("85171300", "HS2022")
    assert "written '851712'" in product.whereabouts("851712 ", "HS2017")
    product.require_codes(["851712"], "HS2017")
    with pytest.raises(UnknownCode, match=r"851712.*a number"):
        product.require_codes([851712], "HS2017")  # type: ignore[list-item]


@pytest.mark.parametrize("vintage", ["HS2016", "2017", "H5", "", "hs2017"])
def test_an_unknown_vintage_is_refused_by_every_function(vintage: str) -> None:
    asks = (
        lambda v: exists("8517", v),
        codes_of,
        lambda v: product.unknown_codes(["8517"], v),
        lambda v: product.whereabouts("8517", v),
    )
    for ask in asks:
        ask("HS2017")
        with pytest.raises(VintageError, match="HS1992, HS1996"):
            ask(vintage)
