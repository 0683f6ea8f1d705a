"""What a covariance is robust against, and the small-sample factors that software applies to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cyber_trade_econ.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Cluster:
    """Clustering by one to four variables; several mean multiway clustering. Built by `cluster`."""

    by: tuple[str, ...]

    def __str__(self) -> str:
        return "cluster: " + ", ".join(self.by)


@dataclass(frozen=True)
class Dyadic:
    """Correlation between all rows that share an economy, on whichever side. Built by `dyadic`."""

    exporter: str
    importer: str

    def __str__(self) -> str:
        return f"dyadic: {self.exporter}, {self.importer}"


Vcov = Cluster | Dyadic | Literal["iid", "hetero"]


def cluster(*by: str) -> Cluster:
    """Cluster standard errors by one to four columns.

    Parameters
    ----------
    by
        Names of columns, or combinations of columns joined by ``^``. Several names give the multiway estimator of Cameron,
        Gelbach and Miller (2011).

    Returns
    -------
    Value for ``vcov`` of an estimator or of `with_vcov`.

    Raises
    ------
    ConfigError
        Unless one to four different column names are given.

    References
    ----------
    Cameron, Gelbach and Miller (2011), https://doi.org/10.1198/jbes.2010.07136.
    """
    if not 1 <= len(by) <= 4 or not all(isinstance(b, str) and b for b in by) or len(set(by)) < len(by):
        raise ConfigError("cluster()", found=by, allowed="one to four different column names")
    return Cluster(tuple(by))


def dyadic(exporter: str, importer: str) -> Dyadic:
    """Allow for correlation between any two rows that share an economy, as exporter or as importer.

    Rows of one economy with itself are counted once.

    Parameters
    ----------
    exporter, importer
        Names of the columns of the two sides.

    Returns
    -------
    Value for ``vcov`` of an estimator or of `with_vcov`.

    Raises
    ------
    ConfigError
        Unless two different column names are given.

    References
    ----------
    Cameron and Miller (2014), "Robust inference for dyadic data"; Aronow, Samii and Assenova (2015),
    https://doi.org/10.1093/pan/mpv018.
    """
    if not (isinstance(exporter, str) and isinstance(importer, str) and exporter and importer and exporter != importer):
        raise ConfigError("dyadic()", found=(exporter, importer), allowed="two different column names")
    return Dyadic(exporter, importer)


@dataclass(frozen=True)
class SmallSample:
    """Small-sample factors of a covariance.

    Parameters
    ----------
    k_adj
        Multiply by (N-1)/(N-K) under clustering and by N/(N-K) otherwise.
    k_fixef
        Effects counted in K: ``"nested"`` leaves out those nested in a cluster, ``"none"`` counts none, ``"full"`` all.
    g_adj
        Multiply by G/(G-1) under clustering; without clustering by N/(N-1) where ``k_adj`` is off.
    g_df
        G of the multiway factor: ``"min"`` uses the smallest for all terms, ``"conventional"`` each term's own.
    redundant
        How many levels count as redundant in K: ``"simple"`` one per set of effects after the first; ``"components"`` one per
        connected component of the graph that joins the sets, which for two sets is the exact rank. Exporter-year and
        importer-year effects have one component per year.
    name
        What to call the convention in tables.
    """

    k_adj: bool
    k_fixef: Literal["nested", "none", "full"] = "nested"
    g_adj: bool = True
    g_df: Literal["min", "conventional"] = "min"
    redundant: Literal["simple", "components"] = "simple"
    name: str = "custom"

    def __post_init__(self) -> None:
        for field, allowed in (
            ("k_adj", (True, False)),
            ("g_adj", (True, False)),
            ("k_fixef", ("nested", "none", "full")),
            ("g_df", ("min", "conventional")),
            ("redundant", ("simple", "components")),
        ):
            if getattr(self, field) not in allowed:
                raise ConfigError(f"ssc({field}=...)", found=repr(getattr(self, field)), allowed=allowed)


def ssc(
    *,
    k_adj: bool = True,
    k_fixef: Literal["nested", "none", "full"] = "nested",
    g_adj: bool = True,
    g_df: Literal["min", "conventional"] = "min",
    redundant: Literal["simple", "components"] = "simple",
) -> SmallSample:
    """Choose small-sample factors one by one; the defaults are those of R's fixest.

    Parameters
    ----------
    k_adj, k_fixef, g_adj, g_df, redundant
        As in `SmallSample`: N, K and G are the numbers of rows, parameters and clusters.

    Returns
    -------
    Value for ``ssc`` of an estimator or of `with_vcov`.

    Raises
    ------
    ConfigError
        For a word that is not in the list of its argument.

    References
    ----------
    Cameron and Miller (2015), https://doi.org/10.3368/jhr.50.2.317.
    """
    return SmallSample(k_adj, k_fixef, g_adj, g_df, redundant)


_NONE = SmallSample(k_adj=False, g_adj=False, name="none")
_CONVENTIONS: Mapping[str, Mapping[str, SmallSample]] = {
    "OLS": {
        "stata": SmallSample(k_adj=True, name="stata factors, one redundant level per further set of effects"),
        "fixest": SmallSample(k_adj=True, name="fixest"),
        "none": _NONE,
    },
    "PPML": {
        "stata": SmallSample(k_adj=False, name="stata (ppmlhdfe)"),
        "fixest": SmallSample(k_adj=True, name="fixest"),
        "none": _NONE,
    },
}


def convention(choice: str | SmallSample | None, model: str, vcov: Vcov) -> SmallSample:
    """Resolve the ``ssc`` argument of an estimator.

    The defaults are Stata's, except that heteroskedasticity-robust PPML has no factor at all (HC0), as in the tables of
    Santos Silva and Tenreyro (2006), https://doi.org/10.1162/rest.88.4.641.
    """
    if isinstance(choice, SmallSample):
        return choice
    known = _CONVENTIONS[model]
    if choice is None:
        return _NONE if model == "PPML" and vcov == "hetero" else known["stata"]
    if not isinstance(choice, str) or choice not in known:
        raise ConfigError("ssc", found=repr(choice), allowed=(*known, "cte.ssc(...)"))
    return known[choice]
