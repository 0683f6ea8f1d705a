"""Projection on regressors and effects in the metric of given row weights, for any vector and with nothing to tune."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.absorb import Layout
    from cyber_trade_econ.hdfe.factor import Array, Mask


class Absorber:
    """Takes the effects out of columns.

    Solved relative to its size, an iteration cannot end on columns that are orthogonal to some of the effects, such as
    residuals, or indicators in a balanced panel. Noise, added before and taken off after, gives each something to solve for.
    """

    def __init__(self, layout: Layout | None, weights: Array) -> None:
        self.weights = weights
        self.projector = layout.weighted(weights) if layout else None
        self.noise = np.random.default_rng(0).standard_normal((len(weights), 1))
        self.effects = self.projector.effects(self.noise) if self.projector else []

    def __call__(self, values: Array) -> tuple[Array, list[Array]]:
        """Return ``values`` (n, k) net of the effects, and the effects."""
        if self.projector is None:
            return values, []
        size = np.sqrt(np.average(values**2, axis=0, weights=self.weights))
        mixed = self.projector.effects(values + size * self.noise)
        effects = [m - size * e for m, e in zip(mixed, self.effects, strict=True)]
        return self.projector.residual(values, effects), effects


class Span:
    """Projection on regressors ``X`` (n, k) and effects in the metric of the row weights."""

    def __init__(self, X: Array, layout: Layout | None, weights: Array) -> None:
        self.layout, self.weights = layout, weights
        self.absorb = Absorber(layout, weights)
        self.net = self.absorb(X)[0]
        self._factorise()

    def _factorise(self) -> None:
        root = np.sqrt(self.weights)
        self.q = np.linalg.qr(root[:, None] * self.net)[0] if self.net.shape[1] else np.empty((len(root), 0))

    def keep(self, columns: Mask) -> None:
        """Leave the other columns out."""
        if not columns.all():
            self.net = self.net[:, columns]
            self._factorise()

    def project(self, values: Array) -> Array:
        """Return the fit of ``values`` (n,)."""
        net = self.absorb(values[:, None])[0][:, 0]
        root = np.sqrt(self.weights)
        return np.asarray(values - net + (self.q @ (self.q.T @ (root * net))) / root)
