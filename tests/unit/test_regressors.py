"""Regressors that are lists of entries, and what effects leave of them, against the same columns written out."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ import memory
from cyber_trade_econ.design import build
from cyber_trade_econ.errors import Collinear, NotConverged
from cyber_trade_econ.formula import parse
from cyber_trade_econ.hdfe import blocks, gravity_linear, independence, leastsquares, linear, listed_linear
from cyber_trade_econ.hdfe import net as of_effects
from cyber_trade_econ.hdfe.absorb import Layout
from cyber_trade_econ.hdfe.factor import compact
from cyber_trade_econ.hdfe.kernels import NUMPY
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.hdfe.regressors import FEWEST, Regressors, listed
from cyber_trade_econ.hdfe.separation import separated
from cyber_trade_econ.inference import few_clusters
from cyber_trade_econ.inference.conventions import Dyadic, convention
from cyber_trade_econ.inference.covariance import NetScores, sandwich

ROUNDING = {"rtol": 1e-12, "atol": 1e-12}  # sums of a few hundred numbers of size one


@pytest.fixture
def mixed() -> tuple[Regressors, np.ndarray]:
    """Ten listed columns, some of them with several entries in a row, between three that are not."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(300, 13))
    rare = np.ones(13, dtype=bool)
    rare[[0, 4, 12]] = False
    X[:, rare] *= rng.random((300, 10)) < 0.06
    return listed(X), X


def test_columns_are_what_they_were(mixed):
    columns, X = mixed
    assert columns.rare.sum() == 10
    assert columns.shape == X.shape
    assert columns.full.shape == (300, 3)
    assert len(columns.value) == np.count_nonzero(X[:, columns.rare])
    np.testing.assert_array_equal(columns.whole(), X)
    np.testing.assert_array_equal(columns.sizes(), np.abs(X).max(axis=0))
    for values, column in zip(columns.values(), X.T, strict=True):
        np.testing.assert_array_equal(np.sort(values[values != 0]), np.sort(column[column != 0]))


def test_rows_and_columns_are_chosen_as_from_a_matrix(mixed):
    columns, X = mixed
    rows = np.array([7, 7, 299, 0, 55])
    np.testing.assert_array_equal(columns.rows(rows), X[rows])
    np.testing.assert_array_equal(columns.rows(slice(10, 40, 3)), X[10:40:3])
    some = np.flatnonzero(np.arange(300) % 3)
    np.testing.assert_array_equal(columns.kept(some).whole(), X[some])
    mask = np.arange(13) % 4 != 1
    np.testing.assert_array_equal(columns.chosen(mask).whole(), X[:, mask])
    np.testing.assert_array_equal(
        columns.chosen(mask).kept(some).rows(rows[rows < 200]), X[some][rows[rows < 200]][:, mask]
    )
    assert columns.chosen(np.ones(13, dtype=bool)) is columns


def test_columns_that_somebody_wrote_out_are_listed(mixed):
    columns, X = mixed
    sifted = listed(Regressors.plain(X))
    np.testing.assert_array_equal(sifted.rare, columns.rare)
    np.testing.assert_array_equal(sifted.whole(), X)
    assert listed(columns) is columns  # control: nothing to do


def test_columns_without_zeros_are_not_listed():
    X = np.random.default_rng(0).normal(size=(50, 20))
    assert not listed(X).rare.any()
    assert listed(X).whole() is X
    X[:, : FEWEST - 1] = 0.0
    assert not listed(X).rare.any()
    X[:, :FEWEST] = 0.0
    assert listed(X).rare.sum() == FEWEST


@pytest.fixture
def net(mixed) -> Net:
    rng = np.random.default_rng(8)
    factors = [compact(rng.integers(0, levels, 300)) for levels in (9, 14, 40)]
    return Net(mixed[0], factors, [rng.normal(size=(f.levels, 13)) * mixed[0].rare for f in factors])


@pytest.mark.parametrize("stretch", [of_effects._STRETCH, 64, 1])
def test_sums_of_regressors_net_of_effects(net, stretch, monkeypatch):
    monkeypatch.setattr(of_effects, "_STRETCH", stretch)  # the 300 rows at once, in stretches with a rest, one by one
    written = net.columns.whole()
    written -= sum(e[f.codes] for e, f in zip(net.effects, net.factors, strict=True))
    rng = np.random.default_rng(3)
    weight, onto, group = rng.random(300), rng.normal(size=(13, 4)), compact(rng.integers(0, 23, 300))
    np.testing.assert_allclose(net.whole(), written, **ROUNDING)
    np.testing.assert_allclose(net.products(weight), written.T @ (weight[:, None] * written), **ROUNDING)
    np.testing.assert_allclose(net.sums(group, weight), group.sums(weight[:, None] * written), **ROUNDING)
    squares = group.sums(weight[:, None] * (written @ onto) ** 2)
    np.testing.assert_allclose(net.squares(group, weight, onto), squares, **ROUNDING)
    dense = few_clusters.counted(written, onto, weight, group)
    for one, other in zip(few_clusters.counted(net, onto, weight, group), dense, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)  # ratios of the sums above


@pytest.mark.parametrize("vcov", ["hetero", cte.cluster("a"), cte.cluster("a", "b"), Dyadic("a", "b")])
def test_covariances_are_those_of_scores_written_out(net, vcov):
    rng = np.random.default_rng(4)
    weight, root = rng.normal(size=300), rng.normal(size=(13, 13)) / 4
    groups = {name: compact(rng.integers(0, 21, 300)) for name in "ab"}
    rule = convention(None, "PPML", vcov)
    scores = (net.whole() * weight[:, None]) @ root
    lazy = sandwich(root, NetScores(net, weight, root, float(np.sum(scores**2))), vcov, groups, rule, 13, sigma2=1.0)
    written = sandwich(root, scores, vcov, groups, rule, 13, sigma2=1.0)
    scale = np.sqrt(np.diag(written.matrix))
    np.testing.assert_allclose(lazy.matrix / np.outer(scale, scale), written.matrix / np.outer(scale, scale), atol=1e-9)
    assert lazy.notes == written.notes


FORMULAS = {
    "cells": ("y ~ i(cell)", lambda d, v: d["cell"].eq(v)),
    "interacted": ("y ~ i(cell):x", lambda d, v: d["cell"].eq(v) * d["x"]),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_indicators_are_listed_and_right(case):
    formula, column = FORMULAS[case]
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"y": rng.random(400), "cell": rng.integers(0, 30, 400), "x": rng.normal(size=400), "p": 1})
    data["cell"] = data["cell"].where(rng.random(400) < 0.7, 0)  # the reference is no cell
    design = build(parse(formula + " | p"), data)
    held = [int(name.split("::")[1].split(":")[0]) for name in design.names]
    assert design.regressors.rare.sum() == 29
    np.testing.assert_array_equal(design.X, np.column_stack([column(data, v) for v in held]))


def test_two_categories_and_what_is_missing():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.random(600), "a": rng.integers(0, 8, 600), "b": rng.integers(0, 5, 600), "p": 0})
    data["x"] = rng.normal(size=600)
    data.loc[5, "x"] = np.nan
    design = build(parse("y ~ i(a):i(b):x | p"), data)
    kept = data.drop(index=5)
    for name, values in zip(design.names, design.X.T, strict=True):
        a, b = (int(name.split(f"{part}::")[1].split(":")[0]) for part in "ab")
        np.testing.assert_array_equal(values, kept["x"].where(kept["a"].eq(a) & kept["b"].eq(b), 0.0))
    assert design.dropped == {"missing: x": 1}


def test_cells_are_never_written_out_and_change_no_digit():
    """The same columns, listed as categories and written out by the user, on the path of gravity panels."""
    rng = np.random.default_rng(12)
    grid = pd.MultiIndex.from_product([range(12), range(12), range(9)], names=["e", "i", "t"]).to_frame(index=False)
    data = grid.assign(pair=grid["e"] * 12 + grid["i"], et=grid["e"] * 9 + grid["t"], it=grid["i"] * 9 + grid["t"])
    since = rng.integers(3, 12, 144)[data["pair"]]
    data["cell"] = np.where(data["t"] >= since, 100 * since + data["t"], 0)
    data["y"] = np.exp(rng.normal(size=len(data)) + 0.2 * (data["cell"] > 0)) * (rng.random(len(data)) > 0.3)
    terms = [v for v in sorted(data["cell"].unique()) if v]
    for value in terms:
        data[f"c{value}"] = data["cell"].eq(value).astype(float)
    ours = cte.ppml("y ~ i(cell, ref=0) | et + it + pair", data, vcov=cte.cluster("pair"))
    # a column that is not zero anywhere is no candidate for a list: half of the cells go with it
    shifted = data.assign(**{f"c{v}": data[f"c{v}"] + 1.0 for v in terms})
    formula = "y ~ " + " + ".join(f"c{v}" for v in terms) + " | et + it + pair"
    theirs = cte.ppml(formula, shifted, vcov=cte.cluster("pair"))
    assert ours.facts["path"] == theirs.facts["path"] == "gravity"
    size = theirs.se.to_numpy()
    np.testing.assert_allclose(ours.coef.to_numpy() / size, theirs.coef.to_numpy() / size, atol=1e-8)
    np.testing.assert_allclose(ours.se.to_numpy(), size, rtol=1e-7)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sectors", [1, 2])
def test_least_squares_with_cells_that_are_never_written_out(weighted, sectors):
    """Against the same columns written out, on the path of gravity panels and on the general one."""
    rng = np.random.default_rng(21)
    grid = pd.MultiIndex.from_product(
        [range(sectors), range(12), range(11), range(9)], names=["s", "e", "i", "t"]
    ).to_frame(index=False)
    e, i = grid["s"] * 12 + grid["e"], grid["s"] * 11 + grid["i"]
    data = grid.assign(pair=e * 11 + grid["i"], et=e * 9 + grid["t"], it=i * 9 + grid["t"])
    since = rng.integers(3, 13, 300)[data["pair"]]
    data["cell"] = np.where(data["t"] >= since, 100 * since + data["t"], 0)
    data["x"], data["w"] = rng.normal(size=len(data)), rng.uniform(0.2, 3, len(data))
    data["y"] = rng.normal(size=len(data)) + 0.3 * (data["cell"] > 0) + data["x"] + data["pair"] / 9
    data = data[rng.random(len(data)) < 0.9]
    design = build(parse("y ~ i(cell, ref=0) + x | et + it + pair"), data, weights="w" if weighted else None)
    layout, factors = blocks.detect(list(design.factors.values())), list(design.factors.values())
    assert layout is not None
    assert len(layout.boxes) == sectors
    ours = listed_linear.fit(design.y, design.regressors, design.w, factors=factors, blocks=layout, kernels=NUMPY)
    theirs = linear.fit(design.y, design.X, factors, design.w)
    assert design.regressors.rare.sum() == len(design.names) - 1 == 21
    np.testing.assert_allclose(ours.beta, theirs.beta, atol=1e-10)  # outcomes of size one
    np.testing.assert_allclose(ours.residual, theirs.residual, atol=1e-9)
    np.testing.assert_allclose(ours.within.whole(), theirs.within, atol=1e-8)
    np.testing.assert_allclose(ours.root @ ours.root.T, theirs.root @ theirs.root.T, rtol=1e-8, atol=1e-12)
    assert ours.within_total == pytest.approx(theirs.within_total, rel=1e-10)
    fitted = design.X @ ours.beta + sum(e[f.codes] for e, f in zip(ours.effects, factors, strict=True))
    np.testing.assert_allclose(fitted + ours.residual, design.y, atol=1e-9)
    estimate = cte.ols("y ~ i(cell, ref=0) + x | et + it + pair", data, weights="w" if weighted else None)
    assert estimate.facts["path"] == "gravity"
    np.testing.assert_array_equal(estimate.coef.to_numpy(), ours.beta)


def test_least_squares_with_collinear_cells_names_them():
    rng = np.random.default_rng(3)
    grid = pd.MultiIndex.from_product([range(10), range(10), range(8)], names=["e", "i", "t"]).to_frame(index=False)
    data = grid.assign(pair=grid["e"] * 10 + grid["i"], et=grid["e"] * 8 + grid["t"], it=grid["i"] * 8 + grid["t"])
    data["cell"] = np.where((data["e"] == 3) | (rng.random(len(data)) < 0.2), 1 + data["et"] % 23, 0)
    data.loc[data["e"] == 3, "cell"] = 100 + data["t"]  # an exporter-time each
    data["y"] = rng.normal(size=len(data))
    formula = "y ~ i(cell, ref=0) | et + it + pair"
    with pytest.raises(Collinear, match="cell::100: constant within every level of et"):
        cte.ols(formula, data)
    dropped = cte.ols(formula, data, collinear="drop")
    assert dropped.facts["collinear"] == [f"cell::{100 + t}" for t in range(8)]


@pytest.mark.parametrize("estimator", [cte.ppml, cte.ols])
def test_a_fit_holds_less_than_the_columns_of_its_cells(estimator, monkeypatch):
    rng = np.random.default_rng(9)
    grid = pd.MultiIndex.from_product([range(36), range(36), range(60)], names=["e", "i", "t"]).to_frame(index=False)
    data = grid.assign(pair=grid["e"] * 36 + grid["i"], et=grid["e"] * 60 + grid["t"], it=grid["i"] * 60 + grid["t"])
    data["cell"] = np.where(rng.random(len(data)) < 0.5, rng.integers(1, 301, len(data)), 0)
    data["y"] = rng.random(len(data))
    estimated = []
    monkeypatch.setattr(memory, "require", lambda needed, _what, _fix: estimated.append(needed))
    tracemalloc.start()
    estimate = estimator("y ~ i(cell, ref=0) | et + it + pair", data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    written = build(parse("y ~ i(cell, ref=0) | et + it + pair"), data).X
    _, control = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert estimate.facts["path"] == "gravity"
    assert written.shape == (len(data), 300)
    assert control > written.nbytes  # what is written out is seen here
    assert 0.3 * peak < estimated[0] < peak < 0.75 * written.nbytes


@pytest.mark.parametrize("seed", range(6))
def test_independent_columns_are_those_of_the_columns_written_out(seed):
    """Columns that are zero, sums of effects, sums of others, and others but for shares of a length of 1e-6 and 1e-12."""
    rng = np.random.default_rng(seed)
    n = 400
    factors = [compact(rng.integers(0, levels, n)) for levels in (7, 25)]
    X = rng.normal(size=(n, 16)) * (rng.random((n, 16)) < 0.03)
    X[:, 3] = 0.0
    X[:, 5] = X[:, 1] - 2 * X[:, 2]
    X[:, 8] = factors[1].codes == 4
    X[:, 11] = X[:, 4] + 1e-6 * rng.normal(size=n) * (rng.random(n) < 0.03)
    X[:, 13] = X[:, 6] + 1e-12 * rng.normal(size=n) * (rng.random(n) < 0.03)
    X[:, 14] = rng.normal(size=n)
    w = rng.uniform(0.3, 2, n)
    columns = listed(X)
    assert columns.rare.sum() == 15
    projector = Layout(factors).weighted(w)
    written, effects = projector.absorb(X.copy())
    full = written[:, ~columns.rare]
    net = Net(replace(columns, full=full), factors, [e * columns.rare for e in effects])
    lengths = leastsquares.weighted_lengths(X, w)
    found = independence.independent(
        net, written.T @ (w[:, None] * written), w, lengths, lambda column: projector.absorb(column[:, None])[0][:, 0]
    )
    np.testing.assert_array_equal(found, leastsquares.independent(written, w, lengths))
    np.testing.assert_array_equal(np.flatnonzero(~found), [3, 5, 8, 13])


@pytest.mark.parametrize("estimator", [cte.ppml, cte.ols])
def test_columns_that_fall_out_are_found_without_writing_the_others_out(estimator, monkeypatch):
    rng = np.random.default_rng(10)
    grid = pd.MultiIndex.from_product([range(16), range(16), range(9)], names=["e", "i", "t"]).to_frame(index=False)
    data = grid.assign(pair=grid["e"] * 16 + grid["i"], et=grid["e"] * 9 + grid["t"], it=grid["i"] * 9 + grid["t"])
    data["cell"] = np.where(rng.random(len(data)) < 0.5, rng.integers(1, 61, len(data)), 0)
    data.loc[data["e"] == 2, "cell"] = 100 + data["t"]  # each is an exporter-time
    data["y"] = np.exp(rng.normal(size=len(data))) * (rng.random(len(data)) < 0.8)
    data.loc[data["cell"] == 7, "y"] = 0.0  # under PPML these rows are separated and the cell is empty
    control = estimator("y ~ i(cell, ref=0) | et + it + pair", data, collinear="drop")
    gone = [f"cell::{100 + t}" for t in range(9)]
    assert control.facts["collinear"] == (["cell::7", *gone] if estimator is cte.ppml else gone)
    monkeypatch.setattr(Regressors, "whole", lambda self: written(self, at_most=10))
    again = estimator("y ~ i(cell, ref=0) | et + it + pair", data, collinear="drop")
    pd.testing.assert_series_equal(again.coef, control.coef)
    with pytest.raises(Collinear, match="9 regressor"):  # the cell that is separated has no estimate and is no error
        estimator("y ~ i(cell, ref=0) | et + it + pair", data)


def written(columns: Regressors, at_most: int) -> np.ndarray:
    assert columns.shape[1] <= at_most
    return columns.rows(slice(None))


@pytest.mark.parametrize("seed", range(8))
def test_separation_does_not_depend_on_how_columns_are_kept(lp_oracle, seed):
    """Cells of which some have no positive row, some are collinear and some are combinations that separate."""
    rng = np.random.default_rng(seed)
    grid = pd.MultiIndex.from_product([range(8), range(8), range(7)], names=["e", "i", "t"]).to_frame(index=False)
    codes = (grid["e"] * 8 + grid["i"], grid["e"] * 7 + grid["t"], grid["i"] * 7 + grid["t"])
    factors = [compact(c.to_numpy()) for c in codes]
    n = len(grid)
    X = (rng.random((n, 14)) < 0.05).astype(float)
    y = rng.random(n) * (rng.random(n) < 0.8)
    y[X[:, 2] > 0] = 0.0
    X[:, 5] = X[:, 3] + X[:, 4]
    X[:, 9] = (factors[1].codes == 5) * 1.0
    X[:, 11] = X[:, 7] * 2 - X[:, 8] + 3.0 * ((rng.random(n) < 0.5) & (y == 0) & (rng.random(n) < 0.05))
    columns = listed(X)
    assert columns.rare.sum() >= 12
    found = separated(y, columns, factors)
    assert (found == separated(y, X, factors)).all()
    assert found[X[:, 2] > 0].all()
    dummies = np.column_stack([np.eye(f.levels)[f.codes] for f in factors])
    np.testing.assert_array_equal(found, lp_oracle(y, np.column_stack([X, dummies])))


@pytest.fixture
def panel():
    """A gravity panel with twelve listed columns before one that is written out, and its effects."""
    rng = np.random.default_rng(17)
    e, i, t = (a.ravel() for a in np.indices((8, 9, 7)))
    factors = [compact(e * 9 + i), compact(e * 7 + t), compact(i * 7 + t)]
    n = len(t)
    X = np.column_stack([rng.normal(size=(n, 12)) * (rng.random((n, 12)) < 0.03), rng.normal(size=n)])
    return X, factors, rng


def fit_both(y, X, w, factors, stretch=1.0):
    layout, columns = blocks.detect(factors), listed(X)
    assert columns.rare.sum() == 12
    ours = listed_linear.fit(y, columns, w, factors=factors, blocks=layout, kernels=NUMPY, stretch=stretch)
    return ours, linear.fit(y, X, factors, w, stretch)


def written_out(y, X, w, factors):
    """Fit with the columns written out, which is how nearly collinear ones must be fitted."""
    layout = blocks.detect(factors)
    with pytest.raises(NotConverged, match="nearly collinear"):
        listed_linear.fit(y, listed(X), w, factors=factors, blocks=layout, kernels=NUMPY)
    return gravity_linear.fit(y, X, factors, w, layout=layout), linear.fit(y, X, factors, w)


def test_least_squares_keep_the_digits_that_cross_products_lose(panel):
    """A column that others reproduce but for a millionth: its coefficient is a million million roundings of a product off."""
    X, factors, rng = panel
    X[:, 9] = X[:, 3] - X[:, 5] + 1e-6 * X[:, 9]
    beta = 1.0 + rng.random(13)
    y = X @ beta + sum(rng.normal(size=f.levels)[f.codes] for f in factors)
    ours, theirs = written_out(y, X, np.ones(len(X)), factors)
    # Rounding of rows of size one, 1e-16, over a millionth is 1e-10; without a look at the rows it was 6e-4.
    np.testing.assert_allclose(ours.beta, beta, atol=1e-7)
    np.testing.assert_allclose(theirs.beta, beta, atol=1e-7)  # control


def test_columns_that_were_longer_before_they_were_centred_are_collinear_sooner(panel):
    X, factors, rng = panel
    stretch = np.ones(13)
    stretch[[2, 12]], stretch[[4, 7]] = 1e12, 1e2  # of these, rounding is left, and enough
    y = rng.normal(size=len(X))
    ours, theirs = fit_both(y, X, np.ones(len(X)), factors, stretch)
    np.testing.assert_array_equal(ours.kept, theirs.kept)
    np.testing.assert_array_equal(np.flatnonzero(~ours.kept), [2, 12])
    np.testing.assert_allclose(ours.beta, theirs.beta, atol=1e-10)  # outcomes and regressors of size one
    assert fit_both(y, X, np.ones(len(X)), factors)[0].kept.all()  # control


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_what_is_collinear_does_not_depend_on_the_unit_of_weights(panel, unit):
    """A share of a length of 1e-9 decides; near it, the general solver does."""
    X, factors, rng = panel
    own, y, w = X[:, 9].copy(), rng.normal(size=len(X)), unit * rng.uniform(0.5, 1.5, len(X))
    X[:, 9] = X[:, 3] - X[:, 5] + 1e-11 * own
    ours, theirs = fit_both(y, X, w, factors)
    np.testing.assert_array_equal(ours.kept, theirs.kept)
    assert np.flatnonzero(~ours.kept).tolist() == [9]
    layout = blocks.detect(factors)
    independent = listed_linear.independent_columns(listed(X), w, factors=factors, blocks=layout)
    np.testing.assert_array_equal(independent, theirs.kept)
    fitted = (np.asarray(X[:, ours.kept] @ fit.beta) for fit in (ours, theirs))
    np.testing.assert_allclose(*fitted, atol=1e-10)
    X[:, 9] = X[:, 3] - X[:, 5] + 1e-8 * own
    with pytest.raises(NotConverged, match="nearly collinear"):
        listed_linear.independent_columns(listed(X), w, factors=factors, blocks=layout)
    with pytest.raises(NotConverged, match="nearly collinear"):
        gravity_linear.fit(y, X, factors, w, layout=layout)
    assert linear.fit(y, X, factors, w).kept.all()


@pytest.mark.parametrize("cells", [4, 30])
def test_predictions_miss_what_a_term_misses_on_any_row(cells):
    """The column of a level times a number that is missing is missing on rows of other levels too, listed or written out."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"c": rng.integers(0, cells, 900), "x": rng.normal(size=900)})
    data["y"] = data["x"] * data["c"] + rng.normal(size=900)
    estimate = cte.ols("y ~ i(c, ref=0):x", data)
    some = data.head(40).assign(c=np.arange(40) % cells)
    full = estimate.predict(some)
    assert full.notna().all()  # control
    some.loc[[3, cells], "x"] = np.nan  # of which the second is in the reference: it is in no column
    some.loc[[5], "c"] = -1  # never seen
    missed = estimate.predict(some)
    assert missed.index[missed.isna()].tolist() == sorted({3, 5, cells})
    pd.testing.assert_series_equal(missed.dropna(), full.drop(index=[3, 5, cells]), rtol=1e-12)  # sums of 30 numbers


@pytest.mark.parametrize("cells", [4, 30])
def test_a_constant_comes_first_whatever_is_listed(cells):
    rng = np.random.default_rng(9)
    data = pd.DataFrame({"c": rng.integers(0, cells, 900), "x": rng.normal(size=900)})
    data["y"] = 5.0 + data["x"] + data["c"] / 3 + rng.normal(size=900)
    design = build(parse("y ~ x + i(c, ref=0)"), data)
    assert design.regressors.rare.sum() == (29 if cells == 30 else 0)
    written = np.column_stack([np.ones(900), data["x"], *(data["c"].eq(v) for v in range(1, cells))])
    np.testing.assert_array_equal(design.X, written)
    estimate = cte.ols("y ~ x + i(c, ref=0)", data)
    assert list(estimate.coef.index[:2]) == list(design.names[:2])
    beta = np.linalg.lstsq(written, data["y"])[0]
    np.testing.assert_allclose(estimate.coef, beta, rtol=1e-9, atol=1e-10)  # dummies of 30 rows: a condition of ten
    np.testing.assert_allclose(estimate.predict(data.head(30)), written[:30] @ beta, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("noise", [1e-3, 1e-5, 1e-7])
def test_cells_that_are_nearly_collinear_are_fitted_as_exactly_as_columns(noise):
    """Each cell times a number that hardly varies: what effects leave of it is the variation."""
    rng = np.random.default_rng(0)
    grid = pd.MultiIndex.from_product([range(8), range(8), range(6)], names=["e", "i", "t"]).to_frame(index=False)
    grid["pair"], n = grid["e"] * 8 + grid["i"], len(grid)
    grid["cell"] = np.where(rng.random(n) < 0.12, rng.integers(5, 10, n), 0)
    for c in range(4):
        grid.loc[(grid["e"] == c) & (grid["t"] == c), "cell"] = c + 1
    grid["z"], grid["y"] = 1 + noise * rng.normal(size=n), rng.normal(size=n)
    e = cte.ols("y ~ i(cell, ref=0):z | e^t + i^t + pair", grid, vcov="hetero", ssc="none")
    X = np.column_stack([(grid["cell"] == c) * grid["z"] for c in range(1, 10)])
    codes = (grid["e"] * 6 + grid["t"], grid["i"] * 6 + grid["t"], grid["pair"])
    basis = np.linalg.svd(np.column_stack([pd.get_dummies(c).to_numpy(float) for c in codes]), full_matrices=False)[0]
    basis = basis[:, : 48 + 48 + 64 - 6 - 8 - 8 + 1]  # rank of the dummies of three crossed effects
    for _ in range(2):
        X = X - basis @ (basis.T @ X)
    bread = np.linalg.pinv(X)
    beta = bread @ grid["y"].to_numpy()
    left = grid["y"].to_numpy() - basis @ (basis.T @ grid["y"].to_numpy()) - X @ beta
    se = np.sqrt(((bread * left) ** 2).sum(axis=1))
    # Rounding of 1e-16 over the variation that is left.
    np.testing.assert_allclose(e.coef, beta, rtol=1e-15 / noise + 1e-9, atol=1e-15 / noise**2)
    np.testing.assert_allclose(e.se, se, rtol=1e-14 / noise + 1e-8)


@pytest.mark.parametrize("spread", [1, 2, 3, 4])
def test_collinear_cells_are_found_under_weights_that_are_far_apart(spread):
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        grid = pd.MultiIndex.from_product([range(8), range(7), range(5)], names=["e", "i", "t"]).to_frame(index=False)
        grid = grid[rng.random(len(grid)) > 0.15].reset_index(drop=True)
        grid["pair"], n = grid["e"] * 10 + grid["i"], len(grid)
        grid["v"], grid["x"], grid["y"] = (
            np.exp(spread * rng.normal(size=n)),
            rng.normal(size=n),
            np.exp(rng.normal(size=n)),
        )
        some = rng.choice(grid["pair"].unique(), 3, replace=False)
        grid["cell"] = np.where(grid["pair"].isin(some), grid["pair"] * 10 + grid["t"], -1)
        e = cte.ols("y ~ x + i(cell, ref=-1) | e^t + i^t + pair", grid, weights="v", collinear="drop")
        codes = (grid["e"] * 5 + grid["t"], grid["i"] * 5 + grid["t"], grid["pair"])
        dummies = np.column_stack([pd.get_dummies(c).to_numpy(float) for c in codes])
        cells = pd.get_dummies(grid["cell"]).drop(columns=-1).to_numpy(float)
        rank = np.linalg.matrix_rank(np.column_stack([dummies, grid["x"], cells])) - np.linalg.matrix_rank(dummies)
        found.append((len(e.coef), rank))
        assert len(e.coef) + len(e.facts["collinear"]) == 1 + cells.shape[1]
    assert all(ours == rank for ours, rank in found)


def test_regressors_that_differ_by_rounding_are_said_to():
    rng = np.random.default_rng(7)
    frame = pd.MultiIndex.from_product([range(9), range(9), range(6)], names=["e", "i", "t"]).to_frame(index=False)
    frame[["x", "z"]] = rng.normal(size=(len(frame), 2))
    frame["y"], noise = np.exp(0.3 * frame["x"] + rng.normal(size=len(frame))), rng.normal(size=len(frame))
    frame["q"] = 2 * frame["x"] - 3 * frame["z"]
    wide = cte.ppml("y ~ x + z + q | e^t + i^t", frame.assign(q=frame["q"] + 1e-3 * noise), vcov="hetero")
    assert len(wide.coef) == 3  # control
    with pytest.raises(NotConverged, match="regressors are collinear but for rounding"):
        cte.ppml("y ~ x + z + q | e^t + i^t", frame.assign(q=frame["q"] + 1e-8 * noise), vcov="hetero")
    with pytest.raises(Collinear, match="q: a combination of"):
        cte.ppml("y ~ x + z + q | e^t + i^t", frame, vcov="hetero")
