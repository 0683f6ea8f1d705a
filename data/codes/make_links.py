"""Write ``hs_links.csv``: which codes of the edition before each code of an edition of the Harmonized System came from.

Run ``python data/codes/make_links.py --codes DIR`` where DIR holds the correlation tables of the United Nations Statistics
Division named under `TABLES`. A code that the output does not list came from the same number alone. ``README.md`` beside
this file says what each ``basis`` rests on, and how far the derived part agrees with the publisher's own tables.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from python_calamine import CalamineWorkbook

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
YEARS = (1992, 1996, 2002, 2007, 2012, 2017, 2022)
# (older, newer) -> workbook, sheet, lines above the data. The newer code stands in the first column.
TABLES = {
    (2007, 2012): ("HS_2012_to_HS_2007_Correlation_and_conversion_tables.xls", "Correlation HS2012-HS2007", 2),
    (2012, 2017): ("HS2017toHS2012ConversionAndCorrelationTables.xlsx", "Correlation HS17-HS12", 2),
    (2017, 2022): ("HS2022toHS2017ConversionAndCorrelationTables.xlsx", "HS2022-HS2017 Correlations", 2),
    (1992, 2017): ("HS2017toHS1992ConversionAndCorrelationTables.xlsx", "Correlation HS17-HS92", 2),
}
# Codes of the newer edition (first, last) whose rows of the publisher's table are recorded in hs_read.csv.
READ = {
    1996: (("846410", "910911"),),
    2002: (("010110", "120400"), ("845020", "970600")),
    2007: (("830110", "902110"),),
}
MANY = 12
# A code that ended is given to codes with the same first digits: digits shared, most heirs that are still plausible.
HEIRS = ((5, 9), (4, 9), (2, 4))

Links = dict[str, set[str]]


def main() -> None:
    """Read, derive and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codes", type=Path, required=True)
    rows = table(parser.parse_args().codes)
    with (HERE / "hs_links.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("older", "newer", "code", "came_from", "basis"))
        writer.writerows(rows)


def table(folder: Path) -> list[tuple[str, ...]]:
    """Return the rows of the output: older, newer, codes of the newer that share their origins, origins, basis."""
    return sorted(row for pair, links, basis in transitions(folder) for row in _rows(pair, links, basis))


def _rows(pair: tuple[int, int], links: Links, basis: dict[str, str]) -> Iterable[tuple[str, ...]]:
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for code, origins in sorted(links.items()):
        if origins != {code}:
            alike[";".join(sorted(origins)), basis.get(code, "unsd")].append(code)
    for (origins, why), codes in alike.items():
        yield f"HS{pair[0]}", f"HS{pair[1]}", ";".join(codes), origins, why


def transitions(folder: Path) -> Iterable[tuple[tuple[int, int], Links, dict[str, str]]]:
    """Yield older and newer edition, code -> codes it came from, and the basis of each code (``unsd`` where absent)."""
    held = lists()
    tables = {pair: correlation(folder, pair) for pair in TABLES}
    to_1992 = back_to_1992(tables)
    ancestors: Links = {code: {code} for code in held[1992]}
    for older, newer in pairwise(YEARS[:4]):
        links, basis = derive(held[older], held[newer], ancestors, to_1992, placed(newer))
        for code, origins in read(newer, held[older], held[newer]).items():
            links[code], basis[code] = origins, "read"
        _complete(older, newer, links, held)
        yield (older, newer), links, basis
        ancestors = compose(links, ancestors)
    for pair, links in tables.items():
        extra = placed(pair[1]) if pair[1] == pair[0] + 5 else {}
        for code, origins in extra.items():
            links[code] |= origins
        _complete(*pair, links, held)
        yield pair, links, dict.fromkeys(extra, "placed")


def back_to_1992(tables: dict[tuple[int, int], Links]) -> dict[int, Links]:
    """Edition -> its codes -> their codes of 1992, for the editions that published tables join with 1992."""
    found = {2017: tables[1992, 2017]}
    found[2012] = compose(inverse(tables[2012, 2017]), found[2017])
    found[2007] = compose(inverse(tables[2007, 2012]), found[2012])
    return found


def _complete(older: int, newer: int, links: Links, held: dict[int, set[str]]) -> None:
    """Insist that every code of either edition has a link."""
    orphans = {code for code in held[newer] if not links.get(code)}
    ended = held[older] - {origin for origins in links.values() for origin in origins}
    foreign = set(links) - held[newer] | {o for origins in links.values() for o in origins} - held[older]
    if orphans or ended or foreign:
        found = f"without origin {sorted(orphans)}, without heir {sorted(ended)}, unknown {sorted(foreign)}"
        raise SystemExit(f"{older}-{newer}: {found}")


def lists() -> dict[int, set[str]]:
    """Edition -> six-digit codes, from ``hs.csv``."""
    with (HERE / "hs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {year: {r["code"] for r in rows if r["editions"][i] == "1"} for i, year in enumerate(YEARS)}


def correlation(folder: Path, pair: tuple[int, int]) -> Links:
    """Newer code -> older codes of one correlation table; chapter 99 is no part of the system."""
    workbook, sheet, above = TABLES[pair]
    links: Links = defaultdict(set)
    for row in CalamineWorkbook.from_path(str(folder / workbook)).get_sheet_by_name(sheet).to_python()[above:]:
        # Some tables have an empty or "ex" column between the codes, and the relationship (1:1, n:n) last.
        newer, older = str(row[0]).strip(), str(row[1] if len(row) < 4 else row[2]).strip()
        if newer and not newer.startswith("99"):
            links[newer].add(older)
    return links


def _recorded(name: str, newer: int) -> Links:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["vintage"] == f"HS{newer}"]
    return {row["code"]: set(row["came_from"].split(";")) for row in rows}


def placed(newer: int) -> Links:
    """Codes placed by reading the texts of the lists."""
    return _recorded("hs_placed.csv", newer)


def read(newer: int, older_codes: set[str], newer_codes: set[str]) -> Links:
    """Codes whose origins were read off the publisher's table, those that came from themselves alone included."""
    changed = _recorded("hs_read.csv", newer)
    inside = {code for code in newer_codes if any(first <= code <= last for first, last in READ[newer])}
    return {code: changed.get(code, {code} & older_codes) for code in inside}


def inverse(links: Links) -> Links:
    """Turn newer -> older into older -> newer."""
    turned: Links = defaultdict(set)
    for code, others in links.items():
        for other in others:
            turned[other].add(code)
    return turned


def compose(first: Links, second: Links) -> Links:
    """Follow two relations one after the other."""
    return {code: {end for middle in middles for end in second.get(middle, ())} for code, middles in first.items()}


def derive(
    older: set[str], newer: set[str], ancestors: Links, to_1992: dict[int, Links], known: Links
) -> tuple[Links, dict[str, str]]:
    """Place each code of the newer list by what the table of 1992 and 2017 says about the codes around it.

    A number in both lists is taken to mean the same goods. A new number came from the older codes that descend from the same
    codes of 1992 as it does itself; where these ended, they alone. A number that ended, and that no new number came from,
    went to the continuing codes of its heading, else of its chapter, that carry its goods of 1992 in a later table.
    """
    links: Links = {code: {code} & older for code in newer}
    basis = dict.fromkeys(newer, "derived")
    descendants, ended = inverse({code: ancestors[code] for code in older}), older - newer
    for code in newer - older:
        latest = next((to_1992[year][code] for year in (2017, 2012, 2007) if code in to_1992[year]), set())
        for origin in _near(code, latest):
            links[code] |= {origin} if origin in older else _descent(code, descendants[origin], ended)
        links[code] = _near(code, links[code])
    for code, origins in known.items():
        links[code], basis[code] = origins, "placed"
    later = [inverse(table) for table in to_1992.values()]
    for code in ended - {origin for origins in links.values() for origin in origins}:
        found = {heir for origin in ancestors[code] for table in later for heir in table[origin]} & newer
        for heir in _heirs(code, found & older or found):
            links[heir].add(code)
    return links, basis


def _descent(code: str, candidates: set[str], ended: set[str]) -> set[str]:
    heading = {c for c in candidates if c[:4] == code[:4]}
    return candidates & ended & heading or candidates & ended or heading or candidates


def _near(code: str, candidates: set[str]) -> set[str]:
    """Keep the heading, else the chapter, when there are so many candidates that most are a trace of later revisions."""
    if len(candidates) <= MANY:
        return set(candidates)
    kept = (({c for c in candidates if c[:digits] == code[:digits]}) for digits in (4, 2))
    return next((k for k in kept if k), set(candidates))


def _heirs(code: str, candidates: set[str]) -> set[str]:
    for digits, most in HEIRS:
        found = {c for c in candidates if c[:digits] == code[:digits]}
        if found:
            return found if len(found) <= most else set()
    return candidates if len(candidates) <= 2 else set()


if __name__ == "__main__":
    main()
