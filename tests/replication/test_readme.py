"""The numbers that README.md quotes are those of the published table."""

from __future__ import annotations

import csv

import pytest

from cyber_trade_econ.records import shipped

QUOTED = [
    ("Any event", "cyber_on"),
    ("Number", "cyber_count"),
    ("Number, no USA-CHN", "cyber_count"),
    ("By action", "cyber_on_amplify_the_conflict"),
    ("By action, no USA-CHN", "cyber_on_amplify_the_conflict"),
    ("By action", "cyber_on_restrict_government_procurement"),
    ("By action, no USA-CHN", "cyber_on_restrict_government_procurement"),
]


@pytest.mark.parametrize(("column", "term"), QUOTED)
def test_quoted_numbers(column, term, checkout):
    with shipped.path("analyses/01_gravity/out/gravity.csv").open(newline="", encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream) if (r["column"], r["kind"], r["name"]) == (column, "coef", term)]
    assert len(rows) == 1
    quoted = f"{float(rows[0]['estimate']):.3f} ({float(rows[0]['std_error']):.3f})"
    assert quoted in (checkout / "README.md").read_text(encoding="utf-8")
