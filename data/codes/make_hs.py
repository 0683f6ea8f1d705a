"""Write ``hs.csv``: which six-digit codes each edition of the Harmonized System has.

Run ``python data/codes/make_hs.py --codes DIR`` where DIR holds ``comtrade_classifications.parquet``, the reference lists of
UN Comtrade (one row per code and edition: classification, id, text, parent). The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

YEARS = (1992, 1996, 2002, 2007, 2012, 2017, 2022)
# The lists carry 19 mineral-oil codes that were never part of the system and mark them so.
FOREIGN = r"LEGACY NON-WCO CODE"
# "Commodities not specified" is a convention of trade statistics; chapter 99 is left to national use.
NATIONAL = r"99"


def editions(lists: pd.DataFrame) -> pd.DataFrame:
    """Return one row per code: ``code`` (six digits as text), ``editions`` (one 0 or 1 per edition, oldest first)."""
    real = lists[lists["id"].str.fullmatch(r"\d{6}") & ~lists["text"].str.contains(FOREIGN)]
    real = real[~real["id"].str.startswith(NATIONAL)]
    held = {year: set(real.loc[real["classification"] == f"HS{year}", "id"]) for year in YEARS}
    codes = sorted(set().union(*held.values()))
    marks = ["".join("1" if code in held[year] else "0" for year in YEARS) for code in codes]
    return pd.DataFrame({"code": codes, "editions": marks})


def main() -> None:
    """Read the lists and write the table beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=Path, required=True)
    lists = pd.read_parquet(parser.parse_args().codes / "comtrade_classifications.parquet")
    editions(lists).to_csv(Path(__file__).with_name("hs.csv"), index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
