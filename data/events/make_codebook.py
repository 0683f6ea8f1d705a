"""Write ``data/events/CODEBOOK.md``, the codebook for reading: ``python data/events/make_codebook.py``."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HEAD = """# Codebook of the coded events

Generated from `codebook.toml` by `python data/events/make_codebook.py`; edit the former. Version {version} of the scheme.

Every column of `events.csv` that is coded has its codes here: what each means, the rule for giving it, events that carry
it, and where its border lies. The names published for the framework of Huang, Madnick and Johnson (2018) stand apart from
these finer codes, and one table per column maps the codes to them. To follow another reading of the framework, copy
`codebook.toml`, change its tables `published` (or `restrictiveness`), and pass the copy: `cte.recode(cte.events(),
cte.codebook("mine.toml"))`.

Columns that are not coded: `event_id` (stable), `title`, `imposer` and `target` (ISO 3166 alpha-3; EUU is the European
Union at the date, WLD every partner; `imposer` is empty for an incident attributed to nobody), `companies`, `hs_codes` (2,
4 or 6 digits), `intensity` (below), `source_citation`, `source_date`, `source_url`, `other_sources` (joined by ` | `),
`draft_case`, `note`.

`intensity` is the severity of an incident, 0 to 10, after the scale of the Dyadic Cyber Incident and Campaign Data (Maness,
Valeriano and Jensen, version 2.0): 1 probing; 2 nuisance, defacement, propaganda; 3 theft of targeted information from one
victim; 4 theft of information on a broad scale, or of money; 5 a critical network entered with an attempt to damage, or a
critical service stopped for a time; 6 a critical network widely destroyed; 7 with loss of life; 8 critical disruption of
the national economy; 9 destruction of critical infrastructure; 10 massive loss of life. It is ordinal."""


def main() -> None:
    """Write the page."""
    (HERE / "CODEBOOK.md").write_text(page(HERE / "codebook.toml"), encoding="utf-8")


def page(file: Path) -> str:
    """Return the text of the page for a codebook."""
    book = tomllib.loads(file.read_text(encoding="utf-8"))
    lines = [HEAD.format(version=book["version"])]
    for name, field in book["fields"].items():
        lines += [f"## {name}", "", field["meaning"] + _shape(field), "", *_codes(field["codes"]), ""]
    lines += ["## Dates", "", "A cell is YYYY-MM-DD, YYYY-MM or YYYY, and its length is its precision.", ""]
    lines += [*_codes(book["roles"]), "", "## Published names", ""]
    for name, options in book["options"].items():
        lines += [f"### {name}", "", "| published name | meaning | text | codes |", "|---|---|---|---|"]
        for option, about in options.items():
            codes = ", ".join(f"`{c}`" for c, published in book["published"][name].items() if published == option)
            lines.append(f"| `{option}` | {about['definition']} | {about['source']} | {codes or 'none'} |")
        lines.append("")
    lines += ["## restrictiveness", ""]
    lines += [
        "How far an action reaches into trade, 0 (not at all) to 5 (nothing may be sold). Ordinal, a proposal.",
        "",
    ]
    lines += ["| step | actions |", "|---|---|"]
    steps = book["restrictiveness"]
    for step in sorted(set(steps.values())):
        lines.append(f"| {step} | {', '.join(f'`{a}`' for a, s in steps.items() if s == step)} |")
    return "\n".join([*lines, ""])


def _shape(field: dict[str, Any]) -> str:
    said = []
    if field.get("several"):
        said.append("Several codes may be given, joined by `;`.")
    if field.get("along"):
        said.append(f"One code for each of `{field['along']}`, in their order, joined by `;`.")
    if field.get("optional"):
        said.append("May be empty.")
    return "".join(f" {s}" for s in said)


def _codes(codes: dict[str, dict[str, Any]]) -> list[str]:
    lines = ["| code | meaning | rule | where its border lies | events |", "|---|---|---|---|---|"]
    for name, c in codes.items():
        examples = ", ".join(f"`{e}`" for e in c["examples"]) or "none"
        lines.append(f"| `{name}` | {c['definition']} | {c['rule']} | {c['borderline']} | {examples} |")
    return lines


if __name__ == "__main__":
    main()
