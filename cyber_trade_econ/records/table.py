"""A Table: declared columns with units and meanings, a key, and the check that rows obey them."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cyber_trade_econ.errors import ConfigError, DuplicateKey, SchemaError

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "date": pa.date32(),
}
_SHOWN = 5


@dataclass(frozen=True)
class Column:
    """A declared column.

    Parameters
    ----------
    name
        House name; a unit stands in it where the column has one.
    type
        ``string``, ``bool``, ``int16``, ``int32``, ``int64``, ``float64`` or ``date``.
    unit
        Unit of measure, or what a text identifies (``"ISO 3166-1 alpha-3"``); ``"1"`` for counts and flags.
    meaning
        One sentence for the codebook, with the meaning of a null where nulls occur.
    nullable
        Whether values may be missing.
    lowest
        Smallest permitted value of a numeric column; None for no bound.
    """

    name: str
    type: str
    unit: str
    meaning: str
    nullable: bool = False
    lowest: float | None = None

    def __post_init__(self) -> None:
        if self.type not in _TYPES:
            raise ConfigError(f"the type of column {self.name!r}", found=repr(self.type), allowed=_TYPES)

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the column."""
        return _TYPES[self.type]


@dataclass(frozen=True)
class Expectation:
    """A statement on a whole table that must hold: a sentence and the check behind it."""

    says: str
    holds: Callable[[pa.Table], bool]


@dataclass(frozen=True)
class Table:
    """A declared table: what a source promises and what `conform` enforces.

    Parameters
    ----------
    name
        Name within its source; ``"flows"`` of source ``baci`` is loaded as ``"baci.flows"``.
    meaning
        One sentence: what a row is.
    columns
        In the order of the stored file.
    key
        Columns that identify a row.
    expectations
        Further statements on one piece of the table.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    expectations: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise ConfigError(f"table {self.name!r} names a column twice", found=list(names))
        absent = [k for k in self.key if k not in names]
        if absent or not self.key:
            raise ConfigError(f"the key of table {self.name!r}", found=absent or "no columns", allowed=names)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(c.name for c in self.columns)

    def conform(self, data: pa.Table) -> pa.Table:
        """Return ``data`` in declared order with the codebook attached, or say how it breaks the declaration.

        Parameters
        ----------
        data
            Rows with exactly the declared columns, in any order. Dictionary-encoded text is accepted as text.

        Returns
        -------
        The same rows with columns in order and meaning, unit and key in the schema's metadata.

        Raises
        ------
        SchemaError
            A column is missing, unknown, of another type, null where that is not allowed, not finite or below its
            bound; or an expectation does not hold.
        DuplicateKey
            Rows share a key.
        """
        self._check_names(data.column_names)
        data = data.select(list(self.names))
        if data.num_rows == 0:
            raise SchemaError(
                f"table {self.name!r} has no rows", fix="The raw file holds a header alone, or is not this table."
            )
        for column in self.columns:
            self._check_column(column, data.column(column.name))
        self._check_key(data)
        for expectation in self.expectations:
            if not expectation.holds(data):
                raise SchemaError(
                    f"table {self.name!r} breaks an expectation", found=f"not true that {expectation.says}"
                )
        return data.cast(self._schema(data))

    def _check_names(self, found: list[str]) -> None:
        missing = [n for n in self.names if n not in found]
        extra = [n for n in found if n not in self.names]
        if missing or extra:
            near = {m: difflib.get_close_matches(m, extra, 1) for m in missing}
            raise SchemaError(
                f"the columns of table {self.name!r}",
                found=f"missing {missing}, not declared {extra}"
                + "".join(f", {m!r} may be {n[0]!r}" for m, n in near.items() if n),
                allowed=self.names,
            )

    def _check_column(self, column: Column, values: pa.ChunkedArray) -> None:
        where = f"column {column.name!r} of table {self.name!r}"
        actual = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
        if actual != column.arrow:
            raise SchemaError(f"the type of {where}", found=actual, allowed=column.arrow)
        if values.null_count and not column.nullable:
            row = pc.index(pc.is_null(values), pa.scalar(True)).as_py()
            raise SchemaError(
                f"{where} has {values.null_count} missing value(s)", found=f"the first in row {row}", allowed="none"
            )
        if pa.types.is_floating(column.arrow):
            bad = len(values) - values.null_count - (pc.sum(pc.is_finite(values)).as_py() or 0)
            if bad:
                raise SchemaError(f"{where} has {bad} value(s) that are infinite or not a number")
        if column.lowest is not None:
            least = pc.min(values).as_py()
            if least is not None and least < column.lowest:
                count = pc.sum(pc.less(values, column.lowest)).as_py()
                raise SchemaError(f"{where} has {count} value(s) below {column.lowest}", found=f"{least} at the lowest")

    def _check_key(self, data: pa.Table) -> None:
        codes = _row_codes([data.column(k) for k in self.key])
        order = np.argsort(codes, kind="stable")
        ranked = codes[order]
        repeats = np.flatnonzero(ranked[1:] == ranked[:-1])
        if repeats.size:
            rows = order[repeats[:_SHOWN] + 1]
            shown = data.select(list(self.key)).take(pa.array(rows)).to_pylist()
            raise DuplicateKey(
                f"table {self.name!r} has {repeats.size} row(s) whose key {list(self.key)} stands there already",
                found=f"e.g. {shown}",
                fix="The raw file is damaged, was assembled twice, or its layout changed.",
            )

    def _schema(self, data: pa.Table) -> pa.Schema:
        fields = [
            pa.field(
                c.name,
                data.schema.field(c.name).type,
                nullable=c.nullable,
                metadata={"unit": c.unit, "meaning": c.meaning},
            )
            for c in self.columns
        ]
        return pa.schema(fields, metadata={"table": self.name, "meaning": self.meaning, "key": json.dumps(self.key)})

    def codebook(self) -> list[dict[str, Any]]:
        """One mapping per column: name, type, unit, meaning, nullable."""
        return [
            {"name": c.name, "type": c.type, "unit": c.unit, "meaning": c.meaning, "nullable": c.nullable}
            for c in self.columns
        ]


def _row_codes(columns: list[pa.ChunkedArray]) -> npt.NDArray[np.int64]:
    """One integer per row, equal exactly for rows with equal keys; nulls are a level of their own."""
    total = np.zeros(len(columns[0]), dtype=np.int64)
    levels = 1
    for column in columns:
        if not pa.types.is_dictionary(column.type):
            column = pc.dictionary_encode(column, null_encoding="encode")
        encoded = column.unify_dictionaries().combine_chunks()
        if isinstance(encoded, pa.ChunkedArray):  # a table without rows has no chunk to combine
            return total
        width = len(encoded.dictionary) + 1
        if levels * width >= 2**62:
            _, total = np.unique(total, return_inverse=True)
            levels = int(total.max()) + 1
        total = total * width + encoded.indices.fill_null(width - 1).to_numpy(zero_copy_only=False)
        levels *= width
    return total
