"""Draw the events that are coded twice: ``python data/events/agreement/draw.py FOLDER``.

Writes ``first.csv`` (the codes as they stand) beside this file, and into FOLDER what the second coder gets:
``sheet.csv`` (titles, dates, firms and sources, no codes) and ``codebook.md`` (the codebook without its examples, which
would give codes away). The draw is of the default set and seeded, so that nobody chooses it. It was made once: the set
has been corrected since, so that a draw of today gives other events, and an existing ``first.csv`` is never
overwritten.
"""

from __future__ import annotations

import csv
import random
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEED, UNITS = 20180103, 60
CODED = (
    *("imposer", "target", "flow", "concern", "cyber_ground", "national_action", "org_action", "scenario", "mechanism"),
    *("supply_chain_position", "target_basis", "enforcement", "direction", "incident_type", "attribution", "intensity"),
    *("hs_codes", "ebops_items"),
)
SHOWN = (
    *("event_id", "title", "record_type", "announced", "adopted", "effective", "lifted", "onset", "disclosed"),
    *("companies", "source_citation", "source_date", "source_url", "other_sources"),
)


def main(folder: Path) -> None:
    """Write the three files."""
    if (HERE / "first.csv").exists():
        raise SystemExit(f"{HERE / 'first.csv'} is the record of a draw; move it away before drawing again")
    with (HERE.parent / "events.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["confidence"] != "unconfirmed"]
    drawn = random.Random(SEED).sample(sorted(rows, key=lambda row: row["event_id"]), UNITS)  # noqa: S311 (no secret)
    drawn.sort(key=lambda row: row["event_id"])
    _write(HERE / "first.csv", ("event_id", *CODED), drawn)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "sheet.csv", SHOWN, drawn)
    page = (HERE.parent / "CODEBOOK.md").read_text(encoding="utf-8")
    (folder / "codebook.md").write_text(re.sub(r" \| [^|\n]*\|$", " |", page, flags=re.MULTILINE), encoding="utf-8")


def _write(file: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
