"""The raw store: bytes as published, from the publisher or a mirror, with a lock file of their hashes.

New bytes wait in a stage until they have become tables: a damaged file never takes the place of a good one. The manifest
is what decides. Once it names the staged bytes they are moved, by this pull or, after a crash, by the next.
"""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.atomic import publish
from cyber_trade_econ.errors import HashMismatch, OfflineError, StorageError
from cyber_trade_econ.lake import answers, download, files
from cyber_trade_econ.records.source import Part, Raw, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cyber_trade_econ.lake.download import Policy

_SHOWN = 30
_YEARS = range(1900, 2101)


@dataclass(frozen=True)
class Store:
    """The raw files of one source in one lake."""

    source: Source
    home: Path

    @property
    def folder(self) -> Path:
        """Where the bytes lie."""
        return self.home / "raw" / self.source.name

    @property
    def lock_file(self) -> Path:
        """Where their hashes, sizes and origins stand."""
        return self.folder / "lock.json"

    def lock(self) -> dict[str, dict[str, Any]]:
        """Return the lock: file name -> part, sha256, bytes, from, retrieved and the server's validators."""
        return files.read_json(self.lock_file)

    @property
    def stage(self) -> Path:
        """Where new bytes wait until they have become tables."""
        return self.folder / ".new"

    def staged(self) -> dict[str, dict[str, Any]]:
        """Return the lock to be; it also names the files that stay as they are."""
        return files.read_json(self.stage / "lock.json")

    def found(self, name: str) -> Path:
        """Where a file lies now: in the stage, or else in the folder."""
        staged = self.stage / name
        return staged if staged.exists() else self.folder / name


def from_mirror(store: Store, parts: Sequence[Part], mirror: Path) -> list[Raw]:
    """Copy the files of a mirror into the stage, unless the store has equal bytes already.

    Raises
    ------
    StorageError
        The folder does not exist or lacks a file.
    HashMismatch
        A file is not the one whose hash the source declares.
    """
    folder = _mirror_folder(store.source, mirror)
    _discard(store)
    lock, kept = store.lock(), {}
    for part in parts:
        for path in _matching(part, folder):
            digest = files.sha256(path)
            _expect_declared(part, path.name, digest)
            entry = lock.get(path.name, {})
            if entry.get("sha256") != digest or not _same_bytes(store.folder / path.name, entry):
                target = store.stage / path.name
                if files.copy(path, target) != digest:
                    raise StorageError(f"{path.name} changed in the mirror while it was copied", fix="Pull again.")
                entry = {
                    "sha256": digest,
                    "bytes": target.stat().st_size,
                    "from": f"mirror: {path.name}",
                    "retrieved": _today(),
                }
            kept[path.name] = entry | {"part": part.name}
    return _staged(store, kept)


def _mirror_folder(source: Source, mirror: Path) -> Path:
    folder = mirror / source.name
    folder = folder if folder.is_dir() else mirror
    if not folder.is_dir():
        raise StorageError(f"the mirror {str(mirror)!r} is not a folder")
    return folder


def mirror_years(source: Source, mirror: Path) -> list[int]:
    """Years of which a mirror has a file of their own; none where the names of the files do not tell."""
    names = [p.name for p in _mirror_folder(source, mirror).iterdir() if p.is_file()]
    of_all = {pattern for part in source.parts(None) for pattern in part.patterns}
    there = []
    for year in _YEARS:
        own = {pattern for part in source.parts(frozenset({year})) for pattern in part.patterns} - of_all
        if any(fnmatch(name, pattern) for name in names for pattern in own):
            there.append(year)
    return there


def _matching(part: Part, folder: Path) -> list[Path]:
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    hits = [[n for n in names if fnmatch(n, pattern)] for pattern in part.patterns]
    if part.many:
        found = list(dict.fromkeys(n for group in hits for n in group))
    else:
        found = next((group[-1:] for group in hits if group), [])
    if not found:
        raise StorageError(
            f"the mirror folder {folder.name!r} lacks the file of {part.name!r}",
            found=names[:_SHOWN],
            allowed=part.patterns,
        )
    return [folder / n for n in found]


def from_publisher(store: Store, parts: Sequence[Part], policy: Policy) -> list[Raw]:
    """Download what is new or has changed into the stage; what an earlier pull left there is used.

    Raises
    ------
    FetchError
        As in `download.fetch`.
    HashMismatch
        The bytes differ from the declared hash, or a versioned file has changed.
    """
    lock, waiting, kept = store.lock(), store.staged(), {}
    for part in parts:
        entry, known = _at_hand(store, part.filename, lock, waiting)
        if part.fixed and known:  # a versioned address names the same bytes for ever
            kept[part.filename] = entry | {"part": part.name}
            continue
        target = store.stage / part.filename
        got = download.fetch(
            part.url, target, hosts=store.source.hosts, max_bytes=store.source.max_bytes, known=known, policy=policy
        )
        if got.changed:
            _expect_declared(part, part.filename, got.sha256, target)
            if part.fixed and entry and entry["sha256"] != got.sha256:
                target.unlink(missing_ok=True)
                raise _revised(part, entry, got.sha256, store)
            entry = {
                "sha256": got.sha256,
                "bytes": got.size,
                "from": answers.shown(part.url),
                "retrieved": _today(),
                "length_stated": got.length_stated,
                **got.validators,
            }
        kept[part.filename] = entry | {"part": part.name}
        files.write_json(store.stage / "lock.json", waiting | kept)  # what came stays known if a later file fails
    return _staged(store, kept)


def _at_hand(
    store: Store, name: str, lock: Mapping[str, dict[str, Any]], waiting: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is recorded of a file, and the same again if its bytes are there and whole."""
    staged = waiting.get(name, {})
    if _same_bytes(store.stage / name, staged):
        return staged, staged
    (store.stage / name).unlink(missing_ok=True)  # nothing vouches for it
    entry = lock.get(name, {})
    return entry, entry if _same_bytes(store.folder / name, entry) else {}


def from_store(store: Store, parts: Sequence[Part]) -> list[Raw]:
    """Use what the store holds already, without asking anyone.

    Raises
    ------
    OfflineError
        If a file is not there.
    """
    lock = store.lock()
    kept: dict[str, dict[str, Any]] = {}
    for part in parts:
        here = {n: e for n, e in lock.items() if e.get("part") == part.name and _same_bytes(store.folder / n, e)}
        if not here:
            raise OfflineError(
                f"offline, and {part.filename} is not in the lake",
                fix=f"Run: cyber-trade-econ pull {store.source.name} (online, or with --mirror FOLDER).",
            )
        kept |= here
    return [Raw(e["part"], store.folder / n, e["sha256"]) for n, e in sorted(kept.items())]


def _expect_declared(part: Part, name: str, digest: str, target: Path | None = None) -> None:
    if part.sha256 and digest != part.sha256:
        if target is not None:
            target.unlink(missing_ok=True)
        raise HashMismatch(
            f"{name} is not the file that the source declares", found=f"sha256 {digest}", allowed=part.sha256
        )


def _revised(part: Part, entry: Mapping[str, Any], digest: str, store: Store) -> HashMismatch:
    return HashMismatch(
        f"{part.filename} was published with other bytes on {entry['retrieved']}",
        found=f"sha256 {digest}",
        allowed=entry["sha256"],
        fix=f"If the publisher revised it, delete {store.lock_file} and pull again.",
    )


def _same_bytes(path: Path, entry: Mapping[str, Any]) -> bool:
    return (
        bool(entry)
        and path.exists()
        and path.stat().st_size == entry["bytes"]
        and files.sha256(path) == entry["sha256"]
    )


def _staged(store: Store, kept: dict[str, dict[str, Any]]) -> list[Raw]:
    """Write the lock to be, and say where each file lies until it is settled."""
    files.write_json(store.stage / "lock.json", kept)
    return [Raw(e["part"], store.found(n), e["sha256"]) for n, e in sorted(kept.items())]


def settle(store: Store, inputs: Mapping[str, str], *, keep: bool) -> None:
    """Move the staged bytes into the store if tables were made of them; otherwise discard or keep them.

    Parameters
    ----------
    store
        The raw files of a source.
    inputs
        File -> sha256 of the bytes that the manifest's tables were made of.
    keep
        Whether bytes that have not become tables wait for the next pull, as downloads do.

    Raises
    ------
    StorageError
        The folder cannot be written; the next pull goes on from there.
    """
    waiting = store.staged()
    try:
        if waiting and {n: e["sha256"] for n, e in waiting.items()} == inputs:
            _commit(store, waiting)
        elif not keep:
            _discard(store)
    except OSError as error:
        raise StorageError(
            f"the raw files of {store.source.name!r} cannot be moved into place",
            found=error.strerror or str(error),
            fix="Pull again.",
        ) from error


def _commit(store: Store, waiting: dict[str, dict[str, Any]]) -> None:
    """Move files, write the lock, delete what no longer belongs to the source; may be cut anywhere and run again."""
    for name in waiting:
        if (store.stage / name).exists():
            publish(store.stage / name, store.folder / name)
    if store.lock() != waiting:
        files.write_json(store.lock_file, waiting)
    for path in store.folder.iterdir():
        if path.name not in waiting and path not in (store.lock_file, store.stage):
            path.unlink()
    _discard(store)


def _discard(store: Store) -> None:
    if store.stage.is_dir():
        shutil.rmtree(store.stage)


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()
