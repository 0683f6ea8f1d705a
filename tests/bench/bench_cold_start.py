"""The wait for a first result in a fresh process: import, read a Parquet file, three-way PPML, coefficients.

Run ``python tests/bench/bench_cold_start.py [--repeats 5]`` from the root of the checkout, with no variable set that limits
threads. The data are the panel of the Advanced Guide (69 economies, 1986-2006, 100 thousand rows) where ``../shared`` holds
it, otherwise a simulated one of its size. Processes take turns; printed are medians and minima of wall and medians of CPU
seconds, for the interpreter alone, for pandas and the file alone, and for this package and pyfixest on top of them.

Byte code is kept between processes, as installing a package does for good: where ``PYTHONDONTWRITEBYTECODE`` is set, every
process would compile the sources of a checkout anew, but not those of the peer.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AGTPA = Path(__file__).resolve().parents[3] / "shared" / "data" / "gravity" / "agtpa_applications_1986_2006.parquet"

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

READ = "import sys, pandas as pd; frame = pd.read_parquet(sys.argv[1]); "
PAIR = "frame['pair'] = frame['exporter'] + frame['importer']; "
SPEC = "'trade ~ rta | exporter^year + importer^year + pair'"
CODE = {
    "python": "pass",
    "pandas and the file": READ,
    "import cyber_trade_econ": "import cyber_trade_econ",
    "cyber_trade_econ": (
        f"{READ}{PAIR}import cyber_trade_econ as cte; "
        f"print(cte.ppml({SPEC}, frame, vcov=cte.cluster('pair')).coef['rta'])"
    ),
    "pyfixest": f"{READ}{PAIR}import pyfixest as pf; print(pf.fepois({SPEC}, frame, vcov={{'CRV1': 'pair'}}).coef()['rta'])",
    "cyber-trade-econ --help": "import sys; sys.argv[1:] = ['--help']; from cyber_trade_econ.cli import main; main()",
}


def simulated(folder: Path) -> Path:
    """A panel with the names and the size of the real one."""
    from cyber_trade_econ.simulate import heavy_world

    path = folder / "panel.parquet"
    world = heavy_world(69, 21, seed=1).rename(columns={"agreement": "rta"})
    world[["exporter", "importer", "year", "trade", "rta"]].astype({"exporter": str, "importer": str}).to_parquet(path)
    return path


def once(code: str, data: Path) -> tuple[float, float, str]:
    """Wall and CPU seconds of a fresh process, and what it printed last."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", code, str(data)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, (done.stdout.split() or [""])[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        data = AGTPA if AGTPA.exists() else simulated(Path(folder))
        first = {name: once(code, data)[2] for name, code in CODE.items()}  # fills the caches of files and byte code
        runs = [{name: once(code, data)[:2] for name, code in CODE.items()} for _ in range(repeats)]
    say = sys.stdout.write
    say(f"{data.stem}, load {os.getloadavg()[0]:.2f}, {repeats} processes each\n")
    for name in CODE:
        wall, cpu = ([run[name][k] for run in runs] for k in (0, 1))
        at_best = f"(at best {min(wall):.3f})"
        say(f"  {name:24s} wall {statistics.median(wall):.3f} s {at_best}  cpu {statistics.median(cpu):.3f} s\n")
    ours, theirs = (statistics.median(run[name][0] for run in runs) for name in ("cyber_trade_econ", "pyfixest"))
    read = statistics.median(run["pandas and the file"][0] for run in runs)
    say(f"  pyfixest / ours {theirs / ours:.1f}; ours above pandas and the file {ours - read:.3f} s\n")
    gap = abs(float(first["cyber_trade_econ"]) - float(first["pyfixest"]))
    say(f"  difference of the coefficient {gap:.1e}\n")


if __name__ == "__main__":
    main()
