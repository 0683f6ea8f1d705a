"""CEPII GeoDist: distances, borders, languages and colonial ties of country pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from cyber_trade_econ.codes.country import to_iso3
from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Expectation, Table
from cyber_trade_econ.sources import _archive, _workbook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNPACKED = 100_000_000
_DISTANCES = {
    "dist": ("dist_km", "Great-circle distance between the most populated cities."),
    "distcap": ("dist_capitals_km", "Great-circle distance between the capitals."),
    "distw": (
        "dist_weighted_km",
        "Population-weighted distance between the largest cities, arithmetic mean; null unknown.",
    ),
    "distwces": (
        "dist_weighted_ces_km",
        "Population-weighted distance, generalised mean with exponent -1; null unknown.",
    ),
}
_FLAGS = {
    "contig": ("contiguity", "1 if the two share a land border."),
    "comlang_off": ("common_language", "1 if they share an official language."),
    "comlang_ethno": ("common_language_ethno", "1 if at least 9% of both populations speak a common language."),
    "colony": ("colony", "1 if one was ever a colony of the other."),
    "comcol": ("common_colonizer", "1 if they had a common colonizer after 1945."),
    "curcol": ("current_colony", "1 if one is a colony of the other at the time of the data."),
    "col45": ("colony_post1945", "1 if one was a colony of the other after 1945."),
    "smctry": ("same_country", "1 if they were or are the same country."),
}
_HEADER = ("iso_o", "iso_d", *_FLAGS, *_DISTANCES)
_MISSING = "."


def _flags_are_binary(data: pa.Table) -> bool:
    return all(pc.max(data.column(name)).as_py() <= 1 for name, _ in _FLAGS.values())


PAIRS = Table(
    name="pairs",
    meaning="One ordered pair of countries; a country with itself included, whose distance is internal.",
    columns=(
        Column(
            "exporter",
            "string",
            "ISO 3166-1 alpha-3",
            "Origin, in today's codes; SCG stands for Serbia and Montenegro.",
        ),
        Column("importer", "string", "ISO 3166-1 alpha-3", "Destination, in today's codes."),
        *(
            Column(name, "float64", "km", text, name.startswith("dist_weighted"), 0)
            for name, text in _DISTANCES.values()
        ),
        *(Column(name, "int16", "1", text, lowest=0) for name, text in _FLAGS.values()),
        Column(
            "iso_o", "string", "code as published", "Origin as published: ROM, ZAR, TMP, PAL and YUG are old codes."
        ),
        Column("iso_d", "string", "code as published", "Destination as published."),
    ),
    key=("exporter", "importer"),
    expectations=(Expectation("every flag is 0 or 1", _flags_are_binary),),
)


def parts(years: Years) -> Sequence[Part]:  # noqa: ARG001  # the data do not vary over time
    """Return the only file: an archive with one workbook."""
    return (
        Part(
            "distances",
            "https://www.cepii.fr/distance/dist_cepii.zip",
            "dist_cepii.zip",
            ("dist_cepii.zip",),
            fixed=True,
        ),
    )


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:  # noqa: ARG001
    """Read the workbook inside the archive, name columns and translate codes; ``.`` is a missing distance."""
    path = raw[0].path
    with _archive.opened(path, _UNPACKED) as archive:
        member = _archive.member_named(archive, ".xls")
        content = _archive.read(archive, member)
    header, rows = _workbook.rows(content, member)
    _workbook.require(header, _HEADER, member)
    column = {name: [row[header.index(name)] for row in rows] for name in _HEADER}
    data: dict[str, Any] = {name: pa.array([str(c).strip() for c in column[name]]) for name in ("iso_o", "iso_d")}
    for house, published in (("exporter", "iso_o"), ("importer", "iso_d")):
        data[house] = pa.array(to_iso3(data[published].to_pylist(), "geodist"), pa.string())
    for published, (name, _) in _FLAGS.items():
        data[name] = pa.array(_numbers(column[published], published, member), pa.float64()).cast(pa.int16())
    for published, (name, _) in _DISTANCES.items():
        data[name] = pa.array(_numbers(column[published], published, member), pa.float64())
    renamed = sum(a != b for a, b in zip(data["iso_o"].to_pylist(), data["exporter"].to_pylist(), strict=True))
    facts = {
        "flagged_distance_missing": data["dist_weighted_km"].null_count,
        "flagged_origin_code_replaced": renamed,
        "columns_ignored": len(set(header) - set(_HEADER)),
        "version": "2011",
    }
    yield Piece("pairs", "all", pa.table(data), facts)


def _numbers(cells: list[Any], column: str, member: str) -> list[float | None]:
    out: list[float | None] = []
    for line, cell in enumerate(cells, start=2):
        if isinstance(cell, (int, float)) and not isinstance(cell, bool):
            out.append(float(cell))
        elif str(cell).strip() == _MISSING:
            out.append(None)
        else:
            raise ParseError(
                f"line {line} of {member}, column {column!r}, is neither a number nor '.'", found=repr(cell)
            )
    return out


SOURCE = Source(
    name="geodist",
    title="GeoDist",
    publisher="CEPII (Centre d'études prospectives et d'informations internationales)",
    licence="Etalab Open Licence 2.0",
    licence_url="https://www.etalab.gouv.fr/wp-content/uploads/2018/11/open-licence.pdf",
    citation="Mayer, T. and Zignago, S. (2011), Notes on CEPII's distances measures: the GeoDist database, "
    "CEPII Working Paper 2011-25. https://doi.org/10.2139/ssrn.1994531",
    homepage="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=6",
    hosts=("www.cepii.fr", "cepii.fr"),
    max_bytes=20_000_000,
    tables=(PAIRS,),
    parts=parts,
    tidy=tidy,
)
