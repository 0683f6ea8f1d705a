"""What the lake holds: where it lies, its manifests, and the provenance of each source."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from cyber_trade_econ.errors import CorruptFile, NotPulled
from cyber_trade_econ.lake import files

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = "CYBER_TRADE_ECON_LAKE"
_FORMAT = 1
_checked: dict[Path, tuple[int, int, int, str]] = {}


@dataclass(frozen=True)
class Stored:
    """One table as stored: its files, the number of their rows, and their hashes in the same order."""

    paths: tuple[Path, ...]
    rows: int
    sha256: tuple[str, ...]


def home() -> Path:
    """Return the folder of the lake: the variable CYBER_TRADE_ECON_LAKE, or the user's data folder."""
    named = os.environ.get(_VARIABLE, "").strip()
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("cyber-trade-econ"))


_default_home = home  # under another name where a parameter is called home


def manifest_path(folder: Path, source: str) -> Path:
    """Where the manifest of a source lies."""
    return folder / "manifests" / f"{source}.json"


def manifest(folder: Path, source: str) -> dict[str, Any]:
    """Return the manifest of a source; empty when it was not pulled or was written by another format of the lake.

    Raises
    ------
    CorruptFile
        If it cannot be read.
    """
    found = files.read_json(manifest_path(folder, source))
    return found if found.get("format") == _FORMAT else {}


def write_manifest(folder: Path, source: str, content: Mapping[str, Any]) -> None:
    """Write a manifest; from now on its tables are the ones that `load` reads."""
    files.write_json(manifest_path(folder, source), {"format": _FORMAT, **content})


def pulled(home: Path | None = None) -> tuple[str, ...]:
    """Names of the sources that the lake holds."""
    folder = (home or _default_home()) / "manifests"
    return tuple(sorted(p.stem for p in folder.glob("*.json"))) if folder.is_dir() else ()


def require(folder: Path, source: str) -> dict[str, Any]:
    """Return the manifest of a source that must be there.

    Raises
    ------
    NotPulled
        With the command to run.
    """
    found = manifest(folder, source)
    if not found:
        raise NotPulled(
            f"{source!r} is not in the lake",
            found=f"{', '.join(pulled(folder)) or 'nothing'} in {folder}",
            fix=f"Run: cyber-trade-econ pull {source}",
        )
    return found


def stored(folder: Path, content: Mapping[str, Any]) -> dict[str, Stored]:
    """Return the tables of a manifest."""
    tables = {}
    for name, pieces in content["outputs"].items():
        listed = list(pieces.values())
        tables[name] = Stored(
            tuple(folder / p["path"] for p in listed),
            sum(p["rows"] for p in listed),
            tuple(p["sha256"] for p in listed),
        )
    return tables


def verify(path: Path, expected: str) -> None:
    """Check a file against its recorded hash, once per process as long as it is not touched.

    Raises
    ------
    CorruptFile
        If it is missing or differs.
    """
    fix = "Pull the source again: the table is rebuilt from the raw bytes."
    try:
        stat = path.stat()
    except OSError:
        raise CorruptFile(f"{path.name} is missing from the lake", fix=fix) from None
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ino, expected)
    if _checked.get(path) == state:
        return
    digest = files.sha256(path)
    if digest != expected:
        raise CorruptFile(
            f"{path.name} in the lake was changed or damaged", found=f"sha256 {digest}", allowed=expected, fix=fix
        )
    _checked[path] = state


def provenance(source: str, home: Path | None = None) -> dict[str, Any]:
    """Return what identifies the data of a source: version, hashes, day and place of retrieval, licence, citation.

    Raises
    ------
    NotPulled
        If it was not pulled.
    """
    folder = home or _default_home()
    content = require(folder, source)
    tables = stored(folder, content)
    return {
        "title": content["title"],
        "publisher": content["publisher"],
        "version": content["version"],
        "retrieved": content["retrieved"],
        "from": content["from"],
        "licence": content["licence"],
        "licence_url": content["licence_url"],
        "citation": content["citation"],
        "inputs": dict(content["inputs"]),
        "sha256": {
            p.relative_to(folder).as_posix(): h for t in tables.values() for p, h in zip(t.paths, t.sha256, strict=True)
        },
        "facts": content["facts"],
    }


def years(table: str, home: Path | None = None) -> tuple[int, ...]:
    """Return the years in a table such as ``"baci.flows"``, from its column year, month or start_date.

    Raises
    ------
    NotPulled
        If its source was not pulled.
    UnknownName
        If there is no such table, or it has none of these columns.
    """
    from cyber_trade_econ.lake import query

    return query.years(table, home=home)
