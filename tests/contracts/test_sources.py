"""Every registered source keeps the same promises; a new one is tested by being there."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from cyber_trade_econ.errors import UnknownName
from cyber_trade_econ.sources import all as every_source
from cyber_trade_econ.sources import get

if TYPE_CHECKING:
    from cyber_trade_econ.records.source import Source

SOURCES = MappingProxyType(every_source())
each = pytest.mark.parametrize("source", SOURCES.values(), ids=lambda s: s.name)
UNITS = {
    "_kusd": "thousand current USD",
    "_musd": "million current USD",
    "_usd": "current USD",
    "_km": "km",
    "_t": "metric tons",
}


def test_the_registry_knows_the_core_sources() -> None:
    assert set(SOURCES) >= {"us_census", "geodist", "baci", "eurepoc", "dcid", "cfr", "cissm"}
    assert get("baci") is SOURCES["baci"]
    with pytest.raises(UnknownName, match="Did you mean eurepoc"):
        get("eurepo")
    with pytest.raises(UnknownName, match="cyber-trade-econ sources"):
        get("qqqq")


@each
def test_a_source_says_who_made_it_and_under_which_terms(source: Source) -> None:
    assert len(source.title) > 5
    assert len(source.publisher) > 4
    assert len(source.licence) > 10
    assert re.search(r"\b(19|20)\d\d\b|https://", source.citation)
    assert all(urlsplit(u).scheme == "https" for u in (source.homepage, source.licence_url))
    assert 0 < source.max_bytes < 10**11


@each
def test_every_file_comes_over_https_from_a_listed_host(source: Source) -> None:
    assert source.hosts
    assert all(re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", host) for host in source.hosts)
    for years in (None, frozenset({2021})):
        parts = source.parts(years)
        assert parts
        for part in parts:
            assert urlsplit(part.url).scheme == "https"
            assert source.host_of(part) in source.hosts
            assert part.patterns
            assert re.fullmatch(r"[\w.-]+", part.filename), "a plain file name"
        assert len({p.filename for p in parts}) == len(parts)


@each
def test_every_column_has_a_unit_and_a_meaning(source: Source) -> None:
    for table in source.tables:
        assert len(table.meaning) > 10
        assert table.key
        for column in table.columns:
            assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
            assert column.unit.strip()
            assert column.meaning.endswith("."), column
            for suffix, unit in UNITS.items():
                if column.name.endswith(suffix) and column.type == "float64":
                    assert column.unit == unit, column
                    break
            if column.type == "float64":
                assert column.lowest == 0, f"{column.name} has no bound"


@each
def test_key_columns_are_never_missing(source: Source) -> None:
    for table in source.tables:
        assert not [c.name for c in table.columns if c.name in table.key and c.nullable]


def test_sources_know_neither_each_other_nor_the_lake() -> None:
    folder = Path(inspect.getfile(get)).parent
    checked = 0
    for path in folder.glob("*.py"):
        if path.name == "__init__.py":
            continue
        imported = {
            n.module for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)
        }
        package = {m for m in imported if m and m.startswith("cyber_trade_econ")}
        allowed = re.compile(r"cyber_trade_econ\.(errors|records\.\w+|codes(\.\w+)?|sources|sources\._\w+)")
        assert all(allowed.fullmatch(m) for m in package), (path.name, package)
        checked += 1
    assert checked >= len(SOURCES)
