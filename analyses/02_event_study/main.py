"""How does trade move around the first cyber event between two economies? Two event studies.

Estimands. (a) Annual trade of pairs of economies: the log difference to the year before the first coded event, net of
exporter-year, importer-year and pair effects. (b) Monthly trade of the United States by partner: total actual over total
expected flow less one, around the first event, where the flow is expected from the partner's own level, season and trend
in the three years before and from shocks that all partners share.

What it can mean. Coefficients before the event show whether the comparison fits: where they move, the later ones cannot be
read as effects. Under (a) the coefficients mix cohorts with weights that can be negative when effects differ between them.
Both follow the first event of a pair; later ones, and everything else that happened to the pair, are part of what is seen.
Clustered errors of Poisson models with three-way effects are too small in panels of this size (Weidner and Zylkin 2021), and
the monthly estimate rests on few dates: its degrees of freedom are the effective number of dates less one. Only measures that
bound somebody and restrict count, beside incidents: warnings, authorities, non-events and openings are left out.

Data
----
- Coded events of this package, data/events.

References
----------
- MacKinlay (1997), Event Studies in Economics and Finance, https://www.jstor.org/stable/2729691
- Weidner and Zylkin (2021), https://doi.org/10.1016/j.jinteco.2021.103513
- Sun and Abraham (2021), https://doi.org/10.1016/j.jeconom.2020.09.006
- Correia, Guimaraes and Zylkin (2020), ppmlhdfe, https://doi.org/10.1177/1536867X20909691
- Huang, Madnick and Johnson (2018), https://doi.org/10.2139/ssrn.3370562
"""

# %% Data
import cyber_trade_econ as cte

PUBLIC = ("announced", "adopted", "disclosed", "effective", "onset")  # when firms could first know

study = cte.study("02_event_study", needs=("us_census.flows", "baci.flows", "geodist.pairs", "eurepoc.dyads"))
pulled = study.data == "pulled"
world = cte.panel("bilateral_year") if pulled else cte.sample("bilateral_year")
us, events = (cte.panel("us_month"), cte.incidents("eurepoc")) if pulled else (cte.sample("us_month"), cte.events())
restricts = (events["enforcement"] == "bound") & (events["direction"] == "restricts")
events = events[restricts | (events["record_type"] == "incident")]
if world.frame["year"].nunique() < 10:  # five leads, the reference year and four lags
    world = cte.sample("bilateral_year")
    study.warn("baci.flows holds fewer than ten years: the annual study uses the shipped sample.")

# %% Exposure: the period of the first event of each pair; once for all events, once for those that bear on goods
goods = events[(events["hs_codes"] != "") | (events["record_type"] == "incident")]
chosen = {"All events": events} | ({"Incidents, measures on goods": goods} if len(goods) < len(events) else {})
worlds = {k: study.add_panel(f"world: {k}", cte.expose(world, e, on=PUBLIC)) for k, e in chosen.items()}
partners = {k: study.add_panel(f"us: {k}", cte.expose(us, e, on=PUBLIC)) for k, e in chosen.items()}

# %% Estimates; partners hit on one date share its shocks, so the monthly errors are clustered by date
KEYS = ("trade_musd", "pair")
annual = {
    k: cte.event_study(p, *KEYS, "year", "cyber_cohort", estimator="twfe", leads=5, lags=4) for k, p in worlds.items()
}
abnormal = {"estimator": "abnormal_trade", "leads": 6, "lags": 12, "window": 36, "common": "flow", "trend": True}
by_date = cte.cluster("cyber_cohort")
monthly = {k: cte.event_study(p, *KEYS, "month", "cyber_cohort", vcov=by_date, **abnormal) for k, p in partners.items()}

# %% Tables, figures, page
TITLES = {"annual": "Annual trade around the first event", "monthly": "Abnormal monthly trade of the United States"}
for stem, estimates in {"annual": annual, "monthly": monthly}.items():
    study.add_estimates({f"{stem}: {k}": e for k, e in estimates.items()})
    study.add_table(stem, cte.table(list(estimates.values()), columns=list(estimates), title=TITLES[stem]))
    study.add_figure(stem, cte.figure(estimates["All events"]))
    study.add_note(estimates["All events"].facts["identification"][0])
study.save()
