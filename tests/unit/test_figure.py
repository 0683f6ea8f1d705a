"""Figures: what is drawn, that odd estimates do not break them, and that they leave no trace in global settings."""

import subprocess
import sys
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.markers import CARETDOWN, CARETUP

from cyber_trade_econ.errors import ConfigError
from cyber_trade_econ.records.estimate import Estimate
from cyber_trade_econ.report import theme
from cyber_trade_econ.report.figure import figure


def event_study(times=range(-5, 7), se=0.04, model="ETWFE", seed=0, **facts):
    times = [t for t in times if t != -1]
    terms = [f"event_time::{t}" for t in times]
    rng = np.random.default_rng(seed)
    coef = pd.Series([(-0.1 if t >= 0 else 0.0) + rng.normal(0, 0.02) for t in times], terms, dtype=float)
    base = {
        "event_terms": terms,
        "event_time": times,
        "reference": -1,
        "treated_units": {t: 100 - abs(t) for t in [*times, -1]},
        "binned_ends": True,
        "effect_unit": "log points",
        "time_unit": "year",
        "vcov": "cluster: pair",
        "clusters": {"pair": 321},
    }
    vcov = pd.DataFrame(np.diag(np.full(len(terms), se**2)), terms, terms)
    return Estimate(
        model, "y ~ x", coef, vcov, 4321, 320, base | facts, {"baci": {"citation": "Gaulier, Zignago (2010)"}}
    )


def gravity(model="PPML"):
    terms = ["log(dist_km)", "rta"]
    return Estimate(
        model, "y ~ x", pd.Series([-0.8, 0.1], terms), pd.DataFrame(np.diag([4e-4, 25e-4]), terms, terms), 99
    )


def texts(fig):
    return " ".join(t.get_text() for t in fig.canvas.texts)


def test_event_study_shows_reference_band_and_treated_pairs():
    fig = figure(event_study())
    upper, lower = fig.axes
    assert upper.get_ylabel() == "Effect\n(log points)"
    assert lower.get_xlabel() == "Years since the event"
    labels = [t.get_text() for t in lower.get_xticklabels()]
    assert labels[0] == "≤−5"
    assert labels[-1] == "≥6"
    assert "0" in labels
    assert len(lower.patches) == 12
    reference = fig.data[fig.data["is_reference"]]
    assert reference[["event_time", "estimate", "conf_low"]].to_numpy().tolist() == [[-1, 0, 0]]
    assert any(line.get_xdata()[0] == -0.5 for line in upper.lines if len(line.get_xdata()) == 2)
    hollow = [line for line in upper.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata().tolist() for line in hollow] == [[-1.0]]
    assert "95 %" in texts(fig)
    assert [t.get_text() for t in upper.texts if t.get_text() == "reference"] == ["reference"]
    assert "by pair (321)" in " ".join(texts(fig).split())
    assert "Gaulier, Zignago (2010)" in texts(fig)


def test_interval_in_the_data_is_the_one_of_tidy():
    estimate = event_study()
    fig = figure(estimate, level=0.9)
    drawn = fig.data[~fig.data["is_reference"]].set_index("term")
    tidy = estimate.tidy(0.9).set_index("term")
    pd.testing.assert_frame_equal(
        drawn[["estimate", "conf_low", "conf_high"]], tidy[["estimate", "conf_low", "conf_high"]]
    )


def test_ends_without_binning_are_plain_numbers():
    labels = [t.get_text() for t in figure(event_study(binned_ends=False)).axes[-1].get_xticklabels()]
    assert labels[0] == "−5"
    assert labels[-1] == "6"


def test_many_months_get_few_ticks_on_whole_half_years():
    fig = figure(event_study(range(-24, 37), time_unit="month"))
    ticks = fig.axes[-1].get_xticks()
    assert len(ticks) <= 16
    assert {-24, 0, 36} <= set(ticks)
    assert fig.axes[-1].get_xlabel() == "Months since the event"


def test_overlay_has_a_legend_and_keeps_series_apart():
    fig = figure([event_study(), event_study(model="Sun-Abraham", seed=1)])
    assert [t.get_text() for t in fig.canvas.legends[0].get_texts()] == ["ETWFE", "Sun-Abraham"]
    assert fig.data["series"].unique().tolist() == ["ETWFE", "Sun-Abraham"]
    assert len(fig.axes[1].patches) == 12  # equal counts are drawn once


def test_different_counts_are_drawn_side_by_side():
    other = event_study(model="stacked", treated_units=dict.fromkeys(range(-5, 7), 5))
    assert len(figure([event_study(), other]).axes[1].patches) == 24


def test_without_counts_there_is_one_panel():
    assert len(figure(event_study(treated_units={})).axes) == 1


def test_coefficient_plot():
    fig = figure([gravity(), gravity("OLS")], names={"rta": "Agreement"}, title="T")
    (axes,) = fig.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["log(dist_km)", "Agreement"]
    assert len(fig.data) == 4
    assert len(figure(event_study(), kind="coefficient").data) == 11
    assert len(figure(gravity(), keep=["rta"]).data) == 1


@pytest.mark.parametrize(
    "estimate",
    [
        event_study([0]),
        event_study([0], reference=None, treated_units={}),
        event_study([-2, 0]),
        event_study(se=np.nan),
        event_study(se=0.0),
        event_study(se=1e12),
        event_study(se=np.inf),
        event_study(treated_units={0: 1}),
        event_study(reference=-5, event_time=[-5, *range(-4, -1), *range(7)]),
        event_study(time_unit="fortnight", effect_unit="%"),
    ],
)
def test_odd_event_studies_are_drawn_without_a_warning(estimate, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (path,) = figure(estimate).save(tmp_path / "f.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_no_finite_estimate_is_said():
    estimate = event_study()
    estimate.coef[:] = np.nan
    assert any(t.get_text() == "no finite estimate" for t in figure(estimate).axes[0].texts)
    assert not any(t.get_text() == "no finite estimate" for t in figure(event_study()).axes[0].texts)


def test_one_huge_interval_is_cut_and_named():
    estimate = event_study()
    estimate.vcov.iloc[2, 2] = 1e8
    fig = figure(estimate)
    low, high = fig.axes[0].get_ylim()
    assert -2 < low < high < 2
    assert "continue beyond the axis (event time -3)" in " ".join(texts(fig).split())
    assert "beyond the axis" not in texts(figure(event_study()))


def test_unknown_standard_error_is_named():
    estimate = gravity()
    estimate.vcov.loc["rta", "rta"] = np.nan
    assert "Standard error not determined: rta." in texts(figure(estimate))


def test_same_figure_same_bytes(tmp_path):
    for suffix in (".png", ".pdf", ".svg"):
        first = figure(event_study()).save(tmp_path / f"a{suffix}")[0].read_bytes()
        second = figure(event_study()).save(tmp_path / f"b{suffix}")[0].read_bytes()
        assert first == second
        other = figure(event_study(seed=5)).save(tmp_path / f"c{suffix}")[0].read_bytes()
        assert first != other
        assert b"CreationDate" not in first
        assert b"dc:date" not in first


def test_settings_of_the_caller_do_not_change_and_do_not_matter(tmp_path):
    plain = figure(event_study()).save(tmp_path / "a.png")[0].read_bytes()
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "figure.dpi": 37, "lines.linewidth": 9}):
        before = dict(mpl.rcParams)
        loud = figure(event_study()).save(tmp_path / "b.png")[0].read_bytes()
        assert dict(mpl.rcParams) == before
    assert plain == loud


def test_no_figure_stays_registered_with_pyplot():
    import matplotlib.pyplot as plt

    figure(event_study())
    assert plt.get_fignums() == []


def test_works_without_a_display_and_keeps_the_backend():
    code = (
        "import matplotlib as mpl; mpl.use('svg')\n"
        "from cyber_trade_econ.report import theme\n"
        "with theme.journal(): pass\n"
        "print(mpl.get_backend().lower())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": ""}, check=True)
    assert done.stdout.strip() == "svg"


def test_several_suffixes_at_once_and_unknown_ones_write_nothing(tmp_path):
    fig = figure(gravity())
    assert [p.name for p in fig.save(tmp_path / "f.png", tmp_path / "f.pdf")] == ["f.png", "f.pdf"]
    with pytest.raises(ConfigError, match="gif"):
        fig.save(tmp_path / "g.png", tmp_path / "g.gif")
    assert not (tmp_path / "g.png").exists()
    assert fig._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("estimates", "options"),
    [
        ([], {}),
        (gravity(), {"kind": "event"}),
        (gravity(), {"kind": "pie"}),
        (event_study(), {"keep": ["x"]}),
        (gravity(), {"labels": ["a", "b"]}),
        (event_study(), {"level": 1.5}),
        (event_study(event_time=[0, 1]), {}),
    ],
)
def test_what_cannot_be_drawn_is_refused(estimates, options):
    with pytest.raises(ConfigError):
        figure(estimates, **options)


def test_foot_is_wrapped_to_the_width():
    fig = figure(gravity(), notes=["W" * 5 + " word" * 80, "costs $5_000 and $x^"])
    canvas = fig.canvas
    canvas.draw_without_rendering()
    (foot,) = canvas.texts
    box = foot.get_window_extent()
    assert box.x1 <= canvas.bbox.x1
    assert box.y1 <= fig.axes[0].get_tightbbox().y0
    assert canvas.get_figwidth() == theme.WIDTH


def overprinted(axes):
    """Words in the panel that a drawn whisker runs through."""
    axes.figure.draw_without_rendering()
    low, high = axes.get_ylim()
    whiskers = [s for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments() if len(s) == 2]
    out = []
    for text in axes.texts:
        box = text.get_window_extent()
        for segment in whiskers:
            (x, y0), (_, y1) = axes.transData.transform(np.clip(segment, [-np.inf, low], [np.inf, high]))
            if box.x0 <= x <= box.x1 and min(y0, y1) <= box.y1 and max(y0, y1) >= box.y0:
                out.append(text.get_text())
    return out


@pytest.mark.parametrize("reference", [-7, -1])
def test_no_whisker_runs_through_a_word(reference):
    times = [t for t in range(-6, 13) if t != reference]
    one, other = (
        event_study(times, se=se, model=str(se), reference=reference, treated_units={}) for se in (0.04, 40.0)
    )
    axes = figure([one, other]).axes[0]
    assert {"reference", "event"} <= {t.get_text() for t in axes.texts}
    assert overprinted(axes) == []
    boxes = [t.get_window_extent() for t in axes.texts]
    assert not boxes[0].overlaps(boxes[1])
    axes.text(1.2, axes.get_ylim()[0], "a word in the way", ha="center", va="bottom")
    assert "a word in the way" in overprinted(axes)


def arrows(axes, marker):
    return sorted(x for line in axes.lines if line.get_marker() == marker for x in line.get_xdata())


def test_a_wide_series_is_cut_with_arrows_and_leaves_the_precise_one_readable():
    precise, wide = event_study(se=0.04), event_study(se=4.0, model="wide", seed=1)
    fig = figure([precise, wide])
    alone = np.diff(figure(precise).axes[0].get_ylim())[0]
    low, high = fig.axes[0].get_ylim()
    assert high - low <= 2 * alone
    assert len(arrows(fig.axes[0], CARETUP)) == len(arrows(fig.axes[0], CARETDOWN)) == 11
    assert arrows(fig.axes[0], CARETUP) == arrows(fig.axes[0], CARETDOWN)
    assert "beyond the axis (11 points)" in " ".join(texts(fig).split())
    points = fig.data["estimate"]
    assert low < points.min() < points.max() < high
    similar = figure([precise, event_study(se=0.055, model="similar")])
    assert arrows(similar.axes[0], CARETUP) == []
    assert "beyond the axis" not in texts(similar)


def test_points_of_a_wide_series_far_away_still_show():
    far = event_study(se=4.0, model="far")
    far.coef.iloc[3] = 5.0
    low, high = figure([event_study(), far]).axes[0].get_ylim()
    assert low < 0 < 5.0 < high
