"""What `concordance.concord` does to the rows: find codes that fit no vintage, read given weights, split the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.codes.product import VINTAGES, codes_of, exists, require_codes, require_vintage, vintages_of
from cyber_trade_econ.errors import SchemaError, VintageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNSPECIFIED = "999999"
_SUM = 1e-9


def unmatched(frame: pd.DataFrame, code: str, values: Sequence[str], vintage: str, most: float) -> tuple[str, ...]:
    """Return the codes of a frame that are no six-digit codes of its vintage, while they carry little value.

    Raises
    ------
    VintageError
        If they carry more than ``most`` of a column of values, and all codes are in another vintage, or each is in some.
    UnknownCode
        If they carry more, and some are in no vintage.
    SchemaError
        If there are chapters or headings among them, whose value is in their subheadings already.
    """
    require_vintage(vintage)
    used = set(frame[code].unique()) - {UNSPECIFIED}
    foreign = sorted(used - codes_of(vintage))
    short = [c for c in foreign if len(c) < 6 and exists(c, vintage)]
    if short:
        raise SchemaError(
            f"{len(short)} codes are chapters or headings",
            found=", ".join(short[:5]),
            allowed="six digits",
            fix="Drop these rows; their value stands in their subheadings as well.",
        )
    rows = frame[code].isin(foreign)
    weights = {c: (float(frame.loc[rows, c].abs().sum()), float(frame[c].abs().sum())) for c in values}
    if not any(part > most * whole for part, whole in weights.values()):
        return tuple(foreign)
    fitting = [v for v in VINTAGES if used <= codes_of(v)]
    if fitting:
        raise VintageError(
            f"{len(foreign)} of {len(used)} codes are not in {vintage}",
            found=f"all of them in {', '.join(fitting)}",
            fix=f"Say origin={fitting[-1]!r}.",
        )
    if all(vintages_of(c) for c in foreign):
        newest = max(foreign, key=lambda c: vintages_of(c)[0])
        raise VintageError(
            f"{len(foreign)} of {len(used)} codes are not in {vintage}",
            found=f"codes of several editions, such as {newest} of {', '.join(vintages_of(newest))}",
            fix="Convert the rows of each edition by themselves, then add them up.",
        )
    require_codes(foreign, vintage)
    return ()


def given(weights: pd.DataFrame, origin: str, target: str) -> dict[str, dict[str, float]]:
    """Check a table of weights and return code of ``origin`` -> code of ``target`` -> share.

    Raises
    ------
    SchemaError
        If a column is missing, a pair stands twice, a code has not six digits, a weight is negative or no number, or weights
        do not sum to one.
    UnknownCode
        If a code is not in its vintage.
    """
    missing = {"origin", "target", "weight"} - set(weights.columns)
    if missing:
        raise SchemaError(f"the table of weights lacks {', '.join(sorted(missing))}", found=list(weights.columns))
    require_codes(weights["origin"], origin)
    require_codes(weights["target"], target)
    short = sorted({c for c in (*weights["origin"], *weights["target"]) if len(c) < 6})
    if short:
        raise SchemaError("weights of chapters or headings", found=", ".join(short[:5]), allowed="codes of six digits")
    if weights.duplicated(["origin", "target"]).any():
        pair = weights[weights.duplicated(["origin", "target"])].iloc[0]
        raise SchemaError("a pair of codes has two weights", found=f"{pair['origin']} -> {pair['target']}")
    values = pd.to_numeric(weights["weight"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise SchemaError("weights must be finite and not negative")
    sums = pd.Series(values).groupby(weights["origin"].to_numpy()).sum()
    off = sums[(sums - 1).abs() > _SUM]
    if len(off):
        raise SchemaError(
            f"the weights of {len(off)} codes do not sum to one",
            found=f"{off.iloc[0]:.10g} for {off.index[0]}",
            fix="Divide the weights of each origin by their sum.",
        )
    table: dict[str, dict[str, float]] = {}
    for start, end, weight in zip(weights["origin"], weights["target"], values, strict=True):
        table.setdefault(start, {})[end] = float(weight / sums[start])
    return table


def split(
    frame: pd.DataFrame, code: str, values: Sequence[str], shares: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """Repeat each row for every successor of its code, its values multiplied by the shares."""
    which, used = pd.factorize(frame[code])
    ends = pd.Series([end for start in used for end in shares[start]]).array
    parts = np.array([part for start in used for part in shares[start].values()], dtype=float)
    counts = np.array([len(shares[start]) for start in used], dtype=int)
    times = counts[which]
    rows = np.repeat(np.arange(len(frame)), times)
    nth = np.arange(len(rows)) - np.repeat(times.cumsum() - times, times)  # first, second ... successor of its row
    chosen = (counts.cumsum() - counts)[which][rows] + nth
    moved = frame.iloc[rows].reset_index(drop=True)
    moved[code] = ends.take(chosen)
    for column in values:
        moved[column] = moved[column].to_numpy(dtype=float) * parts[chosen]
    return moved
