"""Published tables and other software's output, reproduced on the data they were made from.

Each block names its publication. Unless a test says otherwise the tolerance is half a unit of the last digit printed there:
a closer match cannot be asked of a rounded number. The data lie in ../shared and are not part of the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import SeparationError
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.gravity.reset import reset
from cyber_trade_econ.inference.conventions import cluster, dyadic, ssc

if TYPE_CHECKING:
    from pathlib import Path

SST_TERMS = [
    "lypex",
    "lypim",
    "lyex",
    "lyim",
    "ldist",
    "border",
    "comlang",
    "colony",
    "landl_ex",
    "landl_im",
    "lremot_ex",
    "lremot_im",
    "comfrt_wto",
    "open_wto",
]


def agrees(estimate, published, digits):
    """Compare {term: (coefficient, standard error)} to the digits printed."""
    for term, (coef, se) in published.items():
        assert estimate.coef[term] == pytest.approx(coef, abs=0.5000001 * 10**-digits), term
        assert estimate.se[term] == pytest.approx(se, abs=0.5000001 * 10**-digits), term


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


class TestSantosSilvaTenreyro2006:
    """The Log of Gravity, Table 3, https://doi.org/10.1162/rest.88.4.641."""

    def test_ols(self, log_of_gravity):
        e = ols("log(trade) ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov="hetero")
        assert e.nobs == 9613
        assert e.facts["dropped"] == {"log of zero: trade": 8747}
        agrees(
            e,
            {
                "lypex": (0.937818, 0.011952), "lypim": (0.797788, 0.011525), "lyex": (0.207314, 0.017483),
                "lyim": (0.106126, 0.017518), "ldist": (-1.166011, 0.033861), "border": (0.313998, 0.126563),
                "comlang": (0.678037, 0.066729), "colony": (0.396803, 0.070111), "landl_ex": (-0.061969, 0.062226),
                "landl_im": (-0.664523, 0.060464), "lremot_ex": (0.467074, 0.079214), "lremot_im": (-0.204958, 0.084817),
                "comfrt_wto": (0.490822, 0.097028), "open_wto": (-0.169642, 0.052570),
            },
            6,
        )  # fmt: skip
        assert reset(e, log_of_gravity).p_value < 0.0005

    def test_ppml(self, log_of_gravity):
        e = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov="hetero")
        assert e.nobs == 18360
        agrees(
            e,
            {
                "lypex": (0.732481, 0.026791), "lypim": (0.741078, 0.027414), "lyex": (0.156712, 0.053328),
                "lyim": (0.135018, 0.044886), "ldist": (-0.783801, 0.054604), "border": (0.192911, 0.104315),
                "comlang": (0.745984, 0.134719), "colony": (0.025006, 0.149800), "landl_ex": (-0.863474, 0.157177),
                "landl_im": (-0.696420, 0.140784), "lremot_ex": (0.659840, 0.133777), "lremot_im": (0.561500, 0.118515),
                "comfrt_wto": (0.181107, 0.088557), "open_wto": (-0.106819, 0.131235),
            },
            6,
        )  # fmt: skip
        assert reset(e, log_of_gravity).p_value == pytest.approx(0.331, abs=1e-3)  # printed 0.331, here 0.3318

    @pytest.mark.parametrize(("convention", "border"), [("none", 0.1043151), ("stata", 0.1043179), (ssc(), 0.1043577)])
    def test_conventions_of_robust_errors(self, log_of_gravity, convention, border):
        e = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov="hetero", ssc=convention)
        assert e.se["border"] == pytest.approx(border, abs=0.5e-7)

    def test_a_two_way_covariance_that_is_not_positive_is_repaired_and_said_so(self, log_of_gravity):
        e = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov=cluster("s1_im", "s2_ex"))
        assert e.facts["vcov_repaired"]
        assert e.se["ldist"] == pytest.approx(0.051518, abs=1e-6)
        one_way = ppml("trade ~ " + " + ".join(SST_TERMS), log_of_gravity, vcov=cluster("s1_im"))
        assert not one_way.facts["vcov_repaired"]


class TestAdvancedGuide2016:
    """Yotov, Piermartini, Monteiro and Larch (2016), UNCTAD/WTO, chapter 1; clusters by symmetric pair."""

    def test_ols_without_multilateral_resistance(self, agtpa):
        foreign = agtpa[agtpa["exporter"] != agtpa["importer"]]
        e = ols("log(trade) ~ log(dist) + cntg + lang + clny + log_y + log_e", foreign, vcov=cluster("pair_id"))
        assert e.nobs == 25689
        assert e.facts["r2"] == pytest.approx(0.7585251, abs=0.5e-7)
        agrees(
            e,
            {
                "log(dist)": (-1.0016, 0.0273), "cntg": (0.5738, 0.1847), "lang": (0.8015, 0.0821),
                "clny": (0.7349, 0.1442), "log_y": (1.1902, 0.0095), "log_e": (0.9076, 0.0099),
                "Intercept": (-11.2831, 0.2958),
            },
            4,
        )  # fmt: skip

    def test_ols_with_effects(self, agtpa):
        foreign = agtpa[agtpa["exporter"] != agtpa["importer"]]
        spec = "log(trade) ~ log(dist) + cntg + lang + clny | exporter^year + importer^year"
        agrees(
            ols(spec, foreign, vcov=cluster("pair_id")),
            {
                "log(dist)": (-1.215573, 0.038176), "cntg": (0.223159, 0.202789), "lang": (0.660912, 0.082074),
                "clny": (0.670451, 0.149418),
            },
            6,
        )  # fmt: skip

    def test_ppml_with_effects(self, agtpa):
        foreign = agtpa[agtpa["exporter"] != agtpa["importer"]]
        spec = "trade ~ log(dist) + cntg + lang + clny | exporter^year + importer^year"
        e = ppml(spec, foreign, vcov=cluster("pair_id"))
        assert e.nobs == 28152
        agrees(
            e,
            {
                "log(dist)": (-0.840927, 0.031658), "cntg": (0.437443, 0.083160), "lang": (0.247477, 0.076539),
                "clny": (-0.222490, 0.116244),
            },
            6,
        )  # fmt: skip
        assert reset(e, foreign).p_value == pytest.approx(0.6416, abs=0.5e-4)

    def test_ppml_three_way_with_domestic_trade(self, agtpa):
        e = ppml("trade ~ rta | exporter^year + importer^year + pair_id", agtpa, vcov=cluster("pair_id"))
        assert e.nobs == 28482
        agrees(e, {"rta": (0.557185, 0.102235)}, 6)
        assert e.facts["largest_relative_score"] < 1e-8


class TestThreeWay:
    """Example data of two Stata packages."""

    def test_weidner_zylkin_2021(self, shared):
        """https://doi.org/10.1016/j.jinteco.2021.103513, example of ppml_fe_bias."""
        frame = pd.read_parquet(shared / "data/gravity/ppmlfebias_example_1988_2004.parquet")
        frame = frame[frame["category"] == "MANUF"]
        e = ppml("trade ~ fta | isoexp^year + isoimp^year + isoexp^isoimp", frame, vcov=cluster("isoexp^isoimp"))
        assert e.nobs == 20600
        agrees(e, {"fta": (0.1780290, 0.0350079)}, 7)

    def test_ppmlhdfe(self, shared):
        frame = pd.read_parquet(shared / "data/gravity/ppmlhdfe_example_1988_2004.parquet")
        frame = frame[frame["category"] == "TOTAL"]
        e = ppml("trade ~ fta | isoexp^year + isoimp^year + isoexp^isoimp", frame, vcov=cluster("isoexp^isoimp"))
        assert e.nobs == 5950
        agrees(e, {"fta": (0.19244549, 0.04195271)}, 8)

    def test_fixest_walk_through(self, shared):
        frame = pd.read_parquet(shared / "data/gravity/fixest_trade_2007_2016.parquet")
        e = ppml("Euros ~ log(dist_km) | Origin + Destination + Product + Year", frame)
        assert e.coef["log(dist_km)"] == pytest.approx(-1.52787, abs=0.5e-5)


class TestSeparation:
    """Nine of the data sets of ppmlhdfe, whose column `separated` is the truth."""

    @pytest.mark.parametrize("number", [f"{k:02d}" for k in range(1, 10)])
    def test_truth(self, shared, number):
        frame = pd.read_csv(shared / f"data/gravity/separation/{number}.csv")
        xs = [c for c in frame if c.startswith("x")]
        ids = [c for c in frame if c.startswith("id")]
        spec = f"y ~ {' + '.join(xs) or '1'}" + (f" | {' + '.join(ids)}" if ids else "")
        e = ppml(spec, frame)
        truth = frame["separated"] == 1
        dropped = ~frame.index.isin(e.sample)
        assert dropped[truth].all()
        assert (dropped & ~truth).sum() == e.facts["dropped"].get("singleton", 0) - (dropped & truth).sum() + sum(
            count for reason, count in e.facts["dropped"].items() if reason != "singleton"
        )
        assert (frame.loc[dropped & ~truth, "y"] > 0).all()  # only singletons, which the truth column does not cover
        assert np.isfinite(e.coef).all()
        if truth.any():
            with pytest.raises(SeparationError):
                ppml(spec, frame, separation="error")
        else:
            assert ppml(spec, frame, separation="error").nobs == len(frame)


class TestRose2004:
    """Cameron and Miller (2014), "Robust inference for dyadic data", Table 4B."""

    @pytest.mark.parametrize(
        ("vcov", "bothin", "onein"),
        [
            ("iid", 0.016, 0.015),
            ("hetero", 0.018, 0.018),
            (cluster("pair"), 0.053, 0.049),
            (cluster("ctry1"), 0.122, 0.095),
            (cluster("ctry2"), 0.107, 0.071),
            (cluster("ctry1", "ctry2"), 0.153, 0.108),
            (dyadic("ctry1", "ctry2"), 0.186, 0.126),
        ],
        ids=str,
    )
    def test_standard_errors(self, shared, vcov, bothin, onein):
        columns = (
            "bothin + onein + gsp + ldist + lrgdp + lrgdppc + regional + custrict + comlang + border + landl + island"
            " + lareap + comcol + curcol + colony + comctry"
        )
        frame = pd.read_parquet(shared / "data/gravity/rose2004_1948_1999.parquet")
        e = ols(f"ltrade ~ {columns} | year", frame, vcov=vcov)
        assert e.coef["bothin"] == pytest.approx(-0.0423, abs=0.5e-4)
        assert e.se["bothin"] == pytest.approx(bothin, abs=0.6e-3)  # the table prints three decimals
        assert e.se["onein"] == pytest.approx(onein, abs=0.6e-3)


class TestGrunfeld:
    """Grunfeld's investment data as in R's plm: pooled, firm and two-way effects, iid errors."""

    @pytest.mark.parametrize(
        ("effects", "value", "capital"),
        [
            ("", (0.115562156, 0.005835710), (0.230678489, 0.025475801)),
            (" | firm", (0.110123804, 0.011856694), (0.310065341, 0.017354503)),
            (" | firm + year", (0.117715855, 0.013751283), (0.357916273, 0.022719011)),
        ],
    )
    def test_within(self, shared, effects, value, capital):
        frame = pd.read_csv(shared / "data/did/Grunfeld_plm.csv")
        e = ols("inv ~ value + capital" + effects, frame, vcov="iid")
        agrees(e, {"value": value, "capital": capital}, 9)
        if not effects:
            assert e.coef["Intercept"] == pytest.approx(-42.714369, abs=0.5e-6)
