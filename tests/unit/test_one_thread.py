"""A fit uses one thread of linear algebra and leaves the setting as it was."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import scipy.linalg

from cyber_trade_econ.hdfe import one_thread as threads
from cyber_trade_econ.hdfe.one_thread import one_thread

PACKAGES = ("numpy", "scipy")
assert scipy.linalg  # its library is loaded with it


def counts():
    return [get() for package in PACKAGES for get, _ in threads._libraries(package)]


@pytest.fixture
def several():
    """Two threads, as a user's process would have."""
    before = counts()
    if not before:
        pytest.skip("NumPy and SciPy bring no OpenBLAS along here")
    puts = [put for package in PACKAGES for _, put in threads._libraries(package)]
    for put in puts:
        put(2)
    yield [2] * len(before)
    for put, count in zip(puts, before, strict=True):
        put(count)


def test_one_thread_inside_and_as_before_outside(several):
    if counts() != several:
        pytest.skip("this OpenBLAS allows one thread only")
    with one_thread():
        assert counts() == [1] * len(several)
        with one_thread():
            assert counts() == [1] * len(several)
        assert counts() == [1] * len(several)
    assert counts() == several


def test_the_setting_survives_errors_and_fits_side_by_side(several):
    if counts() != several:
        pytest.skip("this OpenBLAS allows one thread only")

    @one_thread()
    def fails(number):
        assert counts() == [1] * len(several)
        raise ValueError(number)

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(fails, k) for k in range(20)]
    assert all(isinstance(r.exception(), ValueError) for r in results)
    assert counts() == several
