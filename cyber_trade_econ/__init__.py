"""From public trade data and coded cyber events to credible estimates of how bilateral trade shifts.

The door: every public name, loaded on first use so that importing the package stays below a tenth of a second.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.version import __version__ as __version__

if TYPE_CHECKING:
    from cyber_trade_econ.codes.concordance import concord
    from cyber_trade_econ.codes.ict import ict_goods
    from cyber_trade_econ.door import incidents, panel, pull, source, sources
    from cyber_trade_econ.event_study import event_study
    from cyber_trade_econ.events import agreement, codebook, events, recode, responses
    from cyber_trade_econ.exposure import Products, expose, identification, overlap, stack
    from cyber_trade_econ.gravity.average_effect import average_effect
    from cyber_trade_econ.gravity.bias_correction import bias_correction
    from cyber_trade_econ.gravity.border import border_years, interval
    from cyber_trade_econ.gravity.expectile import expectile
    from cyber_trade_econ.gravity.gamma_pml import gamma_pml
    from cyber_trade_econ.gravity.gauss_newton import gauss_newton
    from cyber_trade_econ.gravity.iv_bootstrap import iv_bootstrap
    from cyber_trade_econ.gravity.iv_ppml import iv_ppml
    from cyber_trade_econ.gravity.jochmans import jochmans
    from cyber_trade_econ.gravity.negbin import negbin
    from cyber_trade_econ.gravity.ols import ols
    from cyber_trade_econ.gravity.park import park
    from cyber_trade_econ.gravity.ppml import ppml
    from cyber_trade_econ.gravity.reset import reset
    from cyber_trade_econ.gravity.resistance import resistances
    from cyber_trade_econ.gravity.trade_cost import tariff_equivalent, trade_volume
    from cyber_trade_econ.inference.bootstrap import bootstrap
    from cyber_trade_econ.inference.conventions import cluster, dyadic, ssc
    from cyber_trade_econ.inference.driscoll_kraay import driscoll_kraay
    from cyber_trade_econ.inference.few_clusters import effective_clusters
    from cyber_trade_econ.inference.jackknife import jackknife
    from cyber_trade_econ.inference.placebo import placebo
    from cyber_trade_econ.inference.recovariance import with_vcov
    from cyber_trade_econ.inference.spatial import conley
    from cyber_trade_econ.inference.wald import wald
    from cyber_trade_econ.inference.wild import wild_bootstrap
    from cyber_trade_econ.lake import load
    from cyber_trade_econ.many import fits
    from cyber_trade_econ.panels import sample
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel
    from cyber_trade_econ.report.event_figure import event_figure
    from cyber_trade_econ.report.figure import figure
    from cyber_trade_econ.report.study import study
    from cyber_trade_econ.report.table import table

_ROOMS = {
    "codes.concordance": ("concord",),
    "codes.ict": ("ict_goods",),
    "door": ("incidents", "panel", "pull", "source", "sources"),
    "event_study": ("event_study",),
    "events": ("agreement", "codebook", "events", "recode", "responses"),
    "exposure": ("Products", "expose", "identification", "overlap", "stack"),
    "gravity.average_effect": ("average_effect",),
    "gravity.bias_correction": ("bias_correction",),
    "gravity.border": ("border_years", "interval"),
    "gravity.expectile": ("expectile",),
    "gravity.gamma_pml": ("gamma_pml",),
    "gravity.gauss_newton": ("gauss_newton",),
    "gravity.iv_bootstrap": ("iv_bootstrap",),
    "gravity.iv_ppml": ("iv_ppml",),
    "gravity.jochmans": ("jochmans",),
    "gravity.negbin": ("negbin",),
    "gravity.ols": ("ols",),
    "gravity.park": ("park",),
    "gravity.ppml": ("ppml",),
    "gravity.reset": ("reset",),
    "gravity.resistance": ("resistances",),
    "gravity.trade_cost": ("tariff_equivalent", "trade_volume"),
    "inference.bootstrap": ("bootstrap",),
    "inference.conventions": ("cluster", "dyadic", "ssc"),
    "inference.driscoll_kraay": ("driscoll_kraay",),
    "inference.few_clusters": ("effective_clusters",),
    "inference.jackknife": ("jackknife",),
    "inference.placebo": ("placebo",),
    "inference.recovariance": ("with_vcov",),
    "inference.spatial": ("conley",),
    "inference.wald": ("wald",),
    "inference.wild": ("wild_bootstrap",),
    "lake": ("load",),
    "many": ("fits",),
    "panels": ("sample",),
    "records.estimate": ("Estimate",),
    "records.panel": ("Panel",),
    "report.event_figure": ("event_figure",),
    "report.figure": ("figure",),
    "report.study": ("study",),
    "report.table": ("table",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Estimate",
    "Panel",
    "Products",
    "agreement",
    "average_effect",
    "bias_correction",
    "bootstrap",
    "border_years",
    "cluster",
    "codebook",
    "concord",
    "conley",
    "driscoll_kraay",
    "dyadic",
    "effective_clusters",
    "event_figure",
    "event_study",
    "events",
    "expectile",
    "expose",
    "figure",
    "fits",
    "gamma_pml",
    "gauss_newton",
    "ict_goods",
    "identification",
    "incidents",
    "interval",
    "iv_bootstrap",
    "iv_ppml",
    "jackknife",
    "jochmans",
    "load",
    "negbin",
    "ols",
    "overlap",
    "panel",
    "park",
    "placebo",
    "ppml",
    "pull",
    "recode",
    "reset",
    "resistances",
    "responses",
    "sample",
    "source",
    "sources",
    "ssc",
    "stack",
    "study",
    "table",
    "tariff_equivalent",
    "trade_volume",
    "wald",
    "wild_bootstrap",
    "with_vcov",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


class _Door(ModuleType):
    """Keeps functions apart from the rooms of the same name (`events`, `event_study`, `sources`).

    Importing a room makes Python bind it as an attribute of the package, which would hide the function. Rooms stay
    importable by their full name, as in ``from cyber_trade_econ.events import validate``.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _ROOM_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Door


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
