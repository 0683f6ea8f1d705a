"""The shipped sample is what its script writes, what its metadata declare and what its page says."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample"
NAMES = ("bilateral_year", "us_month", "japan_month")
LARGEST = 3_000_000


def script(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def test_the_sample_is_small_and_compressed():
    files = sorted(SAMPLE.glob("*.parquet"))
    assert [f.stem for f in files] == sorted(NAMES)
    assert sum(f.stat().st_size for f in files) < LARGEST
    for file in files:
        row_group = pq.ParquetFile(file).metadata.row_group(0)
        assert {row_group.column(i).compression for i in range(row_group.num_columns)} == {"ZSTD"}


@pytest.mark.parametrize("name", NAMES)
def test_every_file_declares_columns_licence_and_citation(name):
    schema = pq.read_schema(SAMPLE / f"{name}.parquet")
    about = json.loads(schema.metadata[b"provenance"])
    assert about["title"]
    assert about["edits"]
    assert all(s[k] for s in about["sources"].values() for k in ("publisher", "licence", "citation", "url", "version"))
    assert all(len(digest) == 64 for digest in about["inputs"].values())
    for field in schema:
        assert not field.nullable
        assert field.metadata[b"unit"]
        assert field.metadata[b"description"]


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_unique_sorted_and_complete(name):
    file = SAMPLE / f"{name}.parquet"
    key = json.loads(pq.read_schema(file).metadata[b"provenance"])["key"]
    frame = pd.read_parquet(file)
    assert not frame.isna().any(axis=None)
    assert not frame.duplicated(key).any()
    pd.testing.assert_frame_equal(frame, frame.sort_values(key, kind="stable", ignore_index=True))
    assert (frame["exporter"] != frame["importer"]).all()
    assert (frame[[c for c in frame if c.startswith("trade_")]] >= 0).all(axis=None)


def test_the_script_writes_the_same_sample_again_and_again(shared, tmp_path):
    make_sample = script(SAMPLE / "make_sample.py")
    make_sample.make(shared, tmp_path / "one")
    make_sample.make(shared, tmp_path / "two")
    for name in NAMES:
        one, two = (tmp_path / d / f"{name}.parquet" for d in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
        # The bytes also depend on the version of pyarrow, so that the shipped file is compared by content.
        shipped = pq.read_table(SAMPLE / f"{name}.parquet")
        assert pq.read_table(one).equals(shipped, check_metadata=True)


def test_writing_refuses_a_repeated_key(tmp_path):
    make_sample = script(SAMPLE / "make_sample.py")
    frame = pd.read_parquet(SAMPLE / "bilateral_year.parquet").head(3)
    facts = {"counts": {"rows": 3}, "inputs": {}}
    make_sample.write("bilateral_year", frame, facts, tmp_path / "good.parquet")
    assert len(pd.read_parquet(tmp_path / "good.parquet")) == 3
    with pytest.raises(ValueError, match="more than one row"):
        make_sample.write("bilateral_year", pd.concat([frame, frame]), facts, tmp_path / "bad.parquet")


def test_the_page_about_the_data_is_the_generated_one():
    make_readme = script(ROOT / "data" / "make_readme.py")
    assert (ROOT / "data" / "README.md").read_text(encoding="utf-8") == make_readme.readme(ROOT / "data")


def test_nothing_shipped_names_a_machine():
    folder = re.compile(rb"/(work|tmp|home|Users)/")
    assert folder.search(b"made in /home/someone")
    for path in [*SAMPLE.iterdir(), ROOT / "data" / "README.md", ROOT / "data" / "make_readme.py"]:
        if path.is_file():
            assert not folder.search(path.read_bytes()), path.name
