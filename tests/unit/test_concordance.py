"""Carrying trade between vintages: nothing is lost, nothing invented, and what cannot be carried is refused by name."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.codes import arrivals
from cyber_trade_econ.codes.concordance import concord, estimate_weights
from cyber_trade_econ.codes.links import SCHEMES, links, route, shares
from cyber_trade_econ.codes.product import VINTAGES, codes_of
from cyber_trade_econ.errors import ConfigError, SchemaError, UnknownCode, VintageError

PAIRS = [pair for pair in itertools.product(VINTAGES, VINTAGES) if pair[0] != pair[1]]
# Bound of the module: groups are summed with compensation, so the order of the rows does not use it up.
CONSERVED = 1e-12


def trade(vintage: str, seed: int, rows: int = 400) -> pd.DataFrame:
    """Made-up trade of a few pairs and years over twenty orders of magnitude, with zeros and missing keys."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "exporter": rng.choice(["CHN", "USA", None], rows),
            "year": rng.integers(2000, 2003, rows),
            "hs": rng.choice(sorted(codes_of(vintage)), rows),
            "trade_kusd": 10.0 ** rng.uniform(-10, 10, rows) * rng.integers(0, 2, rows),
        }
    )


def totals(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby(["exporter", "year"], dropna=False)["trade_kusd"].sum()


@pytest.mark.parametrize(("origin", "target"), PAIRS)
def test_the_real_concordance_keeps_the_total_of_every_group(origin: str, target: str) -> None:
    before = trade(origin, 7)
    for weights in SCHEMES:
        after = concord(before, code="hs", values="trade_kusd", origin=origin, target=target, weights=weights)
        assert set(after["hs"]) <= codes_of(target)
        assert not after.duplicated(["exporter", "year", "hs"]).any()
        gap = (totals(after) - totals(before)).abs()
        assert (gap <= CONSERVED * totals(before)).all()


@pytest.mark.parametrize(("origin", "target"), PAIRS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_code_has_successors_and_shares_that_sum_to_one(origin: str, target: str, scheme: str) -> None:
    found = shares(origin, target, scheme)  # type: ignore[arg-type]
    assert set(found) == codes_of(origin)
    assert {end for parts in found.values() for end in parts} <= codes_of(target)
    assert max(abs(sum(parts.values()) - 1) for parts in found.values()) < CONSERVED
    assert {end for ends in links(origin, target).values() for end in ends} <= codes_of(target)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_concordances_keep_the_total_of_every_group(data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    before = trade("HS2017", seed, rows=60)
    pairs = []
    for start in before["hs"].unique():
        ends = rng.choice(sorted(codes_of("HS2022")), rng.integers(1, 6), replace=False)
        parts = rng.dirichlet(np.full(len(ends), 0.2))
        pairs += [(start, end, part) for end, part in zip(ends, parts / parts.sum(), strict=True)]
    weights = pd.DataFrame(pairs, columns=["origin", "target", "weight"])
    after = concord(before, code="hs", values="trade_kusd", origin="HS2017", target="HS2022", weights=weights)
    gap = (totals(after) - totals(before)).abs()
    assert (gap <= CONSERVED * totals(before)).all()
    shuffled = concord(
        before.sample(frac=1, random_state=seed % 1000),
        code="hs",
        values="trade_kusd",
        origin="HS2017",
        target="HS2022",
        weights=weights.sample(frac=1, random_state=1),
    )
    pd.testing.assert_frame_equal(after, shuffled, rtol=1e-12)  # sums in another order
    assert after.attrs["concordance"]["weights"] == "table"


@pytest.mark.parametrize(("origin", "target"), PAIRS)
def test_codes_that_are_one_to_one_come_back_from_a_round_trip(origin: str, target: str) -> None:
    there, back = links(origin, target), links(target, origin)
    alone = [code for code, ends in there.items() if len(ends) == 1 and back[next(iter(ends))] == {code}]
    assert len(alone) > 0.5 * len(codes_of(origin))
    frame = pd.DataFrame({"hs": alone, "trade_kusd": np.arange(1.0, len(alone) + 1)})
    moved = concord(frame, code="hs", values="trade_kusd", origin=origin, target=target)
    again = concord(moved, code="hs", values="trade_kusd", origin=target, target=origin)
    pd.testing.assert_frame_equal(again, frame.sort_values("hs", ignore_index=True))
    assert len(moved) == len(frame)


def test_laptops_stay_laptops_and_mobile_telephones_were_transmitters() -> None:
    frame = pd.DataFrame({"hs": ["847130", "851712"], "trade_kusd": [70.0, 30.0]})
    newer = concord(frame, code="hs", values="trade_kusd", origin="HS2017", target="HS2022")
    assert newer.set_index("hs")["trade_kusd"].to_dict() == {"847130": 70.0, "851713": 15.0, "851714": 15.0}
    older = concord(frame.tail(1), code="hs", values="trade_kusd", origin="HS2017", target="HS2002")
    assert older["hs"].tolist() == ["852520"]
    facts = newer.attrs["concordance"]
    assert facts["route"] == "HS2017 -> HS2022"
    assert (facts["codes_split"], facts["value_split_share"]) == (1, {"trade_kusd": 0.3})
    assert facts["codes_unmatched"] == {}


def test_routes_follow_the_editions_and_the_published_table_of_1992() -> None:
    assert route("HS1996", "HS2012") == ("HS1996", "HS2002", "HS2007", "HS2012")
    assert route("HS2022", "HS1992") == ("HS2022", "HS2017", "HS1992")
    assert route("HS2017", "HS2017") == ("HS2017",)


def test_several_columns_of_values_move_together_and_other_columns_are_keys() -> None:
    frame = pd.DataFrame({"hs": ["854140", "847130"], "cif": [4.0, 1.0], "fob": [2.0, 1.0], "importer": ["USA", "USA"]})
    after = concord(frame, code="hs", values=["cif", "fob"], origin="HS2017", target="HS2022", weights="equal")
    assert list(after.columns) == list(frame.columns)
    assert after.loc[after["hs"].str.startswith("8541"), "cif"].tolist() == [1.0] * 4
    assert after["fob"].sum() == 3.0


def test_trade_that_is_not_specified_stays_so_and_stray_codes_join_it() -> None:
    frame = pd.DataFrame({"hs": ["847130", "999999", "98XX00"], "trade_kusd": [989.0, 10.0, 1.0]})
    after = concord(frame, code="hs", values="trade_kusd", origin="HS2017", target="HS2022")
    assert after.set_index("hs")["trade_kusd"].to_dict() == {"847130": 989.0, "999999": 11.0}
    assert after.attrs["concordance"]["codes_unmatched"] == {"98XX00": 1}
    assert after.attrs["concordance"]["value_unmatched_share"] == {"trade_kusd": 0.001}
    with pytest.raises(UnknownCode, match="98XX00"):
        concord(
            frame.assign(trade_kusd=[1.0, 1.0, 1.0]), code="hs", values="trade_kusd", origin="HS2017", target="HS2022"
        )


def move(codes: list[object], origin: str = "HS2017", **more: object) -> pd.DataFrame:
    frame = pd.DataFrame({"hs": pd.Series(codes, dtype=object), "v": 1.0})
    return concord(frame, **{"code": "hs", "values": "v", "origin": origin, "target": "HS2007", **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("codes", "error", "text"),
    [
        (["10121", "847130"], UnknownCode, "zero is lost.*010121"),
        ([10121, 847130], SchemaError, "no text.*10121"),
        ([None, "847130"], SchemaError, "no text"),
        (["851713", "847130"], VintageError, "all of them in HS2022.*origin='HS2022'"),
        (["851713", "851712"], VintageError, "several editions, such as 851713 of HS2022"),
        (["8517", "847130"], SchemaError, "chapters or headings.*8517"),
        (["851799", "847130"], UnknownCode, "851799.*in no edition"),
    ],
)
def test_codes_that_cannot_be_carried_are_refused_by_name(
    codes: list[object], error: type[Exception], text: str
) -> None:
    assert len(move(["851712", "847130"])) == 2
    with pytest.raises(error, match=text):
        move(codes)


def test_settings_that_make_no_sense_are_refused_by_name() -> None:
    move(["847130"])
    with pytest.raises(VintageError, match="HS2016"):
        move(["847130"], origin="HS2016")
    with pytest.raises(VintageError, match="H3"):
        move(["847130"], target="H3")
    with pytest.raises(ConfigError, match="retained, equal"):
        move(["847130"], weights="fair")
    with pytest.raises(ConfigError, match="column of codes"):
        move(["847130"], values="hs")
    with pytest.raises(SchemaError, match="lacks w"):
        move(["847130"], values="w")
    frame = pd.DataFrame({"hs": ["847130"], "v": [np.nan]})
    with pytest.raises(SchemaError, match="no finite"):
        concord(frame, code="hs", values="v", origin="HS2017", target="HS2007")


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ([("851712", "851713", 0.9)], SchemaError, "sum to one.*0.9 for 851712"),
        ([("851712", "851713", 1.5), ("851712", "851714", -0.5)], SchemaError, "not negative"),
        ([("851712", "851713", 0.5), ("851712", "851713", 0.5)], SchemaError, "two weights"),
        ([("851712", "851712", 1.0)], UnknownCode, "851712.*HS2017"),
        ([("851713", "851713", 1.0)], UnknownCode, "851713"),
    ],
)
def test_weights_that_would_lose_value_are_refused(
    rows: list[tuple[str, str, float]], error: type[Exception], text: str
) -> None:
    good = pd.DataFrame([("851712", "851713", 0.9), ("851712", "851714", 0.1)], columns=["origin", "target", "weight"])
    assert move(["851712"], target="HS2022", weights=good)["v"].tolist() == [0.9, 0.1]
    with pytest.raises(error, match=text):
        move(["851712"], target="HS2022", weights=pd.DataFrame(rows, columns=good.columns))


def test_weights_from_trade_follow_the_successors() -> None:
    recorded = pd.DataFrame({"hs": ["851713", "851714", "847130"], "v": [90.0, 10.0, 5.0]})
    weights = estimate_weights(recorded, code="hs", values="v", origin="HS2017", target="HS2022")
    found = weights[weights["origin"] == "851712"].set_index("target")["weight"]
    assert found.to_dict() == {"851713": 0.9, "851714": 0.1}
    assert np.allclose(weights.groupby("origin")["weight"].sum(), 1, rtol=1e-12)
    assert move(["851712"], target="HS2022", weights=weights)["v"].tolist() == [0.9, 0.1]
    with pytest.raises(SchemaError, match="negative"):
        estimate_weights(recorded.assign(v=-1.0), code="hs", values="v", origin="HS2017", target="HS2022")


def test_no_rows_give_no_rows() -> None:
    empty = pd.DataFrame(
        {"hs": pd.Series([], dtype=object), "v": pd.Series([], dtype=float), "year": pd.Series([], dtype=int)}
    )
    assert concord(empty, code="hs", values="v", origin="HS2017", target="HS2022").empty


@pytest.mark.parametrize("lost", [1e-9, 1.0])
def test_a_conversion_that_loses_value_is_stopped(lost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    move(["847130", "851712"])
    real = arrivals.split

    def leaky(*given: object) -> pd.DataFrame:
        moved = real(*given)  # type: ignore[arg-type]
        return moved.assign(v=moved["v"] * (1 - lost))

    monkeypatch.setattr(arrivals, "split", leaky)
    with pytest.raises(SchemaError, match="changed the total of a group"):
        move(["847130", "851712"])
