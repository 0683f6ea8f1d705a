"""CEPII BACI: reconciled goods trade by exporter, importer, six-digit product and year."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cyber_trade_econ.codes.country import outside_validity, to_iso3
from cyber_trade_econ.errors import ParseError
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Expectation, Table
from cyber_trade_econ.sources import _baci_files as files
from cyber_trade_econ.sources import _baci_lists as lists

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cyber_trade_econ.sources._baci_files import YearFile

_VINTAGE, _RELEASE = "HS92", "202601"


def _no_domestic(data: pa.Table) -> bool:
    return not pc.any(pc.equal(data.column("exporter_code"), data.column("importer_code"))).as_py()


FLOWS = Table(
    name="flows",
    meaning="Goods of one product that one country exported to another in one year; flows without trade are absent.",
    columns=(
        Column("year", "int16", "calendar year", "Year."),
        Column(
            "exporter", "string", "ISO 3166-1 alpha-3", "Exporter; null for areas that are no country (is_group).", True
        ),
        Column(
            "importer", "string", "ISO 3166-1 alpha-3", "Importer; null for areas that are no country (is_group).", True
        ),
        Column("product", "string", "HS code, six digits", "Product in the vintage of hs_vintage; leading zeros kept."),
        Column("trade_kusd", "float64", "thousand current USD", "Value, free on board.", lowest=0),
        Column("quantity_t", "float64", "metric tons", "Quantity; null where the publisher has none.", True, 0),
        Column("exporter_code", "int16", "UN Comtrade number", "Exporter as published.", lowest=0),
        Column("importer_code", "int16", "UN Comtrade number", "Importer as published.", lowest=0),
        Column("hs_vintage", "string", "HS revision", "Revision of the product code, such as HS92."),
        Column("release", "string", "YYYYMM", "Release of BACI."),
        Column("is_group", "bool", "1", "True where the exporter or importer is an area that is no country."),
    ),
    key=("year", "exporter_code", "importer_code", "product"),
    expectations=(Expectation("no flow has its exporter as importer", _no_domestic),),
)


def parts(years: Years) -> Sequence[Part]:
    """Return the archive of the default release; a mirror may hold any one release, packed or loose."""
    yearly = ("Y*",) if years is None else tuple(f"Y{y}" for y in sorted(years))
    loose = tuple(f"BACI_HS??_{y}_V*.csv" for y in yearly)
    archive = f"BACI_{_VINTAGE}_V{_RELEASE}.zip"
    return (
        Part(
            "release",
            f"https://www.cepii.fr/DATA_DOWNLOAD/baci/data/{archive}",
            archive,
            ("BACI_HS??_V*.zip", *loose, "country_codes_V*.csv", "product_codes_HS??_V*.csv"),
            many=True,
            fixed=True,
        ),
    )


def tidy(raw: Sequence[Raw], years: Years) -> Iterator[Piece]:
    """Yield one piece of flows per year, then the lists of countries and products."""
    yearly, left_out = files.find(raw, years)
    vintage, release = yearly[0].vintage, yearly[0].release
    version = {"version": f"{vintage} V{release}", "hs_vintage": vintage, "release": release}
    yield lists.countries(raw, release)
    product_list = lists.products(raw, vintage, release)
    if product_list is not None:
        yield product_list
    stated: dict[str, Any] = {**version, "files_of_other_years": left_out}
    if product_list is None:
        stated["note"] = f"no product_codes for {vintage} V{release} or before"
    for _, group in groupby(yearly, key=lambda f: f.year):
        yield _year(list(group), stated)  # bound to no name here, so that one year at a time is in memory


def _year(group: list[YearFile], stated: dict[str, Any]) -> Piece:
    tables, padded = [], 0
    for file in group:
        read = [_block(batch, file) for batch in files.blocks(file)]
        padded += sum(count for _, count in read)
        tables.append(pa.Table.from_batches([batch for batch, _ in read]))
    data = pa.concat_tables(tables)
    facts: dict[str, Any] = {"files_read": len(group), "padded_product_codes": padded}
    if len(group) > 1:
        origin = np.repeat(np.arange(len(tables)), [t.num_rows for t in tables])
        kept = _first_of_identical(data, origin)
        facts["dropped_identical_in_another_file"] = int((~kept).sum())
        data = data.filter(pa.array(kept))
    facts["flagged_quantity_missing"] = data.column("quantity_t").null_count
    data, flagged = _with_countries(data, group[0])
    return Piece("flows", str(group[0].year), data, {**facts, **flagged, **stated})


def _block(batch: pa.RecordBatch, file: YearFile) -> tuple[pa.RecordBatch, int]:
    """Check and type one block; also count the product codes that had lost a leading zero."""
    wrong = pc.any(pc.not_equal(batch.column("t"), file.year)).as_py()
    if wrong:
        raise ParseError(f"{file.name} holds rows of another year", found=pc.unique(batch.column("t")).to_pylist()[:5])
    for side in ("i", "j"):
        top = pc.max(batch.column(side)).as_py()
        if top > 999 or pc.min(batch.column(side)).as_py() < 0:
            raise ParseError(
                f"column {side!r} of {file.name} holds what is no country code", found=top, allowed="0 to 999"
            )
    product, padded = lists.six_digits(batch.column("k"), file.name)
    q = pc.utf8_trim_whitespace(batch.column("q"))
    try:
        quantity = pc.if_else(files.is_text_missing(q), pa.scalar(None, pa.string()), q).cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise ParseError(
            f"column 'q' of {file.name} holds what is neither a number nor NA", found=str(error)[:120]
        ) from None
    typed = {
        "year": batch.column("t").cast(pa.int16()),
        "product": product.dictionary_encode(),
        "trade_kusd": batch.column("v"),
        "quantity_t": quantity,
        "exporter_code": batch.column("i").cast(pa.int16()),
        "importer_code": batch.column("j").cast(pa.int16()),
    }
    return pa.RecordBatch.from_pydict(typed), padded


def _first_of_identical(data: pa.Table, origin: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Say which rows to keep when several files hold one year: all but later copies of a row from another file.

    Copies within one file and rows with the same key and other values stay, so that the check of the key finds them.
    """
    product = pc.cast(data.column("product").cast(pa.string()), pa.int64()).to_numpy()
    sides = [data.column(c).to_numpy().astype(np.int64) for c in ("exporter_code", "importer_code")]
    key = (sides[0] * 1000 + sides[1]) * 10**lists.DIGITS + product
    v, q = (data.column(c).to_numpy() for c in ("trade_kusd", "quantity_t"))
    order = np.lexsort((origin, q, v, key))
    before, after = order[:-1], order[1:]
    same_q = (q[before] == q[after]) | (np.isnan(q[before]) & np.isnan(q[after]))
    copy = (key[before] == key[after]) & (v[before] == v[after]) & same_q & (origin[before] != origin[after])
    kept = np.ones(len(key), dtype=bool)
    kept[after[copy]] = False
    return kept


def _with_countries(data: pa.Table, file: YearFile) -> tuple[pa.Table, dict[str, Any]]:
    facts: dict[str, Any] = {}
    group = np.zeros(data.num_rows, dtype=bool)
    for side in ("exporter", "importer"):
        codes = data.column(f"{side}_code").to_numpy()
        used = np.unique(codes)
        iso = to_iso3(used.tolist(), "baci", file.year)
        level = np.searchsorted(used, codes).astype(np.int16)
        names = [i or "" for i in iso]
        missing = np.array([i is None for i in iso])[level]
        encoded = pa.DictionaryArray.from_arrays(pa.array(level, mask=missing), pa.array(names))
        data = data.append_column(side, encoded)
        group |= missing
        late = outside_validity(used.tolist(), "baci", [file.year] * len(used))
        facts[f"flagged_{side}_outside_validity"] = int(late[level].sum())
    data = data.append_column("is_group", pa.array(group))
    for name, value in (("hs_vintage", file.vintage), ("release", file.release)):
        constant = pa.DictionaryArray.from_arrays(np.zeros(data.num_rows, np.int8), pa.array([value]))
        data = data.append_column(name, constant)
    return data, facts | {"flagged_group": int(group.sum())}


SOURCE = Source(
    name="baci",
    title="BACI: International Trade Database at the Product Level",
    publisher="CEPII (Centre d'études prospectives et d'informations internationales)",
    licence="Etalab Open Licence 2.0",
    licence_url="https://www.etalab.gouv.fr/wp-content/uploads/2018/11/open-licence.pdf",
    citation="Gaulier, G. and Zignago, S. (2010), BACI: International Trade Database at the Product-Level. The "
    "1994-2007 Version, CEPII Working Paper 2010-23. https://doi.org/10.2139/ssrn.1994500",
    homepage="https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37",
    hosts=("www.cepii.fr", "cepii.fr"),
    max_bytes=8_000_000_000,
    tables=(FLOWS, lists.COUNTRIES, lists.PRODUCTS),
    parts=parts,
    tidy=tidy,
)
