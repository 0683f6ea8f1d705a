"""The rows and notes of a regression table, before any format is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.report import chosen, event_rows, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.records.estimate import Estimate

Stat = Literal["se", "t", "ci", "p"]
STATS: tuple[Stat, ...] = ("se", "t", "ci", "p")

_FIT = (
    ("r2", "R²"),
    ("adj_r2", "Adjusted R²"),
    ("within_r2", "Within R²"),
    ("pseudo_r2", "Pseudo R²"),
)
_BELOW = {
    "se": "Standard errors in parentheses",
    "t": "t statistics in parentheses",
    "ci": "95 % confidence intervals in brackets",
    "p": "p-values in parentheses",
}


@dataclass(frozen=True)
class Row:
    """One line of a table: a label and one text per column; ``rule`` asks for a line above it."""

    label: str
    cells: tuple[str, ...]
    rule: bool = False


@dataclass(frozen=True)
class Style:
    """How numbers are shown."""

    digits: int
    stars: bool
    stat: Stat
    names: Mapping[str, str]


def coefficient_rows(several: Sequence[Estimate], shown: Sequence[str], style: Style) -> list[Row]:
    """Return two rows per label: the estimate and what measures its uncertainty."""
    tidy = [e.tidy().set_index("term") for e in several]
    out: list[Row] = []
    for label, group in _labelled(several, shown, style.names).items():
        upper, lower = [], []
        for i, estimate in enumerate(several):
            term = next((t for t in group if _has(estimate, t)), None)
            if term is None:
                above, below = "", ""
            elif term not in tidy[i].index or term in chosen.collinear(estimate):
                above, below = "dropped", ""
            else:
                above, below = _pair(tidy[i].loc[term], style)
            upper.append(above)
            lower.append(below)
        out.append(Row(label, tuple(upper)))
        if any(lower):
            out.append(Row("", tuple(lower)))
    return out


def _pair(row: Any, style: Style) -> tuple[str, str]:
    d = style.digits
    mark = number.stars(float(row["p_value"])) if style.stars else ""
    match style.stat:
        case "se":
            below = f"({number.fixed(row['std_error'], d)})"
        case "t":
            below = f"({number.fixed(row['statistic'], min(d, 2))})"
        case "p":
            below = f"({number.p_value(row['p_value'])})"
        case "ci":
            below = f"[{number.fixed(row['conf_low'], d)}, {number.fixed(row['conf_high'], d)}]"
    if row.isna()["std_error"]:
        below = number.MISSING
    return number.fixed(row["estimate"], d) + mark, below


def _labelled(several: Sequence[Estimate], shown: Sequence[str], names: Mapping[str, str]) -> dict[str, list[str]]:
    """Terms by label; two terms may share a label where no estimate has both."""
    groups: dict[str, list[str]] = {}
    for term in shown:
        groups.setdefault(chosen.label(term, names), []).append(term)
    for label, group in groups.items():
        if any(sum(_has(e, t) for t in group) > 1 for e in several):
            raise ConfigError(f"the label {label!r} would stand for several terms of one estimate", found=group)
    return groups


def _has(estimate: Estimate, term: str) -> bool:
    return term in estimate.coef.index or term in chosen.collinear(estimate)


def stat_rows(several: Sequence[Estimate], style: Style) -> list[Row]:
    """Return the rows below the coefficients: timing of event studies, outcome, sample, effects, inference, fit."""
    facts = [e.facts for e in several]
    rows: list[Row] = []

    def add(label: str, cells: Sequence[str]) -> None:
        if any(cells):
            rows.append(Row(label, tuple(cells), rule=not rows))

    add("Reference", [event_rows.reference(e) for e in several])
    treated = [event_rows.treated_pairs(e) for e in several]
    add("Treated pairs", ["" if n is None else number.count(n) for n in treated])
    add("Outcome", [chosen.label(str(f.get("outcome", "")), style.names) for f in facts])
    add("Estimator", [e.model for e in several])
    add("Rows given", [number.count(f["rows_given"]) if "rows_given" in f else "" for f in facts])
    for reason in chosen.distinct(r for f in facts for r, n in f.get("dropped", {}).items() if n):
        add(f"Dropped: {reason}", [number.count(f["dropped"].get(reason, 0)) if "dropped" in f else "" for f in facts])
    add("Rows learnt from", [number.count(f["rows_learning"]) if "rows_learning" in f else "" for f in facts])
    add("Observations", [number.count(e.nobs) for e in several])
    for effect in chosen.distinct(name for f in facts for name in f.get("effects", {})):
        shown = chosen.label(effect, style.names).replace("^", " × ")
        add(f"Fixed effects: {shown}", ["Yes" if effect in f.get("effects", {}) else "No" for f in facts])
    add("Standard errors", [str(f.get("vcov", "")) for f in facts])
    for dim in chosen.distinct(name for f in facts for name in f.get("clusters", {})):
        cells = [number.count(f["clusters"][dim]) if dim in f.get("clusters", {}) else "" for f in facts]
        add(f"Clusters: {chosen.label(dim, style.names)}", cells)
    add("Effective clusters", [f"{f['effective_clusters']:.1f}" if "effective_clusters" in f else "" for f in facts])
    for key, label in _FIT:
        add(label, ["" if f.get(key) is None else number.fixed(float(f[key]), style.digits) for f in facts])
    if any(f.get("converged") is False for f in facts):
        add("Converged", ["No" if f.get("converged") is False else "Yes" for f in facts])
    return rows


def notes(several: Sequence[Estimate], titles: Sequence[str], shown: Sequence[str], style: Style) -> list[str]:
    """Return the sentences below the table, in the order a reader needs them."""
    out = [f"{_BELOW[style.stat]}."]
    out += _by_column("Small-sample convention", [str(e.facts.get("ssc", "")) for e in several], titles)
    if style.stars:
        out.append("*** p < 0.01, ** p < 0.05, * p < 0.10.")
    if any(e.se[e.se.index.isin(list(shown))].isna().any() for e in several):
        out.append(f'"{number.MISSING}" marks a standard error that the data do not determine.')
    if any(t in shown for e in several for t in chosen.collinear(e)):
        out.append('"dropped" marks a term that is a combination of others or of the fixed effects.')
    if any(e.facts.get("converged") is False for e in several):
        out.append("An estimate that did not converge is not a result.")
    out += event_rows.mixed_ends(several, titles)
    cited = chosen.distinct(str(s.get("citation", name)) for e in several for name, s in e.sources.items())
    if cited:
        out.append("Data: " + "; ".join(c.rstrip(".") for c in cited) + ".")
    return out


def _by_column(what: str, texts: Sequence[str], titles: Sequence[str]) -> list[str]:
    """One sentence where all columns agree, else one per text with the columns it is true of."""
    different = [t for t in chosen.distinct(texts) if t]
    if len(different) == 1 and all(texts):
        return [f"{what}: {different[0].rstrip('.')}."]
    where = {text: [c for c, t in zip(titles, texts, strict=True) if t == text] for text in different}
    return [f"{what}, column {', '.join(where[text])}: {text.rstrip('.')}." for text in different]
