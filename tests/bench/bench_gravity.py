"""Three-way PPML and the cost of opening the package, against pyfixest in the same run.

Run ``python tests/bench/bench_gravity.py [--economies 60] [--years 20] [--repeats 3]``. Every fit runs in a process of its
own after one warm-up fit on a tiny world, so that imports and compilation are not timed; printed are medians of
wall and CPU seconds of the fit, peak memory of the process, and ratios. The world is simulated; a third of its flows are
zero.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

SPEC = "trade_musd ~ treated + x | exporter^year + importer^year + pair"


def world(economies: int, years: int) -> Any:
    import numpy as np

    from cyber_trade_econ.simulate import gravity_world

    frame = gravity_world(economies, years, dispersion=1.5, seed=1)
    rng = np.random.default_rng(0)
    frame["x"] = rng.normal(size=len(frame))
    frame.loc[rng.random(len(frame)) < 1 / 3, "trade_musd"] = 0.0
    return frame


def fit(engine: str, frame: Any) -> list[float]:
    if engine == "cyber_trade_econ":
        import cyber_trade_econ as cte

        return cte.ppml(SPEC, frame, vcov=cte.cluster("pair")).coef.tolist()
    import pyfixest as pf

    wide = frame.assign(
        exporter_year=frame["exporter"] + frame["year"].astype(str),
        importer_year=frame["importer"] + frame["year"].astype(str),
    )
    spec = SPEC.replace("exporter^year", "exporter_year").replace("importer^year", "importer_year")
    return pf.fepois(spec, wide, vcov={"CRV1": "pair"}).coef().tolist()


def once(engine: str, economies: int, years: int) -> dict[str, Any]:
    fit(engine, world(6, 5))
    frame = world(economies, years)
    wall, cpu = time.perf_counter(), time.process_time()
    coef = fit(engine, frame)
    return {
        "rows": len(frame),
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "coef": coef,
    }


def cold(code: str, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--economies", type=int, default=60)
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.engine:
        sys.stdout.write(json.dumps(once(args.engine, args.economies, args.years)) + "\n")
        return
    engines = ("cyber_trade_econ", "pyfixest")
    runs: dict[str, list[dict[str, Any]]] = {e: [] for e in engines}
    for _ in range(args.repeats):
        for engine in engines:
            command = [sys.executable, __file__, "--engine", engine]
            size = ["--economies", str(args.economies), "--years", str(args.years)]
            done = subprocess.run([*command, *size], check=True, capture_output=True, text=True)
            runs[engine].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        e: {k: statistics.median(r[k] for r in rs) for k in ("wall", "cpu", "peak_mb")} for e, rs in runs.items()
    }
    out = [f"three-way PPML, {runs[engines[0]][0]['rows']:,} rows, medians of {args.repeats}"]
    for engine, m in medians.items():
        out.append(f"  {engine:18s} wall {m['wall']:.2f} s  cpu {m['cpu']:.2f} s  peak {m['peak_mb']:.0f} MB")
    ours, theirs = medians[engines[0]], medians[engines[1]]
    out.append(
        "  pyfixest / ours    " + "  ".join(f"{k} {theirs[k] / ours[k]:.1f}" for k in ("wall", "cpu", "peak_mb"))
    )
    gap = max(abs(a - b) for a, b in zip(runs[engines[0]][0]["coef"], runs[engines[1]][0]["coef"], strict=True))
    out.append(f"  largest difference of a coefficient {gap:.1e}")
    bare = cold("pass", args.repeats)
    out.append(
        f"import cyber_trade_econ: {cold('import cyber_trade_econ', args.repeats) - bare:.3f} s above bare Python"
    )
    helped = "import sys; sys.argv = ['cyber-trade-econ', '--help']; from cyber_trade_econ.cli import main; main()"
    out.append(f"cyber-trade-econ --help: {cold(helped, args.repeats):.3f} s")
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
