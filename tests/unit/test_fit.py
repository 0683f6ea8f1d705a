"""What estimators do with good and with bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ import memory
from cyber_trade_econ.errors import (
    BadOutcome,
    BadRegressor,
    Collinear,
    ConfigError,
    EmptySample,
    FewClusters,
    FormulaError,
    NotIdentified,
    SeparationError,
)
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.reset import reset
from cyber_trade_econ.inference.conventions import cluster, dyadic, ssc
from cyber_trade_econ.inference.wald import wald
from cyber_trade_econ.memory import NotEnoughMemory
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.simulate import gravity_world

THREE_WAY = "trade_musd ~ treated | exporter^year + importer^year + pair"


@pytest.fixture(scope="module")
def world():
    frame = gravity_world(10, 6, seed=11)
    rng = np.random.default_rng(0)
    frame["x"] = rng.normal(size=len(frame))
    frame["size"] = rng.uniform(0.5, 2, len(frame))
    frame["text"] = "a"
    return frame


def test_a_fit_reports_itself(world):
    e = ppml(THREE_WAY, world, vcov=cluster("pair"))
    assert e.nobs == len(world) == e.facts["rows_used"]
    assert list(e.tidy().columns) == ["term", "estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"]
    assert e.facts["effects"] == {"exporter^year": 60, "importer^year": 60, "pair": 90}
    assert e.facts["clusters"] == {"pair": 90}
    assert e.facts["ssc"] == "stata (ppmlhdfe)"
    assert 0 < e.facts["pseudo_r2"] < 1
    assert e.glance().loc[0, "nobs"] == len(world)


def test_predictions_and_effects_reproduce_the_margins(world):
    e = ppml(THREE_WAY, world, vcov="hetero")
    fitted = e.predict(world)
    for by in (["exporter", "year"], ["importer", "year"], ["pair"]):
        got = fitted.groupby([world[c] for c in by]).sum()
        want = world["trade_musd"].groupby([world[c] for c in by]).sum()
        np.testing.assert_allclose(got, want, rtol=1e-7)  # Fally (2015): PPML fits the margins of its effects
    effects = e.fixed_effects()
    assert list(effects) == ["exporter^year", "importer^year", "pair"]
    assert abs(effects["pair"].mean()) < 1e-12
    np.testing.assert_allclose(e.predict(world, "link"), np.log(fitted))
    assert e.predict(world.assign(pair="nowhere")).isna().all()


def test_rows_left_out_are_counted_by_reason(world):
    frame = world.copy()
    frame.loc[frame.index[:3], "x"] = np.nan
    frame.loc[frame.index[3:5], "trade_musd"] = 0.0
    frame.loc[frame.index[5:9], "size"] = 0.0
    e = ols("log(trade_musd) ~ x | exporter", frame, weights="size")
    assert e.facts["dropped"] == {"log of zero: trade_musd": 2, "missing: x": 3, "weight of zero: size": 4}
    assert e.nobs == len(frame) - 9
    alone = pd.concat([world, world.iloc[[0]].assign(pair="only once")], ignore_index=True)
    assert ppml(THREE_WAY, alone).facts["dropped"] == {"singleton": 1}


@pytest.mark.parametrize(
    ("change", "formula", "error", "says"),
    [
        ({}, "trade_musd ~ y", FormulaError, "'y' is not a column"),
        ({}, "trade_musd ~ treatd", FormulaError, "'treated'"),
        ({}, "trade_musd ~ x | exporter^yaer", FormulaError, "'yaer' is not a column"),
        ({}, "trade_musd ~ text", BadRegressor, "i(text)"),
        ({}, "text ~ x", BadOutcome, "must be numeric"),
        ({"x": np.inf}, "trade_musd ~ x", BadRegressor, "infinite"),
        ({"trade_musd": np.inf}, "trade_musd ~ x", BadOutcome, "infinite"),
        ({"trade_musd": -1.0}, "trade_musd ~ x", BadOutcome, "negative"),
        ({"trade_musd": -1.0}, "log(trade_musd) ~ x", BadOutcome, "negative"),
        ({"trade_musd": 0.0}, "trade_musd ~ x", BadOutcome, "zero in every row"),
        ({"x": np.nan}, "trade_musd ~ x", EmptySample, "no row is left"),
        ({"x": 1.0}, "trade_musd ~ x", Collinear, "constant"),
        ({}, "trade_musd ~ x + i(exporter) | exporter", Collinear, "exporter::C01"),
        ({"size": -1.0}, "trade_musd ~ x", BadRegressor, "negative"),
    ],
)
def test_bad_input_is_named(world, change, formula, error, says):
    frame = world.copy()
    for name, value in change.items():
        frame[name] = value
    with pytest.raises(error) as caught:
        ppml(formula, frame, weights="size" if "size" in change else None)
    assert says in str(caught.value)
    assert ppml("trade_musd ~ x", world, weights="size").nobs == len(world)  # control: the untouched data fit


def test_empty_and_tiny_samples(world):
    for rows in (0, 1, 2):
        with pytest.raises(EmptySample):
            ppml("trade_musd ~ x + treated", world.iloc[:rows])
    assert ols("log(trade_musd) ~ x", world.iloc[:5]).nobs == 5


def test_collinear_regressors_are_explained_or_dropped(world):
    frame = world.assign(origin=lambda f: f["year"] * (f["exporter"] == "C01"), twice=lambda f: 2 * f["treated"])
    with pytest.raises(Collinear, match=r"origin: constant within every level of exporter\^year"):
        ppml(THREE_WAY.replace("treated", "treated + origin"), frame)
    with pytest.raises(Collinear, match="twice: a combination of"):
        ppml(THREE_WAY.replace("treated", "treated + twice"), frame)
    e = ppml(THREE_WAY.replace("treated", "treated + twice + origin"), frame, collinear="drop")
    assert list(e.coef.index) == ["treated"]
    assert e.facts["collinear"] == ["twice", "origin"]
    np.testing.assert_allclose(e.coef["treated"], ppml(THREE_WAY, world).coef["treated"], rtol=1e-9)


def test_separation_is_found_counted_or_refused():
    frame = pd.DataFrame(
        {"y": [0, 0, 1, 3, 2, 4, 0, 1.0], "x": [1, 1, 0, 0, 0, 0, 0, 0.0], "z": [1, 2, 3, 1, 2, 5, 1, 2.0]}
    )
    e = ppml("y ~ z + x", frame)
    assert e.facts["dropped"] == {"separated by regressors": 2}
    assert e.facts["collinear"] == ["x"]
    np.testing.assert_allclose(e.coef["z"], ppml("y ~ z", frame.iloc[2:]).coef["z"], rtol=1e-9)
    with pytest.raises(SeparationError, match="does not exist"):
        ppml("y ~ z + x", frame, separation="error")
    for alone in ("simplex", "relu"):  # two names of one check
        assert ppml("y ~ z + x", frame, separation=(alone,)).facts["dropped"] == e.facts["dropped"]
    assert ppml("y ~ z", frame, separation="error").nobs == 8  # control


def test_one_cluster_is_refused_and_two_are_not(world):
    with pytest.raises(FewClusters, match="'text'"):
        ppml("trade_musd ~ x", world, vcov=cluster("text"))
    half = world.assign(half=np.arange(len(world)) % 2)
    assert ppml("trade_musd ~ x", half, vcov=cluster("half")).facts["clusters"] == {"half": 2}


def test_missing_clusters_are_refused(world):
    frame = world.assign(group=world["exporter"].mask(world.index == 3))
    with pytest.raises(BadRegressor, match="'group' is missing in 1 row"):
        ppml("trade_musd ~ x", frame, vcov=cluster("group"))


@pytest.mark.parametrize(
    "call",
    [
        lambda w: ppml("trade_musd ~ x", w, vcov="robust"),
        lambda w: ppml("trade_musd ~ x", w, ssc="r"),
        lambda w: ppml("trade_musd ~ x", w, separation=("fe", "magic")),
        lambda w: ppml("trade_musd ~ x", w, collinear="ignore"),
        lambda w: ppml("trade_musd ~ x", w, tol=1.0),
        lambda w: cluster(),
        lambda w: ssc(k_fixef="all"),
        lambda w: wald(ppml("trade_musd ~ x", w), ["z"]),
        lambda w: ppml("trade_musd ~ x", w).predict(w, "log"),
    ],
)
def test_options_have_lists(world, call):
    with pytest.raises(ConfigError, match="allowed"):
        call(world)


def test_row_order_labels_and_weights_do_not_matter(world):
    e = ppml(THREE_WAY, world, vcov=cluster("pair"))
    shuffled = ppml(THREE_WAY, world.sample(frac=1, random_state=1), vcov=cluster("pair"))
    renamed = ppml(
        THREE_WAY, world.assign(exporter=world["exporter"].map(lambda c: "z" + c[::-1])), vcov=cluster("pair")
    )
    doubled = pd.concat([world, world], ignore_index=True).assign(half=0.5)
    weighted = ppml(THREE_WAY, doubled, vcov=cluster("pair"), weights="half")
    for other in (shuffled, renamed, weighted):
        np.testing.assert_allclose(other.coef, e.coef, rtol=1e-10)
        np.testing.assert_allclose(other.se, e.se, rtol=1e-9)
    scaled = ppml(THREE_WAY, world.assign(trade_musd=world["trade_musd"] * 1e12), vcov=cluster("pair"))
    np.testing.assert_allclose(scaled.coef, e.coef, rtol=1e-9)
    np.testing.assert_allclose(scaled.se, e.se, rtol=1e-8)


def test_offset_moves_a_known_coefficient(world):
    known = world.assign(known=0.7 * world["x"])
    free = ppml("trade_musd ~ x | exporter", world).coef["x"]
    np.testing.assert_allclose(
        ppml("trade_musd ~ x | exporter", known, offset="known").coef["x"], free - 0.7, atol=1e-10
    )


def test_a_panel_brings_its_cluster_sources_and_events(world):
    panel = Panel(
        world,
        "pair",
        "year",
        sources={"simulation": {"version": "1"}},
        events={"treated": ("e1", "e2"), "x": ("e3",), "size": ("e4",)},
        name="world",
    )
    e = ppml(THREE_WAY.replace("treated", "treated + treated:x"), panel)
    assert e.facts["vcov"] == "cluster: pair"
    assert e.events == {"treated": ("e1", "e2"), "treated:x": ("e1", "e2", "e3")}
    assert e.sources == {"simulation": {"version": "1"}}
    assert ppml("trade_musd ~ x", world).facts["vcov"] == "hetero"


def test_indicators_and_products(world):
    frame = world.assign(size_class=np.arange(len(world)) % 3)
    e = ols("log(trade_musd) ~ x*i(size_class, ref=1)", frame)
    assert list(e.coef.index) == [
        "Intercept", "x", "size_class::0", "size_class::2", "x:size_class::0", "x:size_class::2",
    ]  # fmt: skip
    by_hand = frame.assign(a=frame["size_class"].eq(0), b=frame["size_class"].eq(2))
    np.testing.assert_allclose(e.coef, ols("log(trade_musd) ~ x + a + b + x:a + x:b", by_hand).coef, rtol=1e-10)
    with pytest.raises(FormulaError, match="reference level"):
        ols("log(trade_musd) ~ i(size_class, ref=7)", frame)


def test_reset_finds_a_wrong_functional_form():
    rng = np.random.default_rng(5)
    x = rng.normal(size=3000)
    frame = pd.DataFrame(
        {"x": x, "right": rng.poisson(np.exp(0.5 + 0.4 * x)), "wrong": rng.poisson(np.exp(0.5 + 0.4 * x**2))}
    )
    frame["wrong"] = frame["wrong"].clip(upper=200)
    right = reset(ppml("right ~ x", frame), frame)
    wrong = reset(ppml("wrong ~ x", frame), frame)
    assert right.p_value > 0.01
    assert wrong.p_value < 1e-6


def test_wald_on_one_term_is_the_square_of_its_statistic(world):
    e = ppml("trade_musd ~ x + treated", world)
    test = wald(e, ["x"])
    tidy = e.tidy().set_index("term").loc["x"]
    np.testing.assert_allclose([test.statistic, test.p_value], [tidy["statistic"] ** 2, tidy["p_value"]], rtol=1e-9)
    same = ppml("trade_musd ~ x", world.assign(g=np.arange(len(world)) % 2), vcov=cluster("g"))
    with pytest.raises(NotIdentified):
        wald(same, ["Intercept", "x"])  # two clusters span one dimension


def test_dyadic_equals_the_double_sum():
    world = gravity_world(6, 4, seed=3)
    home = world.iloc[:12].assign(importer=world["exporter"].iloc[:12], pair="home", trade_musd=np.arange(1, 13))
    world = pd.concat([world, home], ignore_index=True)
    e = ols("log(trade_musd) ~ treated", world, vcov=dyadic("exporter", "importer"), ssc="none")
    X = np.column_stack([np.ones(len(world)), world["treated"]])
    u = np.log(world["trade_musd"]) - X @ e.coef.to_numpy()
    ends = [set(p) for p in zip(world["exporter"], world["importer"], strict=True)]
    meat = sum(np.outer(X[a], X[b]) * u[a] * u[b] for a in range(len(u)) for b in range(len(u)) if ends[a] & ends[b])
    bread = np.linalg.inv(X.T @ X)
    np.testing.assert_allclose(e.vcov, bread @ meat @ bread, rtol=1e-9)


def test_dyadic_is_the_same_when_a_row_is_dropped_on_the_way():
    """Economies that only export, and a singleton that leaves: codes of the two sides must go on matching."""
    world = gravity_world(8, 4, seed=5)
    world = world[world["importer"] != "C00"].assign(group=lambda f: f["year"] % 2)
    alone = pd.concat([world.iloc[[0]].assign(group=9), world], ignore_index=True)
    left = ols("log(trade_musd) ~ treated | group", world, vcov=dyadic("exporter", "importer"))
    right = ols("log(trade_musd) ~ treated | group", alone, vcov=dyadic("exporter", "importer"))
    assert right.facts["dropped"] == {"singleton": 1}
    np.testing.assert_allclose(right.se, left.se, rtol=1e-10)


@pytest.mark.parametrize("vcov", ["hetero", "iid"])
@pytest.mark.parametrize("shift", [1e4, 1e8])
def test_a_regressor_far_from_zero_costs_no_digits(world, vcov, shift):
    far = world.assign(x=world["x"] + shift)
    for fit, left in ((ols, "log(trade_musd)"), (ppml, "trade_musd")):
        near, away = fit(f"{left} ~ x", world, vcov=vcov), fit(f"{left} ~ x", far, vcov=vcov)
        # Adding 1e8 rounds x itself to eight digits.
        np.testing.assert_allclose([away.coef["x"], away.se["x"]], [near.coef["x"], near.se["x"]], rtol=1e-6)


def test_nearly_collinear_regressors_keep_their_errors(world):
    noise = np.random.default_rng(3).normal(size=len(world))
    for e in (1e-3, 1e-6):
        frame = world.assign(q=world["x"] + e * noise, z=noise)
        close = ppml("trade_musd ~ x + q | exporter", frame)
        apart = ppml("trade_musd ~ x + z | exporter", frame)  # the same model, q = x + e z
        np.testing.assert_allclose(close.se["q"] * e, apart.se["z"], rtol=1e-6)


def test_indicators_in_products_alone_keep_every_category():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.repeat(["a", "b", "c"], 200), "x": rng.normal(size=600), "h": np.arange(600) % 4})
    frame["y"] = frame["g"].map({"a": 1.0, "b": 2.0, "c": 3.0}) * frame["x"]
    slopes = ols("y ~ i(g):x | h", frame)
    np.testing.assert_allclose(slopes.coef[["g::a:x", "g::b:x", "g::c:x"]], [1, 2, 3], atol=1e-10)
    assert list(ols("y ~ x + i(g):x", frame).coef.index) == ["Intercept", "x", "g::b:x", "g::c:x"]
    both = ols("y ~ i(g, ref='a') + i(g, ref='b'):x", frame)
    assert list(both.coef.index) == ["Intercept", "g::b", "g::c", "g::a:x", "g::c:x"]


def test_predictions_are_missing_where_nothing_was_estimated(world):
    frame = world.assign(size_class=np.where(np.arange(len(world)) % 2, "small", "large"), size=world["size"] + 1)
    e = ppml("trade_musd ~ i(size_class) + log(size)", frame)
    new = frame.iloc[:4].assign(size_class=["small", "huge", None, "large"], size=[2.0, 2.0, 2.0, 0.0])
    assert e.predict(new).isna().tolist() == [False, True, True, True]


def test_reset_uses_the_options_of_the_estimate(world):
    frame = world.assign(known=0.5 * world["x"])
    asked = {"vcov": cluster("pair"), "weights": "size", "offset": "known"}
    spec = "trade_musd ~ treated + x | exporter"
    e = ppml(spec, frame, **asked)
    index = e.predict(frame, "link")
    by_hand = ppml(spec.replace("+ x |", "+ x + square |"), frame.assign(square=(index - index.mean()) ** 2), **asked)
    np.testing.assert_allclose(reset(e, frame).p_value, by_hand.tidy().set_index("term").loc["square", "p_value"])


def test_components_count_the_exact_rank(world):
    spec = "log(trade_musd) ~ treated | exporter^year + importer^year"
    simple, exact = ols(spec, world, vcov="iid"), ols(spec, world, vcov="iid", ssc=ssc(redundant="components"))
    dummies = [pd.get_dummies(world[a] + world["year"].astype(str), dtype=float) for a in ("exporter", "importer")]
    rank = np.linalg.matrix_rank(np.column_stack([world["treated"], *dummies]))
    assert exact.facts["k"] == rank
    assert simple.facts["k"] == 1 + 60 + 60 - 1  # one redundant level per further set, as in R's fixest


def test_pseudo_r2_of_an_exposure_alone_is_zero(world):
    frame = world.assign(known=world["x"], trade_musd=np.exp(world["x"]) * 3)
    noisy = frame.assign(trade_musd=frame["trade_musd"] * world["size"])
    assert abs(ppml("trade_musd ~ 1", noisy, offset="known").facts["pseudo_r2"]) < 1e-10


@pytest.mark.parametrize("constant", [0.3, 0.1 + 0.2, 1e8])
def test_a_constant_that_is_not_exact_in_binary_is_still_a_constant(world, constant):
    for fit, left in ((ols, "log(trade_musd)"), (ppml, "trade_musd")):
        with pytest.raises(Collinear, match="c: constant"):
            fit(f"{left} ~ x + c", world.assign(c=constant))
        assert fit(f"{left} ~ x + c", world.assign(c=constant), collinear="drop").facts["collinear"] == ["c"]


def test_separation_does_not_depend_on_where_a_regressor_is_measured_from():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=300), "g": np.arange(300) % 6, "d": (np.arange(300) < 40).astype(float)})
    frame["y"] = np.where(frame["d"] == 1, 0, rng.poisson(np.exp(0.3 * frame["x"])))
    for spec in ("y ~ x + d", "y ~ x + d | g"):
        plain = ppml(spec, frame)
        assert plain.facts["dropped"] == {"separated by regressors": 40}
        for shift in (1e4, 1e7):
            moved = ppml(spec, frame.assign(d=frame["d"] + shift))
            assert moved.facts["dropped"] == plain.facts["dropped"]
            np.testing.assert_allclose(moved.coef["x"], plain.coef["x"], rtol=1e-8)


def test_a_repaired_covariance_is_never_negative(world):
    """Multiway errors of regressors whose units are eighteen powers of ten apart."""
    found = 0
    for seed in range(12):
        small = gravity_world(5, 4, seed=seed)
        small["x"] = np.random.default_rng(seed).normal(size=len(small)) * 1e-9
        small["z"] = np.random.default_rng(seed + 50).normal(size=len(small)) * 1e9
        e = ols("log(trade_musd) ~ x + z + treated", small, vcov=cluster("exporter", "importer", "year"))
        found += e.facts["vcov_repaired"]
        lost = np.isnan(np.diag(e.vcov))
        assert lost.sum() == e.facts.get("vcov_missing", 0)
        matrix = e.vcov.to_numpy()[np.ix_(~lost, ~lost)]
        assert (np.diag(matrix) > 0).all()
        scale = np.sqrt(np.diag(matrix))
        assert np.linalg.eigvalsh(matrix / np.outer(scale, scale)).min() > -1e-6
    assert found  # control: some of them needed repair


def test_reset_without_a_constant_or_with_an_offset_adds_the_plain_square(world):
    frame = world.assign(known=0.5 * world["x"])
    for spec, asked in (("trade_musd ~ 0 + x + size", {}), ("trade_musd ~ x + size", {"offset": "known"})):
        e = ppml(spec, frame, **asked)
        by_hand = ppml(spec + " + square", frame.assign(square=e.predict(frame, "link") ** 2), **asked)
        np.testing.assert_allclose(reset(e, frame).statistic, by_hand.tidy()["statistic"].iloc[-1] ** 2, rtol=1e-6)


def test_categories_without_an_order_are_refused(world):
    mixed = world.assign(k=np.array(["a", 1], dtype=object)[np.arange(len(world)) % 2])
    with pytest.raises(BadRegressor, match=r"i\(k\) mixes types"):
        ppml("trade_musd ~ i(k)", mixed)


# --- few clusters --------------------------------------------------------------------------------------------------------
def test_few_clusters_are_warned_of_in_the_fit(world):
    from cyber_trade_econ.inference.few_clusters import FEW, effective_clusters
    from cyber_trade_econ.inference.recovariance import with_vcov

    for fit, formula in ((ppml, THREE_WAY), (ols, f"log({THREE_WAY.replace(' ~', ') ~')}"), (ppml, "trade_musd ~ x")):
        for by in (("exporter",), ("exporter", "year"), ("pair",)):
            e = fit(formula, world, vcov=cluster(*by))
            least = min(np.nanmin(effective_clusters(e, world, b)[["effective_0", "effective_1"]]) for b in by)
            np.testing.assert_allclose(e.facts["effective_clusters"], least, rtol=1e-8)  # absorbed twice to 1e-10
            assert ("few_clusters" in e.facts) == (least < FEW)
            again = with_vcov(e, world, cluster(*by)).facts
            np.testing.assert_allclose(again["effective_clusters"], least, rtol=1e-8)
            assert again.get("few_clusters") == e.facts.get("few_clusters")
    assert (
        "exporter: 10 clusters, effectively" in ppml(THREE_WAY, world, vcov=cluster("exporter")).facts["few_clusters"]
    )
    assert "wild_bootstrap" in ppml(THREE_WAY, world, vcov=cluster("exporter")).facts["few_clusters"]
    assert "economies: 10" in ppml(THREE_WAY, world, vcov=dyadic("exporter", "importer")).facts["few_clusters"]
    assert "few_clusters" not in ppml("trade_musd ~ x", world, vcov="hetero").facts


# --- memory --------------------------------------------------------------------------------------------------------------
def test_a_fit_that_cannot_fit_is_refused_before_anything_is_allocated():
    import tracemalloc

    n = 100_000
    frame = pd.DataFrame({"y": np.ones(n), "g": np.arange(n) // 2, "x": np.arange(n) % 7.0})
    tracemalloc.start()
    with pytest.raises(NotEnoughMemory, match=r"100,000 rows and 50,000 regressors needs about 130 GiB") as caught:
        ols("y ~ i(g)", frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "available" in str(caught.value)
    assert "can be fixed effects" in str(caught.value)
    assert peak < 100e6  # one column is 0.8 MB, all of them 40 GB
    assert ols("x ~ y | g", frame, collinear="drop").nobs == n  # control: what the message advises


def test_products_of_categories_are_refused_before_they_are_listed():
    import tracemalloc

    n = 40_000
    frame = pd.DataFrame(
        {"y": np.ones(n), "a": np.arange(n) % 3000, "b": np.arange(n) // 8 % 2900, "f": np.arange(n) % 7}
    )
    tracemalloc.start()
    with pytest.raises(NotEnoughMemory, match=r"8,700,000 regressors"):
        ppml("y ~ i(a):i(b) | f", frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # a list of so many columns takes gigabytes


def test_levels_without_an_indicator_are_stated(world):
    assert ppml("trade_musd ~ i(year) + x", world).facts["references"] == {"i(year)": str(world["year"].min())}
    last = int(world["year"].max())
    with_ref = ppml(f"trade_musd ~ i(year, ref={last}) + x", world)
    assert with_ref.facts["references"] == {f"i(year, ref={last})": str(last)}
    alone = ppml("trade_musd ~ i(text) + x", world)  # one level: nothing to tell apart
    assert alone.facts["references"] == {"i(text)": "a"}
    assert "references" not in ppml(THREE_WAY, world).facts


def test_an_allocation_that_fails_all_the_same_is_named(world, monkeypatch):
    def full(*_args, **_options):
        raise MemoryError("Unable to allocate 1.68 MiB")

    assert ppml(THREE_WAY, world).nobs == len(world)  # control
    monkeypatch.setattr("cyber_trade_econ.cores.by_poisson", full)
    with pytest.raises(NotEnoughMemory, match=r"the fit does not fit into memory; found Unable to allocate 1\.68 MiB"):
        ppml(THREE_WAY, world)


def test_the_limit_decides(world, monkeypatch):
    for limit, fits in ((1e4, False), (1e9, True), (None, True)):
        monkeypatch.setattr(memory, "available", lambda limit=limit: limit)
        if fits:
            assert ppml(THREE_WAY, world).nobs == len(world)
        else:
            with pytest.raises(NotEnoughMemory, match=r"9\.31e-06 GiB available"):
                ppml(THREE_WAY, world)


def test_boxes_that_memory_cannot_hold_are_not_laid_out(world, monkeypatch):
    assert ppml(THREE_WAY, world).facts["path"] == "gravity"  # control
    cells = 10 * 10 * 6
    for room, path in ((8.0 * cells * 4 - 1, "general"), (8.0 * cells * 4, "gravity")):
        monkeypatch.setattr(memory, "require", lambda *_: None)
        monkeypatch.setattr(memory, "available", lambda room=room: room)
        assert ppml(THREE_WAY, world).facts["path"] == path


@pytest.mark.parametrize("k", [1, 8])
@pytest.mark.parametrize("effects", ["", " | pair", " | exporter^year + importer^year", THREE_WAY[20:]])
def test_the_estimate_is_near_the_peak_and_not_above_it(monkeypatch, k, effects):
    import tracemalloc

    frame = gravity_world(40, 12, seed=1)
    for j in range(k):
        frame[f"z{j}"] = np.random.default_rng(j).normal(size=len(frame))
    estimated = []
    monkeypatch.setattr(memory, "require", lambda needed, _what, _fix: estimated.append(needed))
    formula = f"trade_musd ~ {' + '.join(f'z{j}' for j in range(k))}{effects}"
    ppml(formula, frame)  # imports and caches are not part of the peak
    tracemalloc.start()
    ppml(formula, frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.3 * peak < estimated[-1] < peak


def test_memory_left_is_the_least_of_machine_and_control_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_machine", lambda: 8e9)
    monkeypatch.setattr(memory, "_control_groups", lambda: [3e9, 5e9])
    assert memory.available() == 3e9
    monkeypatch.setattr(memory, "_control_groups", list)
    assert memory.available() == 8e9
    monkeypatch.setattr(memory, "_machine", lambda: None)
    assert memory.available() is None  # where nothing is known, nothing is refused


@pytest.mark.parametrize("version", [1, 2])
def test_control_groups_are_read_with_their_parents(tmp_path, monkeypatch, version):
    root = tmp_path / "memory" if version == 1 else tmp_path
    limit, used = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
    )
    for folder, most, now in (
        (root / "a" / "b", "max" if version == 2 else "9" * 18, "50"),
        (root / "a", "1000", "400"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / limit).write_text(most)
        (folder / used).write_text(now)
    (root / "a" / "memory.stat").write_text("anon 300\ninactive_file 100\n")
    (tmp_path / "own").write_text("4:cpu,memory:/a/b\n3:cpu:/else\n" if version == 1 else "0::/a/b\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN", tmp_path / "own")
    assert min(memory._control_groups()) == 700.0
