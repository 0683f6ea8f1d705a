"""The door: light to open, complete, and the same whichever room was entered first."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cyber_trade_econ as cte

HEAVY = ("pandas", "numpy", "scipy", "pyarrow", "duckdb", "matplotlib", "seaborn", "requests", "typer", "rich")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_heavy():
    loaded = run("import sys, cyber_trade_econ; print(*sys.modules)").split()
    assert "cyber_trade_econ" in loaded
    assert not set(HEAVY) & set(loaded)
    assert "pandas" in run("import sys, cyber_trade_econ as c; c.ppml; print(*sys.modules)").split()  # control


def test_every_public_name_loads_and_is_documented():
    assert set(cte.__all__) == set(cte._ROOM_OF)
    for name in cte.__all__:
        value = getattr(cte, name)
        assert callable(value), name
        assert value.__doc__, name
    assert set(cte.__all__) <= set(dir(cte))


@pytest.mark.parametrize("name", ["events", "event_study", "sources"])
def test_functions_are_not_hidden_by_rooms_of_the_same_name(name):
    code = f"import cyber_trade_econ as cte, cyber_trade_econ.{name}; from cyber_trade_econ import {name}; "
    assert run(code + f"print(callable(cte.{name}), cte.{name} is {name})") == "True True"


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="feols"):
        cte.feols  # noqa: B018
    assert cte.ols.__name__ == "ols"  # control
