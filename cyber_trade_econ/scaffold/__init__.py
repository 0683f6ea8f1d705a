"""Templates for what is added most often: a source, an estimator, an analysis; each works and is tested as written."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.report import write
from cyber_trade_econ.scaffold import templates

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("source", "estimator", "analysis")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMBERED = re.compile(r"(\d{2})_([a-z][a-z0-9_]*)")


def new(kind: str, name: str, folder: Path) -> list[Path]:
    """Write the template and the test of a new thing into a source checkout.

    Parameters
    ----------
    kind
        ``"source"``, ``"estimator"`` or ``"analysis"``.
    name
        Lower-case letters, digits and ``_``; an analysis gets the next free number in front unless it brings one.
    folder
        Root of the checkout.

    Returns
    -------
    The files written.

    Raises
    ------
    ConfigError
        If the kind or name is not allowed, the folder is no checkout, or a file exists; nothing is written then.
    """
    if kind not in KINDS:
        raise ConfigError("what to make", found=repr(kind), allowed=KINDS)
    if not (folder / "pyproject.toml").is_file() or not (folder / "cyber_trade_econ").is_dir():
        raise ConfigError(f"{folder} is not a checkout of cyber_trade_econ", fix="Name its root with --dir.")
    if kind == "analysis" and not _NUMBERED.fullmatch(name):
        numbers = [int(m[1]) for p in (folder / "analyses").glob("*") if (m := _NUMBERED.fullmatch(p.name))]
        full = f"{max(numbers, default=0) + 1:02d}_{name}"
    else:
        full = name
    bare = full.split("_", 1)[1] if kind == "analysis" else full
    if not _NAME.fullmatch(bare) or keyword.iskeyword(bare):
        raise ConfigError("the name", found=repr(name), allowed="lower-case letters, digits and _, a letter first")
    files = {folder / path: text.replace("@NAME@", full) for path, text in _files(kind, full).items()}
    present = [str(path) for path in files if path.exists()]
    if present:
        raise ConfigError("nothing is overwritten", found=", ".join(present), fix="Choose another name.")
    return [write.whole(path, text) for path, text in files.items()]


def remaining(kind: str, written: list[Path]) -> list[str]:
    """Say what is left to do by hand, one step a line.

    Parameters
    ----------
    kind
        As given to `new`.
    written
        What `new` returned: the code and its test.
    """
    code, test = written
    name = code.parent.name if kind == "analysis" else code.stem
    tested = f"Run its test: python -m pytest {test}"
    if kind == "source":
        return [
            "Fill in publisher, licence, citation, address and layout; the source is registered by being there.",
            f"{tested} tests/contracts/test_sources.py",
        ]
    if kind == "estimator":
        return [
            f"To make it reachable as cte.{name}, add to cyber_trade_econ/__init__.py:",
            f"  under TYPE_CHECKING:  from cyber_trade_econ.gravity.{name} import {name}",
            f'  to _ROOMS:            "gravity.{name}": ("{name}",),',
            f'  to __all__:           "{name}",',
            "To hold it to what every estimator owes, add to CALLS in tests/contracts/test_estimators.py:",
            f'  "{name}": (ANNUAL, lambda d: cte.{name}(d, "trade_musd")),',
            tested,
        ]
    return [
        f"Run it once for its published numbers, and keep {code.parent / 'out'} with it: python {code}",
        f"Check them from then on: cyber-trade-econ run {name} --check",
        tested,
    ]


def _files(kind: str, name: str) -> dict[str, str]:
    if kind == "source":
        return {
            f"cyber_trade_econ/sources/{name}.py": templates.SOURCE,
            f"tests/unit/test_source_{name}.py": templates.SOURCE_TEST,
        }
    if kind == "estimator":
        return {
            f"cyber_trade_econ/gravity/{name}.py": templates.ESTIMATOR,
            f"tests/unit/test_{name}.py": templates.ESTIMATOR_TEST,
        }
    return {
        f"analyses/{name}/main.py": templates.ANALYSIS,
        f"tests/replication/test_{name}.py": templates.ANALYSIS_TEST,
    }
