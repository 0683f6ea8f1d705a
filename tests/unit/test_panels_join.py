"""Joins keep every row, and say what does not match."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.errors import ConfigError, DuplicateKey, MissingKey, SchemaError
from cyber_trade_econ.panels.join import join_covariates

LEFT = pd.DataFrame({"exporter": ["A", "B", "A"], "importer": ["B", "A", "C"], "trade_musd": [1.0, 2.0, 4.0]})
RIGHT = pd.DataFrame({"exporter": ["A", "B", "A"], "importer": ["C", "A", "B"], "dist_km": [30.0, 20.0, 10.0]})
ON = ["exporter", "importer"]


def test_covariates_go_to_their_rows():
    joined, facts = join_covariates(LEFT, RIGHT, on=ON, unchanged=["trade_musd"])
    assert joined["dist_km"].tolist() == [10.0, 20.0, 30.0]
    assert joined["trade_musd"].tolist() == [1.0, 2.0, 4.0]
    assert facts == {"unmatched_rows": 0, "unmatched_keys": []}


def test_an_unmatched_row_is_an_error_or_is_counted_by_name():
    with pytest.raises(MissingKey, match=r"1 row.*'importer': 'C'"):
        join_covariates(LEFT, RIGHT.iloc[1:], on=ON)
    joined, facts = join_covariates(LEFT, RIGHT.iloc[1:], on=ON, unmatched="count", unchanged=["trade_musd"])
    assert len(joined) == 3
    assert np.isnan(joined["dist_km"].iloc[2])
    assert facts == {"unmatched_rows": 1, "unmatched_keys": ["A-C"]}


def test_repeated_keys_on_the_right_are_named():
    with pytest.raises(DuplicateKey, match=r"1 key\(s\).*'importer': 'C'"):
        join_covariates(LEFT, pd.concat([RIGHT, RIGHT.head(1)]), on=ON)
    many = pd.DataFrame({"exporter": list("ABCDEFG") * 2, "importer": "X", "dist_km": 1.0})
    with pytest.raises(DuplicateKey, match=r"7 key\(s\)") as caught:
        join_covariates(LEFT, many, on=ON)
    assert str(caught.value).count("'exporter'") == 1 + 5  # the key itself, then five examples


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_null_key_never_matches(side):
    broken = {"left": LEFT, "right": RIGHT}
    broken[side] = broken[side].assign(exporter=["A", None, "A"])
    with pytest.raises(MissingKey, match=f"{side} table.*1 row.*position 1"):
        join_covariates(broken["left"], broken["right"], on=ON, unmatched="count")


def test_wrong_options_and_columns_are_named():
    with pytest.raises(ConfigError, match="'drop'"):
        join_covariates(LEFT, RIGHT, on=ON, unmatched="drop")  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="year"):
        join_covariates(LEFT, RIGHT, on=["exporter", "year"])
    with pytest.raises(SchemaError, match="both sides"):
        join_covariates(LEFT, RIGHT.assign(trade_musd=0.0), on=ON)
    with pytest.raises(SchemaError, match="right table"):
        join_covariates(LEFT, RIGHT.drop(columns="importer"), on=ON)


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD"), st.floats(0, 1e6)), min_size=1, max_size=30
    ),
    known=st.sets(st.tuples(st.sampled_from("ABCD"), st.sampled_from("ABCD"))),
)
def test_rows_and_totals_never_change(rows, known):
    left = pd.DataFrame(rows, columns=["exporter", "importer", "trade_musd"])
    right = pd.DataFrame(sorted(known), columns=ON, dtype=object).assign(dist_km=1.0)
    joined, facts = join_covariates(
        left.astype(dict.fromkeys(ON, object)), right, on=ON, unmatched="count", unchanged=["trade_musd"]
    )
    assert joined["trade_musd"].tolist() == left["trade_musd"].tolist()
    assert (
        facts["unmatched_rows"] == sum((i, j) not in known for i, j, _ in rows) == int(joined["dist_km"].isna().sum())
    )
