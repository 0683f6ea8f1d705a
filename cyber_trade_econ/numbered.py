"""The categories of one sample, made and numbered once for many designs."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cyber_trade_econ.encoding import Kept
from cyber_trade_econ.hdfe.prune import Pruned, prune
from cyber_trade_econ.hdfe.samplelayout import SampleLayout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cyber_trade_econ.design import Design
    from cyber_trade_econ.hdfe.factor import Array, Codes, Effect, Mask


def coded(frame: pd.DataFrame, columns: Collection[str]) -> pd.DataFrame:
    """Return the frame with ordered categories in place of those of the columns that are text.

    The categories are in the order in which text is numbered, so that every design comes out the same.
    """
    made = {}
    for name in columns:
        if frame[name].dtype == object or isinstance(frame[name].dtype, pd.StringDtype):
            codes, levels = pd.factorize(frame[name], sort=True)
            made[name] = pd.Categorical.from_codes(codes, categories=levels)
    return frame.assign(**made)


@dataclass(frozen=True)
class Found:
    """What depends on the rows, their effects and the zeros among the outcomes, and on no regressor.

    Parameters
    ----------
    pruned, anew
        Rows without singletons and effects of zeros alone; effects and clusters on them, from `Design.renumbered`.
    held
        The effects and clusters before, kept because they are told apart by their `id`.
    cleared
        Sets of regressors that separate no row of the sample. Neither does a part of one of them, whose combinations are
        among those of all.
    """

    pruned: Pruned
    anew: Mapping[int, Effect]
    held: tuple[Effect, ...]
    cleared: list[frozenset[str]]

    def holds(self, effects: Collection[Effect]) -> bool:
        """Whether the effects are those of the rows that are left."""
        left = set(map(id, self.anew.values() or self.held))
        return left.issuperset(map(id, effects))

    def clears(self, design: Design) -> bool:
        """Whether the regressors of the design are known to separate nothing."""
        return any(names.issuperset(design.names) for names in self.cleared)


class Numbered:
    """One frame for many designs: rows and what follows from them without the regressors, once for each set of rows.

    Parameters
    ----------
    frame
        The sample, from `coded`.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self._kept: dict[bytes, Kept] = {}
        self._found: dict[tuple[object, ...], Found] = {}
        self._layouts: dict[tuple[int, ...], SampleLayout] = {}

    def __call__(self, frame: pd.DataFrame, rows: Codes) -> Kept:
        """Return the rows kept, in which all factors that designs have asked for so far are numbered already."""
        mask = np.zeros(len(frame), dtype=bool)
        mask[rows] = True
        return self._kept.setdefault(_digest(mask), Kept(frame, rows))

    def found(self, design: Design, y: Array | None) -> Found:
        """Return what is known of the design's rows, with the outcome (n,) for a Poisson model, or find it."""
        effects, groups = tuple(design.factors.values()), tuple(design.groups.values())
        key = (*map(id, (*effects, *groups)), None if y is None else _digest(y > 0))
        if key not in self._found:
            pruned = prune(effects, y)
            anew = {} if pruned.keep.all() else design.renumbered(pruned.keep)
            self._found[key] = Found(pruned, anew, (*effects, *groups), [])
        return self._found[key]

    def layout(self, design: Design) -> SampleLayout:
        """Return the layout of the design's rows, kept where other designs may have the same rows and effects."""
        effects = tuple(design.factors.values())
        key = tuple(map(id, effects))
        if key in self._layouts:
            return self._layouts[key]
        made = SampleLayout.of(effects, design.rows)
        if any(found.holds(effects) for found in list(self._found.values())):  # a list: other threads find more
            self._layouts[key] = made
        return made


def _digest(mask: Mask) -> bytes:
    return blake2b(np.packbits(mask).tobytes()).digest()
