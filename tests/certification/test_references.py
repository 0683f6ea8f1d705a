"""Published tables and other software's output, reproduced on the data they were made from.

The numbers lie in `reference/`, each with its origin: published, quoted from the output of other software, or computed again
by `reference/make.py`. Unless a test says otherwise the tolerance on the first two is half a unit of the last digit written:
a rounded number asks for no closer match. Numbers that were computed again are compared to ``RERUN``. The data lie in
../shared and are not part of the repository.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.reset import reset
from cyber_trade_econ.inference.conventions import cluster, dyadic, ssc

RERUN = 1e-7
"""Relative; pyfixest and linearmodels absorb effects iteratively, dummies cost statsmodels six digits of sixteen."""


def reference(name: str) -> dict:
    return json.loads((Path(__file__).parent / f"reference/{name}.json").read_text())


REFERENCES = ("log_of_gravity", "advanced_guide", "three_way", "rose", "grunfeld", "event_cells", "longley")
SST, GUIDE, THREE, ROSE, GRUNFELD = map(
    reference, ("log_of_gravity", "advanced_guide", "three_way", "rose", "grunfeld")
)
SST_TERMS = list(SST["quoted"]["ols"]["terms"])


def agrees(estimate, written):
    """Compare {term: (coefficient, standard error)} to the digits written, and the number of rows."""
    half = 0.5000001 * 10 ** -written["digits"]
    for term, (coef, se) in written["terms"].items():
        assert estimate.coef[term] == pytest.approx(coef, abs=half), term
        assert estimate.se[term] == pytest.approx(se, abs=half), term
    assert estimate.nobs == written.get("nobs", estimate.nobs)


def agrees_with_rerun(estimate, rerun, names=None):
    """Compare with what other software gives, to the tolerance it was run with."""
    theirs = rerun.get("terms") or {n: (b, None) for n, b in rerun["coef"].items()}
    for name, (coef, se) in theirs.items():
        term = (names or {}).get(name, name)
        assert estimate.coef[term] == pytest.approx(coef, rel=RERUN), term
        if se is not None:
            assert estimate.se[term] == pytest.approx(se, rel=10 * RERUN), term
    assert estimate.nobs == rerun.get("nobs", estimate.nobs)


def test_every_reference_is_looked_at():
    assert {path.stem for path in (Path(__file__).parent / "reference").glob("*.json")} == set(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_says_where_it_comes_from(name):
    stored = reference(name)
    assert stored["origin"]["publication"]
    assert stored["origin"]["data"]
    assert stored.get("published") or stored.get("quoted")
    assert name == "longley" or {"numpy", "statsmodels", "pyfixest", "python"} <= set(stored["rerun"]["software"])


@pytest.fixture(scope="module")
def log_of_gravity(shared: Path) -> pd.DataFrame:
    return pd.read_parquet(shared / "data/gravity/log_of_gravity_1990.parquet")


@pytest.fixture(scope="module")
def agtpa(shared: Path) -> pd.DataFrame:
    frame = pd.read_parquet(shared / "data/gravity/agtpa_applications_1986_2006.parquet")
    frame = frame[frame["year"].isin(range(1986, 2007, 4))].copy()
    frame["log_y"] = np.log(frame.groupby(["exporter", "year"])["trade"].transform("sum"))
    frame["log_e"] = np.log(frame.groupby(["importer", "year"])["trade"].transform("sum"))
    return frame


@pytest.fixture(scope="module")
def rose(shared: Path) -> pd.DataFrame:
    return pd.read_parquet(shared / "data/gravity/rose2004_1948_1999.parquet")


class TestSantosSilvaTenreyro2006:
    """The Log of Gravity, Table 3, https://doi.org/10.1162/rest.88.4.641."""

    def test_ols(self, log_of_gravity):
        e = ols("log(trade) ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov="hetero")
        published = SST["published"]["ols"]
        assert e.facts["dropped"] == {"log of zero: trade": published["zeros"]}
        agrees(e, published | SST["quoted"]["ols"])
        agrees_with_rerun(e, SST["rerun"]["ols"])
        assert reset(e, log_of_gravity).p_value < published["reset_p_below"]

    def test_ppml(self, log_of_gravity):
        e = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov="hetero")
        published = SST["published"]["ppml"]
        agrees(e, published | SST["quoted"]["ppml"])
        agrees_with_rerun(e, SST["rerun"]["ppml"])
        # printed 0.331, here 0.3318
        assert reset(e, log_of_gravity).p_value == pytest.approx(published["reset_p"], abs=1e-3)

    @pytest.mark.parametrize(("convention", "name"), [("none", "hc0"), ("stata", "stata"), (ssc(), "hc1")])
    def test_conventions_of_robust_errors(self, log_of_gravity, convention, name):
        e = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov="hetero", ssc=convention)
        assert e.se["border"] == pytest.approx(SST["quoted"]["border_se"][name], abs=0.5e-7)

    def test_a_two_way_covariance_that_is_not_positive_is_repaired_and_said_so(self, log_of_gravity):
        quoted = SST["quoted"]["two_way"]
        assert SST["rerun"]["two_way_smallest_eigenvalue_is_negative"]
        e = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov=cluster(*quoted["clusters"]))
        assert e.facts["vcov_repaired"]
        # A whole unit of the last digit: which eigenvalue is cut off depends on the scale of the regressors.
        assert e.se["ldist"] == pytest.approx(quoted["ldist_repaired"], abs=1e-6)
        one_way = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov=cluster(quoted["clusters"][0]))
        assert not one_way.facts["vcov_repaired"]


class TestAdvancedGuide2016:
    """Yotov, Piermartini, Monteiro and Larch (2016), UNCTAD/WTO, chapter 1; clusters by symmetric pair."""

    LOGS = {"ldist": "log(dist)"}  # noqa: RUF012

    def test_ols_without_multilateral_resistance(self, agtpa):
        foreign = agtpa[agtpa["exporter"] != agtpa["importer"]]
        e = ols("log(trade) ~ log(dist) + cntg + lang + clny + log_y + log_e", foreign, vcov=cluster("pair_id"))
        quoted, rerun = GUIDE["quoted"]["ols"], GUIDE["rerun"]["ols"]
        assert e.facts["r2"] == pytest.approx(quoted["r2"], abs=0.5e-7)
        assert e.facts["r2"] == pytest.approx(rerun["r2"], rel=1e-10)
        agrees(e, GUIDE["published"]["ols"] | quoted)
        agrees_with_rerun(e, rerun, self.LOGS)

    def test_ols_with_effects(self, agtpa):
        foreign = agtpa[agtpa["exporter"] != agtpa["importer"]]
        spec = "log(trade) ~ log(dist) + cntg + lang + clny | exporter^year + importer^year"
        e = ols(spec, foreign, vcov=cluster("pair_id"))
        agrees(e, GUIDE["quoted"]["ols_effects"])
        agrees_with_rerun(e, GUIDE["rerun"]["ols_effects"], self.LOGS)

    def test_ppml_with_effects(self, agtpa):
        foreign = agtpa[agtpa["exporter"] != agtpa["importer"]]
        spec = "trade ~ log(dist) + cntg + lang + clny | exporter^year + importer^year"
        e = ppml(spec, foreign, vcov=cluster("pair_id"))
        published = GUIDE["published"]["ppml_effects"]
        agrees(e, published | GUIDE["quoted"]["ppml_effects"])
        agrees_with_rerun(e, GUIDE["rerun"]["ppml_effects"], self.LOGS)
        assert reset(e, foreign).p_value == pytest.approx(published["reset_p"], abs=0.5e-4)

    def test_ppml_three_way_with_domestic_trade(self, agtpa):
        e = ppml("trade ~ rta | exporter^year + importer^year + pair_id", agtpa, vcov=cluster("pair_id"))
        agrees(e, GUIDE["published"]["ppml_pairs"] | GUIDE["quoted"]["ppml_pairs"])
        agrees_with_rerun(e, GUIDE["rerun"]["ppml_pairs"])
        assert e.facts["largest_relative_score"] < 1e-8


class TestThreeWay:
    """Example data of two Stata packages, and of R's fixest."""

    @pytest.mark.parametrize(
        ("name", "file"),
        [("ppml_fe_bias", "ppmlfebias_example_1988_2004"), ("ppmlhdfe", "ppmlhdfe_example_1988_2004")],
    )
    def test_examples(self, shared, name, file):
        """https://doi.org/10.1016/j.jinteco.2021.103513 and https://doi.org/10.1177/1536867X20909691."""
        frame = pd.read_parquet(shared / f"data/gravity/{file}.parquet")
        frame = frame[frame["category"] == THREE["published"][name]["category"]]
        e = ppml("trade ~ fta | isoexp^year + isoimp^year + isoexp^isoimp", frame, vcov=cluster("isoexp^isoimp"))
        agrees(e, THREE["published"][name])
        agrees_with_rerun(e, THREE["rerun"][name])

    def test_fixest_walk_through(self, shared):
        frame = pd.read_parquet(shared / "data/gravity/fixest_trade_2007_2016.parquet")
        e = ppml("Euros ~ log(dist_km) | Origin + Destination + Product + Year", frame)
        assert e.coef["log(dist_km)"] == pytest.approx(THREE["published"]["fixest"]["coef"]["log(dist_km)"], abs=0.5e-5)
        agrees_with_rerun(e, THREE["rerun"]["fixest"])


class TestExactness:
    """Default settings on real panels: every total is met, and a tighter tolerance changes nothing."""

    @pytest.mark.parametrize(
        "spec",
        [
            "trade ~ rta | exporter^year + importer^year + exporter^importer",
            "trade ~ rta | exporter^year + importer^year + pair_id",
            "trade ~ rta + log(dist) + cntg | exporter^year + importer^year",
            "trade ~ rta + log(dist) + cntg | exporter + importer + year",
        ],
    )
    def test_scores_and_a_tighter_tolerance(self, agtpa, spec):
        e, tight = (ppml(spec, agtpa, tol=tol) for tol in (1e-8, 1e-12))
        np.testing.assert_allclose(e.coef, tight.coef, rtol=1e-10)
        np.testing.assert_allclose(e.se, tight.se, rtol=1e-8)
        kept = agtpa.loc[e.sample]
        fitted = e.predict(kept)
        for effect in e.facts["effects"]:
            by = [kept[c] for c in effect.split("^")]
            np.testing.assert_allclose(fitted.groupby(by).sum(), kept["trade"].groupby(by).sum(), rtol=1e-8)


class TestRose2004:
    """Cameron and Miller (2014), "Robust inference for dyadic data", Table 4B."""

    COLUMNS = " + ".join(ROSE["rerun"]["coef"])
    VCOVS = {  # noqa: RUF012
        "iid": "iid",
        "hetero": "hetero",
        "pair": cluster("pair"),
        "ctry1": cluster("ctry1"),
        "ctry2": cluster("ctry2"),
        "two-way": cluster("ctry1", "ctry2"),
        "dyadic": dyadic("ctry1", "ctry2"),
    }

    @pytest.mark.parametrize("name", VCOVS)
    def test_standard_errors(self, rose, name):
        e = ols(f"ltrade ~ {self.COLUMNS} | year", rose, vcov=self.VCOVS[name])
        published = ROSE["published"]
        assert e.coef["bothin"] == pytest.approx(published["bothin"], abs=0.5 * 10 ** -published["bothin_digits"])
        for term, se in zip(published["se_of"], published["se"][name], strict=True):
            assert e.se[term] == pytest.approx(se, abs=0.5 * 10 ** -published["digits"])
        agrees_with_rerun(e, {"coef": ROSE["rerun"]["coef"], "nobs": ROSE["rerun"]["nobs"]})

    @pytest.mark.parametrize("name", VCOVS)
    def test_without_factors(self, rose, name):
        """Statsmodels with year dummies; the dyadic one from a sum over all pairs of pairs."""
        e = ols(f"ltrade ~ {self.COLUMNS} | year", rose, vcov=self.VCOVS[name], ssc="none")
        got = e.se[ROSE["published"]["se_of"]]
        np.testing.assert_allclose(got, ROSE["rerun"]["se_without_factor"][name], rtol=10 * RERUN)


class TestGrunfeld:
    """Grunfeld's investment data as in R's plm: pooled, firm and two-way effects, iid errors."""

    @pytest.mark.parametrize("effects", GRUNFELD["quoted"]["effects"])
    def test_within(self, shared, effects):
        frame = pd.read_csv(shared / "data/did/Grunfeld_plm.csv")
        e = ols("inv ~ value + capital" + effects, frame, vcov="iid")
        quoted = GRUNFELD["quoted"]
        agrees(e, {"digits": quoted["digits"], "terms": quoted["effects"][effects]})
        agrees_with_rerun(e, {"terms": GRUNFELD["rerun"]["effects"][effects]})
        if not effects:
            assert e.coef["Intercept"] == pytest.approx(quoted["intercept"], abs=0.5e-6)
