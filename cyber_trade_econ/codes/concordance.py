"""Carry trade from one edition of the Harmonized System to another without losing value, and group codes that were split.

Which codes are linked and by which shares says `cyber_trade_econ.codes.links`. Two ways lead through time: `concord` moves
value to the codes of one vintage, and must split what was split; `families` groups codes so that nothing needs splitting, at
the price of coarser goods: Pierce, J. R. and Schott, P. K. (2012), Concording U.S. Harmonized System Codes over Time, Journal
of Official Statistics 28(1), 53-68 (working paper doi:10.3386/w14837); Van Beveren, I., Bernard, A. B. and Vandenbussche, H.
(2012), Concording EU Trade and Production Data over Time, doi:10.3386/w18604.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.codes import arrivals
from cyber_trade_econ.codes.links import SCHEMES, Scheme, every, firm, links, route, shares
from cyber_trade_econ.codes.product import LEVELS, VINTAGES, codes_of, require_codes, require_vintage
from cyber_trade_econ.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

UNMATCHED_SHARE = 0.01
CONSERVED = 1e-12


def concord(
    frame: pd.DataFrame,
    *,
    code: str,
    values: str | Sequence[str],
    origin: str,
    target: str,
    weights: Scheme | pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Express trade by the six-digit codes of one vintage in the codes of another; no group gains or loses value.

    Parameters
    ----------
    frame
        Trade by code: the code, the values, and any number of key columns, within whose groups the totals are kept.
    code
        Column of six-digit codes of ``origin``, as text with leading zeros.
    values
        Column or columns of values, finite, in any additive unit. Quantities of different units are not additive.
    origin, target
        Vintages, ``HS1992`` to ``HS2022``; the target may be older than the origin.
    weights
        How a code that was split is shared among its successors. ``"retained"`` (used when None): all to the successor of
        the same number, else equally within the heading, else equally. ``"equal"``: the same to each. A table with
        columns ``origin``, ``target``, ``weight`` for the codes of six digits it names, weights of a code summing to one, as
        `estimate_weights` gives it; ``"retained"`` for the others.

    Returns
    -------
    One row per group and code of ``target``, sorted, with the columns of ``frame``, values in double precision.
    ``attrs["concordance"]`` holds the facts: route, scheme, rows and codes before and after, how many codes were split and
    how much value they carry, and the codes that the origin does not have, whose value arrives under 999999 (commodities
    not specified), where unspecified trade stays, too.

    Raises
    ------
    VintageError
        If there is no such vintage, or the codes are those of another or of several.
    UnknownCode
        If codes that the origin does not have carry more than 1 % of a column of values; the message says where they exist.
    SchemaError
        If a column is missing or stands twice, a code is missing or no text, a value is no finite number, or weights are
        not of six digits or do not sum to one.
    ConfigError
        If there is no such scheme of weights, or ``values`` names no column, one twice, or the column of codes.
    """
    columns = [values] if isinstance(values, str) else list(values)
    frame = _readable(frame, code, columns)
    require_vintage(origin), require_vintage(target)
    found = _shares(weights, origin, target)
    keys = [column for column in frame.columns if column not in {code, *columns}]
    unmatched = arrivals.unmatched(frame, code, columns, origin, UNMATCHED_SHARE)
    known = frame[code].where(~frame[code].isin(unmatched), arrivals.UNSPECIFIED)
    moved = arrivals.split(
        frame.assign(**{code: known}), code, columns, {**found, arrivals.UNSPECIFIED: {arrivals.UNSPECIFIED: 1.0}}
    )
    by = [*keys, code]
    result = moved.groupby(by, dropna=False, observed=True)[columns].sum().reset_index()[list(frame.columns)]
    _conserved(frame, result, keys, columns)
    several = frame[code].isin([start for start, ends in found.items() if len(ends) > 1])
    result.attrs = dict(frame.attrs)
    result.attrs["concordance"] = {
        "route": " -> ".join(route(origin, target)),
        "weights": "table" if isinstance(weights, pd.DataFrame) else weights or "retained",
        "rows_in": len(frame),
        "rows_out": len(result),
        "codes_in": int(frame[code].nunique()),
        "codes_out": int(result[code].nunique()),
        "codes_split": int(frame.loc[several, code].nunique()),
        "value_split_share": {c: _share(frame.loc[several, c], frame[c]) for c in columns},
        "codes_unmatched": {c: int((frame[code] == c).sum()) for c in unmatched},
        "value_unmatched_share": {c: _share(frame.loc[frame[code].isin(unmatched), c], frame[c]) for c in columns},
    }
    return result


def _readable(frame: pd.DataFrame, code: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the frame with its codes as plain text and its values in double precision, when they can be read so."""
    if code in columns or not columns or len(set(columns)) < len(columns):
        raise ConfigError(
            "the columns of values",
            found=list(columns),
            fix=f"Name one or several, each once; {code!r} is the column of codes.",
        )
    missing = [column for column in (code, *columns) if column not in frame.columns]
    if missing:
        raise SchemaError(f"the trade to convert lacks {', '.join(missing)}", allowed=list(frame.columns))
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise SchemaError("columns of the trade to convert stand twice", found=", ".join(map(str, twice)))
    odd = [value for value in frame[code].unique() if not isinstance(value, str)]
    if odd:
        raise SchemaError(
            f"column {code!r} has codes that are no text",
            found=", ".join(repr(value) for value in odd[:5]),
            fix="Read the column as text; as numbers, codes lose their leading zeros.",
        )
    categories = isinstance(frame[code].dtype, pd.CategoricalDtype)  # would refuse a code that is not among them
    codes = frame[code].astype(object) if categories else frame[code]
    return frame.assign(**{code: codes}, **{column: _finite(frame[column]) for column in columns})


def _finite(values: pd.Series[float]) -> npt.NDArray[np.float64]:
    if pd.api.types.is_numeric_dtype(values):
        numbers: npt.NDArray[np.float64] = np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
        if np.isfinite(numbers).all():
            return numbers
    raise SchemaError(
        f"column {values.name!r} has values that are no finite numbers",
        fix="Drop or fill them first: a missing value cannot be shared out.",
    )


def _shares(weights: Scheme | pd.DataFrame | None, origin: str, target: str) -> dict[str, Mapping[str, float]]:
    if isinstance(weights, pd.DataFrame):
        return {**shares(origin, target), **arrivals.given(weights, origin, target)}
    if not (weights is None or isinstance(weights, str)):
        raise ConfigError("the shares of a concordance", found=repr(weights), allowed=(*SCHEMES, "a table of weights"))
    return dict(shares(origin, target, weights or "retained"))


def _share(part: pd.Series[float], whole: pd.Series[float]) -> float:
    total = float(whole.abs().sum())
    return float(part.abs().sum()) / total if total else 0.0


def _conserved(before: pd.DataFrame, after: pd.DataFrame, keys: list[str], columns: list[str]) -> None:
    """Insist that the total of every group is the same, to 1e-12 of the sum of its absolute values."""
    start, end = _totals(before, keys, columns), _totals(after, keys, columns)
    size = _totals(before.assign(**{column: before[column].abs() for column in columns}), keys, columns)
    if start.shape != end.shape or (np.abs(end - start) > CONSERVED * size).any():
        raise SchemaError(
            "a conversion of codes changed the total of a group",
            found=f"{len(start)} groups before, {len(end)} after",
            fix="This is a fault of the package; please report it with the two vintages.",
        )


def _totals(frame: pd.DataFrame, keys: list[str], columns: list[str]) -> npt.NDArray[np.float64]:
    """Sum within groups, in the order of their keys: shape (groups, columns); one group when there is no key."""
    if not keys:
        return frame[columns].sum().to_numpy(dtype=float)[None, :]
    return frame.groupby(keys, dropna=False, observed=True)[columns].sum().to_numpy(dtype=float)


def estimate_weights(
    trade: pd.DataFrame, *, code: str, values: str, origin: str, target: str, floor: float = 0.0
) -> pd.DataFrame:
    """Estimate shares from trade that is recorded in the target: a code is split as its successors trade.

    The share of a successor is its value among the successors of a code. That is right when a split left the mix of goods
    as it was, and it leans to goods that came from elsewhere, too, since a successor counts with all its trade.

    Parameters
    ----------
    trade
        Trade in codes of ``target``, of a period near to the one that is converted.
    code, values
        Its columns of six-digit codes (text) and of values, not negative.
    origin, target
        Vintages, as in `concord`.
    floor
        Added to the value of every successor, so that those without trade get a share; not negative.

    Returns
    -------
    Columns ``origin``, ``target``, ``weight`` for the codes of ``origin`` that have several successors of which one trades;
    ``weight`` sums to one over each ``origin``.

    Raises
    ------
    VintageError, UnknownCode, SchemaError, ConfigError
        As in `concord`; also if a value or the floor is negative.
    """
    trade = _readable(trade, code, [values])
    require_vintage(origin)
    if not 0 <= floor < np.inf:
        raise ConfigError("the floor of weights", found=floor, allowed="a finite amount, not negative")
    if (trade[values] < 0).any():
        raise SchemaError("trade that gives weights must not be negative", found=f"{trade[values].min():g}")
    arrivals.unmatched(trade, code, [values], target, UNMATCHED_SHARE)
    sizes = {str(end): float(value) for end, value in trade.groupby(code)[values].sum().items()}
    rows = []
    for start, ends in links(origin, target).items():
        parts = {end: sizes.get(end, 0.0) + floor for end in sorted(ends)}
        total = sum(parts.values())
        if len(parts) > 1 and total > 0:
            rows += [(start, end, part / total) for end, part in parts.items()]
    return pd.DataFrame(sorted(rows), columns=["origin", "target", "weight"])


def families(vintages: Sequence[str] = VINTAGES, *, traces: bool = False) -> pd.DataFrame:
    """Group the six-digit codes of several vintages so that no link leads from a family to another.

    Parameters
    ----------
    vintages
        Two or more vintages; those in between count as well where `route` passes through them. The published links of
        1992 and 2017 count when no vintage between the two is given: some of them join families of the steps between.
    traces
        Join what only catch-all codes join, too. Nearly all electronics are then one family, through electrical waste.
        Without, electrical waste (8549 of 2022) is a family of its own, and goods that it took over leave theirs.

    Returns
    -------
    Columns ``vintage``, ``code``, ``family``; a family is called after its first code, ``HS1992:847120``. Facts in ``attrs``.

    Raises
    ------
    VintageError
        If there is no such vintage.
    ConfigError
        If fewer than two vintages are given.
    """
    given = sorted({require_vintage(vintage) for vintage in vintages})
    if len(given) < 2:
        raise ConfigError("the vintages of families", found=given, allowed="two or more")
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = node = parent[above]
        return node

    for ends in pairwise(given):
        for older, newer in pairwise(route(*ends)):
            for start, end in every(older, newer) if traces else firm(older, newer):
                first, second = sorted((root((older, start)), root((newer, end))))
                parent[second] = first
    nodes = [(vintage, code) for vintage in given for code in sorted(codes_of(vintage))]
    rows = [(vintage, code, ":".join(root((vintage, code)))) for vintage, code in nodes]
    table = pd.DataFrame(rows, columns=["vintage", "code", "family"])
    sizes = table.groupby("family").size()
    table.attrs["families"] = {
        "vintages": tuple(given),
        "families": len(sizes),
        "unchanged": int((sizes == len(given)).sum()),
        "largest": int(sizes.max()),
    }
    return table


def concord_codes(codes: Iterable[str], origin: str, target: str, *, traces: bool = False) -> frozenset[str]:
    """Return where the goods of chapters, headings or subheadings are found in another vintage.

    Each code is answered at its own level: a heading of four digits gives headings. Goods that only the trace of a catch-all
    connects are left out unless ``traces`` is set.

    Raises
    ------
    VintageError
        If there is no such vintage.
    UnknownCode
        Naming the codes that the origin does not have, where they exist, and the zeros they seem to have lost.
    """
    given = frozenset(codes)
    require_codes(given, origin)
    if require_vintage(origin) == require_vintage(target):
        return given
    found = links(origin, target, traces=traces)
    inside: dict[str, set[str]] = defaultdict(set)
    for code in found:
        for level in LEVELS:
            inside[code[:level]].add(code)
    return frozenset(end[: len(code)] for code in given for start in inside[code] for end in found[start])
