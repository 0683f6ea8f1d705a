"""Read tidy tables through DuckDB, locked down: the files of the table and nothing else."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from cyber_trade_econ.errors import ConfigError, UnknownName
from cyber_trade_econ.lake import catalog
from cyber_trade_econ.sources import all as all_sources

if TYPE_CHECKING:
    from pathlib import Path

Where = str | Mapping[str, Any]

_KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "bool": (bool,), "date": (str, dt.date)}
_NUMBERS = (int, float)
_TIME = {"year": '"year"', "month": 'year("month")', "start_date": 'year("start_date")'}


def load(
    table: str, *, columns: Sequence[str] | None = None, where: Where | None = None, home: Path | None = None
) -> pd.DataFrame:
    """Return a tidy table, or some of it.

    Parameters
    ----------
    table
        Source and table, such as ``"us_census.flows"``.
    columns
        Columns to return, in this order; all by default.
    where
        Either column -> value or values (None for missing), or an SQL condition on the columns. The condition can
        read the columns of this table and nothing else: further queries and files are refused.
    home
        Folder of the lake.

    Returns
    -------
    One row per row of the table, in stored order, with a default index. Dates are ``datetime64``.

    Raises
    ------
    NotPulled
        The source is not in the lake; the message holds the command to run.
    UnknownName
        No such source, table or column; the message names the nearest.
    ConfigError
        A condition that is not one, a value of another type than its column, or columns that are no list.
    CorruptFile
        A file differs from its hash in the manifest.
    """
    paths, declared = _table(table, home)
    if isinstance(columns, str) or not (columns is None or isinstance(columns, Iterable)):
        raise ConfigError(
            "the columns to load",
            found=repr(columns),
            allowed="a list of names",
            fix=f"Pass a list: columns=[{columns!r}]." if isinstance(columns, str) else None,
        )
    chosen = list(declared) if columns is None else list(columns)
    for name in chosen:
        _known(name, declared, f"column of {table}")
    if not chosen:
        raise ConfigError("the columns to load", found="none", allowed=list(declared))
    condition, values = _condition(where, declared, table)
    # Filters may be run as joins, which keep no order: it is asked for.
    text = f"""SELECT {", ".join(map(_quoted, chosen))}
        FROM read_parquet($files, filename = true, file_row_number = true) WHERE (\n{condition}\n)
        ORDER BY list_position($files, filename), file_row_number"""  # noqa: S608  # names are quoted, values bound
    return _run(text, paths, values)


def years(table: str, *, home: Path | None = None) -> tuple[int, ...]:
    """Return the distinct years of a table; see `catalog.years`."""
    paths, declared = _table(table, home)
    column = next((c for c in _TIME if c in declared), None)
    if column is None:
        raise UnknownName(f"{table} has no time", found=list(declared), allowed=list(_TIME))
    y = _TIME[column]
    text = f"SELECT DISTINCT {y} AS y FROM read_parquet($files) WHERE {y} IS NOT NULL ORDER BY y"  # noqa: S608  # constants
    return tuple(int(y) for y in _run(text, paths, {})["y"])


def _table(table: str, home: Path | None) -> tuple[list[Path], dict[str, str]]:
    """Return the checked files of a table and its columns with their types."""
    if not isinstance(table, str):
        raise ConfigError("the table to load", found=repr(table), allowed='source and table, such as "baci.flows"')
    source, _, name = table.partition(".")
    folder = home or catalog.home()
    if not catalog.manifest(folder, source):
        registered = all_sources()
        every = [f"{s.name}.{t.name}" for s in registered.values() for t in s.tables]
        _known(source, registered, "source", hint=difflib.get_close_matches(table, every, 3, 0.4))
    content = catalog.require(folder, source)
    tables = catalog.stored(folder, content)
    _known(name, tables, f"table of {source!r}")
    for path, digest in zip(tables[name].paths, tables[name].sha256, strict=True):
        catalog.verify(path, digest)
    return list(tables[name].paths), {c["name"]: c["type"] for c in content["codebook"][name]["columns"]}


def _known(name: str, allowed: Iterable[str], what: str, hint: Sequence[str] = ()) -> None:
    listed = list(allowed)
    if name not in listed:
        near = hint or difflib.get_close_matches(str(name), listed, 3, 0.4)
        raise UnknownName(
            f"there is no {what} {name!r}", allowed=listed, fix=f"Did you mean {' or '.join(near)}?" if near else None
        )


def _condition(where: Where | None, declared: Mapping[str, str], table: str) -> tuple[str, dict[str, Any]]:
    if where is None:
        return "true", {}
    if isinstance(where, str):
        if not where.strip():
            raise ConfigError("the condition of a load", found=repr(where), fix="Leave it out to load every row.")
        _one_expression(where)
        return where, {}
    if not isinstance(where, Mapping):
        raise ConfigError(
            "the condition of a load",
            found=f"{where!r}, {type(where).__name__}",
            allowed='a mapping such as {"importer": ["USA", "CHN"]}, or one SQL condition as text',
        )
    terms, values = ["true"], {}
    for at, (column, wanted) in enumerate(where.items()):
        _known(column, declared, f"column of {table}")
        single = wanted is None or isinstance(wanted, str) or not isinstance(wanted, Iterable)
        listed = [_plain(v) for v in ([wanted] if single else wanted)]
        present = [v for v in listed if v is not None]
        _expect_type(column, declared[column], present)
        either = [f"{_quoted(column)} IS NULL"] if len(present) < len(listed) else []
        if present:
            values[f"w{at}"] = present
            # The list is cast to the column's own type, never the column to the list's.
            either.append(f"list_contains(${f'w{at}'}::{_sql_type(declared[column])}[], {_quoted(column)})")
        terms.append(f"({' OR '.join(either) or 'false'})")
    return " AND ".join(terms), values


def _one_expression(condition: str) -> None:
    """Refuse text that is more than one condition, or that asks something of another table."""
    bare = re.sub(r"'(?:[^']|'')*'", "''", condition)
    error = "a query inside" if re.search(r"\bselect\b|\(\s*(from|values|table)\b", bare, re.IGNORECASE) else ""
    try:
        duckdb.SQLExpression(condition)
    except duckdb.Error as problem:
        error = str(problem).splitlines()[0]
    if error:
        raise ConfigError(
            f"the condition {condition!r}", found=error, allowed="one SQL condition on the columns of the table"
        )


def _plain(value: Any) -> Any:
    """Return a Python value for a numpy scalar or a time stamp, None for any kind of missing."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        if value != value.normalize():
            raise ConfigError("a day to find", found=str(value), allowed="a date without a time of day")
        return value.date()
    return value.item() if hasattr(value, "item") else value


def _expect_type(column: str, kind: str, values: list[Any]) -> None:
    allowed = _KINDS.get(kind, _NUMBERS)
    for value in values:
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):
            raise ConfigError(
                f"a value to find in column {column!r}", found=f"{value!r}, {type(value).__name__}", allowed=kind
            )


def _sql_type(kind: str) -> str:
    return {"string": "VARCHAR", "bool": "BOOLEAN", "date": "DATE"}.get(kind, "DOUBLE")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(text: str, paths: list[Path], values: Mapping[str, Any]) -> pd.DataFrame:
    """Run one SELECT in a database of its own that may open these files alone."""
    files = [str(p) for p in paths]
    with duckdb.connect(":memory:") as database:
        database.execute("SET autoinstall_known_extensions = false")
        database.execute("SET autoload_known_extensions = false")
        database.execute("SET allowed_paths = $files", {"files": files})
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        try:
            statements = database.extract_statements(text)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise ConfigError(
                    "the condition of a load", found=f"{len(statements)} statements", allowed="one condition"
                )
            return database.execute(text, {"files": files, **values}).df()
        except duckdb.Error as error:
            raise ConfigError(
                "the condition of a load cannot be used", found=str(error).splitlines()[0][:300]
            ) from None
