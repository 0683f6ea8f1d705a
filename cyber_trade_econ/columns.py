"""The columns of the regressors, made from the terms of a formula; indicators of which there are many are listed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.encoding import INTERCEPT
from cyber_trade_econ.hdfe.regressors import FEWEST, Listed, Regressors, worth_listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.encoding import Encoding
    from cyber_trade_econ.formula import Atom, Term
    from cyber_trade_econ.hdfe.factor import Array, Codes, Mask

Choice = tuple[tuple["Atom", Any], ...]
"""A column: its parts, those that are categories with a level."""


@dataclass(frozen=True)
class Plan:
    """What the columns will be; nothing of the size of rows times columns has been made.

    Parameters
    ----------
    names
        Terms of the columns.
    rows
        Number of rows.
    rare
        Which columns will be lists of what is not zero in them, (k,).
    """

    names: tuple[str, ...]
    rows: int
    rare: Mask
    _choices: Sequence[Choice]
    _listed: Sequence[Listed | None]
    _atoms: Mapping[Atom, Array]

    def columns(self) -> Regressors:
        """Make the columns, (n, k)."""
        constant = len(self.names) - len(self._choices)
        full = np.empty((self.rows, int((~self.rare).sum())), order="F")  # column by column, as everything reads it
        if constant:
            full[:, 0] = 1.0
        into = iter(full.T[constant:])
        kept: list[Listed] = []
        for choice, entries, rare in zip(self._choices, self._listed, self.rare[constant:], strict=True):
            if rare:
                kept.append(Listed.of(_multiplied(choice, self._atoms)) if entries is None else entries)
            elif entries is None:
                next(into)[:] = _multiplied(choice, self._atoms)
            else:
                column = next(into)
                column[:] = 0.0
                column[entries.rows] = entries.values  # noqa: PD011  no frame
        return Regressors.joined(full, self.rare, kept)


def widths(terms: Sequence[Term], encoding: Encoding) -> tuple[int, int]:
    """Count the columns without and with categories: of the latter one per combination of the levels that are shown."""
    of_terms = [[len(encoding.shown[t, a]) for a in t if a.kind == "i"] for t in terms]
    return sum(not counts for counts in of_terms), sum(math.prod(counts) for counts in of_terms if counts)


def planned(
    terms: Sequence[Term], atoms: Mapping[Atom, Array], frame: pd.DataFrame, encoding: Encoding, *, constant: bool
) -> Plan:
    """Plan the columns of the regressors: one per term, or per combination of the levels that are shown.

    Parameters
    ----------
    terms
        Terms of a formula.
    atoms
        Values of the parts that are numbers, (n,).
    frame
        The categories; one never seen is missing, as are the columns it enters.
    encoding
        Levels of the categories.
    constant
        Whether a constant comes first.
    """
    n = len(frame)
    categories = {a.name for term in terms for a in term if a.kind == "i"}
    places = {name: _Places(frame[name], encoding.seen[name]) for name in categories}
    choices: list[Choice] = [
        choice
        for term in terms
        for choice in product(
            *([(a, v) for v in encoding.shown[term, a]] if a.kind == "i" else [(a, None)] for a in term)
        )
    ]
    names = [":".join(f"{a.name}::{v}" if a.kind == "i" else str(a) for a, v in choice) for choice in choices]
    gone = {a: np.flatnonzero(~np.isfinite(v)) for a, v in atoms.items() if a.kind != "i"} if places else {}
    listed = [_listed(choice, atoms, places, gone) for choice in choices]
    filled = [n] * constant
    for choice, entries in zip(choices, listed, strict=True):
        if entries is not None:
            filled.append(len(entries.rows))
        else:
            filled.append(int(np.count_nonzero(_multiplied(choice, atoms))) if len(choices) >= FEWEST else n)
    return Plan(tuple([INTERCEPT] * constant + names), n, worth_listing(filled, n), choices, listed, atoms)


class _Places:
    """Where the levels of a category are."""

    def __init__(self, series: pd.Series, levels: tuple[Any, ...]) -> None:
        self.levels = levels
        self.numbers = np.asarray(pd.Index(levels).get_indexer(pd.Index(series)), dtype=np.int64)
        self._order = np.argsort(self.numbers, kind="stable")
        self._ends = np.searchsorted(self.numbers[self._order], np.arange(len(levels) + 1))
        self.unseen = self._order[: self._ends[0]]

    def rows(self, level: Any) -> Codes:
        """Return the rows of a level, ascending."""
        at = self.levels.index(level)
        return self._order[self._ends[at] : self._ends[at + 1]]


def _listed(
    choice: Choice, atoms: Mapping[Atom, Array], places: Mapping[str, _Places], gone: Mapping[Atom, Codes]
) -> Listed | None:
    """List what is not zero, or missing, in a column with a category; ``None`` for a column without.

    ``gone`` holds the rows on which the numbers are missing.
    """
    parts = [(places[a.name], level) for a, level in choice if a.kind == "i"]
    if not parts:
        return None
    rows = parts[0][0].rows(parts[0][1])
    for place, level in parts[1:]:
        rows = rows[place.numbers[rows] == place.levels.index(level)]
    numbers = [a for a, _ in choice if a.kind != "i"]
    missing = np.concatenate([place.unseen for place, _ in parts] + [gone[a] for a in numbers])
    if len(missing):
        rows = np.union1d(rows, missing)
    values = np.ones(len(rows))
    with np.errstate(over="ignore", invalid="ignore"):  # `estimable.rows` refuses such a column by name
        for a in numbers:
            values *= atoms[a][rows]
    values[np.searchsorted(rows, missing)] = np.nan
    return Listed(rows, values)


def _multiplied(choice: Choice, atoms: Mapping[Atom, Array]) -> Array:
    """Return the column of a product of numbers; of one number the array itself."""
    values = atoms[choice[0][0]]
    for atom, _ in choice[1:]:
        with np.errstate(over="ignore", invalid="ignore"):
            values = values * atoms[atom]
    return values
