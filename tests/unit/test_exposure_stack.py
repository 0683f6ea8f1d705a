"""Stacked windows: who is in each sub-experiment, by hand, and that the stack gives back a known effect."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, NotIdentified, SchemaError
from cyber_trade_econ.exposure import stack
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.records.panel import Panel

COUNTRIES = ("CHN", "DEU", "FRA", "USA")
YEARS = range(2010, 2021)


def world() -> Panel:
    rows = [(i, j, y) for i, j in itertools.permutations(COUNTRIES, 2) for y in YEARS]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "year"])
    frame["trade_musd"] = np.arange(1.0, len(frame) + 1)
    return Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "year", name="little")


def coded(*events: dict[str, object]) -> pd.DataFrame:
    plain = {"imposer": "USA", "target": "CHN", "flow": "imports", "announced": None, "lifted": None}
    frame = pd.DataFrame([{"event_id": f"e{n}", **plain, **event} for n, event in enumerate(events)])
    return frame.assign(**{r: pd.to_datetime(frame[r]) for r in ("announced", "effective", "lifted")})


THREE = coded(
    {"effective": "2013-05-01"},
    {"effective": "2015-05-01", "target": "DEU", "lifted": "2016-06-01"},
    {"effective": "2018-05-01", "imposer": "FRA"},
)


def sub(panel: Panel, name: str) -> pd.DataFrame:
    return panel.frame[panel.frame["stack"] == name]


def controls(panel: Panel, name: str) -> set[str]:
    frame = sub(panel, name)
    return set(frame.loc[frame["treated"] == 0, "pair"])


def said(panel: Panel, name: str):
    return next(s for s in panel.facts["stack"]["sub_experiments"] if s["stack"] == name)


def test_each_date_has_its_own_treated_and_clean_controls():
    panel = stack(world(), THREE, window=(-2, 2))
    everyone = set(world().frame["pair"])
    assert panel.frame["stack"].unique().tolist() == ["2013", "2015", "2018"]
    for name, treated, dirty in (
        ("2013", {"CHN-USA"}, {"DEU-USA"}),  # the window ends in 2015, when DEU-USA is hit
        ("2015", {"DEU-USA"}, {"CHN-USA"}),
        ("2018", {"CHN-FRA"}, {"CHN-USA", "DEU-USA"}),  # lifted in 2016, but treated before
    ):
        frame = sub(panel, name)
        assert set(frame.loc[frame["treated"] == 1, "pair"]) == treated
        assert controls(panel, name) == everyone - treated - dirty
        assert sorted(frame["event_time"].unique()) == [-2, -1, 0, 1, 2]
        assert (frame["event_time"] == frame["year"] - int(name)).all()
        assert (frame["treated_post"] == frame["treated"] * (frame["event_time"] >= 0)).all()
        assert set(frame.loc[frame["treated"] == 1, "stack_cohort"]) == {int(name)}
        assert frame.loc[frame["treated"] == 0, "stack_cohort"].isna().all()
    assert (panel.unit, panel.time) == ("stack_unit", "year")
    assert set(sub(panel, "2013")["stack_unit"]) == {f"{p}@2013" for p in everyone - {"DEU-USA"}}
    assert said(panel, "2015") == {
        "stack": "2015",
        "events": ["e1"],
        "treated_units": 1,
        "control_units": 10,
        "rows": 55,
        "polluted_units": 0,
        "polluted_share": 0.0,
        "lifted_within_window": 1,
        "treated_before": 0,
    }
    assert panel.events["treated_post"] == ("e0", "e1", "e2")


def test_never_hit_controls_and_units_whose_time_is_unknown():
    strict = stack(world(), THREE, window=(-2, 2), controls="never")
    clean = set(world().frame["pair"]) - {"CHN-USA", "DEU-USA", "CHN-FRA"}
    assert all(controls(strict, name) == clean for name in ("2013", "2015", "2018"))
    assert controls(stack(world(), THREE, window=(-2, 1)), "2013") > clean
    unknown = pd.concat([THREE, coded({"announced": "2012-01-01", "effective": None, "target": "FRA"})])
    panel = stack(world(), unknown.assign(event_id=["a", "b", "c", "d"]), window=(-2, 2))
    assert "FRA-USA" not in set(panel.frame["pair"])
    assert panel.facts["stack"]["units_without_known_time"] == 1
    assert panel.facts["stack"]["left_out"] == {"no date of the role effective": ["d"]}


def test_windows_that_hold_another_event_are_marked():
    events = coded(
        {"effective": "2013-05-01"},
        {"effective": "2015-02-01"},
        {"effective": "2009-02-01", "lifted": "2013-01-01", "target": "FRA"},
        {"effective": "2013-07-01", "target": "FRA"},
        {"effective": "2009-02-01", "target": "DEU"},
        {"effective": "2013-07-01", "target": "DEU"},
    )
    panel = stack(world(), events, window=(-2, 2))
    frame = sub(panel, "2013")
    marked = frame.groupby("pair")["polluted"].unique().map(list)
    # CHN: another one starts in 2015. FRA: one ends within. DEU: one is in force throughout, which changes nothing.
    assert (marked["CHN-USA"], marked["FRA-USA"], marked["DEU-USA"], marked["USA-CHN"]) == ([1], [1], [0], [0])
    assert said(panel, "2013")["polluted_share"] == pytest.approx(2 / 3)
    assert said(panel, "2013")["treated_before"] == 2
    short = stack(world(), events, window=(-1, 1))
    assert not sub(short, "2013").loc[lambda f: f["pair"] == "CHN-USA", "polluted"].any()
    first = stack(world(), events, window=(-2, 2), first_only=True)
    assert said(first, "2013")["events"] == ["e0"]
    assert panel.facts["stack"]["sub_experiments_left_out"] == {"its window reaches outside the panel": ["2009"]}
    assert "2015" not in set(first.frame["stack"])
    assert first.facts["stack"]["left_out"] == {"in no sub-experiment": ["e1", "e2", "e3", "e4", "e5"]}


@pytest.mark.parametrize(
    ("effective", "lifted", "polluted"),
    [
        ("2011-05-01", None, 0),  # in force in every period of the window
        ("2012-05-01", None, 1),
        ("2015-12-31", None, 1),
        ("2016-01-01", None, 0),
        ("2010-05-01", "2011-06-01", 1),  # off from the second period on
        ("2010-05-01", "2011-01-01", 0),  # off before the first
        ("2010-05-01", "2015-01-01", 1),  # off in the last
        ("2010-05-01", "2016-01-01", 0),
    ],
)
def test_the_edges_of_a_polluted_window(effective, lifted, polluted):
    events = coded({"effective": "2013-05-01"}, {"effective": effective, "lifted": lifted})
    assert said(stack(world(), events, window=(-2, 2)), "2013")["polluted_units"] == polluted


def test_one_sub_experiment_per_event():
    events = coded(
        {"effective": "2013-05-01"}, {"effective": "2013-06-01"}, {"effective": "2013-06-01", "target": "DEU"}
    )
    by_date = stack(world(), events, window=(-2, 2))
    assert said(by_date, "2013")["events"] == ["e0", "e1", "e2"]
    by_event = stack(world(), events, window=(-2, 2), each="event")
    assert by_event.frame["stack"].unique().tolist() == ["e0", "e1", "e2"]
    assert said(by_event, "e0")["polluted_units"] == said(by_event, "e1")["polluted_units"] == 1
    assert said(by_event, "e2")["polluted_units"] == said(by_date, "2013")["polluted_units"] == 0
    assert "DEU-USA" not in controls(by_event, "e0")


def test_months_have_names_of_months():
    months = pd.date_range("2018-01", "2019-12", freq="MS")
    rows = [(i, j, m) for i, j in itertools.permutations(COUNTRIES, 2) for m in months]
    frame = pd.DataFrame(rows, columns=["exporter", "importer", "month"])
    panel = Panel(frame.assign(pair=frame["exporter"] + "-" + frame["importer"]), "pair", "month")
    stacked = stack(panel, coded({"effective": "2018-12-31"}), window=(-6, 6))
    assert set(stacked.frame["stack"]) == {"2018-12"}
    assert stacked.frame["month"].agg(["min", "max"]).dt.strftime("%Y-%m").tolist() == ["2018-06", "2019-06"]
    assert stacked.frame["stack_cohort"].dropna().unique().tolist() == [pd.Timestamp("2018-12-01")]


def test_the_weights_are_those_of_the_published_formula():
    """Shares by event time, worked out with loops; in an unbalanced panel they differ between event times."""
    full = world()
    panel = stack(full.with_frame(full.frame.drop(index=[3, 4, 40, 90])), THREE, window=(-2, 2))
    frame = panel.frame
    for row in frame.to_dict("records"):
        now = frame[frame["event_time"] == row["event_time"]]
        here = now[now["stack"] == row["stack"]]
        of_treated = (here["treated"] == 1).sum() / (now["treated"] == 1).sum()
        of_controls = (here["treated"] == 0).sum() / (now["treated"] == 0).sum()
        assert row["stack_weight"] == pytest.approx(1.0 if row["treated"] else of_treated / of_controls)


def test_the_stack_gives_back_the_effect_where_two_way_effects_do_not():
    """The effect grows with time since treatment, so that units treated early are bad controls for later ones."""
    full = world()
    rng = np.random.default_rng(3)
    unit = full.frame["pair"].map(dict.fromkeys(full.frame["pair"].unique(), 0.0) | {"CHN-USA": 2.0, "DEU-USA": 1.0})
    start = full.frame["pair"].map({"CHN-USA": 2013, "DEU-USA": 2015, "CHN-FRA": 2018})
    age = (full.frame["year"] - start).where(lambda a: a >= 0)
    year = full.frame["year"].map(dict(zip(YEARS, rng.normal(size=len(YEARS)), strict=True)))
    y = unit + year + (1.0 + age).fillna(0.0)
    made = full.with_frame(full.frame.assign(y=y, on=age.notna().astype(int)))
    truth = 2.0  # the mean of 1, 2 and 3 over the three periods of the window
    stacked = ols(
        "y ~ treated_post | stack_unit + stack^year", stack(made, THREE, window=(-2, 2)), weights="stack_weight"
    )
    assert stacked.coef["treated_post"] == pytest.approx(truth, abs=1e-9)  # no noise: rounding alone
    average = (1.0 + age).mean()  # over all treated rows of the panel
    assert abs(ols("y ~ on | pair + year", made).coef["on"] - average) > 0.2


def test_how_often_rows_are_repeated_is_said():
    panel = stack(world(), THREE, window=(-2, 2))
    times = panel.frame.groupby(["pair", "year"]).size()
    fact = panel.facts["stack"]
    assert fact["rows_of_panel"] == 12 * 11
    assert fact["rows_in_stack"] == len(panel) == times.sum()
    assert fact["rows_used_once"] == (times == 1).sum()
    assert fact["rows_repeated"] == (times > 1).sum() > 0
    assert fact["rows_not_used"] == 12 * 11 - len(times)
    assert fact["most_copies_of_a_row"] == times.max()
    assert any("identified given stack_unit + stack^year" in s for s in fact["identification"])
    assert any("exporter^year^stack + importer^year^stack + stack_unit" in s for s in fact["identification"])


def test_stacks_that_cannot_be_are_refused():
    stack(world(), THREE, window=(-2, 2))
    with pytest.raises(NotIdentified, match=r"reaches outside the panel: 3"):
        stack(world(), THREE, window=(-9, 2))
    both = world()
    alone = both.with_frame(both.frame[both.frame["pair"].isin(["CHN-USA"])])
    with pytest.raises(NotIdentified, match="no clean control: 1"):
        stack(alone, THREE, window=(-2, 2))
    for options in (
        {"window": (0, 2)},
        {"window": (1, 2)},
        {"controls": "all"},
        {"each": "pair"},
        {"kind": "third_country"},
        {"on": "lifted"},
    ):
        with pytest.raises(ConfigError):
            stack(world(), THREE, **({"window": (-2, 2)} | options))
    with pytest.raises(ConfigError, match="treated"):
        stack(both.with_frame(both.frame.assign(treated=1)), THREE, window=(-2, 2))
    moving = both.frame.assign(
        firm=both.frame.groupby(["importer", "year"]).cumcount().astype(str) + both.frame["importer"]
    )
    moving = moving[(moving["year"] < 2015) | (moving["exporter"] != "CHN")]
    moving["firm"] = moving.groupby(["importer", "year"]).cumcount().astype(str) + moving["importer"]
    with pytest.raises(SchemaError, match="changes its exporter"):
        stack(Panel(moving, "firm", "year"), THREE, window=(-2, 2))


def test_other_kinds_and_sides():
    victim = coded({"effective": "2014-05-01", "imposer": "", "target": "FRA", "flow": "both"}).assign(
        record_type="incident"
    )
    panel = stack(world(), victim, window=(-2, 2), kind="origin", party="target")
    treated = panel.frame.loc[panel.frame["treated"] == 1, "pair"]
    assert set(treated) == {"FRA-CHN", "FRA-DEU", "FRA-USA"}


def test_a_stack_of_events_without_a_place_names_the_reasons():
    with pytest.raises(NotIdentified, match="origin-neutral: 1"):
        stack(world(), THREE.iloc[[0]].assign(target="WLD"), window=(-2, 2))
    with pytest.raises(NotIdentified, match="none was given"):
        stack(world(), THREE.iloc[:0], window=(-2, 2))
    assert len(stack(world(), THREE.iloc[[0]], window=(-2, 2)))


def test_the_weighted_stack_is_the_mean_effect_of_groups_of_different_size():
    """Groups differ in size, in effect and in its growth; the mean is over the treated rows since the date."""
    full = world()
    groups = coded(
        {"effective": "2013-05-01", "imposer": "USA", "target": "CHN;DEU;FRA"},
        {"effective": "2015-05-01", "imposer": "DEU", "target": "FRA"},
        {"effective": "2017-05-01", "imposer": "FRA", "target": "DEU;USA"},
    )
    start = full.frame["importer"].map({"USA": 2013, "DEU": 2015, "FRA": 2017})
    start = start.where(~full.frame["pair"].isin(["CHN-DEU", "USA-DEU", "CHN-FRA"]))
    age = (full.frame["year"] - start).where(lambda a: a >= 0)
    effect = (full.frame["importer"].map({"USA": -1.0, "DEU": 3.0, "FRA": 0.5}) * (1 + age)).fillna(0.0)
    y = full.frame.groupby("pair").ngroup() + 0.3 * (full.frame["year"] - 2010) + effect
    stacked = stack(full.with_frame(full.frame.assign(y=y, effect=effect)), groups, window=(-2, 2))
    frame = stacked.frame
    truth = frame.loc[frame["treated_post"] == 1, "effect"].mean()
    formula = "y ~ treated_post | stack_unit + stack^year"
    # no noise: rounding alone
    assert ols(formula, stacked, weights="stack_weight").coef["treated_post"] == pytest.approx(truth, abs=1e-9)
    assert abs(ols(formula, stacked).coef["treated_post"] - truth) > 0.01  # it is the weights that do it
