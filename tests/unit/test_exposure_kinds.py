"""Whom each kind of exposure hits, row by row."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import Collinear, ConfigError, EventError, NotIdentified
from cyber_trade_econ.exposure import expose
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.records.panel import Panel

COUNTRIES = ("CHN", "DEU", "FRA", "GBR", "USA")


def world(*, domestic: bool = False, trade: np.ndarray | None = None) -> Panel:
    pairs = itertools.product(COUNTRIES, COUNTRIES) if domestic else itertools.permutations(COUNTRIES, 2)
    rows = [(i, j, y) for i, j in pairs for y in range(2015, 2021)]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "year"])
    frame["trade_musd"] = np.arange(1.0, len(frame) + 1) if trade is None else trade
    return Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "year", name="little")


def coded(**event: object) -> pd.DataFrame:
    plain = {"event_id": "e0", "imposer": "USA", "target": "CHN", "flow": "imports", "record_type": "measure"}
    return pd.DataFrame([{**plain, "effective": pd.Timestamp("2018-05-01"), **event}])


def hit(panel: Panel, column: str = "cyber_on") -> set[str]:
    frame = panel.frame[panel.frame[column] > 0]
    assert frame.empty or set(frame["year"]) == {2018, 2019, 2020}
    return set(frame["pair"])


def sold(*exporters: str) -> set[str]:
    return {f"{i}-{j}" for i, j in itertools.permutations(COUNTRIES, 2) if i in exporters}


def bought(*importers: str) -> set[str]:
    return {f"{i}-{j}" for i, j in itertools.permutations(COUNTRIES, 2) if j in importers}


@pytest.mark.parametrize("domestic", [False, True])
@pytest.mark.parametrize(
    ("kind", "party", "flow", "expected"),
    [
        ("origin", "flow", "imports", sold("CHN")),
        ("origin", "flow", "exports", sold("USA")),
        ("origin", "flow", "both", sold("CHN", "USA")),
        ("origin", "imposer", "imports", sold("USA")),
        ("origin", "target", "exports", sold("CHN")),
        ("destination", "flow", "imports", bought("USA")),
        ("destination", "flow", "exports", bought("CHN")),
        ("destination", "flow", "both", bought("CHN", "USA")),
        ("destination", "imposer", "both", bought("USA")),
        ("destination", "target", "imports", bought("CHN")),
    ],
)
def test_one_sided_kinds_hit_every_foreign_row_of_the_party(kind, party, flow, expected, domestic):
    panel = expose(world(domestic=domestic), coded(flow=flow), kind=kind, party=party)
    assert hit(panel) == expected
    assert set(panel.frame.loc[panel.frame["cyber_cohort"].notna(), "pair"]) == expected
    fact = panel.facts["exposure"]["cyber"]
    assert fact["pairs_hit"] == len(expected)
    side = "exporter" if kind == "origin" else "importer"
    absorbed = [s for s in fact["identification"] if f"absorbed by {side}^year: constant within" in s]
    assert len(absorbed) == (0 if domestic else 2)  # domestic rows of the same economy and year stay 0


@pytest.mark.parametrize(
    ("flow", "diversion", "deflection"),
    [
        ("imports", bought("USA") - {"CHN-USA"}, sold("CHN") - {"CHN-USA"}),
        ("exports", bought("CHN") - {"USA-CHN"}, sold("USA") - {"USA-CHN"}),
        ("both", bought("USA", "CHN") - {"CHN-USA", "USA-CHN"}, sold("USA", "CHN") - {"CHN-USA", "USA-CHN"}),
    ],
)
def test_third_countries_are_others_who_sell_and_others_who_buy(flow, diversion, deflection):
    panel = expose(world(domestic=True), coded(flow=flow), kind="third_country")
    assert hit(panel, "cyber_diversion_on") == diversion
    assert hit(panel, "cyber_deflection_on") == deflection
    assert set(panel.facts["exposure"]) == {"cyber_diversion", "cyber_deflection"}
    assert not any(c.startswith("cyber_on") for c in panel.frame)
    assert panel.events["cyber_deflection_on"] == ("e0",)


def test_a_union_of_imposers_leaves_its_own_trade_beside_the_restricted_one():
    panel = expose(world(), coded(imposer="EUU", target="CHN"), kind="third_country")
    assert hit(panel, "cyber_diversion_on") == bought("DEU", "FRA", "GBR") - {"CHN-DEU", "CHN-FRA", "CHN-GBR"}
    assert hit(panel, "cyber_deflection_on") == {"CHN-USA"}


def test_incidents_without_attribution_expose_the_victim_alone():
    nobody = coded(imposer="", target="USA", flow="both", record_type="incident")
    assert hit(expose(world(), nobody, kind="origin")) == sold("USA")
    assert hit(expose(world(), nobody, kind="destination", party="target")) == bought("USA")
    both = pd.concat([nobody, coded(event_id="e1")], ignore_index=True)
    panel = expose(world(), both)
    assert hit(panel) == {"CHN-USA"}
    assert panel.facts["exposure"]["cyber"]["left_out"] == {"attributed to nobody, so no pair is named": ["e0"]}
    attacker = expose(world(), both, kind="origin", party="imposer")
    assert attacker.facts["exposure"]["cyber"]["left_out"] == {"no economy named as imposer": ["e0"]}
    with pytest.raises(EventError, match="e0 has no imposer"):
        expose(world(), nobody.assign(record_type="measure"))
    unknown = pd.concat([nobody.assign(imposer="USA", target=""), coded(event_id="e1")], ignore_index=True)
    left_out = expose(world(), unknown).facts["exposure"]["cyber"]["left_out"]
    assert left_out == {"economy of the victim not known, so no pair is named": ["e0"]}
    with pytest.raises(EventError, match="e0 has no target"):
        expose(world(), unknown.assign(record_type="measure"), kind="origin")


def test_the_world_is_no_economy_of_its_own():
    neutral = coded(target="WLD", target_basis="origin_neutral")
    assert hit(expose(world(), neutral, kind="destination")) == bought("USA")
    assert hit(expose(world(), neutral.assign(flow="both"), kind="origin")) == sold("USA")
    for kind, party, reason in (
        ("origin", "flow", "no economy named as origin"),
        ("origin", "target", "no economy named as target"),
        ("pair", "flow", "origin-neutral"),
        ("third_country", "flow", "origin-neutral"),
    ):
        with pytest.raises(NotIdentified, match=f"{reason}: 1"):
            expose(world(), neutral, kind=kind, party=party)
    with pytest.raises(NotIdentified, match="no economy named as target: 1"):
        expose(world(), neutral.assign(target="CHN"), kind="origin", party="target")  # the basis says so as well
    norms = coded(imposer="WLD", target="WLD", flow="both")
    with pytest.raises(NotIdentified, match="no economy named as imposer: 1"):
        expose(world(), norms, kind="origin", party="imposer")
    with pytest.raises(NotIdentified, match="imposed by the whole world: 1"):
        expose(world(domestic=True), norms, border=True)


def test_an_origin_neutral_rule_needs_the_border():
    neutral = coded(target="WLD")
    with pytest.raises(NotIdentified, match=r"origin-neutral: 1.*border=True"):
        expose(world(domestic=True), neutral)
    with pytest.raises(NotIdentified, match=r"needs domestic sales.*0 of 120 rows.*Heid, Larch and Yotov"):
        expose(world(), neutral, border=True)
    panel = expose(world(domestic=True), neutral, border=True)
    assert hit(panel) == bought("USA")
    assert not panel.frame.loc[panel.frame["exporter"] == panel.frame["importer"], "cyber_count"].any()
    assert all("identified given" in s for s in panel.facts["exposure"]["cyber"]["identification"])
    assert hit(expose(world(domestic=True), neutral.assign(flow="exports"), border=True)) == sold("USA")
    assert hit(expose(world(domestic=True), neutral, kind="destination", border=True)) == bought("USA")


def test_the_border_admits_named_rules_and_imposers_without_domestic_rows():
    full = world(domestic=True)
    events = pd.concat([coded(target="WLD", imposer="EUU"), coded(event_id="e1"), coded(event_id="e2", target="WLD")])
    partly = full.with_frame(full.frame[~full.frame["pair"].isin(["USA-USA", "DEU-DEU"])])
    panel = expose(partly, events, border=True)
    assert hit(panel) == bought("DEU", "FRA", "GBR") | {"CHN-USA"}  # a rule in force is coded for every imposer
    left_out = panel.facts["exposure"]["cyber"]["left_out"]
    assert left_out == {"no domestic sales of its economies in the panel": ["e2"]}
    with pytest.raises(NotIdentified, match="no domestic sales of its economies"):
        expose(partly, events.iloc[[2]], kind="destination", border=True)


def test_estimates_with_and_without_the_border():
    """The effect of a rule on foreign against domestic sales comes back; without the border the estimator names why not."""
    rng = np.random.default_rng(5)
    panel = expose(world(domestic=True), coded(target="WLD"), border=True)
    frame = panel.frame
    time = frame["year"].astype(str)
    parts = sum(
        pd.Series(rng.normal(size=k.nunique()), index=k.unique()).reindex(k).to_numpy()
        for k in (frame["exporter"] + time, frame["importer"] + time, frame["pair"])
    )
    made = panel.with_frame(frame.assign(trade_musd=np.exp(parts - 0.4 * frame["cyber_on"])))
    formula = "trade_musd ~ cyber_on | exporter^year + importer^year + pair"
    assert ppml(formula, made).coef["cyber_on"] == pytest.approx(-0.4, abs=1e-6)  # no noise: the solver's tolerance
    foreign = expose(world(), coded(target="WLD"), kind="destination")
    with pytest.raises(Collinear, match=r"cyber_on: constant within every level of importer\^year"):
        ppml(formula, foreign)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"kind": "dyad"}, "pair, origin, destination, third_country"),
        ({"party": "victim", "kind": "origin"}, "flow, imposer, target"),
        ({"party": "target"}, "only where one side is exposed"),
        ({"kind": "third_country", "border": True}, "border=True"),
    ],
)
def test_options_that_make_no_sense(options, says):
    expose(world(domestic=True), coded())
    with pytest.raises(ConfigError, match=says):
        expose(world(domestic=True), coded(), **options)


@pytest.mark.parametrize("border", [False, True])
def test_economies_may_be_categories_of_their_own_lists(border):
    full = world(domestic=True)
    lists = {"exporter": [*COUNTRIES, "IND"], "importer": list(COUNTRIES[::-1])}
    kinds = full.with_frame(full.frame.assign(**{c: pd.Categorical(full.frame[c], lists[c]) for c in lists}))
    events = pd.concat([coded(), coded(event_id="e1", target="WLD")], ignore_index=True)
    assert hit(expose(kinds, events, border=border)) == (bought("USA") if border else {"CHN-USA"})
    foreign = kinds.with_frame(kinds.frame[kinds.frame["exporter"].astype(str) != kinds.frame["importer"].astype(str)])
    assert hit(expose(foreign, events)) == {"CHN-USA"}
    with pytest.raises(NotIdentified, match="needs domestic sales"):
        expose(foreign, events, border=True)


def test_a_rule_for_all_is_measured_against_domestic_sales_with_noise():
    """Rules of several dates and directions, Poisson noise: the mean of the estimates is the planted effect."""
    rng = np.random.default_rng(11)
    rules = [("USA", "imports", "2017-03-01"), ("EUU", "imports", "2018-05-25"), ("CHN", "exports", "2019-01-01")]
    events = [
        coded(event_id=f"e{n}", imposer=who, target="WLD", flow=flow, effective=pd.Timestamp(day))
        for n, (who, flow, day) in enumerate(rules)
    ]
    panel = expose(world(domestic=True), pd.concat(events, ignore_index=True), border=True)
    frame = panel.frame
    levels = [frame.groupby(keys).ngroup() for keys in (["exporter", "year"], ["importer", "year"], ["pair"])]
    estimates = []
    for _ in range(20):
        index = sum(rng.normal(scale=0.5, size=level.max() + 1)[level] for level in levels)
        made = frame.assign(trade_musd=rng.poisson(1000 * np.exp(index - 0.4 * frame["cyber_on"])).astype(float))
        fit = ppml("trade_musd ~ cyber_on | exporter^year + importer^year + pair", panel.with_frame(made))
        estimates.append(fit.coef["cyber_on"])
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) + 0.4) < 4 * error  # four standard errors of the mean of the draws
    assert error < 0.01  # the draws say something
