"""A table as tidy rows at full precision: what `.csv` holds and what ``run --check`` compares."""

from __future__ import annotations

import csv
import io
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import pandas as pd

from cyber_trade_econ.report import chosen, escape, event_rows, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyber_trade_econ.records.estimate import Estimate

COLUMNS = ("column", "model", "kind", "name", "estimate", "std_error", "value")
_NUMBERS = ("r2", "adj_r2", "within_r2", "pseudo_r2", "log_likelihood", "deviance", "effective_clusters")
_TEXTS = ("outcome", "vcov", "ssc")


def of_estimates(several: Sequence[Estimate], titles: Sequence[str], shown: Sequence[str]) -> pd.DataFrame:
    """Return rows (column, model, kind, name, estimate, std_error, value); ``kind`` is ``coef`` or ``stat``."""
    rows: list[tuple[Any, ...]] = []
    for title, estimate in zip(titles, several, strict=True):
        dropped = chosen.collinear(estimate)
        for term in shown:
            if term in dropped:
                rows.append((title, estimate.model, "coef", term, None, None, "dropped"))
            elif term in estimate.coef.index:
                rows.append(
                    (title, estimate.model, "coef", term, float(estimate.coef[term]), float(estimate.se[term]), None)
                )
        rows += [(title, estimate.model, "stat", name, None, None, v) for name, v in _stats(estimate, shown)]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _stats(estimate: Estimate, shown: Sequence[str]) -> Iterator[tuple[str, Any]]:
    facts = estimate.facts
    yield from ((key, str(facts[key])) for key in _TEXTS if key in facts)
    if event_rows.reference(estimate):
        yield "reference", event_rows.reference(estimate)
    treated = event_rows.treated_pairs(estimate)
    if treated is not None:
        yield "treated_pairs", treated
    if "rows_given" in facts:
        yield "rows_given", int(facts["rows_given"])
    yield from ((f"dropped: {reason}", int(n)) for reason, n in facts.get("dropped", {}).items())
    yield "nobs", int(estimate.nobs)
    for name, levels in facts.get("effects", {}).items():
        yield f"effect: {name}", int(levels) if isinstance(levels, Integral) else "Yes"
    yield from ((f"clusters: {name}", int(n)) for name, n in facts.get("clusters", {}).items())
    yield from ((key, float(facts[key])) for key in _NUMBERS if facts.get(key) is not None)
    if "converged" in facts:
        yield "converged", "Yes" if facts["converged"] else "No"
    for term in shown:
        ids = event_rows.event_ids(estimate, term)
        if ids:
            yield f"events: {term}", ";".join(ids)


def of_frame(frame: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return the cells of a plain table as ``stat`` rows, numbers kept as numbers."""
    rows = [
        (str(column), "", "stat", label, None, None, _native(value))
        for column in frame.columns
        for label, value in zip(labels, frame[column], strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _native(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value) if isinstance(value, bool) or not pd.isna(value) else float("nan")
    return int(value) if isinstance(value, Integral) else float(value)


def to_csv(rows: pd.DataFrame) -> str:
    """Return the rows as CSV: doubles read back exactly, text cells cannot start a spreadsheet formula."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows([_cell(v) for v in row] for row in rows.itertuples(index=False, name=None))
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return number.exact(float(value))
    return escape.spreadsheet(str(value))
