"""Lists of goods of information technology."""

from __future__ import annotations

import pytest

from cyber_trade_econ.codes.ict import SCHEMES, ict_goods
from cyber_trade_econ.codes.product import VINTAGES, codes_of
from cyber_trade_econ.errors import ConfigError, VintageError


@pytest.mark.parametrize("vintage", VINTAGES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_goods_are_codes_of_the_vintage(vintage: str, scheme: str) -> None:
    goods = ict_goods(vintage, scheme)  # type: ignore[arg-type]
    assert goods
    assert goods <= codes_of(vintage)


def test_headings_are_taken_whole_and_nothing_else() -> None:
    found = ict_goods("HS2017")
    assert {code[:4] for code in found} == {"8443", "8471", "8473", "8517", "8525", "8528", "8534", "8541", "8542"}
    assert {code for code in found if code.startswith("8443")} == {"844331", "844332"}
    assert {code for code in codes_of("HS2017") if code[:4] == "8517"} <= found


def test_the_sensitive_goods_follow_the_telephone_through_the_editions() -> None:
    assert {"851713", "851714"} <= ict_goods("HS2022", "sensitive")
    assert "852520" in ict_goods("HS2002", "sensitive")  # where mobile telephones were before 2007
    assert not any(code.startswith("8549") for code in ict_goods("HS2022", "sensitive"))  # electrical waste


def test_lists_that_could_not_be_checked_are_refused() -> None:
    assert ict_goods(scheme="headings") == ict_goods("HS2017", "headings")
    with pytest.raises(ConfigError, match="headings, sensitive"):
        ict_goods("HS2007", "oecd_2011")  # type: ignore[arg-type]
    with pytest.raises(VintageError):
        ict_goods("HS2008")
