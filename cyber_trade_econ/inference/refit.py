"""Fits to a sample and to parts of it, which need not find the layout of the sample again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cyber_trade_econ.hdfe.samplelayout import SampleLayout

if TYPE_CHECKING:
    from cyber_trade_econ.design import Design
    from cyber_trade_econ.inference.linearised import Choices, Solution


@dataclass(frozen=True)
class Refit:
    """A solver, and the layout of the sample that holds the rows of all designs it is given."""

    solver: Choices
    sample: SampleLayout

    @classmethod
    def of(cls, solver: Choices, design: Design) -> Refit:
        """Find the layout of a sample."""
        return cls(solver, SampleLayout.of(list(design.factors.values()), design.rows))

    def poisson(self, design: Design) -> Solution:
        """Fit a Poisson model."""
        return self.solver.poisson(design, self.sample)

    def least_squares(self, design: Design) -> Solution:
        """Fit a linear model."""
        return self.solver.least_squares(design, self.sample)
