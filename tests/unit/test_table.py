"""Regression tables: what they show, that they hide nothing, and that no label is a command."""

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyber_trade_econ.errors import ConfigError, StorageError
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.report import escape, number
from cyber_trade_econ.report.table import frame_table, table

TERMS = ["log(dist_km)", "rta", "cyber_rule"]


def estimate(coef=(-0.8123456789012345, 0.1, 0.02), se=(0.02, 0.05, 0.04), events=None, **facts):
    base = {
        "outcome": "trade_kusd",
        "rows_given": 12000,
        "rows_used": 11850,
        "dropped": {"missing": 100, "separated": 50},
        "effects": {"exporter^year": 400, "pair": 900},
        "vcov": "cluster: pair",
        "clusters": {"pair": 900},
        "ssc": "G/(G-1)",
        "pseudo_r2": 0.95,
        "converged": True,
    }
    return Estimate(
        model="PPML",
        formula="trade_kusd ~ x",
        coef=pd.Series(coef, TERMS),
        vcov=pd.DataFrame(np.diag(np.square(se)), TERMS, TERMS),
        nobs=11850,
        facts=base | facts,
        sources={"baci": {"citation": "Gaulier, Zignago (2010). BACI."}},
        events={"cyber_rule": ("E1", "E2", "E1")} if events is None else events,
    )


def shown(t, label):
    return next(r.cells for r in t.rows if r.label == label)


def long_rows(t):
    return list(csv.DictReader(io.StringIO(t.to_csv())))


def test_shows_sample_effects_clusters_and_fit():
    other = replace(
        estimate(effects={"pair": 3}, clusters={}, vcov="hetero", dropped={"missing": 7}), model="OLS", nobs=5
    )
    t = table([estimate(), other])
    assert t.columns == ("(1)", "(2)")
    assert shown(t, "rta") == ("0.100", "0.100")
    assert shown(t, "Observations") == ("11,850", "5")
    assert shown(t, "Rows given") == ("12,000", "12,000")
    assert shown(t, "Dropped: separated") == ("50", "0")
    assert shown(t, "Fixed effects: exporter × year") == ("Yes", "No")
    assert shown(t, "Standard errors") == ("cluster: pair", "hetero")
    assert shown(t, "Clusters: pair") == ("900", "")
    assert shown(t, "Pseudo R²") == ("0.950", "0.950")
    assert "R²" not in [r.label for r in t.rows]
    assert "Small-sample convention: G/(G-1)." in t.notes
    assert "Events behind cyber_rule: E1, E2." in t.events
    assert "Data: Gaulier, Zignago (2010). BACI." in t.notes


def test_events_that_differ_by_column_are_told_apart():
    t = table([estimate(), estimate(events={"cyber_rule": ("E9",)})])
    assert "Events behind cyber_rule in column (1): E1, E2." in t.events
    assert "Events behind cyber_rule in column (2): E9." in t.events
    values = {(r["column"], r["value"]) for r in long_rows(t) if r["name"] == "events: cyber_rule"}
    assert values == {("(1)", "E1;E2"), ("(2)", "E9")}


@pytest.mark.parametrize(("n", "in_note"), [(40, True), (41, False)])
def test_long_lists_of_events_stand_in_full_in_the_csv(n, in_note):
    ids = tuple(f"event-{i:03d}" for i in range(n))
    t = table(estimate(events={"cyber_rule": ids}))
    assert all(i in t.to_csv() for i in ids)
    for text in (t.to_html(), t.to_markdown(), t.to_tex()):
        assert all(i in text for i in ids) == in_note
        assert in_note or f"{n} events, named in the .csv" in text


def test_stars_only_with_their_rule():
    plain, starred = table(estimate()), table(estimate(), stars=True)
    assert not any("*" in c for r in plain.rows for c in r.cells)
    assert not any("p < 0.01" in n for n in plain.notes)
    assert shown(starred, "log(dist_km)") == ("-0.812***",)
    assert shown(starred, "cyber_rule") == ("0.020",)
    assert any("p < 0.01" in n for n in starred.notes)


@pytest.mark.parametrize(
    ("stat", "below"), [("se", "(0.050)"), ("t", "(2.00)"), ("ci", "[0.002, 0.198]"), ("p", "(0.046)")]
)
def test_uncertainty_as_asked(stat, below):
    t = table(estimate(), stat=stat)
    at = [r.label for r in t.rows].index("rta")
    assert t.rows[at + 1].cells == (below,)


def test_missing_standard_error_is_a_dash_with_a_note():
    t = table(estimate(se=(0.02, np.nan, 0.04)))
    at = [r.label for r in t.rows].index("rta")
    assert t.rows[at + 1].cells == ("-",)
    assert any('"-"' in n for n in t.notes)
    assert not any('"-"' in n for n in table(estimate()).notes)


def test_absent_term_is_not_a_missing_standard_error():
    other = replace(estimate().renamed({"rta": "fta"}))
    assert not any('"-"' in n for n in table([estimate(), other]).notes)


def test_collinear_term_is_shown_as_dropped():
    t = table([estimate(collinear=["contig"]), estimate()])
    assert shown(t, "contig") == ("dropped", "")
    assert any('"dropped"' in n for n in t.notes)
    assert [r["value"] for r in long_rows(t) if r["name"] == "contig"] == ["dropped"]


def test_an_estimate_that_did_not_converge_says_so():
    t = table([estimate(), estimate(converged=False)])
    assert shown(t, "Converged") == ("Yes", "No")
    assert any("did not converge" in n for n in t.notes)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1e-17, "-1.0e-17"),
        (-0.0, "0.000"),
        (2.5e-5, "2.5e-05"),
        (0.0004, "4.0e-04"),
        (0.0006, "0.001"),
        (1e15, "1.000e+15"),
        (float("nan"), "-"),
        (float("-inf"), "-inf"),
    ],
)
def test_numbers_as_printed(value, text):
    assert number.fixed(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 8))
def test_no_number_is_shown_as_minus_zero(value, digits):
    text = number.fixed(value, digits)
    assert not re.fullmatch(r"-0\.?0*", text)
    assert (float(text) == 0) == (value == 0)


def test_p_value_never_zero():
    assert number.p_value(0.0) == "<0.001"
    assert number.p_value(0.2) == "0.200"


def test_order_keep_drop_and_names():
    t = table(estimate(), order=["cyber_rule"], drop=["log*"], names={"rta": "Agreement", "pair": "Pair"})
    assert [r.label for r in t.rows if r.label][:2] == ["cyber_rule", "Agreement"]
    assert shown(t, "Fixed effects: Pair") == ("Yes",)
    assert {r["name"] for r in long_rows(t) if r["kind"] == "coef"} == {"rta", "cyber_rule"}


@pytest.mark.parametrize(
    "options",
    [
        {"keep": ["nothing*"]},
        {"keep": "rta"},
        {"drop": TERMS},
        {"order": ["x"]},
        {"stat": "z"},
        {"digits": 0},
        {"columns": ["a", "b"]},
        {"names": {"rta": "X", "cyber_rule": "X"}},
    ],
)
def test_options_outside_their_list_are_refused(options):
    with pytest.raises(ConfigError):
        table(estimate(), **options)


@pytest.mark.parametrize("nothing", [[], [1], "est", None])
def test_no_estimates_is_an_error(nothing):
    with pytest.raises(ConfigError):
        table(nothing)


def test_two_terms_may_share_a_label_across_columns():
    other = estimate().renamed({"rta": "fta"})
    t = table([estimate(), other], names={"rta": "Agreement", "fta": "Agreement"})
    assert shown(t, "Agreement") == ("0.100", "0.100")


def test_csv_has_full_precision_and_keeps_negative_numbers():
    rows = {r["name"]: r for r in long_rows(table(estimate()))}
    assert float(rows["log(dist_km)"]["estimate"]) == -0.8123456789012345
    assert rows["nobs"]["value"] == "11850"
    assert rows["rta"]["value"] == ""
    assert list(rows["rta"]) == ["column", "model", "kind", "name", "estimate", "std_error", "value"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_text_cannot_start_a_formula(start):
    t = table(estimate().renamed({"rta": start + "1+1"}), columns=[start + "cmd"])
    cells = [c for row in csv.reader(io.StringIO(t.to_csv())) for c in row[:4]]
    assert "'" + escape.plain(start) + "1+1" in cells  # line breaks and tabs become spaces
    assert not any(c.startswith(start) for c in cells)


_CONTROL_WORD = re.compile(
    r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textasciigrave)\{\}"
    r"|\\[&%$#_{}]|\$\\(?:times|leq|geq)\$|\$-\$|\$\^2\$|\{[\[\]*]\}"
)


@given(st.text(max_size=40) | st.text(alphabet="\\{}$&#^_%~[]*<>|` ainputx5c\n", max_size=40))
@settings(max_examples=300)
def test_tex_label_has_no_live_character(text):
    rest = _CONTROL_WORD.sub("", escape.tex(text))
    assert not set(rest) & set("\\{}$&#^_%[]*\n\r"), rest


def test_the_tokenizer_would_notice_a_live_character():
    assert set(_CONTROL_WORD.sub("", r"a_b \input{x}")) & set("\\{}_")


@given(st.text(max_size=30))
def test_html_and_markdown_hold_any_text(text):
    t = table(estimate().renamed({"rta": text or "x"}), title=text)
    assert "<script" not in t.to_html().lower() or "<script" not in text.lower()
    assert len({len(re.split(r"(?<!\\)\|", row)) for row in t.to_markdown().splitlines() if row.startswith("|")}) == 1


def test_html_is_escaped():
    t = table(estimate(), names={"rta": "<script>alert(1)</script>"}, title='"&', notes=["<b>"])
    assert "<script>" not in t.to_html()
    assert "&lt;script&gt;" in t._repr_html_()
    assert "&lt;b&gt;" in t.to_html()


def test_tex_braces_and_environments_balance():
    text = table(estimate(), names={"rta": "a{b}_c\\"}, stat="ci", stars=True, title="50% {x").to_tex()
    bare = text.replace(r"\{", "").replace(r"\}", "")
    assert bare.count("{") == bare.count("}")
    assert re.findall(r"\\begin\{(\w+)\}", text) == ["table", "tabular", "minipage"]
    assert len(re.findall(r"\\end\{\w+\}", text)) == 3
    assert "threeparttable" not in text
    assert all(line.count("&") - line.count(r"\&") == 1 for line in text.splitlines() if line.endswith(r" \\"))


@pytest.mark.parametrize("suffix", [".tex", ".html", ".md", ".csv"])
def test_save_writes_each_format_whole(tmp_path, suffix):
    t = table(estimate(), title="Title")
    path = t.save(tmp_path / "new" / f"t{suffix}")
    assert path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == [f"t{suffix}"]
    if suffix == ".html":
        assert '<meta charset="utf-8">' in path.read_text(encoding="utf-8")


def test_save_refuses_an_unknown_suffix_and_an_unwritable_place(tmp_path):
    with pytest.raises(ConfigError, match="docx"):
        table(estimate()).save(tmp_path / "t.docx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        table(estimate()).save(tmp_path / "file" / "t.csv")


def test_frame_table_keeps_numbers_and_labels():
    frame = pd.DataFrame({"n": [3, 1200], "share": [0.5, np.nan], "who": ["=x", None]}, index=["a", "b"])
    t = frame_table(frame, title="Counts")
    assert [r.cells for r in t.rows] == [("3", "0.500", "=x"), ("1,200", "-", "-")]
    assert [r["value"] for r in long_rows(t)] == ["3", "1200", "0.5", "nan", "'=x", "nan"]
    with pytest.raises(ConfigError):
        frame_table(pd.DataFrame({"n": [1, 2]}, index=["a", "a"]))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX engine")
def test_tex_compiles_whatever_the_labels(tmp_path):
    nasty = "".join(map(chr, range(32, 127))) + "×−≤≥²–—\\input{x}"
    t = table(
        [estimate(collinear=["contig"]), estimate((-1e-9, 1e12, np.nan), (1e-10, np.nan, 1.0), converged=False)],
        names={"rta": nasty, "cyber_rule": "[1ex] *x"},
        columns=["[a]", "*b"],
        stat="ci",
        stars=True,
        title=nasty,
        notes=[nasty, "word " * 200],
    )
    tex_log(tmp_path, t.to_tex())
    assert (tmp_path / "t.pdf").is_file()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX engine")
@pytest.mark.parametrize(("columns", "terms"), [(1, 3), (9, 3), (2, 90)])
def test_tex_fits_line_and_page(tmp_path, columns, terms):
    wide = wide_table(columns, terms)
    log = tex_log(tmp_path, wide.to_tex())
    assert "Float too large" not in log
    assert all(float(points) <= 5 for points in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log))
    assert wide.events
    assert wide.to_tex().index("Events behind") > wide.to_tex().index(r"\end{table}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX engine")
@pytest.mark.parametrize(("columns", "terms", "said"), [(9, 3, "Overfull \\hbox"), (2, 90, "Float too large")])
def test_the_log_would_tell_of_a_table_that_does_not_fit(tmp_path, columns, terms, said):
    text = "\n".join(
        line for line in wide_table(columns, terms).to_tex().splitlines() if not line.startswith(r"\ifdim")
    )
    assert said in tex_log(tmp_path, text)


def wide_table(columns, terms):
    names = [f"a rather long name of term {i}" for i in range(terms)]
    ids = tuple(f"usa-2019-a-long-event-of-that-name-{i}" for i in range(110))
    one = Estimate(
        "PPML",
        "y ~ x",
        pd.Series(0.5, names),
        pd.DataFrame(np.eye(terms), names, names),
        99,
        facts={"vcov": "cluster: pair"},
        events={names[0]: ids},
    )
    titles = [f"Number {i}, without some pairs" for i in range(columns)]
    return table([one] * columns, columns=titles, title="A title", stat="ci")


def tex_log(folder, text):
    preamble = "\\documentclass{article}\\usepackage{booktabs}\\usepackage{graphicx}\\begin{document}\n"
    (folder / "t.tex").write_text(preamble + text + "\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return (folder / "t.log").read_text(encoding="latin-1")


def event_study(first=-5, last=4, **facts):
    times = [t for t in range(first, last + 1) if t != -1]
    terms = [f"event_time::{t}" for t in times]
    base = {
        "event_terms": terms,
        "event_time": times,
        "reference": -1,
        "binned_ends": True,
        "treated_units": {t: 1000 + t for t in times},
    }
    vcov = pd.DataFrame(np.eye(len(terms)), terms, terms)
    return Estimate("TWFE", "y ~ x", pd.Series(0.1, terms), vcov, 99, facts=base | facts)


def test_event_studies_show_reference_treated_pairs_and_binned_ends():
    t = table([event_study(), event_study(reference_label="expected flow"), estimate()])
    assert shown(t, "Reference") == ("event time -1", "expected flow", "")
    assert shown(t, "Treated pairs") == ("1,000", "1,000", "")
    labels = [r.label for r in t.rows if r.label]
    assert labels[0] == "Event time -5 or earlier"
    assert "Event time 4 or later" in labels
    assert "Event time 3" in labels
    names = {r["name"] for r in long_rows(t)}
    assert {"event_time::-5", "event_time::4", "reference", "treated_pairs"} <= names
    assert not any("or later" in n for n in names)
    assert not any(r.label in ("Reference", "Treated pairs") for r in table(estimate()).rows)


def test_only_binned_ends_are_called_so():
    open_ends = [r.label for r in table(event_study(binned_ends=False)).rows]
    assert "Event time -5" in open_ends
    assert not any("or earlier" in label or "or later" in label for label in open_ends)
    at_end = table(event_study(-1, 2))  # the reference is the first period and stands for all before it
    assert shown(at_end, "Reference") == ("event time -1 or earlier",)
    assert at_end.rows[0].label == "Event time 0"
    own = table(event_study(), names={"event_time::4": "Later"})
    assert shown(own, "Later") == ("0.100",)


def test_ends_that_only_some_columns_bin_are_told_in_a_note():
    t = table([event_study(), event_study(-5, 6)], columns=["short", "long"])
    labels = [r.label for r in t.rows]
    assert {"Event time -5 or earlier", "Event time 4", "Event time 6 or later"} <= set(labels)
    assert "In column short the window ends with event time 4 or later." in t.notes
    assert not any("window ends" in n for n in table([event_study(), event_study()]).notes)


def test_column_titles_are_escaped_too():
    t = table(estimate(), columns=["<i>a & b</i>"])
    assert "&lt;i&gt;a &amp; b&lt;/i&gt;" in t.to_html()
    assert "<i>a" not in t.to_html()
    assert r"a \& b" in t.to_tex()
