"""The page of a study: title, words, tables and figures on one HTML page beside its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyber_trade_econ.report import chosen, escape, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cyber_trade_econ.records.panel import Panel
    from cyber_trade_econ.report.study import Study


def html(study: Study) -> str:
    """Return ``index.html``; it refers to the figures by file name and holds the tables themselves."""
    title = study.title or study.name
    parts = [f"<h1>{escape.html(title)}</h1>", f"<p>{escape.html(_data(study))}</p>"]
    parts += [f"<p>{escape.html(note)}</p>" for note in study.notes]
    for stem, table in study.tables.items():
        files = " ".join(f'<a href="{stem}.{s}">.{s}</a>' for s in ("tex", "md", "csv"))
        parts.append(f'<section id="table-{stem}">\n{table.to_html()}<p>{files}</p>\n</section>')
    for stem, figure in study.figures.items():
        alt = escape.html(figure.title or stem)
        image = f'<img src="{stem}.png" alt="{alt}">\n<p><a href="{stem}.pdf">.pdf</a></p>'
        parts.append(f'<section id="figure-{stem}">\n{image}\n</section>')
    said = [str(s) for e in study.estimates.values() for s in e.facts.get("identification", ())]
    parts += _listed("What identifies the estimates", chosen.distinct(said))
    parts += _listed("Data", [_panel(name, panel) for name, panel in study.panels.items()])
    parts += _listed("Models", [f"{name}: {e.model}, {e.formula}" for name, e in study.estimates.items()])
    parts += _listed("References", study.methods)
    parts.append('<p>Versions, data and facts of every estimate: <a href="run.json">run.json</a></p>')
    return render.page(title, "\n".join([*parts, ""]))


def _data(study: Study) -> str:
    if study.data == "pulled":
        return "Estimated on pulled data, and on the shipped sample where the section on data says so."
    return "Estimated on the sample of official figures that travels with the package."


def _panel(name: str, panel: Panel) -> str:
    origin = panel.facts.get("origin", "pulled")
    return f"{name}: {panel.name} ({origin}), {len(panel):,} rows, from {', '.join(panel.sources)}"


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    items = "".join(f"<li>{escape.html(line)}</li>" for line in lines)
    return [f"<h2>{escape.html(heading)}</h2>\n<ul>{items}</ul>"]
