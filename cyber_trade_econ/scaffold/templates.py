"""What `new` writes; ``@NAME@`` stands for the name."""

SOURCE = '''\
"""@NAME@: say in one line what the publisher measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv

from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLOWS = Table(
    name="flows",
    meaning="Trade of an exporter with an importer in a year.",
    columns=(
        Column("year", "int16", "year", "Calendar year."),
        Column("exporter", "string", "ISO 3166-1 alpha-3", "Exporting country."),
        Column("importer", "string", "ISO 3166-1 alpha-3", "Importing country."),
        Column("trade_kusd", "float64", "thousand current USD", "Value of trade.", lowest=0),
    ),
    key=("year", "exporter", "importer"),
)


def _parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  one file holds all years
    return (Part("flows", "https://example.org/@NAME@.csv", "@NAME@.csv", ("@NAME@*.csv",)),)


def _tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    types = pa.schema([(c.name, c.arrow) for c in FLOWS.columns])
    # An empty cell is missing, and nothing else is: by default NA, the two letters of Namibia, would be too.
    options = csv.ConvertOptions(column_types=types, strings_can_be_null=True, null_values=[""])
    for file in raw:
        data = csv.read_csv(file.path, convert_options=options)
        wanted = [years is None or y in years for y in data["year"].to_pylist()]
        kept = data.filter(pa.array(wanted, pa.bool_()))
        yield Piece("flows", file.part, kept, {"rows_read": len(data), "rows_other_years": len(data) - len(kept)})


SOURCE = Source(
    name="@NAME@",
    title="Title of the data set",
    publisher="Name of the publisher",
    licence="Name of the licence",
    licence_url="https://example.org/licence",
    citation="Publisher (year). Title of the data set. https://example.org",
    homepage="https://example.org",
    hosts=("example.org",),
    max_bytes=100_000_000,
    tables=(FLOWS,),
    parts=_parts,
    tidy=_tidy,
)
'''

SOURCE_TEST = '''\
"""The source @NAME@: a small file of its layout becomes its table."""

from cyber_trade_econ.records.source import Raw
from cyber_trade_econ.sources.@NAME@ import SOURCE


def test_tidy_gives_the_declared_table(tmp_path):
    file = tmp_path / "@NAME@.csv"
    file.write_text("year,exporter,importer,trade_kusd\\n2020,FRA,DEU,1.5\\n2021,FRA,DEU,2.5\\n", encoding="utf-8")
    (piece,) = SOURCE.tidy([Raw("flows", file, "")], frozenset({2021}))
    rows = SOURCE.table(piece.table).conform(piece.data).to_pylist()
    assert rows == [{"year": 2021, "exporter": "FRA", "importer": "DEU", "trade_kusd": 2.5}]
    assert piece.facts == {"rows_read": 2, "rows_other_years": 1}


def test_only_an_empty_cell_is_missing(tmp_path):
    file = tmp_path / "@NAME@.csv"
    file.write_text("year,exporter,importer,trade_kusd\\n2020,NA,,1.5\\n", encoding="utf-8")
    (piece,) = SOURCE.tidy([Raw("flows", file, "")], None)
    assert piece.data["exporter"].to_pylist() == ["NA"]
    assert piece.data["importer"].to_pylist() == [None]
'''

ESTIMATOR = '''\
"""@NAME@: say in one line what is estimated, and cite the paper (DOI) below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.errors import BadOutcome, EmptySample
from cyber_trade_econ.frames import check_frame, numeric
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Mapping


def @NAME@(data: pd.DataFrame | Panel, outcome: str) -> Estimate:
    """Estimate the mean of an outcome, which stands here for the method to come.

    Parameters
    ----------
    data
        One row per observation.
    outcome
        Numeric column; rows where it is missing are left out and counted.

    Raises
    ------
    FormulaError
        If the data are no data frame or lack the column.
    EmptySample
        If fewer than two rows are left.
    BadOutcome
        If the outcome is not numeric, is infinite somewhere, or is the same everywhere.
    """
    frame = data.frame if isinstance(data, Panel) else data
    check_frame(frame)
    sources: Mapping[str, Mapping[str, object]] = data.sources if isinstance(data, Panel) else {}
    values = numeric(frame, outcome, "the outcome")
    y = values[~np.isnan(values)]
    if len(y) < 2:
        raise EmptySample("@NAME@ needs two rows", found=len(y))
    if np.ptp(y) == 0:
        raise BadOutcome(f"the outcome {outcome!r} does not vary", found=f"{y[0]} everywhere")
    terms = pd.Index(["mean"], name="term")
    return Estimate(
        model="@NAME@",
        formula=f"{outcome} ~ 1",
        coef=pd.Series([y.mean()], index=terms, name="coef"),
        vcov=pd.DataFrame([[y.var(ddof=1) / len(y)]], index=terms, columns=terms),
        nobs=len(y),
        df=len(y) - 1,
        facts={
            "outcome": outcome,
            "rows_given": len(frame),
            "rows_used": len(y),
            "dropped": {"missing": len(frame) - len(y)},
            "vcov": "iid",
            "ssc": "none",
            "clusters": {},
        },
        sources=sources,
    )
'''

ESTIMATOR_TEST = '''\
"""The estimator @NAME@ finds what was planted."""

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import EmptySample
from cyber_trade_econ.gravity.@NAME@ import @NAME@


def test_recovers_the_planted_mean():
    y = np.random.default_rng(1).normal(3.0, 1.0, 400)
    found = @NAME@(pd.DataFrame({"y": [*y, np.nan]}), "y")
    assert abs(found.coef["mean"] - 3.0) < 4 * found.se["mean"]
    assert found.facts["dropped"] == {"missing": 1}


def test_refuses_an_empty_sample():
    with pytest.raises(EmptySample):
        @NAME@(pd.DataFrame({"y": [1.0]}), "y")
'''

ANALYSIS = '''\
"""Say in one line which question this study asks.

Say in a paragraph what the number can and cannot mean: the estimand, what identifies it, and what would falsify it.

References
----------
Santos Silva, J. M. C. and Tenreyro, S. (2006). The Log of Gravity. Review of Economics and Statistics 88(4), 641-658.
https://doi.org/10.1162/rest.88.4.641

Data
----
The sample of official figures that travels with the package.
"""

# %%
import cyber_trade_econ as cte

study = cte.study("@NAME@")

# %% Data
panel = study.add_panel("bilateral_year", cte.sample("bilateral_year"))

# %% Estimates
estimate = cte.ppml("trade_musd ~ log(dist_km) | exporter^year + importer^year", panel)
study.add_estimates({"gravity": estimate})

# %% Results
study.add_table("gravity", cte.table(estimate, title="Gravity"))
study.add_figure("gravity", cte.figure(estimate))
study.save()
'''

ANALYSIS_TEST = '''\
"""The study @NAME@ gives its published numbers; run its main.py once to publish them."""

import subprocess
import sys


def test_published_numbers_hold(tmp_path):
    command = [sys.executable, "-m", "cyber_trade_econ.cli", "run", "@NAME@", "--check", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
'''
