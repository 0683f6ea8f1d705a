"""Least squares on a gravity panel with regressors that are mostly zero, which are never written out.

The derivatives of the Poisson likelihood at given means are those of least squares with these means as weights. So the
machinery of `cyber_trade_econ.hdfe.threeway` takes the effects out of regressors and outcome here too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cyber_trade_econ.hdfe import gravity_linear
from cyber_trade_econ.hdfe.boxed import by_level, impose, net_of, parts_of
from cyber_trade_econ.hdfe.condensed import FINAL, condense, root_of
from cyber_trade_econ.hdfe.independence import CLEAR, independent
from cyber_trade_econ.hdfe.kernels import NUMPY
from cyber_trade_econ.hdfe.linear import LinearFit
from cyber_trade_econ.hdfe.net import Net

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.hdfe.blocks import Blocks
    from cyber_trade_econ.hdfe.condensed import Part
    from cyber_trade_econ.hdfe.factor import Array, Factor, Mask
    from cyber_trade_econ.hdfe.kernels import Kernels
    from cyber_trade_econ.hdfe.regressors import Regressors


def fit(
    y: Array,
    X: Regressors,
    w: Array,
    *,
    factors: Sequence[Factor],
    blocks: Blocks,
    kernels: Kernels,
    stretch: Array | float = 1.0,
) -> LinearFit[Array | Net]:
    """Regress ``y`` (n,) on ``X`` (n, K), some of them listed, and the effects with weights ``w`` (n,).

    Parameters
    ----------
    y, X, w, factors, stretch
        As for `cyber_trade_econ.hdfe.linear.fit`.
    blocks, kernels
        As for `cyber_trade_econ.hdfe.threeway.fit`.

    Raises
    ------
    NotConverged
        If effects stay in the columns, or regressors are nearly collinear; a solver that writes them out then decides.
    """
    both = replace(X, full=np.column_stack([X.full, y]), rare=np.append(X.rare, False))
    parts, net, products, lengths = _absorbed(both, w, factors, blocks, kernels)
    K = X.shape[1]
    within = Net(
        replace(X, full=net.columns.full[:, :-1]), factors, [np.ascontiguousarray(e[:, :-1]) for e in net.effects]
    )
    # Cross products, on which the solution rests, lose too many digits of columns that are nearly collinear.
    again = gravity_linear.again(factors, w, blocks)
    keep = independent(within, products[:K, :K], w, lengths[:K] * stretch, again, doubtful=CLEAR)
    if not keep.all():
        some = X.chosen(keep)
        fitted = (
            fit(y, some, w, factors=factors, blocks=blocks, kernels=kernels)
            if some.rare.any()
            else gravity_linear.fit(y, some.full, factors, w, layout=blocks)
        )
        keep[keep] = fitted.kept
        return replace(fitted, kept=keep)
    target = net.columns.full[:, -1].copy()
    root = root_of(products[:K, :K], within, w)
    beta = root @ (root.T @ products[:K, K])
    # Cross products lost digits that rows keep.
    beta += root @ (root.T @ within.total(w * (target - within.times(beta))))
    residual = target - within.times(beta)
    gamma = np.append(-beta, 1.0)[np.argsort(both.rare, kind="stable")]
    left = y - residual - X.times(beta)  # a sum of effects
    return LinearFit(
        beta=beta,
        kept=np.ones(K, dtype=bool),
        residual=residual,
        root=root,
        within=within,
        effects=_effects(parts, blocks, factors, gamma, left, w),
        within_total=float(w @ target**2),
    )


def independent_columns(X: Regressors, w: Array, *, factors: Sequence[Factor], blocks: Blocks) -> Mask:
    """Mark the columns of ``X`` (n, K) that effects and earlier columns do not reproduce, with weights ``w`` (n,)."""
    _, net, products, lengths = _absorbed(X, w, factors, blocks, NUMPY)
    return independent(net, products, w, lengths, gravity_linear.again(factors, w, blocks))


def _absorbed(
    X: Regressors, w: Array, factors: Sequence[Factor], blocks: Blocks, kernels: Kernels
) -> tuple[list[Part], Net, Array, Array]:
    """Take the effects out; return the boxes, the columns net of effects, their cross products and their lengths before."""
    unit, n = float(w.mean()), X.shape[0]
    parts = parts_of(blocks, np.ones(n), X, w / unit, np.zeros(n), kernels=kernels)
    impose(parts, blocks, w / unit)
    at = condense(parts, [part.profile.moments() for part in parts], FINAL, 1.0, exact=True)
    back = np.argsort(np.argsort(X.rare, kind="stable"))  # within the parts, listed regressors come last
    net, _ = net_of(parts, blocks, X, factors)
    if not isinstance(net, Net):
        raise TypeError("regressors of which none is listed have a solver of their own")
    return parts, net, at.hessian[np.ix_(back, back)] * unit, np.sqrt(at.lengths[back] * unit)


def _effects(
    parts: Sequence[Part], blocks: Blocks, factors: Sequence[Factor], gamma: Array, left: Array, w: Array
) -> tuple[Array, ...]:
    """Take a sum of effects, (n,), apart: those of the pair are what those of the combined columns leave of it."""
    faces = (
        [p.basis.a[:, :, :-1] @ gamma for p in parts],
        [p.basis.b[:, :, :-1] @ gamma for p in parts],
        [np.zeros(p.profile.pair_total.shape) for p in parts],
    )
    out = list(by_level(faces, blocks))
    exporter, importer, pair = blocks.roles
    left = left - out[exporter][factors[exporter].codes] - out[importer][factors[importer].codes]
    out[pair] = factors[pair].sums(w * left) / factors[pair].sums(w)
    return tuple(out)
