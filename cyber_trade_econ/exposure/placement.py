"""Place events on the rows of a panel, and count those that have no place there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cyber_trade_econ.exposure import directions, spells
from cyber_trade_econ.exposure.calendar import MISSING, Frequency, ordinals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from cyber_trade_econ.records.panel import Panel

ORIGIN_NEUTRAL = "origin-neutral"
NOT_CODED = "not_coded"


@dataclass
class Tally:
    """What became of each event: ids used, ids left out by reason, and pairs hit that the panel does not have."""

    left_out: dict[str, list[str]] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)
    pairs_absent: int = 0


@dataclass(frozen=True)
class Hit:
    """The rows one event switches on.

    Parameters
    ----------
    event_id
        Its id.
    value
        Its value in the column by which exposure is split.
    on_rows
        Positions of the rows in which it is in force.
    pair_rows
        Positions of all rows of the pairs with at least one such row.
    first
        Ordinal of the period that contains its date.
    """

    event_id: str
    value: str
    on_rows: np.ndarray
    pair_rows: np.ndarray
    first: int


def place(
    panel: Panel, events: pd.DataFrame, roles: Sequence[str], by: str | None, freq: Frequency, span: tuple[int, int]
) -> tuple[list[Hit], Tally]:
    """Place checked events on the rows of a panel.

    Parameters
    ----------
    panel, events
        As in `expose`; the dates of the events are checked.
    roles
        Date roles in order of preference.
    by
        Column that gives `Hit.value`.
    freq
        Frequency of the panel.
    span
        Periods, relative to the first one, between which an event can be on; the second may be `MISSING`.
    """
    periods = ordinals(panel.frame[panel.time], freq)
    grouped = panel.frame.reset_index(drop=True).groupby(["exporter", "importer"], observed=True)
    rows_of: Mapping[Any, npt.NDArray[np.intp]] = grouped.indices  # type: ignore[assignment]
    hits, tally = [], Tally()
    for event in events.to_dict("records"):
        ident = str(event["event_id"])
        found = _pairs_and_spell(event, roles, freq)
        if isinstance(found, str):
            tally.left_out.setdefault(found, []).append(ident)
            continue
        pairs, spell = found
        last = spell.last if span[1] == MISSING else min(spell.last, spell.first + span[1])
        present = [rows_of[pair] for pair in sorted(pairs) if pair in rows_of]
        on = [rows[(periods[rows] >= spell.first + span[0]) & (periods[rows] <= last)] for rows in present]
        tally.pairs_absent += len(pairs) - len(present)
        if not any(len(rows) for rows in on):
            reason = "outside the panel's periods" if present else "no such pair in the panel"
            tally.left_out.setdefault(reason, []).append(ident)
            continue
        touched = np.concatenate([rows for rows, switched in zip(present, on, strict=True) if len(switched)])
        hits.append(Hit(ident, _value(event, by), np.concatenate(on), touched, spell.first))
        tally.used.append(ident)
    return hits, tally


def _pairs_and_spell(
    event: Mapping[Any, Any], roles: Sequence[str], freq: Frequency
) -> tuple[set[tuple[str, str]], spells.Spell] | str:
    """Return where and when an event is in force, or the reason why it has no bilateral exposure."""
    imposers = directions.codes(event, "imposer")  # a wrong code is an error even in an event that is left out
    if directions.is_origin_neutral(event):
        return ORIGIN_NEUTRAL
    if directions.WORLD in imposers:
        return "imposed by the whole world"
    spell = spells.spell(event, roles, freq)
    if isinstance(spell, str):
        return spell
    return directions.directed_pairs(event, spell.date.date()), spell


def _value(event: Mapping[Any, Any], by: str | None) -> str:
    """First of the values joined by ``;``, as the end of a column name."""
    value = event[by] if by else None
    first = value.split(";")[0].strip() if isinstance(value, str) else ""
    return re.sub(r"\W+", "_", first) or NOT_CODED
