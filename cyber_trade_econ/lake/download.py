"""Get one file over https: resumed, limited, checked, and with no secret in any message.

Own code on ``requests`` because the usual fetchers neither resume nor honour Retry-After, and accept an HTML page or a
body that was cut where the server states no length.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests

from cyber_trade_econ.atomic import publish
from cyber_trade_econ.errors import FetchError, TooBig
from cyber_trade_econ.lake import answers, files, waiting
from cyber_trade_econ.lake.answers import Again

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

_BLOCK = 1 << 16
_REDIRECTS = 5


@dataclass(frozen=True)
class Policy:
    """How patient and how strict a download is; tests replace the clock and name their local server.

    Parameters
    ----------
    tries
        Requests for one file, resumed ones included.
    timeout
        Seconds to wait for a connection, and between two blocks.
    longest_wait
        Longest Retry-After that is honoured, in seconds.
    lock_seconds
        How long to wait for another process at work on the same source.
    sleep, now
        Clock: wait so many seconds; seconds since the epoch.
    plain_hosts
        Hosts, with port, that may be asked over http and although the source does not list them.
    """

    tries: int = 5
    timeout: float = 60.0
    longest_wait: float = 60.0
    lock_seconds: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    plain_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fetched:
    """What came: whether it is new, its hash, size and the server's validators."""

    changed: bool
    sha256: str = ""
    size: int = 0
    validators: Mapping[str, str] = field(default_factory=dict)
    length_stated: bool = True


def fetch(
    url: str, target: Path, *, hosts: tuple[str, ...], max_bytes: int, known: Mapping[str, str], policy: Policy
) -> Fetched:
    """Download ``url`` to ``target``, or find that it has not changed.

    Parameters
    ----------
    url
        Address; https and a host of ``hosts``, redirects included.
    target
        Final name. Bytes gather beside it under ``<name>.part`` and survive a broken connection or a killed process.
    hosts, max_bytes
        From the source.
    known
        ``etag`` and ``last_modified`` of the bytes at hand, wherever they lie; empty when there are none.
    policy
        Patience.

    Raises
    ------
    FetchError
        Refused address, status 4xx, TLS failure, or no success within the tries.
    NotDataError
        A page or an error text in place of data.
    RateLimited
        The server asks to wait longer than the policy allows.
    TooBig
        More than ``max_bytes``.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    cause = ""
    with requests.Session() as session, _quiet_urls():
        for attempt in range(policy.tries):
            try:
                return _attempt(session, url, target, part, hosts, max_bytes, known, policy)
            except Again as again:
                cause = again.cause
                log.info("%s: %s (try %d of %d)", answers.shown(url), cause, attempt + 1, policy.tries)
                if attempt + 1 < policy.tries:
                    policy.sleep(waiting.backoff(attempt) if again.seconds is None else again.seconds)
    raise FetchError(
        f"{answers.shown(url)} could not be downloaded in {policy.tries} tries",
        found=cause,
        fix="Try again later: what came is kept and resumed. Or download it by hand and name its folder as mirror.",
    )


def _attempt(
    session: requests.Session,
    url: str,
    target: Path,
    part: Path,
    hosts: tuple[str, ...],
    max_bytes: int,
    known: Mapping[str, str],
    policy: Policy,
) -> Fetched:
    note = part.with_name(part.name + ".json")
    start, validators = _resumable(part, note, url)
    headers = {"Accept-Encoding": "identity", "User-Agent": "cyber-trade-econ"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": validators.get("etag") or validators["last_modified"]}
    elif known:
        headers |= {
            h: known[k] for h, k in (("If-None-Match", "etag"), ("If-Modified-Since", "last_modified")) if known.get(k)
        }
    with _asked(session, url, headers, hosts, policy) as answer:
        if answer.status_code == requests.codes.not_modified:
            return Fetched(changed=False)
        start = answers.position(answer, start, part, url, policy.now(), policy.longest_wait)
        answers.expect_data(answer, target, url)
        stated = answers.stated_length(answer, start, max_bytes, url)
        validators = _validators(answer)
        if not start:
            part.unlink(missing_ok=True)
            files.write_json(note, {"url": answers.shown(url), **validators})
        size = _receive(answer, part, start, max_bytes, url)
    if stated is not None and size != stated:
        raise Again(f"{size} of {stated} bytes came")
    with part.open("rb") as stream:
        answers.expect_no_page(stream.read(40), target, url, part)
    digest = files.sha256(part)
    publish(part, target)
    note.unlink(missing_ok=True)
    return Fetched(True, digest, size, validators, stated is not None)


def _resumable(part: Path, note: Path, url: str) -> tuple[int, dict[str, str]]:
    """Return how many bytes are at hand that a server can vouch for, and its validators."""
    if not part.exists():
        return 0, {}
    try:
        remembered = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0, {}
    etag = remembered.get("etag", "")
    usable = (etag and not etag.startswith("W/")) or remembered.get("last_modified")
    if remembered.get("url") != answers.shown(url) or not usable:
        return 0, {}
    if etag.startswith("W/"):
        remembered.pop("etag")
    return part.stat().st_size, remembered


@contextmanager
def _asked(
    session: requests.Session, url: str, headers: Mapping[str, str], hosts: tuple[str, ...], policy: Policy
) -> Iterator[requests.Response]:
    """Send the request, following redirects only to allowed addresses."""
    address = url
    for _ in range(_REDIRECTS + 1):
        _expect_allowed(address, hosts, policy)
        try:
            answer = session.get(
                address, headers=dict(headers), stream=True, timeout=policy.timeout, allow_redirects=False
            )
        except requests.exceptions.SSLError:
            raise FetchError(
                f"the certificate of {urlsplit(address).hostname} is not trusted", fix="Check the proxy and the clock."
            ) from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise Again(f"no connection ({type(error).__name__})") from None
        if not answer.is_redirect:
            try:
                yield answer
            finally:
                answer.close()
            return
        address = urljoin(address, answer.headers["location"])
        answer.close()
    raise FetchError(f"{answers.shown(url)} redirects more than {_REDIRECTS} times")


def _expect_allowed(url: str, hosts: tuple[str, ...], policy: Policy) -> None:
    split = urlsplit(url)
    if split.netloc in policy.plain_hosts and split.scheme in ("http", "https"):
        return
    if split.scheme != "https" or split.hostname not in hosts or split.port not in (None, 443):
        raise FetchError(
            f"will not ask {answers.shown(url)}",
            found=f"{split.scheme}, host {split.hostname}",
            allowed=[f"https://{h}" for h in hosts],
        )


def _validators(answer: requests.Response) -> dict[str, str]:
    pairs = {"etag": answer.headers.get("ETag", ""), "last_modified": answer.headers.get("Last-Modified", "")}
    return {k: v for k, v in pairs.items() if v}


def _receive(answer: requests.Response, part: Path, size: int, max_bytes: int, url: str) -> int:
    with part.open("ab" if size else "wb") as stream:
        try:
            for block in answer.iter_content(_BLOCK):
                size += len(block)
                if size > max_bytes:
                    break
                stream.write(block)
        except (requests.exceptions.RequestException, OSError) as error:
            raise Again(f"the connection broke after {size} bytes ({type(error).__name__})", 0) from None
    if size > max_bytes:
        part.unlink(missing_ok=True)
        raise TooBig(
            f"{answers.shown(url)} sends more than {max_bytes} bytes", allowed=f"at most {max_bytes} for this source"
        )
    return size


@contextmanager
def _quiet_urls() -> Iterator[None]:
    """Keep queries, which may hold a key, out of urllib3's debug messages while a download runs."""

    def strip(record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(a.split("?", 1)[0] if isinstance(a, str) else a for a in record.args)
        return True

    logger = logging.getLogger("urllib3.connectionpool")
    logger.addFilter(strip)
    try:
        yield
    finally:
        logger.removeFilter(strip)
