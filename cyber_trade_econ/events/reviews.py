"""Decisions by hand on pairs of incidents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import EventError, SchemaError
from cyber_trade_econ.events.read import read
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

DECISIONS = ("accepted", "rejected", "review")
NEEDED = ("id_a", "id_b", "decision")


def reviews(path: str | Path | None = None) -> pd.DataFrame:
    """Return decisions by hand: ``id_a``, ``id_b``, ``decision``, ``reason``, and how the pair was drawn.

    Parameters
    ----------
    path
        A CSV file with at least the first three columns; the shipped ``data/events/incident_reviews.csv`` when None.

    Raises
    ------
    EventError, SchemaError
        If the file cannot be read, or lacks a column.
    """
    frame = read(shipped.path("data/events/incident_reviews.csv") if path is None else Path(path)).frame
    _require(frame)
    return frame


def decisions(given: pd.DataFrame | None, at: Mapping[str, int]) -> tuple[dict[tuple[int, int], str], int]:
    """Return the decision per pair of positions, the earlier first, and how many pairs have an incident that is absent.

    Parameters
    ----------
    given
        ``id_a``, ``id_b`` and ``decision``; None for no reviews.
    at
        Incident -> position.

    Raises
    ------
    SchemaError, EventError
        If a column is absent, a decision is unknown, or a pair is decided in two ways.
    """
    if given is None:
        return {}, 0
    _require(given)
    strange = sorted(set(given["decision"]) - set(DECISIONS))
    if strange:
        raise EventError("a decision on a pair of incidents", found=strange, allowed=DECISIONS)
    found: dict[tuple[int, int], str] = {}
    passed_over = 0
    for id_a, id_b, decision in given[list(NEEDED)].itertuples(index=False, name=None):
        if id_a not in at or id_b not in at:
            passed_over += 1
            continue
        pair = min(at[id_a], at[id_b]), max(at[id_a], at[id_b])
        if found.setdefault(pair, decision) != decision:
            raise EventError(f"{id_a} and {id_b} are decided in two ways", fix="Keep one row per pair.")
    return found, passed_over


def _require(frame: pd.DataFrame) -> None:
    if not hasattr(frame, "columns"):
        raise SchemaError("the reviews are no frame", found=type(frame).__name__)
    absent = [c for c in NEEDED if c not in frame.columns]
    if absent:
        raise SchemaError(f"the reviews lack the column(s) {absent}", found=list(frame.columns))
