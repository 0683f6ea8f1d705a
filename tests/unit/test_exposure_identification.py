"""What fixed effects absorb, against the rank of the dummies worked out densely."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ import panels
from cyber_trade_econ.errors import BadRegressor, ConfigError, SchemaError
from cyber_trade_econ.exposure import expose, identification
from cyber_trade_econ.records.panel import Panel

EFFECTS = ("exporter^year", "importer^year", "exporter^importer")


@pytest.fixture
def panel():
    rows = [(i, j, y) for i, j in itertools.permutations("ABCDE", 2) for y in range(2000, 2006)]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "year"])
    frame["pair"] = frame["exporter"] + "-" + frame["importer"]
    late = frame["year"] >= 2003
    frame["nothing"] = 0
    frame["rule_of_importer"] = (late & (frame["importer"] == "B")).astype(int)
    frame["rule_of_exporter"] = (late & (frame["exporter"] == "B")).astype(int)
    frame["border"] = frame["pair"].isin(["A-B", "B-A"]).astype(int)
    frame["mixed"] = 2 * frame["rule_of_importer"] - 3 * frame["rule_of_exporter"] + 5 * frame["border"]
    frame["measure"] = (late & (frame["pair"] == "A-B")).astype(int)
    return Panel(frame, "pair", "year", name="little")


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("nothing", "0 in every row"),
        ("rule_of_importer", "absorbed by importer^year: constant"),
        ("rule_of_exporter", "absorbed by exporter^year: constant"),
        ("border", "absorbed by exporter^importer: constant"),
        ("mixed", "absorbed by exporter^year + importer^year + exporter^importer together"),
        (
            "measure",
            "identified given exporter^year + importer^year + exporter^importer: it changes over time in 1 of 20",
        ),
    ],
)
def test_each_case_is_told_apart(panel, column, says):
    (sentence,) = identification(panel, [column], EFFECTS)
    assert sentence.startswith(f"{column}: ")
    assert says in sentence


def test_the_share_left_is_that_of_a_dense_projection(panel):
    dummies = np.hstack([pd.get_dummies(panel.frame.groupby(e.split("^")).ngroup()).to_numpy(float) for e in EFFECTS])
    x = panel.frame["measure"].to_numpy(float)
    residual = x - dummies @ np.linalg.lstsq(dummies, x, rcond=None)[0]
    share = residual @ residual / ((x - x.mean()) @ (x - x.mean()))
    assert f"{share:.1%} of its variance" in identification(panel, ["measure"], EFFECTS)[0]


def test_fewer_effects_absorb_less(panel):
    assert (
        "identified given exporter^importer + year:"
        in identification(panel, ["rule_of_importer"], ["exporter^importer", "year"])[0]
    )


def test_order_of_columns_is_kept(panel):
    said = identification(panel, ["measure", "border", "nothing"], EFFECTS)
    assert [s.split(":")[0] for s in said] == ["measure", "border", "nothing"]


def test_the_statement_does_not_depend_on_scale_or_row_order(panel):
    base = identification(panel, ["measure", "mixed"], EFFECTS)[0]
    scaled = panel.with_frame(panel.frame.assign(measure=1e9 * panel.frame["measure"]))
    shuffled = panel.with_frame(panel.frame.sample(frac=1, random_state=3))
    assert identification(scaled, ["measure"], EFFECTS)[0] == base == identification(shuffled, ["measure"], EFFECTS)[0]


def test_bad_input_is_named(panel):
    with pytest.raises(ConfigError, match="colour"):
        identification(panel, ["colour"], EFFECTS)
    with pytest.raises(ConfigError, match="region"):
        identification(panel, ["measure"], ["region^year"])
    with pytest.raises(ConfigError):
        identification(panel, "measure", EFFECTS)
    with pytest.raises(ConfigError):
        identification(panel, ["measure"], ())
    with pytest.raises(SchemaError, match="no rows"):
        identification(panel.with_frame(panel.frame.iloc[:0]), ["measure"], EFFECTS)
    with pytest.raises(BadRegressor, match="pair"):
        identification(panel, ["pair"], EFFECTS)
    with pytest.raises(BadRegressor, match="1 missing"):
        identification(panel.with_frame(panel.frame.assign(x=[np.nan] + [1.0] * (len(panel) - 1))), ["x"], EFFECTS)


def test_one_reporter_needs_other_effects():
    event = pd.DataFrame(
        [{"event_id": "e", "imposer": "USA", "target": "CHN", "flow": "both", "effective": pd.Timestamp("2018-07-06")}]
    )
    said = expose(panels.sample("us_month"), event).facts["exposure"]["cyber"]["identification"]
    assert any("absorbed by exporter^month + importer^month" in s and "single row" in s for s in said)
    assert any("identified given exporter^importer + flow^month: it changes over time in 2 of 478" in s for s in said)
    two_sided = expose(panels.sample("bilateral_year"), event).facts["exposure"]["cyber"]["identification"]
    assert len(two_sided) == 2
    assert all("identified given exporter^year + importer^year + exporter^importer" in s for s in two_sided)
