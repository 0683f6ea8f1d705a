"""The coding scheme: fields, codes, rules, and the tables from the finer codes to the published names."""

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


_HARDEST = 5  # step of restrictiveness: nothing may be sold


@dataclass(frozen=True)
class Code:
    """One code: what it means, when it is given, ids of events that carry it, and where its border lies."""

    name: str
    definition: str
    rule: str
    examples: tuple[str, ...]
    borderline: str


@dataclass(frozen=True)
class Field:
    """A coded column.

    Parameters
    ----------
    name, meaning
        The column and what it says.
    several
        Whether a cell may hold several codes joined by ``;``.
    optional
        Whether it may be empty.
    along
        Column whose values the codes follow one by one, "" for none.
    codes
        The codes by name.
    """

    name: str
    meaning: str
    several: bool
    optional: bool
    along: str
    codes: Mapping[str, Code]


@dataclass(frozen=True)
class Option:
    """A published name of the framework: what it means and which text gives it."""

    name: str
    definition: str
    source: str


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
    options
        Column -> the published names of the framework.
    published
        Column -> (code -> published name); total over the codes of the column.
    restrictiveness
        ``national_action`` -> how far it reaches into trade, 0 to 5, an ordinal proposal of this project.
    """

    version: str
    fields: Mapping[str, Field]
    roles: Mapping[str, Code]
    options: Mapping[str, Mapping[str, Option]]
    published: Mapping[str, Mapping[str, str]]
    restrictiveness: Mapping[str, int]


def codebook(path: str | Path | None = None) -> Codebook:
    """Read a codebook.

    Parameters
    ----------
    path
        A TOML file in the layout of the shipped ``data/events/codebook.toml``, which is read when it is None. Give a
        copy with other tables ``published`` to follow another reading of the published names, or with another table
        ``restrictiveness`` to weigh actions otherwise.

    Raises
    ------
    EventError
        If the file is not readable as a codebook, or a table ``published`` does not map every code to an option.
    """
    file = shipped.path("data/events/codebook.toml") if path is None else Path(path)
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        book = Codebook(
            version=str(raw["version"]),
            fields=MappingProxyType({name: _field(name, body) for name, body in raw["fields"].items()}),
            roles=_codes(raw["roles"]),
            options=MappingProxyType({field: _options(names) for field, names in raw["options"].items()}),
            published=MappingProxyType({f: MappingProxyType(dict(table)) for f, table in raw["published"].items()}),
            restrictiveness=MappingProxyType({a: int(n) for a, n in raw["restrictiveness"].items()}),
        )
        _check_tables(book)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EventError(
            f"the codebook {file.name} cannot be read",
            found=f"{type(error).__name__}: {error}",
            fix="Start from a copy of the shipped data/events/codebook.toml.",
        ) from error
    return book


def recode(frame: pd.DataFrame, book: Codebook) -> pd.DataFrame:
    """Return events with the published names of the framework written anew by the tables of a codebook.

    Parameters
    ----------
    frame
        Events, see `events`.
    book
        A codebook; change its tables ``published`` to follow another reading.

    Returns
    -------
    The events with ``published_action`` (from ``national_action``) and one column ``published_<field>`` for every other
    field that has a table. Several codes of a cell become their names joined by ``;``, each once. ``restrictiveness``
    follows the codebook too.

    Raises
    ------
    EventError
        If a code is not in its table.
    """
    if not isinstance(book, Codebook) or "national_action" not in frame.columns:
        raise EventError(
            "recode needs events and a codebook",
            found=f"{type(book).__name__}, columns {list(frame.columns)[:8]}",
            allowed="cte.events() and cte.codebook(path)",
        )
    new = {}
    for field, table in book.published.items():
        if field not in frame.columns:
            continue
        cells = frame[field].str.split(";")
        unknown = sorted({code for cell in cells for code in cell} - set(table) - {""})
        if unknown:
            raise EventError(f"{field} codes without a published name", found=unknown, allowed=table)
        named = [";".join(dict.fromkeys(table[code] for code in cell if code)) for cell in cells]
        new["published_action" if field == "national_action" else f"published_{field}"] = named
    out = frame.assign(**new)
    return out.assign(restrictiveness=restrictiveness(out, book))


def restrictiveness(frame: pd.DataFrame, book: Codebook) -> pd.Series:
    """Return how far the action of each event reaches into trade, by the table of a codebook; NaN for incidents."""
    return frame["national_action"].map(dict(book.restrictiveness)).astype(float)


def _codes(raw: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Code]:
    return MappingProxyType(
        {name: Code(name, c["definition"], c["rule"], tuple(c["examples"]), c["borderline"]) for name, c in raw.items()}
    )


def _field(name: str, raw: Mapping[str, Any]) -> Field:
    several, optional = bool(raw.get("several", False)), bool(raw.get("optional", False))
    return Field(name, raw["meaning"], several, optional, str(raw.get("along", "")), _codes(raw["codes"]))


def _options(raw: Mapping[str, Mapping[str, str]]) -> Mapping[str, Option]:
    return MappingProxyType({name: Option(name, o["definition"], o["source"]) for name, o in raw.items()})


def _check_tables(book: Codebook) -> None:
    """Every code of a field with a table has one published name, and the name is among the options of the field."""
    if set(book.published) != set(book.options) or "national_action" not in book.published:
        raise EventError(
            "the tables `published` and `options` of the codebook must be of the same fields",
            found=f"{sorted(book.published)} and {sorted(book.options)}",
        )
    for field, table in book.published.items():
        codes = set(book.fields[field].codes)
        missing, unknown = sorted(codes - set(table)), sorted(set(table) - codes)
        if missing or unknown:
            raise EventError(
                f"the table `published` of the codebook must have one entry for every {field}",
                found=f"missing {missing}, unknown {unknown}",
            )
        wrong = sorted(set(table.values()) - set(book.options[field]))
        if wrong:
            raise EventError(
                f"the table `published` of {field} names unknown options", found=wrong, allowed=book.options[field]
            )
    beyond = {action: step for action, step in book.restrictiveness.items() if not 0 <= step <= _HARDEST}
    if beyond:
        raise EventError("a step of the table `restrictiveness` of the codebook", found=beyond, allowed="0 to 5")
    actions = set(book.fields["national_action"].codes) - {"incident"}
    if set(book.restrictiveness) != actions:
        raise EventError(
            "the table `restrictiveness` of the codebook must have one number for every action",
            found=f"differs in {sorted(set(book.restrictiveness) ^ actions)}",
        )
