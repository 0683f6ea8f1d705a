"""Projection on regressors and effects in the metric of given row weights, for any vector and with nothing to tune."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cyber_trade_econ.hdfe.absorb import Layout
    from cyber_trade_econ.hdfe.factor import Array, Mask


class Absorber:
    """Takes the effects out of columns; without effects it leaves them as they are."""

    def __init__(self, layout: Layout | None, weights: Array) -> None:
        self.weights = weights
        self.projector = layout.weighted(weights) if layout else None

    def __call__(self, values: Array) -> tuple[Array, list[Array]]:
        """Return ``values`` (n, k) net of the effects, and the effects."""
        return (values, []) if self.projector is None else self.projector.absorb(values)


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
