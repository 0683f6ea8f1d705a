"""The engines that are compared: what each is given, and one fit with each."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from cases import Case

    Fit = Callable[[Case], dict[str, Any]]

OURS = "cyber_trade_econ"

R_SCRIPT = """
args <- commandArgs(TRUE)
suppressPackageStartupMessages(library(fixest))
setFixest_nthreads(as.integer(args[4])); setFixest_notes(FALSE)
names <- strsplit(args[2], ",")[[1]]
data <- as.data.frame(matrix(readBin(args[1], "double", as.numeric(args[3]) * length(names)), ncol = length(names)))
names(data) <- names
invisible(gc(reset = TRUE)); loaded <- sum(gc()[, 2])
start <- proc.time()
run <- if (args[6] == "ols") feols else fepois
est <- run(as.formula(args[5]), data, cluster = as.formula(paste0("~", args[7])))
spent <- proc.time() - start
cat(spent[["user.self"]] + spent[["sys.self"]], spent[["elapsed"]], sum(gc()[, 6]) - loaded, "\\n")
cat(paste(names(coef(est)), format(coef(est), digits = 17), sep = "\\t"), sep = "\\n")
"""


def missing(engine: str, case: Case) -> str:
    """Why an engine cannot fit a case; empty where it can."""
    if engine == "linearmodels" and case.kind != "ols":
        return "no Poisson model"
    if engine == "fixest":
        if shutil.which("Rscript") is None:
            return "no Rscript on this machine"
        found = subprocess.run(["Rscript", "-e", "library(fixest)"], capture_output=True, check=False)
        return "" if found.returncode == 0 else "Rscript is here, fixest is not"
    return ""


def given(engine: str, case: Case) -> Case:
    """The case as a peer takes it: effects as columns of whole numbers, outcome and clusters as columns."""
    if engine == OURS:
        return case
    frame, effects = case.frame.copy(), []
    for effect in case.effects:
        name = effect.replace("^", "_")
        frame[name] = frame.groupby(effect.split("^"), observed=True).ngroup().astype("int64")
        effects.append(name)
    return replace(case, frame=frame.drop(columns=["exporter", "importer"], errors="ignore"), effects=tuple(effects))


def ours(case: Case) -> dict[str, Any]:
    import cyber_trade_econ as cte

    run = cte.ols if case.kind == "ols" else cte.ppml
    estimate = run(case.formula, case.frame, vcov=cte.cluster(case.cluster), collinear="drop")
    facts = {name: estimate.facts.get(name) for name in ("path", "kernels", "iterations")}
    return {"coef": dict(estimate.coef), "used": estimate.nobs, "facts": facts}


def pyfixest(case: Case) -> dict[str, Any]:
    import pyfixest as pf

    run = pf.feols if case.kind == "ols" else pf.fepois
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of collinear columns in tiny worlds, and of models without a regressor
        estimate = run(case.formula, case.frame, vcov={"CRV1": case.cluster})
        return {"coef": dict(estimate.coef())}


def linearmodels(case: Case) -> dict[str, Any]:
    from linearmodels.iv.absorbing import AbsorbingLS

    absorbed = pd.DataFrame({e: pd.Categorical(case.frame[e]) for e in case.effects})
    outcome = np.log(case.frame[case.outcome])
    model = AbsorbingLS(outcome, case.frame[list(case.terms)], absorb=absorbed, drop_absorbed=True)
    estimate = model.fit(cov_type="clustered", clusters=case.frame[case.cluster])
    return {"coef": dict(estimate.params)}


def fixest(case: Case, threads: int = 1) -> dict[str, Any]:
    """Fit with R; time and memory are those that R reports for the fit alone."""
    names = list(case.frame.columns)
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "data.bin", Path(folder) / "fit.R"
        np.asfortranarray(case.frame.to_numpy(dtype=np.float64)).T.tofile(data)
        script.write_text(R_SCRIPT)
        rows = str(len(case.frame))
        formula = case.formula.replace("i(cell, ref=0)", "i(cell, ref = 0)")
        command = ["Rscript", script, data, ",".join(names), rows, str(threads), formula, case.kind, case.cluster]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    first, *rest = done.stdout.splitlines()
    cpu, wall, extra = map(float, first.split())
    coef = {name: float(value) for name, value in (line.split("\t") for line in rest)}
    return {"coef": coef, "cpu": cpu, "wall": wall, "extra_mb": extra}


def fit(engine: str, case: Case, threads: int) -> dict[str, Any]:
    """Fit once; time and peak memory above what the process holds already come along."""
    if engine == "fixest":
        return fixest(case, threads)
    run: Fit = {OURS: ours, "pyfixest": pyfixest, "linearmodels": linearmodels}[engine]
    if engine == OURS:
        _loaded()
    _forget_peak()
    held = _memory("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    out = run(case)
    spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return out | spent | {"extra_mb": _memory("VmHWM") - held}


def _loaded() -> None:
    """Load what only large panels load, SciPy and numba's kernels where they may be used: once, which the warm-up does."""
    import scipy.linalg
    import scipy.optimize
    import scipy.sparse.csgraph  # noqa: F401

    from cyber_trade_econ.hdfe import compilation, kernels

    if os.environ.get(compilation.SWITCH) != kernels.NUMPY.name:
        compilation.load(make=True)


def _memory(name: str) -> float:
    """Resident memory of this process in MB, now (`VmRSS`) or at its peak (`VmHWM`); as Linux tells it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _forget_peak() -> None:
    """Let the peak of memory begin at what is needed now, so that loading the data does not hide the fit (Linux)."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed would be used by the fit and not show
    Path("/proc/self/clear_refs").write_text("5")
