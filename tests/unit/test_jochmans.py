"""Jochmans' estimator against its definition rectangle by rectangle, closed forms, invariances, and what it refuses."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

from cyber_trade_econ.errors import Collinear, ConfigError, DuplicateKey, NotConverged, NotIdentified
from cyber_trade_econ.gravity.jochmans import jochmans
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.rectangles import Crossed
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.report.table import table

both = pytest.mark.parametrize("moments", ["gmm1", "gmm2"])
ONE = "y ~ x + z | exporter + importer"
YEARS = "y ~ x + z | exporter^year + importer^year"


def world(exporters=6, importers=6, periods=1, *, seed=1, missing=0.1, noise=0.6, spread=0.4):
    """Gravity flows with multiplicative noise, zeros and gaps."""
    rng = np.random.default_rng(seed)
    e, i, t = (g.ravel() for g in np.meshgrid(*map(np.arange, (exporters, importers, periods)), indexing="ij"))
    a, b = rng.normal(0, spread, (exporters, periods)), rng.normal(0, spread, (importers, periods))
    frame = pd.DataFrame({"exporter": e, "importer": i, "year": 2000 + t, "z": rng.normal(size=len(e))})
    frame["x"] = (rng.normal(size=len(e)) + a[e, t] > 0.2).astype(float)
    mean = np.exp(0.5 * frame["x"] - 0.3 * frame["z"] + a[e, t] + b[i, t])
    error = rng.lognormal(-(noise**2) / 2, noise, len(e)) if noise else 1.0
    frame["y"] = mean * error * ((rng.random(len(e)) > 0.1) / 0.9 if noise else 1.0)
    return frame[rng.random(len(e)) >= missing].reset_index(drop=True)


def complete(frame):
    """Rows of the cells of every complete rectangle, diagonals first: (i, j), (k, l), (i, l), (k, j)."""
    out = []
    for _, cells in frame.groupby("year"):
        at = {(e, i): row for row, e, i in zip(cells.index, cells["exporter"], cells["importer"], strict=True)}
        sides = (combinations(sorted(cells[c].unique()), 2) for c in ("exporter", "importer"))
        for (i, k), (j, m) in product(*sides):
            corners = [(i, j), (k, m), (i, m), (k, j)]
            out += [[at[c] for c in corners]] if all(c in at for c in corners) else []
    return np.array(out)


def each(frame, corners, beta, moments):
    """Moment times double difference of each rectangle, one after the other."""
    x, y = frame[["x", "z"]].to_numpy(), frame["y"].to_numpy()
    out = []
    for i, k, m, j in corners:
        phi = {row: np.exp(x[row] @ beta) for row in (i, k, m, j)}
        gap = y[i] * y[k] / (phi[i] * phi[k]) - y[m] * y[j] / (phi[m] * phi[j])
        if moments == "gmm2":
            gap *= phi[i] * phi[k] * phi[m] * phi[j]
        out.append(gap * (x[i] + x[k] - x[m] - x[j]))
    return np.array(out)


# --- the definition -------------------------------------------------------------------------------------------------------
@both
@pytest.mark.parametrize("periods", [1, 2])
def test_it_is_the_definition_rectangle_by_rectangle(moments, periods):
    frame = world(periods=periods)
    e = jochmans(YEARS, frame, moments=moments)
    corners = complete(frame)
    assert e.facts["rectangles"] == len(corners)

    def total(beta):
        return each(frame, corners, beta, moments).sum(axis=0)

    scale = total(e.coef.to_numpy() + 0.1)
    np.testing.assert_allclose(total(e.coef.to_numpy()) / scale, 0, atol=1e-9)
    found = optimize.root(lambda b: total(b) / scale, [0.4, -0.2], tol=1e-12).x
    np.testing.assert_allclose(e.coef, found, atol=1e-9)
    slope = np.column_stack([(total(found + h) - total(found - h)) / 2e-5 for h in 1e-5 * np.eye(2)])
    pairs: dict[tuple[int, int], np.ndarray] = {}
    for moment, rows in zip(each(frame, corners, found, moments), corners, strict=True):
        for pair in zip(frame["exporter"].iloc[rows], frame["importer"].iloc[rows], strict=True):
            pairs[pair] = pairs.get(pair, 0.0) + moment
    adds = np.linalg.solve(slope, np.array(list(pairs.values())).T)
    np.testing.assert_allclose(e.vcov, adds @ adds.T, rtol=1e-6, atol=1e-8)  # the derivative is numerical


@both
def test_sums_over_rectangles_are_matrix_products(moments):
    """To rounding, at any coefficients, for several regressors and periods, with cells absent."""
    frame = world(6, 5, 2, missing=0.2)
    beta = np.array([0.3, 0.2])
    shape = (2, 6, 5)
    at = (frame["year"] - 2000, frame["exporter"], frame["importer"])
    y, present, x = np.zeros(shape), np.zeros(shape), np.zeros((2, *shape))
    y[at], present[at] = frame["y"], 1.0
    for layer, name in zip(x, ("x", "z"), strict=True):
        layer[at] = frame[name]
    crossed = Crossed(y, present, x, {"gmm1": 0.0, "gmm2": 1.0}[moments])
    s, slope = crossed.sums(beta)
    np.testing.assert_allclose(s, each(frame, complete(frame), beta, moments).sum(axis=0), rtol=1e-11)
    moved = [(crossed.sums(beta + h)[0] - crossed.sums(beta - h)[0]) / 2e-6 for h in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(slope, np.column_stack(moved), rtol=1e-7)
    np.testing.assert_allclose(crossed.by_pair(beta).sum(axis=(1, 2)), 4 * s, rtol=1e-11)


@both
def test_one_rectangle_is_a_log_odds_ratio_whatever_the_effects(moments):
    """Two exporters and two importers: exp(b) is the cross ratio, in which no effect of either side remains."""
    flows = pd.DataFrame({"exporter": [0, 0, 1, 1], "importer": [0, 1, 0, 1], "x": [1.0, 0, 0, 0], "y": [6.0, 2, 3, 4]})
    more = flows.assign(
        y=flows["y"] * flows["exporter"].map({0: 7.0, 1: 0.01}) * flows["importer"].map({0: 1, 1: 300.0})
    )
    for frame in (flows, more):
        e = jochmans("y ~ x | exporter + importer", frame, moments=moments)
        assert e.coef["x"] == pytest.approx(np.log(6 * 4 / (2 * 3)), abs=1e-9)
        assert e.facts["rectangles"] == 1


@both
def test_without_noise_it_is_exact_whatever_the_effects(moments):
    for spread in (0.0, 1.0, 4.0):
        e = jochmans(ONE, world(noise=0, spread=spread), moments=moments)
        np.testing.assert_allclose(e.coef, [0.5, -0.3], atol=1e-8)


# --- invariances ----------------------------------------------------------------------------------------------------------
@both
def test_order_labels_units_and_sides_do_not_matter(moments):
    frame = world(7, 6, 2)
    e = jochmans(YEARS, frame, moments=moments)
    other = frame.assign(
        exporter="E" + (9 - frame["exporter"]).astype(str), y=frame["y"] * 1e9, z=frame["z"] * 1e3 + 5
    ).sample(frac=1, random_state=2)
    a = jochmans("y ~ x + z | exporter^year + importer^year", other, moments=moments)
    b = jochmans("y ~ x + z | importer^year + exporter^year", frame, moments=moments)
    np.testing.assert_allclose(a.coef * [1, 1e3], e.coef, rtol=1e-8)
    np.testing.assert_allclose(a.se * [1, 1e3], e.se, rtol=1e-8)
    np.testing.assert_allclose(b.coef, e.coef, rtol=1e-8)
    np.testing.assert_allclose(b.se, e.se, rtol=1e-8)


@both
def test_flows_without_a_complete_rectangle_do_not_matter(moments):
    frame = world(missing=0.0)
    e = jochmans(ONE, frame, moments=moments)
    lone = pd.DataFrame(
        {
            "exporter": [0, 1, 99],
            "importer": [98, 99, 0],
            "year": 2000,
            "x": 1.0,
            "z": [0.1, 0.2, 0.3],
            "y": [5.0, 7, 3],
        }
    )
    more = jochmans(ONE, pd.concat([frame, lone], ignore_index=True), moments=moments)
    np.testing.assert_allclose(more.coef, e.coef, rtol=1e-9)
    assert more.facts["rectangles"] == e.facts["rectangles"] == (6 * 5 // 2) ** 2


def test_it_comes_near_ppml_as_the_world_grows():
    gaps = []
    for size in (10, 40, 160):
        frame = world(size, size, missing=0.02)
        e = jochmans(ONE, frame)
        p = ppml(ONE, frame, vcov="hetero")
        assert e.facts["ppml_coef"]["x"] == p.coef["x"]
        assert e.facts["ppml_se"]["x"] == pytest.approx(p.se["x"], rel=1e-9)
        assert e.facts["difference"]["x"] == pytest.approx(e.coef["x"] - p.coef["x"])
        assert e.facts["difference_p"] > 0.001
        gaps.append(np.abs(e.coef - p.coef).max())
    assert gaps[2] < gaps[0] / 4
    assert gaps[2] < 0.02


def test_a_wrong_mean_makes_the_two_differ():
    """The logarithm of the mean is not linear in z: the estimates weigh large flows differently and part."""
    frame = world(60, 60, noise=0.3)
    bent = frame.assign(y=frame["y"] * np.exp(0.2 * frame["z"] ** 2 * (frame["z"] > 0)))
    assert jochmans(ONE, bent).facts["difference_p"] < 1e-3
    assert jochmans(ONE, frame).facts["difference_p"] > 0.01  # the control


def test_in_a_panel_pairs_are_the_clusters():
    frame = world(8, 8, 3, missing=0.0)
    e = jochmans(YEARS, frame)
    p = ppml(YEARS, frame, vcov=cluster("exporter^importer"), ssc="none")
    np.testing.assert_allclose(list(e.facts["ppml_se"].values()), p.se, rtol=1e-9)
    assert e.facts["clusters"] == {"exporter^importer": 64}
    assert "GMM (Jochmans)" in table([e, p]).to_markdown()


# --- what it refuses ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + z",
        "y ~ x + z | exporter",
        "y ~ x | exporter^year + importer",
        "y ~ x | exporter^year + importer^year + both",
    ],
)
def test_other_effects_are_refused(formula):
    frame = world(periods=2).assign(both=lambda d: 10 * d["exporter"] + d["importer"])
    assert jochmans(YEARS, frame).nobs  # the control
    with pytest.raises(ConfigError, match="allowed: one effect of the exporter"):
        jochmans(formula, frame)


def test_bad_questions_are_refused_by_name():
    frame = world()
    with pytest.raises(ConfigError, match="gmm3"):
        jochmans(ONE, frame, moments="gmm3")
    with pytest.raises(ConfigError, match="effects alone"):
        jochmans("y ~ 1 | exporter + importer", frame)
    with pytest.raises(DuplicateKey, match="1 row"):
        jochmans(ONE, pd.concat([frame, frame.iloc[:1]], ignore_index=True))
    with pytest.raises(Collinear):
        jochmans("y ~ x + own | exporter + importer", frame.assign(own=frame["exporter"] ** 2))


def test_a_table_without_rectangles_is_refused():
    ring = pd.DataFrame({"exporter": [0, 0, 1, 1, 2, 2], "importer": [0, 1, 1, 2, 2, 0], "y": [3.0, 4, 5, 6, 2, 8]})
    ring["x"] = [1.0, 0, 0, 0, 0, 0]
    with pytest.raises(NotIdentified, match="complete rectangle"):
        jochmans("y ~ x | exporter + importer", ring)
    assert jochmans("y ~ x | exporter + importer", ring.assign(importer=[0, 1, 0, 1, 0, 1])).nobs


def test_what_does_not_converge_is_not_returned(monkeypatch):
    frame = world()
    assert jochmans(ONE, frame).facts["iterations"] > 2
    monkeypatch.setattr("cyber_trade_econ.gravity.jochmans._ITERATIONS", 1)
    with pytest.raises(NotConverged, match="other moments"):
        jochmans(ONE, frame)


def test_with_square_roots_as_weights_the_moments_have_one_zero():
    """Where the search starts: the derivative is symmetric and negative definite anywhere; they cannot vanish twice."""
    rng = np.random.default_rng(4)
    y, present, x = (
        rng.lognormal(size=(2, 6, 5)),
        (rng.random((2, 6, 5)) > 0.2).astype(float),
        rng.normal(size=(3, 2, 6, 5)),
    )
    for beta in rng.normal(0, 1.5, (20, 3)):
        _, slope = Crossed(y * present, present, x, 0.5).sums(beta)
        np.testing.assert_allclose(slope, slope.T, rtol=1e-10)
        assert np.linalg.eigvalsh(slope).max() < 0
    others = [Crossed(y * present, present, x, 1.0).sums(beta)[1] for beta in rng.normal(0, 1.5, (20, 3))]
    assert any(np.linalg.eigvalsh(slope + slope.T).max() > 0 for slope in others)  # the control


# --- how far from PPML ----------------------------------------------------------------------------------------------------
def _random(seed, power):
    """Draw a table with gaps, of two regressors and two periods."""
    rng = np.random.default_rng(seed)
    present = (rng.random((2, 4, 5)) > 0.2).astype(float)
    return Crossed(rng.normal(size=(2, 4, 5)) * present, present, rng.normal(size=(2, 2, 4, 5)), power)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_products_of_two_errors_are_summed_pair_by_pair(power):
    """Against a loop over all two pairs, which are the diagonal of one rectangle in each period."""
    c, beta = _random(0, power), np.array([0.3, -0.2])
    index = np.tensordot(beta, c.x, 1)
    u, v = c.y * np.exp((power - 1) * index), c.present * np.exp(power * index)
    total = np.zeros((2, 2))
    for (i, j), (k, m) in combinations(product(range(4), range(5)), 2):
        double = c.x[:, :, i, j] + c.x[:, :, k, m] - c.x[:, :, i, m] - c.x[:, :, k, j]
        both = (double * v[:, i, m] * v[:, k, j] * u[:, i, j] * u[:, k, m]).sum(axis=1)
        total += np.outer(both, both)
    np.testing.assert_allclose(c.products(beta), total, rtol=1e-11)


@both
def test_slopes_are_derivatives_by_the_flows(moments):
    """Where the model holds: the moments of flows moved a little in one cell, by central differences."""
    c = _random(1, {"gmm1": 0.0, "gmm2": 1.0}[moments])
    beta, rng = np.array([0.3, -0.2]), np.random.default_rng(5)
    mean = np.exp(np.tensordot(beta, c.x, 1) + rng.normal(size=(2, 4, 1)) + rng.normal(size=(2, 1, 5))) * c.present
    there = Crossed(mean, c.present, c.x, c.power)
    scaled = np.exp((c.power - 1) * np.tensordot(beta, c.x, 1))
    np.testing.assert_allclose(there.sums(beta)[0], 0, atol=1e-9 * np.abs(there.slopes(beta) * mean).sum())  # control
    for cell in zip(*np.nonzero(c.present), strict=True):
        step = np.zeros_like(mean)
        step[cell] = 1e-4 * mean[cell]
        ends = [Crossed(mean + s * step, c.present, c.x, c.power).sums(beta)[0] for s in (1, -1)]
        np.testing.assert_allclose(
            (ends[0] - ends[1]) / (2 * step[cell]), there.slopes(beta)[(slice(None), *cell)] * scaled[cell], rtol=1e-7
        )


@both
def test_where_ppml_fits_exactly_nothing_is_known_of_the_difference(moments):
    e = jochmans(ONE, world(noise=0), moments=moments)
    assert e.facts["difference_se"]["x"] < 1e-6
    assert jochmans(ONE, world(), moments=moments).facts["difference_se"]["x"] > 0.01  # control


@pytest.mark.parametrize("options", [{"moments": ["gmm1"]}, {"moments": np.ones(2)}, {"tol": "a"}, {"tol": np.nan}])
def test_options_of_another_type_are_named(options):
    with pytest.raises(ConfigError, match="allowed"):
        jochmans(ONE, world(), **options)
    assert jochmans(ONE, world(), moments="gmm2", tol=1e-9).nobs > 0
