"""Declared tables: what conform lets through, and what it does not."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyber_trade_econ.errors import ConfigError, DuplicateKey, SchemaError
from cyber_trade_econ.records.table import Column, Expectation, Table

TABLE = Table(
    "trade",
    "Trade of a pair.",
    (
        Column("exporter", "string", "ISO3", "Exporter.", nullable=True),
        Column("year", "int16", "calendar year", "Year."),
        Column("trade_kusd", "float64", "thousand current USD", "Value.", lowest=0),
    ),
    ("exporter", "year"),
    (Expectation("the total is below 100", lambda t: pc.sum(t["trade_kusd"]).as_py() < 100),),
)


def data(**changes: Any) -> pa.Table:
    columns = {
        "exporter": pa.array(["DEU", "FRA", None]),
        "year": pa.array([2020, 2020, 2020], pa.int16()),
        "trade_kusd": pa.array([1.0, 0.0, 2.5]),
    } | changes
    return pa.table({k: v for k, v in columns.items() if v is not None})


def test_good_rows_get_order_and_codebook() -> None:
    shuffled = data().select(["trade_kusd", "year", "exporter"])
    got = TABLE.conform(shuffled)
    assert got.column_names == ["exporter", "year", "trade_kusd"]
    assert got.to_pydict() == data().to_pydict()
    assert got.schema.field("trade_kusd").metadata == {b"unit": b"thousand current USD", b"meaning": b"Value."}
    assert got.schema.metadata[b"meaning"] == b"Trade of a pair."
    assert not got.schema.field("year").nullable


def test_dictionary_encoded_text_is_text() -> None:
    assert TABLE.conform(data(exporter=pa.array(["DEU", "FRA", None]).dictionary_encode())).num_rows == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"year": None}, r"missing \['year'\]"),
        ({"extra": pa.array([1, 2, 3])}, r"not declared \['extra'\]"),
        ({"year": None, "yaer": pa.array([1, 2, 3])}, "'year' may be 'yaer'"),
        ({"year": pa.array([1, 2, 3])}, "type of column 'year'.*int64.*int16"),
        ({"year": pa.array([2020, None, 2020], pa.int16())}, "1 missing.*row 1"),
        ({"trade_kusd": pa.array([1.0, -0.5, -3.0])}, r"2 value\(s\) below 0.*-3.0"),
        ({"trade_kusd": pa.array([1.0, float("nan"), 2.0])}, "1 value.*not a number"),
        ({"trade_kusd": pa.array([1.0, float("inf"), 2.0])}, "1 value.*infinite"),
        ({"trade_kusd": pa.array([99.0, 1.0, 2.0])}, "not true that the total is below 100"),
    ],
)
def test_rows_that_break_the_declaration(changes: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        TABLE.conform(data(**changes))


def test_no_rows_is_no_table() -> None:
    with pytest.raises(SchemaError, match="no rows"):
        TABLE.conform(data().slice(0, 0))


@pytest.mark.parametrize("twice", [["DEU", "DEU", None], ["DEU", None, None]])
def test_a_key_that_stands_twice(twice: list[str | None]) -> None:
    with pytest.raises(DuplicateKey, match=r"1 row\(s\).*2020"):
        TABLE.conform(data(exporter=pa.array(twice)))


@given(st.lists(st.tuples(st.sampled_from(["A", "B", None, "C"]), st.integers(0, 5)), min_size=1, max_size=40))
def test_keys_are_unique_exactly_when_a_set_says_so(keys: list[tuple[str | None, int]]) -> None:
    table = Table("t", "T.", TABLE.columns[:2], ("exporter", "year"))
    rows = pa.table(
        {"exporter": pa.array([k[0] for k in keys], pa.string()), "year": pa.array([k[1] for k in keys], pa.int16())}
    )
    if len(set(keys)) == len(keys):
        assert table.conform(rows).num_rows == len(keys)
    else:
        with pytest.raises(DuplicateKey, match=rf"{len(keys) - len(set(keys))} row"):
            table.conform(rows)


def test_keys_of_many_wide_columns_do_not_overflow() -> None:
    dice = random.Random(3)  # noqa: S311  # seeded
    names = [f"c{i}" for i in range(8)]
    table = Table("t", "T.", tuple(Column(n, "int64", "1", "C.") for n in names), tuple(names))
    rows = [[dice.randrange(10**9) for _ in names] for _ in range(3000)]
    frame = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    assert table.conform(frame).num_rows == 3000
    with pytest.raises(DuplicateKey, match=r"1 row\(s\)"):
        table.conform(pa.concat_tables([frame, frame.slice(1234, 1)]))


@pytest.mark.parametrize("key", [(), ("absent",)])
def test_a_declaration_needs_a_key_of_its_columns(key: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="key"):
        Table("t", "T.", TABLE.columns, key)


def test_a_declaration_names_known_types_and_each_column_once() -> None:
    with pytest.raises(ConfigError, match="int16"):
        Column("x", "int", "1", "X.")
    with pytest.raises(ConfigError, match="twice"):
        Table("t", "T.", (TABLE.columns[0], TABLE.columns[0]), ("exporter",))
