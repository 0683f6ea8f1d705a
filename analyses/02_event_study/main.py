"""How does trade move around the first cyber event between two economies? Two event studies.

Estimands. (a) Annual trade of pairs of economies: the log difference to the year before the first coded event, net of
exporter-year, importer-year and pair effects. (b) Monthly trade of the United States by partner: actual over expected flow
less one, around the first event, where the flow is expected from the partner's own level, season and trend in the three
years before and from shocks that all partners share.

What it can mean. Coefficients before the event show whether the comparison fits: where they move, the later ones cannot be
read as effects. Under (a) the coefficients mix cohorts with weights that can be negative when effects differ between them.
Both follow the first event of a pair; later ones, and everything else that happened to the pair, are part of what is seen.

Data
----
- Coded events of this package, data/events.

References
----------
- MacKinlay (1997), Event Studies in Economics and Finance, https://www.jstor.org/stable/2729691
- Sun and Abraham (2021), https://doi.org/10.1016/j.jeconom.2020.09.006
- Correia, Guimaraes and Zylkin (2020), ppmlhdfe, https://doi.org/10.1177/1536867X20909691
- Huang, Madnick and Johnson (2018), https://doi.org/10.2139/ssrn.3370562
"""

# %% Data
import cyber_trade_econ as cte

FEWEST_YEARS = 10  # five leads, the reference year and four lags
PUBLIC = ("announced", "adopted", "disclosed", "effective", "onset")  # when firms could first know

study = cte.study("02_event_study", needs=("us_census.flows", "baci.flows", "geodist.pairs", "eurepoc.dyads"))
if study.data == "pulled":
    world, us, events = cte.panel("bilateral_year"), cte.panel("us_month"), cte.incidents("eurepoc")
    years = world.frame["year"].nunique()
    if years < FEWEST_YEARS:
        world = cte.sample("bilateral_year")
        study.say(f"baci.flows holds {years} year(s), too few for leads and lags: pairs of economies come from the sample")
else:
    world, us, events = cte.sample("bilateral_year"), cte.sample("us_month"), cte.events()

# %% Exposure: the period of the first event of each pair
world = study.add_panel("world", cte.expose(world, events, on=PUBLIC))
us = study.add_panel("us", cte.expose(us, events, on=PUBLIC))

# %% Estimates
annual = cte.event_study(world, "trade_musd", "pair", "year", "cyber_cohort", estimator="twfe", leads=5, lags=4)
monthly = cte.event_study(
    us,
    "trade_musd",
    "pair",
    "month",
    "cyber_cohort",
    estimator="abnormal_trade",
    leads=6,
    lags=12,
    window=36,
    common="flow",
    vcov=cte.cluster("partner"),
)

# %% Tables, figures, page
study.add_estimates({"annual": annual, "monthly": monthly})
study.add_table("annual", cte.table([annual], columns=["Pairs of economies, annual"], title="Annual trade around the first event"))
study.add_table("monthly", cte.table([monthly], columns=["US partners, monthly"], title="Abnormal monthly trade of the US"))
study.add_figure("annual", cte.figure(annual))
study.add_figure("monthly", cte.figure(monthly))
for estimate in (annual, monthly):
    for sentence in estimate.facts["identification"]:
        study.add_note(sentence)
study.save()
