"""Poisson pseudo maximum likelihood with two crossed effects, such as exporter-time and importer-time.

Periods share nothing but the coefficients, so each is solved exactly by itself and Newton's method moves coefficients and
effects together. Regressors are never demeaned on the way. The first step is that of iteratively reweighted least squares;
proportional scaling then puts the effects where so few steps are left that none is damped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe import independence
from cyber_trade_econ.hdfe.condensed import root_of, step_of
from cyber_trade_econ.hdfe.leastsquares import DOUBTFUL, independent, weighted_lengths
from cyber_trade_econ.hdfe.poisson import PoissonFit, deviance, log_likelihood
from cyber_trade_econ.hdfe.poisson_problem import NO_STEP
from cyber_trade_econ.hdfe.sheet import Condensed, SheetLikelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.blocks import Sheets
    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask

SWEEPS = 3
"""Rounds of proportional scaling after the first step."""


def fit(
    y: Array,
    X: Array,
    w: Array,
    offset: Array,
    *,
    factors: Sequence[Factor],
    sheets: Sheets,
    stretch: Array | float = 1.0,
    tol: float = 1e-8,
    max_iterations: int = 100,
) -> PoissonFit[Array]:
    """Maximise the Poisson pseudo likelihood of ``y = exp(X beta + effects + offset)`` on the layout ``sheets``.

    Parameters
    ----------
    y, X, w, offset, factors, stretch
        As for `cyber_trade_econ.hdfe.poisson.fit`; every level has a positive outcome.
    sheets
        Layout of the factors, from `cyber_trade_econ.hdfe.blocks.detect_sheets`.
    tol
        The iteration stops when no score of an effect or a coefficient exceeds this share of the outcome it sums **and** the
        next step would move no fitted index by more than ``tol / 10`` through a coefficient.
    max_iterations
        Steps after which the fit is given up.

    Raises
    ------
    NotConverged
        After ``max_iterations`` steps, or when no step raises the likelihood any more short of the tolerance.
    """
    unit = float(np.average(y, weights=w))
    parts = _parts(sheets, y / unit, X, w, offset)
    beta, keep = _start(parts, sheets, factors, y / unit, X, w, offset, stretch)
    beta, points, iterations, score = _newton(parts, beta, tol, max_iterations)
    mu = np.concatenate([p.mu.reshape(-1) for p in parts])[sheets.cells]
    within = _net(X[:, keep], parts, points, sheets, factors)
    root = root_of(sum((p.products for p in points), np.zeros((len(beta),) * 2)), within, mu)
    mu *= unit / w
    lost = deviance(y, mu, w)
    sides = (
        np.concatenate([p.exporter - beta @ p.mean for p in parts]) + np.log(unit),
        np.concatenate([p.importer for p in parts]),
    )
    effects = [side[corner] for side, corner in zip(sides, sheets.corners, strict=True)]
    return PoissonFit(
        beta=beta,
        kept=keep,
        mu=mu,
        root=root / np.sqrt(unit),
        within=within,
        effects=tuple(effects[sheets.roles.index(g)] for g in range(2)),
        deviance=lost,
        log_likelihood=log_likelihood(y, lost, w),
        iterations=iterations,
        score=score,
    )


def _parts(sheets: Sheets, y: Array, X: Array, w: Array, offset: Array) -> list[SheetLikelihood]:
    """Spread the rows over the cells of the sheets."""
    outcome, filled = _spread(sheets, y * w), np.zeros(sheets.sizes[0], dtype=bool)
    filled[sheets.cells] = True
    regressors = np.zeros((X.shape[1], sheets.sizes[0]))
    for row, column in zip(regressors, X.T, strict=True):
        row[sheets.cells] = column
    plain = bool((w == 1).all() and (offset == 0).all())
    shift = outcome if plain else _spread(sheets, offset + np.log(w))
    parts = []
    for sheet in sheets.sheets:
        N, J = sheet.shape
        of = slice(sheet.cell, sheet.cell + N * J)
        parts.append(
            SheetLikelihood(
                outcome[of].reshape(N, J),
                regressors[:, of],
                None if plain else shift[of].reshape(N, J),
                filled[of].reshape(N, J),
            )
        )
    return parts


def _spread(sheets: Sheets, values: Array) -> Array:
    out = np.zeros(sheets.sizes[0])
    out[sheets.cells] = values
    return out


def _start(
    parts: Sequence[SheetLikelihood],
    sheets: Sheets,
    factors: Sequence[Factor],
    y: Array,
    X: Array,
    w: Array,
    offset: Array,
    stretch: Array | float,
) -> tuple[Array, Mask]:
    """Take the first step of reweighted least squares, which also tells the columns that are independent."""
    eta = np.log((y + 1) / 2)
    mu = np.exp(eta) * w
    moment = mu * (eta - offset) + w * y - mu
    cells = [_spread(sheets, v) for v in (mu, moment)]
    points = []
    for part, sheet in zip(parts, sheets.sheets, strict=True):
        at, moments = (v[sheet.cell : sheet.cell + part.mu.size].reshape(part.shape) for v in cells)
        points.append(part.condense(at, moments))
    K = X.shape[1]
    keep = np.ones(K, dtype=bool)
    if not _clear(points, stretch):
        from cyber_trade_econ.hdfe.gravity_linear import absorb  # few fits need it

        net = absorb(np.ascontiguousarray(_net(X, parts, points, sheets, factors)), factors, mu, sheets)[0]
        keep = independent(net, mu, weighted_lengths(X, mu) * stretch, DOUBTFUL)
        for part in parts:
            part.keep(keep)
    hessian = sum((p.products for p in points), np.zeros((K, K)))[np.ix_(keep, keep)]
    beta = step_of(hessian, sum((p.score for p in points), np.zeros(K))[keep])
    both = np.append(keep, True)
    for share in (1.0, 0.0):  # the second always has a likelihood
        there = share * beta
        trials = []
        for part, point in zip(parts, points, strict=True):
            a, b = (share * (v[:, both][:, -1] - v[:, both][:, :-1] @ beta) for v in (point.exporter, point.importer))
            trials.append((*part.evaluate(there, a, b), a, b))
        if np.isfinite(sum(t[0] for t in trials)):
            break
    for part, (_, scale, a, b) in zip(parts, trials, strict=True):
        part.accept(scale, a, b, SWEEPS)
    return there, keep


def _clear(points: Sequence[Condensed], stretch: Array | float) -> bool:
    """Whether the columns are independent beyond doubt."""
    lengths = np.sqrt(np.sum([p.lengths for p in points], axis=0)) * stretch
    return independence.clear(np.sum([p.products for p in points], axis=0), lengths)


def _newton(
    parts: Sequence[SheetLikelihood], beta: Array, tol: float, max_iterations: int
) -> tuple[Array, list[Condensed], int, float]:
    """Climb to the maximum; return the coefficients, derivatives there, steps taken and the largest relative score."""
    K = len(beta)
    reach = np.maximum(sum(p.reach() for p in parts), 1e-300)
    span = np.max([p.span() for p in parts], axis=0)
    value, worst = sum(p.now(beta) for p in parts), np.inf
    for iteration in range(1, max_iterations + 2):
        points = [p.derivatives() for p in parts]
        score = sum((p.score for p in points), np.zeros(K))
        step = step_of(sum((p.products for p in points), np.zeros((K, K))), score)
        slope = sum(np.array(p.along_y - p.X @ p.mu.reshape(-1)) for p in parts)
        before = worst
        worst = max(*(p.imbalance() for p in parts), float(np.max(np.abs(slope) / reach, initial=0.0)))
        settled = worst <= tol and (worst <= tol / 100 or worst > before / 10)
        if settled and np.max(np.abs(step) * span, initial=0.0) <= tol / 10:
            return beta, points, iteration - 1, worst
        gain = sum(p.gain for p in points) + float(score @ step)
        beta, value = _climb(parts, points, beta, step, gain, value)
    raise NotConverged(
        "Poisson regression did not converge",
        found=f"largest relative score {worst:.1e} after {max_iterations} iterations",
        allowed=f"{tol:.0e}",
        fix=NO_STEP,
    )


def _climb(
    parts: Sequence[SheetLikelihood],
    points: Sequence[Condensed],
    beta: Array,
    step: Array,
    gain: float,
    value: float,
) -> tuple[Array, float]:
    """Take the step, or a part of it that is smaller and smaller until the likelihood rises as it should."""
    share = 1.0
    while share > 1e-10:
        there = beta + share * step
        trials = []
        for part, point in zip(parts, points, strict=True):
            a = part.exporter + share * (point.exporter[:, -1] - point.exporter[:, :-1] @ step)
            b = part.importer + share * (point.importer[:, -1] - point.importer[:, :-1] @ step)
            trials.append((*part.evaluate(there, a, b), a, b))
        reached = sum(t[0] for t in trials)
        if np.isfinite(reached) and reached >= value + 1e-4 * share * gain - 1e-11 * abs(value):
            for part, (_, scale, a, b) in zip(parts, trials, strict=True):
                part.accept(scale, a, b)
            return there, sum(part.now(there) for part in parts)
        share /= 4
    raise NotConverged(
        "Poisson regression cannot raise its likelihood any further",
        found=f"log likelihood {value:.6g}",
        fix="Check for regressors of very different scale or for separated observations.",
    )


def _net(
    X: Array, parts: Sequence[SheetLikelihood], points: Sequence[Condensed], sheets: Sheets, factors: Sequence[Factor]
) -> Array:
    """Return the regressors net of their effects by row, (n, K)."""
    K = X.shape[1]
    sides = (
        np.concatenate([c.exporter[:, :K] + p.mean.T for c, p in zip(points, parts, strict=True)]),
        np.concatenate([c.importer[:, :K] for c in points]),
    )
    out = np.array(X, order="C")
    for side, corner, role in zip(sides, sheets.corners, sheets.roles, strict=True):
        out -= side[corner][factors[role].codes]
    return out
