"""Staggered agreements by cohort and year, 160 cells: PPML with three-way effects as R fixest and pyfixest estimate it.

The panel is that of Yotov, Piermartini, Monteiro and Larch (2016), An Advanced Guide to Trade Policy Analysis, in consecutive
years with domestic trade. No publication prints digits for it; `reference/event_cells.json` holds what two packages agree on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.inference.recovariance import with_vcov

STORED = json.loads((Path(__file__).parent / "reference/event_cells.json").read_text())
QUOTED, CELLS, RERUN = STORED["quoted"], STORED["quoted"]["cells"], STORED["rerun"]
HALF = 0.51 * 10 ** -QUOTED["digits"]
"""Half a unit of the last digit, and a little for the packages' own last digit."""

EFFECTS = "exporter^year + importer^year + pair"


@pytest.fixture(scope="module")
def panel(shared):
    frame = pd.read_parquet(shared / "data/gravity/agtpa_applications_1986_2006.parquet")
    frame["pair"] = frame["exporter"].astype(str) + "_" + frame["importer"].astype(str)
    frame = frame[frame.groupby("pair")["trade"].transform("sum") > 0].reset_index(drop=True)
    cohort = frame["pair"].map(frame[frame["rta"] == 1].groupby("pair")["year"].min()).fillna(0).astype(int)
    frame["treated"] = ((cohort > 0) & (frame["year"] >= cohort)).astype(float)  # once in, always in
    cell = cohort.astype(str) + "_" + frame["year"].astype(str)
    frame["cell"] = cell.where(frame["treated"] == 1, "never")
    return frame


@pytest.mark.parametrize(("ssc", "se"), QUOTED["se"].items())
def test_one_effect_for_all(panel, ssc, se):
    e = ppml(f"trade ~ treated | {EFFECTS}", panel, vcov=cluster("pair"), ssc=ssc)
    assert e.nobs == QUOTED["nobs"]
    assert e.coef["treated"] == pytest.approx(QUOTED["treated"], abs=HALF)
    assert e.se["treated"] == pytest.approx(se, abs=HALF)
    if ssc == "stata":  # pyfixest again; it absorbs effects iteratively
        theirs = RERUN["one"]["terms"]["treated"]
        np.testing.assert_allclose([e.coef["treated"], e.se["treated"]], theirs, rtol=1e-7)


@pytest.fixture(scope="module")
def by_cells(panel):
    return ppml(f"trade ~ i(cell, ref='never') | {EFFECTS}", panel, vcov=cluster("pair"), ssc="stata")


def test_one_effect_for_each_cell(panel, by_cells):
    size = panel.groupby("cell").size()
    weight = size[[name.split("::")[1] for name in by_cells.coef.index]].to_numpy(float)
    weight /= weight.sum()
    assert len(weight) == CELLS["count"]
    average = [weight @ by_cells.coef, np.sqrt(weight @ by_cells.vcov.to_numpy() @ weight)]
    assert average[0] == pytest.approx(CELLS["average"], abs=HALF)
    np.testing.assert_allclose(average, RERUN["cells"]["average"], rtol=1e-7)
    for ssc, quoted in CELLS["se"].items():
        se = np.sqrt(weight @ with_vcov(by_cells, panel, cluster("pair"), ssc=ssc).vcov.to_numpy() @ weight)
        assert se == pytest.approx(quoted, abs=HALF), ssc
    assert by_cells.facts["largest_relative_score"] < 1e-8


def test_cells_as_effects_are_the_same(panel, by_cells):
    """The other way to estimate them, by a solver that shares nothing with the first but the starting point."""
    e = ppml(f"trade ~ 1 | {EFFECTS} + cell", panel, vcov=cluster("pair"))
    assert e.facts["path"] == "general"
    effects = e.fixed_effects()["cell"]
    coef = effects.drop("never") - effects["never"]
    np.testing.assert_allclose(by_cells.coef, coef[[n.split("::")[1] for n in by_cells.coef.index]], atol=1e-9)
