"""Public functions that bring rooms together; the rest of the door comes straight from its room."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cyber_trade_econ import lake, panels
from cyber_trade_econ.errors import ConfigError, UnknownName
from cyber_trade_econ.events.crosswalks import CROSSWALKS, descriptions
from cyber_trade_econ.events.matching import match
from cyber_trade_econ.events.merging import merge
from cyber_trade_econ.events.reviews import reviews
from cyber_trade_econ.sources import all as all_sources
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.panels.bilateral_year import Zeros
    from cyber_trade_econ.records.panel import Panel
    from cyber_trade_econ.records.source import Source


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


def incidents(name: str | Sequence[str] = "eurepoc") -> pd.DataFrame:
    """Return the incidents of pulled incident databases in the schema of the coded events.

    Parameters
    ----------
    name
        ``"dcid"``, ``"eurepoc"``, ``"cfr"`` or ``"cissm"``; several of them, or ``"all"`` in this order, to be matched and
        merged to one row per incident and pair of economies, databases given first preferred.

    Returns
    -------
    Frame of `events.incidents.incident_frame`, for several databases that of `events.merging.merge` with ``also_in``.
    ``imposer`` and ``target`` are empty where no economy is known; `expose` leaves such rows out and counts them. What
    was left out, why, and what was matched stands in ``attrs["facts"]``.

    Raises
    ------
    UnknownName, ConfigError, NotPulled
    """
    listed = (name,) if isinstance(name, str) or not isinstance(name, Iterable) else tuple(name)
    asked = tuple(CROSSWALKS) if listed == ("all",) else listed
    unknown = [n for n in asked if n not in CROSSWALKS]
    if unknown:
        raise UnknownName("an incident database", found=unknown, allowed=[*CROSSWALKS, "all"])
    if not asked or len(set(asked)) < len(asked):
        raise ConfigError("the incident databases to merge", found=asked, allowed="each once, at least one")
    frames = {n: CROSSWALKS[n].to_events(*map(lake.load, CROSSWALKS[n].tables)) for n in asked}
    if len(asked) == 1:
        out = frames[asked[0]]
    else:
        texts = {n: descriptions(n, {t: lake.load(t) for t in CROSSWALKS[n].described}) for n in asked}
        matches = match(frames, texts=texts, reviews=reviews())
        out = merge(frames, matches)
        single = {n: frame.attrs["facts"] for n, frame in frames.items()}
        out.attrs["facts"] |= {"matches": matches.attrs["facts"], "databases": single}
    out.attrs["sources"] = {n: lake.provenance(n) for n in asked}
    return out
