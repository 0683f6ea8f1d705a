"""Which incidents of several databases are one: candidate pairs, their score, and a decision by stated rules."""

from __future__ import annotations

import difflib
import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cyber_trade_econ.events import evidence
from cyber_trade_econ.events.compared import Incident, apart, incidents_of, nearness
from cyber_trade_econ.events.reviews import DECISIONS, decisions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scipy import sparse

COLUMNS = (
    *("id_a", "id_b", "source_a", "source_b", "same_initiator", "same_receiver", "dates", "days_apart"),
    *("title_similarity", "words", "sources", "shared_type", "rivals", "score", "rule", "decision", "decided_by"),
)


class Rule(NamedTuple):
    """Least score for acceptance and for review, least bits from words and sources for acceptance, and most days."""

    accept: float
    review: float
    words: float
    days: float


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "both sides": Rule(accept=12.0, review=6.0, words=4.0, days=1000),
        "receiver only": Rule(accept=11.0, review=8.0, words=8.0, days=60),
        "initiator only": Rule(accept=13.0, review=8.5, words=8.0, days=1000),
    }
)
"""``both sides``: an initiator and a receiver in common. ``receiver only``: the initiator is not known to one of the
two. ``initiator only``: the receiver is not known to one. Incidents that name different economies on a side, or have
nothing in common, are no candidates."""

_SAME_TYPE = 0.5
_BELOW = 2.0  # pairs down to this far below the line of review are listed as rejected
_COMMON, _FEW = 0.03, 50  # a word of more incidents than this share, or number, does not make two of them candidates
_LEAST = 3.0
_PROFILE = 4.0
_SURE, _OUTDONE = 15.0, 4.0


def match(
    frames: Mapping[str, pd.DataFrame],
    *,
    texts: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    reviews: pd.DataFrame | None = None,
    rules: Mapping[str, Rule] = RULES,
) -> pd.DataFrame:
    """Compare the incidents of several databases and say which pairs are one incident.

    A pair of two databases is a candidate if it shares a word that few incidents use, or a source, has an economy in
    common on at least one side and none apart on the other, and lies within the days of its rule. Its score is in the
    manner of Fellegi and Sunter (1969, https://doi.org/10.1080/01621459.1969.10501049) a sum of bits: what its shared
    words, phrases and sources say (`evidence.shared`, `evidence.phrases`, `evidence.cited`), what its dates say
    (`compared.nearness`), half a bit for a type in common, less log2 of one plus its ``rivals``: the incidents with the
    same economies, of the database that has more of them. A report under nothing but a name is the profile of a group
    or tool, and four bits are taken away unless the other has a word of it in its title.

    With the score and the bits from words and sources that its rule asks for it is ``accepted``, above the lower line
    it is for ``review``, and ``rejected`` down to two bits below that; pairs below are not listed. One below 15 bits,
    both of whose incidents have a match in the database of the other that is better by four bits, is for review too. A
    decision by hand wins over the rules.

    Parameters
    ----------
    frames
        Name of the database -> its incidents in the common schema, see `incident_frame`.
    texts
        Name of the database -> incident -> a description with its sources, to compare beside what the frames have, see
        `crosswalks.descriptions`.
    reviews
        Decisions by hand: ``id_a``, ``id_b`` (incidents, in either order) and ``decision``. Those on incidents that are
        not in the frames are passed over and counted.
    rules
        Names of `RULES` -> lines.

    Returns
    -------
    One row per pair of incidents, ``a`` of the database given first, ordered by ``id_a`` and ``id_b``, with the columns
    `COLUMNS`: ``same_initiator`` and ``same_receiver`` are the economies in common, ``dates`` the roles compared,
    ``days_apart`` the days between their nearest ends, ``title_similarity`` 0 to 1, ``words``, ``sources`` and
    ``score`` bits, ``decided_by`` ``rule`` or ``hand``. ``attrs["facts"]`` counts incidents, comparisons and decisions.

    Raises
    ------
    SchemaError, EventError
        If a frame or the reviews lack a column, an incident has no date, or a decision is unknown or contradicted.
    """
    given = incidents_of(frames, texts)
    words = evidence.corpus(given)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    compared = 0
    for a, b in _candidates(given, words, list(frames)):
        compared += 1
        row = _decided(given, words, (a, b), rules)
        if row:
            rows[given[a].key, given[b].key] = row
    _outdone(list(rows.values()))
    at = {incident.key: n for n, incident in enumerate(given)}
    by_hand, passed_over = decisions(reviews, at)
    for (a, b), decision in by_hand.items():
        row = rows.get((given[a].key, given[b].key)) or _measured(given, words, (a, b))
        rows[given[a].key, given[b].key] = row | {"decision": decision, "decided_by": "hand"}
    table = pd.DataFrame([rows[key] for key in sorted(rows)], columns=COLUMNS)
    titles = [(given[at[a]].title, given[at[b]].title) for a, b in sorted(rows)]
    table["title_similarity"] = [_alike(one, two) for one, two in titles]
    table.attrs["facts"] = {
        "incidents": {source: sum(i.source == source for i in given) for source in frames},
        "compared": compared,
        "decisions": {d: int((table["decision"] == d).sum()) for d in DECISIONS},
        "by_hand": len(by_hand),
        "reviews_of_absent_incidents": passed_over,
    }
    return table


def _candidates(given: Sequence[Incident], words: evidence.Corpus, sources: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of two databases that share enough rare words; the database given first comes first."""
    from scipy import sparse

    weights = _weights(words)
    place = np.array([sources.index(i.source) for i in given])
    for first in range(len(sources)):
        own, later = np.flatnonzero(place == first), np.flatnonzero(place > first)
        bits = sparse.coo_array(weights[own] @ weights[later].T)  # a shared source is a word here
        enough = bits.data >= _LEAST
        yield from zip(own[bits.row[enough]].tolist(), later[bits.col[enough]].tolist(), strict=True)


def _weights(words: evidence.Corpus) -> sparse.csr_array:
    """Incidents by words that few of them use; the product of two rows is the bits of the words both use."""
    from scipy import sparse

    most = max(_COMMON * len(words.words), _FEW)
    rare = sorted(w for w, uses in words.where.items() if 2 <= len(uses) <= most)
    root = [math.sqrt(-math.log2(evidence.overall(words, w)) * evidence.weight(words, w)) for w in rare]
    articles = sorted(words.citing)
    root += [math.sqrt(evidence.CITED)] * len(articles)
    column = {word: at for at, word in enumerate([*rare, *articles])}
    named = (own | cited for own, cited in zip(words.words, words.articles, strict=True))
    entries = [(row, column[w]) for row, own in enumerate(named) for w in own if w in column]
    rows, columns = [r for r, _ in entries], [c for _, c in entries]
    values = np.array([root[c] for c in columns], dtype=float)
    return sparse.csr_array((values, (rows, columns)), shape=(len(words.words), len(column)))


def _decided(
    given: Sequence[Incident], words: evidence.Corpus, pair: tuple[int, int], rules: Mapping[str, Rule]
) -> dict[str, Any]:
    """One row of the table; empty where the two are no candidates or fall below every line."""
    one, two = (given[at] for at in pair)
    rule = rules.get(_rule(one, two))
    if rule is None or apart(one.dates, two.dates).counted > rule.days:
        return {}
    row = _measured(given, words, pair)
    if row["score"] < rule.review - _BELOW:
        return {}
    decision = "review" if row["score"] >= rule.review else "rejected"
    if row["score"] >= rule.accept and row["words"] + row["sources"] >= rule.words:
        decision = "accepted"
    return row | {"decision": decision, "decided_by": "rule"}


def _outdone(rows: Sequence[dict[str, Any]]) -> None:
    """Put to review what is accepted but not sure, where both have a much better match in the database of the other."""
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        for key in ((row["id_a"], row["source_b"]), (row["id_b"], row["source_a"])):
            best[key] = max(best.get(key, row["score"]), row["score"])
    for row in rows:
        better = min(best[row["id_a"], row["source_b"]], best[row["id_b"], row["source_a"]])
        if row["decision"] == "accepted" and row["score"] < min(_SURE, better - _OUTDONE):
            row["decision"] = "review"


def _measured(given: Sequence[Incident], words: evidence.Corpus, pair: tuple[int, int]) -> dict[str, Any]:
    one, two = (given[at] for at in pair)
    initiators, receivers = one.imposers & two.imposers, one.targets & two.targets
    sides = [side for side in one.sides if side in two.sides]
    text = sum(word.bits for word in evidence.shared(words, *pair, sides)) + evidence.phrases(words, *pair)
    cited = evidence.cited(words, *pair)
    alike = bool(one.types & two.types)
    dates = apart(one.dates, two.dates)
    rivals = max(evidence.rivals(words, sides, source) for source in (one.source, two.source))
    score = text + cited + nearness(dates) + _SAME_TYPE * alike - math.log2(1 + rivals)
    score -= _PROFILE * _profile(given, words, pair)
    return {
        "id_a": one.key,
        "id_b": two.key,
        "source_a": one.source,
        "source_b": two.source,
        "same_initiator": ";".join(sorted(initiators)),
        "same_receiver": ";".join(sorted(receivers)),
        "dates": dates.roles,
        "days_apart": dates.written,
        "words": round(text, 1),
        "sources": round(cited, 1),
        "shared_type": alike,
        "rivals": rivals,
        "score": round(score, 1),
        "rule": _rule(one, two),
    }


def _alike(one: str, two: str) -> float:
    return round(difflib.SequenceMatcher(None, one.lower(), two.lower(), autojunk=False).ratio(), 2)


def _profile(given: Sequence[Incident], words: evidence.Corpus, pair: tuple[int, int]) -> bool:
    """Whether one is known from a report whose title is a bare name, of a group or tool, that the other's lacks."""
    shared = words.titles[pair[0]] & words.titles[pair[1]]
    bare = (at for at in pair if "onset" not in given[at].dates and words.titles[at] <= words.names)
    return any(bare) and not any(evidence.overall(words, word) <= _COMMON for word in shared & words.names)


def _rule(one: Incident, two: Incident) -> str:
    initiator, receiver = bool(one.imposers & two.imposers), bool(one.targets & two.targets)
    if (one.imposers and two.imposers and not initiator) or (one.targets and two.targets and not receiver):
        return "different economies"
    if initiator and receiver:
        return "both sides"
    return "receiver only" if receiver else "initiator only" if initiator else "no economy in common"
