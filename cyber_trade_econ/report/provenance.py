"""What a reader needs to repeat a study: versions, data, events, formulae, facts; no names of people or machines."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import math
import platform
import sys
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.version import __version__

if TYPE_CHECKING:
    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel
    from cyber_trade_econ.report.study import Study

_PACKAGES = ("duckdb", "matplotlib", "numpy", "pandas", "pyarrow", "scipy", "seaborn")


def record(study: Study) -> dict[str, Any]:
    """Return the content of ``run.json``."""
    holders: list[Estimate | Panel] = [*study.estimates.values(), *study.panels.values()]
    sources = {name: dict(facts) for h in holders for name, facts in h.sources.items()}
    events = sorted({i for h in holders for ids in h.events.values() for i in ids})
    out = {
        "study": study.name,
        "title": study.title,
        "data": study.data,
        "seed": study.seed,
        "package": {"cyber-trade-econ": __version__},
        "dependencies": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "script_sha256": study.script_sha256,
        "runtime_seconds": None if study.seconds is None else round(study.seconds, 2),
        "peak_memory_mb": peak_memory_mb(),
        "methods": list(study.methods),
        "sources": sources,
        "events": events,
        "panels": {
            name: {"hash": p.hash, "rows": len(p), "unit": p.unit, "time": p.time, "facts": p.facts}
            for name, p in study.panels.items()
        },
        "estimates": {
            name: {"model": e.model, "formula": e.formula, "nobs": e.nobs, "df": e.df, "facts": e.facts}
            for name, e in study.estimates.items()
        },
        "tables": sorted(study.tables),
        "figures": sorted(study.figures),
        "notes": list(study.notes),
    }
    safe: dict[str, Any] = json_safe(out)
    return safe


def version(name: str) -> str:
    """Return the installed version of a package, or ``"not installed"``."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def peak_memory_mb() -> float | None:
    """Return the largest resident memory of this process so far in MB; nothing where the system does not count it."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return round(peak * unit / 1e6, 1)


def json_safe(value: Any) -> Any:
    """Return ``value`` in the types of JSON: missing is null, infinity a text, a path its name, the rest its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {_text(k): json_safe(v) for k, v in value.items()}
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None if math.isnan(number) else str(number)
    if isinstance(value, dt.date):
        return value.isoformat()
    if hasattr(value, "tolist") and not isinstance(value, str):  # NumPy scalars and arrays, pandas columns
        listed = value.tolist()
        return json_safe(listed) if isinstance(listed, (list, str, int, float, bool, type(None))) else _text(listed)
    if isinstance(value, (set, frozenset)):
        return sorted((json_safe(v) for v in value), key=str)
    if isinstance(value, (list, tuple)):
        return [json_safe(v) for v in value]
    return _text(value)


def _text(value: Any) -> str:
    """Text of a value; an absolute path is cut to its last part, since it tells of a machine and not of a result."""
    if isinstance(value, Path):
        return value.name
    text = str(value)
    absolute = (text.startswith("/") and text.count("/") > 1) or PureWindowsPath(text).is_absolute()
    return PureWindowsPath(text).name if absolute and "\n" not in text else text
