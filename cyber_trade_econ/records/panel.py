"""A Panel: joined data with the names of its unit and its time, ready for a regression."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cyber_trade_econ.errors import DuplicateKey, MissingKey, SchemaError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Panel:
    """Joined data and where they come from; nothing is estimated here.

    Parameters
    ----------
    frame
        One row per unit and time; a default integer index. Treat it as read-only and take a copy before changing it.
    unit
        Column that names the unit (an ordered pair, a partner-flow ...), the default cluster of every estimator.
    time
        Column of the period: an integer year, or a ``datetime64`` first day of the month.
    sources
        Source name -> what identifies the version used (sha256, version, retrieval date, licence, citation).
    events
        Exposure column -> ids of the events that switch it on.
    facts
        What was done to the rows on the way: counts by reason, zero-filled rows, statements on identification.
    name
        Recipe or sample the panel was built from.
    """

    frame: pd.DataFrame
    unit: str
    time: str
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        import pandas as pd

        if (
            not isinstance(self.frame, pd.DataFrame)
            or self.frame.columns.nlevels > 1
            or self.frame.columns.has_duplicates
        ):
            raise SchemaError(
                f"panel {self.name!r} needs a pandas DataFrame whose columns have a name each",
                found=f"an object of type {type(self.frame).__name__}",
            )
        key = [self.unit, self.time]
        absent = [c for c in key if c not in self.frame.columns]
        if absent:
            raise SchemaError(f"panel {self.name!r} lacks its key column(s) {absent}", found=list(self.frame.columns))
        nulls = self.frame[key].isna().any(axis=1)
        if nulls.any():
            raise MissingKey(
                f"panel {self.name!r} has null keys in {key}",
                found=f"{int(nulls.sum())} row(s), first at position {int(nulls.to_numpy().argmax())}",
                fix="Drop or fill them before building the panel.",
            )
        try:
            twice = self.frame.duplicated(key, keep=False)
        except TypeError as error:
            raise SchemaError(f"panel {self.name!r} has keys that cannot be told apart", found=str(error)) from None
        if twice.any():
            shown = self.frame.loc[twice, key].drop_duplicates().head(5).to_dict("records")
            raise DuplicateKey(
                f"panel {self.name!r} has more than one row per {key}",
                found=f"{int(twice.sum())} rows, e.g. {shown}",
                fix="Aggregate, or name a unit that tells them apart.",
            )

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def hash(self) -> str:
        """Sha256 of the column names and values, independent of row order."""
        import numpy as np
        from pandas.util import hash_pandas_object

        frame = self.frame[sorted(self.frame.columns)]
        rows = np.sort(hash_pandas_object(frame, index=False).to_numpy())
        digest = hashlib.sha256("\x1f".join(map(str, frame.columns)).encode())
        digest.update(rows.tobytes())
        return digest.hexdigest()

    def with_frame(self, frame: pd.DataFrame, **changes: Any) -> Panel:
        """Return the same panel on another frame; ``changes`` replace further fields."""
        return replace(self, frame=frame.reset_index(drop=True), **changes)
