"""Items of services trade."""

from __future__ import annotations

import pytest

from cyber_trade_econ.codes.service import digitally_deliverable, is_service, service, services
from cyber_trade_econ.errors import UnknownCode

MAIN = [f"S{letter}" for letter in "ABCDEFGHIJKL"]


def test_the_twelve_main_items_stand_under_the_total() -> None:
    assert [code for code, item in services().items() if item.parent == "S"] == MAIN
    assert service("S").parent == ""


def test_every_item_extends_the_code_of_its_parent() -> None:
    seen: set[str] = set()
    for code, item in services().items():
        assert item.code == code
        assert item.name
        if code != "S":
            assert item.parent in seen
            assert code.startswith(item.parent)
            assert len(code) == len(item.parent) + 1
        seen.add(code)


def test_names_are_those_of_the_manual() -> None:
    assert service("SI2").name == "Computer services"
    assert service("SI").name == "Telecommunications, computer, and information services"
    assert is_service("SI3")
    assert not is_service("SI9")


def test_digitally_deliverable_items_do_not_overlap() -> None:
    found = digitally_deliverable()
    assert found == {"SF", "SG", "SH", "SI", "SJ", "SK1"}
    for code, item in services().items():
        assert item.digitally_deliverable == any(code.startswith(top) for top in found)


@pytest.mark.parametrize("code", ["si2", "SI9", "8517", "", "S I"])
def test_an_unknown_item_is_named_with_its_neighbours(code: str) -> None:
    assert service("SI2").code == "SI2"
    with pytest.raises(UnknownCode, match="EBOPS 2010"):
        service(code)
    if code == "si2":
        with pytest.raises(UnknownCode, match="near: SI2"):
            service(code)
