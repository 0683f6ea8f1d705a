"""Attach coded events to a panel as treatment columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cyber_trade_econ.codes.country import is_country
from cyber_trade_econ.errors import ConfigError, NotIdentified, SchemaError, UnknownCode
from cyber_trade_econ.exposure import spells
from cyber_trade_econ.exposure.calendar import MISSING, Frequency, as_time, frequency
from cyber_trade_econ.exposure.identification import identification
from cyber_trade_econ.exposure.placement import ORIGIN_NEUTRAL, Hit, Tally, place
from cyber_trade_econ.records.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence


WHY_NEUTRAL = (
    "An origin-neutral rule treats every exporter alike, so it differs between importers and over time but not "
    "between the pairs of one importer: importer-time effects absorb it. It is identified only where it is "
    "interacted with something that varies within an importer and period, such as the border between domestic and "
    "foreign sales, or covered against uncovered products."
)


def expose(
    panel: Panel,
    events: pd.DataFrame,
    *,
    kind: str = "pair",
    on: str | Sequence[str] = "effective",
    by: str | None = None,
    anticipation: int = 0,
    window: tuple[int, int] | None = None,
    prefix: str = "cyber",
) -> Panel:
    """Add treatment columns that say which rows of a panel coded events hit, and since when.

    **Direction.** ``flow == "imports"`` hits exporter = target, importer = imposer; ``"exports"`` the reverse;
    ``"both"`` both directions. ``EUU`` stands for the members of the European Union at the event's date. Every row of
    a pair is hit: the product scope of an event plays no role here.

    **Time.** The period that contains the date is the first in force, even if the date is its last day. A ``lifted``
    date is the first day on which the measure no longer binds: the period that contains the day before is the last in
    force (where the lifting is known to the month or year only, that whole month or year). An event never lifted
    stays in force to the end of the panel. ``anticipation=k`` switches on k periods earlier. ``window=(a, b)`` keeps
    an event on only from ``-a`` periods before its first period to ``b`` after it, or to its lifting if that is
    earlier; with both, the earlier start counts. A date known to the year only cannot be placed in a monthly panel:
    the event is left out.

    Parameters
    ----------
    panel
        Has columns ``exporter`` and ``importer`` (ISO3) and a yearly or monthly time column.
    events
        One row per event: ``event_id``, ``imposer`` and ``target`` (ISO3, ``EUU`` or ``WLD``, joined by ``;``),
        ``flow``, date columns ``announced, adopted, effective, onset, disclosed, lifted`` (``datetime64``; those
        absent are taken as unknown), each with ``<role>_precision`` (day, month or year; where that column is absent:
        day), and optionally ``target_basis``.
    kind
        ``"pair"``: exposure differs between pairs of economies. Origin-neutral events are left out.
    on
        Date role that starts the exposure, or several in order of preference: the first that is known counts.
    by
        Coded column to split by, such as ``"national_action"``; of several values joined by ``;`` the first counts.
    anticipation
        Periods by which exposure starts before the date, 0 or more.
    window
        ``(a, b)`` with ``a <= 0 <= b``, in periods.
    prefix
        Start of the new columns' names.

    Returns
    -------
    The panel with the same rows in the same order and new columns ``{prefix}_on`` (0 or 1), ``{prefix}_count``
    (events in force), ``{prefix}_cohort`` (period of the earliest date of any event that hits the pair within the
    panel's periods, not shifted by anticipation; null where none does), ``{prefix}_first`` (ids of the events with that date,
    joined by ``;``; empty where there is none), and by value of ``by``
    ``{prefix}_on_{value}`` and ``{prefix}_count_{value}``. ``events`` maps each column to the ids behind it;
    ``facts["exposure"][prefix]`` counts what was used, left out and why, overlaps, and which fixed effects would
    absorb the columns.

    Raises
    ------
    EventError, UnknownCode
        If an event breaks the codebook.
    NotIdentified
        If no event is left to expose the panel to.
    ConfigError, SchemaError
        If an option is outside its list, or a needed column is absent or already taken.
    """
    _check_options(panel, events, kind, by, anticipation, window, prefix)
    _check_countries(panel)
    roles = spells.roles_of(on, events)
    spells.check(events)
    freq = frequency(panel)
    span = (-anticipation, MISSING) if window is None else (min(window[0], -anticipation), window[1])
    hits, tally = place(panel, events, roles, by, freq, span)
    if not hits:
        _refuse(panel, len(events), tally)
    columns, behind = _columns(panel, hits, freq, prefix, split=by is not None)
    taken = [c for c in columns if c in panel.frame.columns]
    if taken:
        raise ConfigError(f"column(s) {taken} are already in panel {panel.name!r}", fix="Choose another prefix.")
    frame = panel.frame.assign(
        **{name: pd.Series(values).set_axis(panel.frame.index) for name, values in columns.items()}
    )
    sources = {**panel.sources, **events.attrs.get("sources", {})}
    exposed = panel.with_frame(frame, events={**panel.events, **behind}, sources=sources)
    numeric = [c for c in columns if c not in (f"{prefix}_cohort", f"{prefix}_first")]
    fact: dict[str, Any] = {
        "kind": kind,
        "on": list(roles),
        "by": by or "",
        "anticipation": anticipation,
        "window": list(window) if window else [],
        "given": len(events),
        "used": len(tally.used),
        "used_ids": tally.used,
        "left_out": {reason: list(ids) for reason, ids in tally.left_out.items()},
        "pairs_hit": int(
            panel.frame.loc[columns[f"{prefix}_on"] == 1, ["exporter", "importer"]].drop_duplicates().shape[0]
        ),
        "pairs_absent_from_panel": tally.pairs_absent,
        "treated_rows": int(columns[f"{prefix}_on"].sum()),
        "overlap": _overlap(panel, columns[f"{prefix}_count"]),
        "identification": list(_statements(exposed, numeric)),
    }
    if ORIGIN_NEUTRAL in tally.left_out:
        fact["explanation"] = WHY_NEUTRAL
    return exposed.with_frame(
        exposed.frame, facts={**panel.facts, "exposure": {**panel.facts.get("exposure", {}), prefix: fact}}
    )


def _check_options(
    panel: Panel,
    events: pd.DataFrame,
    kind: str,
    by: str | None,
    anticipation: int,
    window: tuple[int, int] | None,
    prefix: str,
) -> None:
    if not isinstance(panel, Panel) or not isinstance(events, pd.DataFrame):
        raise SchemaError(
            "expose() takes a Panel and a frame of events",
            found=f"{type(panel).__name__}, {type(events).__name__}",
            fix="Wrap a data frame: cte.Panel(frame, unit, time).",
        )
    if kind != "pair":
        raise ConfigError("the kind of exposure", found=repr(kind), allowed=("pair",))
    absent = [c for c in ("exporter", "importer") if c not in panel.frame.columns]
    if absent:
        raise SchemaError(f"panel {panel.name!r} lacks the column(s) {absent}", found=list(panel.frame.columns))
    if by is not None and by not in events.columns:
        raise ConfigError("the column to split exposure by", found=repr(by), allowed=list(events.columns))
    if not isinstance(anticipation, int) or anticipation < 0:
        raise ConfigError("anticipation", found=repr(anticipation), allowed="a whole number of periods, 0 or more")
    sides = window if isinstance(window, tuple | list) else (window,)
    whole = len(sides) == 2 and all(isinstance(s, int) for s in sides)
    if window is not None and not (whole and window[0] <= 0 <= window[1]):
        raise ConfigError("the window of exposure", found=window, allowed="(a, b) with a <= 0 <= b, in periods")
    if not prefix.isidentifier():
        raise ConfigError(
            "the prefix of the new columns", found=repr(prefix), allowed="a name of letters, digits and _"
        )


def _check_countries(panel: Panel) -> None:
    found = pd.unique(pd.concat([panel.frame["exporter"], panel.frame["importer"]]))
    unknown = [code for code in found if not (isinstance(code, str) and is_country(code))]
    if unknown:
        raise UnknownCode(
            f"panel {panel.name!r} has economies that no event could name",
            found=f"{len(unknown)}: {unknown[:8]}",
            allowed="ISO 3166-1 alpha-3 codes in exporter and importer",
            fix="Translate them before exposing the panel.",
        )


def _columns(
    panel: Panel, hits: Sequence[Hit], freq: Frequency, prefix: str, *, split: bool
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Build the new columns and the ids behind each."""
    cohort = np.full(len(panel), MISSING)
    for hit in hits:
        cohort[hit.pair_rows] = np.minimum(cohort[hit.pair_rows], hit.first)
    groups: dict[str, Sequence[Hit]] = {"": hits}
    if split:
        groups |= {f"_{v}": [h for h in hits if h.value == v] for v in sorted({h.value for h in hits})}
    columns: dict[str, Any] = {}
    behind: dict[str, tuple[str, ...]] = {}
    for suffix, group in groups.items():
        count = np.zeros(len(panel), dtype=np.int64)
        for hit in group:
            count[hit.on_rows] += 1
        columns[f"{prefix}_on{suffix}"] = (count > 0).astype(np.int64)
        columns[f"{prefix}_count{suffix}"] = count
        behind |= dict.fromkeys((f"{prefix}_on{suffix}", f"{prefix}_count{suffix}"), tuple(h.event_id for h in group))
        if not suffix:
            columns[f"{prefix}_cohort"] = as_time(cohort, freq)
            columns[f"{prefix}_first"] = _first_events(len(panel), hits, cohort)
            starts = [h.event_id for h in hits if (cohort[h.pair_rows] == h.first).any()]
            behind |= dict.fromkeys((f"{prefix}_cohort", f"{prefix}_first"), tuple(dict.fromkeys(starts)))
    return columns, behind


def _first_events(rows: int, hits: Sequence[Hit], cohort: np.ndarray) -> np.ndarray:
    """Name the events whose date is the cohort of their pair, joined by ``;``; empty where there is none."""
    out = np.full(rows, "", dtype=object)
    for hit in sorted(hits, key=lambda h: h.event_id):
        first = hit.pair_rows[cohort[hit.pair_rows] == hit.first]
        out[first] = [f"{old};{hit.event_id}" if old else hit.event_id for old in out[first]]
    return out


def _overlap(panel: Panel, count: np.ndarray) -> dict[str, Any]:
    """Report where more than one event is in force at a time."""
    ends = panel.frame["exporter"].astype(str) + "-" + panel.frame["importer"].astype(str)
    several = pd.Series(count, index=ends)[count > 1]
    most = several.groupby(level=0).max().sort_values(ascending=False, kind="stable")
    return {
        "pair_periods": len(several),
        "pairs": len(most),
        "largest_count": int(count.max()),
        "most": {str(pair): int(n) for pair, n in most.head(5).items()},
    }


def _statements(panel: Panel, columns: Sequence[str]) -> tuple[str, ...]:
    """Say what the usual effects of a gravity model would absorb; for a panel of one reporter also what its own would."""
    usual = (f"exporter^{panel.time}", f"importer^{panel.time}", "exporter^importer")
    said = identification(panel, columns, usual)
    ends = panel.frame[["exporter", "importer"]]
    everywhere = set(ends.iloc[0]) if len(ends) else set()
    if any(((ends["exporter"] == c) | (ends["importer"] == c)).all() for c in everywhere):
        flow = f"flow^{panel.time}" if "flow" in panel.frame.columns else panel.time
        said += identification(panel, columns, ("exporter^importer", flow))
    return said


def _refuse(panel: Panel, given: int, tally: Tally) -> None:
    reasons = "; ".join(f"{reason}: {len(ids)}" for reason, ids in tally.left_out.items()) or "none was given"
    raise NotIdentified(
        f"no event is left to expose panel {panel.name!r} to",
        found=f"{given} event(s) given, left out: {reasons}",
        fix=WHY_NEUTRAL if ORIGIN_NEUTRAL in tally.left_out else "Choose another date role, panel or set of events.",
    )
