"""The counts in data/events/README.md are those of the file."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from cyber_trade_econ.events import events
from cyber_trade_econ.events.dates import ROLES
from cyber_trade_econ.records import shipped

if TYPE_CHECKING:
    import pandas as pd

README = shipped.path("data/events/README.md")


def listed(counts: Counter[str]) -> str:
    """Name and number, the most frequent first, names of equal frequency in alphabetical order."""
    return ", ".join(f"{name} {n}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def counts(frame: pd.DataFrame) -> str:
    """Return the block of counts as it stands in the README."""
    starts = frame[[r for r in ROLES if r != "lifted"]].min(axis=1)
    years = Counter(starts.dt.year.astype(str))
    default = int((frame["confidence"] != "unconfirmed").sum())
    lines = [
        f"- events: {len(frame)} ({listed(Counter(frame['record_type']))}); in the default set {default}",
        f"- confidence: {listed(Counter(frame['confidence']))}",
        f"- source check: {listed(Counter(frame['source_check']))}",
        f"- cyber ground: {listed(Counter(frame['cyber_ground']))}",
        f"- year of the first date: {', '.join(f'{y} {n}' for y, n in sorted(years.items()))}",
        f"- national action: {listed(Counter(frame['national_action']))}",
        f"- published action: {listed(Counter(frame['published_action']))}",
        f"- imposer: {listed(Counter(frame['imposer'].str.split(';').explode()))}",
        f"- target: {listed(Counter(frame['target'].str.split(';').explode()))}",
        f"- target basis: {listed(Counter(frame['target_basis']))}",
        f"- with a date of lifting: {int(frame['lifted'].notna().sum())}",
    ]
    return "\n".join(lines)


def test_counts_in_the_readme_are_true():
    stated = re.search(r"<!-- counts -->\n(.*)\n<!-- end of counts -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert stated is not None
    assert stated.group(1) == counts(events(include_unconfirmed=True))
