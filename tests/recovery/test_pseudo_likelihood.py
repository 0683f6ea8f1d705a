"""Gamma, negative-binomial and expectile PML in a world with a known effect: no bias, coverage as it is.

The multiplicative error has one shape for all rows, so that every expectile shifts by the same effect. Bounds as in
test_truth; clustered errors of models with many effects are known to be somewhat small.
"""

from __future__ import annotations

import numpy as np
import pytest

from cyber_trade_econ.gravity.expectile import expectile
from cyber_trade_econ.gravity.gamma_pml import gamma_pml
from cyber_trade_econ.gravity.negbin import negbin
from cyber_trade_econ.inference.conventions import cluster
from cyber_trade_econ.simulate import gravity_world

DRAWS = 60
FITS = {
    "gamma": gamma_pml,
    "negbin": negbin,
    "expectile": lambda *a, **k: expectile(*a, tau=0.8, **k),
}


@pytest.mark.parametrize("name", FITS)
def test_three_way_gravity(name):
    estimates, hits = [], []
    for seed in range(DRAWS):
        frame = gravity_world(12, 8, effect=-0.3, seed=seed)
        e = FITS[name]("trade_musd ~ treated | exporter^year + importer^year + pair", frame, vcov=cluster("pair"))
        row = e.tidy().iloc[0]
        estimates.append(row["estimate"])
        hits.append(row["conf_low"] < -0.3 < row["conf_high"])
    spread = np.std(estimates, ddof=1) / np.sqrt(DRAWS)
    assert spread < 0.01
    assert abs(np.mean(estimates) + 0.3) < 4 * spread
    assert 0.75 <= np.mean(hits) <= 1.0
