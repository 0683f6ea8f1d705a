"""What every kind of exposure owes: the same rows, named columns, a full account, a word on identification."""

from __future__ import annotations

import itertools
import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import Collinear
from cyber_trade_econ.exposure import expose, identification, stack
from cyber_trade_econ.exposure.attach import Kind, Party
from cyber_trade_econ.exposure.reach import KINDS, PARTIES, PARTS
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.report.provenance import json_safe

COUNTRIES = ("CHN", "DEU", "FRA", "GBR", "IND", "USA")
FACTS = {
    *("kind", "on", "by", "anticipation", "window", "given", "used", "used_ids", "left_out", "pairs_hit"),
    *("pairs_absent_from_panel", "treated_rows", "overlap", "identification"),
}
EFFECTS = ("exporter^year", "importer^year", "pair")


@pytest.fixture(scope="module")
def world() -> Panel:
    rows = [(i, j, y) for i, j in itertools.product(COUNTRIES, COUNTRIES) for y in range(2012, 2022)]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "year"])
    frame["trade_musd"] = np.random.default_rng(8).lognormal(3, 1, len(frame))
    return Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "year", name="little")


@pytest.fixture(scope="module")
def events() -> pd.DataFrame:
    frame = pd.DataFrame(
        [
            ("a", "USA", "CHN", "imports", "2015-03-01", "ban"),
            ("b", "EUU", "CHN;IND", "imports", "2017-03-01", "tariff"),
            ("c", "USA", "WLD", "imports", "2018-03-01", "rule"),
            ("d", "IND", "USA", "both", "2016-03-01", "ban"),
        ],
        columns=["event_id", "imposer", "target", "flow", "effective", "sort"],
    )
    return frame.assign(effective=pd.to_datetime(frame["effective"]))


def test_the_kinds_are_those_of_the_signature():
    assert get_args(Kind) == KINDS
    assert get_args(Party) == PARTIES


@pytest.mark.parametrize("kind", KINDS)
def test_rows_columns_and_account(kind, world, events):
    exposed = expose(world, events, kind=kind, by="sort", cumulative=True, donut=(-1, 1))
    pd.testing.assert_frame_equal(exposed.frame[world.frame.columns], world.frame)
    prefixes = [f"cyber_{part}" for part in PARTS.get(kind, ())] or ["cyber"]
    assert sorted(exposed.facts["exposure"]) == sorted(prefixes)
    new = [c for c in exposed.frame if c not in world.frame.columns]
    assert set(exposed.events) == set(new)
    for prefix in prefixes:
        fact = exposed.facts["exposure"][prefix]
        assert set(fact) >= FACTS
        assert fact["used"] + sum(map(len, fact["left_out"].values())) == fact["given"] == len(events)
        assert json.loads(json.dumps(json_safe(dict(fact)))) is not None
        mine = [c for c in new if c.startswith(prefix)]
        plain = {f"{prefix}_{name}" for name in ("on", "count", "cohort", "first", "cumulative", "donut")}
        assert plain <= set(mine)
        used = set(fact["used_ids"])
        assert all(set(exposed.events[c]) <= used for c in mine)
        spoken_of = [s.split(":")[0] for s in fact["identification"]]
        assert sorted(spoken_of) == sorted(c for c in mine if c.rsplit("_", 1)[-1] not in ("cohort", "first", "donut"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("domestic", [True, False])
def test_what_is_said_of_identification_is_what_estimators_do(kind, domestic, world, events):
    """A column said to be absorbed is refused by name with the effects; one said to be identified has an estimate."""
    foreign = world.frame["exporter"] != world.frame["importer"]
    panel = world if domestic else world.with_frame(world.frame[foreign])
    exposed = expose(panel, events, kind=kind)
    for column in (c for c in exposed.frame if c.endswith("_on")):
        (said,) = identification(exposed, [column], EFFECTS)
        formula = f"log(trade_musd) ~ {column} | {' + '.join(EFFECTS)}"
        if "identified given" in said:
            assert np.isfinite(ols(formula, exposed).se[column])
            assert np.isfinite(ppml(formula.replace("log(trade_musd)", "trade_musd"), exposed).se[column])
            continue
        absorbing = said.split("absorbed by ")[1].split(":")[0]
        assert not domestic
        for fit, text in ((ols, formula), (ppml, formula.replace("log(trade_musd)", "trade_musd"))):
            with pytest.raises(Collinear) as refused:
                fit(text, exposed)
            assert column in str(refused.value)
            assert all(e in str(refused.value) for e in absorbing.removesuffix(" together").split(" + "))


def test_one_sided_exposure_without_domestic_rows_is_absorbed_and_says_why(world, events):
    foreign = world.with_frame(world.frame[world.frame["exporter"] != world.frame["importer"]])
    said = expose(foreign, events, kind="destination").facts["exposure"]["cyber"]["identification"]
    assert all("absorbed by importer^year: constant within every one of its levels" in s for s in said)
    assert all("rows with the same importer and year never differ" in s for s in said)


def test_a_stack_owes_the_same(world, events):
    stacked = stack(world, events, window=(-2, 2))
    fact = stacked.facts["stack"]
    assert fact["used"] + sum(map(len, fact["left_out"].values())) == fact["given"] == len(events)
    assert json.loads(json.dumps(json_safe(dict(fact)))) is not None
    assert set(stacked.events["treated_post"]) == set(fact["used_ids"])
    original = world.frame.set_index(["pair", "year"])
    copies = stacked.frame.set_index(["pair", "year"])
    pd.testing.assert_frame_equal(copies[original.columns], original.loc[copies.index])
    est = ppml("trade_musd ~ treated_post | stack_unit + stack^year", stacked, weights="stack_weight")
    assert np.isfinite(est.se["treated_post"])
    assert est.events["treated_post"] == stacked.events["treated_post"]
