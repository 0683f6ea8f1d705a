"""What a table says of coded events: the ids behind each coefficient, the reference, the ends of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.report import chosen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.records.estimate import Estimate

_MANY = 5  # terms that are named one by one in a note
_FULL_LIST = 40  # ids that a note lists in full


def reference(estimate: Estimate) -> str:
    """Return what the effects of an event study are measured against; empty for other estimates."""
    facts = estimate.facts
    if "event_time" not in facts:
        return ""
    if "reference_label" in facts:
        return str(facts["reference_label"])
    at = facts.get("reference")
    return "" if at is None else _binned_ends(estimate).get(int(at), f"event time {int(at)}").lower()


def treated_pairs(estimate: Estimate) -> int | None:
    """Return the number of pairs treated at event time 0, where an event study tells it."""
    units = {int(t): int(n) for t, n in estimate.facts.get("treated_units", {}).items()}
    return units.get(0) if "event_time" in estimate.facts else None


def end_labels(several: Sequence[Estimate]) -> dict[str, str]:
    """Return labels of the terms that stand for their event time and all beyond it.

    A term that ends the window of one estimate and lies inside that of another keeps its plain label; `mixed_ends`
    tells of those.
    """
    out: dict[str, str] = {}
    for estimate in several:
        ends = _binned_ends(estimate)
        out |= {term: ends[time] for term, time in _times(estimate).items() if time in ends}
    return {term: label for term, label in out.items() if not _is_mixed(term, several)}


def mixed_ends(several: Sequence[Estimate], titles: Sequence[str]) -> list[str]:
    """Return one sentence per column with binned ends that the labels cannot tell."""
    out = []
    for estimate, title in zip(several, titles, strict=True):
        ends = _binned_ends(estimate)
        said = [ends[t].lower() for term, t in _times(estimate).items() if t in ends and _is_mixed(term, several)]
        if said:
            out.append(f"In column {title} the window ends with {' and '.join(said)}.")
    return out


def _is_mixed(term: str, several: Sequence[Estimate]) -> bool:
    labels = {_binned_ends(e).get(_times(e)[term], "") for e in several if term in _times(e)}
    return len(labels) > 1


def _times(estimate: Estimate) -> dict[str, int]:
    facts = estimate.facts
    if "event_time" not in facts:
        return {}
    return {
        str(k): int(t) for k, t in zip(facts.get("event_terms", estimate.coef.index), facts["event_time"], strict=True)
    }


def _binned_ends(estimate: Estimate) -> dict[int, str]:
    """Labels of the first and last event time, the reference counted, where they hold all beyond them too."""
    facts = estimate.facts
    if "event_time" not in facts or not facts.get("binned_ends", False):
        return {}
    times = [int(t) for t in (*facts["event_time"], facts.get("reference")) if t is not None]
    if len(set(times)) < 2:
        return {}
    first, last = min(times), max(times)
    return {first: f"Event time {first} or earlier", last: f"Event time {last} or later"}


def notes(
    several: Sequence[Estimate], titles: Sequence[str], shown: Sequence[str], names: Mapping[str, str]
) -> list[str]:
    """Return the ids of the events behind the coefficients; terms and columns with the same ids share a sentence."""
    groups: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for title, estimate in zip(titles, several, strict=True):
        for term in shown:
            ids = event_ids(estimate, term)
            if ids:
                groups.setdefault(ids, {}).setdefault(title, []).append(chosen.label(term, names))
    out = []
    for ids, columns in groups.items():
        same = len({tuple(t) for t in columns.values()}) == 1 and len(columns) == len(several)
        where = [("" if same else f" in column {title}", labels) for title, labels in columns.items()]
        head = " and ".join(_span(labels) + column for column, labels in (where[:1] if same else where))
        out.append(f"Events behind {head}: {_some(ids)}.")
    return out


def _some(ids: Sequence[str]) -> str:
    """List ids, or where a note cannot hold them their number and where they stand."""
    if len(ids) <= _FULL_LIST:
        return ", ".join(ids)
    return f"{len(ids)} events, named in the .csv of this table; the first are {', '.join(ids[:_MANY])}"


def _span(labels: Sequence[str]) -> str:
    """Name the terms, or where they are many only the first and the last."""
    return ", ".join(labels) if len(labels) <= _MANY else f"{labels[0]} to {labels[-1]} ({len(labels)} coefficients)"


def event_ids(estimate: Estimate, term: str) -> tuple[str, ...]:
    """Return the ids of the events behind a coefficient, each once, in order."""
    return tuple(chosen.distinct(str(i) for i in estimate.events.get(term, ())))
