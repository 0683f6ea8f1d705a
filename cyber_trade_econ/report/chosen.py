"""Which terms a table or figure shows, under which label, in which order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.records.estimate import Estimate


@runtime_checkable
class Titled(Protocol):
    """Estimates that know what tells them apart, such as `cyber_trade_econ.many.Fits` of several samples."""

    @property
    def titles(self) -> tuple[str, ...]:
        """One distinct title per estimate, or none."""
        ...


def estimates(given: Estimate | Iterable[Estimate]) -> tuple[Estimate, ...]:
    """Return one or several estimates as a tuple, refusing none and anything else."""
    if isinstance(given, Estimate):
        return (given,)
    several = tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [type(e).__name__ for e in several if not isinstance(e, Estimate)]
    if wrong or not several:
        raise ConfigError(
            "a table or figure needs estimates",
            found=", ".join(wrong) or "none",
            fix="Pass what cte.ols, cte.ppml or cte.event_study returned, or a list of them.",
        )
    return several


def own_titles(given: object) -> tuple[str, ...]:
    """Return the titles that the estimates bring along, if any."""
    return given.titles if isinstance(given, Titled) else ()


def titles(given: Sequence[str] | None, n: int) -> tuple[str, ...]:
    """Return one distinct title per estimate, ``(1)``, ``(2)`` ... by default."""
    if given is None:
        return tuple(f"({i})" for i in range(1, n + 1))
    shown = tuple(str(t) for t in given)
    if len(shown) != n or len(set(shown)) != n:
        raise ConfigError("the titles of the columns", found=list(shown), allowed=f"{n} different texts")
    return shown


def collinear(estimate: Estimate) -> tuple[str, ...]:
    """Return the terms that were dropped as collinear."""
    return tuple(str(t) for t in estimate.facts.get("collinear", ()))


def terms(
    several: Sequence[Estimate],
    *,
    keep: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
) -> list[str]:
    """Return the terms to show, in order of first appearance; patterns are terms in which ``*`` stands for any text.

    Raises
    ------
    ConfigError
        If a pattern matches no term, or no term is left.
    """
    every = list(dict.fromkeys(str(t) for e in several for t in e.coef.index))
    every += [t for t in dict.fromkeys(t for e in several for t in collinear(e)) if t not in every]
    kept = every if keep is None else [t for t in every if t in _matched("keep", keep, every)]
    dropped = _matched("drop", drop or (), every)
    first = _matched("order", order or (), every)
    shown = [t for t in kept if t not in dropped]
    if not shown and every:  # a model of effects alone has none to show
        raise ConfigError("no term is left to show", found=f"keep={keep}, drop={drop}", allowed=every)
    return [t for t in first if t in shown] + [t for t in shown if t not in first]


def _matched(option: str, patterns: Sequence[str], every: Sequence[str]) -> list[str]:
    if isinstance(patterns, str):
        raise ConfigError(f"{option}= takes a list of terms", found=repr(patterns), fix="Put it in a list.")
    out: list[str] = []
    for pattern in patterns:
        rule = re.compile(re.escape(str(pattern)).replace(r"\*", ".*"), re.DOTALL)
        hits = [t for t in every if t == pattern or rule.fullmatch(t)]
        if not hits:
            raise ConfigError(f"{option}= names a term that no estimate has", found=repr(pattern), allowed=every)
        out += [t for t in hits if t not in out]
    return out


def label(term: str, names: Mapping[str, str] | None) -> str:
    """Return the label of a term or effect: the one given, else its own name (event times in words)."""
    own = term.replace("event_time::", "Event time ", 1) if term.startswith("event_time::") else term
    return str((names or {}).get(term, own))


def distinct(values: Iterable[Any]) -> list[Any]:
    """Return the values in order of first appearance, once each."""
    return list(dict.fromkeys(values))
