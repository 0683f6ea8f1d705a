"""The lists of countries and products that come with a BACI release, and the six digits of its product codes."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from cyber_trade_econ.codes.country import to_iso3
from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.records.source import Piece, Raw
from cyber_trade_econ.records.table import Column, Table
from cyber_trade_econ.sources import _baci_files as files

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNTRY_FILE = re.compile(r"country_codes_V(\d{6}[a-z]?)\.csv", re.IGNORECASE)
# One header per layout of country_codes -> code, name, ISO2, ISO3 as published.
_HEADERS = {
    ("country_code", "country_name", "country_iso2", "country_iso3"): (0, 1, 2, 3),
    ("country_code", "country_name_abbreviation", "country_name_full", "iso_2digit_alpha", "iso_3digit_alpha"): (
        0,
        2,
        3,
        4,
    ),
}
DIGITS = 6


COUNTRIES = Table(
    name="countries",
    meaning="One country or area of BACI, with its names as published and the ISO3 code used in flows.",
    columns=(
        Column("country_code", "int16", "UN Comtrade number", "Code in the yearly files."),
        Column("name", "string", "text", "Name as published."),
        Column(
            "iso2_published",
            "string",
            "ISO 3166-1 alpha-2",
            "As published; null for N/A or nothing. NA is Namibia.",
            True,
        ),
        Column("iso3_published", "string", "as published", "As published, errors included; null for N/A.", True),
        Column(
            "iso3", "string", "ISO 3166-1 alpha-3", "The code used in flows; null for areas that are no country.", True
        ),
        Column("release", "string", "YYYYMM", "Release that the list comes from."),
    ),
    key=("country_code",),
)
PRODUCTS = Table(
    name="products",
    meaning="One six-digit product of the HS revision of the flows.",
    columns=(
        Column("product", "string", "HS code, six digits", "Code; leading zeros restored where the file lost them."),
        Column("description", "string", "text", "Description as published."),
        Column("hs_vintage", "string", "HS revision", "Revision of the code."),
        Column("release", "string", "YYYYMM", "Release that the list comes from."),
    ),
    key=("product",),
)


def six_digits(codes: pa.Array, name: str) -> tuple[pa.Array, int]:
    """Return codes of six digits; five digits are six whose leading zero a spreadsheet took."""
    codes = pc.utf8_trim_whitespace(codes)
    short = pc.equal(pc.utf8_length(codes), DIGITS - 1)
    good = pc.match_substring_regex(codes, r"^[0-9]{5,6}$")
    if not pc.all(good).as_py():
        bad = pc.unique(codes.filter(pc.invert(good))).to_pylist()
        raise ParseError(f"{name} has product codes that are not six digits", found=bad[:5], allowed="010121")
    return pc.utf8_lpad(codes, DIGITS, "0"), pc.sum(short).as_py() or 0


def _lists(raw: Sequence[Raw], pattern: re.Pattern[str], release: str) -> tuple[str, str, bytes] | None:
    """Return name, release and bytes of a list: of the same release, else the newest before, else the oldest after."""
    found = [
        (m, name, content)
        for r in raw
        for name, content in files.member_bytes(r.path, pattern)
        if (m := pattern.fullmatch(name))
    ]
    if not found:
        return None
    by_release = sorted((m[m.re.groups], name, content) for m, name, content in found)
    not_after = [f for f in by_release if f[0] <= release]
    chosen = not_after[-1] if not_after else by_release[0]
    return chosen[1], chosen[0], chosen[2]


def _csv(name: str, content: bytes) -> tuple[list[str], list[list[str]], str]:
    """Read a list; older ones are in Latin 1, which no byte contradicts, so that UTF-8 is tried first."""
    encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = content.decode(encoding)
    try:
        rows = [r for r in csv.reader(io.StringIO(text, newline=""), strict=True) if r]
    except csv.Error as error:
        raise ParseError(f"{name} is not well-formed", found=str(error)) from None
    if len(rows) < 2 or any(len(r) < len(rows[0]) for r in rows):
        raise ParseError(f"{name} has no rows, or one that is cut", found=f"{len(rows)} line(s)")
    return [h.strip() for h in rows[0]], rows[1:], encoding


def countries(raw: Sequence[Raw], release: str) -> Piece:
    """Return the list of countries nearest to a release; ISO3 as published stands beside the code used in flows."""
    chosen = _lists(raw, _COUNTRY_FILE, release)
    if chosen is None:
        raise ParseError(
            f"no country_codes file stands beside the flows of V{release}",
            fix="Put country_codes_V<release>.csv into the mirror.",
        )
    name, version, content = chosen
    header, rows, encoding = _csv(name, content)
    if tuple(header) not in _HEADERS:
        raise ParseError(f"{name} has an unknown header", found=header, allowed=[list(h) for h in _HEADERS])
    code, label, iso2, iso3 = _HEADERS[tuple(header)]
    published = [None if r[iso3] in ("N/A", "") else r[iso3] for r in rows]
    house = to_iso3([r[code] for r in rows], "baci")
    data = {
        "country_code": pa.array([int(r[code]) for r in rows], pa.int16()),
        "name": pa.array([r[label] for r in rows]),
        "iso2_published": pa.array([None if r[iso2] in ("N/A", "") else r[iso2] for r in rows], pa.string()),
        "iso3_published": pa.array(published, pa.string()),
        "iso3": pa.array(house, pa.string()),
        "release": pa.array([version] * len(rows)),
    }
    differs = [f"{r[code]}: {p} -> {h}" for r, p, h in zip(rows, published, house, strict=True) if p != h]
    facts = {"file": name, "release_of_flows": release, "encoding": encoding, "iso3_replaced": differs}
    return Piece("countries", "all", pa.table(data), facts)


def products(raw: Sequence[Raw], vintage: str, release: str) -> Piece | None:
    """Return the list of products of one HS revision nearest to a release; None when there is none."""
    same = re.compile(rf"product_codes_({vintage})_V(\d{{6}}[a-z]?)\.csv", re.IGNORECASE)
    chosen = _lists(raw, same, release)
    if chosen is None:
        return None
    name, version, content = chosen
    header, rows, _ = _csv(name, content)
    if header[:2] != ["code", "description"]:
        raise ParseError(f"{name} has an unknown header", found=header, allowed=["code", "description"])
    codes, padded = six_digits(pa.array([r[0] for r in rows]), name)
    data = {
        "product": codes,
        "description": pa.array([r[1] for r in rows]),
        "hs_vintage": pa.array([vintage] * len(rows)),
        "release": pa.array([version] * len(rows)),
    }
    return Piece("products", "all", pa.table(data), {"file": name, "padded_product_codes": padded})
