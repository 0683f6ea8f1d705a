"""Agreement of two coders against published figures and two libraries that we did not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import krippendorff
import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from cyber_trade_econ.errors import ConfigError, EventError
from cyber_trade_econ.events.agreement import agreement, cohen_kappa, krippendorff_alpha

if TYPE_CHECKING:
    from pathlib import Path

NOMINAL = 1.0 - np.eye(5)


def pair(n: int, codes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, codes, n)
    second = np.where(rng.random(n) < 0.6, first, rng.integers(0, codes, n))
    return first, second


def test_krippendorff_published_example():
    a = np.array([0, 1, 0, 0, 0, 0, 0, 0, 1, 0])
    b = np.array([1, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    # Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section A: two observers, ten units, binary.
    assert krippendorff_alpha(a, b, NOMINAL[:2, :2]) == pytest.approx(0.095, abs=0.0005)  # three decimals printed


@pytest.mark.parametrize("seed", range(5))
def test_alpha_equals_the_krippendorff_library(seed: int):
    a, b = pair(60, 5, seed)
    theirs = krippendorff.alpha(np.vstack([a, b]), level_of_measurement="nominal")
    assert krippendorff_alpha(a, b, NOMINAL) == pytest.approx(theirs, abs=1e-12)  # two orders of one sum
    squared = (np.arange(5)[:, None] - np.arange(5)) ** 2.0
    theirs = krippendorff.alpha(np.vstack([a, b]), level_of_measurement="interval")
    assert krippendorff_alpha(a, b, squared) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_equals_statsmodels(seed: int):
    a, b = pair(60, 5, seed)
    table = np.zeros((5, 5))
    np.add.at(table, (a, b), 1)
    assert cohen_kappa(a, b) == pytest.approx(cohens_kappa(table).kappa, abs=1e-12)  # two orders of one sum


def test_perfect_and_absent_variation():
    a = np.array([0, 1, 2, 1])
    assert cohen_kappa(a, a) == 1
    assert krippendorff_alpha(a, a, NOMINAL) == 1
    same = np.zeros(4, dtype=int)
    assert np.isnan(cohen_kappa(same, same))
    assert np.isnan(krippendorff_alpha(same, same, NOMINAL))


def codings(n: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(3)
    scenario = rng.choice(["geopolitical", "regulation_compliance", "supply_chain_strategy"], n)
    a = pd.DataFrame(
        {
            "event_id": [f"e-{i}" for i in range(n)],
            "scenario": scenario,
            "concern": rng.choice(["military", "military;economic", "societal"], n),
            "intensity": rng.choice(["3", "4", "5"], n),
            "note": "free text is not compared",
        }
    )
    b = a.copy()
    b.loc[: n // 4, "scenario"] = "geopolitical"
    b.loc[: n // 4, "concern"] = "military"
    return a, b


def test_fields_units_and_intervals():
    a, b = codings()
    out = agreement(a, b, draws=200).set_index("field")
    assert list(out.index) == ["scenario", "concern", "intensity"]
    assert (out["units"] == 40).all()
    assert out.loc["intensity", "equal"] == out.loc["intensity", "alpha"] == 1
    row = out.loc["scenario"]
    assert row["alpha_low"] < row["alpha"] < row["alpha_high"] < 1
    assert row["kappa_low"] < row["kappa"] < row["kappa_high"]
    assert out.loc["concern", "alpha"] == pytest.approx(by_hand(a["concern"], b["concern"]), abs=1e-12)  # order of sums


def by_hand(a: pd.Series, b: pd.Series) -> float:
    """Alpha of sets from its definition: mean distance within units over mean distance of all pairs of values."""

    def apart(x: str, y: str) -> float:
        u, v = set(x.split(";")), set(y.split(";"))
        return 1 - len(u & v) / len(u | v)

    values = [*a, *b]
    pairs = [apart(x, y) for i, x in enumerate(values) for j, y in enumerate(values) if i != j]
    return float(1 - np.mean([apart(x, y) for x, y in zip(a, b, strict=True)]) / np.mean(pairs))


def test_draws_are_seeded_and_order_does_not_matter():
    a, b = codings()
    once = agreement(a, b, draws=200)
    pd.testing.assert_frame_equal(once, agreement(a, b, draws=200))
    shuffled = b.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(once, agreement(a, shuffled, draws=200))


def test_not_applicable_is_no_agreement():
    a, b = codings()
    more = pd.DataFrame(
        {"event_id": ["x-1", "x-2"], "scenario": "na", "concern": "military", "intensity": "3", "note": ""}
    )
    with_na = agreement(pd.concat([a, more]), pd.concat([b, more]), draws=100).set_index("field")
    assert with_na.loc["scenario", "units"] == 40
    assert with_na.loc["concern", "units"] == 42
    assert with_na.loc["scenario", "kappa"] == agreement(a, b, draws=100).set_index("field").loc["scenario", "kappa"]


def test_events_of_one_coding_are_counted():
    a, b = codings()
    facts = agreement(a, b.iloc[5:], draws=100).attrs["facts"]
    assert (facts["events_in_both"], facts["only_in_a"], facts["only_in_b"]) == (35, 5, 0)


def test_firms_are_compared_one_by_one():
    ids = ["e-1", "e-2", "e-3", "e-4", "e-5"]
    a = pd.DataFrame({"event_id": ids, "org_action": ["defy;unknown", "defy;defy;avoid", "na", "na", "acquiesce"]})
    b = pd.DataFrame({"event_id": ids, "org_action": ["defy;defy", "defy;defy;avoid", "na", "defy;defy", "acquiesce"]})
    row = agreement(a, b, draws=100).set_index("field").loc["org_action"]
    first = np.array([0, 1, 0, 0, 2, 3, 3, 4])  # defy unknown | defy defy avoid | na na | acquiesce
    second = np.array([0, 0, 0, 0, 2, 0, 0, 4])
    assert row["units"] == 4  # events: the third concerns no firm for either coder
    assert row["equal"] == pytest.approx(5 / 8, abs=1e-12)  # a first-firm comparison would give 3 / 4
    assert row["kappa"] == pytest.approx(cohen_kappa(first, second), abs=1e-12)
    assert row["alpha"] == pytest.approx(krippendorff_alpha(first, second, NOMINAL), abs=1e-12)
    with pytest.raises(EventError, match=r"org_action of e-2; found 3 code.*1 in the other"):
        agreement(a, b.replace("defy;defy;avoid", "defy"), draws=100)


def test_order_of_economies_and_products_is_no_disagreement():
    a = pd.DataFrame(
        {"event_id": ["e-1", "e-2", "e-3"], "target": ["CHN;RUS", "USA", "CHN"], "hs_codes": ["8517", "", "85"]}
    )
    out = agreement(a, a.replace("CHN;RUS", "RUS;CHN"), draws=100).set_index("field")
    assert out.loc["target", ["equal", "kappa", "alpha"]].tolist() == [1, 1, 1]
    narrower = agreement(a, a.replace("CHN;RUS", "CHN"), draws=100).set_index("field")
    assert narrower.loc["target", "kappa"] < 1  # the same first economy is not the same target


def test_interval_covers_the_truth():
    """Simulation: the 95 per cent bootstrap interval of kappa covers the kappa of a large population."""
    a, b = pair(200_000, 3, 11)
    truth = cohen_kappa(a, b)
    covered, rng, names = (
        0,
        np.random.default_rng(5),
        np.array(["geopolitical", "supply_chain_strategy", "regulation_compliance"]),
    )
    for _ in range(60):
        pick = rng.integers(0, len(a), 60)
        ids = [f"e-{i}" for i in range(60)]
        frames = [pd.DataFrame({"event_id": ids, "scenario": names[x[pick]]}) for x in (a, b)]
        row = agreement(*frames, draws=300).iloc[0]
        covered += row["kappa_low"] <= truth <= row["kappa_high"]
    # 60 trials at 95 per cent: 51 or fewer happen once in 400 runs of an honest interval.
    assert covered >= 52


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b.assign(event_id="e-1"), "twice"),
        (lambda b: b.assign(event_id="e-1"), "line 3, event_id.*as in line 2"),
        (lambda b: b.assign(event_id=""), "without id, line 2"),
        (lambda b: b.assign(scenario="geopolitic"), "line 2, scenario"),
        (lambda b: b.assign(target="XYZ"), "line 2, target; found 'XYZ'; allowed: ISO"),
        (lambda b: b.assign(hs_codes="851"), "line 2, hs_codes; found '851'; allowed: 2, 4 or 6"),
        (lambda b: b.assign(intensity="11"), "line 2, intensity; found '11'; allowed: a whole number"),
        (lambda b: b.assign(event_id=b["event_id"] + "x"), "nothing in common"),
        (lambda b: b.drop(columns="event_id"), "no column event_id"),
    ],
)
def test_bad_codings_are_refused(change, words: str, tmp_path: Path):
    a, b = codings()
    file = tmp_path / "b.csv"
    b.to_csv(file, index=False)
    assert len(agreement(a, file, draws=100)) == 3  # positive control
    change(b).to_csv(file, index=False)
    with pytest.raises(EventError, match=words):
        agreement(a, file, draws=100)


def test_too_few_draws_are_refused():
    a, b = codings()
    with pytest.raises(ConfigError, match="draws"):
        agreement(a, b, draws=10)
