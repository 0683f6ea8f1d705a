"""The digest of official figures that travels with the package, as panels."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from cyber_trade_econ.errors import UnknownName
from cyber_trade_econ.panels import bilateral_year, japan_month, us_month, us_year
from cyber_trade_econ.records import shipped
from cyber_trade_econ.records.panel import Panel

_RECIPES = {"bilateral_year": bilateral_year, "us_month": us_month, "japan_month": japan_month}
SAMPLES = ("bilateral_year", "japan_month", "us_month", "us_year")


def sample(name: str) -> Panel:
    """Return a shipped digest of official figures as a panel.

    Parameters
    ----------
    name
        ``"bilateral_year"``: 31 economies, 2005-2021, million USD. ``"us_month"``: the United States with all
        partners, 1999-01 to 2025-02, million USD; ``"us_year"``: its complete years. ``"japan_month"``: Japan's trade
        in three goods, 2009-01 to 2019-05, million yen.

    Returns
    -------
    The panel; ``sources`` holds licence, citation and version, ``facts`` what was left out and what an absent row
    means.

    Raises
    ------
    UnknownName
        If there is no such sample.
    """
    if name not in SAMPLES:
        raise UnknownName("a shipped sample", found=repr(name), allowed=SAMPLES)
    if name == "us_year":
        return us_year.collapse(sample("us_month"))
    recipe = _RECIPES[name]
    path = shipped.path(f"data/sample/{name}.parquet")
    metadata = pq.read_schema(path).metadata
    provenance: dict[str, Any] = json.loads(metadata[b"provenance"])
    digest = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "file": path.name}
    sources = {source: {**about, **digest} for source, about in provenance["sources"].items()}
    facts = {"origin": "shipped sample"} | {
        key: provenance[key] for key in ("title", "counts", "edits", "notes", "inputs")
    }
    return Panel(
        recipe.finish(pd.read_parquet(path)), recipe.UNIT, recipe.TIME, sources=sources, facts=facts, name=name
    )
