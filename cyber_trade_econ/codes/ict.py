"""Goods of information and communication technology, as documented lists of ``data/codes/ict_goods.csv``.

``headings`` are ten headings and subheadings around which the published lists of such goods are built; they keep their
numbers from vintage to vintage, which makes them the robust choice over time. ``sensitive`` is a narrower set that
cybersecurity measures name most: networks, cameras, chips, computers, navigation and alarms; it is written in HS2017 and
carried to other vintages along the links of the concordance.

The list of the OECD (2011) and the Partnership on Measuring ICT for Development has 95 goods of HS2007; its annex could not
be checked, and a list from memory is not one to cite, so it is not here. Give your own codes in its place.
"""

from __future__ import annotations

import csv
from functools import cache
from typing import Literal

from cyber_trade_econ.codes.links import shares
from cyber_trade_econ.codes.product import codes_of, require_vintage
from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.records import shipped

Scheme = Literal["headings", "sensitive"]
SCHEMES: tuple[Scheme, ...] = ("headings", "sensitive")
_WRITTEN_IN = "HS2017"


@cache
def ict_goods(vintage: str = "HS2017", scheme: Scheme = "headings") -> frozenset[str]:
    """Return six-digit codes of goods of information and communication technology.

    Parameters
    ----------
    vintage
        Edition of the Harmonized System, ``HS1992`` to ``HS2022``.
    scheme
        ``headings`` or ``sensitive``; see the head of this module.

    Returns
    -------
    Codes of the vintage. Both lists hold goods that are no such technology, or only partly: solar cells in 8541, television
    receivers in 8528, parts of office machines in 8473. Display modules (8524 of HS2022) and electrical waste are left out.

    Raises
    ------
    VintageError
        If there is no such vintage.
    ConfigError
        If there is no such scheme.
    """
    if scheme not in SCHEMES:
        raise ConfigError(
            "a list of goods of information technology",
            found=repr(scheme),
            allowed=SCHEMES,
            fix="Other lists are given as codes of your own.",
        )
    rows = [row for row in _rows() if row["scheme"] == scheme]
    if scheme == "headings":
        starts = tuple(row["code"] for row in rows if row["since"] <= require_vintage(vintage))
        return frozenset(code for code in codes_of(vintage) if code.startswith(starts))
    starts = tuple(row["code"] for row in rows)
    carried = shares(_WRITTEN_IN, vintage)
    return frozenset(end for code in codes_of(_WRITTEN_IN) if code.startswith(starts) for end in carried[code])


@cache
def _rows() -> tuple[dict[str, str], ...]:
    text = shipped.path("data/codes/ict_goods.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))
