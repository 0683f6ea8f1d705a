"""Write ``world.csv``, outlines of economies for maps at the scale of a printed page, and ``names.csv``, their names.

Run ``python data/map/make_map.py --source WHEEL``: the wheel of geopandas 0.14.4 from the Python Package Index,
the last minor release that carries ``naturalearth_lowres``: the countries of Natural Earth at 1:110 million, public domain.
The wheel is read as a zip; nothing of geopandas is used. ``README.md`` beside this file says what was changed.
"""

from __future__ import annotations

import argparse
import csv
import struct
import zipfile
from pathlib import Path

from cyber_trade_econ.codes.country import is_country, iso3_names

MEMBER = "geopandas/datasets/naturalearth_lowres/naturalearth_lowres"
DECIMALS = 1  # about 11 km; a line on a page of seven inches is 40 km wide
CORNERS = 3  # an outline that the decimals leave with fewer is no area
# ISO 3166 has no code for these. Kosovo has the user-assigned code of this package's tables; for the others the code that
# ISO gives to the whole of the territory.
WITHOUT_CODE = {"Kosovo": "XKX", "N. Cyprus": "CYP", "Somaliland": "SOM"}
LEFT_OUT = {"ATA"}  # Antarctica fills a fifth of the page and trades nothing

Ring = list[tuple[float, float]]


def main() -> None:
    """Read the wheel and write the table beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True)
    with zipfile.ZipFile(parser.parse_args().source) as wheel:
        shapes, records = polygons(wheel.read(f"{MEMBER}.shp")), attributes(wheel.read(f"{MEMBER}.dbf"))
    with Path(__file__).with_name("world.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("iso3", "ring", "lon_lat"))
        writer.writerows(table(shapes, records))
    with Path(__file__).with_name("names.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("iso3", "name"))
        writer.writerows((iso3, name) for iso3, name in iso3_names().items() if is_country(iso3))


def table(shapes: list[list[Ring]], records: list[dict[str, str]]) -> list[tuple[str, int, str]]:
    """Return one row per outline: code, number within the code, points as ``lon lat`` joined by semicolons."""
    rings: dict[str, list[Ring]] = {}
    for parts, record in zip(shapes, records, strict=True):
        iso3 = WITHOUT_CODE.get(record["name"], record["iso_a3"])
        if len(iso3) != 3 or not iso3.isalpha():
            raise SystemExit(f"{record['name']} has the code {iso3!r}; add it to WITHOUT_CODE")
        if iso3 not in LEFT_OUT:
            rings.setdefault(iso3, []).extend(parts)
    texts = {iso3: [text for text in map(_text, parts) if text.count(";") >= CORNERS] for iso3, parts in rings.items()}
    return [(iso3, n, text) for iso3, parts in sorted(texts.items()) for n, text in enumerate(parts)]


def _text(ring: Ring) -> str:
    points = [f"{lon:.{DECIMALS}f} {lat:.{DECIMALS}f}" for lon, lat in ring]
    kept = [point for i, point in enumerate(points) if i == 0 or point != points[i - 1]]
    return ";".join(kept).replace("-0.0", "0.0")


def polygons(data: bytes) -> list[list[Ring]]:
    """Read the outlines of a shapefile of polygons (ESRI, 1998): a list of rings per record, longitude and latitude."""
    shapes, at = [], 100
    while at < len(data):
        (words,) = struct.unpack_from(">i", data, at + 4)
        at += 8
        kind, parts, points = struct.unpack_from("<i32xii", data, at)
        if kind != 5:
            raise SystemExit(f"a shape of type {kind}; only polygons (5) are read")
        starts = struct.unpack_from(f"<{parts}i", data, at + 44)
        flat = struct.unpack_from(f"<{2 * points}d", data, at + 44 + 4 * parts)
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        shapes.append([pairs[a:b] for a, b in zip(starts, (*starts[1:], points), strict=True)])
        at += 2 * words
    return shapes


def attributes(data: bytes) -> list[dict[str, str]]:
    """Read the records of a dBASE table as text."""
    count, head, size = struct.unpack_from("<IHH", data, 4)
    fields, at = [], 32
    while data[at] != 0x0D:
        fields.append((data[at : at + 11].split(b"\0")[0].decode("ascii"), data[at + 16]))
        at += 32
    records = []
    for n in range(count):
        at, record = head + n * size + 1, {}
        for name, width in fields:
            record[name] = data[at : at + width].decode("iso-8859-1").strip()
            at += width
        records.append(record)
    return records


if __name__ == "__main__":
    main()
