"""An Estimate as text, for a terminal or a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyber_trade_econ.records.estimate import Estimate

_TERMS = 50  # more lines push off the screen what stands above
_COLUMNS = ("", "Estimate", "Std. error", "Statistic", "p-value")


def shown(estimate: Estimate) -> str:
    """Return model, formula, observations, effects and covariance, and one line per coefficient."""
    facts = estimate.facts
    lines = [f"{estimate.model}: {estimate.formula}", f"Observations: {estimate.nobs:,}"]
    dropped = {reason: rows for reason, rows in facts.get("dropped", {}).items() if rows}
    if dropped:
        lines.append("Rows dropped: " + ", ".join(f"{reason} ({rows:,})" for reason, rows in dropped.items()))
    if facts.get("effects"):
        lines.append("Effects: " + ", ".join(f"{name} ({levels:,})" for name, levels in facts["effects"].items()))
    tested = f"t({estimate.df:g})" if math.isfinite(estimate.df) else "normal"
    lines.append(f"Covariance: {facts.get('vcov', 'not stated')}; statistics: {tested}")
    if facts.get("collinear"):
        lines.append("Left out as collinear: " + ", ".join(facts["collinear"]))
    if facts.get("few_clusters"):
        lines.append(f"Few clusters: {facts['few_clusters']}")
    return "\n".join([*lines, *_coefficients(estimate)])


def _coefficients(estimate: Estimate) -> list[str]:
    rows = estimate.tidy().head(_TERMS)[["term", "estimate", "std_error", "statistic", "p_value"]]
    cells = [_COLUMNS]
    cells += [(str(term), f"{b:.6g}", f"{se:.6g}", f"{t:.3f}", _p(p)) for term, b, se, t, p in rows.to_numpy()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    out = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]
    hidden = len(estimate.coef) - len(rows)
    return [*out, f"... and {hidden:,} more; tidy() has all"] if hidden else out


def _p(value: float) -> str:
    return "<0.001" if value < 0.001 else f"{value:.3f}"
