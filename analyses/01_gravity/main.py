"""Do coded cyber measures and incidents go with less bilateral trade? Gravity estimates.

Estimand. The average log difference in goods trade between a pair's years since at least one coded cyber measure or
publicly attributed incident bears on it and the same pair's other years, net of everything that is common to an exporter's
or an importer's year. Only measures that bound somebody and restrict count: warnings, authorities, non-events and openings
are left out. An event counts from its first known date (effective, else adopted, announced, onset or disclosed) until it is
lifted; incidents never are. Goods totals stand in for the products a measure covers. Columns marked so leave out trade
between the United States and China, and with it most tariffs and export controls.

What it can mean. A conditional association. Measures are taken, and incidents attributed, between economies whose relations
change for other reasons too (tariffs, sanctions, war); events overlap within pairs; coders chose and dated them; and the
list holds known cases and is no census. The estimate is no effect of any single act.

Data
----
- Coded events of this package, data/events.

References
----------
- Santos Silva and Tenreyro (2006), The Log of Gravity, https://doi.org/10.1162/rest.88.4.641
- Correia, Guimaraes and Zylkin (2020), ppmlhdfe, https://doi.org/10.1177/1536867X20909691
- Yotov, Piermartini, Monteiro and Larch (2016), An Advanced Guide to Trade Policy Analysis, UNCTAD and WTO
- Huang, Madnick and Johnson (2018), https://doi.org/10.2139/ssrn.3370562
"""

# %% Data: trade of pairs by year, United States trade by partner and year, events
import cyber_trade_econ as cte

ROLES = ("effective", "adopted", "announced", "onset", "disclosed")
study = cte.study("01_gravity", needs=("us_census.flows", "baci.flows", "geodist.pairs", "eurepoc.dyads"))
pulled = study.data == "pulled"
plain = world = cte.panel("bilateral_year") if pulled else cte.sample("bilateral_year")
us, events = (cte.panel("us_year"), cte.incidents("eurepoc")) if pulled else (cte.sample("us_year"), cte.events())
restricts = (events["enforcement"] == "bound") & (events["direction"] == "restricts")
events = events[restricts | (events["record_type"] == "incident")]
if plain.frame["year"].nunique() < 5:  # too few for pair effects to leave anything to compare
    world = cte.sample("bilateral_year")
    study.warn("baci.flows holds fewer than five years: columns with pair effects use the shipped sample.")

# %% Exposure: which pair is hit by at least one event, by how many, and by what kind of national action
rest = world.with_frame(world.frame[~world.frame["pair"].isin(["USA-CHN", "CHN-USA"])])
world = study.add_panel("world", cte.expose(world, events, on=ROLES, by="published_action"))
rest = study.add_panel("without USA-CHN", cte.expose(rest, events, on=ROLES, by="published_action"))
us = study.add_panel("us", cte.expose(us, events, on=ROLES))
study.add_panel("columns OLS and PPML", plain)
kinds, rest_kinds = (sorted(c for c in p.frame if c.startswith("cyber_on_")) for p in (world, rest))
for sentence in world.facts["exposure"]["cyber"]["identification"]:
    if sentence.partition(":")[0] in ("cyber_on", "cyber_count", *kinds):
        study.add_note(sentence)

# %% Estimates
COVARIATES = "log(dist_km) + contiguity + common_language | exporter^year + importer^year"
THREE_WAY = "exporter^year + importer^year + pair"
BY_ACTION = "trade_musd ~ {} | " + THREE_WAY
estimates = {
    "OLS": cte.ols(f"log(trade_musd) ~ {COVARIATES}", plain),
    "PPML": cte.ppml(f"trade_musd ~ {COVARIATES}", plain),
    "Any event": cte.ppml(f"trade_musd ~ cyber_on | {THREE_WAY}", world),
    "Number": cte.ppml(f"trade_musd ~ cyber_count | {THREE_WAY}", world),
    "US partners": cte.ppml("trade_musd ~ cyber_on | pair + flow^year", us, vcov=cte.cluster("partner")),
    "Number, no USA-CHN": cte.ppml(f"trade_musd ~ cyber_count | {THREE_WAY}", rest),
}
if len(kinds) > 1:  # incidents alone are of one kind
    estimates["By action"] = cte.ppml(BY_ACTION.format(" + ".join(kinds)), world, collinear="drop")
    estimates["By action, no USA-CHN"] = cte.ppml(BY_ACTION.format(" + ".join(rest_kinds)), rest, collinear="drop")

# %% Table, figure, page
NAMES = {
    "log(dist_km)": "Distance (log)",
    "contiguity": "Common border",
    "common_language": "Common language",
    "cyber_on": "Since any cyber event",
    "cyber_count": "Number of cyber events so far",
} | {k: "Since: " + k.removeprefix("cyber_on_").replace("_", " ") for k in kinds}
NAMES["cyber_on_not_an_action"] = "Since: attributed incident"
study.add_estimates(estimates)
study.add_table("gravity", cte.table(list(estimates.values()), columns=list(estimates), names=NAMES, title=study.title))
shown = list(estimates)[2:]
study.add_figure("gravity", cte.figure([estimates[k] for k in shown], labels=shown, names=NAMES))
study.save()
