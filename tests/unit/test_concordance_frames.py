"""Carrying trade between vintages, whatever the columns of the frame are called and however they are stored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.codes.concordance import concord, estimate_weights
from cyber_trade_econ.codes.product import codes_of
from cyber_trade_econ.errors import ConfigError, SchemaError, UnknownCode

CONSERVED = 1e-12


def move(frame: pd.DataFrame, **more: object) -> pd.DataFrame:
    return concord(frame, **{"code": "hs", "values": "v", "origin": "HS2017", "target": "HS2022", **more})  # type: ignore[arg-type]


def telephones(**more: object) -> pd.DataFrame:
    return pd.DataFrame({"hs": ["851712", "847130"], "v": [2.0, 1.0], **more})


@pytest.mark.parametrize("kind", ["float32", "int16", "uint8", "Float64", "Int32", "double[pyarrow]"])
def test_values_of_any_number_type_are_conserved(kind: str) -> None:
    rng = np.random.default_rng(3)
    before = pd.DataFrame({"hs": rng.choice(sorted(codes_of("HS2017")), 3000), "v": rng.integers(0, 200, 3000)})
    before["v"] = (before["v"] / 7 if "loat" in kind or "double" in kind else before["v"]).astype(kind)
    after = move(before)
    total = before["v"].to_numpy(dtype=float).sum()
    assert abs(after["v"].sum() - total) <= CONSERVED * total
    assert after["v"].dtype == np.float64


@pytest.mark.parametrize("name", ["_from", "_to", "_share", "index", "level_0", 0, ("a", "b")])
def test_any_name_of_a_key_column_will_do(name: object) -> None:
    frame = telephones()
    frame[name] = ["x", "y"]
    after = move(frame)
    assert after.columns.tolist() == frame.columns.tolist()
    assert after[name].tolist() == ["x", "x", "y"]
    assert after["v"].tolist() == [1.0, 1.0, 1.0]


def test_the_frame_given_is_not_changed() -> None:
    frame = telephones(k=[1, 2]).astype({"v": "float32", "hs": "category"})
    before = frame.copy(deep=True)
    move(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_codes_of_a_category_may_be_stray() -> None:
    frame = pd.DataFrame({"hs": pd.Categorical(["851712", "98XX00"]), "v": [999.0, 1.0]})
    assert move(frame).set_index("hs")["v"].to_dict() == {"851713": 499.5, "851714": 499.5, "999999": 1.0}


def test_keys_that_are_missing_or_categories_are_groups() -> None:
    frame = telephones(
        importer=pd.Categorical(["USA", None], categories=["USA", "CHN"]), day=[pd.NaT, pd.Timestamp(2020, 1, 1)]
    )
    after = move(frame)
    assert after["importer"].tolist()[:2] == ["USA", "USA"]
    assert after["importer"].isna().sum() == 1
    assert after["v"].tolist() == [1.0, 1.0, 1.0]


def test_rows_that_stand_twice_are_added_up() -> None:
    frame = pd.concat([telephones(importer="USA")] * 2)
    assert move(frame)["v"].tolist() == [2.0, 2.0, 2.0]


def test_values_that_cancel_leave_zeros_and_negative_values_pass() -> None:
    frame = pd.DataFrame({"hs": ["851712", "851712", "847130"], "v": [-5.0, 5.0, -1.0]})
    assert move(frame)["v"].tolist() == [-1.0, 0.0, 0.0]


def test_no_rows_of_no_type_give_no_rows() -> None:
    assert move(pd.DataFrame({"hs": [], "v": []})).empty


def test_frames_whose_columns_cannot_be_told_apart_are_refused() -> None:
    move(telephones())
    twice = telephones(k=[1, 2])
    twice.columns = pd.Index(["hs", "v", "v"])
    with pytest.raises(SchemaError, match="twice; found v"):
        move(twice)
    with pytest.raises(ConfigError, match="columns of values"):
        move(telephones(), values=["v", "v"])
    with pytest.raises(ConfigError, match="columns of values"):
        move(telephones(), values=[])


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([("851712", "8517", 1.0)], SchemaError, "8517.*six digits"),
        ([("8517", "851713", 1.0)], SchemaError, "8517.*six digits"),
        ([("851712", "851713", "all")], SchemaError, "finite"),
        ([(851712, "851713", 1.0)], UnknownCode, "851712.*number"),
        ([(None, "851713", 1.0)], UnknownCode, "None"),
    ],
)
def test_weights_of_other_levels_and_types_are_refused(
    rows: list[tuple[object, object, object]], error: type[Exception], text: str
) -> None:
    names = ["origin", "target", "weight"]
    assert move(telephones(), weights=pd.DataFrame([("851712", "851713", 1.0)], columns=names))["v"].tolist() == [
        1.0,
        2.0,
    ]
    with pytest.raises(error, match=text):
        move(telephones(), weights=pd.DataFrame(rows, columns=names))


@pytest.mark.parametrize("weights", [{"851712": {"851713": 1.0}}, ["equal"], 1.0])
def test_weights_that_are_neither_a_scheme_nor_a_table_are_refused(weights: object) -> None:
    move(telephones(), weights="equal")
    with pytest.raises(ConfigError, match="retained, equal, a table"):
        move(telephones(), weights=weights)


@pytest.mark.parametrize("floor", [-1.0, float("nan"), float("inf")])
def test_a_floor_that_is_no_amount_is_refused(floor: float) -> None:
    recorded = pd.DataFrame({"hs": ["851713", "851714"], "v": [90.0, 10.0]})
    settings = {"code": "hs", "values": "v", "origin": "HS2017", "target": "HS2022"}
    weights = estimate_weights(recorded, **settings, floor=1.0).set_index(["origin", "target"])["weight"]  # type: ignore[arg-type]
    assert weights["851712", "851714"] == pytest.approx(11 / 102)
    with pytest.raises(ConfigError, match="floor"):
        estimate_weights(recorded, **settings, floor=floor)  # type: ignore[arg-type]
