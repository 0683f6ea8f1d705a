"""Write the `rerun` part of the reference files: what software other than ours gives on the same data.

    python make.py [NAME ...] [--data FOLDER]

statsmodels estimates without effects or with dummies, linearmodels and pyfixest absorb effects, and the dyadic covariance is
summed over all pairs of economies. Effects are absorbed and likelihoods climbed to tolerances far below the digits compared.
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyfixest
import statsmodels.api as sm
from linearmodels.iv.absorbing import AbsorbingLS
from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

HERE = Path(__file__).parent
SST = [
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
ROSE = [
    "bothin",
    "onein",
    "gsp",
    "ldist",
    "lrgdp",
    "lrgdppc",
    "regional",
    "custrict",
    "comlang",
    "border",
    "landl",
    "island",
    "lareap",
    "comcol",
    "curcol",
    "colony",
    "comctry",
]
TIGHT = {"fixef_tol": 1e-12, "iwls_tol": 1e-12, "iwls_maxiter": 200}


def of_statsmodels(fit) -> dict:
    names = [{"const": "Intercept"}.get(n, n) for n in fit.model.exog_names]
    return {n: [float(b), float(s)] for n, b, s in zip(names, fit.params, fit.bse, strict=True)}


def of_pyfixest(fit) -> dict:
    return {n: [float(fit.coef()[n]), float(fit.se()[n])] for n in fit.coef().index}


def log_of_gravity(data: Path) -> dict:
    frame = pd.read_parquet(data / "gravity/log_of_gravity_1990.parquet")
    some = frame[frame["trade"] > 0]
    ols = sm.OLS(np.log(some["trade"]), sm.add_constant(some[SST].astype(float))).fit(cov_type="HC1")
    glm = sm.GLM(frame["trade"], sm.add_constant(frame[SST].astype(float)), family=sm.families.Poisson())
    ppml = glm.fit(cov_type="HC0", tol=1e-13, maxiter=200)
    raw = cov_cluster_2groups(
        glm.fit(tol=1e-13, maxiter=200), *(pd.factorize(frame[c])[0] for c in ("s1_im", "s2_ex")), use_correction=False
    )[0]
    return {
        "ols": {"nobs": int(ols.nobs), "terms": of_statsmodels(ols)},
        "ppml": {"nobs": int(ppml.nobs), "terms": of_statsmodels(ppml)},
        "two_way_smallest_eigenvalue_is_negative": bool(np.linalg.eigvalsh(raw).min() < 0),
    }


def advanced_guide(data: Path) -> dict:
    frame = pd.read_parquet(data / "gravity/agtpa_applications_1986_2006.parquet")
    frame = frame[frame["year"].isin(range(1986, 2007, 4))].copy()
    for name, side in (("log_y", "exporter"), ("log_e", "importer")):
        frame[name] = np.log(frame.groupby([side, "year"])["trade"].transform("sum"))
    frame["ldist"] = np.log(frame["dist"])
    frame["et"] = frame["exporter"].astype(str) + frame["year"].astype(str)
    frame["it"] = frame["importer"].astype(str) + frame["year"].astype(str)
    foreign = frame[frame["exporter"] != frame["importer"]]
    some = foreign[foreign["trade"] > 0].assign(ltrade=lambda f: np.log(f["trade"]))
    X = sm.add_constant(some[["ldist", "cntg", "lang", "clny", "log_y", "log_e"]].astype(float))
    groups = pd.factorize(some["pair_id"])[0]
    plain = sm.OLS(some["ltrade"], X).fit(cov_type="cluster", cov_kwds={"groups": groups})
    absorbed = AbsorbingLS(
        some["ltrade"], X[["ldist", "cntg", "lang", "clny"]], absorb=some[["et", "it"]].astype("category")
    ).fit(cov_type="unadjusted", lsmr_options={"atol": 1e-15, "btol": 1e-15, "conlim": 1e15})
    g = foreign["pair_id"].nunique()
    stata = pyfixest.ssc(k_adj=False, G_adj=True)
    spec = "trade ~ ldist + cntg + lang + clny | et + it"
    ppml = pyfixest.fepois(spec, foreign, vcov={"CRV1": "pair_id"}, ssc=stata, **TIGHT)
    pairs = pyfixest.fepois("trade ~ rta | et + it + pair_id", frame, vcov={"CRV1": "pair_id"}, ssc=stata, **TIGHT)
    return {
        "ols": {"nobs": int(plain.nobs), "r2": float(plain.rsquared), "terms": of_statsmodels(plain)},
        "ols_effects": {"coef": {n: float(b) for n, b in absorbed.params.items()}},
        "ppml_effects": {"nobs": int(ppml._N), "clusters": int(g), "terms": of_pyfixest(ppml)},
        "ppml_pairs": {"nobs": int(pairs._N), "terms": of_pyfixest(pairs)},
    }


def three_way(data: Path) -> dict:
    out = {}
    stata = pyfixest.ssc(k_adj=False, G_adj=True)
    for name, file, category in (
        ("ppmlhdfe", "ppmlhdfe_example_1988_2004", "TOTAL"),
        ("ppml_fe_bias", "ppmlfebias_example_1988_2004", "MANUF"),
    ):
        frame = pd.read_parquet(data / f"gravity/{file}.parquet")
        frame = frame[frame["category"] == category].astype({"isoexp": str, "isoimp": str})
        year = frame["year"].astype(str)
        frame = frame.assign(
            et=frame["isoexp"] + year, it=frame["isoimp"] + year, pair=frame["isoexp"] + frame["isoimp"]
        )
        fit = pyfixest.fepois("trade ~ fta | et + it + pair", frame, vcov={"CRV1": "pair"}, ssc=stata, **TIGHT)
        out[name] = {"nobs": int(fit._N), "terms": of_pyfixest(fit)}
    frame = pd.read_parquet(data / "gravity/fixest_trade_2007_2016.parquet").assign(ld=lambda f: np.log(f["dist_km"]))
    fit = pyfixest.fepois("Euros ~ ld | Origin + Destination + Product + Year", frame, vcov="hetero", **TIGHT)
    return out | {"fixest": {"coef": {"log(dist_km)": float(fit.coef()["ld"])}}}


def rose(data: Path) -> dict:
    frame = pd.read_parquet(data / "gravity/rose2004_1948_1999.parquet").dropna(subset=["ltrade", *ROSE, "year"])
    years = pd.get_dummies(frame["year"].astype(int).astype(str), drop_first=True, dtype=float)
    X = sm.add_constant(pd.concat([frame[ROSE].astype(float), years], axis=1))
    fit = sm.OLS(frame["ltrade"].astype(float), X).fit()
    a, b = (frame[c].to_numpy() for c in ("ctry1", "ctry2"))
    ids = {name: index for index, name in enumerate(sorted({*a, *b}))}
    a, b = (np.array([ids[v] for v in side]) for side in (a, b))
    pair = pd.factorize(frame["pair"])[0]
    raw = {
        "iid": fit.cov_params().to_numpy() * fit.df_resid / fit.nobs,
        "hetero": fit.get_robustcov_results("HC0").cov_params(),
        "pair": cov_cluster(fit, pair, use_correction=False),
        "ctry1": cov_cluster(fit, a, use_correction=False),
        "ctry2": cov_cluster(fit, b, use_correction=False),
        "two-way": cov_cluster_2groups(fit, a, b, use_correction=False)[0],
        "dyadic": dyadic(fit, a, b),
    }
    picked = [fit.model.exog_names.index(n) for n in ("bothin", "onein")]
    return {
        "nobs": int(fit.nobs),
        "coef": {n: float(fit.params[n]) for n in ROSE},
        "se_without_factor": {k: np.sqrt(np.diag(v)[picked]).tolist() for k, v in raw.items()},
    }


def dyadic(fit, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum products of scores over every two pairs of economies that share one, pair of pairs by pair of pairs."""
    scores = fit.model.exog * fit.resid.to_numpy()[:, None]
    low, high = np.minimum(a, b), np.maximum(a, b)
    dyads, at = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
    sums = np.zeros((len(dyads), scores.shape[1]))
    np.add.at(sums, at.reshape(-1), scores)
    meat = np.zeros((scores.shape[1],) * 2)
    for (i, j), own in zip(dyads, sums, strict=True):
        meat += np.outer(own, sums[((dyads == i) | (dyads == j)).any(axis=1)].sum(axis=0))
    bread = np.linalg.inv(fit.model.exog.T @ fit.model.exog)
    return bread @ meat @ bread


def grunfeld(data: Path) -> dict:
    frame = pd.read_csv(data / "did/Grunfeld_plm.csv")
    out = {}
    for effects in ((), ("firm",), ("firm", "year")):
        dummies = [pd.get_dummies(frame[c].astype(str), drop_first=True, dtype=float) for c in effects]
        fit = sm.OLS(frame["inv"], sm.add_constant(pd.concat([frame[["value", "capital"]], *dummies], axis=1))).fit()
        kept = of_statsmodels(fit)
        out[" | " + " + ".join(effects) if effects else ""] = {n: kept[n] for n in ("value", "capital")}
    return {"effects": out}


def event_cells(data: Path) -> dict:
    """Agreements by cohort and year, once in for good; of pairs that ever trade."""
    frame = pd.read_parquet(data / "gravity/agtpa_applications_1986_2006.parquet")
    frame["pair"] = frame["exporter"].astype(str) + "_" + frame["importer"].astype(str)
    frame = frame[frame.groupby("pair")["trade"].transform("sum") > 0].astype({"exporter": str, "importer": str})
    start = frame["pair"].map(frame[frame["rta"] == 1].groupby("pair")["year"].min()).fillna(9999).astype(int)
    year = frame["year"].astype(str)
    frame = frame.assign(
        treated=(frame["year"] >= start).astype(float), et=frame["exporter"] + year, it=frame["importer"] + year
    )
    stata = pyfixest.ssc(k_adj=False, G_adj=True)
    spec = {"vcov": {"CRV1": "pair"}, "ssc": stata, **TIGHT}
    one = pyfixest.fepois("trade ~ treated | et + it + pair", frame, **spec)
    cell = (start.astype(str) + year).where(frame["treated"] == 1)
    dummies = pd.get_dummies(cell, prefix="c", prefix_sep="", dtype=float)
    many = pyfixest.fepois(
        f"trade ~ {' + '.join(dummies)} | et + it + pair", pd.concat([frame, dummies], axis=1), **spec
    )
    weight = dummies.sum()[list(many.coef().index)].to_numpy() / dummies.to_numpy().sum()
    average = [float(weight @ many.coef()), float(np.sqrt(weight @ many._vcov @ weight))]
    return {
        "one": {"nobs": int(one._N), "terms": of_pyfixest(one)},
        "cells": {"nobs": int(many._N), "count": len(weight), "average": average},
    }


WRITERS = {f.__name__: f for f in (log_of_gravity, advanced_guide, three_way, rose, grunfeld, event_cells)}


def main() -> None:
    """Write the files that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*WRITERS, []], default=[])
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "shared/data")
    asked = parser.parse_args()
    packages = ("numpy", "pandas", "statsmodels", "linearmodels", "pyfixest")
    software = {"python": platform.python_version()} | {name: version(name) for name in packages}
    warnings.simplefilter("ignore")
    for name in asked.names or WRITERS:
        path = HERE / f"{name}.json"
        stored = json.loads(path.read_text())
        path.write_text(
            json.dumps(stored | {"rerun": {"software": software, **WRITERS[name](asked.data)}}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
