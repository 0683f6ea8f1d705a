"""Write the shipped digest of official trade figures.

Run ``python data/sample/make_sample.py --shared DIR --out data/sample`` where DIR holds ``data/`` and ``mirror/``
with the files named under ``inputs`` below. The same inputs and the same version of pyarrow give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cyber_trade_econ.panels import us_month as recipe_us_month
from cyber_trade_econ.panels.join import join_covariates
from cyber_trade_econ.records.source import Raw, Source
from cyber_trade_econ.sources import geodist, us_census

DECLARED = tomllib.loads(Path(__file__).with_name("declared.toml").read_text(encoding="utf-8"))
TYPES = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "month": pa.timestamp("ns")}
INPUTS = {
    "bilateral_year": ("data/gravity/baci_totals_29countries_2005_2021.parquet", "mirror/geodist/dist_cepii.zip"),
    "us_month": ("mirror/us_census/country.xlsx",),
    "japan_month": ("data/monthly/japan_mof_monthly_trade_by_area_goods_2009_2019.parquet",),
}
FIRST_US_MONTH = pd.Timestamp("1999-01-01")

Made = tuple[pd.DataFrame, dict[str, int]]


def bilateral_year(trade_file: Path, distances: Path) -> Made:
    """BACI totals of 31 economies with distance, border and language from GeoDist."""
    raw = pd.read_parquet(trade_file)
    trade = pd.DataFrame(
        {
            "exporter": raw["iso_o"],
            "importer": raw["iso_d"],
            "year": raw["year"],
            "trade_musd": (raw["trade_thousand_usd"] / 1000).round(6),  # BACI has three decimals of a thousand USD
        }
    )
    pairs = official(geodist.SOURCE, distances)[["exporter", "importer", "dist_km", "contiguity", "common_language"]]
    joined, _ = join_covariates(trade, pairs, on=("exporter", "importer"), unchanged=("trade_musd",))
    possible = len({(i, j) for i in joined["exporter"].unique() for j in joined["importer"].unique() if i != j})
    return joined, {"pair_years_absent": possible * joined["year"].nunique() - len(joined)}


def us_month(workbook: Path) -> Made:
    """US goods trade by partner and month, parsed by the package's own reader of the official file."""
    frame, facts = recipe_us_month.from_flows(official(us_census.SOURCE, workbook))
    kept = frame[frame["month"] >= FIRST_US_MONTH]
    counts = {name: count for name, count in facts.items() if isinstance(count, int)}
    return kept, {**counts, "rows_before_1999_left_out": len(frame) - len(kept)}


def japan_month(trade_file: Path) -> Made:
    """Japan's monthly trade in three goods by partner."""
    areas, goods = DECLARED["japan"]["areas"], DECLARED["japan"]["goods"]
    raw = pd.read_parquet(trade_file)
    raw = raw[raw["goods"].isin(list(goods))]
    group = raw["area"].isin(DECLARED["japan"]["groups"])
    kept = raw[~group]
    partner = kept["area"].map(areas)
    if partner.isna().any():
        raise ValueError(f"areas without an ISO3 code: {sorted(kept['area'][partner.isna()].unique())}")
    exports = kept["ex_im"].eq("export")
    frame = pd.DataFrame(
        {
            "exporter": partner.mask(exports, "JPN"),
            "importer": partner.where(exports, "JPN"),
            "partner": partner,
            "good": kept["goods"].map(goods),
            "flow": kept["ex_im"],
            "month": kept["month"],
            "trade_mjpy": (kept["value_bn_yen"] * 1000).round(3),  # published in thousand yen
        }
    )
    return frame, {"group_rows_left_out": int(group.sum())}


def official(source: Source, path: Path) -> pd.DataFrame:
    """Read a publisher's file with the package's own parser."""
    (part,) = source.parts(None)
    (piece,) = source.tidy([Raw(part.name, path, sha256(path))], None)
    frame: pd.DataFrame = source.table(piece.table).conform(piece.data).to_pandas()
    return frame


def sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(name: str, frame: pd.DataFrame, facts: dict[str, Any], path: Path) -> None:
    """Write one table with its declared schema, sorted by its key, with provenance in the file's metadata."""
    declared = DECLARED["tables"][name]
    if frame.duplicated(declared["key"]).any():
        raise ValueError(f"{name} has more than one row per {declared['key']}")
    provenance = {k: v for k, v in declared.items() if k != "columns"} | facts
    provenance["sources"] = {source: DECLARED["sources"][source] for source in declared["sources"]}
    fields = [
        pa.field(
            c["name"], TYPES[c["type"]], nullable=False, metadata={"unit": c["unit"], "description": c["description"]}
        )
        for c in declared["columns"]
    ]
    text = json.dumps(provenance, ensure_ascii=False, sort_keys=True)
    schema = pa.schema(fields, metadata={"provenance": text})
    ordered = frame.sort_values(declared["key"], kind="stable")[[c["name"] for c in declared["columns"]]]
    table = pa.Table.from_pandas(ordered, schema=schema, preserve_index=False).replace_schema_metadata(schema.metadata)
    pq.write_table(table, path, compression="zstd", compression_level=19)


def make(shared: Path, out: Path) -> None:
    """Write every table of the sample."""
    out.mkdir(parents=True, exist_ok=True)
    for name, recipe in (("bilateral_year", bilateral_year), ("us_month", us_month), ("japan_month", japan_month)):
        files = [shared / part for part in INPUTS[name]]
        frame, counts = recipe(*files)
        facts = {"counts": {"rows": len(frame), **counts}, "inputs": {f.name: sha256(f) for f in files}}
        write(name, frame, facts, out / f"{name}.parquet")


def main() -> None:
    """Read the two folders from the command line."""
    parser = argparse.ArgumentParser(description="Write the shipped digest of official trade figures.")
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/ and mirror/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the Parquet files to")
    options = parser.parse_args()
    make(options.shared, options.out)


if __name__ == "__main__":
    main()
