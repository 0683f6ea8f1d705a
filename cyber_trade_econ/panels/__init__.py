"""One file per recipe: tables and the covariates that belong to them become a Panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ import lake
from cyber_trade_econ.errors import ConfigError, UnknownName
from cyber_trade_econ.panels import bilateral_year, us_month, us_year
from cyber_trade_econ.panels.samples import SAMPLES, sample

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cyber_trade_econ.panels.bilateral_year import Zeros
    from cyber_trade_econ.records.panel import Panel

RECIPES = ("bilateral_year", "us_month", "us_year")
__all__ = ["RECIPES", "SAMPLES", "build", "sample"]


def build(
    name: str, years: int | Iterable[int] | None = None, *, zeros: Zeros = "absent", home: Path | None = None
) -> Panel:
    """Build a panel from what was pulled.

    Parameters
    ----------
    name
        ``"bilateral_year"``: goods trade of all pairs by year, million USD, with distance, border and language (BACI
        and GeoDist). ``"us_month"``, ``"us_year"``: goods trade of the United States by partner (US Census Bureau).
    years
        Year or years to build; None takes all that were pulled.
    zeros
        For ``bilateral_year``: ``"absent"`` keeps pairs without trade absent, as BACI does; ``"fill"`` adds a zero
        for each pair of an exporter and an importer that both appear in the year.
    home
        Folder of the lake; None takes the user's own.

    Raises
    ------
    UnknownName
        If there is no such recipe.
    ConfigError
        If ``zeros`` is unknown, or is asked of a recipe whose source states its zeros; or the years are no years.
    NotPulled
        If a table, or a year of it, is not in the lake.
    """
    if name not in RECIPES:
        raise UnknownName("a panel to build", found=repr(name), allowed=RECIPES)
    if zeros not in ("absent", "fill") or (zeros == "fill" and name != "bilateral_year"):
        allowed = ("absent", "fill") if name == "bilateral_year" else ("absent",)
        raise ConfigError(f"zeros of panel {name!r}", found=repr(zeros), allowed=allowed)
    wanted = lake.chosen_years(years)
    if name == "bilateral_year":
        return bilateral_year.build(wanted, home, zeros)
    return us_month.build(wanted, home) if name == "us_month" else us_year.build(wanted, home)
