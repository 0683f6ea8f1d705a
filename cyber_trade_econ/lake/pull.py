"""Pull: publisher or mirror -> raw bytes -> Parquet -> manifest; what has not changed is not done again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.errors import ArchiveError, ConfigError, ParseError
from cyber_trade_econ.lake import build, catalog, files, guard, raw
from cyber_trade_econ.lake.choice import chosen_years
from cyber_trade_econ.lake.download import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cyber_trade_econ.lake.catalog import Stored
    from cyber_trade_econ.records.source import Raw, Source, Years

_DEFAULT = Policy()


@dataclass(frozen=True)
class Pulled:
    """What a pull left in the lake.

    Parameters
    ----------
    source, version
        Name of the source and the version of its data.
    tables
        Table -> its files, rows and hashes.
    raw
        Raw file -> sha256 of its bytes as published.
    skipped
        True when nothing had changed.
    facts
        Table -> counts of rows dropped, padded or flagged, by reason.
    origin
        Where the bytes came from, one entry per raw file.
    retrieved
        ISO date of the newest raw file.
    """

    source: str
    version: str
    tables: Mapping[str, Stored]
    raw: Mapping[str, str]
    skipped: bool
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origin: tuple[str, ...] = ()
    retrieved: str = ""


def pull(
    source: Source,
    *,
    mirror: str | Path | None = None,
    years: int | Iterable[int] | None = None,
    home: Path | None = None,
    offline: bool = False,
    policy: Policy = _DEFAULT,
) -> Pulled:
    """Bring a source into the lake.

    Parameters
    ----------
    source
        What to pull.
    mirror
        Folder with the publisher's files, or with a sub-folder of the source's name; without it they are downloaded.
    years
        Year or years to keep; all by default. Sources whose files hold all years are cut after reading.
    home
        Folder of the lake; `home()` by default.
    offline
        Use only the raw bytes that the lake holds.
    policy
        Patience of downloads.

    Raises
    ------
    ConfigError
        The years are no years, or the mirror has files of other years only.
    FetchError, StorageError, ArchiveError, ParseError, SchemaError, DuplicateKey, UnknownCode
        By their names; the tables of an earlier pull stay usable, and so do the raw bytes they were made of.
    Locked
        Another process is pulling the same source.
    """
    wanted_years = chosen_years(years)
    folder = (home or catalog.home()).absolute()
    parts = source.parts(wanted_years)
    store = raw.Store(source, folder)
    with guard.held(folder, source.name, policy.lock_seconds):
        for room in ("raw", "tables"):
            files.sweep(folder / room / source.name)
        keep = mirror is None  # a mirror has its files still; a download is kept for the next try
        _settle(store, keep=True)
        try:
            if mirror is not None:
                raws = raw.from_mirror(store, parts, Path(mirror).expanduser())
            elif offline:
                raws = raw.from_store(store, parts)
            else:
                raws = raw.from_publisher(store, parts, policy)
            return _tables(source, raws, wanted_years, store, store.lock() if offline and keep else store.staged())
        except (ArchiveError, ParseError):
            keep = False  # a download that cannot be read has to come again
            raise
        except ConfigError:
            if mirror is not None and wanted_years is not None:
                _expect_years(source, Path(mirror).expanduser(), wanted_years)
            raise
        finally:
            _settle(store, keep=keep)


def _settle(store: raw.Store, *, keep: bool) -> None:
    raw.settle(store, catalog.manifest(store.home, store.source.name).get("inputs", {}), keep=keep)


def _expect_years(source: Source, mirror: Path, years: frozenset[int]) -> None:
    """Say so if the mirror has files of other years only."""
    there = raw.mirror_years(source, mirror)
    if there and not years & set(there):
        raise ConfigError(
            f"the mirror has no file of {source.name!r} of the years {', '.join(map(str, sorted(years)))}",
            found=f"files of {', '.join(map(str, there))}",
            fix="Ask for years that are there, or add the files of the others to the mirror.",
        ) from None


def _tables(
    source: Source, raws: list[Raw], years: Years, store: raw.Store, lock: Mapping[str, Mapping[str, Any]]
) -> Pulled:
    wanted = build.identity(source, raws, years)
    known = catalog.manifest(store.home, source.name)
    skipped = build.is_current(store.home, known, wanted)
    if not skipped:
        used = [lock[r.path.name] for r in raws]
        about = {
            k: getattr(source, k) for k in ("title", "publisher", "licence", "licence_url", "citation", "homepage")
        }
        known = {
            **wanted,
            **about,
            **build.build(source, raws, years, store.home, wanted),
            "source": source.name,
            "from": [e["from"] for e in used],
            "retrieved": max(e["retrieved"] for e in used),
            "codebook": {
                t.name: {"meaning": t.meaning, "key": list(t.key), "columns": t.codebook()} for t in source.tables
            },
        }
        catalog.write_manifest(store.home, source.name, known)
    build.drop_old(store.home, source.name, known["outputs"])
    return Pulled(
        source=source.name,
        version=known["version"],
        tables=catalog.stored(store.home, known),
        raw=known["inputs"],
        skipped=skipped,
        facts=known["facts"],
        origin=tuple(known["from"]),
        retrieved=known["retrieved"],
    )
