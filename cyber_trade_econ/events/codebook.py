"""The coding scheme: fields, codes, rules and the table from the finer codes to the published list of options."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.errors import EventError
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True)
class Code:
    """One code: what it means, when it is given, and the id of one event that carries it (empty if none does)."""

    name: str
    definition: str
    rule: str
    example: str


@dataclass(frozen=True)
class Field:
    """A coded column: whether a cell may hold several codes joined by ``;`` and whether it may be empty."""

    name: str
    meaning: str
    several: bool
    optional: bool
    codes: Mapping[str, Code]


@dataclass(frozen=True)
class Codebook:
    """A coding scheme.

    Parameters
    ----------
    version
        Version of the scheme.
    fields
        Column -> its codes.
    roles
        Date column -> what the date means.
    published
        ``national_action`` -> ``published_action``; total over the codes of the first.
    """

    version: str
    fields: Mapping[str, Field]
    roles: Mapping[str, Code]
    published: Mapping[str, str]


def codebook(path: str | Path | None = None) -> Codebook:
    """Read a codebook.

    Parameters
    ----------
    path
        A TOML file in the layout of the shipped ``data/events/codebook.toml``, which is read when it is None. Give a
        copy with another table ``published`` to follow another reading of the published list of options.

    Raises
    ------
    EventError
        If the file is not readable as a codebook, or the table ``published`` does not map every action to an option.
    """
    file = shipped.path("data/events/codebook.toml") if path is None else Path(path)
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        book = Codebook(
            version=str(raw["version"]),
            fields=MappingProxyType({name: _field(name, body) for name, body in raw["fields"].items()}),
            roles=_codes(raw["roles"]),
            published=MappingProxyType(dict(raw["published"])),
        )
        _check_published(book)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise EventError(
            f"the codebook {file.name} cannot be read",
            found=f"{type(error).__name__}: {error}",
            fix="Start from a copy of the shipped data/events/codebook.toml.",
        ) from error
    return book


def recode(frame: pd.DataFrame, book: Codebook) -> pd.DataFrame:
    """Return events with ``published_action`` written anew from ``national_action`` by the table of a codebook.

    Raises
    ------
    EventError
        If an action is not in the table.
    """
    if not isinstance(book, Codebook) or "national_action" not in frame.columns:
        raise EventError(
            "recode needs events and a codebook",
            found=f"{type(book).__name__}, columns {list(frame.columns)[:8]}",
            allowed="cte.events() and cte.codebook(path)",
        )
    unknown = sorted(set(frame["national_action"]) - set(book.published))
    if unknown:
        raise EventError("national_action codes without a published option", found=unknown, allowed=book.published)
    return frame.assign(published_action=frame["national_action"].map(dict(book.published)))


def _codes(raw: Mapping[str, Mapping[str, str]]) -> Mapping[str, Code]:
    return MappingProxyType({name: Code(name, c["definition"], c["rule"], c["example"]) for name, c in raw.items()})


def _field(name: str, raw: Mapping[str, Any]) -> Field:
    several, optional = bool(raw.get("several", False)), bool(raw.get("optional", False))
    return Field(name, raw["meaning"], several, optional, _codes(raw["codes"]))


def _check_published(book: Codebook) -> None:
    actions, options = book.fields["national_action"].codes, book.fields["published_action"].codes
    missing, unknown = sorted(set(actions) - set(book.published)), sorted(set(book.published) - set(actions))
    if missing or unknown:
        raise EventError(
            "the table `published` of the codebook must have one entry for every national_action",
            found=f"missing {missing}, unknown {unknown}",
        )
    wrong = sorted(set(book.published.values()) - set(options))
    if wrong:
        raise EventError("the table `published` of the codebook names unknown options", found=wrong, allowed=options)
