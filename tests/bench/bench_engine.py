"""The gravity engine against its peers on simulated panels as hard as real trade data, and against the speed of memory.

Run from the root of the checkout, on a machine that does nothing else::

    python tests/bench/bench_engine.py --quick                                   # under a minute: does it run
    python tests/bench/bench_engine.py                                           # S and M, all models, one thread
    python tests/bench/bench_engine.py --sizes S,M,L1,L2,XL,H,U,I --models ppml3 --threads 1,2
    python tests/bench/bench_engine.py --sizes M --models ppml3 --slow-peers M   # pyfixest at M: minutes each
    python tests/bench/bench_engine.py --sizes "" --growth                       # with rows, regressors and periods

Sizes: tiny; S 98 thousand rows; M 1.07 million; L1 5.4 million in five sectors; L2 3 million over sixty years; XL 15 million
in 17 sectors (3 GB while it is drawn); H with domestic flows a hundred times as large; U with 55 % of the cells missing; I
every fifth year. A world of another size is written ``economies x years x sectors``, such as ``100x20x1``. Models:
`cases.MODELS`; ``events:10`` takes the first ten of its columns, and ``cells`` at S is the real panel of the Advanced Guide
where ``../shared`` holds it.

Every fit runs in a process of its own after a warm-up on a tiny world, so that imports and compilation are not timed. With
one thread it is pinned to one core. Where numba is installed its kernels serve; ``CYBER_TRADE_ECON_KERNELS=numpy`` in the
environment measures without. Printed are medians of CPU and wall seconds; peak memory above the loaded data; the path
that ran; ratios to each peer in the same run; the largest difference of a coefficient; the floor and what each step of a fit
costs in its passes. A pass reads or writes outcome, mean, two indices and the regressors at the measured bandwidth, and for
Poisson models takes one exponential per row; the floor is ten of them. Peers: pyfixest; for least squares linearmodels too;
R's fixest where Rscript is on the machine. Its ``stored`` figures come from another state of a machine and another draw of
the world, and only say where to look.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS")
LONG = 60.0  # seconds of a fit that is not repeated
QUICK = {"sizes": "tiny", "models": "ppml3,ols3,ppml2,events,cells,effects", "slow_peers": "tiny", "repeats": 1}
MEASURES = ("wall", "cpu", "extra_mb")
# What grows, and the cases between which it does.
GROWTH = {
    "rows (economies)": [("ppml3", f"{n}x20x1") for n in (35, 50, 70, 100, 140)],
    "rows (sectors)": [("ppml3", f"70x20x{s}") for s in (1, 2, 4, 8)],
    "regressors": [(f"events:{k}", "100x27x1") for k in (5, 10, 20, 32)],
    "periods": [("ppml3", f"70x{t}x1") for t in (10, 20, 40, 80)],
}


def make(model: str, size: str, path: Path) -> None:
    """Write a case to a file."""
    import cases

    name, _, terms = model.partition(":")
    drawn = cases.SIZES[size] if size in cases.SIZES else cases.Size(*map(int, size.split("x")))
    case = cases.MODELS[name](drawn, *([int(terms)] if terms else []))
    path.write_bytes(pickle.dumps(case.slim(), protocol=5))


def once(engine: str, warm: Path, path: Path, threads: int) -> dict[str, Any]:
    """Fit one case in this process."""
    import engines
    import steps

    if threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    case = pickle.loads(path.read_bytes())  # noqa: S301  written by `make`
    why = engines.missing(engine, case)
    if why:
        return {"missing": why}
    if engine != "fixest":
        engines.fit(engine, engines.given(engine, pickle.loads(warm.read_bytes())), threads)  # noqa: S301
    watch = steps.Watch() if engine == engines.OURS else None
    size = {"rows": len(case.frame), "columns": len(case.terms)}
    case = engines.given(engine, case)
    out = size | engines.fit(engine, case, threads)
    return out | ({"steps": watch.seconds, "absent": watch.absent} if watch else {})


def speed(threads: int) -> report.Speed:
    """Seconds per byte of a = b + c and per exponential, both in memory, the best of five."""
    import numpy as np

    a, b, c = (np.ones(16_000_000) for _ in range(3))
    parts = [slice(k * len(a) // threads, (k + 1) * len(a) // threads) for k in range(threads)]

    def best(work: Callable[[slice], object]) -> float:
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            list(pool.map(work, parts))
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    with ThreadPoolExecutor(threads) as pool:
        moved = best(lambda s: np.add(b[s], c[s], out=a[s])) / (3 * a.nbytes)
        return report.Speed(moved, max(best(lambda s: np.exp(b[s], out=a[s])) / len(a) - 16 * moved, 0.0))


class Bench:
    """Runs fits in processes of their own; cases are written to a folder once."""

    def __init__(self, folder: Path, repeats: int, patience: float) -> None:
        self.folder, self.repeats, self.patience = folder, repeats, patience

    def case(self, model: str, size: str) -> Path:
        path = self.folder / f"{model.replace(':', '_')}_{size}.pickle"
        if not path.exists():
            self._child(["--make", model, size, str(path)], 1, None)
        return path

    def measure(self, engine: str, model: str, size: str, threads: int) -> dict[str, Any]:
        """Medians over runs; what else a run says comes from the first."""
        warm = self.case(model.partition(":")[0], "tiny")
        command = ["--fit", engine, str(warm), str(self.case(model, size)), str(threads)]
        runs: list[dict[str, Any]] = []
        while len(runs) < self.repeats:
            try:
                out = self._child(command, threads, self.patience)
            except subprocess.TimeoutExpired:
                return {"missing": f"more than {self.patience:.0f} s, stopped"}
            except subprocess.CalledProcessError as error:
                return {"missing": "failed: " + (error.stderr.strip().splitlines() or ["no message"])[-1][:200]}
            runs.append(json.loads(out.splitlines()[-1]))
            if "missing" in runs[0] or runs[0]["wall"] > LONG:
                break
        if "missing" in runs[0]:
            return runs[0]
        return runs[0] | {k: statistics.median(r[k] for r in runs) for k in MEASURES} | {"runs": len(runs)}

    def _child(self, arguments: list[str], threads: int, patience: float | None) -> str:
        environment = os.environ | dict.fromkeys(THREADS, str(threads))
        command = [sys.executable, __file__, *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment, timeout=patience
        ).stdout

    def drop(self, model: str, size: str) -> None:
        if size != "tiny":
            self.case(model, size).unlink()


def compare(bench: Bench, args: argparse.Namespace, speeds: dict[int, report.Speed]) -> None:
    """Print every model at every size, peers beside it."""
    slow = args.slow_peers.split(",")
    for size in [s for s in args.sizes.split(",") if s]:
        for model in args.models.split(","):
            for threads, now in speeds.items():
                ours = bench.measure("cyber_trade_econ", model, size, threads)
                peers = ["fixest"]
                peers += ["pyfixest"] if size in slow or (model == "ols3" and size in args.sizes_of_ols_peers) else []
                peers += ["linearmodels"] if model == "ols3" and size in args.sizes_of_ols_peers else []
                found = {peer: bench.measure(peer, model, size, threads) for peer in peers}
                sys.stdout.write(report.block(model, size, threads, ours, found, now) + "\n")
                sys.stdout.flush()
            bench.drop(model, size)


def growth(bench: Bench, *, quick: bool) -> None:
    """Print how time grows, one thread."""
    for name, points in GROWTH.items():
        chosen = points[:2] if quick else points
        runs = [bench.measure("cyber_trade_econ", model, size, 1) for model, size in chosen]
        sys.stdout.write(report.growth(name, chosen, runs) + "\n")
        for model, size in chosen:
            bench.drop(model, size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="S,M")
    parser.add_argument("--models", default="ppml3,ols3,ppml2,events,cells,effects")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--slow-peers", default="S", help="sizes at which pyfixest fits Poisson models; at M it takes minutes"
    )
    parser.add_argument("--sizes-of-ols-peers", default="tiny,S,M,H,U,I", type=lambda text: text.split(","))
    parser.add_argument("--patience", type=float, default=1800, help="seconds after which a fit is stopped")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--make", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--fit", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.make:
        make(args.make[0], args.make[1], Path(args.make[2]))
        return
    if args.fit:
        engine, warm, path, threads = args.fit
        sys.stdout.write(json.dumps(once(engine, Path(warm), Path(path), int(threads))) + "\n")
        return
    if args.quick:
        vars(args).update(QUICK)
    speeds = {threads: speed(threads) for threads in map(int, args.threads.split(","))}
    sys.stdout.write(report.head(args.repeats, speeds) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.repeats, args.patience)
        compare(bench, args, speeds)
        if args.growth:
            growth(bench, quick=args.quick)


if __name__ == "__main__":
    main()
