"""Pictures of coded events: every event is a mark, a cell or a number, or is said to be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cyber_trade_econ.errors import ConfigError, SchemaError
from cyber_trade_econ.events import events
from cyber_trade_econ.report import event_counts
from cyber_trade_econ.report.event_figure import event_figure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def coded() -> pd.DataFrame:
    return events()


def words(figure) -> str:
    """Return all text in a figure."""
    artists = figure.canvas.findobj(match=lambda a: hasattr(a, "get_text"))
    return "\n".join(a.get_text() for a in artists)


def test_timeline_has_one_mark_per_event_and_imposer(coded: pd.DataFrame):
    figure = event_figure(coded)
    expected = coded["imposer"].str.split(";").map(len).sum()
    assert len(figure.data) == expected
    assert set(figure.data["event_id"]) == set(coded["event_id"])
    drawn = sum(len(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_label()[0] != "_")
    assert drawn == expected
    assert figure.data["start"].notna().all()
    assert figure.data["end"].notna().sum() > 0
    assert "not a census" in words(figure)


def test_openings_are_not_drawn_as_barriers(coded: pd.DataFrame):
    data = event_counts.marks(coded, 99).set_index("event_id")
    assert data.loc["euu-2000-safe-harbour", "group"] == "eases"
    assert data.loc["euu-2015-schrems-1", "group"] == "develop_import_trade_barriers"
    assert set(data.index[data["group"] == "eases"]) == set(coded.loc[coded["direction"] == "eases", "event_id"])
    assert "easing of a limit" in words(event_figure(coded))


def test_rare_imposers_are_pooled_and_counted(coded: pd.DataFrame):
    data = event_counts.marks(coded, 3)
    assert set(data["row"]) == {*data["imposer"].value_counts().index[:3], event_counts.OTHERS}
    assert len(data) == len(event_counts.marks(coded, 99))


def test_matrix_counts_each_pair_of_an_event(coded: pd.DataFrame):
    table = event_figure(coded, "matrix").data
    cells = coded[["imposer", "target"]].map(lambda cell: len(cell.split(";"))).prod(axis=1)
    wide = event_counts.pairs(coded, 999, 999)
    assert wide.to_numpy().sum() == cells.sum()
    chosen = coded["imposer"].str.split(";").map(lambda c: "USA" in c) & coded["target"].str.contains("CHN")
    assert wide.loc["USA", "CHN"] == table.loc["USA", "CHN"] == chosen.sum() > 10


def test_map_colours_every_economy_or_names_it(coded: pd.DataFrame):
    for side in ("imposer", "target"):
        counts = event_counts.economies(coded, side)
        assert not set(counts.index) & {"", "EUU", "WLD"}
        figure = event_figure(coded, "map", side=side)
        drawn = figure.data.set_index("iso3")["value"]
        assert drawn.loc[counts.index].tolist() == counts.tolist()
    assert "boundaries" in words(figure).lower()


def test_an_incident_of_nobody_has_a_row_of_its_own(coded: pd.DataFrame):
    nobody = coded.tail(1).assign(imposer="", record_type="incident", published_action="not_an_action")
    data = event_counts.marks(pd.concat([coded, nobody]), 99)
    assert (data["imposer"] == "nobody named").sum() == 1 + (coded["imposer"] == "").sum()
    assert "nobody named" in event_counts.pairs(pd.concat([coded, nobody]), 99, 99).index


def test_same_picture_same_bytes(coded: pd.DataFrame, tmp_path: Path):
    for kind in ("timeline", "matrix", "map"):
        one, two = (event_figure(coded, kind).save(tmp_path / f"{n}.svg")[0].read_bytes() for n in "ab")
        assert one == two


def test_other_kinds_and_frames_are_refused(coded: pd.DataFrame):
    with pytest.raises(ConfigError, match="timeline"):
        event_figure(coded, "cake")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="imposer"):
        event_figure(coded, "map", side="both")
    with pytest.raises(SchemaError, match="published_action"):
        event_figure(coded.drop(columns="published_action"))
    with pytest.raises(SchemaError, match="no row"):
        event_figure(coded.head(0))
