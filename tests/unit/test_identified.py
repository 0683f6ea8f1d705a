"""Which rows a fit can predict, against the rank of dense dummies; what the sample does not determine is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import Collinear, EmptySample, FormulaError
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml


def dense(frame: pd.DataFrame, effects: str, columns: list[str]) -> np.ndarray:
    """Columns, then one dummy per level and, for slopes, the same times the variable less 2000."""
    blocks = [frame[columns].to_numpy(float)]
    for effect in effects.split(" + "):
        name, _, variable = effect.rstrip("]").partition("[")
        label = frame[name.split("^")].astype(str).agg("_".join, axis=1)
        blocks.append(pd.get_dummies(label).to_numpy(float))
        if variable:
            blocks.append(blocks[-1] * (frame[variable].to_numpy()[:, None] - 2000))
    return np.column_stack(blocks)


def determined(sample: np.ndarray, row: np.ndarray) -> bool:
    """Whether a row is a combination of the rows of the sample."""
    _, size, axes = np.linalg.svd(sample, full_matrices=False)
    basis = axes[size > 1e-9 * size[0]]
    return bool(np.linalg.norm(row - basis.T @ (basis @ row)) < 1e-7 * np.linalg.norm(row))


def sparse_world(seed: int, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All cells of a small world, and the few of them that are observed."""
    rng = np.random.default_rng(seed)
    e, i, t = (a.ravel() for a in np.indices((5, 5, 5)))
    cells = pd.DataFrame({"exporter": e, "importer": i, "year": 2000 + t, "pair": 10 * e + i, "k": (e + i + t) % 4})
    cells["x"] = rng.normal(size=len(cells))
    cells["y"] = rng.gamma(2.0, size=len(cells))
    return cells, cells[rng.random(len(cells)) < share]


EFFECTS = [
    "exporter + importer",
    "exporter^year + importer^year",
    "exporter + importer + year",
    "exporter^year + importer^year + pair",
    "exporter + importer + year + k",
    "exporter[year] + importer",
    "pair[year] + exporter^year",
]


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("share", [0.12, 0.3, 0.6])
def test_rows_are_predicted_if_and_only_if_the_sample_determines_them(effects, share):
    found = []
    for seed in range(4):
        cells, some = sparse_world(seed, share)
        try:
            e = ols(f"y ~ x | {effects}", some, vcov="iid", ssc="none")
        except (EmptySample, Collinear):  # too few rows in this draw
            continue
        sample = dense(cells, effects, ["x"])[cells.index.isin(e.sample)]
        want = [determined(sample, row) for row in dense(cells, effects, ["x"])]
        assert e.predict(cells).notna().tolist() == want
        found += want
    if share == 0.6:
        assert any(found)  # the control: some rows are determined


def test_trade_within_two_blocs_says_nothing_about_trade_between_them():
    rng = np.random.default_rng(0)
    cells = pd.DataFrame([(f"{b}{k}", f"{c}{j}") for b in "AB" for c in "AB" for k in range(4) for j in range(4)])
    cells.columns = ["exporter", "importer"]
    cells["x"], cells["y"] = rng.normal(size=len(cells)), rng.gamma(3.0, 20.0, len(cells))
    within = cells["exporter"].str[0] == cells["importer"].str[0]
    for spec in ("y ~ x | exporter + importer", "y ~ x | importer + exporter"):
        assert ppml(spec, cells[within]).predict(cells).notna().equals(within.rename("fit"))
        bridge = within | (cells.index == cells.index[~within][0])
        assert ppml(spec, cells[bridge]).predict(cells).notna().all()  # the control: one flow joins them


def test_held_out_cells_of_three_way_gravity_are_predicted():
    rng = np.random.default_rng(3)
    e, i, t = (a.ravel() for a in np.indices((9, 9, 6)))
    frame = pd.DataFrame({"exporter": e, "importer": i, "year": t, "x": rng.normal(size=len(e))})
    parts = rng.normal(0, 0.5, (3, 9, 9))
    frame["y"] = np.exp(0.4 * frame["x"] + parts[0][e, t] + parts[1][i, t] + parts[2][e, i])
    out = rng.random(len(frame)) < 0.15
    fit = ppml("y ~ x | exporter^year + importer^year + exporter^importer", frame[~out])
    np.testing.assert_allclose(fit.predict(frame), frame["y"], rtol=1e-7)


def test_effects_in_a_long_chain_are_determined():
    """A thousand levels, each joined to the next by one row: shifts must not be mistaken for the error of a solver."""
    k = np.repeat(np.arange(1000), 4)
    frame = pd.DataFrame({"a": k, "b": (k + np.tile([0, 1], 2000)) % 1000, "c": np.arange(4000) % 3})
    frame["y"] = np.exp(np.sin(frame["a"]) + 0.1 * frame["b"] % 1 + 0.2 * frame["c"])
    others = frame.assign(b=frame["b"].iloc[::-1].to_numpy(), c=0)
    for effects in ("a + b", "a + b + c"):
        assert ols(f"y ~ 1 | {effects}", frame).predict(others).notna().all()


class TestRegressorsLeftOut:
    """A prediction that needs a coefficient which was not estimated is missing."""

    @pytest.fixture(scope="class")
    @classmethod
    def frame(cls) -> pd.DataFrame:
        rng = np.random.default_rng(4)
        frame = pd.DataFrame({"x": rng.normal(size=300), "g": np.arange(300) % 6, "s": (np.arange(300) < 40) * 1e-7})
        frame["y"] = np.where(frame["s"] > 0, 0, rng.poisson(np.exp(0.3 * frame["x"])))
        return frame

    @pytest.mark.parametrize("spec", ["y ~ x + s", "y ~ x + s | g"])
    @pytest.mark.parametrize("shift", [0.0, 1.0])
    def test_because_they_separate(self, frame, spec, shift):
        frame = frame.assign(s=frame["s"] * (1e7 if shift else 1) + shift)
        e = ppml(spec, frame)
        assert e.facts["collinear"] == ["s"]
        assert e.predict(frame).isna().equals((frame["y"].index < 40) & pd.Series(True, frame.index, name="fit"))

    @pytest.mark.parametrize("effects", ["", " | g"])
    def test_because_they_are_collinear(self, frame, effects):
        frame = frame.assign(double=2 * frame["x"] - 1, own=1.0 + frame["g"] * bool(effects))
        e = ols(f"y ~ x + double + own{effects}", frame, collinear="drop")
        assert e.facts["collinear"] == ["double", "own"]
        assert e.predict(frame).notna().all()  # the control: in the sample they say nothing new
        moved = frame.assign(x=frame["x"] + 1, double=frame["double"] + 2)
        assert e.predict(moved).notna().all()
        assert e.predict(frame.assign(double=frame["double"] + 0.1)).isna().all()
        assert e.predict(frame.assign(own=frame["own"] + 0.1)).isna().all()


def test_no_data_is_a_named_error():
    frame = sparse_world(0, 1.0)[0]
    with pytest.raises(FormulaError, match="data must be"):
        ols("y ~ x", frame).predict(None)
