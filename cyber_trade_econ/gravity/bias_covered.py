"""What the bias correction covers: the estimate, its effects and clusters, the data it was made of, the memory it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import ConfigError, DuplicateKey, EstimationError
from cyber_trade_econ.formula import effect_name, slope_name
from cyber_trade_econ.frames import check_frame, column
from cyber_trade_econ.hdfe.factor import Factor, cross
from cyber_trade_econ.inference.conventions import Cluster
from cyber_trade_econ.inference.given import require_estimate
from cyber_trade_econ.predictor import FittedIndex

if TYPE_CHECKING:
    from cyber_trade_econ.records.estimate import Estimate


def covered(estimate: Estimate) -> FittedIndex:
    """Return the fitted index of an estimate that can be corrected; refuse others by name."""
    require_estimate(estimate, "a bias correction")
    what, index = "an estimate to correct for bias", estimate.predictor
    if estimate.model != "PPML" or not isinstance(index, FittedIndex):
        raise ConfigError(what, found=f"an estimate of {estimate.model}", allowed=("PPML",))
    for option in ("weights", "offset"):
        if getattr(estimate.options, option, None) is not None:
            raise ConfigError(what, found=f"{option}={getattr(estimate.options, option)!r}", allowed=f"no {option}")
    if estimate.coef.empty:
        raise ConfigError(what, found="effects alone", allowed="at least one regressor")
    return index


def positions(estimate: Estimate, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the positions in the data of the rows that were estimated on."""
    if not frame.index.is_unique:
        raise ConfigError(
            "the index of the data",
            found="repeated labels",
            allowed="one label per row",
            fix="Call reset_index(drop=True), estimate again and correct that estimate.",
        )
    at = frame.index.get_indexer(pd.Index([]) if estimate.sample is None else estimate.sample)
    if len(at) != estimate.nobs or (at < 0).any():
        raise other_data(f"{estimate.nobs - int((at >= 0).sum())} of {estimate.nobs} rows of the sample absent")
    return np.asarray(at, dtype=np.int64)


def other_data(found: str) -> ConfigError:
    """Say that the data are not those of the estimate."""
    return ConfigError("the data to correct an estimate with", found=found, allowed="the data it was estimated on")


def period(index: FittedIndex, exporter: str, importer: str) -> str | None:
    """Return the column that is combined with both sides in the effects."""
    effects = [set(e) for e in index.formula.effects]
    found = [
        c for e in effects for c in e - {exporter, importer} if {exporter, c} in effects and {importer, c} in effects
    ]
    return found[0] if found else None


def factor(rows: pd.DataFrame, name: str) -> Factor:
    """Return a key column as a factor; refuse missing values."""
    check_frame(rows)
    try:
        codes, levels = pd.factorize(column(rows, name, "the key"), sort=True)
    except TypeError as error:
        raise ConfigError(f"the column {name!r}", found=str(error), allowed="values that can be told apart") from None
    if (codes < 0).any():
        raise ConfigError(f"the column {name!r}", found=f"{int((codes < 0).sum())} missing value(s)", allowed="none")
    return Factor(codes.astype(np.int64), len(levels))


def same(a: Factor, b: Factor) -> bool:
    """Tell whether two factors part the rows alike."""
    return a.levels == b.levels == cross([a, b]).levels


def three_way(index: FittedIndex, rows: pd.DataFrame, keys: list[Factor], names: list[str]) -> bool:
    """Whether the effects are three-way; refuse what is neither that nor two-way. Columns may have any names."""
    roles = {
        effect_name((side, *names[2:])): cross([key, *keys[2:]]) for side, key in zip(names[:2], keys[:2], strict=True)
    }
    roles |= {effect_name((names[0], names[1])): cross(keys[:2])} if len(keys) == 3 else {}
    given = [cross([factor(rows, c) for c in effect]) for effect in index.formula.effects]
    held = [next((role for role, r in roles.items() if same(r, g)), "") for g in given]
    wanted = list(roles)
    if sorted(held) not in (sorted(wanted), sorted(wanted[:2])) or index.formula.slopes:
        raise ConfigError(
            "the effects of an estimate to correct for bias",
            found=" + ".join([*map(effect_name, index.formula.effects), *map(slope_name, index.formula.slopes)])
            or "none",
            allowed=[" + ".join(wanted[:2])] + ([" + ".join(wanted)] if len(keys) == 3 else []),
            fix="Name the columns with exporter=, importer= and time=. Pairs must be directed.",
        )
    if cross(keys).levels < len(rows):
        extra = len(rows) - cross(keys).levels
        raise DuplicateKey(f"several rows share {', '.join(names)}", found=f"{extra} row(s) too many")
    return len(held) == 3


def clusters(estimate: Estimate, rows: pd.DataFrame, pair: Factor) -> None:
    """Refuse covariances clustered by anything but the directed pair."""
    vcov = getattr(estimate.options, "vcov", None)
    by = vcov.by[0].split("^") if isinstance(vcov, Cluster) and len(vcov.by) == 1 else []
    if vcov not in ("iid", "hetero") and not (by and same(cross([factor(rows, c) for c in by]), pair)):
        raise ConfigError(
            "the covariance of an estimate to correct for bias",
            found=str(vcov),
            allowed=("'hetero'", "clusters of directed pairs"),
            fix="The correction is made for dependence within exporter-importer pairs; estimate with those clusters.",
        )


def fits(keys: list[Factor], k: int, limit: float, *, concentrated: bool) -> None:
    """Refuse problems whose arrays would exceed the limit in GB."""
    e, i = keys[0].levels, keys[1].levels
    t = keys[2].levels if len(keys) == 3 else 1
    joint = t * t * min(e, i) * (min(e, i) + max(e, i)) if concentrated else 0
    need = 8e-9 * (e * i * t * (4 * k + 12) + joint)
    if need > limit:
        raise EstimationError(
            f"the bias correction needs about {need:.1f} GB",
            found=f"{e} exporters, {i} importers, {t} periods, {k} regressor(s)",
            allowed=f"memory_gb={limit:g}",
            fix="Raise memory_gb if the machine has more, or estimate on fewer economies or periods.",
        )
