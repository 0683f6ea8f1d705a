"""The one schema into which every incident database is brought: that of the coded events and four columns more."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from cyber_trade_econ.errors import SchemaError
from cyber_trade_econ.events.dates import ROLES
from cyber_trade_econ.events.validate import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPES = (
    *("espionage", "disruption", "destruction", "ransomware"),
    *("theft_of_funds", "influence", "access", "unknown"),
)
ATTRIBUTIONS = ("government", "others", "origin_only", "contested", "none")
HIGHEST = 10.0

# The first day from which the rows of a source were collected in another way. EuRepoC: nearly all incidents that began
# before 2020 (1,277 of 1,314) entered the database on one day of August 2022 from a predecessor that was coded afterwards
# and chose political cases; those from 2022 on were added day by day as they became known, and yearly counts rise from 71
# to over 700.
BREAKS: Mapping[str, pd.Timestamp] = MappingProxyType({"eurepoc": pd.Timestamp("2022-01-01")})

_CONSTANT = {
    "record_type": "incident",
    "flow": "both",
    "cyber_ground": "yes",
    "national_action": "incident",
    "published_action": "not_an_action",
    "org_action": "na",
    "scenario": "na",
    "mechanism": "na",
    "supply_chain_position": "na",
    "target_basis": "attributed_attacker_and_victim",
    "enforcement": "na",
    "direction": "na",
    "source_kind": "database",
    "source_check": "database",
}
_DATED = ("onset", "disclosed")
_TEXT = (
    *("title", "imposer", "target", "incident_type", "attribution"),
    *("source_citation", "companies", "concern", "note"),
)
_PARTS = ("event_id", *_TEXT, *_DATED, *(f"{d}_precision" for d in _DATED), "intensity", "intensity_native")


def incident_frame(parts: Mapping[str, pd.Series], *, source: str) -> pd.DataFrame:
    """Return the incidents of one database in the common schema.

    Parameters
    ----------
    parts
        Column -> one value per incident, on one index. ``event_id`` must be there; what is missing is empty.
        ``title``, ``source_citation``, ``companies``, ``concern``, ``note``: text, runs of white space become one blank.
        ``imposer``, ``target``: ISO3, several joined by ``;``, ``""`` where no economy is known. ``onset``,
        ``disclosed``: dates or null, each with ``<role>_precision`` (``day``, ``month``, ``year``; ``day`` if missing).
        ``incident_type``: codes of `TYPES` joined by ``;``, ``unknown`` if missing. ``attribution``: a code of
        `ATTRIBUTIONS`; if missing, ``others`` with an imposer and ``none`` without. ``intensity``: points 0 to 10 of the
        scale of the codebook, null unknown. ``intensity_native``: the number as the database has it.
    source
        Name of the database, such as ``"eurepoc"``.

    Returns
    -------
    Frame with the columns of `events` in their order and ``source``, ``intensity_native`` and ``source_break`` (whether
    the row falls after a change of how the source was collected, see `BREAKS`; by onset, or disclosure without one).
    Rows in the order given with an index from 0. The intensities are float64, ``restrictiveness`` is NaN. ``confidence``
    is ``unconfirmed`` where ``attribution`` is ``none`` and ``partly`` elsewhere, since no primary source was read.

    Raises
    ------
    SchemaError
        If a part is unknown or on another index, ids repeat, a code is unknown, an intensity lies outside 0 to 10, an
        incident has no date at all, both sides share an economy, or ``imposer`` is empty where ``attribution`` is not
        ``none`` or the other way round.
    """
    given = _given(parts)
    _check(given)
    empty = pd.Series("", index=given.index, dtype=object)
    columns: dict[str, pd.Series] = {}
    for name in COLUMNS:
        if name in ROLES:
            known = name in _DATED
            columns[name] = given[name] if known else pd.Series(pd.NaT, index=given.index, dtype="datetime64[ns]")
            columns[f"{name}_precision"] = (given[f"{name}_precision"] if known else empty).astype(str)
        elif name == "confidence":
            columns[name] = given["attribution"].eq("none").map({True: "unconfirmed", False: "partly"}).astype(str)
        elif name in given.columns:
            columns[name] = given[name]
        else:
            columns[name] = pd.Series(_CONSTANT.get(name, ""), index=given.index).astype(str)
    columns["restrictiveness"] = pd.Series(float("nan"), index=given.index)
    columns["source"] = pd.Series(source, index=given.index).astype(str)
    columns["intensity_native"] = given["intensity_native"]
    when = given["onset"].fillna(given["disclosed"])
    columns["source_break"] = when >= BREAKS[source] if source in BREAKS else pd.Series(False, index=given.index)
    return pd.DataFrame(columns)


def _given(parts: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Every part on one index, missing ones empty."""
    strange = sorted(set(parts) - set(_PARTS))
    if strange or "event_id" not in parts:
        raise SchemaError("parts of an incident frame", found=strange or "no event_id", allowed=_PARTS)
    index = parts["event_id"].index
    apart = [name for name, part in parts.items() if not part.index.equals(index)]
    if apart:
        raise SchemaError("parts of an incident frame that are not on the index of event_id", found=apart)
    fresh = pd.RangeIndex(len(index))
    out = pd.DataFrame(index=fresh)
    out["event_id"] = pd.Series(parts["event_id"].to_numpy(), index=fresh).astype(str)
    for name in _TEXT:
        text = parts[name].fillna("").to_numpy() if name in parts else ""
        out[name] = pd.Series(text, index=fresh, dtype=object).astype(str).str.split().str.join(" ").astype(str)
    for name in _DATED:
        days = parts[name].to_numpy() if name in parts else pd.NaT
        out[name] = pd.to_datetime(pd.Series(days, index=fresh)).astype("datetime64[ns]")
        precision = parts[f"{name}_precision"].to_numpy() if f"{name}_precision" in parts else "day"
        out[f"{name}_precision"] = pd.Series(precision, index=fresh, dtype=object).where(out[name].notna(), "")
    for name in ("intensity", "intensity_native"):
        points = parts[name].to_numpy() if name in parts else None
        try:
            out[name] = pd.to_numeric(pd.Series(points, index=fresh, dtype=object)).astype("float64")
        except (TypeError, ValueError) as error:
            raise SchemaError(name, found=str(error)[:80], allowed="numbers, or null") from None
    if "incident_type" not in parts:
        out["incident_type"] = "unknown"
    if "attribution" not in parts:
        out["attribution"] = out["imposer"].eq("").map({True: "none", False: "others"})
    return out


def _check(given: pd.DataFrame) -> None:
    def refuse(rows: pd.Series, what: str, allowed: object) -> None:
        if rows.any():
            ids = given.loc[rows, "event_id"].head(5).tolist()
            raise SchemaError(what, found=f"{int(rows.sum())} incident(s), such as {ids}", allowed=allowed)

    refuse(given["event_id"].duplicated(), "event_id repeats", "each id once")
    refuse(given["onset"].isna() & given["disclosed"].isna(), "onset and disclosed", "at least one of them")
    kinds = given["incident_type"].str.split(";")
    refuse(~kinds.map(lambda k: set(k) <= set(TYPES)), "incident_type", TYPES)
    refuse(~given["attribution"].isin(ATTRIBUTIONS), "attribution", ATTRIBUTIONS)
    for name in _DATED:
        precision = given.loc[given[name].notna(), f"{name}_precision"]
        wrong = ~precision.isin(["day", "month", "year"])
        refuse(wrong.reindex(given.index, fill_value=False), f"{name}_precision", ("day", "month", "year"))
    refuse(given["intensity"].lt(0) | given["intensity"].gt(HIGHEST), "intensity", "0 to 10, or null")
    unattributed = given["attribution"].eq("none")
    refuse(unattributed != given["imposer"].eq(""), "imposer", "empty where attribution is none, and only there")
    sides = zip(given["imposer"], given["target"], strict=True)
    shared = [bool(i and t and set(i.split(";")) & set(t.split(";"))) for i, t in sides]
    refuse(pd.Series(shared, index=given.index, dtype=bool), "imposer and target", "no economy on both sides")
