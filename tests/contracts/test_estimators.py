"""What every estimator owes: a labelled estimate with its facts that tables and figures accept, whatever the row order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ as cte
import cyber_trade_econ.gravity
from cyber_trade_econ.errors import CyberTradeError
from cyber_trade_econ.event_study import ESTIMATORS
from cyber_trade_econ.report.provenance import json_safe
from cyber_trade_econ.simulate import gravity_world, monthly_world

ANNUAL = gravity_world(8, 8, seed=4)
ANNUAL["z"] = ANNUAL["treated"] + np.random.default_rng(4).normal(size=len(ANNUAL))
MONTHLY = monthly_world(15, 7, treated=5, seed=4)
CALLS = {
    "ols": (ANNUAL, lambda d: cte.ols("log(trade_musd) ~ treated | exporter^year + importer^year + pair", d)),
    "ppml": (ANNUAL, lambda d: cte.ppml("trade_musd ~ treated | exporter^year + importer^year + pair", d)),
    "gamma_pml": (ANNUAL, lambda d: cte.gamma_pml("trade_musd ~ treated | exporter^year + importer^year + pair", d)),
    "negbin": (ANNUAL, lambda d: cte.negbin("trade_musd ~ treated | exporter^year + importer^year + pair", d)),
    "expectile": (
        ANNUAL,
        lambda d: cte.expectile("trade_musd ~ treated | exporter^year + importer^year + pair", d, tau=0.8),
    ),
    "iv_ppml": (
        ANNUAL,
        lambda d: cte.iv_ppml(
            "trade_musd ~ treated | exporter^year + importer^year", d, endogenous="treated", instruments="z"
        ),
    ),
    "jochmans": (ANNUAL, lambda d: cte.jochmans("trade_musd ~ treated | exporter^year + importer^year", d)),
    "twfe": (ANNUAL, lambda d: cte.event_study(d, "trade_musd", "pair", "year", "cohort", leads=2, lags=2)),
    "abnormal_trade": (
        MONTHLY,
        lambda d: cte.event_study(
            d, "trade_musd", "partner", "month", "cohort", estimator="abnormal_trade", leads=3, lags=3, window=24
        ),
    ),
}
# Files of the room that ask about an estimate or make data ready for one, and are no estimators.
QUESTIONS = {
    "average_effect",
    "beside_ppml",
    "bias_correction",
    "bias_covered",
    "border",
    "concentrated",
    "fitted",
    "gauss_newton",
    "iv_bootstrap",
    "park",
    "pseudo_likelihood",
    "rectangles",
    "reset",
    "resistance",
    "trade_cost",
}
each = pytest.mark.parametrize("name", CALLS)


def test_every_estimator_is_held_to_the_contract():
    assert set(ESTIMATORS) <= set(CALLS)
    files = {p.stem for p in Path(cyber_trade_econ.gravity.__path__[0]).glob("*.py")}
    assert files - QUESTIONS - {"__init__"} <= set(CALLS)


@each
def test_an_estimate_is_complete(name):
    data, call = CALLS[name]
    e = call(data)
    k = len(e.coef)
    assert k > 0
    assert e.vcov.shape == (k, k)
    assert list(e.vcov.index) == list(e.vcov.columns) == list(e.coef.index) == list(e.tidy()["term"])
    assert np.isfinite(e.coef).all()
    assert (e.se > 0).all()
    np.testing.assert_allclose(e.vcov, e.vcov.T)
    assert np.linalg.eigvalsh(e.vcov).min() > -1e-12 * np.trace(e.vcov)
    assert {"outcome", "rows_given", "rows_used", "dropped", "vcov", "ssc", "clusters"} <= set(e.facts) | (
        {"clusters"} if e.facts["vcov"] == "hetero" else set()
    )
    assert e.facts["rows_given"] == len(data)
    assert json.loads(json.dumps(json_safe(dict(e.facts))))


@each
def test_tables_and_figures_accept_it(name):
    data, call = CALLS[name]
    e = call(data)
    text = cte.table([e]).to_markdown()
    assert f"{e.nobs:,}" in text
    figure = cte.figure(e)
    assert len(figure.data) >= len(e.coef)


@each
def test_row_order_and_index_do_not_matter(name):
    data, call = CALLS[name]
    shuffled = data.sample(frac=1, random_state=3)
    a, b = call(data), call(shuffled)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-8, atol=1e-10)  # sums run in another order
    np.testing.assert_allclose(a.se, b.se, rtol=1e-7)


@each
def test_the_data_are_not_changed(name):
    data, call = CALLS[name]
    before = data.copy(deep=True)
    call(data)
    assert before.equals(data)


BROKEN = {
    "no rows": lambda d: d.iloc[:0],
    "one row": lambda d: d.iloc[:1],
    "no columns": lambda d: d[[]],
    "infinite outcome": lambda d: d.assign(trade_musd=np.where(np.arange(len(d)) == 3, np.inf, d["trade_musd"])),
    "outcome of text": lambda d: d.assign(trade_musd="a"),
    "outcome of dates": lambda d: d.assign(trade_musd=pd.Timestamp("2020-01-01")),
    "outcome missing everywhere": lambda d: d.assign(trade_musd=np.nan),
    "outcome of zeros": lambda d: d.assign(trade_musd=0.0),
    "two columns of one name": lambda d: pd.concat([d, d[["trade_musd"]]], axis=1),
    "no frame": lambda d: d.to_dict("list"),
}


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ESTIMATORS])
@pytest.mark.parametrize("how", BROKEN)
def test_what_is_wrong_with_the_data_is_named(name, how):
    data, call = CALLS[name]
    with pytest.raises(CyberTradeError) as caught:
        call(BROKEN[how](data))
    assert caught.value.exit_code in (2, 4, 5)
    assert len(str(caught.value)) > 30


@pytest.mark.parametrize("fit", [cte.ols, cte.ppml], ids=["ols", "ppml"])
def test_a_model_of_effects_alone_has_a_table(fit):
    e = fit("trade_musd ~ 1 | exporter + importer + year", ANNUAL)
    assert len(e.coef) == 0
    table = cte.table([e])
    assert "exporter" in table.to_markdown()
    assert all((table.to_tex(), table.to_html(), table.to_csv()))
