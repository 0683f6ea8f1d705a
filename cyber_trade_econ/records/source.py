"""A Source: one publisher's data set, where its files lie and how they become tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cyber_trade_econ.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from cyber_trade_econ.records.table import Table

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Part:
    """One file that a publisher offers, and how to recognise it in a mirror.

    Parameters
    ----------
    name
        What the file is within its source, such as ``"distances"``.
    url
        Where the publisher offers it.
    filename
        Name under which the bytes are kept; never taken from the server.
    patterns
        Shell patterns of file names in a mirror, the preferred one first.
    many
        Whether a mirror may hold several files of this part; otherwise one is taken.
    fixed
        Whether the URL names a version, so that other bytes under it are an error.
    sha256
        Hash of the published bytes where it is known.
    """

    name: str
    url: str
    filename: str
    patterns: tuple[str, ...]
    many: bool = False
    fixed: bool = False
    sha256: str | None = None


@dataclass(frozen=True)
class Raw:
    """A file of raw bytes as published, in the lake's raw store."""

    part: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Piece:
    """One Parquet file to be: rows of one table, with what was dropped, padded or flagged on the way.

    Parameters
    ----------
    table
        Name of the table in its source.
    name
        Name of the piece, such as ``"2021"``; unique within the table.
    data
        The rows, not yet checked against the table's declaration.
    facts
        Counts by reason. Integers of several pieces of a table are added; of anything else the last one stays.
    """

    table: str
    name: str
    data: pa.Table
    facts: Mapping[str, Any] = field(default_factory=dict)


Years = frozenset[int] | None
Tidy = Callable[[Sequence[Raw], Years], Iterator[Piece]]


@dataclass(frozen=True)
class Source:
    """A publisher's data set: who made it, under which terms, and how to get from its files to typed tables.

    Parameters
    ----------
    name
        Name in the lake and on the command line.
    title, publisher, licence, licence_url, citation, homepage
        What a reader needs to judge and cite the data.
    hosts
        The only hosts that its files may come from, redirects included.
    max_bytes
        More bytes than this in one file cannot be right.
    tables
        Declared tables.
    parts
        Requested years (None: all) -> files to get.
    tidy
        Raw files and requested years -> pieces of tables, one at a time.
    """

    name: str
    title: str
    publisher: str
    licence: str
    licence_url: str
    citation: str
    homepage: str
    hosts: tuple[str, ...]
    max_bytes: int
    tables: tuple[Table, ...]
    parts: Callable[[Years], Sequence[Part]]
    tidy: Tidy

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError("the name of a source", found=repr(self.name), allowed="lower-case letters, digits and _")
        blank = [
            f
            for f in ("title", "publisher", "licence", "licence_url", "citation", "homepage")
            if not getattr(self, f).strip()
        ]
        if blank:
            raise ConfigError(
                f"source {self.name!r} says nothing about {blank}", fix="Fill in every field of the source."
            )
        names = [t.name for t in self.tables]
        if not names or len(set(names)) != len(names):
            raise ConfigError(
                f"the tables of source {self.name!r}", found=names, allowed="at least one, with distinct names"
            )

    def table(self, name: str) -> Table:
        """Return the declaration of one table.

        Raises
        ------
        ConfigError
            If the source declares no such table.
        """
        for table in self.tables:
            if table.name == name:
                return table
        raise ConfigError(f"table {name!r} of source {self.name!r}", allowed=[t.name for t in self.tables])

    def host_of(self, part: Part) -> str:
        """Return the host that a part comes from."""
        return urlsplit(part.url).hostname or ""
