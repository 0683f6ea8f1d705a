"""Trade-volume effects, tariff equivalents and average effects on flows, against closed forms and statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.gravity.average_effect import average_effect
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.trade_cost import tariff_equivalent, trade_volume
from cyber_trade_econ.inference.conventions import cluster, dyadic
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.simulate import gravity_world

Z95 = stats.norm.ppf(0.975)


def known(b=(0.5, -2.0), v=((0.04, 0.01), (0.01, 0.09)), **fields) -> Estimate:
    """An estimate with given numbers."""
    names = pd.Index(["rta", "log(tariff)"], name="term")
    return Estimate("PPML", "y ~ rta + log(tariff)", pd.Series(b, names), pd.DataFrame(v, names, names), 100, **fields)


@pytest.fixture(scope="module")
def world() -> pd.DataFrame:
    frame = gravity_world(8, 5, seed=3)
    rng = np.random.default_rng(0)
    frame["x"] = rng.normal(size=len(frame))
    frame["size"] = rng.uniform(0.5, 2, len(frame))
    frame["trade_musd"] = np.where(rng.random(len(frame)) < 0.1, 0.0, frame["trade_musd"])
    return frame


class TestTradeVolume:
    def test_closed_form(self):
        row = trade_volume(known(), "rta").frame.iloc[0]
        effect = np.exp(0.5) - 1
        assert row["estimate"] == pytest.approx(effect, rel=1e-14)
        assert row["std_error"] == pytest.approx(np.exp(0.5) * 0.2, rel=1e-14)
        assert row["p_value"] == pytest.approx(2 * stats.norm.sf(2.5), rel=1e-12)
        assert row["conf_low"] == pytest.approx(effect - Z95 * np.exp(0.5) * 0.2)
        assert row["exact_low"] == pytest.approx(np.exp(0.5 - Z95 * 0.2) - 1)
        assert row["exact_high"] == pytest.approx(np.exp(0.5 + Z95 * 0.2) - 1)

    def test_combinations_use_the_covariance(self):
        row = trade_volume(known(), {"rta": 1, "log(tariff)": np.log(1.1)}).frame.iloc[0]
        assert row["term"] == "rta + 0.0953102 x log(tariff)"
        value = 0.5 - 2 * np.log(1.1)
        assert row["estimate"] == pytest.approx(np.exp(value) - 1)
        variance = 0.04 + 2 * 0.01 * np.log(1.1) + 0.09 * np.log(1.1) ** 2
        assert row["std_error"] == pytest.approx(np.exp(value) * variance**0.5)

    def test_standard_errors_are_those_of_finite_differences(self):
        """The delta method by hand: every coefficient moved by a little, for both transformations."""
        change = {"rta": 1, "log(tariff)": 0.3}
        for effect in (
            lambda e: trade_volume(e, change),
            lambda e: tariff_equivalent(e, change, elasticity=-4),
            lambda e: tariff_equivalent(e, {"rta": 1}, elasticity="log(tariff)"),
        ):
            ends = [[effect(known(b)).frame.loc[0, "estimate"] for b in moved] for moved in self.NEAR]
            gradient = np.array([(high - low) / 2e-6 for low, high in ends])
            want = (gradient @ known().vcov.to_numpy() @ gradient) ** 0.5
            assert effect(known()).frame.loc[0, "std_error"] == pytest.approx(want, rel=1e-8)

    NEAR = (((0.5 - 1e-6, -2.0), (0.5 + 1e-6, -2.0)), ((0.5, -2.0 - 1e-6), (0.5, -2.0 + 1e-6)))

    def test_every_term_by_default_and_the_level(self):
        both = trade_volume(known(), level=0.9)
        assert list(both.frame["term"]) == ["rta", "log(tariff)"]
        assert (both.frame["exact_low"] > trade_volume(known()).frame["exact_low"]).all()
        assert both.facts["estimand"] == "exp(b x change) - 1"

    def test_few_degrees_of_freedom_widen_the_intervals(self):
        few = trade_volume(known(df=5), "rta").frame.iloc[0]
        assert few["exact_high"] == pytest.approx(np.exp(0.5 + stats.t(5).ppf(0.975) * 0.2) - 1)

    @pytest.mark.parametrize("effect", [-0.3, 0.2])
    def test_intervals_hold_the_truth_about_as_often_as_they_say(self, effect):
        """120 worlds: binomial with 95 %, so above 88 % in more than 99 of 100 runs."""
        held = np.zeros(2)
        for seed in range(120):
            frame = gravity_world(8, 5, effect=effect, seed=seed)
            e = ppml("trade_musd ~ treated | exporter^year + importer^year + pair", frame, vcov="hetero", ssc="fixest")
            row = trade_volume(e, "treated").frame.iloc[0]
            truth = np.exp(effect) - 1
            held += [row[f"{kind}_low"] < truth < row[f"{kind}_high"] for kind in ("conf", "exact")]
        assert (held / 120 > 0.85).all(), held

    def test_a_linear_outcome_is_taken_for_a_logarithm_and_said_so(self, world):
        named = ols("log(trade_musd) ~ treated", world[world["trade_musd"] > 0])
        assert "assumes" not in trade_volume(named).facts
        assert "is the logarithm" in trade_volume(ols("x ~ treated", world)).facts["assumes"]

    @pytest.mark.parametrize(
        ("change", "says"),
        [("fta", "fta"), ({"rta": 1, "fta": 1}, "fta"), ({}, "none"), ({"rta": np.nan}, "finite")],
    )
    def test_unknown_changes_are_refused(self, change, says):
        with pytest.raises(ConfigError, match=says):
            trade_volume(known(), change)
        with pytest.raises(ConfigError, match="level"):
            trade_volume(known(), "rta", level=95)
        nothing = Estimate("PPML", "y ~ 1", pd.Series([], dtype=float), pd.DataFrame(), 10)
        with pytest.raises(ConfigError, match="effects alone"):
            trade_volume(nothing)
        assert len(trade_volume(known(), "rta").frame) == 1  # control


class TestTariffEquivalent:
    def test_closed_form_with_a_known_elasticity(self):
        found = tariff_equivalent(known(), "rta", elasticity=-4, source="Simonovska and Waugh (2014)")
        row = found.frame.iloc[0]
        assert row["estimate"] == pytest.approx(np.exp(-0.125) - 1)
        assert row["std_error"] == pytest.approx(np.exp(-0.125) * 0.05)
        assert row["exact_low"] == pytest.approx(np.exp(-(0.5 + Z95 * 0.2) / 4) - 1)
        assert row["exact_high"] == pytest.approx(np.exp(-(0.5 - Z95 * 0.2) / 4) - 1)
        assert found.facts["elasticity"] == -4
        assert found.facts["source"] == "Simonovska and Waugh (2014)"
        assert row["p_value"] == trade_volume(known(), "rta").frame.loc[0, "p_value"]

    def test_the_error_of_the_elasticity_counts(self):
        row = tariff_equivalent(known(), "rta", elasticity=-4, elasticity_se=1).frame.iloc[0]
        of_ratio = 0.04 / 16 + 0.5**2 * 1 / 4**4
        assert row["std_error"] == pytest.approx(np.exp(-0.125) * of_ratio**0.5)
        # Fieller: at the ends the difference of index and ratio times elasticity is just significant.
        for end in ("exact_low", "exact_high"):
            ratio = np.log1p(row[end])
            assert abs(0.5 + 4 * ratio) / (0.04 + ratio**2) ** 0.5 == pytest.approx(Z95)

    def test_an_elasticity_of_the_same_model_uses_the_covariance(self):
        found = tariff_equivalent(known(), "rta", elasticity="log(tariff)")
        ratio = -0.25
        of_ratio = (0.04 - 2 * ratio * 0.01 + ratio**2 * 0.09) / 4
        assert found.frame.loc[0, "std_error"] == pytest.approx(np.exp(ratio) * of_ratio**0.5)
        assert found.facts["source"] == "coefficient of log(tariff) in this estimate"
        for end in ("exact_low", "exact_high"):
            r = np.log1p(found.frame.loc[0, end])
            assert abs(0.5 + 2 * r) / (0.04 - 2 * r * 0.01 + r**2 * 0.09) ** 0.5 == pytest.approx(Z95)

    def test_delta_method_against_draws(self):
        rng = np.random.default_rng(1)
        e = known(v=((0.0004, 0.0001), (0.0001, 0.0009)))
        b = rng.multivariate_normal(e.coef, e.vcov, 200_000)
        drawn = np.expm1(b[:, 0] / b[:, 1]).std()
        ours = tariff_equivalent(e, "rta", elasticity="log(tariff)").frame.loc[0, "std_error"]
        assert ours == pytest.approx(drawn, rel=0.01)  # simulation error 0.2 %, curvature below 1 %

    def test_an_elasticity_that_may_be_zero_leaves_everything_open(self):
        row = tariff_equivalent(known(), "rta", elasticity=-4, elasticity_se=3).frame.iloc[0]
        assert (row["exact_low"], row["exact_high"]) == (-1.0, np.inf)

    def test_the_sign_of_the_elasticity_is_minded(self):
        for bad in (4, 0, np.nan, -np.inf):
            with pytest.raises(ConfigError, match="Pass -theta, or 1 - sigma"):
                tariff_equivalent(known(), "rta", elasticity=bad)
        with pytest.raises(ConfigError, match="elasticity_se"):
            tariff_equivalent(known(), "rta", elasticity=-4, elasticity_se=-1)
        with pytest.raises(ConfigError, match="same model"):
            tariff_equivalent(known(), "rta", elasticity="log(tariff)", elasticity_se=1)
        with pytest.raises(ConfigError, match="tariff"):
            tariff_equivalent(known(), "rta", elasticity="tariff")


def with_dummies(world: pd.DataFrame, effects: list[str]) -> pd.DataFrame:
    dummies = [pd.get_dummies(world[e], drop_first=True, dtype=float, prefix=e) for e in effects]
    return pd.concat([world[["treated", "x"]], *dummies], axis=1).assign(constant=1.0)


class TestAverageEffect:
    @pytest.mark.parametrize("effects", [[], ["exporter", "importer"]])
    @pytest.mark.parametrize("vcov", ["hetero", "iid", cluster("pair")], ids=str)
    def test_average_marginal_effects_of_statsmodels(self, world, effects, vcov):
        api = pytest.importorskip("statsmodels.api")
        asked = {
            "hetero": {"cov_type": "HC0"},
            "iid": {},
            "cluster: pair": {
                "cov_type": "cluster",
                "cov_kwds": {"groups": pd.factorize(world["pair"])[0], "use_correction": False},
            },
        }[str(vcov)]
        model = api.GLM(world["trade_musd"], with_dummies(world, effects), family=api.families.Poisson())
        theirs = model.fit(tol=1e-13, **asked)
        margins = theirs.get_margeff(at="overall").summary_frame().loc[["treated", "x"]]
        spec = "trade_musd ~ treated + x" + (" | " + " + ".join(effects) if effects else "")
        e = ppml(spec, world, vcov=vcov, ssc="none")
        ours = average_effect(e, world, kind="derivative").frame.set_index("term")
        np.testing.assert_allclose(ours["estimate"], margins["dy/dx"], rtol=1e-7)
        np.testing.assert_allclose(ours["std_error"], margins["Std. Err."], rtol=1e-6)

    def test_changes_of_chosen_rows_and_their_gradient(self, world):
        """The delta method by hand, with effects as indicators and the gradient by differences."""
        api = pytest.importorskip("statsmodels.api")
        Z = with_dummies(world, ["exporter", "importer"])
        theirs = api.GLM(world["trade_musd"], Z, family=api.families.Poisson()).fit(tol=1e-13, cov_type="HC0")
        rows = world.index[(world["treated"] == 1) & (world["x"] > 0)]
        chosen = Z.loc[rows].to_numpy()

        def average(b: np.ndarray) -> float:
            return float(np.mean(np.exp(chosen @ b)) * np.expm1(-b[0] + 0.5 * b[1]))

        b = theirs.params.to_numpy()
        step = 1e-6
        gradient = np.array([(average(b + step * d) - average(b - step * d)) / (2 * step) for d in np.eye(len(b))])
        e = ppml("trade_musd ~ treated + x | exporter + importer", world, vcov="hetero")
        found = average_effect(e, world, {"treated": -1, "x": 0.5}, rows=rows)
        assert found.frame.loc[0, "estimate"] == pytest.approx(average(b), rel=1e-7)
        want = (gradient @ theirs.cov_params().to_numpy() @ gradient) ** 0.5
        assert found.frame.loc[0, "std_error"] == pytest.approx(want, rel=1e-5)  # numerical gradient
        assert found.facts["rows"] == len(rows)

    @pytest.mark.parametrize("kind", ["change", "derivative"])
    def test_with_three_sets_of_effects_the_gradient_passes_through_all_of_them(self, world, kind):
        """Effects as indicators of every level, a generalised inverse for what is not identified, differences by hand."""
        effects = [("exporter", "year"), ("importer", "year"), ("pair",)]
        e = ppml(
            "trade_musd ~ treated + x | exporter^year + importer^year + pair", world, vcov=cluster("pair"), ssc="none"
        )
        used = world.loc[e.sample]
        numbers = [used.groupby(list(by)).ngroup().to_numpy() for by in effects]
        Z = np.column_stack([used[["treated", "x"]], *(np.eye(n.max() + 1)[n] for n in numbers)])
        index = e.predict(used, "link").to_numpy()
        mean, b = np.exp(index), np.linalg.lstsq(Z, index)[0]
        b[:2], b[2:] = e.coef, np.linalg.lstsq(Z[:, 2:], index - Z[:, :2] @ e.coef.to_numpy())[0]
        rows = used.index[(used["treated"] == 1) & (used["x"] > 0)]
        chosen = Z[used.index.isin(rows)]

        def average(at: np.ndarray) -> float:
            moved = np.expm1(-at[0] + 0.5 * at[1]) if kind == "change" else -at[0] + 0.5 * at[1]
            return float(np.mean(np.exp(chosen @ at)) * moved)

        gradient = np.array([(average(b + 1e-6 * d) - average(b - 1e-6 * d)) / 2e-6 for d in np.eye(len(b))])
        inverse = np.linalg.pinv(Z.T @ (mean[:, None] * Z), rcond=1e-12, hermitian=True)
        scores = Z * (used["trade_musd"].to_numpy() - mean)[:, None]
        adds = pd.DataFrame(scores @ inverse @ gradient).groupby(used["pair"].to_numpy()).sum().to_numpy()
        row = average_effect(e, world, {"treated": -1, "x": 0.5}, rows=rows, kind=kind).frame.iloc[0]
        assert row["estimate"] == pytest.approx(average(b), rel=1e-9)
        assert row["std_error"] == pytest.approx(float(np.sum(adds**2) ** 0.5), rel=1e-5)  # numerical gradient

    def test_weights_stand_for_repeated_rows(self, world):
        frame = world.assign(times=1 + np.arange(len(world)) % 3)
        rows = np.repeat(np.arange(len(world)), frame["times"])
        long = frame.iloc[rows].reset_index(drop=True)
        spec = "trade_musd ~ treated + x | exporter + importer"
        by = {"vcov": cluster("pair"), "ssc": "none"}
        some = frame.index[frame["treated"] == 1]
        weighted = average_effect(ppml(spec, frame, weights="times", **by), frame, "x", rows=some)
        repeated = average_effect(ppml(spec, long, **by), long, "x", rows=long.index[long["treated"] == 1])
        np.testing.assert_allclose(
            weighted.frame.drop(columns="term").astype(float), repeated.frame.drop(columns="term"), rtol=1e-7
        )

    @pytest.mark.parametrize("vcov", [cluster("pair"), cluster("exporter", "importer"), dyadic("exporter", "importer")])
    def test_over_all_rows_of_a_model_with_pair_effects_only_the_coefficient_moves(self, world, vcov):
        """Pair effects fix the sum of flows of every pair: only the coefficient adds to the variance of a cluster."""
        e = ppml("trade_musd ~ treated + x | exporter^year + importer^year + pair", world, vcov=vcov)
        flows = world.loc[e.sample, "trade_musd"].mean()
        for term in ("treated", "x"):
            row = average_effect(e, world, term).frame.iloc[0]
            assert row["estimate"] == pytest.approx(flows * np.expm1(e.coef[term]), rel=1e-8)
            if not e.facts["vcov_repaired"]:
                assert row["std_error"] == pytest.approx(flows * np.exp(e.coef[term]) * e.se[term], rel=1e-5)

    def test_rows_that_the_fit_left_out_are_counted(self, world):
        silent = world.assign(trade_musd=world["trade_musd"].where(world["exporter"] != "C03", 0.0))
        e = ppml("trade_musd ~ treated | exporter + importer", silent)
        treated = silent.index[silent["treated"] == 1]
        found = average_effect(e, silent, rows=treated)
        assert found.facts["rows_outside_fit"] == (silent.loc[treated, "exporter"] == "C03").sum() > 0
        assert found.facts["rows"] + found.facts["rows_outside_fit"] == len(treated)
        inside = average_effect(e, silent, rows=treated.intersection(e.sample))
        assert inside.frame.equals(found.frame)
        with pytest.raises(ConfigError, match="no row of the fit"):
            average_effect(e, silent, rows=silent.index[silent["exporter"] == "C03"])

    def test_one_regressor_without_a_constant(self, world):
        e = ppml("trade_musd ~ 0 + x", world, vcov="hetero")
        row = average_effect(e, world, kind="derivative").frame.iloc[0]
        b, x, mean = e.coef["x"], world["x"].to_numpy(), e.predict(world).to_numpy()
        gradient = mean.mean() + b * np.mean(mean * x)
        assert row["estimate"] == pytest.approx(b * mean.mean())
        assert row["std_error"] == pytest.approx(
            abs(gradient) * e.se["x"], rel=1e-6
        )  # se is that of the last but one step

    def test_questions_that_have_no_answer_are_refused(self, world):
        e = ppml("trade_musd ~ treated | exporter", world)
        with pytest.raises(ConfigError, match="average effect on flows"):
            average_effect(ols("x ~ treated", world), world)
        with pytest.raises(ConfigError, match="kind"):
            average_effect(e, world, kind="elasticity")
        with pytest.raises(ConfigError, match="rows of an average effect"):
            average_effect(e, world, rows=pd.Index([10**6]))
        with pytest.raises(ConfigError, match="rows of an average effect"):
            average_effect(e, world, rows=world.index[[0, 0]])
        with pytest.raises(ConfigError, match="no row of the fit"):
            average_effect(e, world, rows=world.index[:0])
        assert len(average_effect(e, world).frame) == 1  # control


def test_effects_and_fitted_flows_are_those_of_indicators(world):
    """With one indicator per economy differences of effects are statsmodels' coefficients; an offset is part of the index."""
    api = pytest.importorskip("statsmodels.api")
    frame = world.assign(known=0.2 * world["x"] ** 2)
    model = api.GLM(
        frame["trade_musd"],
        with_dummies(frame, ["exporter", "importer"]),
        family=api.families.Poisson(),
        offset=frame["known"],
    )
    theirs = model.fit(tol=1e-13)
    e = ppml("trade_musd ~ treated + x | exporter + importer", frame, offset="known")
    for side, effect in e.fixed_effects().items():
        first, *others = sorted(frame[side].unique())
        want = theirs.params[[f"{side}_{name}" for name in others]].to_numpy()
        np.testing.assert_allclose(effect[others] - effect[first], want, atol=1e-7)
    np.testing.assert_allclose(e.predict(frame), theirs.fittedvalues, rtol=1e-7)
    fresh = frame.sample(20, random_state=1).assign(x=1.5, treated=1.0, known=-0.4)
    design = with_dummies(frame, ["exporter", "importer"]).loc[fresh.index].assign(x=1.5, treated=1.0)
    np.testing.assert_allclose(e.predict(fresh), theirs.predict(design, offset=fresh["known"]), rtol=1e-6)
    np.testing.assert_allclose(np.log(e.predict(fresh)), e.predict(fresh, "link"), rtol=1e-12)


class TestPredictionOutOfSample:
    """`Estimate.predict` for rows whose effects, categories or regressors the fit has not seen."""

    def test_known_effects_predict_rows_that_were_left_out(self, world):
        out = np.random.default_rng(2).random(len(world)) < 0.1
        kept = world[~out]
        e = ppml("trade_musd ~ treated + x | exporter^year + importer^year", kept)
        effects = e.fixed_effects()
        fresh = world[out].assign(x=0.3)
        by_hand = (
            e.coef["treated"] * fresh["treated"]
            + e.coef["x"] * 0.3
            + [effects["exporter^year"][key] for key in zip(fresh["exporter"], fresh["year"], strict=True)]
            + [effects["importer^year"][key] for key in zip(fresh["importer"], fresh["year"], strict=True)]
        )
        np.testing.assert_allclose(e.predict(fresh), np.exp(by_hand), rtol=1e-12)
        assert e.predict(fresh).index.equals(fresh.index)

    def test_unknown_effects_predict_nothing_and_only_in_their_rows(self, world):
        e = ppml("trade_musd ~ treated + x | exporter^year + importer^year", world[world["year"] < 2004])
        predicted = e.predict(world)
        assert predicted[world["year"] < 2004].notna().all()
        assert predicted[world["year"] == 2004].isna().all()
        assert e.predict(world.assign(exporter="nowhere")).isna().all()

    def test_an_effect_dropped_by_separation_predicts_nothing(self, world):
        silent = world.assign(trade_musd=world["trade_musd"].where(world["exporter"] != "C03", 0.0))
        e = ppml("trade_musd ~ x | exporter + importer", silent)
        assert e.facts["dropped"] == {"zero in every row of an effect": int((world["exporter"] == "C03").sum())}
        missing = e.predict(silent).isna()
        assert missing.equals((silent["exporter"] == "C03").rename("fit"))

    def test_missing_regressors_and_unseen_categories_predict_nothing(self, world):
        frame = world.assign(kind=np.where(world["x"] > 0, "a", "b"))
        e = ppml("trade_musd ~ x + i(kind) | exporter", frame)
        odd = frame.head(4).assign(x=[np.nan, 1, 1, 1], kind=["a", "c", "a", None])
        assert list(e.predict(odd).isna()) == [True, True, False, True]
