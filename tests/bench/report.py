"""The words of the benchmark."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PASSES = 10
VECTORS = 4  # outcome, mean, two indices: read or written in each pass beside the regressors


class Speed(NamedTuple):
    """Seconds per byte moved, and per exponential beyond moving its argument and its value."""

    byte: float
    exponential: float


# CPU seconds of R's fixest and MB above the loaded data, one thread, default tolerances; XL on two threads, H, U and I with
# effects to 1e-8, cells in wall seconds on two cores.
STORED: dict[tuple[str, str], tuple[float, float]] = {
    ("ppml3", "S"): (1.13, 55),
    ("ppml3", "M"): (20.33, 568),
    ("ppml3", "L2"): (91.9, 1512),
    ("ppml3", "L1"): (248.3, 2632),
    ("ppml3", "XL"): (818.7, 7064),
    ("ppml3", "H"): (30.3, float("nan")),
    ("ppml3", "U"): (1.44, float("nan")),
    ("ppml3", "I"): (0.28, float("nan")),
    ("ppml2", "S"): (0.33, 56),
    ("ppml2", "M"): (5.24, 477),
    ("ppml2", "L2"): (25.0, 1319),
    ("ols3", "S"): (0.07, 20),
    ("ols3", "M"): (0.50, 56),
    ("ols3", "L2"): (1.45, 131),
    ("events", "M"): (104.2, float("nan")),
    ("cells", "S"): (66.0, float("nan")),
}


def head(repeats: int, speeds: Mapping[int, Speed]) -> str:
    """The machine, the versions and the load."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "pyfixest", "linearmodels"))
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}",
        f"load {os.getloadavg()[0]:.2f}; medians of {repeats}, a fit of more than a minute once",
    ]
    for threads, speed in speeds.items():
        per_row = f"an exponential {speed.exponential * 1e9:.1f} ns"
        lines.append(f"memory on {threads} thread(s) {1e-9 / speed.byte:.1f} GB/s, {per_row}")
    return "\n".join(lines)


def block(
    model: str, size: str, threads: int, ours: Mapping[str, Any], peers: Mapping[str, Mapping[str, Any]], speed: Speed
) -> str:
    """One model at one size."""
    title = f"\n{size} {model}, {threads} thread(s)"
    if "missing" in ours:
        return f"{title}: {ours['missing']}"
    one_pass = ours["rows"] * 8 * (VECTORS + ours["columns"]) * speed.byte
    one_pass += 0.0 if model.startswith("ols") else ours["rows"] * speed.exponential
    floor = PASSES * one_pass
    facts = ", ".join(f"{name} {value}" for name, value in ours["facts"].items() if value is not None)
    lines = [
        f"{title}: {ours['rows']:,} rows, {ours['used']:,} used, {len(ours['coef'])} coefficients; {facts}",
        _line("cyber_trade_econ", ours),
        f"  floor {floor:.3f} s: cpu {ours['cpu'] / floor:.1f} x, wall {ours['wall'] / floor:.1f} x",
        f"  steps in passes of {one_pass * 1e3:.1f} ms: {_steps(ours, one_pass)}",
    ]
    for peer, found in peers.items():
        if "missing" in found:
            lines.append(f"  {peer:17s} {found['missing']}")
        else:
            ratios = f"ratio cpu {found['cpu'] / ours['cpu']:.1f}, wall {found['wall'] / ours['wall']:.1f}"
            lines.append(f"{_line(peer, found)}  {ratios}, largest difference {_gap(ours['coef'], found['coef'])}")
    if "missing" in peers.get("fixest", {}) and (model, size) in STORED:
        cpu, extra = STORED[model, size]
        memory = "" if np.isnan(extra) else f", +{extra:.0f} MB"
        lines.append(f"  {'fixest, stored':17s} {cpu:.2f} s{memory}: another state of the machine, not measured here")
    return "\n".join(lines)


def _line(engine: str, run: Mapping[str, Any]) -> str:
    return f"  {engine:17s} cpu {run['cpu']:.3f} s  wall {run['wall']:.3f} s  +{run['extra_mb']:.0f} MB"


def _steps(run: Mapping[str, Any], one_pass: float) -> str:
    steps = dict(run["steps"])
    steps["rest"] = run["cpu"] - sum(steps.values())
    parts = [f"{name} {seconds / one_pass:.0f} ({seconds:.3f} s)" for name, seconds in steps.items()]
    return ", ".join(parts) + (f"; not found: {', '.join(run['absent'])}" if run["absent"] else "")


def _gap(ours: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    """Largest difference of the coefficients that both have, and how many only one has."""
    both = set(ours) & set(theirs)
    apart = len(set(ours) ^ set(theirs))
    largest = max((abs(ours[name] - theirs[name]) for name in both), default=0.0)
    return f"{largest:.1e}" + (f" ({apart} coefficient(s) only on one side)" if apart else "")


def growth(name: str, cases: Sequence[tuple[str, str]], runs: Sequence[Mapping[str, Any]]) -> str:
    """Seconds and memory along one dimension, and the slope of their logarithms."""
    lines = [f"\ngrowth with {name}"]
    good = [(case, run) for case, run in zip(cases, runs, strict=True) if "missing" not in run]
    lines += [f"  {m} {s}: {r['missing']}" for (m, s), r in zip(cases, runs, strict=True) if "missing" in r]
    for (model, size), run in good:
        lines.append(
            f"  {model:10s} {size:10s} {run['rows']:>11,} rows  cpu {run['cpu']:.3f} s  +{run['extra_mb']:.0f} MB"
        )
    if len(good) < 2:
        return "\n".join(lines)
    if name == "regressors":
        along = [run["columns"] for _, run in good]
    elif name == "periods":
        along = [int(size.split("x")[1]) for (_, size), _ in good]
    else:
        along = [run["rows"] for _, run in good]
    slope = np.polyfit(np.log(along), np.log([run["cpu"] for _, run in good]), 1)[0]
    return "\n".join([*lines, f"  cpu grows with the power {slope:.2f} of {name}"])
