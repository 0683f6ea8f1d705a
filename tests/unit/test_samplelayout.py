"""Parts of a sample in the layout of the sample: the same numbers as in one of their own, on the fast path however few."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cyber_trade_econ as cte
from cyber_trade_econ import cores
from cyber_trade_econ import design as designs
from cyber_trade_econ.fit import Options
from cyber_trade_econ.formula import parse
from cyber_trade_econ.hdfe import blocks, poisson
from cyber_trade_econ.hdfe.factor import Factor, chosen, compact
from cyber_trade_econ.hdfe.samplelayout import SampleLayout
from cyber_trade_econ.inference.bootstrap import solved
from cyber_trade_econ.inference.existing import existing
from cyber_trade_econ.inference.refit import Refit
from cyber_trade_econ.simulate import heavy_world

if TYPE_CHECKING:
    import pandas as pd

EFFECTS = {
    "three-way": "exporter^year + importer^year + pair",
    "by sector": "exporter^year^sector + importer^year^sector + pair^sector",
    "pairs across sectors": "exporter^year^sector + importer^year^sector + pair",
    "two-way": "exporter^year + importer^year",
}


def world(seed: int, sectors: int = 1, absent: float = 0.0) -> pd.DataFrame:
    """A panel in random order, its rows weighted."""
    frame = heavy_world(11, 6, sectors=sectors, zeros=0.2, domestic=0.5, absent=absent, seed=seed)
    rng = np.random.default_rng(seed)
    return frame.assign(z=rng.normal(size=len(frame)), size=rng.uniform(0.3, 3, len(frame))).sample(
        frac=1, random_state=seed, ignore_index=True
    )


def design_of(frame: pd.DataFrame, effects: str) -> designs.Design:
    design = designs.build(parse(f"trade ~ agreement + z | {EFFECTS[effects]}"), frame, weights="size")
    return existing(design)[0]


def without(frame: pd.DataFrame, what: str, rng: np.random.Generator) -> np.ndarray:
    """Mark the rows of the frame that are left."""
    if what == "some pairs":
        return ~frame["pair"].isin(rng.choice(frame["pair"].unique(), int(frame["pair"].nunique() * 0.37))).to_numpy()
    if what == "many rows":
        return rng.random(len(frame)) < 0.55
    if what == "nothing":
        return np.ones(len(frame), dtype=bool)
    return (frame[what] != frame[what].iloc[0]).to_numpy()


SECTORS = {"three-way": 1, "two-way": 1, "by sector": 3, "pairs across sectors": 3}
PARTS = ["some pairs", "many rows", "exporter", "importer", "year", "pair", "sector", "nothing"]


@pytest.mark.parametrize(
    ("effects", "what"), [(e, w) for e in EFFECTS for w in PARTS if w != "sector" or SECTORS[e] > 1]
)
def test_a_part_is_fitted_as_from_scratch(effects, what):
    frame = world(3, SECTORS[effects])
    whole = design_of(frame, effects)
    sample = SampleLayout.of(list(whole.factors.values()), whole.rows)
    assert sample.layout is not None
    mask = without(frame, what, np.random.default_rng(5))[whole.rows]
    part, _ = existing(whole.keep(mask, {}))
    assert (len(part.y) < len(whole.y)) == (what != "nothing")
    one = np.ones(part.k)
    got, alone = cores.by_poisson(part, one, 1e-8, sample), cores.by_poisson(part, one, 1e-8)
    assert got.facts["path"] == "gravity"
    general = poisson.fit(part.y, part.X, list(part.factors.values()), part.w, part.offset, tol=1e-12)
    for other in (alone, general):
        np.testing.assert_array_equal(got.kept, other.kept)
        # Each converges until the next step moves no index by 1e-9, quadratically: to about 1e-12.
        np.testing.assert_allclose(got.beta, other.beta, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(got.root @ got.root.T, other.root @ other.root.T, rtol=1e-8)
    np.testing.assert_allclose(part.y - got.residual, general.mu, rtol=1e-7, atol=1e-12 * part.y.max())
    index = part.offset + part.X @ got.beta
    for effect, factor in zip(got.effects, part.factors.values(), strict=True):
        index += effect[factor.codes]
    np.testing.assert_allclose(np.exp(index), general.mu, rtol=1e-7, atol=1e-12 * part.y.max())
    linear = [cores.by_least_squares(part, one, intercept=False, sample=s) for s in (sample, None)]
    assert linear[0].facts["path"] == "gravity"
    np.testing.assert_allclose(linear[0].beta, linear[1].beta, rtol=1e-10)
    np.testing.assert_allclose(linear[0].residual, linear[1].residual, atol=1e-9 * part.y.max())


@given(st.integers(0, 10_000), st.floats(0.05, 1), st.integers(1, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_cells_and_corners_are_those_of_the_rows_kept(seed, share, sectors, joined):
    rng = np.random.default_rng(seed)
    s, e, i, t = (v.ravel() for v in np.indices((sectors, 6, 5, 4)))
    some = np.flatnonzero(rng.random(len(s)) < 0.9)
    s, e, i, t = (v[some] for v in (s, e, i, t))
    codes = [(s * 6 + e) * 4 + t, (s * 5 + i) * 4 + t, e * 5 + i if joined else (s * 6 + e) * 5 + i]
    factors = [compact(c) for c in codes]
    layout = blocks.detect(factors)
    assert layout is not None
    rows = np.flatnonzero(rng.random(len(some)) < share)
    again = [chosen(f, rows) for f in factors]
    part = layout.restricted(rows, again)
    np.testing.assert_array_equal(part.cells, layout.cells[rows])
    assert (part.boxes, part.sizes, part.roles) == (layout.boxes, layout.sizes, layout.roles)
    for role, before, after in zip(layout.roles, layout.corners, part.corners, strict=True):
        assert len(after) == again[role].levels  # a level without a row has no corner
        np.testing.assert_array_equal(after[again[role].codes], before[factors[role].codes[rows]])


def test_rows_without_the_layout_of_a_sample_have_none_and_few_rows_have_one():
    frame = world(1)
    design = design_of(frame, "three-way")
    effects = list(design.factors.values())
    rows = np.flatnonzero(np.random.default_rng(0).random(len(design.y)) < 0.2)
    few = [chosen(f, rows) for f in effects]
    assert blocks.find(few) is None
    sample = SampleLayout.of(effects, design.rows)
    assert isinstance(sample.within(few, design.rows[rows]), blocks.Blocks)
    assert sample.within(effects, design.rows) is sample.layout
    none = SampleLayout.of(effects[:1], design.rows)
    assert none.within([chosen(effects[0], rows)], design.rows[rows]) is none.layout is None
    slope = designs.build(parse("trade ~ z | exporter^year + pair[year]", slopes=True), frame)
    assert SampleLayout.of(list(slope.factors.values()), slope.rows).layout is None


def test_parts_that_share_nothing_get_sheets_of_their_own():
    e, i = (v.ravel() for v in np.indices((24, 24)))
    factors = [Factor(e, 24), Factor(i, 24)]
    sample = SampleLayout.of(factors, np.arange(len(e)))
    rows = np.flatnonzero((e < 12) == (i < 12))
    part = sample.within([chosen(f, rows) for f in factors], rows)
    assert isinstance(part, blocks.Sheets)
    assert [sheet.shape for sheet in part.sheets] == [(12, 12)] * 2
    diagonal = np.flatnonzero((e - i) % 24 < 2)  # a ring: one cell in twelve
    part = sample.within([chosen(f, diagonal) for f in factors], diagonal)
    assert [sheet.shape for sheet in part.sheets] == [(24, 24)]
    assert blocks.find([chosen(f, diagonal) for f in factors]) is None  # alone it would not pay


def drawn(estimate, frame, *, seed: int, draws: int) -> list[cores.Core]:
    """Bootstrap by hand, each draw by the path that it takes alone."""
    design = designs.build(parse(estimate.formula), frame, clusters=("pair",))
    design = existing(design)[0]
    group = design.groups["pair"]
    out = []
    for child in np.random.SeedSequence(seed).spawn(draws):
        times = np.bincount(
            np.random.default_rng(child).integers(group.levels, size=group.levels), minlength=group.levels
        )
        weight = times[group.codes]
        part, _ = existing(replace(design, w=design.w * weight).keep(weight > 0, {}))
        out.append(Options().poisson(part))
    return out


@pytest.mark.parametrize("absent", [0.0, 0.6])
def test_bootstrap_draws_are_refits_from_scratch(absent, monkeypatch):
    monkeypatch.setattr(
        blocks, "SMALLEST_FILL", 0.3
    )  # so small a world with most pairs absent has more, most draws less
    frame = world(2, absent=absent)
    estimate = cte.ppml(f"trade ~ agreement + z | {EFFECTS['three-way']}", frame, vcov=cte.cluster("pair"))
    want = drawn(estimate, frame, seed=4, draws=6)
    assert ("general" in {core.facts["path"] for core in want}) == (absent > 0)
    paths, searches = [], []
    fit, find = cores.by_poisson, blocks.find

    def watched(*given):
        core = fit(*given)
        paths.append(core.facts["path"])
        return core

    monkeypatch.setattr(cores, "by_poisson", watched)
    monkeypatch.setattr("cyber_trade_econ.hdfe.samplelayout.find", lambda f: searches.append(len(f)) or find(f))
    got = cte.bootstrap(estimate, frame, "pair", draws=6, seed=4)
    assert got.facts["lost"] == {}
    np.testing.assert_allclose(got.draws, [core.beta for core in want], rtol=1e-10, atol=1e-10)  # as above
    assert paths == ["gravity"] * 6
    assert searches == [3]


def test_placebo_draws_use_the_layout_as_it_is():
    frame = world(6)
    design = design_of(frame, "three-way")
    solver = Refit.of(Options(), design)
    rng = np.random.default_rng(0)
    for _ in range(3):
        moved = design.having(np.column_stack([rng.permutation(design.X[:, 0]), design.X[:, 1]]))
        assert solver.sample.within(list(moved.factors.values()), moved.rows) is solver.sample.layout
        draw = solved(solver, moved, exponential=True)
        assert not draw.separated
        # Nothing differs from a fit alone: the layout is the one it finds.
        np.testing.assert_array_equal(draw.beta, Options().poisson(moved).beta)
