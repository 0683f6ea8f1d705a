"""What questions after estimation have in common: they refuse other data by name and leave the user's columns alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, FormulaError, NotIdentified
from cyber_trade_econ.gravity.average_effect import average_effect
from cyber_trade_econ.gravity.bias_correction import bias_correction
from cyber_trade_econ.gravity.border import border_years, interval
from cyber_trade_econ.gravity.expectile import expectile
from cyber_trade_econ.gravity.gauss_newton import gauss_newton
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.park import park
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.reset import reset
from cyber_trade_econ.gravity.resistance import resistances
from cyber_trade_econ.gravity.trade_cost import tariff_equivalent, trade_volume
from cyber_trade_econ.inference.conventions import cluster

QUESTIONS = {
    "reset": lambda e, d: reset(e, d).p_value,
    "park": lambda e, d: park(e, d).power,
    "gauss_newton": lambda e, d: gauss_newton(e, d).p_value,
    "average_effect": lambda e, d: average_effect(e, d).frame["estimate"].iloc[0],
    "resistances": lambda e, d: resistances(e, d, sigma=5.0).outward["power"].sum(),
}


@pytest.fixture(scope="module")
def flows() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    e, i = (a.ravel() for a in np.indices((9, 9)))
    frame = pd.DataFrame({"exporter": e, "importer": i, "pair": 10 * e + i})
    frame["x"], frame["z"] = rng.normal(size=(2, len(frame)))
    frame["y"] = np.exp(0.5 * frame["x"] + 0.1 * e) * rng.gamma(2.0, 0.5, len(frame))
    return frame


def shuffled(frame: pd.DataFrame, name: str = "y") -> pd.DataFrame:
    return frame.assign(**{name: frame[name].to_numpy()[::-1]})


def within(frame: pd.DataFrame) -> pd.DataFrame:
    """Move flow between two cells of one exporter and back in another: importers' totals stay, products with x do not."""
    y = frame["y"].copy()
    y.iloc[[0, 10]] += 0.1
    y.iloc[[1, 9]] -= 0.1
    return frame.assign(y=y)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shuffled, "do not add up to zero"),
        (within, "do not add up to zero times a regressor"),
        (lambda d: shuffled(d, "x"), "do not add up to zero"),
        (lambda d: d.iloc[::2], "row labels"),
        (lambda d: d.assign(y=np.nan), "without outcome"),
    ],
    ids=["outcome", "pairs", "regressor", "half", "missing"],
)
def test_other_data_are_refused(flows, question, spoil, says):
    e = ppml("y ~ x + z | exporter + importer", flows)
    assert np.isfinite(QUESTIONS[question](e, flows))  # the control
    with pytest.raises(ConfigError, match=says):
        QUESTIONS[question](e, spoil(flows))


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_data_are_refused(flows, question):
    with pytest.raises(FormulaError, match="data must be"):
        QUESTIONS[question](ppml("y ~ x | exporter + importer", flows), None)


def test_effects_alone_tell_other_data_too(flows):
    e = ppml("y ~ 1 | exporter + importer", flows)
    assert park(e, flows).power > 0  # the control
    with pytest.raises(ConfigError, match="within exporter"):
        park(e, shuffled(flows))


@pytest.mark.parametrize("fit", [ols, ppml])
@pytest.mark.parametrize("left", ["y", "log(y)"])
def test_reset_covers_least_squares_and_refuses_its_other_data(flows, fit, left):
    positive = flows.assign(y=flows["y"] + 1.5)
    e = fit(f"{left} ~ x + z | exporter", positive) if fit is ols or left == "y" else ols("y ~ x + z", positive)
    assert 0 <= reset(e, positive).p_value <= 1  # the control
    with pytest.raises(ConfigError, match="do not add up to zero"):
        reset(e, shuffled(positive))


def test_least_squares_that_fit_exactly_are_no_other_data(flows):
    exact = flows.assign(y=np.exp(0.5 * flows["x"] + 3.0))
    e = ols("log(y) ~ x | exporter", exact)
    with pytest.raises(ConfigError, match="do not add up to zero"):
        reset(e, exact.assign(y=exact["y"] * 1.001))
    with pytest.raises(NotIdentified, match="fitted_exactly"):  # the data are known, but nothing of the noise is
        reset(e, exact)
    assert reset(ols("log(y) ~ x | exporter", flows), flows).p_value >= 0  # control


def test_loose_tolerances_are_no_other_data(flows):
    assert reset(ppml("y ~ x + z | exporter + importer", flows, tol=1e-4), flows).p_value >= 0


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("reset", ["fitted_index_squared"]),
        ("park", ["log_fitted", "squared_residual"]),
        ("gauss_newton", ["root_fitted", "scaled_square", "log_fitted_root"]),
        ("average_effect", ["projected", "projection_weight", "projected_on_0"]),
    ],
)
def test_columns_of_the_user_may_have_any_name(flows, question, names):
    """A regressor, an effect, a weight and a cluster with the names of what is computed on the way."""
    for name in names:
        for own in ("x", "exporter", "pair", "size"):
            frame = flows.assign(size=1.0 + flows["z"] ** 2)
            asked = {"vcov": cluster("pair"), "weights": "size"}
            plain = QUESTIONS[question](ppml("y ~ x + z | exporter", frame, **asked), frame)
            renamed = frame.rename(columns={own: name})
            at = {own: name}
            e = ppml(
                f"y ~ {at.get('x', 'x')} + z | {at.get('exporter', 'exporter')}",
                renamed,
                vcov=cluster(at.get("pair", "pair")),
                weights=at.get("size", "size"),
            )
            assert QUESTIONS[question](e, renamed) == pytest.approx(plain, rel=1e-9), (name, own)


def test_terms_may_be_renamed_before_an_average_effect(flows):
    for spec in ("y ~ x + z | exporter", "y ~ x + z"):
        e = ppml(spec, flows)
        plain = average_effect(e, flows, "x").frame
        renamed = average_effect(e.renamed({"x": "agreement"}), flows, "agreement").frame
        pd.testing.assert_frame_equal(renamed.drop(columns="term"), plain.drop(columns="term"))


def test_categories_that_only_rows_left_out_have_do_not_matter_to_an_average_effect(flows):
    """The first category is in separated rows alone: it is the reference all the same."""
    frame = flows.assign(kind=np.where(flows["exporter"] == 0, "a", np.where(flows["x"] > 0, "b", "c")))
    frame["y"] = frame["y"].where(frame["exporter"] > 0, 0.0)
    e = ppml("y ~ i(kind) + z | exporter", frame, collinear="drop")
    found = average_effect(e, frame, "z").frame.loc[0, "estimate"]
    used = frame.loc[e.sample]
    assert found == pytest.approx(used["y"].mean() * np.expm1(e.coef["z"]), rel=1e-8)


def test_the_bias_correction_shares_the_check(flows):
    e = ppml("y ~ x | exporter + importer", flows, vcov=cluster("pair"))
    assert bias_correction(e, flows).nobs == e.nobs  # the control
    for other in (shuffled(flows), within(flows)):
        with pytest.raises(ConfigError, match="first-order conditions"):
            bias_correction(e, other)


def test_values_of_the_wrong_kind_are_refused_by_name(flows):
    e = ppml("y ~ x | exporter", flows)
    assert len(trade_volume(e, {"x": 1}).frame) == len(trade_volume(e, {"x": np.float64(2)}).frame) == 1  # control
    for change in ({"x": "a"}, {"x": None}, 5, ["x"], {"x": np.inf}):
        with pytest.raises(ConfigError, match="a change in trade costs"):
            trade_volume(e, change)
    with pytest.raises(ConfigError, match="level"):
        trade_volume(e, level="high")
    with pytest.raises(ConfigError, match="elasticity"):
        tariff_equivalent(e, elasticity=None)
    for tau in ("a", None, 2):
        with pytest.raises(ConfigError, match="tau"):
            expectile("y ~ x", flows, tau=tau)
    for of in (border_years, lambda frame: interval(frame, 2)):
        with pytest.raises(ConfigError, match="a Panel"):
            of(flows)
