"""Sets of effects that no special layout covers, from formula to Estimate: against explicit dummies, and named refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

from cyber_trade_econ.errors import Collinear
from cyber_trade_econ.gravity.ols import ols
from cyber_trade_econ.gravity.ppml import ppml
from cyber_trade_econ.hdfe import precondition
from cyber_trade_econ.inference.conventions import cluster


@pytest.fixture(scope="module")
def panel():
    """Sixteen economies whose domestic flows dwarf the others, as they do in trade data, and many zeros."""
    rng = np.random.default_rng(3)
    exporter, importer, year = (a.ravel() for a in np.indices((16, 16, 6)))
    size = rng.normal(0, 2, 16)
    index = size[exporter] + size[importer] + np.where(exporter == importer, 5.0, 0.0) + rng.normal(0, 1, len(year))
    frame = pd.DataFrame({"exporter": exporter, "importer": importer, "year": year})
    frame["pair"] = np.minimum(exporter, importer) * 100 + np.maximum(exporter, importer)
    frame["route"] = exporter * 100 + importer
    frame["regions"] = (exporter % 3) * 3 + importer % 3
    frame["x"], frame["z"] = rng.normal(size=(2, len(frame)))
    frame["y"] = np.exp(index + 0.3 * frame.x) * (rng.random(len(frame)) < 0.7)
    return frame[rng.random(len(frame)) < 0.95].reset_index(drop=True)


def dense_poisson(frame, effects):
    """Newton's method on all dummies, with the covariance clustered by pair, both without any structure."""
    blocks = [pd.get_dummies(frame[e.split("^")].astype(str).agg("_".join, axis=1)) for e in effects.split(" + ")]
    D = np.column_stack([b.to_numpy(float) for b in blocks])
    _, r, order = linalg.qr(D, mode="economic", pivoting=True)
    D = D[:, np.sort(order[: int((np.abs(np.diag(r)) > 1e-9 * abs(r[0, 0])).sum())])]
    Z, y = np.column_stack([frame[["x", "z"]], D]), frame.y.to_numpy()
    eta = np.log((y + y.mean()) / 2)
    for _ in range(40):
        mu = np.exp(eta)
        q, r = np.linalg.qr(np.sqrt(mu)[:, None] * Z)
        beta = linalg.solve_triangular(r, q.T @ (np.sqrt(mu) * (eta + (y - mu) / mu)))
        eta = Z @ beta
    scores = pd.DataFrame(Z * (y - np.exp(eta))[:, None]).groupby(frame.pair.to_numpy()).sum().to_numpy()
    inverse = linalg.solve_triangular(r, np.eye(len(r)))
    half = inverse @ inverse.T @ scores.T
    return beta[:2], np.sqrt((half[:2] ** 2).sum(axis=1))


EFFECTS = [
    "exporter^year + importer^year + pair",
    "exporter^year + importer^year + route + regions^year",
    "exporter + importer + year + pair",
]


@pytest.mark.parametrize("limit", [20, 1000])
@pytest.mark.parametrize("effects", EFFECTS)
def test_poisson_equals_newton_on_dummies(panel, effects, limit, monkeypatch):
    monkeypatch.setattr(precondition, "LARGEST_PART", limit)
    e = ppml(f"y ~ x + z | {effects}", panel, vcov=cluster("pair"), ssc="none")
    coef, se = dense_poisson(panel.loc[e.sample], effects)
    assert e.facts["path"] == "general"
    assert e.facts["largest_relative_score"] < 1e-8
    np.testing.assert_allclose(e.coef, coef, atol=1e-8)  # dense QR loses digits where domestic flows dominate
    np.testing.assert_allclose(e.se, se, rtol=1e-6)


@pytest.mark.parametrize("model", [ols, ppml])
def test_what_a_long_chain_of_effects_takes_up_is_named(model):
    """Twelve hundred firms that share each worker with the next: the worst graph there is, and no regressor left in it."""
    firm = np.tile(np.repeat(np.arange(1200), 2), 2)
    worker = np.tile(np.concatenate([[0], np.repeat(np.arange(1, 1200), 2), [1200]]), 2)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"firm": firm, "worker": worker, "x": rng.normal(size=len(firm))})
    frame["both"] = np.arange(1200)[firm] / 7 + rng.normal(size=1201)[worker]
    frame["y"] = rng.poisson(np.exp(0.2 * frame.x + 1)) + 1.0
    with pytest.raises(Collinear, match="both"):
        model("y ~ x + both | firm + worker", frame)
    dropped = model("y ~ x + both | firm + worker", frame, collinear="drop")
    assert dropped.facts["collinear"] == ["both"]
    alone = model("y ~ x | firm + worker", frame)  # control
    assert dropped.coef["x"] == pytest.approx(alone.coef["x"], rel=1e-10)


@pytest.mark.parametrize("seed", [36, 47])
def test_outcomes_over_many_orders_of_magnitude_reach_their_totals(seed):
    """Repeated rows keep the panel on this path; the first-order conditions say that it is the maximum."""
    rng = np.random.default_rng(seed)
    i, j, t = (a.ravel() for a in np.indices((12, 12, 6)))
    d = pd.DataFrame({"i": i, "j": j, "t": t, "pair": i * 12 + j})
    d = pd.concat([d, d.sample(frac=0.2, random_state=seed)], ignore_index=True)
    d["x"] = rng.normal(size=len(d))
    d["y"] = np.exp(rng.normal(0, 4, 144)[d["pair"]] + rng.normal(0, 2, len(d)) + 0.3 * d["x"])
    d["y"] *= rng.random(len(d)) < 0.6
    e = ppml("y ~ x | i^t + j^t + pair", d)
    assert e.facts["path"] == "general"
    used = d.loc[e.sample].assign(mu=e.predict(d.loc[e.sample]))
    for effect in (["i", "t"], ["j", "t"], ["pair"]):
        total = used.groupby(effect)[["y", "mu"]].sum()
        np.testing.assert_allclose(total["mu"], total["y"], rtol=1e-8)  # what is promised of every effect
    assert abs(used["x"] @ (used["y"] - used["mu"])) < 1e-8 * (used["x"].abs() @ used["y"])
