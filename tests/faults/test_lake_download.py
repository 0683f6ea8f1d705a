"""Downloads against a server in this process that cuts, lies, stalls and redirects; nothing leaves the machine."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import logging
import random
import threading
import time
import zipfile
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from cyber_trade_econ import lake
from cyber_trade_econ.errors import (
    CyberTradeError,
    FetchError,
    HashMismatch,
    NotDataError,
    OfflineError,
    ParseError,
    RateLimited,
    TooBig,
    UnknownCode,
)
from cyber_trade_econ.lake import download
from cyber_trade_econ.lake.answers import shown
from cyber_trade_econ.records.source import Part, Piece, Source
from cyber_trade_econ.records.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BODY = b"PK" + random.Random(7).randbytes(300_000)  # noqa: S311  # seeded
CANARY = "s3cr3t-canary"
NOW = 1_700_000_000.0


@dataclass
class Server:
    """A local server whose answers are functions of the request and its number."""

    address: str
    script: dict[str, Callable[[Any, int], None]] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://{self.address}{path}"

    @property
    def policy(self) -> lake.Policy:
        return lake.Policy(timeout=5, sleep=self.waits.append, now=lambda: NOW, plain_hosts=frozenset({self.address}))

    def get(self, path: str, target: Path, **changes: Any) -> download.Fetched:
        options = {"hosts": (), "max_bytes": 10_000_000, "known": {}, "policy": self.policy} | changes
        return download.fetch(self.url(path), target, **options)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            number = sum(s["path"] == path for s in state.seen)
            state.seen.append({"path": path, "full": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            state.script[path](self, number)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield state
        http.shutdown()


def send(handler: Any, status: int = 200, body: bytes = BODY, cut: int | None = None, **headers: str) -> None:
    """Answer with a body, cut after so many bytes but announced in full."""
    handler.send_response(status)
    headers.setdefault("Content_Length", str(len(body)))
    for name, value in headers.items():
        if value:
            handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body[:cut])
    handler.close_connection = True


def ranged(handler: Any, body: bytes = BODY, cut: int | None = None, etag: str = '"one"') -> None:
    """Answer a range request as a good server does."""
    asked = handler.headers.get("Range")
    if asked and handler.headers.get("If-Range") == etag:
        start = int(asked[6:-1])
        span = f"bytes {start}-{len(body) - 1}/{len(body)}"
        send(handler, 206, body[start:], cut, ETag=etag, Content_Range=span)
    else:
        send(handler, 200, body, cut, ETag=etag)


def sha(body: bytes = BODY) -> str:
    return hashlib.sha256(body).hexdigest()


def test_a_whole_file_comes_in_one_request(server: Server, tmp_path: Path) -> None:
    server.script["/x"] = lambda h, n: ranged(h)
    got = server.get("/x", tmp_path / "x.zip")
    assert (got.sha256, got.size, got.length_stated) == (sha(), len(BODY), True)
    assert [p.name for p in tmp_path.iterdir()] == ["x.zip"]
    assert server.seen[0]["accept-encoding"] == "identity"


def test_a_cut_body_is_resumed(server: Server, tmp_path: Path) -> None:
    server.script["/cut"] = lambda h, n: ranged(h, cut=100_000 if n < 2 else None)
    got = server.get("/cut", tmp_path / "x.zip")
    starts = [int(s["range"][6:-1]) for s in server.seen if "range" in s]
    assert got.sha256 == sha()
    assert len(server.seen) == 3
    assert 0 < starts[0] < starts[1] < len(BODY)
    assert server.seen[1]["if-range"] == '"one"'


def test_what_a_killed_process_left_is_resumed_by_the_next(server: Server, tmp_path: Path) -> None:
    server.script["/x"] = lambda h, n: ranged(h, cut=150_000 if n == 0 else None)
    with pytest.raises(FetchError, match="1 tries"):
        server.get("/x", tmp_path / "x.zip", policy=lake.Policy(tries=1, plain_hosts=frozenset({server.address})))
    assert not (tmp_path / "x.zip").exists()
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert "range" in server.seen[1]


def test_a_stalled_body_is_resumed(server: Server, tmp_path: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        ranged(handler, cut=100_000 if number == 0 else None)
        if number == 0:
            handler.wfile.flush()
            time.sleep(0.5)

    server.script["/x"] = answer
    policy = dataclasses.replace(server.policy, timeout=0.2)
    assert server.get("/x", tmp_path / "x.zip", policy=policy).sha256 == sha()
    assert len(server.seen) == 2


def test_a_chunked_body_without_its_end_is_not_a_file(server: Server, tmp_path: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(BODY), BODY) + (b"0\r\n\r\n" if number else b""))
        handler.close_connection = True

    server.script["/x"] = answer
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert len(server.seen) == 2


def test_a_file_that_changed_upstream_is_started_over(server: Server, tmp_path: Path) -> None:
    other = b"PK" + random.Random(8).randbytes(250_000)  # noqa: S311  # seeded
    server.script["/x"] = lambda h, n: ranged(h, cut=100_000) if n == 0 else ranged(h, other, etag='"two"')
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha(other)


def test_a_wrong_offset_is_never_appended(server: Server, tmp_path: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        if number == 1:
            send(handler, 206, BODY[5:], ETag='"one"', Content_Range=f"bytes 5-{len(BODY) - 1}/{len(BODY)}")
        else:
            ranged(handler, cut=100_000 if number == 0 else None)

    server.script["/x"] = answer
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert "range" not in server.seen[2]


def test_a_range_that_is_refused_starts_over_once(server: Server, tmp_path: Path) -> None:
    def answer(handler: Any, number: int) -> None:
        if number == 1:
            send(handler, 416, b"")
        else:
            ranged(handler, cut=100_000 if number == 0 else None)

    server.script["/x"] = answer
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert len(server.seen) == 3


def test_without_a_validator_nothing_is_resumed(server: Server, tmp_path: Path) -> None:
    server.script["/x"] = lambda h, n: send(h, cut=100_000 if n == 0 else None)
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert all("range" not in s for s in server.seen)


def test_an_unchanged_file_is_not_sent_again(server: Server, tmp_path: Path) -> None:
    server.script["/x"] = lambda h, n: send(h, 304, b"") if "If-None-Match" in h.headers else ranged(h)
    first = server.get("/x", tmp_path / "x.zip")
    assert not server.get("/x", tmp_path / "x.zip", known=first.validators).changed
    assert server.seen[1]["if-none-match"] == '"one"'


@pytest.mark.parametrize(("text", "wait"), [("3", 3.0), (formatdate(NOW + 7, usegmt=True), 7.0), ("0", 0.0)])
def test_retry_after_is_obeyed(server: Server, tmp_path: Path, text: str, wait: float) -> None:
    server.script["/x"] = lambda h, n: send(h, 429, b"", Retry_After=text) if n == 0 else ranged(h)
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert server.waits == [wait]


@pytest.mark.parametrize("text", ["86400", formatdate(NOW + 86400, usegmt=True)])
def test_a_retry_after_of_a_day_is_an_error_at_once(server: Server, tmp_path: Path, text: str) -> None:
    server.script["/x"] = lambda h, n: send(h, 429, b"", Retry_After=text)
    with pytest.raises(RateLimited, match="86400 seconds"):
        server.get("/x", tmp_path / "x.zip")
    assert len(server.seen) == 1
    assert server.waits == []


@pytest.mark.parametrize("text", ["soon", "-5", "1e3", formatdate(NOW - 60, usegmt=True), ""])
def test_a_retry_after_without_sense_gives_the_own_back_off(server: Server, tmp_path: Path, text: str) -> None:
    server.script["/x"] = lambda h, n: send(h, 503, b"", Retry_After=text) if n < 3 else ranged(h)
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()
    assert [w // 1 for w in server.waits[:2]] in ([1.0, 2.0], [1.0, 2.0])
    assert len(server.waits) == 3
    assert server.waits == sorted(server.waits)


def test_a_server_that_never_answers_well_is_given_up(server: Server, tmp_path: Path) -> None:
    server.script["/x"] = lambda h, n: send(h, 503, b"")
    with pytest.raises(FetchError, match=r"5 tries.*status 503"):
        server.get("/x", tmp_path / "x.zip")
    assert len(server.seen) == 5
    assert len(server.waits) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_asked_once(server: Server, tmp_path: Path, status: int) -> None:
    server.script["/x"] = lambda h, n: send(h, status, b"")
    with pytest.raises(FetchError, match=f"status {status}"):
        server.get(f"/x?key={CANARY}", tmp_path / "x.zip")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        (b"<!DOCTYPE html><title>Sorry</title>", "text/html; charset=utf-8", "x.csv"),
        (b"<!DOCTYPE html><title>Sorry</title>", "application/zip", "x.zip"),
        (b"\xef\xbb\xbf \n<html><body>down for maintenance", "text/csv", "x.csv"),
        (b'{"statusCode": 429, "message": "Rate limit"}', "text/csv", "x.csv"),
        (b"year,code\n1,2\n", "application/zip", "x.zip"),
    ],
)
def test_a_page_with_status_200_is_not_data(server: Server, tmp_path: Path, body: bytes, kind: str, name: str) -> None:
    server.script["/x"] = lambda h, n: send(h, 200, body, Content_Type=kind, ETag='"p"')
    with pytest.raises(NotDataError):
        server.get("/x", tmp_path / name)
    assert not any(p.suffix in (".zip", ".csv", ".part") for p in tmp_path.iterdir())


def test_text_of_a_table_is_data(server: Server, tmp_path: Path) -> None:
    server.script["/x"] = lambda h, n: send(h, 200, b"year,code\n1,2\n", Content_Type="text/csv")
    assert server.get("/x", tmp_path / "x.csv").size == 14


@pytest.mark.parametrize("stated", [True, False])
def test_too_many_bytes_are_refused_and_not_kept(server: Server, tmp_path: Path, stated: bool) -> None:
    server.script["/x"] = lambda h, n: send(h, Content_Length=str(len(BODY)) if stated else "")
    with pytest.raises(TooBig, match="announces 300002" if stated else "sends more than 200000"):
        server.get("/x", tmp_path / "x.zip", max_bytes=200_000)
    assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob("*.zip"))
    assert server.get("/x", tmp_path / "x.zip", max_bytes=len(BODY)).length_stated is stated


def test_an_endless_body_is_left_early(server: Server, tmp_path: Path) -> None:
    sent = []

    def answer(handler: Any, number: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(500):
                handler.wfile.write(BODY[:100_000])
                sent.append(100_000)
        except OSError:
            sent.append(0)

    server.script["/x"] = answer
    with pytest.raises(TooBig):
        server.get("/x", tmp_path / "x.zip", max_bytes=1_000_000)
    deadline = time.monotonic() + 5
    while sent[-1:] != [0] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sent[-1] == 0, "the connection was closed before the end"
    assert sum(sent) < 40_000_000


def test_a_packed_body_is_refused(server: Server, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(5_000_000))
    server.script["/x"] = lambda h, n: send(h, 200, bomb, Content_Encoding="gzip")
    with pytest.raises(FetchError, match="Content-Encoding gzip"):
        server.get("/x", tmp_path / "x.zip")


@pytest.mark.parametrize(
    "to", ["http://example.org/x.zip", "https://example.org/x.zip", "file:///etc/passwd", "ftp://example.org/x"]
)
def test_redirects_leave_neither_the_hosts_nor_https(server: Server, tmp_path: Path, to: str) -> None:
    server.script["/x"] = lambda h, n: send(h, 302, b"", Location=to)
    with pytest.raises(FetchError):
        server.get("/x", tmp_path / "x.zip")
    assert len(server.seen) == 1


def test_a_redirect_within_the_hosts_is_followed(server: Server, tmp_path: Path) -> None:
    server.script |= {"/x": lambda h, n: send(h, 302, b"", Location="/y"), "/y": lambda h, n: ranged(h)}
    assert server.get("/x", tmp_path / "x.zip").sha256 == sha()


@pytest.mark.parametrize(
    "url", ["http://www.cepii.fr/x", "https://evil.example/x", "https://www.cepii.fr:8443/x", "file:///x"]
)
def test_only_https_to_the_hosts_of_the_source(tmp_path: Path, url: str) -> None:
    with pytest.raises(FetchError, match="will not ask"):
        download.fetch(url, tmp_path / "x", hosts=("www.cepii.fr",), max_bytes=1, known={}, policy=lake.Policy())


def test_no_connection_is_a_fetch_error(tmp_path: Path) -> None:
    policy = lake.Policy(tries=2, timeout=1, sleep=lambda s: None, plain_hosts=frozenset({"127.0.0.1:9"}))
    with pytest.raises(FetchError, match="no connection"):
        download.fetch("http://127.0.0.1:9/x", tmp_path / "x", hosts=(), max_bytes=1, known={}, policy=policy)


def test_no_key_in_messages_logs_or_files(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.script["/x"] = lambda h, n: ranged(h, cut=100_000) if n == 0 else send(h, 404, b"")
    with pytest.raises(FetchError) as caught:
        server.get(f"/x?key={CANARY}", tmp_path / "x.zip")
    chain: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert CANARY in server.seen[0]["full"], "the control: the server did get the key"
    assert any("/x" in r.getMessage() for r in caplog.records), "the control: something was logged"
    assert CANARY not in caplog.text + "".join(map(str, chain))
    assert all(CANARY.encode() not in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert shown(f"https://user:{CANARY}@host/a?key={CANARY}#f") == "https://host/a"


# --- whole pulls ---------------------------------------------------------------------------------------------------------

WORDS = Table("words", "A word.", (Column("word", "string", "text", "The word."),), ("word",))


def tidy_words(raw: Any, years: Any) -> Iterator[Piece]:
    yield Piece("words", "all", pa.table({"word": raw[0].path.read_text().split()[1:]}), {"version": "1"})


def word_source(url: str, **changes: Any) -> Source:
    part = Part("words", url, "words.csv", ("words.csv",), **changes)
    text = dict.fromkeys(("title", "publisher", "licence", "licence_url", "citation", "homepage"), "a test")
    return Source(
        "words", **text, hosts=(), max_bytes=10_000, tables=(WORDS,), parts=lambda y: (part,), tidy=tidy_words
    )


def test_a_pull_downloads_once_and_asks_whether_it_changed(server: Server) -> None:
    texts = [b"word\nfirst\n", b"word\nfirst\nsecond\n"]

    def answer(handler: Any, number: int) -> None:
        body = texts[number == 2]
        etag = f'"{len(body)}"'
        send(handler, 304, b"") if handler.headers.get("If-None-Match") == etag else send(handler, 200, body, ETag=etag)

    server.script["/w"] = answer
    source = word_source(server.url("/w"))
    pulls = [lake.pull(source, policy=server.policy) for _ in range(3)]
    assert [p.skipped for p in pulls] == [False, True, False]
    assert [p.tables["words"].rows for p in pulls] == [1, 1, 2]
    assert pulls[0].origin == (server.url("/w").replace(f":{server.address.split(':')[1]}", ""),)
    assert list(lake.load("words.words")["word"]) == ["first", "second"]
    offline = lake.pull(source, offline=True, policy=server.policy)
    assert offline.skipped
    assert len(server.seen) == 3


def test_offline_with_nothing_at_hand_is_said(server: Server) -> None:
    with pytest.raises(OfflineError, match="cyber-trade-econ pull words"):
        lake.pull(word_source(server.url("/w")), offline=True)
    assert server.seen == []


def test_a_failed_pull_leaves_the_earlier_tables(server: Server) -> None:
    server.script["/w"] = lambda h, n: send(h, 200, b"word\nkept\n") if n == 0 else send(h, 404, b"")
    source = word_source(server.url("/w"))
    lake.pull(source, policy=server.policy)
    with pytest.raises(FetchError):
        lake.pull(source, policy=server.policy)
    assert list(lake.load("words.words")["word"]) == ["kept"]


def test_other_bytes_than_declared_are_refused(server: Server, own_lake: Path) -> None:
    server.script["/w"] = lambda h, n: send(h, 200, b"word\nevil\n")
    with pytest.raises(HashMismatch):
        lake.pull(word_source(server.url("/w"), sha256=sha(b"word\ngood\n")), policy=server.policy)
    assert not list(own_lake.rglob("words.csv"))
    assert lake.pull(word_source(server.url("/w"), sha256=sha(b"word\nevil\n")), policy=server.policy).raw


def test_a_versioned_file_that_was_revised_in_place_is_noticed(server: Server, own_lake: Path) -> None:
    server.script["/w"] = lambda h, n: send(h, 200, b"word\nfirst\n" if n == 0 else b"word\nother\n")
    source = word_source(server.url("/w"), fixed=True)
    lake.pull(source, policy=server.policy)
    assert lake.pull(source, policy=server.policy).skipped
    assert len(server.seen) == 1, "a versioned address is not asked again"
    (own_lake / "raw/words/words.csv").write_text("damaged")
    with pytest.raises(HashMismatch, match="other bytes"):
        lake.pull(source, policy=server.policy)
    (own_lake / "raw/words/lock.json").unlink()  # the way out that the message names
    assert not lake.pull(source, policy=server.policy).skipped
    assert list(lake.load("words.words")["word"]) == ["other"]


@pytest.mark.parametrize(("error", "asked_again"), [(ParseError, True), (UnknownCode, False)])
def test_a_download_that_becomes_no_table_leaves_the_earlier_bytes(
    server: Server, own_lake: Path, error: type[CyberTradeError], asked_again: bool
) -> None:
    texts = [b"word\ngood\n", b"word\nbad\n"]

    def answer(handler: Any, number: int) -> None:
        body = texts[min(number, 1)]
        etag = f'"{len(body)}"'
        send(handler, 304, b"") if handler.headers.get("If-None-Match") == etag else send(handler, 200, body, ETag=etag)

    def strict(raw: Any, years: Any) -> Iterator[Piece]:
        if b"bad" in raw[0].path.read_bytes():
            raise error("the file")
        yield from tidy_words(raw, years)

    server.script["/w"] = answer
    source = word_source(server.url("/w"))
    picky = dataclasses.replace(source, tidy=strict)
    lake.pull(picky, policy=server.policy)
    for _ in range(2):
        with pytest.raises(error):
            lake.pull(picky, policy=server.policy)
        assert (own_lake / "raw/words/words.csv").read_bytes() == texts[0]
        assert list(lake.load("words.words")["word"]) == ["good"]
    # Bytes that cannot be read have to come again; bytes that the code does not know yet wait for better code.
    assert ("if-none-match" in server.seen[2]) is True
    assert (server.seen[2]["if-none-match"] == f'"{len(texts[0])}"') is asked_again
    lake.pull(source, policy=server.policy)  # control: code that reads them takes them
    assert list(lake.load("words.words")["word"]) == ["bad"]
    assert {p.name for p in (own_lake / "raw/words").iterdir()} == {"words.csv", "lock.json"}


def test_a_zip_that_was_cut_without_a_stated_length_is_found_by_its_directory(server: Server, tmp_path: Path) -> None:
    from cyber_trade_econ.errors import ArchiveError
    from cyber_trade_econ.sources import _archive

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.csv", "x\n1\n" * 1000)
    whole = buffer.getvalue()
    server.script |= {
        "/cut": lambda h, n: send(h, 200, whole, cut=len(whole) // 2, Content_Length=""),
        "/whole": lambda h, n: send(h, 200, whole, Content_Length=""),
    }
    for path, cut in (("/cut", True), ("/whole", False)):
        got = server.get(path, tmp_path / "a.zip")
        assert not got.length_stated
        if cut:
            with pytest.raises(ArchiveError), _archive.opened(tmp_path / "a.zip", 1_000_000):
                pass
        else:
            with _archive.opened(tmp_path / "a.zip", 1_000_000) as archive:
                assert _archive.read(archive, "a.csv").endswith(b"1\n")
