"""How much it says that two descriptions share their words: names count, and rare ones among like incidents count most."""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from cyber_trade_econ.events.compared import Incident, Side

_Key = TypeVar("_Key", bound="Hashable")

_WORD = re.compile(r"[A-Za-z0-9]+")
_ADDRESS = re.compile(r"https?://[^\s;,|\"'\])]+")
_PROTOCOL = re.compile(r"^https?://(www\.)?")
_ARCHIVE = re.compile(r"^web\.archive\.org/web/\d+[a-z_]*/(https?://)?(www\.)?")
_NAMING = ("id", "p", "story", "article", "ud")  # parts of a query that name the page
_LONG_ENOUGH = 25
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_POSSESSIVE = re.compile(r"['’]s\b")
_SENTENCE_ENDS = ".!?:;|"
_SHORTEST, _LONGEST_ACRONYM = 3, 4
_NAME_SHARE = 0.75
_CALENDAR = frozenset(
    "january february march april may june july august september october november december monday tuesday "  # noqa: SIM905
    "wednesday thursday friday saturday sunday".split()
)
_YEARS = range(1980, 2040)

MOST = 4
"""Shared words that count, the most telling first."""
CAP = 7.0
"""Bits that one word can give at most, before the weight of titles: no single rare word carries a match alone."""
ORDINARY = 1 / 3
"""Weight of a word that is not a name."""
TITLE = 1.5
"""Weight of a word that stands in both titles."""
RUN = 6
"""Adjacent words that make a phrase."""
PHRASE, LONGEST = 2.0, 10.0
"""Bits of each shared phrase, and of all of them at most."""
CITED = 9.0
"""Bits of a source that two incidents alone name; one less for every doubling of the incidents that name it."""
_TELLING, _FEW = 0.01, 50  # a phrase without a word of so few incidents, by share or number, is a manner of speaking
_REPEATED = 5
_LEAST = 0.7
_PRIOR_ECONOMY, _PRIOR_WORD = 20, 3


class Shared(NamedTuple):
    """A word that two incidents share, and its bits of evidence that they are one."""

    word: str
    bits: float


@dataclass(frozen=True)
class Corpus:
    """Every incident that is compared, by position.

    Parameters
    ----------
    words
        Per incident, the words of its description.
    titles
        Per incident, the words of its title.
    phrases
        Per incident, every run of `RUN` words of its description.
    articles
        Per incident, the addresses of its sources.
    citing
        Address -> how many incidents name it.
    names
        Words that are names of somebody or something, judged by how they are written.
    where
        Word -> incidents that use it; here and below an outbreak stands for its incidents.
    blocks
        Side -> incidents with that economy on that side.
    rivals
        Side and database -> incidents of the database with that economy on that side.
    """

    words: Sequence[frozenset[str]]
    titles: Sequence[frozenset[str]]
    phrases: Sequence[frozenset[str]]
    articles: Sequence[frozenset[str]]
    citing: Mapping[str, int]
    names: frozenset[str]
    where: Mapping[str, frozenset[int]]
    blocks: Mapping[Side, frozenset[int]]
    rivals: Mapping[tuple[Side, str], frozenset[int]]


def corpus(given: Sequence[Incident]) -> Corpus:
    """Read the descriptions of incidents.

    A word has three or more letters or digits. Months, weekdays and years are left out, since dates are compared by
    themselves. Two adjacent words also count as one where somebody writes them so ("Bad Rabbit", "BadRabbit"), and so do
    an acronym and its number ("APT 33"). A word is a name if at least three in four of its uses inside sentences begin
    with a capital, or if it holds a digit. Incidents of one database whose descriptions repeat each other, as those of one
    outbreak listed victim by victim do, count as one wherever frequencies are counted.
    """
    tokens = [_tokens(incident.text) for incident in given]
    vocabulary = {word.lower() for own in tokens for word, _ in own}
    found = [_words([word for word, _ in own], vocabulary) for own in tokens]
    inside = Counter(word.lower() for own in tokens for word, within in own if within)
    capital = Counter(word.lower() for own in tokens for word, within in own if within and not word.islower())
    runs = _phrases([[word.lower() for word, _ in _tokens(incident.told)] for incident in given], found)
    articles = [_articles(incident.text) for incident in given]
    first = _first_of_outbreak([i.source for i in given], runs)
    where = _grouped((word, first[at]) for at, words in enumerate(found) for word in words)
    return Corpus(
        words=found,
        titles=[_words([word for word, _ in _tokens(incident.title)], vocabulary) for incident in given],
        phrases=runs,
        articles=articles,
        citing={a: n for a, n in Counter(a for own in articles for a in own).items() if n > 1},
        names=frozenset(w for w in where if not w.isalpha() or capital[w] >= _NAME_SHARE * inside[w]),
        where=where,
        blocks=_grouped((side, first[at]) for at, i in enumerate(given) for side in i.sides),
        rivals=_grouped(((side, i.source), first[at]) for at, i in enumerate(given) for side in i.sides),
    )


def _tokens(text: str) -> list[tuple[str, bool]]:
    """Words as written, and whether each stands inside a sentence, where only names begin with a capital."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    plain = _THOUSANDS.sub("", _POSSESSIVE.sub("", _ADDRESS.sub(" ", plain)))
    out = []
    for token in _WORD.finditer(plain):
        before = plain[: token.start()].rstrip(" \"'(")
        out.append((token.group(), bool(before) and before[-1] not in _SENTENCE_ENDS))
    return out


def _articles(text: str) -> frozenset[str]:
    """Addresses of pages in the plainest form: no protocol, archive, fragment or query that only says who followed it."""
    out = set()
    for found in _ADDRESS.findall(text):
        address = _ARCHIVE.sub("", _PROTOCOL.sub("", found.lower())).split("#")[0]
        page, _, query = address.partition("?")
        kept = [part for part in query.split("&") if part.partition("=")[0] in _NAMING]
        address = page.rstrip("/.") + ("?" + "&".join(kept) if kept else "")
        if "/" in address and len(address) >= _LONG_ENOUGH:  # not the front page of a publisher
            out.add(address)
    return frozenset(out)


def _words(written: list[str], vocabulary: set[str]) -> frozenset[str]:
    single = {word.lower() for word in written if len(word) >= _SHORTEST}
    joined = {join for join, sure in _joined(written) if sure or join in vocabulary}
    years = {word for word in single if word.isdigit() and int(word) in _YEARS}
    return frozenset((single | joined) - _CALENDAR - years)


def _joined(tokens: list[str]) -> list[tuple[str, bool]]:
    """Adjacent words written as one, and whether that is a name for sure: an acronym and its number."""
    out = []
    for first, second in itertools.pairwise(tokens):
        join = (first + second).lower()
        acronym = first.isupper() and first.isalpha() and len(first) <= _LONGEST_ACRONYM and second.isdigit()
        if acronym or len(join) > _LONGEST_ACRONYM:
            out.append((join, acronym))
    return out


def _phrases(tokens: list[list[str]], words: Sequence[frozenset[str]]) -> list[frozenset[str]]:
    """Return the runs of words of each incident, those with a word that few incidents use."""
    uses = Counter(word for own in words for word in own)
    rare = {word for word, n in uses.items() if n <= max(_TELLING * len(tokens), _FEW)}
    runs = [[run[at : at + RUN] for at in range(len(run) - RUN + 1)] for run in tokens]
    return [frozenset(" ".join(run) for run in own if not rare.isdisjoint(run)) for own in runs]


def _first_of_outbreak(sources: Sequence[str], runs: Sequence[frozenset[str]]) -> list[int]:
    """Per incident, the first of the incidents of its database whose descriptions it repeats, if by way of others."""
    head = list(range(len(runs)))

    def find(at: int) -> int:
        while head[at] != at:
            head[at] = head[head[at]]
            at = head[at]
        return at

    used: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for at, own in enumerate(runs):
        alike = Counter(other for run in own for other in used[sources[at], run])
        for other, n in alike.items():
            if n >= max(_REPEATED, len(own) / 2):
                head[find(at)] = find(other)
        for run in own:
            used[sources[at], run].append(at)
    return [find(at) for at in range(len(runs))]


def _grouped(entries: Iterable[tuple[_Key, int]]) -> dict[_Key, frozenset[int]]:
    out: defaultdict[_Key, set[int]] = defaultdict(set)
    for key, at in entries:
        out[key].add(at)
    return {key: frozenset(at) for key, at in out.items()}


def rivals(given: Corpus, sides: Sequence[Side], source: str) -> int:
    """Return how many incidents of a database have the economies that two incidents share, the rarest of each side."""
    rarest = [
        min((given.rivals[side, source] for side in sides if side[0] == role), key=len)
        for role in dict.fromkeys(role for role, _ in sides)
    ]
    return len(frozenset.intersection(*rarest)) if rarest else 0


def shared(given: Corpus, a: int, b: int, sides: Sequence[Side]) -> list[Shared]:
    """Return the words that two incidents share and what each adds, the most telling first, at most `MOST`.

    The bits of a word are -log2 of how often it is used by the other incidents: of all, or of those with the same
    imposer or the same target, whichever is most, so that the name of an economy or of a group that always attacks it
    says little. A word that goes with one already counted adds only what it says beyond it. Frequencies in small groups
    are drawn towards that of all incidents. An ordinary word counts a third of a name, a word of both titles half more,
    and a word gives `CAP` at most.

    Parameters
    ----------
    a, b
        Positions in the corpus.
    sides
        What the two are known to have in common.
    """
    titles = given.titles[a] & given.titles[b]
    ranked = []
    for word in given.words[a] & given.words[b]:
        share = _share(given, word, sides)
        ranked.append((_bits(given, word, share, titles), word, share))
    ranked.sort(reverse=True)
    out: list[Shared] = []
    for _, word, alone in ranked[: 2 * MOST]:
        share = max([alone, *(_beside(given, word, other.word, alone) for other in out)])
        bits = _bits(given, word, share, titles)
        if bits >= _LEAST:
            out.append(Shared(word, bits))
        if len(out) == MOST:
            break
    return out


def phrases(given: Corpus, a: int, b: int) -> float:
    """Return the bits of the phrases that two incidents share: databases copy from each other and from one report."""
    return min(PHRASE * len(given.phrases[a] & given.phrases[b]), LONGEST)


def cited(given: Corpus, a: int, b: int) -> float:
    """Return the bits of the most telling source that two incidents both name."""
    both = given.articles[a] & given.articles[b]
    return max((CITED - math.log2(given.citing[article] - 1) for article in both), default=0.0)


def _bits(given: Corpus, word: str, share: float, titles: frozenset[str]) -> float:
    return min(-math.log2(share) * weight(given, word), CAP) * (TITLE if word in titles else 1)


def weight(given: Corpus, word: str) -> float:
    """Return how much of the bits of a word counts: all of a name, `ORDINARY` of another word."""
    return 1.0 if word in given.names else ORDINARY


def overall(given: Corpus, word: str) -> float:
    """Return the share of all other incidents that use a word, counting half a use where no other does."""
    return max(len(given.where[word]) - 2, 0.5) / len(given.words)


def _share(given: Corpus, word: str, sides: Sequence[Side]) -> float:
    prior = overall(given, word)
    shares = [prior]
    for side in sides:
        block = given.blocks[side]
        uses = max(len(given.where[word] & block) - 2, 0)
        shares.append((uses + _PRIOR_ECONOMY * prior) / (max(len(block) - 2, 0) + _PRIOR_ECONOMY))
    return min(max(shares), 1.0)


def _beside(given: Corpus, word: str, other: str, alone: float) -> float:
    both = max(len(given.where[word] & given.where[other]) - 2, 0)
    return min((both + _PRIOR_WORD * alone) / (max(len(given.where[other]) - 2, 0) + _PRIOR_WORD), 1.0)
