"""The verbs of ``cyber-trade-econ``. Heavy libraries are imported inside the commands, so that ``--help`` is quick."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cyber_trade_econ.errors import ConfigError, CyberTradeError, UnknownName

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    name="cyber-trade-econ",
    help="From public trade data and coded cyber events to estimates of how bilateral trade shifts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
events_app = typer.Typer(help="The coded events: list them, show one, check a file against the codebook.")
app.add_typer(events_app, name="events", invoke_without_command=True)

YearsOption = Annotated[str | None, typer.Option("--years", help="Years as A-B, or one year.", metavar="A-B")]


@app.command("sources")
def sources() -> None:
    """List what can be pulled, with publisher and licence."""
    frame = _cte().sources()
    _frame(frame[[c for c in ("name", "title", "publisher", "licence") if c in frame.columns]])


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="Source, as listed by `sources`.")],
    mirror: Annotated[
        Path | None, typer.Option(help="Folder with the publisher's files, in place of a download.")
    ] = None,
    years: YearsOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never use the network.")] = False,
) -> None:
    """Fetch a source and turn it into tables."""
    wanted = _years(years)
    with _status(f"pulling {name}"):
        pulled = _cte().pull(name, mirror=mirror, years=wanted, offline=offline)
    if pulled.skipped:
        _line(f"{name} is up to date")
    for table, stored in pulled.tables.items():
        _line(f"{name}.{table}: {stored.rows:,} rows in {len(stored.paths)} file(s)")
        for fact, value in pulled.facts.get(table, {}).items():
            _line(f"  {fact}: {value}")


@events_app.callback()
def events(context: typer.Context) -> None:
    """List the coded events."""
    if context.invoked_subcommand is None:
        events_list()


@events_app.command("list")
def events_list() -> None:
    """List the coded events, one per line."""
    frame = _cte().events()
    roles = [c.removesuffix("_precision") for c in frame.columns if c.endswith("_precision")]
    frame = frame.assign(**{role: _known_part(frame, role) for role in roles})
    shown = ("event_id", "record_type", "imposer", "target", "announced", "onset", "title")
    _frame(frame[[c for c in shown if c in frame.columns]])


@events_app.command("show")
def events_show(event_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the event.")]) -> None:
    """Show every field of one event."""
    from cyber_trade_econ.events import show

    _line(show(event_id))


@events_app.command("check")
def events_check(
    file: Annotated[Path | None, typer.Argument(help="File of events; the shipped one by default.")] = None,
    scheme: Annotated[Path | None, typer.Option("--codebook", help="A codebook of your own.")] = None,
) -> None:
    """Check events against the codebook: one line per problem, with line, column, found and allowed."""
    from cyber_trade_econ.errors import EventError
    from cyber_trade_econ.events import check, codebook

    number, odd = check(file, codebook(scheme))
    name = "the shipped events" if file is None else file.name
    for problem in odd:
        _line(f"{name}: {problem}")
    if odd:
        raise EventError(f"{name}: {len(odd)} problem(s) in {number} events", fix="Correct the cells named above.")
    _line(f"{number} events follow the codebook")


@events_app.command("agreement")
def events_agreement(
    codes_a: Annotated[Path, typer.Argument(metavar="CODES_A", help="CSV with event_id and coded columns.")],
    codes_b: Annotated[Path, typer.Argument(metavar="CODES_B", help="The same events, coded by somebody else.")],
    draws: Annotated[int, typer.Option(help="Bootstrap draws.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 20180103,
) -> None:
    """Compare two coders field by field: share equal, Cohen's kappa, Krippendorff's alpha, 95 % intervals."""
    from cyber_trade_econ.events import agreement

    out = agreement(codes_a, codes_b, draws=draws, seed=seed)
    _frame(out.round(3))
    for fact, value in out.attrs["facts"].items():
        _line(f"{fact}: {value}")


@events_app.command("draw")
def events_draw(
    kind: Annotated[str, typer.Argument(help="timeline, matrix or map.")],
    file: Annotated[Path, typer.Argument(help="Picture to write: .png, .pdf or .svg.")],
    side: Annotated[str, typer.Option(help="imposer or target, for the map.")] = "imposer",
) -> None:
    """Draw the coded events."""
    cte = _cte()
    written = cte.event_figure(cte.events(), kind, side=side).save(file)
    _line(f"wrote {written[0]}")


@app.command()
def panel(
    name: Annotated[str, typer.Argument(help="Recipe of the panel.")],
    years: YearsOption = None,
) -> None:
    """Build a panel from what was pulled, and say what it holds."""
    wanted = _years(years)
    with _status(f"building {name}"):
        built = _cte().panel(name, years=wanted)
    when = built.frame[built.time]
    _line(f"rows     {len(built):,}")
    _line(f"units    {built.frame[built.unit].nunique():,} ({built.unit})")
    _line(f"time     {when.min()} to {when.max()} ({built.time})")
    _line(f"columns  {', '.join(map(str, built.frame.columns))}")
    _line(f"hash     {built.hash}")
    for fact, value in built.facts.items():
        _line(f"{fact}: {value}")
    for source in built.sources:
        _line(f"source   {source}")


@app.command()
def run(
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY...", help="Studies such as 01_gravity or gravity; or all.")
    ],
    out: Annotated[Path, typer.Option(help="Folder; each study writes into a folder of its own there.")] = Path("out"),
    check: Annotated[
        bool, typer.Option("--check", help="Fail if a published number moved (works on the sample).")
    ] = False,
    data: Annotated[str, typer.Option(help="auto, sample or pulled.")] = "auto",
) -> None:
    """Run studies; without pulled data they work on the shipped sample and say so."""
    from cyber_trade_econ.report import runner

    if data not in runner.CHOICES:
        raise ConfigError("--data", found=repr(data), allowed=runner.CHOICES)
    if check and data == "pulled":
        raise ConfigError("--check compares with numbers of the sample", found="--data pulled", fix="Leave --data out.")
    code = 0
    for folder in _studies(studies):
        try:
            runner.run(folder, out / folder.name, data="sample" if check else data, in_lake=_in_lake, say=_line)
            if check:
                names = runner.check(out / folder.name, folder / "out")
                _line(f"{folder.name}: {len(names)} tables equal the published ones")
        except CyberTradeError as error:
            _fail(error, folder.name)
            code = code or error.exit_code
    if code:
        raise typer.Exit(code)


@app.command()
def cite(study: Annotated[str, typer.Argument(metavar="STUDY", help="Study such as 01_gravity or gravity.")]) -> None:
    """Print the citations of a study: data, methods, package."""
    from cyber_trade_econ.report import cited

    for folder in _studies([study]):
        for line in cited.lines(folder):
            _line(line)


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="source, estimator or analysis.")],
    name: Annotated[str, typer.Argument(help="Lower-case name, such as eurostat_comext.")],
    folder: Annotated[Path, typer.Option("--dir", help="Root of a source checkout.")] = Path(),
) -> None:
    """Write a working template and its test into the right room; nothing is ever overwritten."""
    from cyber_trade_econ import scaffold

    written = scaffold.new(kind, name, folder)
    for path in written:
        _line(f"wrote {path}")
    for step in scaffold.remaining(kind, written):
        _line(step)


def _cte() -> Any:
    import cyber_trade_econ

    return cyber_trade_econ


def _in_lake(table: str) -> bool:
    from cyber_trade_econ.lake import catalog

    source, _, name = table.partition(".")
    content = catalog.manifest(catalog.home(), source)
    return bool(content) and name in catalog.stored(catalog.home(), content)


def _years(text: str | None) -> range | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", text)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise ConfigError("--years", found=repr(text), allowed="A-B with A not after B, such as 2005-2021, or one year")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def _studies(names: list[str]) -> list[Path]:
    """Folders of the studies named, in order, once each."""
    from cyber_trade_econ.records import shipped

    known = {p.parent.name: p.parent for p in sorted(shipped.path("analyses").glob("*/main.py"))}
    chosen: dict[str, Path] = {}
    for name in names:
        hits = list(known) if name == "all" else [k for k in known if name in (k, *k.split("_", 1))]
        if not hits:
            near = difflib.get_close_matches(name, known, 3)
            raise UnknownName(f"there is no study {name!r}", allowed=near or [*known, "all"])
        chosen |= {hit: known[hit] for hit in hits}
    return list(chosen.values())


def _frame(frame: pd.DataFrame) -> None:
    """Show a frame: a table on a terminal, tab-separated lines into a pipe."""
    rows = [[_cell(v) for v in row] for row in frame.itertuples(index=False, name=None)]
    if not sys.stdout.isatty():
        for row in [list(map(str, frame.columns)), *rows]:
            _line("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*map(str, frame.columns))
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _known_part(events: pd.DataFrame, role: str) -> list[str]:
    """Return the dates of a role as text that is as long as they are known; the frame holds the first possible day."""
    known = {"": 0, "year": len("YYYY"), "month": len("YYYY-MM"), "day": len("YYYY-MM-DD")}
    cells = zip(events[role], events[f"{role}_precision"], strict=True)
    return [str(day)[: known[precision]] for day, precision in cells]


def _cell(value: Any) -> str:
    """Return a value on one line; a day without its midnight, a missing one as nothing."""
    text = " ".join(str(value).split())
    return "" if text in ("NaT", "nan", "<NA>", "None") else text.removesuffix(" 00:00:00")


def _line(text: str) -> None:
    typer.echo(text)


def _status(text: str) -> Any:
    """Return a spinner that shows on a terminal and stays out of logs."""
    from rich.console import Console

    return Console(stderr=True).status(text)


def _fail(error: CyberTradeError, study: str = "") -> None:
    where = f"{study}: " if study else ""
    typer.echo(f"{type(error).__name__}: {where}{error}", err=True)


def execute(arguments: list[str]) -> int:
    """Run a command line; return its code: 2 usage, 3 network, 4 data, 5 estimation, 6 storage, 130 Ctrl-C."""
    try:
        app(arguments, prog_name="cyber-trade-econ")
    except CyberTradeError as error:
        _fail(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Entry point of the console script."""
    try:
        code = execute(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away (`| head`); the interpreter must not try to flush again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    raise SystemExit(code)


if __name__ == "__main__":
    main()
