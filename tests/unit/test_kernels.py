"""The inner loops of the gravity path against dense matrices, and the compiled ones against those of NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.hdfe import blocks, compilation, compiled, threeway
from cyber_trade_econ.hdfe.factor import compact
from cyber_trade_econ.hdfe.kernels import NUMPY, Kernels
from cyber_trade_econ.hdfe.net import Net
from cyber_trade_econ.simulate import heavy_world
from cyber_trade_econ.simulate.heavy import REGRESSORS

needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba, an optional extra, is not installed")
PYTHON = Kernels("python", *(getattr(compiled, name) for name in Kernels._fields[1:]))
SHAPES = [
    (4, 5, 3, 2),
    (3, 6, 7, 0),
    (2, 1, 4, 1),
    (3, 4, 2, 9),
]  # odd and even numbers of exporters, many and no columns


def arguments(shape, single=False):
    """Arguments of each kernel: gaps, a pair without trade, an exporter and an importer that trade nothing in a period."""
    T, N, J, K = shape
    rng = np.random.default_rng(sum(shape))
    mu = rng.lognormal(0, 2, (T, N, J)) * (rng.random((T, N, J)) > 0.2)
    mu[:, 0, 0] = 0.0
    mu[0, -1], mu[-1, :, -1] = 0.0, 0.0
    total = mu.sum(0)
    pair_inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    masses = mu.sum(2), mu.sum(1)
    X, y, factor = rng.normal(size=(K, T, N, J)), rng.random((T, N, J)), rng.lognormal(size=(N, J))
    a, b = rng.normal(size=(T, N, K)), rng.normal(size=(T, J, K))
    precision = np.float32 if single else np.float64
    inverse = rng.normal(size=(T, J, J))
    return {
        "balance": (mu, factor, y.sum(2), y.sum(1)),
        "moments": (mu, factor, X, y, pair_inverse),
        "product": (mu, mu.transpose(0, 2, 1).copy(), *masses, pair_inverse, a, b),
        "solve": (mu.astype(precision), (inverse + inverse.transpose(0, 2, 1)).astype(precision), *masses, a, b),
        "net": (X, mu, pair_inverse, a, b),
    }


def run(kernels, name, shape, **options):
    """Return what a kernel returned and what it left of its arguments."""
    if name == "solve" and shape[-1] == 0:
        pytest.skip("there is always a column to solve for")
    given = tuple(v.copy() for v in arguments(shape, **options)[name])
    out = getattr(kernels, name)(*given)
    return (out if isinstance(out, tuple) else (out,)) + given


@pytest.fixture(scope="module")
def numba_kernels():
    """The compiled kernels, made here if need be: in the first run after the source has changed."""
    return compilation.load(make=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", Kernels._fields[1:])
def test_the_loops_do_what_numpy_does_before_they_are_compiled(name, shape):
    for got, want in zip(run(PYTHON, name, shape), run(NUMPY, name, shape), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)  # sums of a few dozen numbers around one


@needs_numba
@pytest.mark.timeout(300)  # compiles where the cache is empty
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", Kernels._fields[1:])
def test_compiled_loops_do_what_numpy_does(name, shape, numba_kernels):
    assert numba_kernels.name == "numba"
    for got, want in zip(run(numba_kernels, name, shape), run(NUMPY, name, shape), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kernels", [NUMPY, PYTHON, pytest.param("numba", marks=needs_numba)])
def test_single_precision_stays_within_its_rounding(kernels, request):
    kernels = request.getfixturevalue("numba_kernels") if kernels == "numba" else kernels
    shape = (4, 5, 3, 2)
    for got, want in zip(run(kernels, "solve", shape, single=True)[:2], run(NUMPY, "solve", shape)[:2], strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())
        assert np.abs(got - want).max() > 0  # control: it is single precision


def dense(shape):
    """Dummies of exporter-times, importer-times and pairs by cell, each (cells, levels)."""
    t, n, j = (v.ravel() for v in np.indices(shape))
    codes = t * shape[1] + n, t * shape[2] + j, n * shape[2] + j
    return [np.eye(c.max() + 1)[c] for c in codes]


def without(columns, D, w):
    """Take weighted projections on the columns of D out."""
    root = np.sqrt(w)[:, None]
    return columns - D @ np.linalg.lstsq(root * D, root * columns, rcond=None)[0]


@pytest.mark.parametrize("kernels", [NUMPY, PYTHON])
def test_sums_and_products_are_those_of_dense_matrices(kernels):
    T, N, J, K = shape = (3, 4, 5, 2)
    given = arguments(shape)
    A, B, P = dense((T, N, J))
    mu, factor, X, y, pair_inverse = (v.copy() for v in given["moments"])
    w = (mu * factor).reshape(-1)
    total = (mu * factor).sum(0)
    pair_inverse = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    turned, a, b, _, products, score, of_a, of_b = kernels.moments(mu, factor, X.copy(), y, pair_inverse)
    x = X.reshape(K, -1).T
    net = without(x, P, w) * (w > 0)[:, None]
    np.testing.assert_allclose(a.reshape(-1, K), A.T @ (w[:, None] * net), atol=1e-10)
    np.testing.assert_allclose(b.reshape(-1, K), B.T @ (w[:, None] * net), atol=1e-10)
    np.testing.assert_allclose(products, x.T @ (w[:, None] * x), rtol=1e-12)
    np.testing.assert_allclose(score, x.T @ (y.reshape(-1) - w), rtol=1e-10)
    v, u = np.random.default_rng(0).normal(size=(T, N, K)), np.random.default_rng(1).normal(size=(T, J, K))
    got = kernels.product(mu, turned, of_a, of_b, pair_inverse, v, u)
    D = np.hstack([A, B])
    whole = D.T @ (w[:, None] * (without(D, P, w) * (w > 0)[:, None])) @ np.vstack([v.reshape(-1, K), u.reshape(-1, K)])
    np.testing.assert_allclose(np.vstack([g.reshape(-1, K) for g in got]), whole, atol=1e-10 * np.abs(whole).max())
    left = X.copy()
    products = kernels.net(left, mu, pair_inverse, v, u)
    want = without(x - A @ v.reshape(-1, K) - B @ u.reshape(-1, K), P, w)
    live = w > 0
    np.testing.assert_allclose(left.reshape(K, -1).T[live], want[live], atol=1e-10)
    np.testing.assert_allclose(products, want.T @ (w[:, None] * want), rtol=1e-10)


def gravity(weighted=False, sectors=1, events=0):
    frame = heavy_world(15, 9, sectors=sectors, missing=0.1, seed=5)
    by_pair = frame.groupby(["pair", "sector"])["trade"]
    frame = frame[by_pair.transform("sum") > 0]
    s, e, i, t = (compact(frame[c].factorize()[0].astype(np.int64)) for c in ("sector", "exporter", "importer", "year"))
    names = [(s.codes * f.levels + f.codes) * g.levels + g.codes for f, g in ((e, t), (i, t), (e, i))]
    rng = np.random.default_rng(0)
    n = len(frame)
    X = np.column_stack([frame[list(REGRESSORS)].to_numpy(dtype=float), rng.random((n, events)) < 0.05])
    w, offset = (rng.uniform(0.2, 3, n), rng.normal(size=n)) if weighted else (np.ones(n), np.zeros(n))
    return frame["trade"].to_numpy(), X, [compact(c) for c in names], w, offset


@needs_numba
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", [{}, {"weighted": True}, {"sectors": 3}, {"events": 9}])
def test_a_fit_does_not_depend_on_the_kernels(numba_kernels, case):
    y, X, factors, w, offset = gravity(**case)
    layout = blocks.detect(factors)
    assert len(layout.boxes) == case.get("sectors", 1)
    plain, fast = (
        threeway.fit(y, X, w, offset, factors=factors, blocks=layout, kernels=k) for k in (NUMPY, numba_kernels)
    )
    np.testing.assert_allclose(fast.beta, plain.beta, rtol=1e-10)
    errors = [np.sqrt(np.diag(f.root @ f.root.T)) for f in (fast, plain)]
    np.testing.assert_allclose(*errors, rtol=1e-10)
    np.testing.assert_allclose(fast.mu, plain.mu, rtol=1e-9)
    within = [f.within.whole() if isinstance(f.within, Net) else f.within for f in (fast, plain)]
    np.testing.assert_allclose(*within, atol=1e-9)


@needs_numba
@pytest.mark.timeout(300)
def test_fits_side_by_side_are_the_same_to_the_last_bit(numba_kernels):
    y, X, factors, w, offset = gravity()
    layout = blocks.detect(factors)

    def fit(_):
        return threeway.fit(y, X, w, offset, factors=factors, blocks=layout, kernels=numba_kernels)

    alone = fit(0)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(fit, range(8)):
            np.testing.assert_array_equal(other.beta, alone.beta)
            np.testing.assert_array_equal(other.within, alone.within)


def elsewhere(code, **environment):
    """Run code in a fresh interpreter; what it prints."""
    variables = {k: v for k, v in os.environ.items() if k != compilation.SWITCH} | environment
    setup = f"import sys; sys.path[:] = {sys.path!r}\nfrom cyber_trade_econ.hdfe import compilation as c\n"
    done = subprocess.run(
        [sys.executable, "-c", setup + code], capture_output=True, text=True, check=True, env=variables, timeout=100
    )
    return done.stdout.split()


def test_small_panels_do_not_even_look_for_numba():
    assert elsewhere("print(c.chosen(100_000, 6).name, 'numba' in sys.modules)") == ["numpy", "False"]


@pytest.mark.parametrize("word", ["Numpy", "numba", "off", "0"])
def test_a_word_the_switch_does_not_know_is_refused(monkeypatch, word):
    monkeypatch.setenv(compilation.SWITCH, word)
    for cells in (100, 10**8):  # in small panels too: not only once the panel has grown
        with pytest.raises(ConfigError, match=f"{compilation.SWITCH}; found '{word}'; allowed: 'numpy'"):
            compilation.chosen(cells, 6)
    for known in ("numpy", ""):
        monkeypatch.setenv(compilation.SWITCH, known)
        assert compilation.chosen(100, 6).name == "numpy"


@needs_numba
@pytest.mark.timeout(300)
def test_large_panels_use_what_is_on_disk_unless_told_not_to(numba_kernels):
    assert numba_kernels.name == "numba"
    assert elsewhere("print(c.chosen(10**8, 6).name)") == ["numba"]
    assert elsewhere("print(c.chosen(10**8, 6).name)", **{compilation.SWITCH: "numpy"}) == ["numpy"]
    assert elsewhere("print(c.chosen(10**8, 6).name)", NUMBA_DISABLE_JIT="1") == ["numpy"]


@needs_numba
def test_nobody_waits_for_the_compiler(tmp_path):
    code = """
started = []
c.subprocess.Popen = lambda command, **options: started.append(command) or __import__('types').SimpleNamespace(poll=list)
print(*(c.chosen(10**8, 6).name for _ in range(3)), len(started), 'build()' in started[0][2])
"""
    start = time.perf_counter()
    assert elsewhere(code, NUMBA_CACHE_DIR=str(tmp_path)) == ["numpy", "numpy", "numpy", "1", "True"]
    assert time.perf_counter() - start < 60  # importing numba on a busy machine; making machine code is not asked for
    assert not list(tmp_path.rglob("*.nbc"))


@needs_numba
@pytest.mark.timeout(300)
def test_damaged_machine_code_is_not_used(tmp_path):
    one = "c._SIGNATURES = {'balance': ('3 2 2 2',)}\n"
    elsewhere(one + "c._compile(c._functions()['balance'], '3 2 2 2', make=True)", NUMBA_CACHE_DIR=str(tmp_path))
    found = "print(type(c._compile(c._functions()['balance'], '3 2 2 2', make=False)).__name__)"
    assert elsewhere(one + found, NUMBA_CACHE_DIR=str(tmp_path)) == ["NoneType"]  # control: it is there
    (index,) = tmp_path.rglob("*.nbi")
    index.write_bytes(index.read_bytes()[:-20])
    code = "c.subprocess.Popen = lambda *a, **k: None\nprint(c.chosen(10**8, 6).name)"
    assert elsewhere(code, NUMBA_CACHE_DIR=str(tmp_path)) == ["numpy"]


@needs_numba
def test_without_a_place_for_machine_code_numpy_does_the_work(tmp_path):
    code = """
import numba
def refuse(**options):
    raise RuntimeError('cannot cache function: no locator available')
numba.njit = refuse
c.subprocess.Popen = None
print(c.chosen(10**8, 6).name)
"""
    assert elsewhere(code, NUMBA_CACHE_DIR=str(tmp_path)) == ["numpy"]


def test_without_numba_numpy_does_the_work():
    code = "c.find_spec = lambda name: None\nprint(c.chosen(10**8, 6).name, 'numba' in sys.modules)"
    assert elsewhere(code) == ["numpy", "False"]
    broken = (
        "import sys\nsys.modules['numba'] = None\nc.find_spec = lambda name: object()\nprint(c.chosen(10**8, 6).name)"
    )
    assert elsewhere(broken) == ["numpy"]
