"""A study: the handle its script works with, and the record of what it publishes."""

from __future__ import annotations

import json
import logging
import re
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from cyber_trade_econ.errors import ConfigError, NotPulled
from cyber_trade_econ.report import page, provenance, script, write
from cyber_trade_econ.report.table import SUFFIXES, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cyber_trade_econ.records.estimate import Estimate
    from cyber_trade_econ.records.panel import Panel
    from cyber_trade_econ.report.figure import Figure

Data = Literal["sample", "pulled"]
Choice = Literal["auto", "sample", "pulled"]
CHOICES: tuple[Choice, ...] = ("auto", "sample", "pulled")

T = TypeVar("T")
_log = logging.getLogger(__name__)
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TAKEN = ("index", "run")


@dataclass(frozen=True)
class Study:
    """Everything a study publishes.

    Parameters
    ----------
    name
        Folder of the study, such as ``"01_gravity"``.
    title
        First line of its page.
    tables, figures
        By file stem: letters, digits, ``_`` and ``-``.
    estimates, panels
        By name; their facts, formulae, sources and events go to ``run.json``.
    data
        ``"sample"`` (shipped with the package) or ``"pulled"``.
    seed
        Seed of everything random in the study.
    notes
        Paragraphs of the page.
    methods
        Citations of the methods used.
    script_sha256
        Hash of the script that made it; empty in a notebook.
    seconds
        Run time.
    """

    name: str
    title: str = ""
    tables: Mapping[str, Table] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    panels: Mapping[str, Panel] = field(default_factory=dict)
    data: Data = "sample"
    seed: int = 0
    notes: Sequence[str] = ()
    methods: Sequence[str] = ()
    script_sha256: str = ""
    seconds: float | None = None

    def __post_init__(self) -> None:
        for stem in (*self.tables, *self.figures):
            _check_stem(stem)

    def save(self, out: Path | str) -> list[Path]:
        """Write tables (.tex, .html, .md, .csv), figures (.png, .pdf), ``run.json`` and ``index.html`` into ``out``.

        Returns
        -------
        The files written, each whole or not at all.

        Raises
        ------
        StorageError
            If a file cannot be written.
        """
        folder = Path(out)
        files = [t.save(folder / f"{stem}{s}") for stem, t in self.tables.items() for s in SUFFIXES]
        for stem, figure in self.figures.items():
            files += figure.save(folder / f"{stem}.png", folder / f"{stem}.pdf")
        run = json.dumps(provenance.record(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        return [*files, write.whole(folder / "index.html", page.html(self)), write.whole(folder / "run.json", run)]


@dataclass(frozen=True)
class Settings:
    """What whoever runs a study decides for it.

    Parameters
    ----------
    out
        Folder for its files.
    data
        ``"auto"`` takes pulled data where the lake holds every table the study needs, and the shipped sample elsewhere.
    in_lake
        Says whether the lake holds a table.
    say
        Takes the messages of the study.
    """

    out: Path
    data: Choice = "sample"
    in_lake: Callable[[str], bool] = lambda _: False
    say: Callable[[str], None] = _log.info


_current: ContextVar[Settings | None] = ContextVar("settings of the running study", default=None)


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Hand ``settings`` to the `study` calls inside."""
    token = _current.set(settings)
    try:
        yield
    finally:
        _current.reset(token)


@dataclass
class StudyRun:
    """The handle of a running study; it collects what `save` then publishes. Get one from `study`."""

    name: str
    data: Data
    out: Path
    seed: int
    title: str
    methods: tuple[str, ...]
    _script_sha256: str = ""
    _say: Callable[[str], None] = _log.info
    _started: float = field(default_factory=time.perf_counter)
    _notes: list[str] = field(default_factory=list)
    _tables: dict[str, Table] = field(default_factory=dict)
    _figures: dict[str, Figure] = field(default_factory=dict)
    _estimates: dict[str, Estimate] = field(default_factory=dict)
    _panels: dict[str, Panel] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Tell whoever runs the study: the terminal under ``cyber-trade-econ run``, the log elsewhere."""
        self._say(text)

    def warn(self, text: str) -> None:
        """Say something that a reader of the page must know too."""
        self.say(text)
        self.add_note(text)

    def add_note(self, text: str) -> None:
        """Add a paragraph to the page: what the numbers can and cannot mean."""
        self._notes.append(" ".join(text.split()))

    def add_table(self, stem: str, table: Table) -> Table:
        """Publish ``table`` as ``stem.tex``, ``.html``, ``.md`` and ``.csv``; return it."""
        _put(self._tables, stem, table, "table")
        return table

    def add_figure(self, stem: str, figure: Figure) -> Figure:
        """Publish ``figure`` as ``stem.png`` and ``stem.pdf``; return it."""
        _put(self._figures, stem, figure, "figure")
        return figure

    def add_estimates(self, estimates: Mapping[str, Estimate]) -> None:
        """Record formulae, facts, sources and events of estimates in ``run.json``."""
        for name, estimate in estimates.items():
            _put(self._estimates, name, estimate, "estimate", file=False)

    def add_panel(self, name: str, panel: Panel) -> Panel:
        """Record the hash, sources and events of a panel in ``run.json``; return it."""
        _put(self._panels, name, panel, "panel", file=False)
        return panel

    def finish(self) -> Study:
        """Return the record of what was collected so far."""
        return Study(
            name=self.name,
            title=self.title,
            tables=dict(self._tables),
            figures=dict(self._figures),
            estimates=dict(self._estimates),
            panels=dict(self._panels),
            data=self.data,
            seed=self.seed,
            notes=tuple(self._notes),
            methods=self.methods,
            script_sha256=self._script_sha256,
            seconds=time.perf_counter() - self._started,
        )

    def save(self) -> list[Path]:
        """Write everything into `out` and return the files."""
        files = self.finish().save(self.out)
        self.say(f"{self.name}: {len(files)} files in {self.out}")
        return files


def study(name: str, *, needs: Sequence[str] = (), seed: int = 20240229, title: str = "") -> StudyRun:
    """Begin a study and return its handle.

    Under ``cyber-trade-econ run`` the command decides on the folder and the data. A script ``<name>/main.py`` run by
    itself uses the sample and writes to ``out/`` beside it; a notebook writes to ``out/<name>`` in the current folder.

    Parameters
    ----------
    name
        Folder of the study, such as ``"01_gravity"``.
    needs
        Tables that the study needs from the lake to run on pulled data, such as ``"us_census.flows"``.
    seed
        Seed for everything random; kept in ``run.json``.
    title
        Title of the page; the first line of the script's docstring by default.

    Raises
    ------
    ConfigError
        If the name is not a plain folder name.
    NotPulled
        If pulled data were asked for and a table is missing.
    """
    _check_stem(name)
    path = script.running(name)
    words = script.read(path) if path is not None else script.Words()
    settings = _current.get() or Settings(out=path.parent / "out" if path is not None else Path("out") / name)
    run = StudyRun(
        name=name,
        data=_decide(name, settings, tuple(needs)),
        out=settings.out,
        seed=seed,
        title=title or words.title or name,
        methods=words.references,
        _script_sha256=words.sha256,
        _say=settings.say,
        _notes=list(words.paragraphs),
    )
    run.say(f"{name}: works on the {'shipped sample' if run.data == 'sample' else 'pulled data'}")
    return run


def _decide(name: str, settings: Settings, needs: tuple[str, ...]) -> Data:
    if settings.data == "sample":
        return "sample"
    missing = [table for table in needs if not settings.in_lake(table)]
    if settings.data == "auto":
        return "pulled" if needs and not missing else "sample"
    if missing or not needs:
        raise NotPulled(
            f"{name} cannot run on pulled data",
            found=f"the lake lacks {', '.join(missing)}" if missing else "the study declares no tables of the lake",
            fix=f"Run: cyber-trade-econ pull {missing[0].split('.')[0]}" if missing else "Use --data sample.",
        )
    return "pulled"


def _check_stem(stem: str) -> None:
    if not _STEM.fullmatch(stem) or stem in _TAKEN:
        raise ConfigError(
            "the name of a study, table or figure",
            found=repr(stem),
            allowed=f"letters, digits, _ and -, not {' or '.join(_TAKEN)}",
        )


def _put(store: dict[str, T], name: str, value: T, what: str, *, file: bool = True) -> None:
    if file:
        _check_stem(name)
    if name in store:
        raise ConfigError(f"a {what} of that name was added before", found=repr(name), fix="Give each its own name.")
    store[name] = value
