"""Judge what a server answered: whether it is data, from which byte on, how long, and whether to ask again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from cyber_trade_econ.errors import FetchError, NotDataError, TooBig
from cyber_trade_econ.lake import waiting

if TYPE_CHECKING:
    from pathlib import Path

_PAGE_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"{", b"[")
_ARCHIVES = (".zip", ".xlsx")


class Again(Exception):  # control flow, never seen outside
    """Try again after ``seconds``; None lets the back-off decide. ``cause`` becomes the message if no try is left."""

    def __init__(self, cause: str, seconds: float | None = None) -> None:
        super().__init__(cause)
        self.cause, self.seconds = cause, seconds


def shown(url: str) -> str:
    """Return a URL as it may be shown: without user, password, query and fragment."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.hostname or ''}{split.path}"


def position(answer: requests.Response, start: int, part: Path, url: str, now: float, longest_wait: float) -> int:
    """Return at which byte the body starts: ``start`` if the server resumes there, 0 if it sends the whole."""
    status = answer.status_code
    if status == requests.codes.partial_content:
        if start and waiting.range_start(answer.headers.get("Content-Range", "")) == start:
            return start
        part.unlink(missing_ok=True)
        raise Again("the server resumed at another byte than asked; starting over", 0)
    if status == requests.codes.ok:
        return 0
    if status == requests.codes.requested_range_not_satisfiable:
        part.unlink(missing_ok=True)
        raise Again("the server has no such range; starting over", 0)
    reason = f"status {status}"
    if status == requests.codes.too_many_requests or status >= requests.codes.internal_server_error:
        seconds = waiting.retry_after(answer.headers.get("Retry-After"), now, longest_wait, shown(url))
        raise Again(reason, seconds)
    raise FetchError(
        f"{shown(url)} cannot be had",
        found=reason,
        fix="The publisher may have moved it: download it by hand and name its folder as mirror.",
    )


def expect_data(answer: requests.Response, target: Path, url: str) -> None:
    """Refuse a packed body and a web page."""
    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    packed = answer.headers.get("Content-Encoding", "identity").lower()
    if packed not in ("identity", ""):
        raise FetchError(f"{shown(url)} came packed although that was declined", found=f"Content-Encoding {packed}")
    if kind in ("text/html", "application/xhtml+xml"):
        raise NotDataError(
            f"{shown(url)} answered with a web page instead of {target.name}",
            found=repr(next(answer.iter_content(40), b"")[:40]),
            fix="Open the address in a browser; download the file by hand and name its folder as mirror.",
        )


def expect_no_page(beginning: bytes, target: Path, url: str, part: Path) -> None:
    """Refuse a page or error text that claims to be data; nothing of it is kept."""
    page = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGE_STARTS)
    no_archive = target.suffix in _ARCHIVES and not beginning.startswith(b"PK")
    if page or no_archive:
        part.unlink(missing_ok=True)
        raise NotDataError(
            f"{shown(url)} answered with something that is not {target.suffix[1:]} data", found=repr(beginning)
        )


def stated_length(answer: requests.Response, start: int, max_bytes: int, url: str) -> int | None:
    """Return the length of the whole file, if the server states it; refuse one over the limit."""
    text = answer.headers.get("Content-Length", "")
    if not text.isdigit():
        return None
    total = start + int(text)
    if total > max_bytes:
        raise TooBig(f"{shown(url)} announces {total} bytes", allowed=f"at most {max_bytes} for this source")
    return total
