"""Varying slopes from formula to Estimate: statsmodels on dummies, prediction, what is counted and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

from cyber_trade_econ.errors import BadRegressor, Collinear, ConfigError, FormulaError, SeparationError
from cyber_trade_econ.gravity.average_effect import average_effect
from cyber_trade_econ.gravity.bias_correction import bias_correction
from cyber_trade_econ.gravity.gamma_pml import gamma_pml
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.reset import reset
from cyber_trade_econ.inference.conventions import cluster

api = pytest.importorskip("statsmodels.api")


@pytest.fixture(scope="module")
def panel():
    rng = np.random.default_rng(0)
    exporter, importer, t = (a.ravel() for a in np.indices((8, 8, 9)))
    frame = pd.DataFrame(
        {"exporter": exporter, "importer": importer, "year": t + 2000, "pair": exporter * 100 + importer}
    )
    frame = frame[rng.random(len(frame)) < 0.93].reset_index(drop=True)
    frame["x"], frame["z"] = rng.normal(size=(2, len(frame)))
    level, slope = rng.normal(0, 0.5, 1000)[frame.pair], rng.normal(0, 0.1, 1000)[frame.pair]
    frame["y"] = rng.poisson(np.exp(0.3 * frame.x - 0.2 * frame.z + level + slope * (frame.year - 2004) + 1.5)) + 1.0
    return frame


def dummies(frame, effects):
    """Dummies of the effects, times the year where brackets stand, without the columns that others reproduce."""
    blocks = []
    for effect in effects.split(" + "):
        label = frame[effect.split("[")[0].split("^")].astype(str).agg("_".join, axis=1)
        blocks.append(pd.get_dummies(label).to_numpy(float))
        if "[" in effect:
            blocks.append(blocks[-1] * (frame.year.to_numpy()[:, None] - 2004))
    D = np.column_stack(blocks)
    _, r, order = linalg.qr(D, mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(r)) > 1e-9 * abs(r[0, 0])).sum())
    return D[:, np.sort(order[:rank])]


EFFECTS = ["exporter^year + importer^year + pair[year]", "pair[year] + year", "exporter[year] + importer"]


@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("model", [ppml, ols])
def test_it_equals_statsmodels_on_dummies(panel, model, effects):
    e = model(f"y ~ x + z | {effects}", panel, vcov=cluster("pair"), ssc="none")
    Z = np.column_stack([panel[["x", "z"]], dummies(panel, effects)])
    by = {"cov_type": "cluster", "cov_kwds": {"groups": panel.pair.to_numpy(), "use_correction": False}}
    if model is ppml:
        want = api.GLM(panel.y, Z, family=api.families.Poisson()).fit(tol=1e-13, maxiter=100, **by)
    else:
        want = api.OLS(panel.y, Z).fit(**by)
    np.testing.assert_allclose(e.coef, want.params[:2], atol=1e-9)  # statsmodels stops at 1e-13 of the deviance
    np.testing.assert_allclose(e.se, want.bse[:2], rtol=1e-8)
    np.testing.assert_allclose(e.predict(panel), want.fittedvalues, rtol=1e-8)


def test_effects_and_slopes_add_up_to_the_prediction(panel):
    e = ppml("y ~ x | exporter^year + pair[year]", panel)
    effects = e.fixed_effects()
    assert set(effects) == {"exporter^year", "pair", "pair[year]"}
    by_year = effects["exporter^year"].reindex(pd.MultiIndex.from_frame(panel[["exporter", "year"]])).to_numpy()
    by_pair, slope = (effects[name].reindex(panel.pair).to_numpy() for name in ("pair", "pair[year]"))
    index = e.coef["x"] * panel.x + by_year + by_pair + slope * panel.year
    np.testing.assert_allclose(np.exp(index), e.predict(panel), rtol=1e-9)
    later = panel.assign(year=2030)
    assert e.predict(later).isna().all()  # exporter-years that were not estimated
    assert ppml("y ~ x | pair[year]", panel).predict(later).notna().all()  # control: slopes go on


def test_what_is_counted(panel):
    nested = ols("y ~ x | pair[year] + year", panel, vcov=cluster("pair"))
    assert nested.facts["k"] == 1 + 9  # pairs and their slopes lie within the clusters
    alone = ols("y ~ x | pair[year] + year", panel, vcov="hetero")
    assert alone.facts["k"] == 1 + 64 + 64 + 9 - 1  # one redundant level, as without slopes
    assert alone.facts["effects"] == {"pair": 64, "year": 9, "pair[year]": 64}


def test_a_trend_that_slopes_take_up_is_named(panel):
    frame = panel.assign(trend=(panel.pair % 7) * panel.year)
    with pytest.raises(Collinear, match="trend"):
        ppml("y ~ x + trend | pair[year]", frame)
    assert "trend" in ppml("y ~ x + trend | pair", frame).coef  # control


def test_rows_that_a_slope_separates_are_counted(panel):
    frame = panel.copy()
    one = frame.pair == 102
    frame.loc[one & (frame.year > frame.year[one].min()), "y"] = 0.0
    e = ppml("y ~ x | pair[year]", frame)
    assert e.facts["dropped"] == {"separated by a slope": int(one.sum()) - 1, "singleton": 1}
    np.testing.assert_allclose(e.coef, ppml("y ~ x | pair[year]", frame[~one]).coef, atol=1e-10)
    with pytest.raises(SeparationError):
        ppml("y ~ x | pair[year]", frame, separation="error")
    assert ppml("y ~ x | pair", frame).facts["dropped"] == {}  # control


def test_a_missing_variable_is_counted_and_text_refused(panel):
    frame = panel.assign(clock=panel.year.astype(float).where(panel.index != 5))
    assert ols("y ~ x | pair[clock]", frame).facts["dropped"] == {"missing: clock": 1}
    with pytest.raises(BadRegressor, match="the variable of a slope"):
        ols("y ~ x | pair[word]", panel.assign(word="a"))
    with pytest.raises(FormulaError, match="not a column"):
        ols("y ~ x | pair[nothing]", panel)


def test_who_does_not_know_slopes_says_so(panel):
    with pytest.raises(FormulaError, match="varying slopes are not known here"):
        gamma_pml("y ~ x | pair[year]", panel)
    with pytest.raises(ConfigError, match="without slopes"):
        average_effect(ppml("y ~ x | pair[year]", panel), panel)
    assert average_effect(ppml("y ~ x | pair", panel), panel).facts["rows"] == len(panel)  # control
    three, trends = "exporter^year + importer^year + pair", "exporter^year + importer^year + pair[year]"
    with pytest.raises(ConfigError, match=r"pair\[year\]"):
        bias_correction(ppml(f"y ~ x | {trends}", panel), panel)
    assert bias_correction(ppml(f"y ~ x | {three}", panel), panel).coef.size == 1  # control


@pytest.mark.parametrize(("fit", "effects"), [(ppml, "pair[year]"), (ols, "pair[year] + year")])
def test_reset_adds_the_square_beside_slopes(panel, fit, effects):
    e = fit(f"y ~ x + z | {effects}", panel, vcov=cluster("pair"))
    index = e.predict(panel, "link")
    by_hand = fit(
        f"y ~ x + z + square | {effects}", panel.assign(square=(index - index.mean()) ** 2), vcov=cluster("pair")
    )
    want = by_hand.tidy().set_index("term").loc["square", "p_value"]
    assert reset(e, panel).p_value == pytest.approx(want, rel=1e-6)
