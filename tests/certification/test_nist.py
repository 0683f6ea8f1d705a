"""NIST Statistical Reference Datasets, linear regression: certified to 15 digits.

The log relative error is the number of digits that agree. Nine are asked of sets whose design loses at most six to
ill-conditioning; of Wampler 3 to 5, where noise of growing size is fitted by a polynomial of degree five, and of Filip, a
polynomial of degree ten, fewer can be had in double precision.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.ols import ols

LEAST_DIGITS = {
    "Norris": 12, "Pontius": 12, "NoInt1": 13, "NoInt2": 13, "Longley": 9, "Wampler1": 9, "Wampler2": 9,
    "Wampler3": 8, "Wampler4": 6, "Wampler5": 5, "Filip": 6,
}  # fmt: skip
DEGREE = {"Pontius": 2, "Filip": 10} | {f"Wampler{k}": 5 for k in range(1, 6)}


def digits(got: float, certified: float) -> float:
    error = abs(got - certified) / (abs(certified) or 1.0)
    return 15.0 if error == 0 else min(15.0, -math.log10(error))


def read(path: Path) -> tuple[np.ndarray, dict[str, tuple[float, float]]]:
    text = path.read_text()
    lines = text.splitlines()
    first, last = map(int, re.search(r"Data\s*\(lines (\d+) to (\d+)\)", text).groups())
    top, bottom = map(int, re.search(r"Certified Values\s*\(lines (\d+) to (\d+)\)", text).groups())
    rows = [line.split() for line in lines[top - 1 : bottom]]
    certified = {r[0]: (float(r[1]), float(r[2])) for r in rows if r and re.fullmatch(r"B\d+", r[0])}
    return np.array([[float(v) for v in line.split()] for line in lines[first - 1 : last]]), certified


@pytest.mark.parametrize("name", LEAST_DIGITS)
def test_certified_digits(shared, name):
    values, certified = read(shared / f"data/nist/{name}.dat")
    columns = [values[:, 1] ** k for k in range(1, DEGREE[name] + 1)] if name in DEGREE else list(values[:, 1:].T)
    frame = pd.DataFrame({f"x{k}": column for k, column in enumerate(columns, 1)}).assign(y=values[:, 0])
    spec = (
        "y ~ " + " + ".join(f"x{k}" for k in range(1, len(columns) + 1)) + (" - 1" if name.startswith("NoInt") else "")
    )
    e = ols(spec, frame, vcov="iid")
    assert min(digits(b, c) for b, (c, _) in zip(e.coef, certified.values(), strict=True)) >= LEAST_DIGITS[name]
    assert min(digits(s, c) for s, (_, c) in zip(e.se, certified.values(), strict=True)) >= min(8, LEAST_DIGITS[name])


def test_longley_from_another_copy():
    """The same certified values on the copy that statsmodels ships, so that the default suite holds a certified case."""
    data = pytest.importorskip("statsmodels.datasets").longley.load_pandas().data
    e = ols("TOTEMP ~ GNPDEFL + GNP + UNEMP + ARMED + POP + YEAR", data, vcov="iid")
    stored = json.loads((Path(__file__).parent / "reference/longley.json").read_text())["published"]
    for term, (coef, se) in stored["terms"].items():
        assert digits(e.coef[term], float(coef)) >= stored["digits_asked"] == 9, term
        assert digits(e.se[term], float(se)) >= 9, term
