"""Maps: every number given is drawn or named, and the outlines are where they belong."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba

from cyber_trade_econ.codes.country import is_country, iso3_names
from cyber_trade_econ.errors import SchemaError, UnknownCode
from cyber_trade_econ.report import world_map as module
from cyber_trade_econ.report.world_map import project, world_map

if TYPE_CHECKING:
    from pathlib import Path

    from cyber_trade_econ.report.figure import Figure


def foot(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.canvas.texts).split())


def colours(figure: Figure) -> dict[str, tuple[float, ...]]:
    (drawn,) = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    return dict(zip(module._outlines(), map(tuple, drawn.get_facecolor()), strict=True))


def test_economies_are_drawn_in_the_shade_of_their_class() -> None:
    figure = world_map({"USA": 25, "CHN": 21, "DEU": 3, "ZAF": 1})
    found = colours(figure)
    assert found["USA"] == found["CHN"]
    assert len({found[c] for c in ("USA", "DEU", "ZAF", "BRA")}) == 4
    assert found["BRA"] == to_rgba(module._NOTHING)
    assert figure.data.set_index("iso3")["shade"].to_dict() == {
        "CHN": "20 and more",
        "DEU": "2 to 4",
        "USA": "20 and more",
        "ZAF": "1",
    }
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2 to 4", "20 and more", "no value"]


def test_economies_without_an_outline_are_named_with_their_numbers() -> None:
    figure = world_map({"USA": 2, "SGP": 7, "HKG": 3, "BHR": 2.5, "MLT": 1})
    assert "Singapore (7)" in foot(figure)
    assert "Bahrain (2.5)" in foot(figure)
    assert set(figure.data.loc[~figure.data["drawn"], "iso3"]) == {"SGP", "HKG", "BHR", "MLT"}
    assert "outline of their own" not in foot(world_map({"USA": 2}))
    assert "imply no judgement" in foot(world_map({"USA": 2}))


def test_an_economy_of_the_past_is_not_called_small() -> None:
    note = foot(world_map({"USA": 1, "SUN": 3, "ATA": 2}))
    assert "Without an outline of their own on this map: USSR (former) (3), Antarctica (2)." in note
    assert "small" not in note


def test_every_outline_has_the_code_of_an_economy(checkout: Path) -> None:
    with (checkout / "data" / "map" / "world.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(is_country(row["iso3"]) for row in rows)
    with (checkout / "data" / "map" / "names.csv").open(encoding="utf-8", newline="") as file:
        names = {row["iso3"]: row["name"] for row in csv.DictReader(file)}
    assert names == {code: name for code, name in iso3_names().items() if is_country(code)}
    assert {"FRA", "NOR", "XKX", "TWN", "PSE", "ESH"} <= {row["iso3"] for row in rows}
    assert (checkout / "data" / "map" / "world.csv").stat().st_size < 150_000


@pytest.mark.parametrize(
    ("iso3", "lon", "lat"),
    [
        ("FRA", 2.3, 48.8), ("FRA", -53.0, 4.0), ("NOR", 16.0, 78.5), ("XKX", 21.2, 42.7), ("CYP", 33.4, 35.3),
        ("SOM", 44.1, 9.6), ("LSO", 28.2, -29.5), ("NZL", 170.0, -44.0), ("RUS", 37.6, 55.7), ("RUS", -175.0, 66.5),
        ("FJI", 179.3, -16.5), ("USA", -98.0, 39.0), ("UKR", 34.1, 45.1),
    ],
)  # fmt: skip
def test_places_lie_within_their_economy_alone(iso3: str, lon: float, lat: float) -> None:
    point = project(np.array([[lon, lat]]))[0]
    around = [code for code, path in module._outlines().items() if path.contains_point(point)]
    # matplotlib counts a hole as inside, so the economy around an enclave contains it as well.
    assert iso3 in around
    assert set(around) - {iso3} <= {"ZAF"}


def test_the_projection_keeps_areas() -> None:
    """A band of latitude has the share of the sphere that it has on the globe: (sin b - sin a) / 2."""
    lats = np.linspace(-90, 90, 20001)
    edge = project(np.column_stack([np.full_like(lats, 180.0), lats]))
    area = np.concatenate([[0], np.cumsum(np.diff(edge[:, 1]) * (edge[1:, 0] + edge[:-1, 0]))])
    assert area[-1] == pytest.approx(4 * np.pi, rel=1e-4)  # of the sphere of radius one; coefficients have six digits
    assert area / area[-1] == pytest.approx((np.sin(np.radians(lats)) + 1) / 2, abs=1e-4)


def test_other_numbers_are_cut_into_fifths_or_at_given_breaks() -> None:
    values = {code: -0.5 + i / 10 for i, code in enumerate(("USA", "CHN", "DEU", "FRA", "IND", "BRA", "RUS"))}
    figure = world_map(values)
    assert figure.data["shade"].nunique() == 5
    cut = world_map(values, breaks=[-1, 0])
    assert set(cut.data["shade"]) == {"-1 to 0", "0 and more"}
    assert cut.data.set_index("iso3").loc["USA", "shade"] == "-1 to 0"


def test_whole_numbers_of_any_size_are_told_apart() -> None:
    def classes(numbers: list[int], **more: list[float]) -> list[str]:
        legend = world_map(dict(zip(("USA", "CHN", "DEU", "FRA"), numbers, strict=False)), **more).axes[0].get_legend()
        assert legend is not None
        return [text.get_text() for text in legend.get_texts()][:-1]

    assert classes([300, 25, 4, 0]) == ["0", "2 to 4", "20 to 49", "50 and more"]
    assert classes([300_000, 60_000, 4_000, 1_000]) == [
        "1,000 to 1,999",
        "2,000 to 4,999",
        "50,000 and more",
    ]
    assert classes([1, 3, 5], breaks=[0, 3.5]) == ["0 to 3.5", "3.5 and more"]


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"EUU": 1.0, "USA": 1.0}, UnknownCode, "EUU"),
        ({"usa": 1.0}, UnknownCode, "usa"),
        ({"USA": float("nan")}, SchemaError, "USA"),
        ({"USA": None}, SchemaError, "USA"),
        ({"USA": "many"}, SchemaError, "USA"),
        ({"EUU": 1.0, float("nan"): 1.0}, UnknownCode, "nan"),
        ({}, SchemaError, "none"),
    ],
)
def test_values_that_cannot_be_drawn_are_refused(values: dict[str, float], error: type[Exception], text: str) -> None:
    world_map({"USA": 1.0})
    with pytest.raises(error, match=text):
        world_map(values)


@pytest.mark.parametrize("breaks", [[], [2.0, 1.0], [1.0, 1.0], [5.0], [0.0, float("nan")], [0.0, float("inf")]])
def test_breaks_that_leave_values_out_are_refused(breaks: list[float]) -> None:
    world_map({"USA": 1.0, "CHN": 7.0}, breaks=[0, 5])
    with pytest.raises(SchemaError, match="ascending numbers from 1"):
        world_map({"USA": 1.0, "CHN": 7.0}, breaks=breaks)


def test_the_same_map_gives_the_same_bytes(tmp_path: Path) -> None:
    first = world_map({"USA": 1, "SGP": 2}, title="A map", label="events").save(tmp_path / "a.svg")
    again = world_map({"SGP": 2, "USA": 1}, title="A map", label="events").save(tmp_path / "b.svg")
    assert first[0].read_bytes() == again[0].read_bytes()
