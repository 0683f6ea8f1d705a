"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before NumPy is loaded: several test processes whose linear algebra starts threads of its own wait for each other.
for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the checkout; tests that use them are skipped where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared, which are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the checkout the tests lie in."""
    return ROOT


@pytest.fixture(autouse=True)
def own_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes the lake of the person who runs it."""
    home = tmp_path / "lake"
    monkeypatch.setenv("CYBER_TRADE_ECON_LAKE", str(home))
    return home
