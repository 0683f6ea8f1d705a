"""The numbers that README.md quotes are those of the published table."""

from __future__ import annotations

import csv

import pytest

from cyber_trade_econ.events import events
from cyber_trade_econ.records import shipped

QUOTED = [
    ("Any event", "cyber_on"),
    ("Number", "cyber_count"),
    ("Number, no USA-CHN", "cyber_count"),
    ("By action", "cyber_on_amplify_the_conflict"),
    ("By action, no USA-CHN", "cyber_on_amplify_the_conflict"),
    ("By action", "cyber_on_develop_import_trade_barriers"),
    ("By action, no USA-CHN", "cyber_on_develop_import_trade_barriers"),
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


def test_quoted_counts_of_events(checkout):
    page = " ".join((checkout / "README.md").read_text(encoding="utf-8").split())
    every, default = events(include_unconfirmed=True), events()
    economies = set(every["imposer"].str.split(";").explode()) - {"", "WLD"}
    assert len(economies) > 70
    assert f"{len(every)} measures and incidents of 2000 to 2025 by more than 70 economies" in page
    assert f"{len(default)} rest on a primary source" in page
    with shipped.path("data/events/agreement/agreement.csv").open(newline="", encoding="utf-8") as stream:
        alphas = {row["field"]: float(row["alpha"]) for row in csv.DictReader(stream) if row["alpha"]}
    judged = {f: a for f, a in alphas.items() if f != "imposer"}
    low, high = min(judged, key=judged.__getitem__), max(judged, key=judged.__getitem__)
    assert (low, high) == ("org_action", "flow")
    assert f"between {judged[low]:.2f} (org_action) and {judged[high]:.2f} (flow)" in page
