"""US Census Bureau: monthly goods trade of the United States by partner, total over products."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cyber_trade_econ.codes.country import Code, lookup
from cyber_trade_econ.errors import ParseError, SchemaError, UnknownCode
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Table
from cyber_trade_econ.sources import _workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_FLOWS = {"I": "import", "E": "export"}
_HEADER = ("year", "CTY_CODE", "CTYNAME", *(f + m for f in _FLOWS for m in (*_MONTHS, "YR")))
# Older months are rounded to 0.1 million, so that twelve of them and their total may differ by 13 * 0.05.
_ROUNDING = 0.65
_TOLERATED = 0.01
_FIRST_COUNTRY = "1000"  # smaller codes are groups: regions, blocs and totals

FLOWS = Table(
    name="flows",
    meaning="Goods traded between the United States and one partner, in one direction and month.",
    columns=(
        Column(
            "exporter",
            "string",
            "ISO 3166-1 alpha-3",
            "Country the goods leave; null where the partner is no country.",
            True,
        ),
        Column(
            "importer",
            "string",
            "ISO 3166-1 alpha-3",
            "Country the goods enter; null where the partner is no country.",
            True,
        ),
        Column(
            "partner",
            "string",
            "ISO 3166-1 alpha-3",
            "Partner of the United States; null for groups and unidentified.",
            True,
        ),
        Column(
            "partner_code",
            "string",
            "Schedule C",
            "Code of the partner, four characters; two codes may share one ISO3.",
        ),
        Column("partner_name", "string", "text", "Name of the partner as published."),
        Column("flow", "string", "import or export", "Direction as seen from the United States."),
        Column("month", "date", "first day of the month", "Month of the statistics."),
        Column(
            "trade_musd",
            "float64",
            "million current USD",
            "Customs value of general imports, or free-alongside-ship value of exports; not seasonally adjusted (but "
            "see code 0004); a zero is a published zero, which before 2003 means less than 50,000 USD.",
            lowest=0,
        ),
        Column(
            "is_group",
            "bool",
            "1",
            "True for regions, blocs, totals and unidentified partners, which overlap countries.",
        ),
    ),
    key=("partner_code", "flow", "month"),
)


def parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  # one file holds every year
    """Return the only file: all partners and years."""
    return (
        Part("country", "https://www.census.gov/foreign-trade/balance/country.xlsx", "country.xlsx", ("country.xlsx",)),
    )


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    """Turn one row per partner and year into one row per partner, direction and month.

    The file shows 0 for the months of its last year that are not released yet. They are left out, and counted: every
    month after the last one in which any partner has any trade.
    """
    header, rows = _workbook.rows(raw[0].path, raw[0].path.name)
    _workbook.require(header, _HEADER, raw[0].path.name)
    place = {name: header.index(name) for name in _HEADER}
    first = place["year"]
    rows = [r for r in rows if str(r[first]).strip()]
    parsed = [_line(row, place, number) for number, row in enumerate(rows, start=2)]
    last_year = max(year for year, *_ in parsed)
    last_month = max(
        (m + 1 for year, _, _, v in parsed if year == last_year for f in _FLOWS for m in range(12) if v[f][m]),
        default=0,
    )
    facts = _check_totals(parsed)
    facts["dropped_not_released"] = 2 * (12 - last_month) * sum(year == last_year for year, *_ in parsed)
    facts["last_month"] = facts["version"] = f"{last_year}-{last_month:02d}"
    facts["columns_ignored"] = len(set(header) - set(_HEADER))
    wanted = [p for p in parsed if years is None or p[0] in years]
    facts["dropped_year_not_asked"] = 24 * (len(parsed) - len(wanted))
    data, flagged = _long(wanted, last_year, last_month)
    yield Piece("flows", "all", data, {**facts, **flagged})


_Line = tuple[int, str, str, dict[str, list[float]]]


def _line(row: list[Any], place: dict[str, int], number: int) -> _Line:
    """Read one row: year, partner code and name, and by direction twelve months and their total."""
    values: dict[str, list[float]] = {}
    for flow in _FLOWS:
        cells = [row[place[flow + m]] for m in (*_MONTHS, "YR")]
        if not all(isinstance(c, (int, float)) and not isinstance(c, bool) and math.isfinite(c) for c in cells):
            raise ParseError(f"line {number} of country.xlsx has a cell that is no number", found=cells)
        if min(cells) < 0:
            raise SchemaError(f"line {number} of country.xlsx has negative trade", found=min(cells))
        values[flow] = [float(c) for c in cells]
    year = str(row[place["year"]]).removesuffix(".0").strip()
    code = str(row[place["CTY_CODE"]]).removesuffix(".0").strip().zfill(4)
    if not (year.isdigit() and 1900 < int(year) < 2200):
        raise ParseError(f"line {number} of country.xlsx has no year", found=repr(year))
    return int(year), code, str(row[place["CTYNAME"]]).strip(), values


def _check_totals(parsed: list[_Line]) -> dict[str, Any]:
    """Compare the published year totals with the sum of their months."""
    gaps = [abs(math.fsum(v[f][:12]) - v[f][12]) for _, _, _, v in parsed for f in _FLOWS]
    wrong = sum(gap > _ROUNDING for gap in gaps)
    if wrong > _TOLERATED * len(gaps):
        raise SchemaError(
            f"{wrong} of {len(gaps)} year totals in country.xlsx are not the sum of their months",
            found=f"largest gap {max(gaps):.3f} million USD",
            fix="The layout changed, or the file is damaged.",
        )
    return {"year_totals_checked": len(gaps), "year_totals_off": wrong}


def _long(parsed: list[_Line], last_year: int, last_month: int) -> tuple[pa.Table, dict[str, Any]]:
    """Stack months and directions; also count what is flagged."""
    columns: dict[str, list[Any]] = {c: [] for c in FLOWS.names}
    outside, groups = 0, 0
    unknown: dict[str, str] = {}
    renamed: dict[str, str] = {}
    for year, code, name, values in parsed:
        try:
            entry = lookup(code, "census", year)
        except UnknownCode:
            if code >= _FIRST_COUNTRY:
                unknown[code] = name
                continue
            entry = Code("census", code, 0, 9999, "", "new", "group", "")
        if name != entry.name:
            renamed.setdefault(code, f"{code}: {name} (was {entry.name})")
        partner = entry.iso3 or None
        until = last_month if year == last_year else 12
        outside += 2 * until * (not entry.valid_from <= year <= entry.valid_to)
        groups += 2 * until * (partner is None)
        for flow, word in _FLOWS.items():
            pair = (partner, "USA") if flow == "I" else ("USA", partner)
            exporter, importer = pair if partner else (None, None)
            for month in range(until):
                cells = (
                    exporter,
                    importer,
                    partner,
                    code,
                    name,
                    word,
                    dt.date(year, month + 1, 1),
                    values[flow][month],
                )
                for column, cell in zip(FLOWS.names, (*cells, partner is None), strict=True):
                    columns[column].append(cell)
    if unknown:
        raise UnknownCode(
            f"{len(unknown)} partner(s) in country.xlsx are in no table",
            found=", ".join(f"{c} {n}" for c, n in sorted(unknown.items())),
            fix="Add them to cyber_trade_econ/codes/country.csv, scheme census.",
        )
    data = pa.table({c.name: pa.array(columns[c.name], c.arrow) for c in FLOWS.columns})
    return data, {
        "flagged_group": groups,
        "flagged_outside_validity": outside,
        "names_changed": sorted(renamed.values()),
    }


SOURCE = Source(
    name="us_census",
    title="U.S. Trade in Goods by Country",
    publisher="U.S. Census Bureau",
    licence="Work of the United States government, not protected by copyright in the United States",
    licence_url="https://www.census.gov/about/policies/citation.html",
    citation="U.S. Census Bureau, U.S. Trade in Goods by Country, monthly, not seasonally adjusted, million USD. "
    "https://www.census.gov/foreign-trade/balance/country.xlsx",
    homepage="https://www.census.gov/foreign-trade/balance/index.html",
    hosts=("www.census.gov",),
    max_bytes=50_000_000,
    tables=(FLOWS,),
    parts=parts,
    tidy=tidy,
)
