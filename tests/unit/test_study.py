"""Studies: what they publish, what ``run.json`` tells, and that a moved number is noticed."""

import json
import logging
import re
import sys
import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, NotPulled, ParseError, PublishedNumberMoved, UnknownName
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.records.panel import Panel
from cyber_trade_econ.report import cited, printed, provenance, runner, script
from cyber_trade_econ.report.check import check
from cyber_trade_econ.report.figure import figure
from cyber_trade_econ.report.study import Settings, Study, running, study
from cyber_trade_econ.report.table import table

BACI = {"baci": {"citation": "Gaulier, Zignago (2010). BACI.", "sha256": "ab" * 32, "licence": "Etalab"}}

SCRIPT = '''\
"""Does distance matter?

It always did.

References
----------
Tinbergen, J. (1962). Shaping the World Economy.

- Santos Silva, J. M. C. and Tenreyro, S. (2006). The Log of Gravity.
  https://doi.org/10.1162/rest.88.4.641

Data
----
BACI, CEPII.
"""

# %%
import pandas as pd

from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.report.study import study
from cyber_trade_econ.report.table import table

study = study("07_demo", needs=("baci.flows",))
value = 2.0 if study.data == "pulled" else 1.0
found = Estimate("OLS", "y ~ x", pd.Series([value], ["x"]), pd.DataFrame([[0.01]], ["x"], ["x"]), 10)
study.add_estimates({"main": found})
study.add_table("main", table(found))
study.save()
'''


def estimate(value=0.5, variance=0.01, nobs=50, **facts):
    return Estimate(
        "PPML",
        "y ~ x | pair",
        pd.Series([value], ["x"]),
        pd.DataFrame([[variance]], ["x"], ["x"]),
        nobs,
        facts={"outcome": "y", "identification": ["Seven pairs switch."]} | facts,
        sources=BACI,
        events={"x": ("E2", "E1")},
    )


def panel():
    frame = pd.DataFrame({"pair": ["a", "b"], "year": [2000, 2000], "trade_kusd": [1.0, 2.0]})
    return Panel(frame, "pair", "year", sources=BACI, events={"x": ("E3",)}, facts={"zero_filled": 1}, name="demo")


def record(value=0.5, **changes):
    est = estimate(value)
    made = Study("07_demo", "Demo <b>", {"main": table(est)}, {"main": figure(est)}, {"main": est}, {"p": panel()})
    return replace(made, **changes)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "analyses" / "07_demo"
    home.mkdir(parents=True)
    (home / "main.py").write_text(SCRIPT, encoding="utf-8")
    return home


def test_saves_every_format_and_nothing_else(tmp_path):
    files = record(notes=["Words & more"]).save(tmp_path / "out")
    names = {"main.tex", "main.html", "main.md", "main.csv", "main.png", "main.pdf", "index.html", "run.json"}
    assert {p.name for p in files} == names
    assert {p.name for p in (tmp_path / "out").iterdir()} == names
    html = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Demo &lt;b&gt;" in html
    assert "Words &amp; more" in html
    assert '<img src="main.png"' in html
    assert "Seven pairs switch." in html
    assert "sample of official figures" in html


def test_run_json_holds_what_a_reader_needs(tmp_path):
    record(seed=5, seconds=1.234).save(tmp_path)
    run = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert run["sources"]["baci"]["sha256"] == "ab" * 32
    assert run["events"] == ["E1", "E2", "E3"]
    assert run["panels"]["p"]["hash"] == panel().hash
    assert run["estimates"]["main"]["formula"] == "y ~ x | pair"
    assert run["estimates"]["main"]["df"] == "inf"
    assert run["seed"] == 5
    assert run["runtime_seconds"] == 1.23
    assert run["dependencies"]["numpy"] == np.__version__
    assert run["python"].count(".") == 2
    if sys.platform != "win32":
        assert 20 < run["peak_memory_mb"] < 1e5


def test_json_is_safe_and_names_no_machine(tmp_path):
    facts = {
        "nan": float("nan"),
        "np": np.float64(1.5),
        "int": np.int64(3),
        "when": pd.Timestamp("2020-01-02"),
        "path": tmp_path / "x.csv",
        "text_path": str(tmp_path / "y.csv"),
        "rate": "tonnes/year",
        7: (1, {2}, np.array([1.0, np.inf])),
        "na": pd.NA,
        "flag": np.True_,
    }
    made = provenance.json_safe(facts)
    assert made == {
        "nan": None,
        "np": 1.5,
        "int": 3,
        "when": "2020-01-02T00:00:00",
        "path": "x.csv",
        "text_path": "y.csv",
        "rate": "tonnes/year",
        "7": [1, [2], [1.0, "inf"]],
        "na": "<NA>",
        "flag": True,
    }
    est = estimate(raw=str(tmp_path / "y.csv"))
    replace(record(), estimates={"main": est}).save(tmp_path)
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert "NaN" not in text


@pytest.mark.parametrize("stem", ["../x", "a/b", "index", "run", "", ".hidden", "a b", "x.csv"])
def test_stems_that_are_no_file_stems_are_refused(stem):
    with pytest.raises(ConfigError):
        record(tables={stem: table(estimate())})
    assert record(tables={"a-b_2": table(estimate())})


def test_check_accepts_equal_and_rounding_alike(tmp_path):
    record().save(tmp_path / "old")
    record(0.5 * (1 + 1e-9)).save(tmp_path / "new")
    assert check(tmp_path / "new", tmp_path / "old") == ["main.csv"]


def test_check_names_file_row_old_and_new(tmp_path):
    record().save(tmp_path / "old")
    record(0.51).save(tmp_path / "new")
    with pytest.raises(PublishedNumberMoved, match=r"main\.csv, column \(1\), x, estimate: 0\.5 -> 0\.51") as caught:
        check(tmp_path / "new", tmp_path / "old")
    assert caught.value.exit_code == 5


def test_check_measures_a_coefficient_near_zero_by_its_standard_error(tmp_path):
    for name, value in (("old", 1e-12), ("new", 3e-12), ("far", 1e-6)):
        replace(record(), tables={"main": table(estimate(value))}).save(tmp_path / name)
    assert check(tmp_path / "new", tmp_path / "old")
    with pytest.raises(PublishedNumberMoved):
        check(tmp_path / "far", tmp_path / "old")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (estimate(nobs=51), "nobs, value: 50 -> 51"),
        (estimate(outcome="z"), "outcome, value: y -> z"),
        (estimate(vcov="iid"), "vcov: row added"),
        (estimate(float("nan")), "estimate: 0.5 -> nan"),
        (replace(estimate(), model="OLS"), "model: PPML -> OLS"),
        (replace(estimate(), events={"x": ("E2",)}), "events: x, value: E2;E1 -> E2"),
        (estimate().renamed({"x": "z"}), "x: row removed"),
    ],
)
def test_check_notices_every_kind_of_change(tmp_path, changed, said):
    record().save(tmp_path / "old")
    replace(record(), tables={"main": table(changed)}).save(tmp_path / "new")
    with pytest.raises(PublishedNumberMoved) as caught:
        check(tmp_path / "new", tmp_path / "old")
    assert said in str(caught.value)


def test_check_notices_large_counts_that_differ_by_one(tmp_path):
    for name, n in (("old", 50_000_000), ("new", 50_000_001)):
        replace(record(), tables={"main": table(estimate(nobs=n))}).save(tmp_path / name)
    with pytest.raises(PublishedNumberMoved):
        check(tmp_path / "new", tmp_path / "old")


def test_check_notices_missing_and_new_tables_but_not_left_over_files(tmp_path):
    record().save(tmp_path / "old")
    record().save(tmp_path / "new")
    (tmp_path / "new" / "old_run.csv").write_text("left over", encoding="utf-8")
    assert check(tmp_path / "new", tmp_path / "old")
    record(tables={"second": table(estimate())}).save(tmp_path / "new")
    with pytest.raises(PublishedNumberMoved) as caught:
        check(tmp_path / "new", tmp_path / "old")
    assert "main.csv: not written any more" in str(caught.value)
    assert "second.csv: new, not published" in str(caught.value)


@pytest.mark.parametrize("name", ["main.tex", "main.html", "main.md", "index.html"])
@pytest.mark.parametrize(("old", "new"), [("(0.100)", "(0.102)"), ("PPML", "OLS"), ("E2, E1", "E2"), ("50", "51")])
def test_check_reads_the_printed_texts_too(tmp_path, name, old, new):
    record().save(tmp_path / "old")
    record().save(tmp_path / "new")
    assert check(tmp_path / "new", tmp_path / "old")
    path = tmp_path / "old" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PublishedNumberMoved, match=rf"{name}, line \d+: .*{re.escape(new.strip('()'))}.* -> "):
        check(tmp_path / "new", tmp_path / "old")


def test_check_names_missing_texts_and_leaves_pictures_alone(tmp_path):
    record().save(tmp_path / "old")
    record().save(tmp_path / "new")
    (tmp_path / "old" / "main.png").write_bytes(b"another picture")
    assert check(tmp_path / "new", tmp_path / "old")
    (tmp_path / "old" / "main.tex").unlink()
    (tmp_path / "new" / "main.md").unlink()
    with pytest.raises(PublishedNumberMoved) as caught:
        check(tmp_path / "new", tmp_path / "old")
    assert "main.tex: new, not published" in str(caught.value)
    assert "main.md: not written any more" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("x & $-$0.123 \\\\", "x & $-$0.124 \\\\", True),
        ("x & $-$0.123 \\\\", "x & $-$0.125 \\\\", False),
        ("x & $-$0.123 \\\\", "x & 0.123 \\\\", False),
        ("5.0$\\times10^{-4}$", "0.001", True),
        ("4.0$\\times10^{-17}$", "$-$3.0$\\times10^{-17}$", True),
        ("8.0$\\times10^{-5}$", "8.2$\\times10^{-5}$", False),
        ("<td>\N{MINUS SIGN}0.50</td>", "<td>\N{MINUS SIGN}0.51</td>", True),
        ("13,778", "13,779", False),
        ("usa-2018-ndaa", "usa-2019-ndaa", False),
        ("version 0.1.0", "version 0.1.1", False),
        ("doi.org/10.1162/rest", "doi.org/10.1163/rest", False),
        ("0.123***", "0.123**", False),
        ("0.123 fell.", "0.123 rose.", False),
        ("a", "a\nb", False),
    ],
)
def test_printed_numbers_may_round_otherwise_and_nothing_else(old, new, same):
    assert (list(printed.differences(old, new)) == []) == same
    assert (list(printed.differences(new, old)) == []) == same


def test_check_needs_two_folders_and_published_tables(tmp_path):
    record().save(tmp_path / "a")
    with pytest.raises(ConfigError, match="itself"):
        check(tmp_path / "a", tmp_path / "a")
    with pytest.raises(ConfigError, match="nothing is published"):
        check(tmp_path / "a", tmp_path / "none")
    (tmp_path / "a" / "main.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    record().save(tmp_path / "b")
    with pytest.raises(ParseError):
        check(tmp_path / "b", tmp_path / "a")


def test_handle_in_a_notebook_writes_below_the_current_folder(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        handle = study("07_demo", title="T")
        handle.add_note("One\n   line.")
        assert handle.add_panel("p", panel()).name == "demo"
        handle.add_table("t", table(estimate()))
        handle.save()
    assert (tmp_path / "out" / "07_demo" / "t.csv").is_file()
    assert handle.finish().notes == ("One line.",)
    assert "shipped sample" in caplog.text
    with pytest.raises(ConfigError, match="before"):
        handle.add_table("t", table(estimate()))


def test_script_run_by_itself_publishes_beside_itself(folder, monkeypatch):
    main = types.ModuleType("__main__")
    main.__file__ = str(folder / "main.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    handle = study("07_demo")
    assert handle.out == folder / "out"
    assert handle.title == "Does distance matter?"
    assert handle.finish().notes == ("It always did.",)
    assert handle.data == "sample"


def test_run_hands_settings_to_the_script_and_to_nothing_else(folder, tmp_path):
    said = []
    out = runner.run(folder, tmp_path / "out", data="auto", in_lake=lambda _: False, say=said.append)
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert run["data"] == "sample"
    assert run["methods"][0].startswith("Tinbergen")
    assert run["script_sha256"] == script.read(folder / "main.py").sha256
    assert "shipped sample" in said[0]
    assert not (folder / "out").exists()
    assert study("07_demo").out.parts == ("out", "07_demo")


def test_auto_takes_pulled_data_only_when_all_tables_are_there(folder, tmp_path):
    asked = []
    runner.run(folder, tmp_path / "o", data="auto", in_lake=lambda t: asked.append(t) or True, say=asked.append)
    assert asked[0] == "baci.flows"
    assert json.loads((tmp_path / "o" / "run.json").read_text(encoding="utf-8"))["data"] == "pulled"
    settings = Settings(tmp_path, "auto", lambda t: t == "a.x")
    with running(settings):
        assert study("07_demo", needs=("a.x",)).data == "pulled"
        assert study("07_demo", needs=("a.x", "b.y")).data == "sample"
        assert study("07_demo").data == "sample"


def test_pulled_data_asked_for_but_missing_is_an_error(folder, tmp_path):
    with pytest.raises(NotPulled, match="pull baci"):
        runner.run(folder, tmp_path, data="pulled", in_lake=lambda _: False, say=lambda _: None)
    with running(Settings(tmp_path, "pulled")), pytest.raises(NotPulled, match="declares no tables"):
        study("07_demo")


def test_run_without_a_script_is_an_error(tmp_path):
    with pytest.raises(UnknownName):
        runner.run(tmp_path, tmp_path, data="sample", in_lake=lambda _: False, say=lambda _: None)


def test_citations_come_from_the_published_run_or_else_the_script(folder):
    before = cited.lines(folder)
    assert "  BACI, CEPII." in before
    assert any("https://doi.org/10.1162/rest.88.4.641" in line for line in before)
    record().save(folder / "out")
    after = cited.lines(folder)
    assert "  Gaulier, Zignago (2010). BACI. [licence: Etalab]" in after
    assert any(line.startswith("  cyber_trade_econ, version") for line in after)
    (folder / "out" / "run.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ParseError):
        cited.lines(folder)


def test_words_of_a_script(folder):
    words = script.read(folder / "main.py")
    assert words.title == "Does distance matter?"
    assert words.paragraphs == ("It always did.",)
    assert len(words.references) == 2
    assert words.data == ("BACI, CEPII.",)
    (folder / "main.py").write_text("def (", encoding="utf-8")
    with pytest.raises(ParseError):
        script.read(folder / "main.py")
