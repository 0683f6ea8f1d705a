"""One table in TeX, HTML and Markdown; every text from outside is escaped here and nowhere else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cyber_trade_econ.report import escape, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyber_trade_econ.report.table import Table

_ONE = r"(?:<?-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|-?inf|-)"
_NUMBER = re.compile(rf"[(\[]?{_ONE}(?:, {_ONE})?[)\]]?\**")
_POWER = re.compile(r"e([+-]?)0*(\d+)")
_RULE = ' style="border-top:1px solid"'
STYLE = (
    "body{font-family:Georgia,'Times New Roman',serif;margin:2rem auto;max-width:60rem;padding:0 1rem;line-height:1.45}"
    "table.cte{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid;margin:.5rem 0}"
    "table.cte caption{text-align:left;font-weight:bold;padding:.3rem 0}"
    "table.cte td,table.cte th{padding:.1rem .8rem;text-align:center;font-weight:normal}"
    "table.cte tbody th{text-align:left}.cte-notes p{font-size:.85rem;margin:.15rem 0}"
    "img{max-width:100%;height:auto}pre{white-space:pre-wrap}"
)


def is_number(cell: str) -> bool:
    """Say whether a cell holds numbers made by this package, so that its signs may be typeset."""
    return _NUMBER.fullmatch(cell) is not None


def to_tex(table: Table) -> str:
    """Return a floating table that needs the package booktabs and nothing else."""
    n = len(table.columns)
    lines = [r"% needs \usepackage{booktabs}", r"\begin{table}[htbp]", r"\centering"]
    if table.title:
        lines.append(rf"\caption{{{escape.tex(table.title)}}}")
    lines += [rf"\begin{{tabular}}{{l{'c' * n}}}", r"\toprule"]
    lines += [_tex_line("", table.columns, escape.tex), r"\midrule"]
    for i, row in enumerate(table.rows):
        if row.rule and i:
            lines.append(r"\midrule")
        lines.append(_tex_line(row.label, row.cells, _tex_cell))
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright"]
        lines += [("Notes: " if i == 0 else "") + escape.tex(note) + r"\par" for i, note in enumerate(table.notes)]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}", ""])


def _tex_line(label: str, cells: Sequence[str], show: Callable[[str], str]) -> str:
    return " & ".join([escape.tex(label), *(show(c) for c in cells)]) + r" \\"


def _tex_cell(cell: str) -> str:
    if not is_number(cell):
        return escape.tex(cell)
    if cell == number.MISSING:
        return "--"
    body = cell.rstrip("*")
    stars = "*" * (len(cell) - len(body))
    body = _POWER.sub(lambda m: rf"$\times10^{{{m[1].replace('+', '')}{m[2]}}}$", body)
    body = re.sub(r"(?<![{\d])-(?=[\di])", "$-$", body).replace("<", "$<$")
    body = body.replace("[", "{[}").replace("]", "{]}")
    return body + (rf"$^{{{stars}}}$" if stars else "")


def to_html(table: Table) -> str:
    """Return one ``<table>`` with its notes; styles come from the page around it."""
    head = "".join(f'<th scope="col">{escape.html(c)}</th>' for c in table.columns)
    lines = ['<div class="cte-table">', '<table class="cte">']
    if table.title:
        lines.append(f"<caption>{escape.html(table.title)}</caption>")
    lines += [f'<thead><tr><th scope="col"></th>{head}</tr></thead>', "<tbody>"]
    for i, row in enumerate(table.rows):
        cells = "".join(f"<td>{_html_cell(c)}</td>" for c in row.cells)
        rule = _RULE if row.rule or i == 0 else ""
        lines.append(f'<tr{rule}><th scope="row">{escape.html(row.label)}</th>{cells}</tr>')
    lines += ["</tbody>", "</table>"]
    if table.notes:
        lines += ['<div class="cte-notes">', *(f"<p>{escape.html(note)}</p>" for note in table.notes), "</div>"]
    return "\n".join([*lines, "</div>", ""])


def _html_cell(cell: str) -> str:
    if not is_number(cell):
        return escape.html(cell)
    body = cell.rstrip("*")
    stars = "*" * (len(cell) - len(body))
    body = re.sub(r"-(?=[\di])", "−", escape.html(body)).replace(number.MISSING, "–")
    return body + (f"<sup>{stars}</sup>" if stars else "")


def page(title: str, body: str) -> str:
    """Return a whole HTML document around ``body``, which must be escaped already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape.html(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def to_markdown(table: Table) -> str:
    """Return a pipe table with the title above and the notes below."""
    lines = [f"**{escape.markdown(table.title)}**", ""] if table.title else []
    lines += [_pipe("", table.columns), "|:--|" + ":-:|" * len(table.columns)]
    lines += [_pipe(row.label, row.cells) for row in table.rows]
    for note in table.notes:
        lines += ["", escape.markdown(note)]
    return "\n".join([*lines, ""])


def _pipe(label: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape.markdown(c) for c in (label, *cells)) + " |"
