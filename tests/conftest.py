"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data beside the checkout; tests that use them are skipped where they are absent."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared, which are not part of the repository")
    return SHARED


@pytest.fixture(autouse=True)
def own_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes the lake of the person who runs it."""
    home = tmp_path / "lake"
    monkeypatch.setenv("CYBER_TRADE_ECON_LAKE", str(home))
    return home
