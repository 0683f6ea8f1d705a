"""Annual goods trade by ordered pair, from CEPII BACI and GeoDist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from cyber_trade_econ import lake
from cyber_trade_econ.errors import NotPulled
from cyber_trade_econ.panels.join import join_covariates
from cyber_trade_econ.panels.pair import with_pair
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

UNIT, TIME = "pair", "year"
COVARIATES = ("dist_km", "contiguity", "common_language")
Zeros = Literal["absent", "fill"]
_ENDS = ["exporter", "importer"]


def finish(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what the sample and the built panel share: the name of the ordered pair."""
    return with_pair(frame)


def totals(flows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Add the products of one year of ``baci.flows`` up to million USD by ordered pair.

    Areas that are no country are left out and counted; so is trade of a country with itself, which arises where two
    areas of BACI share an ISO3 code.
    """
    group = flows["is_group"]
    named = flows.loc[~group, [*_ENDS, "year", "trade_kusd"]]
    own = named["exporter"].eq(named["importer"])
    summed = named[~own].groupby([*_ENDS, "year"], as_index=False, sort=True).agg({"trade_kusd": "sum"})
    summed["year"] = summed["year"].astype("int64")
    summed["trade_musd"] = summed.pop("trade_kusd") / 1000
    left_out = {"group_rows_left_out": int(group.sum()), "domestic_rows_left_out": int(own.sum())}
    return summed, {"product_rows": len(flows), **left_out}


def fill_zeros(trade: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Add a zero for every absent pair of an exporter and an importer that both trade with someone in that year.

    Returns
    -------
    The longer frame, sorted by exporter, importer and year; and the number of rows added.
    """
    blocks = []
    for year, rows in trade.groupby("year", sort=True):
        grid = pd.MultiIndex.from_product([sorted(rows[end].unique()) for end in _ENDS], names=_ENDS)
        square = rows.set_index(_ENDS)["trade_musd"].reindex(grid, fill_value=0.0).reset_index().assign(year=year)
        blocks.append(square[square["exporter"] != square["importer"]])
    filled = pd.concat(blocks).sort_values([*_ENDS, "year"], kind="stable")
    return filled[[*_ENDS, "year", "trade_musd"]].reset_index(drop=True), len(filled) - len(trade)


def build(years: Iterable[int] | None, home: Path | None, zeros: Zeros = "absent") -> Panel:
    """Build the panel from what was pulled.

    Raises
    ------
    NotPulled
        Naming the years that were asked for and are not in the lake.
    """
    trade, facts = _trade(years, home)
    if zeros == "fill":
        trade, facts["zero_rows_added"] = fill_zeros(trade)
    facts["zeros"] = zeros
    covariates = lake.load("geodist.pairs", columns=[*_ENDS, *COVARIATES], home=home)
    joined, matched = join_covariates(trade, covariates, on=_ENDS, unmatched="count", unchanged=["trade_musd"])
    # GeoDist lacks some economies, such as Serbia and South Sudan: their flows stay, with missing covariates.
    facts |= {f"geodist_{name}": value for name, value in matched.items()}
    sources = {name: lake.provenance(name, home=home) for name in ("baci", "geodist")}
    return Panel(finish(joined), UNIT, TIME, sources=sources, facts=facts, name="bilateral_year")


def _trade(years: Iterable[int] | None, home: Path | None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read one year after the other, since all products of all years do not fit in memory."""
    held = lake.years("baci.flows", home=home)
    wanted = list(held) if years is None else sorted({int(y) for y in years})
    absent = [y for y in wanted if y not in held]
    if absent:
        raise NotPulled(
            f"baci.flows has no year {', '.join(map(str, absent))}",
            found=f"years {', '.join(map(str, held))}",
            fix=f'Pull them: cte.pull("baci", years={wanted}).',
        )
    columns = [*_ENDS, "year", "trade_kusd", "is_group"]
    parts = [totals(lake.load("baci.flows", columns=columns, where={"year": year}, home=home)) for year in wanted]
    trade = pd.concat([frame for frame, _ in parts]).sort_values([*_ENDS, "year"], kind="stable").reset_index(drop=True)
    facts: dict[str, Any] = {name: sum(counts[name] for _, counts in parts) for name in parts[0][1]}
    return trade, facts
