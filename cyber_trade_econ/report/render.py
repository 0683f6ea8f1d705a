"""One table in TeX, HTML and Markdown; every text from outside is escaped here and nowhere else."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from cyber_trade_econ.report import escape, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyber_trade_econ.report.table import Table

_ONE = r"(?:<?-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|-?inf|-)"
_NUMBER = re.compile(rf"[(\[]?{_ONE}(?:, {_ONE})?[)\]]?\**")
_POWER = re.compile(r"e([+-]?)0*(\d+)")
# Shrinks the table to the line, then to the part of a page that leaves room for caption and notes; never stretches it.
_TEX_FIT = (
    r"\ifdim\wd0>\linewidth\setbox0=\hbox{\resizebox{\linewidth}{!}{\usebox0}}\fi",
    r"\ifdim\dimexpr\ht0+\dp0\relax>0.7\textheight\setbox0=\hbox{\resizebox*{!}{0.7\textheight}{\usebox0}}\fi",
    r"\usebox0",
)
_MANY_COLUMNS = 4  # more than these stand close, with their words in short lines
_STACKED = 12  # letters in such a line
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
    """Return a floating table that fits line and page, then the events behind it as text that pages may break."""
    n = len(table.columns)
    lines = [r"% needs \usepackage{booktabs} and \usepackage{graphicx}", r"\begin{table}[htbp]", r"\centering"]
    if table.title:
        lines.append(rf"\caption{{{escape.tex(table.title)}}}")
    lines += [r"\setlength{\tabcolsep}{3pt}"] if n > _MANY_COLUMNS else []
    lines += [rf"\setbox0=\hbox{{\begin{{tabular}}{{l{'c' * n}}}", r"\toprule"]
    words = _tex_stacked if n > _MANY_COLUMNS else escape.tex
    lines += [_tex_line("", table.columns, words), r"\midrule"]
    for i, row in enumerate(table.rows):
        if row.rule and i:
            lines.append(r"\midrule")
        lines.append(_tex_line(row.label, row.cells, lambda c: _tex_cell(c) if is_number(c) else words(c)))
    lines += [r"\bottomrule", r"\end{tabular}}%", *_TEX_FIT]
    if table.notes:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}", r"\footnotesize\raggedright"]
        lines += [("Notes: " if i == 0 else "") + escape.tex(note) + r"\par" for i, note in enumerate(table.notes)]
        lines.append(r"\end{minipage}")
    lines.append(r"\end{table}")
    if table.events:
        lines += [r"\par\begingroup\footnotesize\raggedright\setlength{\parindent}{0pt}"]
        lines += [rf"\emph{{{escape.tex(table.title)}: events}}\par"] if table.title else []
        lines += [escape.tex(note) + r"\par" for note in table.events]
        lines.append(r"\endgroup")
    return "\n".join([*lines, ""])


def _tex_line(label: str, cells: Sequence[str], show: Callable[[str], str]) -> str:
    return " & ".join([escape.tex(label), *(show(c) for c in cells)]) + r" \\"


def _tex_stacked(text: str) -> str:
    """Break words over several lines, so that many columns keep their letters large."""
    lines = textwrap.wrap(text, _STACKED, break_long_words=False, break_on_hyphens=False)
    if len(lines) < 2:
        return escape.tex(text)
    return r"\shortstack{" + r"\\".join(escape.tex(line) for line in lines) + "}"


def _tex_cell(cell: str) -> str:
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
    notes = (*table.notes, *table.events)
    if notes:
        lines += ['<div class="cte-notes">', *(f"<p>{escape.html(note)}</p>" for note in notes), "</div>"]
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
    for note in (*table.notes, *table.events):
        lines += ["", escape.markdown(note)]
    return "\n".join([*lines, ""])


def _pipe(label: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join(escape.markdown(c) for c in (label, *cells)) + " |"
