"""The raw store: bytes as published, from the publisher or a mirror, with a lock file of their hashes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.errors import HashMismatch, OfflineError, StorageError
from cyber_trade_econ.lake import answers, download, files
from cyber_trade_econ.records.source import Part, Raw, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cyber_trade_econ.lake.download import Policy

_SHOWN = 30


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


def from_mirror(store: Store, parts: Sequence[Part], mirror: Path) -> list[Raw]:
    """Copy the files of a mirror into the store, unless equal bytes are there already.

    Raises
    ------
    StorageError
        The folder does not exist or lacks a file.
    HashMismatch
        A file is not the one whose hash the source declares.
    """
    folder = mirror / store.source.name
    folder = folder if folder.is_dir() else mirror
    if not folder.is_dir():
        raise StorageError(f"the mirror {str(mirror)!r} is not a folder")
    lock, kept = store.lock(), {}
    for part in parts:
        for path in _matching(part, folder):
            digest = files.sha256(path)
            _expect_declared(part, path.name, digest)
            entry = lock.get(path.name, {})
            target = store.folder / path.name
            if entry.get("sha256") != digest or not _same_bytes(target, entry):
                if files.copy(path, target) != digest:
                    raise StorageError(f"{path.name} changed in the mirror while it was copied", fix="Pull again.")
                entry = {
                    "sha256": digest,
                    "bytes": target.stat().st_size,
                    "from": f"mirror: {path.name}",
                    "retrieved": _today(),
                }
            kept[path.name] = entry | {"part": part.name}
    return _committed(store, kept)


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
    """Download what is new or has changed.

    Raises
    ------
    FetchError
        As in `download.fetch`.
    HashMismatch
        The bytes differ from the declared hash, or a versioned file has changed.
    """
    lock, kept = store.lock(), {}
    for part in parts:
        entry = lock.get(part.filename, {})
        target = store.folder / part.filename
        known = entry if _same_bytes(target, entry) else {}
        if part.fixed and known:  # a versioned address names the same bytes for ever
            kept[part.filename] = entry | {"part": part.name}
            continue
        got = download.fetch(
            part.url, target, hosts=store.source.hosts, max_bytes=store.source.max_bytes, known=known, policy=policy
        )
        if got.changed:
            _expect_declared(part, part.filename, got.sha256, target)
            if part.fixed and entry and entry["sha256"] != got.sha256:
                raise _revised(part, entry, got.sha256, target)
            entry = {
                "sha256": got.sha256,
                "bytes": got.size,
                "from": answers.shown(part.url),
                "retrieved": _today(),
                "length_stated": got.length_stated,
                **got.validators,
            }
        kept[part.filename] = entry | {"part": part.name}
        files.write_json(store.lock_file, lock | kept)  # what came stays known if a later file fails
    return _committed(store, kept)


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
    return _raws(store, kept)


def _expect_declared(part: Part, name: str, digest: str, target: Path | None = None) -> None:
    if part.sha256 and digest != part.sha256:
        if target is not None:
            target.unlink(missing_ok=True)
        raise HashMismatch(
            f"{name} is not the file that the source declares", found=f"sha256 {digest}", allowed=part.sha256
        )


def _revised(part: Part, entry: Mapping[str, Any], digest: str, target: Path) -> HashMismatch:
    target.unlink(missing_ok=True)
    return HashMismatch(
        f"{part.filename} was published with other bytes on {entry['retrieved']}",
        found=f"sha256 {digest}",
        allowed=entry["sha256"],
        fix=f"If the publisher revised it, delete {target.parent / 'lock.json'} and pull again.",
    )


def _same_bytes(path: Path, entry: Mapping[str, Any]) -> bool:
    return (
        bool(entry)
        and path.exists()
        and path.stat().st_size == entry["bytes"]
        and files.sha256(path) == entry["sha256"]
    )


def _committed(store: Store, kept: dict[str, dict[str, Any]]) -> list[Raw]:
    """Write the lock and delete files that no longer belong to the source."""
    if store.lock() != kept:
        files.write_json(store.lock_file, kept)
    for path in store.folder.iterdir():
        if path.name not in kept and path != store.lock_file and ".part" not in path.suffixes:
            path.unlink()
    return _raws(store, kept)


def _raws(store: Store, kept: Mapping[str, Mapping[str, Any]]) -> list[Raw]:
    return [Raw(e["part"], store.folder / n, e["sha256"]) for n, e in sorted(kept.items())]


def _today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()
