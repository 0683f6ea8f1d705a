"""Poisson pseudo maximum likelihood on a gravity panel: Newton's method on the likelihood without its pair effects.

Regressors are never demeaned on the way. Each step takes the exact gradient and cross products from one pass, solves for
the effects that the regressors and the score would have (loosely for the regressors: that is a change of basis, whose
remainder is put back), and moves coefficients and effects together. Demeaned regressors are formed once, at the solution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.errors import NotConverged
from cyber_trade_econ.hdfe.condensed import Part, condense, remaining, root_of, step_of
from cyber_trade_econ.hdfe.leastsquares import independent, weighted_lengths
from cyber_trade_econ.hdfe.perperiod import Pairing
from cyber_trade_econ.hdfe.poisson import PoissonFit, deviance, log_likelihood
from cyber_trade_econ.hdfe.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.blocks import Blocks
    from cyber_trade_econ.hdfe.condensed import Derivatives
    from cyber_trade_econ.hdfe.factor import Array, Mask
    from cyber_trade_econ.hdfe.profile import Moments

BASIS = 1e-3
"""Relative residual at which the effects of a regressor are good enough to move along."""

FINAL = 1e-10
"""The same for the regressors net of effects that covariances are built on."""

CLEAR = 1e-5
"""Share of a squared length above which no second look is needed to call a column independent."""

NEAR, SLOW = 1e-2, 0.05
"""Steps shorter than the first should shrink to less than this share of the step before: convergence is quadratic."""

SMALL = 50
"""Importers up to which the preconditioner costs next to nothing in double precision."""


def fit(
    y: Array,
    X: Array,
    w: Array,
    offset: Array,
    *,
    blocks: Blocks,
    stretch: Array | float = 1.0,
    tol: float = 1e-8,
    max_iterations: int = 100,
) -> PoissonFit:
    """Maximise the Poisson pseudo likelihood of ``y = exp(X beta + effects + offset)`` on the layout ``blocks``.

    Parameters
    ----------
    y, X, w, offset, stretch
        As for `cyber_trade_econ.hdfe.poisson.fit`; every level has a positive outcome.
    blocks
        Layout of the factors, from `cyber_trade_econ.hdfe.blocks.detect`.
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
    parts = _parts(blocks, y / unit, X, w, offset)
    keep = np.ones(X.shape[1], dtype=bool)
    for part in parts:
        part.profile.scale()
    points = [part.profile.moments() for part in parts]
    at = condense(parts, points, BASIS, 0.1)
    if not _clear(at, stretch):
        keep = _judge(parts, blocks, X, (y / unit + 1) / 2 * w, stretch)
        for part in parts:
            part.profile.keep(keep)
            part.profile.scale()
            part.basis, part.first = part.basis.columns(np.append(keep, True)), None
        points = [part.profile.moments() for part in parts]
        at = condense(parts, points, BASIS, 0.1)
    beta, iterations, score = _newton(parts, at, tol, max_iterations)
    within, mu, products = _rows(parts, blocks)
    root = root_of(products, within, mu)
    mu *= unit / w
    return PoissonFit(
        beta=beta,
        kept=keep,
        mu=mu,
        root=root / np.sqrt(unit),
        within=within,
        effects=_effects(parts, blocks, beta, unit),
        deviance=deviance(y, mu, w),
        log_likelihood=log_likelihood(y, mu, w),
        iterations=iterations,
        score=score,
    )


def _parts(blocks: Blocks, y: Array, X: Array, w: Array, offset: Array) -> list[Part]:
    """Spread the rows over the cells of the boxes."""
    cells, K = blocks.cells, X.shape[1]
    size = blocks.sizes[0]
    filled = np.zeros(size, dtype=bool)
    filled[cells] = True
    outcome, regressors = np.zeros(size), np.zeros((size, K))
    outcome[cells], regressors[cells] = y * w, X
    plain = bool((w == 1).all() and (offset == 0).all())
    shift = np.zeros(0 if plain else size)
    if not plain:
        shift[cells] = offset + np.log(w)
    parts = []
    for box in blocks.boxes:
        T, N, J = box.shape
        of = slice(box.cell, box.cell + T * N * J)
        profile = Profile(
            outcome[of].reshape(box.shape),
            regressors[of],
            None if plain else shift[of].reshape(box.shape),
            filled[of].reshape(box.shape),
        )
        zero = Pairing(np.zeros((T, N, K + 1)), np.zeros((T, J, K + 1)))
        parts.append(Part(profile, zero, precise=J <= SMALL))
    return parts


def _clear(at: Derivatives, stretch: Array | float) -> bool:
    """Whether the columns are independent beyond doubt."""
    yardstick = np.broadcast_to(at.lengths * np.square(stretch), at.lengths.shape)
    if not (yardstick > 0).all():
        return False
    try:
        root = np.linalg.cholesky(at.hessian / np.sqrt(np.outer(yardstick, yardstick)))
    except np.linalg.LinAlgError:
        return False
    return bool((np.diag(root) ** 2 > CLEAR).all())


def _judge(parts: Sequence[Part], blocks: Blocks, X: Array, w: Array, stretch: Array | float) -> Mask:
    """Find the independent columns as the general solver does: net of effects, at the weights of its first step."""
    spread = np.zeros(blocks.sizes[0])
    spread[blocks.cells] = w
    for part, box in zip(parts, blocks.boxes, strict=True):
        part.profile.impose(spread[box.cell : box.cell + part.profile.mu.size].reshape(box.shape))
        part.first = None
    condense(parts, [part.profile.moments() for part in parts], FINAL, 1.0, exact=True)
    net, _, _ = _rows(parts, blocks)
    return independent(net, w, weighted_lengths(X, w) * stretch)


def _newton(parts: Sequence[Part], at: Derivatives, tol: float, max_iterations: int) -> tuple[Array, int, float]:
    """Climb to the maximum; return the coefficients, the steps taken and the largest relative score."""
    K = parts[0].profile.X.shape[1]
    total = sum(float(p.profile.pair_total.sum()) for p in parts)
    reach = np.maximum(sum(p.profile.reach() for p in parts), 1e-300)
    span = np.max([p.profile.span() for p in parts], axis=0)
    beta, worst, moved, close = np.zeros(K), np.inf, 1.0, 1.0
    value = sum(p.profile.now(beta) for p in parts)
    for iteration in range(1, max_iterations + 1):
        step = step_of(at.hessian, at.score)
        gain = at.gain + float(at.score @ step)
        moved, previous = min(1.0, np.sqrt(abs(gain) / total)), moved
        if SLOW * previous < moved < NEAR:  # the effects leave so little of a regressor that the basis must be closer
            close = max(close / 100, 1e-7)
        beta, value = _climb(parts, beta, step, gain, value)
        points = [p.profile.moments() for p in parts]
        worst, before = _worst(parts, points, reach), worst
        if worst <= tol and (worst <= tol / 100 or worst > before / 10) and moved <= np.sqrt(tol):
            ahead = step_of(at.hessian, sum((remaining(p, m) for p, m in zip(parts, points, strict=True)), np.zeros(K)))
            if np.max(np.abs(ahead) * span, initial=0.0) <= tol / 10:
                condense(parts, points, FINAL, 1.0, exact=True)
                return beta, iteration, worst
        at = condense(parts, points, close * BASIS, max(0.1 * close * moved, 1e-10))
    raise NotConverged(
        "Poisson regression did not converge",
        found=f"largest relative score {worst:.1e} after {max_iterations} iterations",
        allowed=f"{tol:.0e}",
        fix="A coefficient or an effect probably runs to infinity: keep the separation checks on, or drop the regressor.",
    )


def _worst(parts: Sequence[Part], points: Sequence[Moments], reach: Array) -> float:
    """Return the largest score of an effect or a coefficient, relative to the outcome it sums."""
    score = sum((m.score for m in points), np.zeros(len(reach)))
    effects = max(part.profile.imbalance(m) for part, m in zip(parts, points, strict=True))
    return max(effects, float(np.max(np.abs(score) / reach, initial=0.0)))


def _climb(parts: Sequence[Part], beta: Array, step: Array, gain: float, value: float) -> tuple[Array, float]:
    """Take the step, or half of it again and again until the likelihood rises as it should."""
    K = len(beta)
    share = 1.0
    while share > 1e-10:
        there = beta + share * step
        trials = []
        for part in parts:
            move = [v[:, :, K] - v[:, :, :K] @ step for v in part.basis]
            now = part.profile
            a, b = now.exporter_time + share * move[0], now.importer_time + share * move[1]
            trials.append((*now.evaluate(there, a, b), a, b))
        reached = sum(t[0] for t in trials)
        if np.isfinite(reached) and reached >= value + 1e-4 * share * gain - 1e-11 * abs(value):
            for part, (_, factor, a, b) in zip(parts, trials, strict=True):
                part.profile.accept(factor, a, b)
                part.profile.balance()
            return there, sum(part.profile.now(there) for part in parts)
        share /= 4
    raise NotConverged(
        "Poisson regression cannot raise its likelihood any further",
        found=f"log likelihood {value:.6g}",
        fix="Check for regressors of very different scale or for separated observations.",
    )


def _rows(parts: Sequence[Part], blocks: Blocks) -> tuple[Array, Array, Array]:
    """Return, in the caller's order of rows, the regressors net of their effects, (n, K), and the means, (n,).

    Third come the weighted cross products of the former, (K, K).
    """
    made = [p.profile.net(p.basis.a[:, :, :-1], p.basis.b[:, :, :-1]) for p in parts]
    net = [m[0] for m in made]
    mu = [p.profile.mu.reshape(-1) for p in parts]
    both = (np.concatenate(v) if len(v) > 1 else v[0] for v in (net, mu))
    within, means = (v[blocks.cells] for v in both)
    return within, means, np.sum([m[1] for m in made], axis=0)


def _effects(parts: Sequence[Part], blocks: Blocks, beta: Array, unit: float) -> tuple[Array, ...]:
    """Return the effects by level, in the order of the caller's factors; the pair takes up the unit and the pair means."""
    faces = (
        [p.profile.exporter_time for p in parts],
        [p.profile.importer_time for p in parts],
        [p.profile.pair - (beta @ p.profile.pair_mean).reshape(p.profile.pair.shape) + np.log(unit) for p in parts],
    )
    out: list[Array] = [np.empty(0)] * 3
    for role, face, corner in zip(blocks.roles, faces, blocks.corners, strict=True):
        out[role] = np.concatenate([v.reshape(-1) for v in face])[corner]
    return tuple(out)
