"""The gravity engine against pyfixest on simulated panels as hard as real trade data, and against the speed of memory.

Run ``python tests/bench/bench_engine.py [--sizes S,M] [--peers S] [--repeats 3]``. Every fit runs in a process of its own,
pinned to one thread, after a warm-up on a tiny world, so that imports and compilation are not timed. Printed are medians of
CPU and wall seconds, peak memory of the process above that after loading the data, the path that ran, ratios to pyfixest
where it was run, the largest difference of a coefficient, and the floor: ten passes over outcome, mean, index and
regressors at the measured bandwidth of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

SIZES = {"S": (70, 20, 1), "M": (200, 27, 1), "L": (200, 27, 4)}
EFFECTS = {1: "exporter^year + importer^year + pair", 4: "exporter^sector^year + importer^sector^year + pair^sector"}
MODELS = ("ppml", "ols")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")


def world(size: str) -> Any:
    from cyber_trade_econ.simulate import heavy_world

    economies, years, sectors = SIZES[size]
    return heavy_world(economies, years, sectors=sectors, seed=7)


def spec(size: str, model: str) -> str:
    from cyber_trade_econ.simulate.heavy import REGRESSORS

    outcome = "trade" if model == "ppml" else "log(trade)"
    return f"{outcome} ~ {' + '.join(REGRESSORS)} | {EFFECTS[SIZES[size][2]]}"


def prepared(engine: str, frame: Any, size: str, model: str) -> tuple[Any, str]:
    """What an engine is given: pyfixest takes its effects as columns of whole numbers."""
    if model == "ols":
        frame = frame[frame["trade"] > 0].reset_index(drop=True)
    formula = spec(size, model)
    if engine == "pyfixest":
        for effect in formula.split("|")[1].split("+"):
            name = effect.strip()
            if "^" in name:
                frame[name.replace("^", "_")] = frame.groupby(name.split("^"), observed=True).ngroup()
                formula = formula.replace(name, name.replace("^", "_"))
    return frame, formula


def fit(engine: str, frame: Any, formula: str, model: str) -> tuple[list[float], str]:
    if engine == "cyber_trade_econ":
        import cyber_trade_econ as cte

        estimate = getattr(cte, model)(formula, frame, vcov=cte.cluster("pair"))
        return estimate.coef.tolist(), str(estimate.facts.get("path", "general"))
    import pyfixest as pf

    run = pf.fepois if model == "ppml" else pf.feols
    return run(formula, frame, vcov={"CRV1": "pair"}).coef().tolist(), ""


def once(engine: str, size: str, model: str) -> dict[str, Any]:
    tiny = (15, 12, 1)
    SIZES["tiny"] = tiny
    fit(engine, *prepared(engine, world("tiny"), "tiny", model), model)
    frame, formula = prepared(engine, world(size), size, model)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    coef, path = fit(engine, frame, formula, model)
    return {
        "rows": len(frame),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "extra_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - loaded) / 1024,
        "coef": coef,
        "path": path,
    }


def bandwidth() -> float:
    """Bytes per second of a = b + c on one thread, the best of five."""
    import numpy as np

    a, b, c = (np.ones(8_000_000) for _ in range(3))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.add(b, c, out=a)
        best = min(best, time.perf_counter() - start)
    return 3 * a.nbytes / best


def measured(engine: str, size: str, model: str, repeats: int) -> dict[str, Any]:
    """Medians of runs in processes of their own."""
    threads = dict.fromkeys(THREADS, "1")
    command = [sys.executable, __file__, "--engine", engine, "--sizes", size, "--model", model]
    runs = []
    for _ in range(repeats):
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | threads)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return runs[0] | {k: statistics.median(r[k] for r in runs) for k in ("wall", "cpu", "extra_mb")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="S,M")
    parser.add_argument("--peers", default="S", help="sizes at which pyfixest runs too; at M it takes minutes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        sys.stdout.write(json.dumps(once(args.engine, args.sizes, args.model)) + "\n")
        return
    speed = bandwidth()
    out = [f"bandwidth {speed / 1e9:.1f} GB/s, load {os.getloadavg()[0]:.2f}, medians of {args.repeats}, one thread"]
    for size in args.sizes.split(","):
        for model in MODELS:
            ours = measured("cyber_trade_econ", size, model, args.repeats)
            floor = 10 * ours["rows"] * 8 * 9 / speed
            out.append(
                f"{size} {model:4s} {ours['rows']:>9,} rows  cpu {ours['cpu']:.2f} s  wall {ours['wall']:.2f} s  "
                f"+{ours['extra_mb']:.0f} MB  path {ours['path']}  {ours['cpu'] / floor:.0f} x the floor of {floor:.3f} s"
            )
            if size in args.peers.split(","):
                peer = measured("pyfixest", size, model, args.repeats)
                gap = max(abs(a - b) for a, b in zip(ours["coef"], peer["coef"], strict=True))
                out.append(
                    f"  pyfixest            cpu {peer['cpu']:.2f} s  wall {peer['wall']:.2f} s  +{peer['extra_mb']:.0f} MB  "
                    f"pyfixest / ours: cpu {peer['cpu'] / ours['cpu']:.1f}, wall {peer['wall'] / ours['wall']:.1f}; "
                    f"largest difference of a coefficient {gap:.1e}"
                )
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
