"""Public functions that bring rooms together; the rest of the door comes straight from its room."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cyber_trade_econ import lake, panels
from cyber_trade_econ.errors import ConfigError, UnknownName
from cyber_trade_econ.events import from_eurepoc
from cyber_trade_econ.sources import all as all_sources
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cyber_trade_econ.panels.bilateral_year import Zeros
    from cyber_trade_econ.records.panel import Panel
    from cyber_trade_econ.records.source import Source

_CROSSWALKS = {"eurepoc": ("eurepoc.dyads", from_eurepoc)}


def sources() -> pd.DataFrame:
    """List the public sources that can be pulled, with publisher, licence, citation and tables."""
    rows = [
        {
            "name": s.name,
            "title": s.title,
            "publisher": s.publisher,
            "licence": s.licence,
            "tables": ", ".join(f"{s.name}.{t.name}" for t in s.tables),
            "citation": s.citation,
        }
        for s in all_sources().values()
    ]
    return pd.DataFrame(rows)


def source(name: str) -> Source:
    """Return one source with its tables, their columns, units and meaning.

    Raises
    ------
    UnknownName
        If there is none of that name.
    """
    return get(name)


def pull(
    name: str,
    *,
    mirror: str | Path | None = None,
    years: int | Iterable[int] | None = None,
    offline: bool = False,
) -> lake.Pulled:
    """Fetch a source from its publisher or from a mirror folder and turn it into Parquet in the lake.

    Parameters
    ----------
    name
        Name of a source, see `sources`.
    mirror
        Folder with the publisher's files, or a folder that has one with the source's name; no network is used then.
    years
        Year or years to keep; all by default.
    offline
        Refuse to open a connection.

    Returns
    -------
    What was written: paths, rows and sha256 by table, sha256 of the raw files, counts of rows changed or left out by reason,
    and whether everything was there already.

    Raises
    ------
    ConfigError
        If an argument is of another type, or the mirror has files of other years only.
    UnknownName, FetchError, ArchiveError, ParseError, SchemaError, DuplicateKey, UnknownCode, StorageError
    """
    if mirror is not None and not isinstance(mirror, (str, Path)):
        raise ConfigError("the mirror", found=repr(mirror), allowed="the path of a folder, as text or Path")
    return lake.pull(get(name), mirror=mirror, years=years, offline=offline)


def panel(name: str, years: int | Iterable[int] | None = None, *, zeros: Zeros = "absent") -> Panel:
    """Build a panel from what was pulled; see `cyber_trade_econ.panels.build`."""
    return panels.build(name, years, zeros=zeros)


def incidents(name: str = "eurepoc") -> pd.DataFrame:
    """Return the incidents of a pulled incident database in the schema of the coded events.

    Parameters
    ----------
    name
        ``"eurepoc"``. What was left out, and why, stands in ``attrs["facts"]``.

    Raises
    ------
    UnknownName, NotPulled
    """
    if name not in _CROSSWALKS:
        raise UnknownName("an incident database", found=repr(name), allowed=sorted(_CROSSWALKS))
    table, crosswalk = _CROSSWALKS[name]
    out = crosswalk(lake.load(table))
    out.attrs["sources"] = {name: lake.provenance(name)}
    return out
