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
from cyber_trade_econ.hdfe.kernels import NUMPY, Kernels
from cyber_trade_econ.hdfe.leastsquares import independent, weighted_lengths
from cyber_trade_econ.hdfe.perperiod import Pairing
from cyber_trade_econ.hdfe.poisson import PoissonFit, deviance, log_likelihood
from cyber_trade_econ.hdfe.profile import Profile
from cyber_trade_econ.hdfe.rare import Rare, rare_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.blocks import Blocks
    from cyber_trade_econ.hdfe.condensed import Derivatives
    from cyber_trade_econ.hdfe.factor import Array, Codes, Mask
    from cyber_trade_econ.hdfe.profile import Moments

BASIS = 1e-3
"""Relative residual at which the effects of a regressor are good enough to move along."""

FINAL = 1e-10
"""The same for the regressors net of effects that covariances are built on."""

CLEAR = 1e-5
"""Share of a squared length above which no second look is needed to call a column independent."""

NEAR, SLOW = 1e-2, 0.1
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
    kernels: Kernels = NUMPY,
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
    kernels
        Who does the work, from `cyber_trade_econ.hdfe.compilation.chosen`.

    Raises
    ------
    NotConverged
        After ``max_iterations`` steps, or when no step raises the likelihood any more short of the tolerance.
    """
    unit = float(np.average(y, weights=w))
    keep, rare = np.ones(X.shape[1], dtype=bool), rare_columns(X)
    order = np.argsort(rare, kind="stable")  # within the parts, regressors that are mostly zero come last
    parts = _parts(blocks, y / unit, X, rare, w, offset, kernels=kernels)
    at = _start(parts)
    if not _clear(at, np.broadcast_to(stretch, X.shape[1])[order]):
        keep = _judge(parts, blocks, X, (y / unit + 1) / 2 * w, stretch, order)
        bases = [part.basis.columns(np.append(keep[order], True)) for part in parts]
        order = np.argsort(rare[keep], kind="stable")
        parts = _parts(blocks, y / unit, X[:, keep], rare[keep], w, offset, kernels=kernels)
        for part, basis in zip(parts, bases, strict=True):
            part.basis = basis
        at = _start(parts)
    ordered, iterations, score = _newton(parts, at, tol, max_iterations)
    beta = np.empty(len(order))
    beta[order] = ordered
    within, mu, products = _rows(parts, blocks, order)
    root = root_of(products, within, mu)
    mu *= unit / w
    lost = deviance(y, mu, w)
    return PoissonFit(
        beta=beta,
        kept=keep,
        mu=mu,
        root=root / np.sqrt(unit),
        within=within,
        effects=_effects(parts, blocks, ordered, unit),
        deviance=lost,
        log_likelihood=log_likelihood(y, lost, w),
        iterations=iterations,
        score=score,
    )


def _parts(blocks: Blocks, y: Array, X: Array, rare: Mask, w: Array, offset: Array, *, kernels: Kernels) -> list[Part]:
    """Spread the rows over the cells of the boxes."""
    cells, K = blocks.cells, X.shape[1]
    size = blocks.sizes[0]
    ends = [slice(box.cell, box.cell + int(np.prod(box.shape))) for box in blocks.boxes]
    filled = np.zeros(size, dtype=bool)
    filled[cells] = True
    room = np.zeros(size)

    def spread(values: Array) -> list[Array]:
        room[cells] = values  # the other cells stay at zero
        return [room[of].reshape(box.shape) for box, of in zip(blocks.boxes, ends, strict=True)]

    dense = np.flatnonzero(~rare)
    regressors = [np.empty((len(dense), *box.shape)) for box in blocks.boxes]
    for k, column in enumerate(dense):
        for into, values in zip(regressors, spread(X[:, column]), strict=True):
            into[k] = values
    entries = _entries(blocks, X, np.flatnonzero(rare))
    plain = bool((w == 1).all() and (offset == 0).all())
    shifts = [None] * len(ends) if plain else [v.copy() for v in spread(offset + np.log(w))]
    parts = []
    for box, of, outcome, into, listed, shift in zip(
        blocks.boxes, ends, spread(y * w), regressors, entries, shifts, strict=True
    ):
        T, N, J = box.shape
        profile = Profile(outcome, into, listed, shift, filled[of].reshape(box.shape), kernels)
        zero = Pairing(np.zeros((T, N, K + 1)), np.zeros((T, J, K + 1)))
        parts.append(Part(profile, zero, precise=J <= SMALL))
    return parts


def _entries(blocks: Blocks, X: Array, columns: Codes) -> list[Rare]:
    """List what is not zero in some columns, by box."""
    rows = [np.flatnonzero(X[:, k]) for k in columns]
    value = np.concatenate([X[r, k] for r, k in zip(rows, columns, strict=True)] or [np.empty(0)])
    cell = np.concatenate([blocks.cells[r] for r in rows] or [np.empty(0, dtype=np.int64)])
    column = np.repeat(np.arange(len(columns)), [len(r) for r in rows])
    order = np.argsort(cell, kind="stable")  # stable: columns stay in order within a cell
    cell, column, value = cell[order], column[order], value[order]
    cuts = np.searchsorted(cell, [box.cell for box in blocks.boxes] + [blocks.sizes[0]])
    return [
        Rare(box.shape, len(columns), cell[at:to] - box.cell, column[at:to], value[at:to])
        for box, at, to in zip(blocks.boxes, cuts[:-1], cuts[1:], strict=True)
    ]


def _start(parts: Sequence[Part]) -> Derivatives:
    """Balance the effects alone, and take the derivatives there."""
    for part in parts:
        part.profile.scale()
    return condense(parts, [part.profile.moments() for part in parts], BASIS, 0.1)


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


def _judge(parts: Sequence[Part], blocks: Blocks, X: Array, w: Array, stretch: Array | float, order: Codes) -> Mask:
    """Find the independent columns as the general solver does: net of effects, at the weights of its first step."""
    spread = np.zeros(blocks.sizes[0])
    spread[blocks.cells] = w
    for part, box in zip(parts, blocks.boxes, strict=True):
        part.profile.impose(spread[box.cell : box.cell + part.profile.mu.size].reshape(box.shape))
        part.first = None
    condense(parts, [part.profile.moments() for part in parts], FINAL, 1.0, exact=True)
    net, _, _ = _rows(parts, blocks, order)
    return independent(net, w, weighted_lengths(X, w) * stretch)


def _newton(parts: Sequence[Part], at: Derivatives, tol: float, max_iterations: int) -> tuple[Array, int, float]:
    """Climb to the maximum; return the coefficients, the steps taken and the largest relative score."""
    K = parts[0].profile.columns
    total = sum(float(p.profile.pair_total.sum()) for p in parts)
    reach = np.maximum(sum(p.profile.reach for p in parts), 1e-300)
    span = np.max([p.profile.span for p in parts], axis=0)
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
        if worst <= tol and (worst <= tol / 10 or worst > before / 10) and moved <= np.sqrt(tol):
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
            for part, (_, by_pair, a, b) in zip(parts, trials, strict=True):
                part.profile.accept(by_pair, a, b)
                part.profile.balance()
            return there, sum(part.profile.now(there) for part in parts)
        share /= 4
    raise NotConverged(
        "Poisson regression cannot raise its likelihood any further",
        found=f"log likelihood {value:.6g}",
        fix="Check for regressors of very different scale or for separated observations.",
    )


def _rows(parts: Sequence[Part], blocks: Blocks, order: Codes) -> tuple[Array, Array, Array]:
    """Return, in the caller's order of rows, the regressors net of their effects, (n, K), and the means, (n,), for good.

    Third come the weighted cross products of the former, (K, K). Regressor k of the parts is put at ``order[k]``.
    """
    made = [p.profile.net(p.basis.a[:, :, :-1], p.basis.b[:, :, :-1], order) for p in parts]
    n, K = len(blocks.cells), len(order)
    # The rows of one box take the place of its cells: fresh memory for them would cost more than the arithmetic.
    into = made[0][0].reshape(-1)[: n * K].reshape(K, n) if len(parts) == 1 else np.empty((K, n))
    for k in range(K):
        into[k] = _gathered([X[k] for X, _ in made], blocks)
    products = np.sum([products for _, products in made], axis=0)
    return into.T, _gathered([p.profile.mu for p in parts], blocks), products


def _gathered(values: Sequence[Array], blocks: Blocks) -> Array:
    """Return the values of the boxes, each (T, N, J), in the caller's order of rows, (n,)."""
    flat = values[0].reshape(-1) if len(values) == 1 else np.concatenate([v.reshape(-1) for v in values])
    return flat.take(blocks.cells, mode="clip")  # which spares a check of each of them


def _effects(parts: Sequence[Part], blocks: Blocks, beta: Array, unit: float) -> tuple[Array, ...]:
    """Return the effects by level, in the order of the caller's factors; the pair takes up the unit and the pair means."""
    faces = (
        [p.profile.exporter_time for p in parts],
        [p.profile.importer_time for p in parts],
        [p.profile.pair - p.profile.of_pair_means(beta) + np.log(unit) for p in parts],
    )
    out: list[Array] = [np.empty(0)] * 3
    for role, face, corner in zip(blocks.roles, faces, blocks.corners, strict=True):
        out[role] = np.concatenate([v.reshape(-1) for v in face])[corner]
    return tuple(out)
