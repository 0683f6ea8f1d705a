"""Multilateral resistances and trade costs recovered from effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, EstimationError, NotIdentified
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.resistance import resistances

SIGMA = 5.0


def solved(costs: np.ndarray, output: np.ndarray, expenditure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve the system of Anderson and van Wincoop by iteration; importer 0 has resistance one."""
    inward = np.ones(len(expenditure))
    world = output.sum()
    for _ in range(5000):
        outward = costs @ (expenditure / world / inward)
        inward = costs.T @ (output / world / outward)
        outward, inward = outward * inward[0], inward / inward[0]
    return outward, inward


def structural(years: int = 3, size: int = 7, noise: float = 0.0, seed: int = 0) -> tuple[pd.DataFrame, list]:
    """A world that is structural gravity, and its resistances to the power 1 - sigma by year."""
    rng = np.random.default_rng(seed)
    names = np.array([f"C{k}" for k in range(size)])
    distance = rng.uniform(0.5, 2, (size, size))
    foreign = 1.0 - np.eye(size)
    frames, truth = [], []
    for year in range(years):
        output = rng.lognormal(3, 1, size)
        expenditure = output * rng.uniform(0.8, 1.2, size)
        expenditure *= output.sum() / expenditure.sum()
        costs = np.exp(-0.8 * np.log(distance) - 1.5 * foreign)
        outward, inward = solved(costs, output, expenditure)
        flows = np.outer(output / outward, expenditure / inward) * costs / output.sum()
        flows = flows * np.exp(noise * rng.normal(size=flows.shape))
        truth.append((outward, inward, costs))
        frames.append(
            pd.DataFrame(
                {
                    "exporter": np.repeat(names, size),
                    "importer": np.tile(names, size),
                    "year": 2000 + year,
                    "trade": flows.ravel(),
                    "distance": distance.ravel(),
                    "foreign": foreign.ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True), truth


SPEC = "trade ~ log(distance) + foreign | exporter^year + importer^year"


def test_the_resistances_of_a_structural_world_are_found():
    frame, truth = structural()
    found = resistances(ppml(SPEC, frame), frame, sigma=SIGMA, reference="C0")
    for year, (outward, inward, costs) in enumerate(truth):
        mine = found.outward[found.outward["year"] == 2000 + year]
        np.testing.assert_allclose(mine["power"], outward, rtol=1e-8)
        np.testing.assert_allclose(mine["resistance"], outward ** (1 / (1 - SIGMA)), rtol=1e-8)
        mine = found.inward[found.inward["year"] == 2000 + year]
        np.testing.assert_allclose(mine["power"], inward, rtol=1e-8)
        rows = found.costs[found.costs["year"] == 2000 + year]
        np.testing.assert_allclose(rows["index"], costs.ravel(), rtol=1e-8)
        np.testing.assert_allclose(rows["cost"], costs.ravel() ** (1 / (1 - SIGMA)), rtol=1e-8)
    assert list(found.outward.columns) == ["exporter", "year", "output", "power", "resistance"]
    assert found.facts["rows_domestic"] == 21
    assert "inward resistance of C0 is 1" in found.facts["normalisation"]


def test_output_and_expenditure_add_up_and_solve_the_system_whatever_the_errors():
    frame, _ = structural(noise=1.0)
    frame.loc[::5, "trade"] = 0.0
    found = resistances(ppml(SPEC, frame), frame, sigma=SIGMA, reference="C0")
    output = frame.groupby(["exporter", "year"])["trade"].sum()
    got = found.outward.set_index(["exporter", "year"])["output"]
    np.testing.assert_allclose(got, output.reindex(got.index), rtol=1e-8)  # Fally (2015)
    assert found.facts["margins_relative_gap"] < 1e-8
    assert found.facts["system_relative_residual"] < 1e-10
    for year in (2000, 2001, 2002):
        rows = found.costs[found.costs["year"] == year]
        costs = rows["index"].to_numpy().reshape(7, 7)
        a = found.outward[found.outward["year"] == year]
        b = found.inward[found.inward["year"] == year]
        outward, inward = solved(costs, a["output"].to_numpy(), b["expenditure"].to_numpy())
        np.testing.assert_allclose(a["power"], outward, rtol=1e-8)
        np.testing.assert_allclose(b["power"], inward, rtol=1e-8)


def test_the_reference_only_moves_the_scale():
    frame, _ = structural(noise=0.5)
    e = ppml(SPEC, frame)
    by_default = resistances(e, frame, sigma=SIGMA)
    other = resistances(e, frame, sigma=SIGMA, reference="C4")
    assert by_default.facts["reference"] == frame.groupby("importer")["trade"].sum().idxmax()
    keys = ["importer", "year"]
    ratio = other.inward.set_index(keys)["resistance"] / by_default.inward.set_index(keys)["resistance"]
    assert (ratio.groupby("year").std() < 1e-10).all()
    ours = other.inward.loc[other.inward["importer"] == "C4", "resistance"]
    np.testing.assert_allclose(ours, 1, rtol=1e-14)  # the exponential of a difference of equal sums
    np.testing.assert_allclose(other.costs["cost"], by_default.costs["cost"])
    shuffled = frame.sample(frac=1, random_state=2)
    again = resistances(ppml(SPEC, shuffled), shuffled, sigma=SIGMA, reference="C4")
    np.testing.assert_allclose(again.outward["power"], other.outward["power"], rtol=1e-8)
    thousand = frame.assign(trade=frame["trade"] * 1000)
    again = resistances(ppml(SPEC, thousand), thousand, sigma=SIGMA, reference="C4")
    np.testing.assert_allclose(again.outward["power"], other.outward["power"], rtol=1e-8)


def test_one_cross_section_and_an_offset():
    frame, truth = structural(years=1)
    frame = frame.assign(known=-0.8 * np.log(frame["distance"]))
    e = ppml("trade ~ foreign | exporter + importer", frame, offset="known")
    found = resistances(e, frame, sigma=SIGMA, reference="C0")
    np.testing.assert_allclose(found.outward["power"], truth[0][0], rtol=1e-8)
    assert list(found.inward.columns) == ["importer", "expenditure", "power", "resistance"]
    assert found.facts["identified"] == "levels, up to the normalisation"


def test_pair_effects_are_trade_costs_and_only_changes_are_identified():
    frame, _ = structural()
    frame["pair"] = frame["exporter"] + frame["importer"]
    frame["policy"] = ((frame["year"] > 2000) & (frame.index % 3 == 0)).astype(float)
    frame["trade"] = frame["trade"] * np.exp(0.4 * frame["policy"])
    e = ppml("trade ~ policy | exporter^year + importer^year + pair", frame)
    found = resistances(e, frame, sigma=SIGMA)
    assert found.facts["identified"].startswith("changes over time")
    assert found.facts["system_relative_residual"] < 1e-8
    index = found.costs["index"].groupby([frame["exporter"], frame["importer"]])
    change = np.log(index.last() / index.first())
    np.testing.assert_allclose(change, 0.4 * frame.groupby(["exporter", "importer"])["policy"].last(), atol=1e-7)


def test_what_is_missing_is_counted():
    frame, _ = structural(noise=0.3)
    odd = frame.drop(frame.index[[3, 60]])
    odd.loc[10, "distance"] = np.nan
    found = resistances(ppml(SPEC, odd), odd, sigma=SIGMA)
    assert found.facts["combinations_without_row"] == 3
    assert found.facts["rows_left_out"] == 1


def test_a_column_called_like_ours_does_no_harm():
    frame, truth = structural()
    named = frame.rename(columns={"year": "period"})
    found = resistances(ppml(SPEC.replace("year", "period"), named), named, sigma=SIGMA, reference="C0")
    np.testing.assert_allclose(found.outward.query("period == 2000")["power"], truth[0][0], rtol=1e-8)


def test_questions_that_have_no_answer_are_refused():
    frame, _ = structural(noise=0.3)
    frame["weight"] = 1.0 + frame.index % 3
    e = ppml(SPEC, frame)
    for sigma in (1, 0.5, np.nan):
        with pytest.raises(ConfigError, match="sigma"):
            resistances(e, frame, sigma=sigma)
    with pytest.raises(ConfigError, match="only its margins add up"):
        resistances(ols(SPEC.replace("trade", "log(trade)"), frame), frame, sigma=SIGMA)
    for effects in (" | exporter^year", " | exporter^year + importer", ""):
        with pytest.raises(ConfigError, match="effects for multilateral resistances"):
            resistances(ppml("trade ~ log(distance)" + effects, frame), frame, sigma=SIGMA)
    with pytest.raises(ConfigError, match="reference importer"):
        resistances(e, frame, sigma=SIGMA, reference="XYZ")
    with pytest.raises(EstimationError, match="do not add up"):
        resistances(ppml(SPEC, frame, weights="weight"), frame, sigma=SIGMA)
    late = frame[(frame["importer"] != "C2") | (frame["year"] > 2000)]
    with pytest.raises(NotIdentified, match="C2 in all of 3 period"):
        resistances(ppml(SPEC, late), late, sigma=SIGMA, reference="C2")
    blocks = frame[(frame["exporter"] < "C3") == (frame["importer"] < "C3")]
    with pytest.raises(NotIdentified, match="6 unconnected groups in 3 period"):
        resistances(ppml("trade ~ log(distance) | exporter^year + importer^year", blocks), blocks, sigma=SIGMA)
    assert resistances(e, frame, sigma=SIGMA).facts["sigma"] == SIGMA  # control
