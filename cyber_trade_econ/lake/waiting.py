"""When to ask a server again: its Retry-After where it makes sense, an own back-off where not."""

from __future__ import annotations

import random
import re
from email.utils import parsedate_to_datetime

from cyber_trade_econ.errors import RateLimited

_FIRST, _LONGEST = 1.0, 30.0


def backoff(attempt: int) -> float:
    """Seconds before the next try: 1, 2, 4 ... up to 30, each with up to a quarter more so that clients spread out."""
    return min(_FIRST * 2.0**attempt, _LONGEST) * (1 + random.random() / 4)  # noqa: S311  # not a secret


def retry_after(text: str | None, now: float, longest: float, url: str) -> float | None:
    """Seconds that a server asks to wait; None when it says nothing that makes sense.

    Parameters
    ----------
    text
        The header: seconds, or an HTTP date.
    now
        Seconds since the epoch.
    longest
        Longest wait that is honoured.
    url
        For the message.

    Raises
    ------
    RateLimited
        If it asks for more than ``longest``.
    """
    text = (text or "").strip()
    if re.fullmatch(r"\d{1,12}", text):
        seconds = float(text)
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (TypeError, ValueError, OverflowError):
            return None
        if seconds < 0:
            return None
    if seconds > longest:
        raise RateLimited(
            f"{url} asks to wait {seconds:.0f} seconds",
            allowed=f"at most {longest:.0f}",
            fix="Pull again after that time.",
        )
    return seconds


def range_start(header: str) -> int | None:
    """First byte of a Content-Range header such as ``bytes 100-199/200``; None if it is no such header."""
    match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)", header.strip())
    return int(match[1]) if match else None
