"""Regression tables: estimates side by side with what a reader needs to judge them."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import pandas as pd

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.report import chosen, event_rows, grid, long, number, render, write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cyber_trade_econ.records.estimate import Estimate

SUFFIXES = (".tex", ".html", ".md", ".csv")


@dataclass(frozen=True)
class Table:
    """A finished table; every format is made from this one object.

    Parameters
    ----------
    title
        Text above the table; empty for none.
    columns
        Titles of the columns, without the column of labels.
    rows
        Label and shown texts, one text per column.
    notes
        Sentences below the table.
    events
        Which coded events stand behind which coefficients: long, so TeX prints them after the float.
    long
        The same at full precision, one row per number: column, model, kind, name, estimate, std_error, value.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[grid.Row, ...]
    notes: tuple[str, ...]
    long: pd.DataFrame = field(repr=False, compare=False)
    events: tuple[str, ...] = ()

    def to_tex(self) -> str:
        """Return a TeX float no wider than the line, then the events as text; it needs booktabs and graphicx."""
        return render.to_tex(self)

    def to_html(self) -> str:
        """Return an HTML fragment."""
        return render.to_html(self)

    def to_markdown(self) -> str:
        """Return a pipe table with title and notes."""
        return render.to_markdown(self)

    def to_csv(self) -> str:
        """Return the numbers at full precision as CSV, one per row."""
        return long.to_csv(self.long)

    def to_frame(self) -> pd.DataFrame:
        """Return the rows of `to_csv` as a frame: column, model, kind, name, estimate, std_error, value."""
        return self.long.copy()

    def save(self, path: Path | str) -> Path:
        """Write the table in the format that the suffix names, whole or not at all.

        Raises
        ------
        ConfigError
            If the suffix is none of ``.tex``, ``.html``, ``.md``, ``.csv``.
        StorageError
            If the file cannot be written.
        """
        match write.suffix(path, SUFFIXES):
            case ".tex":
                text = self.to_tex()
            case ".html":
                text = render.page(self.title or "Table", self.to_html())
            case ".md":
                text = self.to_markdown()
            case _:
                text = self.to_csv()
        return write.whole(path, text)

    def _repr_html_(self) -> str:
        return self.to_html()


def table(
    estimates: Estimate | Iterable[Estimate],
    *,
    names: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    keep: Sequence[str] | None = None,
    drop: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    digits: int = 3,
    stars: bool = False,
    stat: grid.Stat = "se",
    title: str | None = None,
    notes: Sequence[str] = (),
) -> Table:
    """Lay estimates side by side, one column each.

    Below the coefficients stand the rows given, dropped by reason and used, the fixed effects, the kind of standard
    errors, the clusters and the fit; as notes the small-sample convention, the data and the events behind each
    coefficient. An event study also shows its reference and the pairs treated at event time 0, and where its ends are
    binned their labels say so.

    Parameters
    ----------
    estimates
        One estimate or several.
    names
        Labels of terms, effects, clusters and outcomes; those absent keep their own name.
    columns
        Titles of the columns, which must differ. By default ``(1)``, ``(2)`` ..., with the sample of each where those of
        `cyber_trade_econ.fits` differ.
    keep, drop, order
        Terms to show, to leave out, to put first; ``*`` stands for any text.
    digits
        Decimals shown, 1 to 10; the ``.csv`` always has full precision.
    stars
        Mark significance at 10, 5 and 1 per cent, with a note that says so.
    stat
        Below each estimate: ``"se"``, ``"t"``, ``"ci"`` (95 %) or ``"p"``.
    title
        Text above the table.
    notes
        Further sentences below the table.

    Raises
    ------
    ConfigError
        If there is no estimate, an option is outside its list, a pattern matches no term, or a label is ambiguous.
    """
    several = chosen.estimates(estimates)
    if stat not in grid.STATS:
        raise ConfigError("stat= of a table", found=repr(stat), allowed=grid.STATS)
    _check_digits(digits)
    titles = chosen.titles(columns if columns is not None else chosen.own_titles(estimates) or None, len(several))
    shown = chosen.terms(several, keep=keep, drop=drop, order=order)
    style = grid.Style(digits, stars, stat, {**event_rows.end_labels(several), **(names or {})})
    return Table(
        title=title or "",
        columns=titles,
        rows=(*grid.coefficient_rows(several, shown, style), *grid.stat_rows(several, style)),
        notes=(*grid.notes(several, titles, shown, style), *map(str, notes)),
        long=long.of_estimates(several, titles, shown),
        events=tuple(event_rows.notes(several, titles, shown, style.names)),
    )


def frame_table(frame: pd.DataFrame, *, digits: int = 3, title: str | None = None, notes: Sequence[str] = ()) -> Table:
    """Show any small frame (counts, tests, a robustness grid) as a table; its index holds the row labels.

    Parameters
    ----------
    frame
        Distinct columns, and an index without duplicates; numbers stay numbers in the ``.csv``.
    digits
        Decimals of non-integer numbers, 1 to 10.
    title, notes
        As in `table`.

    Raises
    ------
    ConfigError
        If the frame is empty or its labels repeat.
    """
    _check_digits(digits)
    labels = [" / ".join(map(str, i)) if isinstance(i, tuple) else str(i) for i in frame.index]
    titles = tuple(" / ".join(map(str, c)) if isinstance(c, tuple) else str(c) for c in frame.columns)
    if not labels or not titles or len(set(labels)) != len(labels) or len(set(titles)) != len(titles):
        raise ConfigError(
            "a table needs rows and columns with distinct labels",
            found=f"{len(labels)} rows ({len(set(labels))} labels), {len(titles)} columns ({len(set(titles))} titles)",
            fix="Set an index that names each row.",
        )
    named = frame.set_axis(list(titles), axis=1)
    texts = [[_shown(v, digits) for v in named[c]] for c in titles]
    rows = tuple(grid.Row(label, tuple(cells)) for label, *cells in zip(labels, *texts, strict=True))
    return Table(title or "", titles, rows, tuple(map(str, notes)), long.of_frame(named, labels))


def _check_digits(digits: int) -> None:
    if not 1 <= digits <= 10:
        raise ConfigError("digits= of a table", found=digits, allowed="1 to 10")


def _shown(value: Any, digits: int) -> str:
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value) if isinstance(value, bool) or not pd.isna(value) else number.MISSING
    return number.count(float(value)) if isinstance(value, Integral) else number.fixed(float(value), digits)
