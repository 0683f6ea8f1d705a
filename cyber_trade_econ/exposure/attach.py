"""Attach coded events to a panel as treatment columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.exposure import account, options, spells
from cyber_trade_econ.exposure.calendar import MISSING, frequency
from cyber_trade_econ.exposure.columns import Measures, Span, build, keep_first, switch
from cyber_trade_econ.exposure.placement import Question, cells_of, locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.exposure.products import Products
    from cyber_trade_econ.records.panel import Panel

Kind = Literal["pair", "origin", "destination", "third_country"]
Party = Literal["flow", "imposer", "target"]


def expose(
    panel: Panel,
    events: pd.DataFrame,
    *,
    kind: Kind = "pair",
    on: str | Sequence[str] = "effective",
    by: str | None = None,
    anticipation: int = 0,
    window: tuple[int, int] | None = None,
    prefix: str = "cyber",
    party: Party = "flow",
    border: bool = False,
    products: Products | str | None = None,
    donut: tuple[int, int] | None = None,
    dose: str | None = None,
    cumulative: bool = False,
    first_only: bool = False,
) -> Panel:
    """Add treatment columns that say which rows of a panel coded events hit, since when and how much.

    **Whom (kind).** The imposer is the economy that takes a measure, or the one to which an incident is attributed; the
    target is the economy that the measure names, or the victim. ``flow`` is the trade of the imposer: ``"imports"``
    makes the target the exporter and the imposer the importer, ``"exports"`` the reverse, ``"both"`` (all incidents)
    both. With several imposers or targets the event is about each. Domestic rows (exporter and importer the same) are
    never hit.

    - ``"pair"``: the rows between imposer and target in the direction of the flow.
    - ``"origin"``: all foreign rows in which one economy is the exporter, whoever buys. ``party`` chooses it: the
      ``"imposer"``, the ``"target"`` (of an incident: the victim), or by ``"flow"`` (default) whoever of them is the
      exporter in the flow: the target of an import rule, the imposer of an export control, both sides of an incident.
    - ``"destination"``: the same for all foreign rows in which the economy is the importer: by ``"flow"`` the imposer
      of an import rule, the target of an export control.
    - ``"third_country"``: rows beside the restricted ones, in two sets of columns. ``{prefix}_diversion_*``: from
      exporters other than the restricted one to the same importer (others who sell to the imposer of an import rule).
      ``{prefix}_deflection_*``: from the restricted exporter to other importers (Bown and Crowley 2007, Journal of
      International Economics 72(1), 176-201). A row can be restricted by one event and beside another.

    ``EUU`` stands for the members of the European Union on the event's date. The United Kingdom is one until
    2020-01-31, although Union law bound it until 2020-12-31: name ``GBR`` beside ``EUU`` for acts of that year that
    bound it. ``WLD`` names no economy. A rule whose target is the world, or coded ``origin_neutral``, is left out of
    pairs and third countries, since importer-time effects absorb it, unless ``border=True``: it then hits every foreign
    row of the imposer in the direction of the flow, and its domestic rows, which the panel must have, are the
    comparison (Heid, Larch and Yotov 2021, Canadian Journal of Economics 54(1), 376-409). An incident that nobody
    attributes has no imposer: it exposes the victim's side alone.

    **When.** The period that contains the date is the first in force, even if the date is its last day. A ``lifted``
    date is the first day on which the measure no longer binds: the period that contains the day before is the last in
    force (where the lifting is known to the month or year only, that whole month or year), but never one before the
    first. An event never lifted stays in force to the end of the panel. A date known to the year only cannot be placed
    in a monthly panel: the event is left out. Whether an act ever bound anybody (``enforcement``) is not asked: where
    ``on`` falls back on ``announced``, non-events count as events, and ``facts`` say how many. Nor is asked whether it
    restricts or eases trade (``direction``): both count alike, so choose the events first.

    Parameters
    ----------
    panel
        Has columns ``exporter`` and ``importer`` (ISO3) and a yearly or monthly time column.
    events
        One row per event: ``event_id``, ``imposer`` and ``target`` (ISO3, ``EUU`` or ``WLD``, joined by ``;``),
        ``flow``, date columns ``announced, adopted, effective, onset, disclosed, lifted`` (``datetime64``; those
        absent are taken as unknown), each with ``<role>_precision`` (day, month or year; where that column is absent:
        day), and optionally ``record_type`` and ``target_basis``.
    kind, party, border
        Whom an event hits, see above. ``border`` with ``"origin"`` and ``"destination"`` only makes sure that the
        panel has the domestic rows that identify a one-sided exposure beside exporter-time and importer-time effects.
    on
        Date role that starts the exposure, or several in order of preference: the first that is known counts.
    by
        Coded column to split by, such as ``"national_action"``; of several values joined by ``;`` the first counts. In
        names of columns an empty value is ``not_coded``, and what is no letter or digit becomes ``_``.
    anticipation
        Periods by which exposure starts before the date, 0 or more.
    window
        ``(a, b)`` with ``a <= 0 <= b``, in periods: an event is on only from ``-a`` periods before its first period to
        ``b`` after it, or to its lifting if that is earlier; of ``a`` and ``anticipation`` the earlier start counts.
    prefix
        Start of the new columns' names.
    products
        By default every product of a pair is hit. The column of the events with their HS codes (``"hs_codes"``), or
        `Products`, lets an event hit only rows whose code begins with one of its codes.
    donut
        ``(a, b)`` in periods around the first one, to be flagged; no row is dropped.
    dose
        Column of the events with a number, such as ``"intensity"``. Events without one are left out and counted.
    cumulative
        Whether to count also the events that have started, those lifted since included; ``anticipation`` and the start
        of ``window`` make an event start earlier here too, and nothing makes it end.
    first_only
        Whether only the earliest event of each pair (and product) in force within the panel counts.

    Returns
    -------
    The panel with the same rows in the same order and new columns ``{prefix}_on`` (0 or 1), ``{prefix}_count``
    (events in force), ``{prefix}_cohort`` (period of the earliest date of any event that hits the pair, and product,
    within the panel's periods, not shifted by anticipation; null where none does), ``{prefix}_first`` (ids of the
    events with that date, joined by ``;``; empty where there is none), where asked for ``{prefix}_cumulative``,
    ``{prefix}_dose`` (sum of the doses in force) and ``{prefix}_donut`` (0 or 1), and by value of ``by`` all but
    cohort, first and donut with ``_{value}`` at the end. ``events`` maps each column to the ids behind it;
    ``facts["exposure"][prefix]`` counts what was used, left out and why, overlaps, and which fixed effects would absorb
    the columns. For third countries ``{prefix}_diversion`` and ``{prefix}_deflection`` stand in place of ``prefix``.

    Raises
    ------
    EventError, UnknownCode
        If an event breaks the codebook.
    NotIdentified
        If no event is left to expose the panel to, or a border interaction is asked for without domestic rows.
    VintageError
        If product codes cannot be brought into one edition.
    ConfigError, SchemaError
        If an option is outside its list, or a needed column is absent or already taken.
    """
    options.check_panel(panel, events)
    anticipation = options.anticipation_of(anticipation)
    options.check_prefix(prefix)
    options.check_column(by, events, "the column to split exposure by")
    options.check_column(dose, events, "the column with the dose")
    scope = options.scope_of(panel, kind, party, border=border)
    spec = options.products_of(products, events)
    first, last = options.periods(window, "the window of exposure") if window is not None else (0, MISSING)
    around = options.periods(donut, "the donut of exposure") if donut is not None else None
    roles = spells.roles_of(on, events)
    spells.check(events)
    asked: dict[str, Any] = {"kind": kind, "on": list(roles), "by": by or "", "anticipation": anticipation}
    asked |= {"window": list(window) if window else []}
    further: dict[str, Any] = {
        "border": border,
        "donut": list(around or ()),
        "dose": dose or "",
        "cumulative": cumulative,
    }
    asked |= {"party": party} if party != "flow" else {}
    asked |= {name: value for name, value in further.items() if value}
    plan = _Plan(
        Question(scope, roles, frequency(panel), spec, by, dose),
        Span(min(first, -anticipation), last, around),
        Measures(prefix, by is not None, cumulative, dose is not None, donut is not None),
        first_only,
        asked,
    )
    return _attach(panel, events, plan)


@dataclass(frozen=True)
class _Plan:
    """A checked call: what is asked of events, when they are on, what is measured, and the options as facts repeat them."""

    ask: Question
    span: Span
    wanted: Measures
    first_only: bool
    asked: dict[str, Any]


def _attach(panel: Panel, events: pd.DataFrame, plan: _Plan) -> Panel:
    cells = cells_of(panel, plan.ask.freq, plan.ask.products)
    placed = {}
    for part in plan.ask.scope.parts:
        found, tally = locate(events, cells, plan.ask, part)
        hits = switch(found, cells, plan.span, tally, cumulative=plan.wanted.cumulative)
        kept = keep_first(found, hits, cells, tally) if plan.first_only else (hits, {})
        placed[part] = *kept, tally
    shown = [h.on if not plan.wanted.cumulative else h.started for hits, _, _ in placed.values() for h in hits]
    if not any(map(len, shown)):
        account.refuse(panel, len(events), next(iter(placed.values()))[2])
    columns: dict[str, Any] = {}
    behind: dict[str, Any] = {}
    facts: dict[str, dict[str, Any]] = {}
    numeric: dict[str, list[str]] = {}
    for part, (hits, ignored, tally) in placed.items():
        wanted = replace(plan.wanted, prefix="_".join(filter(None, (plan.wanted.prefix, part))))
        said = plan.asked | ({"first_only": ignored} if plan.first_only else {})
        new, ids = build(hits, len(panel), plan.ask.freq, wanted)
        count = new[f"{wanted.prefix}_count"]
        said |= account.of_events(tally, events) | account.of_rows(panel, count, cells)
        said |= account.of_products(tally, cells, plan.ask.products)
        columns, behind, facts = columns | new, behind | ids, facts | {wanted.prefix: said}
        numeric[wanted.prefix] = [c for c in new if c not in wanted.no_regressors]
    sources = {**panel.sources, **events.attrs.get("sources", {})}
    exposed = _joined(panel, columns, events={**panel.events, **behind}, sources=sources)
    product = cells.products.column if cells.products is not None else ""
    for prefix, said in facts.items():
        said["identification"] = account.of_identification(exposed, numeric[prefix], product)
    return exposed.with_frame(
        exposed.frame, facts={**panel.facts, "exposure": {**panel.facts.get("exposure", {}), **facts}}
    )


def _joined(panel: Panel, columns: dict[str, Any], **changes: Any) -> Panel:
    """Add the columns to the rows they were made for: many rows to one exposure, so that no row comes or goes."""
    taken = [c for c in columns if c in panel.frame.columns]
    if taken:
        raise ConfigError(f"column(s) {taken} are already in panel {panel.name!r}", fix="Choose another prefix.")
    new = pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})
    frame = pd.concat([panel.frame.reset_index(drop=True), new], axis=1)  # at once: a split may make a hundred columns
    frame.attrs = dict(panel.frame.attrs)
    return panel.with_frame(frame, **changes)
