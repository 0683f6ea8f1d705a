"""Find economies that an English text names: for databases that describe victims in words and not in codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from cyber_trade_econ.codes.country import Code, entries

# Territories are named too rarely, and too often mean something else ("New Jersey", "Christmas Island").
_KINDS = ("country", "disputed")
_TERRITORIES = ("HKG", "MAC", "GUM", "PRI", "GRL")
_NO_NAMES = ("US", "USA", "DPRK")  # "US Bancorp": part of the name of a firm
_REGIONAL = ("Latin American", "North American", "South American", "Central American", "Indian Ocean")
_MASKED = ("New Mexico", "British Columbia", *_REGIONAL)

# Words after which the victims are, or may be, elsewhere, in more places than the economy named, or not known for sure.
_WIDER = (
    *("Africa", "African", "America", "Americas", "Arab", "Arabic", "Arabian", "Asia", "Asian", "Baltic", "Baltics"),
    *("Caucasus", "EU", "Europe", "European", "Gulf", "Kashmir", "Middle East", "Middle Eastern", "NATO", "OSCE"),
    *("Southeast", "Tibet", "Tibetan", "Tibetans", "UN", "United Nations", "Uighur", "Uighurs", "Uyghur", "Uyghurs"),
    *("abroad", "countries", "diaspora", "elsewhere", "expats", "expatriate", "global", "globally", "hackers"),
    *("international", "language", "likely", "linked", "multinational", "other", "others", "outside", "region"),
    *("speakers", "speaking", "various", "visitors", "world", "worldwide", *_REGIONAL),
)
_FOREIGN = r"foreign(?! (?:affairs|minister|ministr(?:y|ies)|office|and european affairs))"


@dataclass(frozen=True)
class Mention:
    """What a text names.

    Parameters
    ----------
    economies
        ISO3 of every economy named, once each, in the order of the text.
    wider
        Whether the text also speaks of a region, an organisation of states, a people without a state, people elsewhere
        or doubt, so that an economy it names need not be the only one, nor the place.
    """

    economies: tuple[str, ...]
    wider: bool


def mentioned(text: str) -> Mention:
    """Return the economies that a text names, by name or adjective.

    Names are matched as whole words, as written ("Turkey", not "turkey"), the longest first: "South Sudanese" is South
    Sudan alone, "Papua New Guinea" not Guinea. An adjective may be a plural ("Ukrainians"). Abbreviations that stand in
    names of firms, and territories other than a few, are not read.

    Parameters
    ----------
    text
        English text, such as "Ukrainian and Polish military personnel".
    """
    found = [_iso3(match.group()) for match in _pattern().finditer(text)]
    rest = _pattern().sub(lambda match: "" if _iso3(match.group()) else match.group(), text)
    return Mention(tuple(dict.fromkeys(iso3 for iso3 in found if iso3)), _wider().search(rest) is not None)


def _iso3(found: str) -> str:
    return _codes()[found if found in _codes() else found.removesuffix("s")]


@cache
def _codes() -> dict[str, str]:
    """Name or adjective as written -> ISO3; "" for words that only look like one, as "French" of "French Polynesia"."""
    listed = [entry for scheme in ("name", "adjective") for entry in entries(scheme)]
    unread = [entry.code for entry in listed if entry.kind == "territory" and not _is_usable(entry)]
    return dict.fromkeys((*unread, *_MASKED), "") | {entry.code: entry.iso3 for entry in listed if _is_usable(entry)}


def _is_usable(entry: Code) -> bool:
    named = entry.kind in _KINDS or entry.iso3 in _TERRITORIES
    return named and entry.code not in _NO_NAMES


@cache
def _pattern() -> re.Pattern[str]:
    adjectives = {e.code for e in entries("adjective")}
    longest_first = sorted(_codes(), key=lambda name: (-len(name), name))
    words = [re.escape(name) + ("s?" if name in adjectives else "") for name in longest_first]
    return re.compile(r"(?<![\w-])(?:" + "|".join(words) + r")(?!\w)")


@cache
def _wider() -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in sorted(_WIDER, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{words}|{_FOREIGN})(?!\w)", re.IGNORECASE)
