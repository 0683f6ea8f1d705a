"""The command line: exit codes, messages without tracebacks, quick help, templates that work."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import cyber_trade_econ
from cyber_trade_econ import cli, scaffold
from cyber_trade_econ.errors import (
    ConfigError,
    CorruptFile,
    NotDataError,
    NotPulled,
    UnknownName,
)
from cyber_trade_econ.records.panel import Panel

ROOT = Path(__file__).resolve().parents[2]
STUDY = '''\
"""A demonstration."""
import pandas as pd
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.report.study import study
from cyber_trade_econ.report.table import table
s = study("@NAME@")
s.add_table("main", table(Estimate("OLS", "y ~ x", pd.Series([1.5], ["x"]), pd.DataFrame([[0.1]], ["x"], ["x"]), 10)))
s.save()
'''


def process(*arguments, code=None, **options):
    command = [sys.executable, *(("-c", code) if code else ("-m", "cyber_trade_econ.cli")), *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env, **options)


def door(monkeypatch, **functions):
    for name, function in functions.items():
        monkeypatch.setattr(cyber_trade_econ, name, function, raising=False)


def failing(error):
    def call(*_, **__):
        raise error

    return call


@pytest.fixture
def analyses(tmp_path, monkeypatch):
    from cyber_trade_econ.records import shipped

    home = tmp_path / "analyses"
    for name in ("01_first", "02_second"):
        (home / name).mkdir(parents=True)
        (home / name / "main.py").write_text(STUDY.replace("@NAME@", name), encoding="utf-8")
    monkeypatch.setattr(shipped, "path", lambda name: tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return home


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from cyber_trade_econ import cli; cli.execute(['--help']); cli.execute(['run', '--help'])\n"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'duckdb', 'scipy', 'matplotlib', 'requests'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = process(code=code)
    assert done.returncode == 0, done.stderr
    for verb in ("sources", "pull", "events", "panel", "run", "cite", "new"):
        assert verb in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        ["pull"],
        ["pull", "x", "--nothing"],
        ["pull", "x", "--years", "20x"],
        ["pull", "x", "--years", "2010-2005"],
        ["run", "no_such_study"],
        ["run", "all", "--data", "other"],
        ["run", "all", "--check", "--data", "pulled"],
        ["new", "room", "x", "--dir", str(ROOT)],
        ["new", "source", "X-1", "--dir", str(ROOT)],
    ],
)
def test_wrong_usage_is_2_without_a_traceback(arguments):
    done = process(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownName("no x"), 2),
        (NotDataError("a page"), 3),
        (NotPulled("x"), 4),
        (CorruptFile("x"), 6),
        (ConfigError("x"), 2),
    ],
)
def test_errors_are_one_message_and_their_code(monkeypatch, capsys, error, code):
    door(monkeypatch, pull=failing(error))
    assert cli.execute(["pull", "baci"]) == code
    captured = capsys.readouterr()
    assert captured.err.strip() == f"{type(error).__name__}: {error}"
    assert captured.out == ""


def test_interrupt_is_130(monkeypatch):
    door(monkeypatch, pull=failing(KeyboardInterrupt()))
    assert cli.execute(["pull", "baci"]) == 130


def test_a_bug_keeps_its_traceback(monkeypatch):
    door(monkeypatch, pull=failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.execute(["pull", "baci"])


def test_closed_stdout_gives_no_traceback():
    code = (
        "import sys, os, pandas as pd, cyber_trade_econ as cte; from cyber_trade_econ import cli\n"
        "cte.sources = lambda: pd.DataFrame({'name': ['x' * 90] * 20000, 'title': 't'})\n"
        "sys.argv = ['cte', 'sources']; cli.main()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=ROOT
    ) as child:
        assert child.stdout.readline().startswith(b"name\ttitle")
        child.stdout.close()
        said = child.stderr.read()
        assert child.wait(60) in (0, 1, 141)
    assert said == b""


def test_sources_are_tab_separated_in_a_pipe(monkeypatch, capsys):
    frame = pd.DataFrame({"name": ["baci"], "title": ["B [x]"], "publisher": ["CEPII"], "licence": ["E"], "z": [1]})
    door(monkeypatch, sources=lambda: frame)
    assert cli.execute(["sources"]) == 0
    assert capsys.readouterr().out == "name\ttitle\tpublisher\tlicence\nbaci\tB [x]\tCEPII\tE\n"


def test_pull_passes_its_options_on(monkeypatch, capsys, tmp_path):
    seen = {}

    def pull(name, **options):
        seen.update(options, name=name)
        stored = SimpleNamespace(rows=12345, paths=("a", "b"))
        return SimpleNamespace(tables={"flows": stored}, facts={"flows": {"rows_no_value": np.int64(3)}}, skipped=True)

    door(monkeypatch, pull=pull)
    assert cli.execute(["pull", "baci", "--mirror", str(tmp_path), "--years", "2005-2007", "--offline"]) == 0
    assert seen == {"name": "baci", "mirror": tmp_path, "years": range(2005, 2008), "offline": True}
    assert capsys.readouterr().out.splitlines() == [
        "baci is up to date",
        "baci.flows: 12,345 rows in 2 file(s)",
        "  rows_no_value: 3",
    ]


def test_events_list(monkeypatch, capsys):
    days = pd.to_datetime(["2010-05-18", None])
    frame = pd.DataFrame({"event_id": ["aaa-2010", "bbb-2011"], "onset": days, "title": ["A", "B"]})
    door(monkeypatch, events=lambda: frame)
    assert cli.execute(["events"]) == 0
    assert cli.execute(["events", "list"]) == 0
    assert capsys.readouterr().out.count("aaa-2010\t2010-05-18\tA\nbbb-2011\t\tB\n") == 2


def test_events_list_prints_dates_as_far_as_they_are_known(capsys):
    assert cli.execute(["events", "list"]) == 0
    rows = {line.split("\t")[0]: line.split("\t") for line in capsys.readouterr().out.splitlines()}
    assert rows["inc-1970-crypto-ag"][5] == "1970"
    assert rows["usa-2018-zte-denial-order"][4:6] == ["2018-04-16", ""]


def test_events_check_takes_a_codebook(capsys, tmp_path):
    from cyber_trade_econ.records import shipped

    text = shipped.path("data/events/codebook.toml").read_text(encoding="utf-8")
    mine = tmp_path / "mine.toml"
    mine.write_text(text, encoding="utf-8")
    assert cli.execute(["events", "check", "--codebook", str(mine)]) == 0
    mine.write_text(text.replace('tariff = "amplify_the_conflict"', 'tariff = "develop_norms"'), encoding="utf-8")
    assert cli.execute(["events", "check", "--codebook", str(mine)]) == 4
    assert "published_action: found 'amplify_the_conflict'; allowed: develop_norms" in capsys.readouterr().out


def test_events_check_names_line_column_found_and_allowed(capsys, tmp_path):
    from cyber_trade_econ.records import shipped

    lines = shipped.path("data/events/events.csv").read_text(encoding="utf-8").splitlines()
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert cli.execute(["events", "check"]) == 0
    assert cli.execute(["events", "check", str(file)]) == 0
    assert capsys.readouterr().out.count("events follow the codebook") == 2
    at = next(i for i, line in enumerate(lines) if line.startswith("usa-2018-section-301-list-2,"))
    lines[at] = lines[at].replace(",USA,CHN,", ",USA,False,").replace("2018-08-23", "2018-02-30")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert cli.execute(["events", "check", str(file)]) == 4
    said = capsys.readouterr()
    assert f"mine.csv: line {at + 1}, target: found 'False' (a spreadsheet writes so what was NO, Norway)" in said.out
    assert f"mine.csv: line {at + 1}, effective: found '2018-02-30'; allowed: a date that exists" in said.out
    assert "2 problem(s)" in said.err


def test_events_agreement_prints_one_line_per_field(capsys, tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    a.write_text("event_id,scenario\nx-1,geopolitical\nx-2,geopolitical\nx-3,regulation_compliance\n", encoding="utf-8")
    b.write_text("event_id,scenario\nx-1,geopolitical\nx-2,geopolitical\nx-4,regulation_compliance\n", encoding="utf-8")
    assert cli.execute(["events", "agreement", str(a), str(a), "--draws", "100"]) == 0
    out = capsys.readouterr().out
    assert "scenario\t3\t1.0\t1.0" in out
    assert cli.execute(["events", "agreement", str(a), str(b), "--draws", "100"]) == 0
    assert "only_in_b: 1" in capsys.readouterr().out
    b.write_text("event_id,scenario\nx-1,geopolitics\n", encoding="utf-8")
    assert cli.execute(["events", "agreement", str(a), str(b)]) == 4
    assert "geopolitics" in capsys.readouterr().err


def test_events_draw_writes_a_picture(capsys, tmp_path):
    assert cli.execute(["events", "draw", "matrix", str(tmp_path / "m.png")]) == 0
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    assert cli.execute(["events", "draw", "cake", str(tmp_path / "c.png")]) == 2
    assert "timeline" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.png"]


def test_events_show_prints_one_shipped_event(capsys):
    from cyber_trade_econ.events import events

    known = events()["event_id"].iloc[0]
    assert cli.execute(["events", "show", known]) == 0
    assert capsys.readouterr().out.strip()
    assert cli.execute(["events", "show", known + "-x"]) == 2
    assert known in capsys.readouterr().err


def test_an_empty_lake_holds_no_table():
    assert not cli._in_lake("baci.flows")


def test_panel_says_what_it_holds(monkeypatch, capsys):
    frame = pd.DataFrame({"pair": ["a", "b"], "year": [2000, 2001], "trade_kusd": [1.0, 2.0]})
    door(monkeypatch, panel=lambda _name, years: Panel(frame, "pair", "year", facts={"years": years}))
    assert cli.execute(["panel", "bilateral_year", "--years", "2000-2001"]) == 0
    out = capsys.readouterr().out
    assert "rows     2" in out
    assert "2000 to 2001" in out


@pytest.mark.parametrize("name", ["01_first", "first", "01"])
def test_run_finds_a_study_by_each_of_its_names(analyses, name, capsys):
    assert cli.execute(["run", name]) == 0
    assert (analyses.parent / "out" / "01_first" / "main.csv").is_file()
    assert "shipped sample" in capsys.readouterr().out
    assert not (analyses / "01_first" / "out").exists()


def test_run_check_passes_fails_and_goes_on(analyses, tmp_path, capsys):
    assert cli.execute(["run", "all", "--out", str(tmp_path / "fresh")]) == 0
    for name in ("01_first", "02_second"):
        (tmp_path / "fresh" / name).rename(analyses / name / "out")
    assert cli.execute(["run", "all", "--check"]) == 0
    assert capsys.readouterr().out.count("equal the published ones") == 2
    table = analyses / "01_first" / "out" / "main.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("1.5", "1.6"), encoding="utf-8")
    assert cli.execute(["run", "all", "--check"]) == 5
    captured = capsys.readouterr()
    assert "1.6 -> 1.5" in captured.err
    assert "02_second: 1 tables equal" in captured.out
    assert json.loads((tmp_path / "out" / "01_first" / "run.json").read_text(encoding="utf-8"))["data"] == "sample"


def test_run_of_an_unknown_study_names_the_near_ones(analyses, capsys):
    assert cli.execute(["run", "01_frist"]) == 2
    assert "01_first" in capsys.readouterr().err


def test_cite(analyses, capsys):
    assert cli.execute(["cite", "first"]) == 0
    out = capsys.readouterr().out
    assert "Data" in out
    assert "cyber_trade_econ, version" in out


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "cyber_trade_econ").mkdir(parents=True)
    (root / "analyses" / "03_old").mkdir(parents=True)
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    return root


def imported(name, path, monkeypatch):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_new_source_works_as_written(checkout, monkeypatch, tmp_path):
    code, test = scaffold.new("source", "ministry_x", checkout)
    assert code == checkout / "cyber_trade_econ" / "sources" / "ministry_x.py"
    imported("cyber_trade_econ.sources.ministry_x", code, monkeypatch)
    stub = imported("stub_source", test, monkeypatch)
    stub.test_tidy_gives_the_declared_table(tmp_path)
    stub.test_only_an_empty_cell_is_missing(tmp_path)


def test_new_things_pass_the_contracts_of_the_house(tmp_path):
    root = tmp_path / "copy"
    for folder in ("cyber_trade_econ", "data", "analyses", "tests/contracts"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(ROOT / file, root / file)
    (code, test), (estimator, own) = (scaffold.new(k, f"made_{k}", root) for k in ("source", "estimator"))
    steps = scaffold.remaining("estimator", [estimator, own])
    door, contract = root / "cyber_trade_econ/__init__.py", root / "tests/contracts/test_estimators.py"
    line = {
        key: next(s for s in steps if s.startswith(f"  {key}")).split(":", 1)[1].strip() for key in ("to _R", "to __a")
    }
    call = next(s for s in steps if "lambda" in s)
    marks = (
        (door, "_ROOMS = {\n", line["to _R"]),
        (door, "__all__ = [\n", line["to __a"]),
        (contract, "CALLS = {\n", call),
    )

    def contracts():
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "made_ or every or door"]
        files = ["tests/contracts/test_sources.py", "tests/contracts/test_estimators.py", str(test), str(own)]
        env = {**os.environ, "PYTHONPATH": str(root)}
        return subprocess.run(
            [*command, *files], cwd=root, env=env, capture_output=True, text=True, timeout=100, check=False
        )

    undone = contracts()
    assert "1 failed" in undone.stdout, "the control: an estimator that nobody holds to the contract is noticed"
    for path, mark, added in marks:
        text = path.read_text(encoding="utf-8")
        assert text.count(mark) == 1
        path.write_text(text.replace(mark, f"{mark}    {added}\n"), encoding="utf-8")
    done = contracts()
    assert done.returncode == 0, done.stdout
    code.write_text(code.read_text(encoding="utf-8").replace("thousand current USD", "thousand USD"), encoding="utf-8")
    assert "test_every_column_has_a_unit" in contracts().stdout, "the control: the unit is looked at"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("source", "registered by being there"),
        ("estimator", '"gravity.made_name": ("made_name",),'),
        ("analysis", "Run it once for its published numbers"),
    ],
)
def test_new_says_what_remains_to_be_done(checkout, capsys, kind, said):
    assert cli.execute(["new", kind, "made_name", "--dir", str(checkout)]) == 0
    wrote, rest = (capsys.readouterr().out + "\n").split("test_", 1)
    assert wrote.startswith("wrote ")
    assert said in rest
    assert (
        cli.execute(["new", kind, "made_name" if kind != "analysis" else "04_made_name", "--dir", str(checkout)]) == 2
    )
    assert said not in capsys.readouterr().out, "nothing was made, so nothing remains"


def test_new_estimator_works_as_written(checkout, monkeypatch):
    code, test = scaffold.new("estimator", "my_method", checkout)
    imported("cyber_trade_econ.gravity.my_method", code, monkeypatch)
    stub = imported("stub_estimator", test, monkeypatch)
    stub.test_recovers_the_planted_mean()
    stub.test_refuses_an_empty_sample()


def test_new_analysis_gets_the_next_number_and_is_short(checkout):
    code, test = scaffold.new("analysis", "incidents", checkout)
    assert code == checkout / "analyses" / "04_incidents" / "main.py"
    assert test.name == "test_04_incidents.py"
    text = code.read_text(encoding="utf-8")
    compile(text, "main.py", "exec")
    assert len(text.splitlines()) <= 80
    assert 'cte.study("04_incidents")' in text
    assert scaffold.new("analysis", "09_other", checkout)[0].parent.name == "09_other"


def test_new_never_overwrites_and_writes_all_or_nothing(checkout):
    _, test = scaffold.new("source", "one", checkout)
    test.write_text("mine", encoding="utf-8")
    (checkout / "cyber_trade_econ" / "sources" / "one.py").unlink()
    with pytest.raises(ConfigError, match="overwritten"):
        scaffold.new("source", "one", checkout)
    assert test.read_text(encoding="utf-8") == "mine"
    assert not (checkout / "cyber_trade_econ" / "sources" / "one.py").exists()


@pytest.mark.parametrize("name", ["class", "Upper", "1x", "../x", "", "a.b"])
def test_new_refuses_names_that_cannot_be_modules(checkout, name):
    with pytest.raises(ConfigError):
        scaffold.new("source", name, checkout)


def test_new_needs_a_checkout(tmp_path):
    with pytest.raises(ConfigError, match="checkout"):
        scaffold.new("source", "x", tmp_path)


def test_templates_follow_the_style_of_the_house(checkout):
    ruff = pytest.importorskip("ruff")
    files = [str(p) for kind in scaffold.KINDS for p in scaffold.new(kind, "made_name", checkout)]
    ours = "lint.isort.known-first-party=['cyber_trade_econ']"
    command = [ruff.find_ruff_bin(), "check", "--config", str(ROOT / "pyproject.toml"), "--config", ours, *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=checkout)
    assert done.returncode == 0, done.stdout
