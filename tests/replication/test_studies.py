"""The studies as a user runs them: published numbers again, a moved number noticed, and the same scripts on pulled data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cyber_trade_econ.errors import PublishedNumberMoved
from cyber_trade_econ.records import shipped
from cyber_trade_econ.report.check import check

if TYPE_CHECKING:
    from pathlib import Path

STUDIES = sorted(p.parent.name for p in shipped.path("analyses").glob("*/main.py"))
LONGEST = 80


def cli(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from cyber_trade_econ.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, capture_output=True, text=True, timeout=110, check=False
    )


def test_studies_are_short_and_use_public_names_only():
    assert {"01_gravity", "02_event_study"} <= set(STUDIES)
    for name in STUDIES:
        lines = shipped.path(f"analyses/{name}/main.py").read_text().splitlines()
        assert len(lines) <= LONGEST
        assert [line for line in lines if line.startswith(("import", "from"))] == ["import cyber_trade_econ as cte"]
        assert any(line.startswith("# %%") for line in lines)


@pytest.mark.parametrize("name", STUDIES)
def test_published_numbers_come_out_again_and_a_moved_one_is_noticed(name, tmp_path):
    done = cli("run", name, "--out", str(tmp_path), "--check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "shipped sample" in done.stdout + done.stderr
    out = tmp_path / name
    stems = {p.stem for p in out.glob("*.csv")}
    for stem in stems:
        assert all((out / f"{stem}{s}").stat().st_size > 0 for s in (".tex", ".html", ".md", ".csv", ".png", ".pdf"))
    run = json.loads((out / "run.json").read_text())
    assert {"package", "dependencies", "sources", "events", "seed", "runtime_seconds"} <= set(run)
    moved = tmp_path / "moved"
    shutil.copytree(shipped.path(f"analyses/{name}/out"), moved)
    table = min(moved.glob("*.csv"))
    lines = table.read_text().splitlines()
    row = next(i for i, line in enumerate(lines) if ",coef," in line)
    cells = lines[row].split(",")
    cells[-3] = repr(float(cells[-3]) + 1e-3)
    table.write_text("\n".join([*lines[:row], ",".join(cells), *lines[row + 1 :]]) + "\n")
    with pytest.raises(PublishedNumberMoved, match=table.name):
        check(out, moved)


def test_the_same_studies_run_on_pulled_data(shared, tmp_path):
    for source in ("us_census", "geodist", "eurepoc", "baci"):
        done = cli("pull", source, "--mirror", str(shared / "mirror"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = cli("run", "gravity", "event_study", "--out", str(tmp_path / "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "out/01_gravity/run.json").read_text())
    assert run["data"] == "pulled"
    assert "eurepoc-" in (tmp_path / "out/01_gravity/gravity.csv").read_text()
