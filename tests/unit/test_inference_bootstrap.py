"""Bootstrap and placebo draws against rows copied and values moved by hand, each fitted from scratch."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
from cyber_trade_econ.errors import BadRegressor, ConfigError, EstimationError, FewClusters, NotIdentified
from cyber_trade_econ.inference.carried import carried
from cyber_trade_econ.inference.placebo import Exchange
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.simulate import gravity_world, heavy_world

THREE_WAY = "treated + x | exporter^year + importer^year + pair"


@pytest.fixture(scope="module")
def world():
    frame = gravity_world(9, 6, seed=5)
    rng = np.random.default_rng(2)
    frame["x"] = rng.normal(size=len(frame))
    frame["size"] = rng.uniform(0.5, 2, len(frame))
    return frame


def streams(seed: int, count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(count)]


def copied(frame: pd.DataFrame, by: str, rng: np.random.Generator) -> pd.DataFrame:
    """Copy the rows of drawn clusters; every copy is a cluster of its own."""
    clusters = np.unique(frame[by])
    drawn = rng.integers(len(clusters), size=len(clusters))
    parts = [frame[frame[by] == clusters[c]].assign(**{by: f"copy {i}"}) for i, c in enumerate(drawn)]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("weights", [None, "size"])
@pytest.mark.parametrize("kind", ["ppml", "ols"])
@pytest.mark.parametrize("right", [THREE_WAY, "treated + x | pair", "treated + x + i(year)"])
def test_a_draw_is_a_fit_to_copied_rows(world, kind, weights, right):
    left, fit = ("trade_musd", cte.ppml) if kind == "ppml" else ("log(trade_musd)", cte.ols)
    e = fit(f"{left} ~ {right}", world, vcov=cte.cluster("pair"), weights=weights)
    got = cte.bootstrap(e, world, "pair", draws=4, seed=7)
    for row, rng in zip(got.draws.to_numpy(), streams(7, 4), strict=True):
        again = fit(f"{left} ~ {right}", copied(world, "pair", rng), vcov="hetero", weights=weights)
        # Two fits that each converge to about 1e-12.
        np.testing.assert_allclose(row, again.coef, rtol=1e-9, atol=1e-10)
    assert got.facts == {"by": "pair", "clusters": 72, "seed": 7, "draws": 4, "lost": {}, "separated": 0}
    np.testing.assert_allclose(got.estimate.vcov, np.cov(got.draws.T, ddof=1))
    assert got.estimate.facts["vcov"] == "bootstrap (4 draws): pair"
    pd.testing.assert_series_equal(got.estimate.coef, e.coef)


@pytest.mark.parametrize("kind", ["ppml", "ols"])
def test_offsets_dropped_rows_and_dropped_regressors(world, kind):
    fit, left = (cte.ppml, "trade_musd") if kind == "ppml" else (cte.ols, "log(trade_musd)")
    frame = world.assign(
        logs=0.1 * np.log(world["size"]), twice=2 * world["treated"], z=world["x"].mask(world.index % 31 == 0)
    )
    frame.loc[(frame["exporter"] == "C03") & (frame["year"] == 2002), "trade_musd"] = 0.0
    options = {"offset": "logs", "weights": "size", "collinear": "drop"}
    formula = f"{left} ~ treated + twice + z | exporter^year + pair"
    e = fit(formula, frame, vcov=cte.cluster("pair"), **options)
    assert e.facts["collinear"] == ["twice"]
    assert e.facts["dropped"]
    used = frame.loc[e.sample]
    got = cte.bootstrap(e, frame, "pair", draws=3, seed=6)
    for row, rng in zip(got.draws.to_numpy(), streams(6, 3), strict=True):
        again = fit(formula, copied(used, "pair", rng), vcov="hetero", **options)
        np.testing.assert_allclose(row, again.coef, rtol=1e-9, atol=1e-10)  # as above
    placebo = cte.placebo(e, frame, "z", draw=_reversed, draws=2)
    built = frame[frame["z"].notna() & ((frame["trade_musd"] > 0) | (kind == "ppml"))]
    again = fit(formula, built.assign(z=_reversed(np.random.default_rng(), built)), vcov="hetero", **options)
    np.testing.assert_allclose(placebo.draws["z"], again.coef["z"], rtol=1e-9)


def _reversed(_rng: np.random.Generator, frame: pd.DataFrame) -> np.ndarray:
    return frame["z"].to_numpy()[::-1]


def test_heavy_tails_zeros_and_domestic_flows():
    frame = heavy_world(9, 6, seed=4)
    formula = "trade ~ agreement + border_trend | exporter^year + importer^year + pair"
    e = cte.ppml(formula, frame, vcov=cte.cluster("pair"))
    got = cte.bootstrap(e, frame, "pair", draws=8, seed=1)
    frame = frame.loc[e.sample]  # clusters are those of the estimation sample
    for row, rng in zip(got.draws.to_numpy(), streams(1, 8), strict=True):
        again = cte.ppml(formula, copied(frame, "pair", rng), vcov="hetero", collinear="drop")
        lost = np.isnan(row).any()
        assert lost == (len(again.coef) < 2)
        if not lost:
            np.testing.assert_allclose(row, again.coef, rtol=1e-8, atol=1e-8)
    assert sum(got.facts["lost"].values()) == got.draws.isna().any(axis=1).sum()


def test_standard_errors_agree_with_clustered_ones(world):
    frame = gravity_world(16, 6, seed=8)
    e = cte.ppml("trade_musd ~ treated | exporter^year + importer^year + pair", frame, vcov=cte.cluster("pair"))
    got = cte.bootstrap(e, frame, "pair", draws=200, seed=3)
    # Both estimate one standard deviation: 200 draws know it to 5 %, 240 pairs to about as much.
    np.testing.assert_allclose(got.estimate.se, e.se, rtol=0.25)
    low, high = got.interval(0.9).loc["treated"]
    assert low < e.coef["treated"] < high
    assert (got.draws["treated"] < low).mean() == pytest.approx(0.05, abs=0.01)
    with pytest.raises(ConfigError, match="level"):
        got.interval(95)


def _moved(rng: np.random.Generator, frame: pd.DataFrame) -> np.ndarray:
    return rng.permutation(frame["treated"].to_numpy())


def _exchange(frame: pd.DataFrame) -> Exchange:
    """Pairs observed in all years exchange their paths."""
    paths = frame.reset_index(drop=True).groupby("pair").indices.values()
    whole = [rows for rows in paths if len(rows) == frame["year"].nunique()]
    return Exchange("treated", (np.stack(whole),))


def test_draws_do_not_depend_on_who_carries_them(world, executor):
    e = cte.ppml(f"trade_musd ~ {THREE_WAY}", world, vcov=cte.cluster("pair"))
    # Other processes cannot import what a test defines.
    draw = _exchange(world) if isinstance(executor, ProcessPoolExecutor) else _moved
    for run in (
        lambda x: cte.bootstrap(e, world, "pair", draws=40, executor=x).draws,
        lambda x: cte.placebo(e, world, "treated", unit="pair", time="year", draws=5, executor=x).draws,
        lambda x: cte.placebo(e, world, "treated", draw=draw, draws=5, executor=x).draws,
        lambda x: pd.DataFrame(
            [vars(cte.wild_bootstrap(e, world, "treated", "exporter", level=None, draws=3000, executor=x))]
        ),
        lambda x: cte.with_vcov(e, world, cte.jackknife("exporter"), executor=x).vcov,
        lambda x: cte.with_vcov(e, world, cte.jackknife("exporter", one_step=True), executor=x).vcov,
    ):
        pd.testing.assert_frame_equal(run(executor), run(None), check_exact=True)


def test_fewer_draws_are_the_first_of_more(world):
    e = cte.ols("trade_musd ~ treated | pair", world, vcov=cte.cluster("pair"))
    few, more = (cte.bootstrap(e, world, "pair", draws=d).draws for d in (3, 40))
    pd.testing.assert_frame_equal(few, more.iloc[:3], check_exact=True)
    assert not few.equals(cte.bootstrap(e, world, "pair", draws=3, seed=1).draws)  # control: the seed matters


def _square(number: int) -> int:
    return number**2


def test_pieces_come_back_in_order():
    with ThreadPoolExecutor(3) as executor:
        for count in (0, 1, 5, 100):
            assert carried(_square, count, executor) == [n**2 for n in range(count)] == carried(_square, count, None)


def test_draws_without_an_estimate_are_counted_not_hidden(world):
    pairs = np.unique(world["pair"])
    frame = world.assign(rare=((world["pair"] == pairs[0]) & (world["year"] > 2002)) * 1.0)
    formula = "trade_musd ~ treated + rare | pair"
    e = cte.ppml(formula, frame, vcov=cte.cluster("pair"))
    got = cte.bootstrap(e, frame, "pair", draws=60, seed=2)
    absent = [0 not in rng.integers(len(pairs), size=len(pairs)) for rng in streams(2, 60)]
    assert sum(absent) > 0
    assert got.facts["lost"] == {"a coefficient is not identified": sum(absent)}
    assert got.draws.isna().all(axis=1).tolist() == absent
    assert got.facts["warning"].startswith(f"{sum(absent)} of 60 bootstrap draws have no estimate")
    two = frame.assign(rare=frame["rare"], rarer=((frame["pair"] == pairs[1]) & (frame["year"] > 2002)) * 1.0)
    with pytest.raises(NotIdentified, match="most bootstrap draws"):
        cte.bootstrap(cte.ppml("trade_musd ~ treated + rare + rarer | pair", two), two, "pair", draws=60, seed=2)
    assert "warning" not in cte.bootstrap(cte.ppml("trade_musd ~ treated | pair", frame), frame, "pair", draws=5).facts


def test_draws_in_which_rows_are_separated_are_counted():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(np.arange(12), 10), "z": rng.normal(size=120)})
    frame["x"] = (frame["g"] < 3) * 1.0
    frame["y"] = rng.poisson(3.0, 120) * 1.0
    frame.loc[frame["g"].isin((1, 2)), "y"] = 0.0  # without cluster 0 every outcome with x = 1 is zero
    e = cte.ppml("y ~ z + x", frame)
    got = cte.bootstrap(e, frame, "g", draws=80, seed=3)
    drawn = [set(r.integers(12, size=12)) for r in streams(3, 80)]
    separated = [0 not in d and bool(d & {1, 2}) for d in drawn]
    absent = [not d & {0, 1, 2} for d in drawn]
    assert got.facts["separated"] == sum(separated) > 0
    assert sum(got.facts["lost"].values()) == sum(separated) + sum(absent)


def test_bad_requests_of_a_bootstrap(world):
    e = cte.ppml("trade_musd ~ treated | pair", world)
    with pytest.raises(ConfigError, match="draws"):
        cte.bootstrap(e, world, "pair", draws=1)
    with pytest.raises(FewClusters):
        cte.bootstrap(e, world.assign(one=1), "one", draws=2)
    with pytest.raises(ConfigError, match="data of the estimate"):
        cte.bootstrap(e, world.assign(trade_musd=world["trade_musd"].to_numpy()[::-1]), "pair", draws=2)
    with pytest.raises(ConfigError, match="inference from scores"):
        cte.bootstrap(cte.gamma_pml("trade_musd ~ treated | pair", world), world, "pair", draws=2)
    assert len(cte.bootstrap(e, world, "pair", draws=2).draws) == 2  # control


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": -1}, "found -1; allowed: a whole number, 0 or more"),
        ({"seed": None}, "found None; allowed: a whole number, 0 or more"),
        ({"seed": "a"}, "found 'a'; allowed: a whole number, 0 or more"),
        ({"seed": 1.0}, "seed=.*a whole number"),
        ({"seed": True}, "seed=.*a whole number"),
        ({"draws": "a"}, "draws=.*found 'a'; allowed: a whole number, 2 or more"),
        ({"draws": None}, "draws=.*a whole number"),
        ({"draws": True}, "draws=.*a whole number"),
        ({"draws": 2.0}, "draws=.*a whole number"),
        ({"executor": 3}, "executor=.*found 3; allowed: an executor of concurrent.futures, or None"),
        ({"executor": ThreadPoolExecutor}, "executor="),
    ],
)
def test_draws_seed_and_executor_are_checked_by_name(world, change, says):
    e = cte.ols("trade_musd ~ treated | pair", world)
    good = {"draws": 3, "seed": 5, "executor": None}
    for name, run in (
        ("bootstrap", partial(cte.bootstrap, e, world, "pair")),
        ("placebo", partial(cte.placebo, e, world, "treated", unit="pair", time="year")),
    ):
        with pytest.raises(ConfigError, match=rf"^{name}\(.*{says}"):
            run(**(good | change))
        control = {"draws": np.int64(3), "seed": np.int64(5)}
        pd.testing.assert_frame_equal(run(**(good | control)).draws, run(**good).draws, check_exact=True)


def test_columns_are_named_by_text(world):
    e = cte.ols("trade_musd ~ treated | pair", world)
    for by in (["pair"], ("pair", "year"), None, 3, ""):
        with pytest.raises(ConfigError, match=r"bootstrap\(by=.*the name of a cluster column, or columns joined by \^"):
            cte.bootstrap(e, world, by, draws=2)
    for change, says in (
        ({"unit": ["pair"]}, r"placebo\(unit=.*the name of a column"),
        ({"time": 3}, r"placebo\(time=.*the name of a column"),
        ({"unit": None, "time": None, "draw": 3}, r"placebo\(draw=.*a function draw"),
    ):
        with pytest.raises(ConfigError, match=says):
            cte.placebo(e, world, "treated", **({"unit": "pair", "time": "year", "draws": 2} | change))
    got = cte.bootstrap(e, world, "exporter^year", draws=2)  # control
    with pytest.raises(ConfigError, match="found 'a'; allowed: a number strictly between 0 and 1"):
        got.interval("a")


def test_a_jackknife_names_what_cannot_carry_it(world):
    e = cte.ols("trade_musd ~ treated | pair", world)
    with pytest.raises(ConfigError, match=r"jackknife\(executor=.*found 3"):
        cte.with_vcov(e, world, cte.jackknife("exporter"), executor=3)
    assert cte.with_vcov(e, world, cte.jackknife("exporter")).se["treated"] > 0  # control


def exchanged(frame: pd.DataFrame, column: str, rng: np.random.Generator) -> pd.DataFrame:
    """Exchange paths among units observed in the same years, pair by pair and year by year."""
    paths = {u: tuple(sorted(g["year"])) for u, g in frame.groupby("pair")}
    value = frame.set_index(["pair", "year"])[column]
    source = {}
    alike: dict[tuple, list] = {}
    for u in sorted(paths):
        alike.setdefault(paths[u], []).append(u)
    for units in alike.values():
        if len(units) > 1:
            source |= dict(zip(units, (units[i] for i in rng.permutation(len(units))), strict=True))
    moved = [value[source.get(u, u), t] for u, t in zip(frame["pair"], frame["year"], strict=True)]
    return frame.assign(**{column: moved})


@pytest.mark.parametrize("kind", ["ppml", "ols"])
@pytest.mark.parametrize(
    "right",
    [THREE_WAY, "treated + treated:x + x | exporter^year + pair", "x + treated + i(year)", "i(treated):x + x | pair"],
)
def test_a_placebo_draw_is_a_fit_to_moved_values(world, kind, right):
    left, fit = ("trade_musd", cte.ppml) if kind == "ppml" else ("log(trade_musd)", cte.ols)
    e = fit(f"{left} ~ {right}", world, vcov=cte.cluster("pair"))
    got = cte.placebo(e, world, "treated", unit="pair", time="year", draws=4, seed=9)
    terms = [t for t in e.coef.index if "treated" in t]
    assert list(got.draws.columns) == terms
    for row, rng in zip(got.draws.to_numpy(), streams(9, 4), strict=True):
        again = fit(f"{left} ~ {right}", exchanged(world, "treated", rng), vcov="hetero")
        np.testing.assert_allclose(row, again.coef[terms], rtol=1e-9, atol=1e-10)  # as above
    beyond = (got.draws.abs() >= e.coef[terms].abs()).sum()
    np.testing.assert_allclose(got.p_value, (1 + beyond) / 5)
    panel = Panel(world, "pair", "year")
    again = cte.placebo(fit(f"{left} ~ {right}", panel), panel, "treated", draws=4, seed=9)
    np.testing.assert_allclose(again.draws, got.draws, rtol=1e-9, atol=1e-10)


def test_units_exchange_with_units_observed_alike(world):
    frame = world[~((world["exporter"] == "C01") & (world["year"] == 2003))]
    own = frame[frame["pair"] != frame["pair"].iloc[-1]]
    odd = pd.concat([own, frame[(frame["pair"] == frame["pair"].iloc[-1]) & (frame["year"] != 2002)]])
    odd = odd.assign(dose=np.where(odd["pair"] == odd["pair"].iloc[-1], 1.0 * (odd["year"] > 2003), odd["treated"]))
    e = cte.ppml("trade_musd ~ dose | exporter^year + pair", odd, vcov=cte.cluster("pair"))
    got = cte.placebo(e, odd, "dose", unit="pair", time="year", draws=3, seed=4)
    for row, rng in zip(got.draws.to_numpy(), streams(4, 3), strict=True):
        again = cte.ppml("trade_musd ~ dose | exporter^year + pair", exchanged(odd, "dose", rng), vcov="hetero")
        np.testing.assert_allclose(row, again.coef, rtol=1e-9)
    assert got.facts["exposed_fixed"] == 1
    assert got.facts["units"] == odd["pair"].nunique()
    lonely = pd.concat(
        [g.iloc[: 2 + i] for i, (_, g) in enumerate(world[world["exporter"] == "C01"].groupby("pair"))][:4]
    )
    lonely = lonely.assign(dose=np.arange(len(lonely)) % 2 * 1.0)
    e = cte.ols("trade_musd ~ dose | pair", lonely)
    with pytest.raises(NotIdentified, match="cannot exchange their paths"):
        cte.placebo(e, lonely, "dose", unit="pair", time="year", draws=2)


def test_bad_requests_of_a_placebo_test(world):
    e = cte.ppml("trade_musd ~ treated + log(size) | pair", world)
    clock = {"unit": "pair", "time": "year"}
    for change, says in (
        ({"column": "x"}, "a regressor"),
        ({"column": "pair"}, "a regressor"),
        ({"column": "size", "unit": None}, "neither draw="),
        ({"draw": _moved}, "unit= and time="),
        ({"time": "exporter"}, "one row per unit and period"),
        ({"draws": 0}, "draws"),
    ):
        with pytest.raises(ConfigError, match=says):
            cte.placebo(e, world, **({"column": "treated", "draws": 2} | clock | change))
    with pytest.raises(BadRegressor, match="finite"):
        cte.placebo(e, world, "size", draw=lambda _rng, frame: np.zeros(len(frame)), draws=2)
    with pytest.raises(ConfigError, match="shape"):
        cte.placebo(e, world, "treated", draw=lambda _rng, _frame: np.zeros(3), draws=2)
    with pytest.raises(ConfigError, match="data of the estimate"):
        cte.placebo(e, exchanged(world, "treated", np.random.default_rng(1)), "treated", draws=2, **clock)
    with pytest.raises(EstimationError, match="most placebo draws"):
        cte.placebo(e, world, "treated", draw=lambda _rng, frame: np.zeros(len(frame)), draws=4)
    assert cte.placebo(e, world, "size", draws=2, **clock).facts["lost"] == {}  # control
