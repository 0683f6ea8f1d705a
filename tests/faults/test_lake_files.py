"""Files of the lake: kills during a write, locks, damage, and what makes a pull work again or skip."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.atomic import replacing
from cyber_trade_econ.errors import (
    CorruptFile,
    DuplicateKey,
    HashMismatch,
    Locked,
    NotPulled,
    ParseError,
    SchemaError,
    StorageError,
)
from cyber_trade_econ.lake import files, guard
from cyber_trade_econ.records.source import Part, Piece, Raw, Source, Years
from cyber_trade_econ.records.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = Table("numbers", "A number.", (Column("n", "int64", "1", "The number.", lowest=0),), ("n",))


def tidy_numbers(raw: list[Raw], years: Years) -> Iterator[Piece]:
    lines = raw[0].path.read_text().split()
    if not all(line.lstrip("-").isdigit() for line in lines):
        raise ParseError("numbers.csv holds what is no number", found=lines)
    time.sleep(0.05)
    yield Piece("numbers", "all", pa.table({"n": [int(x) for x in lines]}), {"dropped_blank": 2, "version": "1"})


def numbers(**changes: Any) -> Source:
    part = Part("numbers", "https://example.org/numbers.csv", "numbers.csv", ("numbers*.csv",), **changes)
    text = dict.fromkeys(("title", "publisher", "licence", "licence_url", "citation", "homepage"), "a test")
    hosts = ("example.org",)
    return Source(
        "numbers", **text, hosts=hosts, max_bytes=10_000, tables=(NUMBERS,), parts=lambda y: (part,), tidy=tidy_numbers
    )


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror" / "numbers"
    folder.mkdir(parents=True)
    (folder / "numbers.csv").write_text("1\n2\n3\n")
    return folder


# --- pull, skip, rebuild -------------------------------------------------------------------------------------------------


def test_a_pull_ties_bytes_to_tables(mirror: Path, own_lake: Path) -> None:
    got = lake.pull(numbers(), mirror=mirror)
    stored = got.tables["numbers"]
    assert (got.source, got.version, got.skipped) == ("numbers", "1", False)
    assert got.raw == {"numbers.csv": files.sha256(mirror / "numbers.csv")}
    assert got.facts == {"numbers": {"dropped_blank": 2, "version": "1"}}
    assert got.origin == ("mirror: numbers.csv",)
    assert stored.rows == 3
    assert stored.sha256 == tuple(files.sha256(p) for p in stored.paths)
    assert (own_lake / "raw/numbers/numbers.csv").read_bytes() == (mirror / "numbers.csv").read_bytes()
    lock = json.loads((own_lake / "raw/numbers/lock.json").read_text())
    assert lock["numbers.csv"]["sha256"] == got.raw["numbers.csv"]
    assert lake.pulled() == ("numbers",)
    about = lake.provenance("numbers")
    assert about["inputs"] == got.raw
    assert set(about["sha256"].values()) == set(stored.sha256)
    assert str(mirror.parent) not in json.dumps(about, default=str)


def test_the_mirror_may_be_the_folder_or_hold_it(mirror: Path) -> None:
    first = lake.pull(numbers(), mirror=str(mirror))
    second = lake.pull(numbers(), mirror=mirror.parent)
    assert (first.skipped, second.skipped) == (False, True)
    with pytest.raises(StorageError, match="not a folder"):
        lake.pull(numbers(), mirror=mirror / "absent")
    (mirror / "numbers.csv").rename(mirror / "other.csv")
    with pytest.raises(StorageError, match=r"lacks the file.*other\.csv"):
        lake.pull(numbers(), mirror=mirror)


def test_unchanged_is_skipped_and_changed_is_rebuilt(mirror: Path, own_lake: Path) -> None:
    first = lake.pull(numbers(), mirror=mirror)
    made = first.tables["numbers"].paths[0].stat().st_mtime_ns
    again = lake.pull(numbers(), mirror=mirror)
    assert again.skipped
    assert again.facts == first.facts
    assert again.tables["numbers"].paths[0].stat().st_mtime_ns == made
    (mirror / "numbers.csv").write_text("1\n2\n3\n4\n")
    third = lake.pull(numbers(), mirror=mirror)
    assert not third.skipped
    assert list(lake.load("numbers.numbers")["n"]) == [1, 2, 3, 4]
    assert len(list(own_lake.rglob("*.parquet"))) == 1, "the old file is gone"


def test_another_choice_of_years_is_another_table(mirror: Path) -> None:
    lake.pull(numbers(), mirror=mirror)
    assert not lake.pull(numbers(), mirror=mirror, years=[2021]).skipped
    assert lake.pull(numbers(), mirror=mirror, years=(2021, 2021)).skipped


def test_a_table_that_was_deleted_or_damaged_is_made_again(mirror: Path) -> None:
    path = lake.pull(numbers(), mirror=mirror).tables["numbers"].paths[0]
    whole = path.read_bytes()
    for break_it in (path.unlink, lambda: path.write_bytes(whole[:-1])):
        break_it()
        assert not lake.pull(numbers(), offline=True).skipped
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("text", "error"), [("1\n1\n", DuplicateKey), ("1\n-2\n", SchemaError), ("", SchemaError), ("1\nx\n", ParseError)]
)
def test_a_bad_file_leaves_the_earlier_table(mirror: Path, text: str, error: type[Exception]) -> None:
    lake.pull(numbers(), mirror=mirror)
    (mirror / "numbers.csv").write_text(text)
    with pytest.raises(error):
        lake.pull(numbers(), mirror=mirror)
    assert list(lake.load("numbers.numbers")["n"]) == [1, 2, 3]


def raw_state(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in (home / "raw").rglob("*") if p.is_file()}


@pytest.mark.parametrize("text", ["1\n1\n", "", "1\nx\n"])
def test_a_bad_file_leaves_the_earlier_raw_bytes(mirror: Path, own_lake: Path, text: str) -> None:
    lake.pull(numbers(), mirror=mirror)
    before = raw_state(own_lake)
    (mirror / "numbers.csv").write_text(text)
    with pytest.raises((DuplicateKey, SchemaError, ParseError)):
        lake.pull(numbers(), mirror=mirror)
    assert raw_state(own_lake) == before, "bytes and lock as before, and no second copy"
    next(own_lake.rglob("*.parquet")).unlink()
    assert lake.pull(numbers(), offline=True).tables["numbers"].rows == 3, "the table is made again from its bytes"
    (mirror / "numbers.csv").write_text("4\n")  # control: a good file does take the place of the old one
    lake.pull(numbers(), mirror=mirror)
    after = raw_state(own_lake)
    assert after.keys() == before.keys()
    assert after["raw/numbers/numbers.csv"] == b"4\n"


def test_a_first_pull_that_fails_leaves_nothing(mirror: Path, own_lake: Path) -> None:
    (mirror / "numbers.csv").write_text("x")
    with pytest.raises(ParseError):
        lake.pull(numbers(), mirror=mirror)
    assert raw_state(own_lake) == {}
    (mirror / "numbers.csv").write_text("1\n")
    lake.pull(numbers(), mirror=mirror)
    assert set(raw_state(own_lake)) == {"raw/numbers/numbers.csv", "raw/numbers/lock.json"}  # control


_KILLED = """
import os, pathlib, sys
sys.path.insert(0, {folder!r})
from cyber_trade_econ import atomic, lake
from cyber_trade_econ.lake import files, raw
from {module} import numbers
left, publish = int(sys.argv[1]), atomic.publish
def counted(one, two):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    publish(one, two)
atomic.publish = raw.publish = counted
lake.pull(numbers(), mirror=sys.argv[2], home=pathlib.Path(sys.argv[3]))
"""


def test_a_kill_at_any_write_leaves_the_old_bytes_or_the_new(mirror: Path, tmp_path: Path) -> None:
    code = _KILLED.format(folder=str(Path(__file__).parent), module=Path(__file__).stem)
    ends = []
    for writes in range(20):
        home = tmp_path / f"lake{writes}"
        (mirror / "numbers.csv").write_text("1\n2\n3\n")
        lake.pull(numbers(), mirror=mirror, home=home)
        (mirror / "numbers.csv").write_text("4\n5\n")
        ended = subprocess.run(
            [sys.executable, "-c", code, str(writes), str(mirror), str(home)], check=False, timeout=60
        )
        found = list(lake.load("numbers.numbers", home=home)["n"])
        again = lake.pull(numbers(), offline=True, home=home)
        assert list(lake.load("numbers.numbers", home=home)["n"]) == found, "table and bytes belong together"
        assert again.raw["numbers.csv"] == files.sha256(home / "raw/numbers/numbers.csv")
        ends.append((ended.returncode, len(found)))
        if ended.returncode == 0:
            break
    # Old until the manifest is written, new from then on; and a run that nobody kills ends well.
    assert ends[0] == (9, 3)
    assert (9, 2) in ends
    assert ends[-1] == (0, 2)
    assert [n for _, n in ends] == sorted((n for _, n in ends), reverse=True)


def test_a_mirror_with_other_bytes_than_declared_is_refused(mirror: Path) -> None:
    with pytest.raises(HashMismatch):
        lake.pull(numbers(sha256="0" * 64), mirror=mirror)
    assert lake.pull(numbers(sha256=files.sha256(mirror / "numbers.csv")), mirror=mirror).raw


# --- damage --------------------------------------------------------------------------------------------------------------


def test_every_flipped_bit_is_caught(mirror: Path) -> None:
    path = lake.pull(numbers(), mirror=mirror).tables["numbers"].paths[0]
    whole = path.read_bytes()
    dice = random.Random(4)  # noqa: S311  # seeded
    for _ in range(40):
        broken = bytearray(whole)
        broken[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
        path.write_bytes(broken)
        with pytest.raises(CorruptFile, match="changed or damaged"):
            lake.load("numbers.numbers")
    path.write_bytes(whole)
    assert len(lake.load("numbers.numbers")) == 3


@pytest.mark.parametrize("content", [b"", b"<html>", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_caught(mirror: Path, content: bytes) -> None:
    path = lake.pull(numbers(), mirror=mirror).tables["numbers"].paths[0]
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match="Pull the source again"):
        lake.load("numbers.numbers")
    path.unlink()
    with pytest.raises(CorruptFile, match="missing"):
        lake.load("numbers.numbers")


def test_a_manifest_that_was_cut_or_edited_is_not_trusted(mirror: Path, own_lake: Path) -> None:
    lake.pull(numbers(), mirror=mirror)
    manifest = own_lake / "manifests/numbers.json"
    whole = manifest.read_text()
    manifest.write_text(whole[: len(whole) // 2])
    with pytest.raises(CorruptFile, match=r"numbers\.json"):
        lake.load("numbers.numbers")
    edited = json.loads(whole)
    edited["outputs"]["numbers"]["all"]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(edited))
    with pytest.raises(CorruptFile):
        lake.load("numbers.numbers")
    manifest.write_text(whole)
    assert len(lake.load("numbers.numbers")) == 3


def test_a_manifest_of_another_format_counts_as_absent(mirror: Path, own_lake: Path) -> None:
    lake.pull(numbers(), mirror=mirror)
    manifest = own_lake / "manifests/numbers.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 0}))
    with pytest.raises(NotPulled):
        lake.provenance("numbers")
    assert not lake.pull(numbers(), mirror=mirror).skipped


# --- writes --------------------------------------------------------------------------------------------------------------


def test_a_write_syncs_the_file_renames_and_syncs_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (steps.append("replace"), replace(self, to))[1])
    files.write_json(tmp_path / "a.json", {"a": 1})
    assert steps == ["fsync", "replace", "fsync"]
    assert files.read_json(tmp_path / "a.json") == {"a": 1}


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"a": 1})

    def fill_the_disk() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        fill_the_disk()
    assert files.read_json(target) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_lake_that_cannot_be_written_is_said(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="CYBER_TRADE_ECON_LAKE"):
        lake.pull(numbers(), mirror=mirror, home=tmp_path / "file" / "lake")


_WRITER = """
import sys, pathlib
import pyarrow as pa, pyarrow.parquet as pq
from cyber_trade_econ.atomic import replacing
target, table = pathlib.Path(sys.argv[1]), pa.table({"x": list(range(200_000))})
print("ready", flush=True)
while True:
    with replacing(target) as temporary:
        pq.write_table(table, temporary)
"""


def test_a_kill_during_a_write_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    target = tmp_path / "x.parquet"
    with replacing(target) as temporary:  # control: a writer that is left alone finishes
        pq.write_table(pa.table({"x": list(range(200_000))}), temporary)
    dice = random.Random(11)  # noqa: S311  # seeded
    hits = 0
    for _ in range(60):  # how often a kill hits a write depends on the machine; three hits are enough
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(target)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(dice.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert pq.read_table(target).num_rows == 200_000
        hits += any(p != target for p in tmp_path.iterdir())
        files.sweep(tmp_path)
        assert [p for p in tmp_path.iterdir() if p != target] == [], "orphans of dead processes are swept"
        if hits == 3:
            return
    pytest.fail("no kill hit a write")


def test_the_temporary_file_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    own, old = (tmp_path / f".tmp-{os.getpid()}-{n}-x.parquet" for n in ("a", "b"))
    own.write_text("being written")
    old.write_text("forgotten")
    os.utime(old, (0, 0))
    assert files.sweep(tmp_path) == 1
    assert own.exists()


# --- several processes ---------------------------------------------------------------------------------------------------


def _pull_once(mirror: str, home: str, results: Any) -> None:
    results.put(lake.pull(numbers(), mirror=mirror, home=Path(home)).skipped)


def test_processes_that_pull_at_once_make_one_table(mirror: Path, tmp_path: Path) -> None:
    context = mp.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=_pull_once, args=(str(mirror), str(tmp_path / "l"), results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [w.exitcode for w in workers] == [0, 0, 0, 0]
    assert sorted(results.get(timeout=5) for _ in workers) == [False, True, True, True]
    assert list(lake.load("numbers.numbers", home=tmp_path / "l")["n"]) == [1, 2, 3]


_HOLDER = """
import sys, pathlib, time
from cyber_trade_econ.lake import guard
with guard.held(pathlib.Path(sys.argv[1]), "numbers", 1):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_that_is_held_names_its_owner_and_dies_with_it(mirror: Path, tmp_path: Path) -> None:
    home = tmp_path / "l"
    holder = subprocess.Popen([sys.executable, "-c", textwrap.dedent(_HOLDER), str(home)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(Locked, match=f"process {holder.pid} on "):
        lake.pull(numbers(), mirror=mirror, home=home, policy=lake.Policy(lock_seconds=0.2))
    holder.kill()
    holder.wait()
    holder.stdout.close()
    begun = time.monotonic()
    assert not lake.pull(numbers(), mirror=mirror, home=home, policy=lake.Policy(lock_seconds=5)).skipped
    assert time.monotonic() - begun < 2


def test_a_lock_is_released_after_an_error(mirror: Path, own_lake: Path) -> None:
    (mirror / "numbers.csv").write_text("x")
    with pytest.raises(ParseError):
        lake.pull(numbers(), mirror=mirror)
    with guard.held(own_lake, "numbers", 0.1):
        assert (own_lake / "locks/numbers.owner").exists()
    assert not (own_lake / "locks/numbers.owner").exists()
