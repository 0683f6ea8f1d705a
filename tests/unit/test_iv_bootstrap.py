"""The bootstrap of both stages of control-function PPML: the same as repeating rows, and what it refuses."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, EstimationError, FormulaError
from cyber_trade_econ.gravity.iv_bootstrap import iv_bootstrap
from cyber_trade_econ.gravity.iv_ppml import iv_ppml
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.report.provenance import json_safe
from cyber_trade_econ.report.table import table

FORMULA = "y ~ tariff + x | exporter^year + importer^year"


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    e, i, t = (a.ravel() for a in np.meshgrid(np.arange(12), np.arange(12), np.arange(3), indexing="ij"))
    frame = pd.DataFrame({"exporter": e, "importer": i, "year": t, "pair": 100 * e + i})
    frame["z"], frame["x"], v = rng.normal(size=(3, len(e)))
    frame["tariff"] = 0.8 * frame["z"] + v
    frame["size"] = 1.0 + e % 3
    frame["y"] = rng.poisson(np.exp(1 - 0.5 * frame["tariff"] + 0.2 * frame["x"] + 0.6 * v))
    return frame


def fitted(frame, **options):
    return iv_ppml(FORMULA, frame, endogenous="tariff", instruments="z", **({"vcov": cluster("pair")} | options))


def test_draws_are_estimates_on_repeated_rows(flows):
    """The same draws by hand: rows of a cluster as often as it was drawn, no weights."""
    e = fitted(flows)
    got = iv_bootstrap(e, flows, draws=50, seed=3)
    number = pd.factorize(flows["pair"])[0]
    size = number.max() + 1
    by_hand = []
    for child in np.random.SeedSequence(3).spawn(50):
        times = np.bincount(np.random.default_rng(child).integers(0, size, size), minlength=size)[number]
        repeated = flows.loc[flows.index.repeat(times)].reset_index(drop=True)
        by_hand.append(fitted(repeated, vcov="hetero").coef)
    np.testing.assert_allclose(got.vcov, np.cov(np.array(by_hand).T), rtol=1e-6)
    np.testing.assert_array_equal(got.coef, e.coef)
    assert got.facts["analytic_se"]["tariff"] == e.se["tariff"]
    assert got.facts["vcov"] == "bootstrap: pair"
    assert got.facts["lost"] == {}
    assert json.loads(json.dumps(json_safe(dict(got.facts))))
    assert "IV-PPML" in table([e, got]).to_markdown()


def test_it_is_of_the_size_of_the_analytic_errors_and_depends_on_the_seed_alone(flows):
    e = fitted(flows)
    a, b, c = (iv_bootstrap(e, flows, draws=100, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(a.vcov, b.vcov)
    assert not np.allclose(a.vcov, c.vcov)
    # A standard error from 100 draws has an error of 7 %; the two differ by the small-sample deficit besides.
    assert (a.se / e.se).between(0.8, 1.4).all()


def test_whoever_carries_the_draws_the_numbers_are_the_same(flows):
    e = fitted(flows)
    with ThreadPoolExecutor(2) as threads:
        carried = iv_bootstrap(e, flows, draws=50, seed=4, executor=threads)
    pd.testing.assert_frame_equal(carried.vcov, iv_bootstrap(e, flows, draws=50, seed=4).vcov, check_exact=True)


def test_a_column_of_the_user_may_have_any_name(flows):
    named = flows.rename(columns={"x": "times_drawn", "size": "times_drawn_"})
    options = {"endogenous": "tariff", "instruments": "z", "vcov": cluster("pair"), "weights": "times_drawn_"}
    e = iv_ppml("y ~ tariff + times_drawn | exporter^year + importer^year", named, **options)
    a = iv_bootstrap(e, named, draws=50, seed=5)
    b = iv_bootstrap(fitted(flows, weights="size"), flows, draws=50, seed=5)
    np.testing.assert_array_equal(a.vcov, b.vcov)


def test_weights_are_kept(flows):
    e = fitted(flows, weights="size")
    long = flows.loc[flows.index.repeat(flows["size"].astype(int))].reset_index(drop=True)
    a = iv_bootstrap(e, flows, draws=50, seed=5)
    b = iv_bootstrap(fitted(long), long, draws=50, seed=5)
    np.testing.assert_allclose(a.vcov, b.vcov, rtol=1e-6)


def test_what_it_refuses(flows):
    e = fitted(flows)
    assert iv_bootstrap(e, flows, draws=50).nobs == e.nobs  # the control
    with pytest.raises(ConfigError, match="PPML"):
        iv_bootstrap(ppml("y ~ x | exporter", flows), flows)
    with pytest.raises(ConfigError, match="one set of clusters"):
        iv_bootstrap(fitted(flows, vcov="hetero"), flows)
    with pytest.raises(ConfigError, match="50 or more"):
        iv_bootstrap(e, flows, draws=9)
    with pytest.raises(ConfigError, match="50 or more"):
        iv_bootstrap(e, flows, draws="many")
    with pytest.raises(ConfigError, match="not those of the fit"):
        iv_bootstrap(e, flows.iloc[5:])
    with pytest.raises(ConfigError, match="executor"):
        iv_bootstrap(e, flows, executor=2)
    with pytest.raises(FormulaError, match="data must be"):
        iv_bootstrap(e, None)
    for name in ("y", "z", "x", "tariff"):
        with pytest.raises(ConfigError, match="standard errors away"):
            iv_bootstrap(e, flows.assign(**{name: flows[name].to_numpy()[::-1]}), draws=50)


def test_draws_without_an_estimate_are_counted_and_too_many_refused(flows):
    """The regressor differs in two pairs only: a third of the draws has neither of them, or one."""
    rare = flows.assign(x=(flows["pair"].isin([1, 205]) & (flows["year"] > 0)).astype(float))
    with pytest.raises(EstimationError, match="x Collinear"):
        iv_bootstrap(fitted(rare), rare, draws=60)
    some = flows.assign(x=(flows["pair"].isin([1, 205, 307, 411]) & (flows["year"] > 0)).astype(float))
    lost = iv_bootstrap(fitted(some), some, draws=200).facts["lost"]
    assert set(lost) == {"Collinear"}
    assert 0 < lost["Collinear"] < 20
