"""What stands in for SciPy does what SciPy does, and SciPy stays away until it is needed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse, special
from scipy.sparse import csgraph

from cyber_trade_econ.hdfe.factorial import at_own_mean, saturated
from cyber_trade_econ.hdfe.graph import connected, forest

GRAPHS = [(1, 0), (2, 1), (40, 10), (40, 30), (40, 200), (3000, 2000), (3000, 9000)]


def edges(size, count, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, size, count), rng.integers(0, size, count)


@pytest.mark.parametrize(("size", "count"), GRAPHS)
@pytest.mark.parametrize("seed", range(5))
def test_connected_parts_are_scipys(size, count, seed):
    i, j = edges(size, count, seed)
    graph = sparse.coo_array((np.ones(count), (i, j)), shape=(size, size))
    theirs = csgraph.connected_components(graph, directed=False)
    number, part = connected(i, j, size)
    assert number == theirs[0]
    np.testing.assert_array_equal(part, theirs[1])


def test_long_chains_and_stars_in_any_order():
    rng = np.random.default_rng(0)
    size = 20_000
    names = rng.permutation(size)
    for i, j in ((names[:-1], names[1:]), (names[1:], np.full(size - 1, names[0]))):
        assert connected(i, j, size)[0] == 1
        assert connected(i[:-1], j[:-1], size)[0] == 2
        np.testing.assert_array_equal(forest(i, j, size), np.arange(size - 1))


@pytest.mark.parametrize(("size", "count"), GRAPHS)
@pytest.mark.parametrize("seed", range(5))
def test_the_forest_is_the_lightest_one(size, count, seed):
    i, j = edges(size, count, seed)
    low, high = np.minimum(i, j), np.maximum(i, j)
    first = np.unique(low * size + high, return_index=True)[1]  # SciPy would add up edges that repeat
    first = first[low[first] != high[first]]
    graph = sparse.coo_array((first + 1.0, (low[first], high[first])), shape=(size, size)).tocsr()
    theirs = np.sort(csgraph.minimum_spanning_tree(graph).data.astype(np.int64) - 1)
    np.testing.assert_array_equal(forest(i, j, size), theirs)


def test_the_density_at_the_mean_is_scipys():
    y = np.concatenate([[1.0, 2.0, 1e-300, 1e-9], np.geomspace(1e-6, 1e15, 20_001), np.linspace(9.9, 10.1, 201)])
    terms = y * np.log(y), y, special.gammaln(y + 1)
    # SciPy's terms cancel, which loses digits relative to the largest; the largest near zero is log 9! on our side.
    size = np.maximum(np.max(np.abs(terms), axis=0), np.log(362880.0))
    np.testing.assert_array_less(np.abs(at_own_mean(y) - (terms[0] - terms[1] - terms[2])), 4e-15 * size)
    assert at_own_mean(np.array([3.0]))[0] == pytest.approx(3 * np.log(3) - 3 - np.log(6.0), rel=1e-14)
    # For large outcomes it is what the normal density tells, which SciPy's terms have lost: 1 / (12 y) comes next.
    assert at_own_mean(np.array([1e15]))[0] == pytest.approx(-0.5 * np.log(2 * np.pi * 1e15), rel=1e-15)


def test_the_density_of_tiny_outcomes_is_its_limit():
    """The logarithm of the gamma function at 1 + y is -euler_gamma y + pi^2 y^2 / 12 - zeta(3) y^3 / 3 + O(y^4)."""
    y = np.array([1e-300, 1e-30, 1e-16, 1e-9, 1e-5, 1e-4])
    want = y * (np.log(y) - 1 + np.euler_gamma - np.pi**2 / 12 * y + 1.2020569031595943 / 3 * y**2)
    np.testing.assert_allclose(at_own_mean(y), want, rtol=1e-13)  # the next term is y^3 / 4 of the first
    below, above = at_own_mean(np.array([np.nextafter(0.01, 0), 0.01]))
    assert below == pytest.approx(above, rel=1e-13)  # where one formula takes over from the other


def test_outcomes_of_zero_have_no_part_in_the_saturated_likelihood():
    y, w = np.array([0.0, 2.0, 0.0, 30.0] * 5000), np.array([7.0, 1.0, 1.0, 2.0] * 5000)  # more than one stretch
    assert saturated(y, w) == pytest.approx(
        5000 * float(np.array([1.0, 2.0]) @ at_own_mean(np.array([2.0, 30.0]))), rel=1e-13
    )


HEAVY = {
    "scipy",
    "cyber_trade_econ.hdfe.projector",
    "cyber_trade_econ.hdfe.separated_slopes",
    "cyber_trade_econ.inference.linearised",
}
FIT = f"""
import sys
import cyber_trade_econ as cte
from cyber_trade_econ.hdfe import late
from cyber_trade_econ.simulate import heavy_world
world = heavy_world(12, 8, seed=1)
spec = "trade ~ agreement + border_trend | exporter^year + importer^year"
cte.ppml(spec + " + pair", world, vcov=cte.cluster("pair"))
print(*{HEAVY} & set(sys.modules))
from cyber_trade_econ.hdfe import one_thread
with one_thread.one_thread():
    late.linalg.cho_factor
    print([get() for package in one_thread._BRINGS for get, _ in one_thread._libraries(package)])
cte.effective_clusters(cte.ppml(spec.replace("+ importer^year", "+ importer[year]"), world), world, "pair")
print(*{HEAVY} & set(sys.modules))
"""


def test_a_first_gravity_fit_loads_no_other_path_and_late_libraries_keep_to_one_thread():
    done = subprocess.run([sys.executable, "-c", FIT], capture_output=True, text=True, check=True, timeout=60)
    first, threads, after = done.stdout.splitlines()
    assert not first
    assert set(after.split()) == HEAVY  # control: fits that need them do load them
    assert set(threads) <= set("[], 1")
