"""From matched incidents of several databases to one row per incident and pair of economies."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events.compared import economies, incident_key, incidents_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from cyber_trade_econ.events.compared import Incident

LARGEST = 100
"""Incidents that one cluster may hold: an outbreak that a database lists victim by victim has sixty."""

Pair = tuple[str, str]


class _Row(NamedTuple):
    """A row of a cluster: its place, its incident and source, its pairs, and how many of its sides are not known."""

    place: int
    incident: str
    source: str
    pairs: frozenset[Pair]
    open_sides: int


def clusters(incidents: Sequence[str], matches: pd.DataFrame) -> tuple[list[list[str]], int]:
    """Join incidents through accepted matches, the highest scores and decisions by hand first.

    A match that would make a cluster of more than `LARGEST` incidents is passed over, so that one wrong match cannot
    chain two large ones.

    Returns
    -------
    The clusters, incidents without a match as clusters of one, in the order of their first incident; and how many
    matches were passed over.
    """
    head = {key: key for key in incidents}
    size = dict.fromkeys(incidents, 1)

    def find(key: str) -> str:
        while head[key] != key:
            head[key] = head[head[key]]
            key = head[key]
        return key

    accepted = matches[matches["decision"] == "accepted"]
    accepted = accepted[accepted["id_a"].isin(head) & accepted["id_b"].isin(head)]
    ranked = accepted.assign(hand=accepted["decided_by"] == "hand")
    ranked = ranked.sort_values(["hand", "score", "id_a", "id_b"], ascending=[False, False, True, True])
    passed_over = 0
    for id_a, id_b in ranked[["id_a", "id_b"]].itertuples(index=False, name=None):
        one, two = find(id_a), find(id_b)
        if one == two:
            continue
        if size[one] + size[two] > LARGEST:
            passed_over += 1
            continue
        head[two], size[one] = one, size[one] + size[two]
    groups: dict[str, list[str]] = {}
    for key in incidents:
        groups.setdefault(find(key), []).append(key)
    return list(groups.values()), passed_over


def merge(frames: Mapping[str, pd.DataFrame], matches: pd.DataFrame) -> pd.DataFrame:
    """Return one row per distinct incident and pair of economies.

    Within a cluster of matched incidents a row is taken in if rows of other databases have all its pairs: the row that
    knows both sides stays before one that does not, then the one of the database given first. An unknown side fits
    every economy. Rows of one database are never put together: what it lists as two incidents stays two, even if
    another lists them as one. Rows of two incidents that were rejected by hand are not either, though both may match a
    third, such as an entry for the whole of which they are parts. Rows keep their own values; nothing is filled in.

    Parameters
    ----------
    frames
        Name of the database -> its incidents, in the order of preference.
    matches
        Table of `match` on these frames.

    Returns
    -------
    The rows that stay, databases in the order given, with ``also_in``: ids of the rows taken in, joined by ``;``.
    ``attrs["facts"]`` has the rows ``given``, ``kept`` and ``taken_in``; per database under ``sources`` its
    ``incidents``, those ``matched`` with any other and ``matched_before`` with one before it, what it ``adds``, and the
    same ``by_year``; the number of ``clusters`` by incidents; and ``matches_passed_over``, see `clusters`.

    Raises
    ------
    SchemaError
        If no frame is given, or the matches are no table or lack a column.
    """
    if not frames or not isinstance(matches, pd.DataFrame):
        raise SchemaError(
            "merge takes at least one frame and the table of match()", found=f"{list(frames)}, {type(matches).__name__}"
        )
    absent = [c for c in ("id_a", "id_b", "decision", "decided_by", "score") if c not in matches.columns]
    if absent:
        raise SchemaError(f"the matches lack the column(s) {absent}", fix="Pass the table that match() returned.")
    given = incidents_of(frames)
    groups, passed_over = clusters([i.key for i in given], matches)
    stacked = pd.concat([frame.assign(source=source) for source, frame in frames.items()], ignore_index=True)
    rows = _rows(stacked, {i.key: i.year for i in given})
    order = {source: at for at, source in enumerate(frames)}
    refused = matches[(matches["decision"] == "rejected") & (matches["decided_by"] == "hand")]
    apart = {frozenset(pair) for pair in zip(refused["id_a"], refused["id_b"], strict=True)}
    also: dict[int, list[int]] = {}
    for group in groups:
        also |= _taken_in([row for key in group for row in rows[key]], order, apart)
    taken = {place for places in also.values() for place in places}
    ids = stacked["event_id"].tolist()
    stacked["also_in"] = [";".join(ids[p] for p in also.get(place, [])) for place in range(len(stacked))]
    out = stacked[~stacked.index.isin(taken)].reset_index(drop=True)
    out.attrs["facts"] = {
        "given": len(stacked),
        "kept": len(out),
        "taken_in": len(taken),
        "sources": _account(given, groups, list(frames)),
        "clusters": dict(sorted(Counter(map(len, groups)).items())),
        "matches_passed_over": passed_over,
    }
    return out


def _rows(stacked: pd.DataFrame, years: Mapping[str, int]) -> dict[str, list[_Row]]:
    out: dict[str, list[_Row]] = {}
    columns = stacked[["event_id", "source", "imposer", "target"]]
    for place, (ident, source, imposer, target) in enumerate(columns.itertuples(index=False, name=None)):
        key = incident_key(ident, source)
        sides = [economies(side, years[key]) or {""} for side in (imposer, target)]
        pairs = frozenset((i, t) for i in sides[0] for t in sides[1])
        out.setdefault(key, []).append(_Row(place, key, source, pairs, sum("" in side for side in sides)))
    return out


def _taken_in(rows: Sequence[_Row], order: Mapping[str, int], apart: Set[frozenset[str]]) -> dict[int, list[int]]:
    """Place of a row that stays -> places of the rows that it takes in; never rows of two incidents set ``apart``."""
    stay: list[_Row] = []
    within: dict[int, set[str]] = {}  # place -> incidents of the row and of those that it took in
    also: dict[int, list[int]] = {}
    for row in sorted(rows, key=lambda r: (r.open_sides, order[r.source], r.place)):
        free = {s.place for s in stay if not any(frozenset((row.incident, i)) in apart for i in within[s.place])}
        hosts = [s for s in stay if s.source != row.source and s.place in free]
        found = [next((s.place for s in hosts if _has(s.pairs, wanted)), None) for wanted in sorted(row.pairs)]
        places = [place for place in found if place is not None]
        if len(places) < len(found):
            stay.append(row)
            within[row.place] = {row.incident}
        else:
            also.setdefault(places[0], []).append(row.place)
            within[places[0]].add(row.incident)
    return also


def _has(pairs: frozenset[Pair], wanted: Pair) -> bool:
    """Whether a pair is among the pairs, an unknown side of it fitting every economy."""
    return any(wanted[0] in ("", i) and wanted[1] in ("", t) for i, t in pairs)


def _account(given: Sequence[Incident], groups: Sequence[Sequence[str]], sources: Sequence[str]) -> dict[str, Any]:
    """Count per database what it shares with others and what it adds, in all and by year."""
    source_of = {i.key: i.source for i in given}
    held = {key: {source_of[k] for k in group} for group in groups for key in group}
    out: dict[str, Any] = {}
    for at, source in enumerate(sources):
        own = [i for i in given if i.source == source]
        new = [i for i in own if held[i.key].isdisjoint(sources[:at])]
        years = Counter(i.year for i in own)
        new_years = Counter(i.year for i in new)
        out[source] = {
            "incidents": len(own),
            "matched": sum(len(held[i.key]) > 1 for i in own),
            "matched_before": len(own) - len(new),
            "adds": len(new),
            "by_year": {year: {"incidents": years[year], "adds": new_years[year]} for year in sorted(years)},
        }
    return out
