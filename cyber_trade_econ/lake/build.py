"""Raw files to Parquet: run a source's tidy, check every piece against its table, and write it whole."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cyber_trade_econ.atomic import replacing
from cyber_trade_econ.errors import SchemaError, StorageError
from cyber_trade_econ.lake import catalog, files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cyber_trade_econ.records.source import Raw, Source, Years

_PACKAGE = Path(__file__).resolve().parent.parent
_ROWS = 1 << 20


def fingerprint(source: Source) -> str:
    """Sha256 over the code and code tables that turn this source's raw bytes into rows.

    It changes when the source, the readers shared by sources, the country codes or the checks change; tables are then
    rebuilt.
    """
    files = {Path(inspect.getfile(source.tidy)), _PACKAGE / "records" / "table.py"}
    files |= set((_PACKAGE / "sources").glob("_*.py")) | set((_PACKAGE / "codes").glob("*.*"))
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def identity(source: Source, raws: Sequence[Raw], years: Years) -> dict[str, Any]:
    """Everything that the tables are a function of."""
    return {
        "inputs": {r.path.name: r.sha256 for r in raws},
        "fingerprint": fingerprint(source),
        "years": None if years is None else sorted(years),
    }


def is_current(home: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Say whether the manifest describes these inputs, and its files are there and whole."""
    if not known or any(known[k] != v for k, v in wanted.items()):
        return False
    return all(
        path.exists() and files.sha256(path) == digest
        for table in catalog.stored(home, known).values()
        for path, digest in zip(table.paths, table.sha256, strict=True)
    )


def build(source: Source, raws: Sequence[Raw], years: Years, home: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Write every table of a source and return outputs and facts for the manifest.

    Raises
    ------
    CyberTradeError
        Whatever the source or `Table.conform` finds wrong; the tables of an earlier pull stay as they are.
    """
    run = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:12]
    outputs: dict[str, dict[str, Any]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for piece in source.tidy(raws, years):
        pieces = outputs.setdefault(piece.table, {})
        if piece.name in pieces:
            raise SchemaError(f"source {source.name!r} makes the piece {piece.name!r} of {piece.table!r} twice")
        data = source.table(piece.table).conform(piece.data)
        path = home / "tables" / source.name / piece.table / f"{piece.name}-{run}.parquet"
        pieces[piece.name] = {
            "path": path.relative_to(home).as_posix(),
            "rows": data.num_rows,
            "sha256": _written(data, path, source.name),
        }
        _add(facts.setdefault(piece.table, {}), piece.facts)
        del data, piece  # a piece may be large; the next one is made before this name is bound again
    if not outputs:
        raise SchemaError(f"source {source.name!r} yielded no rows", fix="The raw files hold no data.")
    versions = [str(f["version"]) for f in facts.values() if "version" in f]
    return {"outputs": outputs, "facts": facts, "version": ", ".join(dict.fromkeys(versions)) or "unversioned"}


def _written(data: pa.Table, path: Path, source: str) -> str:
    metadata = {**(data.schema.metadata or {}), b"source": source.encode()}
    with replacing(path) as temporary:
        try:
            pq.write_table(data.replace_schema_metadata(metadata), temporary, compression="zstd", row_group_size=_ROWS)
        except pa.ArrowException as error:
            raise StorageError(f"{path.name} cannot be written", found=str(error)[:160]) from error
        return files.sha256(temporary)


def _add(total: dict[str, Any], facts: Mapping[str, Any]) -> None:
    """Add counts; of anything else the last value stays."""
    for key, value in facts.items():
        count = isinstance(value, int) and not isinstance(value, bool)
        total[key] = total.get(key, 0) + value if count else value


def drop_old(home: Path, source: str, outputs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Delete Parquet files of a source that its manifest no longer names."""
    kept = {home / piece["path"] for pieces in outputs.values() for piece in pieces.values()}
    for path in (home / "tables" / source).rglob("*.parquet"):
        if path not in kept:
            path.unlink()
