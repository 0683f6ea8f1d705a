"""Items of services trade: the Extended Balance of Payments Services Classification 2010 (EBOPS 2010), which details BPM6.

Codes and names follow the codes of statistical exchange (SDMX) for the balance of payments and the Manual on Statistics of
International Trade in Services 2010 (ST/ESA/STAT/SER.M/86/Rev.1). The twelve main items ``SA`` to ``SL`` add up to ``S``; a
code begins with the code of its parent. ``data/codes/README.md`` says what the mark of digitally deliverable services is.
"""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from cyber_trade_econ.errors import UnknownCode
from cyber_trade_econ.records import shipped


@dataclass(frozen=True)
class Service:
    """One item of EBOPS 2010; ``parent`` is empty for the total of services."""

    code: str
    name: str
    parent: str
    digitally_deliverable: bool


@cache
def services() -> MappingProxyType[str, Service]:
    """Return code -> item, every item after its parent."""
    text = shipped.path("data/codes/services.csv").read_text(encoding="utf-8")
    return MappingProxyType(
        {
            row["code"]: Service(row["code"], row["name"], row["parent"], row["digitally_deliverable"] == "yes")
            for row in csv.DictReader(text.splitlines())
        }
    )


def is_service(code: str) -> bool:
    """Say whether this is the code of an item of EBOPS 2010."""
    return code in services()


def service(code: str) -> Service:
    """Return one item.

    Raises
    ------
    UnknownCode
        If there is none with this code; the message names the nearest codes.
    """
    if code not in services():
        near = difflib.get_close_matches(str(code).upper(), services(), 3, 0.5)
        raise UnknownCode(
            "an item of EBOPS 2010",
            found=repr(code) + (f" (near: {', '.join(near)})" if near else ""),
            allowed="codes such as SI, SI2, SI21",
        )
    return services()[code]


def digitally_deliverable() -> frozenset[str]:
    """Return the widest items all of which count as digitally deliverable: add these up, and nothing is counted twice.

    They can be delivered over networks; how much of them is cannot be told from these items, so their trade is an upper
    bound.
    """
    items = services()
    return frozenset(
        code
        for code, item in items.items()
        if item.digitally_deliverable and not items[item.parent].digitally_deliverable
    )
