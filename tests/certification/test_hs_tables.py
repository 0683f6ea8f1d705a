"""The shipped links of the Harmonized System against the publishers' own tables, where these lie beside the checkout."""

from __future__ import annotations

import csv
import importlib.util
import itertools
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from python_calamine import CalamineWorkbook

from cyber_trade_econ.codes.links import every, links
from cyber_trade_econ.codes.product import VINTAGES, codes_of

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

# Correlation tables of the United Nations Statistics Division: workbook, sheet, column of the older code.
UNSD = {
    ("HS2007", "HS2012"): ("HS_2012_to_HS_2007_Correlation_and_conversion_tables.xls", "Correlation HS2012-HS2007", 2),
    ("HS2012", "HS2017"): ("HS2017toHS2012ConversionAndCorrelationTables.xlsx", "Correlation HS17-HS12", 2),
    ("HS2017", "HS2022"): ("HS2022toHS2017ConversionAndCorrelationTables.xlsx", "HS2022-HS2017 Correlations", 1),
    ("HS1992", "HS2017"): ("HS2017toHS1992ConversionAndCorrelationTables.xlsx", "Correlation HS17-HS92", 1),
}
# Links that the publisher's tables lack and without which a code would have no origin or no heir.
ADDED = {
    ("HS2007", "HS2012"): {("291636", "291616")},
    ("HS2017", "HS2022"): {
        *(("300219", "300212"), ("854150", "854151"), ("854150", "854159")),
        ("911490", "911490"),  # other parts of clocks had electrical waste alone for an heir
    },
}


def sheet(folder: Path, book: str, name: str) -> list[list[str]]:
    rows = CalamineWorkbook.from_path(str(folder / book)).get_sheet_by_name(name).to_python()
    return [[str(cell).strip() for cell in row] for row in rows]


@pytest.mark.parametrize("pair", UNSD)
def test_the_links_are_those_of_the_publisher(pair: tuple[str, str], shared: Path) -> None:
    book, name, column = UNSD[pair]
    rows = sheet(shared / "data" / "codes", book, name)
    published = {(row[column], row[0]) for row in rows if row[0].isdigit() and not row[0].startswith("99")}
    assert len(published) > 5000
    assert every(*pair) == published | ADDED.get(pair, set())


@pytest.mark.parametrize(
    ("pair", "book", "name"),
    [
        (("HS2017", "HS1992"), UNSD["HS1992", "HS2017"][0], "Conversion HS17-HS92"),
        (("HS2017", "HS2012"), UNSD["HS2012", "HS2017"][0], "Conversion HS17-HS12"),
        (("HS2012", "HS2007"), UNSD["HS2007", "HS2012"][0], "Conversion HS12-HS07"),
    ],
)
def test_the_one_successor_that_the_publisher_converts_to_is_among_ours(
    pair: tuple[str, str], book: str, name: str, shared: Path
) -> None:
    rows = sheet(shared / "data" / "codes", book, name)
    chosen = {row[0]: row[1] for row in rows if row[0].isdigit() and not row[0].startswith("99")}
    assert set(chosen) == codes_of(pair[0])
    ours = links(*pair, traces=True)
    missed = [(code, end) for code, end in chosen.items() if end not in ours[code]]
    assert len(missed) <= 2, missed  # the publisher's conversions leave its own correlations in so few places


def test_derived_links_agree_with_a_concordance_that_we_did_not_use(shared: Path) -> None:
    """HS2002 to HS2012 by the Global Trade Alert: not a source of ours, though it may rest on the same publisher."""
    table = pd.read_parquet(shared / "data" / "codes" / "gta_hs_vintages.parquet")
    table = table[table["origin.vintage"] == "HS 2002"]
    pairs = {
        (f"{int(a):06d}", f"{int(b):06d}")
        for a, b in zip(table["origin.code"], table["hs.2012"], strict=True)
        if a > 9999 and b > 9999
    }
    theirs = {(a, b) for a, b in pairs if a in codes_of("HS2002") and b in codes_of("HS2012")}
    ours = {(code, end) for code, ends in links("HS2002", "HS2012", traces=True).items() for end in ends}
    changed = {pair for pair in theirs if pair[0] != pair[1]}
    assert len(theirs) > 5500
    assert len(theirs & ours) >= 0.98 * len(theirs)
    assert len(changed & ours) >= 0.92 * len(changed)
    assert len(theirs & ours) >= 0.96 * len(ours)


def test_the_steps_from_1992_agree_with_the_published_link_of_1992_and_2017() -> None:
    found = {(code, code) for code in codes_of("HS1992")}
    for older, newer in itertools.pairwise(VINTAGES[:6]):
        step: dict[str, set[str]] = {}
        for start, end in every(older, newer):
            step.setdefault(start, set()).add(end)
        found = {(first, end) for first, middle in found for end in step[middle]}
    published = every("HS1992", "HS2017")
    assert len(found & published) >= 0.95 * len(published)
    assert len(found & published) >= 0.92 * len(found)


def test_the_code_list_of_1992_is_that_of_another_publisher(shared: Path) -> None:
    """CEPII's list of BACI holds one code more, 999999, for trade that is not specified."""
    with (shared / "mirror" / "baci" / "product_codes_HS92_V202301.csv").open(encoding="utf-8", newline="") as file:
        codes = {row[0].zfill(6) for row in list(csv.reader(file))[1:]}
    assert codes - {"999999"} == codes_of("HS1992")
    assert codes != codes_of("HS1992")


def test_codes_that_keep_their_number_and_not_their_goods_are_known() -> None:
    """A number without a link to itself either went to other goods, or the publisher's table forgot it."""
    renumbered = {("HS2002", "844319"), ("HS2007", "030319"), ("HS2007", "030329"), ("HS2017", "701919")}
    found = set()
    for older, newer in itertools.pairwise(VINTAGES):
        pairs = every(older, newer)
        found |= {(older, code) for code in codes_of(older) & codes_of(newer) if (code, code) not in pairs}
    assert found == renumbered


def test_the_page_counts_what_the_table_holds(checkout: Path) -> None:
    folder = checkout / "data" / "codes"
    counts: dict[str, list[int]] = {}
    with (folder / "hs_links.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            codes, origins = len(row["code"].split(";")), len(row["came_from"].split(";"))
            total = counts.setdefault(row["basis"], [0, 0])
            total[:] = total[0] + codes, total[1] + codes * origins
    page = (folder / "README.md").read_text(encoding="utf-8")
    lines = {
        basis: next(x for x in page.splitlines() if x.startswith("|") and f"`{basis}`" in x.lower())
        for basis in ("unsd", "read", "placed")
    }
    lines["derived"] = next(x for x in page.splitlines() if "`derived`" in x)
    for basis, (codes, many) in counts.items():
        assert lines[basis].endswith(f"| {codes:,} | {many:,} |"), basis


def script(name: str, folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("year", "read", "found", "wrong"), [(1996, 839, 739, 21), (2002, 1479, 1463, 4), (2007, 1242, 1179, 131)]
)
def test_the_derivation_is_as_good_as_the_page_says(
    year: int, read: int, found: int, wrong: int, shared: Path, checkout: Path
) -> None:
    """Where the publisher's table of an edition was read, against what would have been derived there."""
    links = script("make_links", checkout / "data" / "codes")
    held, ancestors = links.lists(), {code: {code} for code in links.lists()[1992]}
    to_1992 = links.back_to_1992({pair: links.correlation(shared / "data" / "codes", pair) for pair in links.TABLES})
    for older, newer in itertools.pairwise((*(y for y in links.YEARS if y <= year),)):
        step, _ = links.derive(held[older], held[newer], ancestors, to_1992, links.placed(newer))
        published = links.read(newer, held[older], held[newer])
        if newer == year:
            ours = {(code, origin) for code in published for origin in step[code]}
            theirs = {(code, origin) for code, origins in published.items() for origin in origins}
            assert (len(theirs), len(ours & theirs), len(ours - theirs)) == (read, found, wrong)
        ancestors = links.compose(step | published, ancestors)
    page = " ".join((checkout / "data" / "codes" / "README.md").read_text(encoding="utf-8").split())
    assert f"{found:,} of {read:,}" in page


def test_the_tracked_tables_are_what_the_scripts_write(shared: Path, checkout: Path) -> None:
    folder = checkout / "data" / "codes"
    modules = {name: script(name, folder) for name in ("make_hs", "make_links")}
    lists = pd.read_parquet(shared / "data" / "codes" / "comtrade_classifications.parquet")
    tracked = pd.read_csv(folder / "hs.csv", dtype=str)
    pd.testing.assert_frame_equal(modules["make_hs"].editions(lists), tracked, check_dtype=False)
    with (folder / "hs_links.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert [list(row) for row in modules["make_links"].table(shared / "data" / "codes")] == rows
