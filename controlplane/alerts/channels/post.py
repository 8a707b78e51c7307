"""The HTTP request that tells a receiver, and how its reply is taken. One sender sends all of them.

A redirect is no success: a signed message and the secrets in its URL go where an operator sent them and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import orjson

from controlplane.errors import UnusableError
from worker.secret import Secret
from worker.text import cut, printable

MAX_RETRY_AFTER = 3600
"""Seconds that a receiver may ask for: an alert is for now."""
SHOWN = 200
"""Characters of a receiver's reply that a reason repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingPost:
    """*url* is secret, as many receivers know their senders by it; *headers* may hold secrets, too."""

    url: Secret[str]
    body: bytes
    headers: tuple[tuple[str, Secret[str]], ...] = ()


class Reception(Enum):
    """The meaning of a reply."""

    TAKEN = "taken"
    RETRY = "retry"
    REFUSED = "refused"
    """For good: the same message would be refused again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenReply:
    """*reason* tells people why, and holds no secret; *wait* are the seconds that the receiver asks for."""

    reception: Reception
    reason: str = ""
    wait: float | None = None


_FOR_GOOD = frozenset({400, 410, 413, 414, 415, 422, 431})
"""Statuses about the message itself. Others (401, 404 and so on) an operator may mend while the message waits."""


def json_post(url: str, value: Any, *headers: tuple[str, Secret[str]]) -> OutgoingPost:
    """A request with the JSON of *value*."""
    return OutgoingPost(url=Secret(url), body=orjson.dumps(value), headers=headers)


def fitted(payload_of: Callable[[str], Any], text: str, most: int) -> Any:
    """The JSON value that *payload_of* makes of as much of *text* as keeps it within *most* octets, escapes included."""
    whole = payload_of(text)
    if len(orjson.dumps(whole)) <= most:
        return whole
    fits, over = 1, len(text)
    while over - fits > 1:
        middle = (fits + over) // 2
        if len(orjson.dumps(payload_of(cut(text, middle)))) <= most:
            fits = middle
        else:
            over = middle
    return payload_of(cut(text, fits))


def read_reply(status: int, body: bytes, retry_after: str | None, now: datetime) -> TakenReply:
    """Take the reply of a receiver, as its status says (RFC 9110 §15, RFC 6585 §4)."""
    if 200 <= status < 300:
        return TakenReply(reception=Reception.TAKEN)
    said = printable(body[:SHOWN].decode("utf-8", "replace")).strip()
    reason = f"HTTP {status}" + (f": {said}" if said else "")
    if status in _FOR_GOOD:
        return TakenReply(reception=Reception.REFUSED, reason=reason)
    if 300 <= status < 400:
        reason = f"HTTP {status}: redirects are not followed; name the address that it leads to"
    wait = _wait(retry_after, now)
    return TakenReply(reception=Reception.RETRY, reason=reason, wait=_wait_in(body) if wait is None else wait)


def _wait(text: str | None, now: datetime) -> float | None:
    """The seconds of a Retry-After (RFC 9110 §10.2.3), at most `MAX_RETRY_AFTER`; None where there is no valid one."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:10]), MAX_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
        seconds = (at - now).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _wait_in(body: bytes) -> float | None:
    """The seconds that Telegram names in the body alone (`ResponseParameters.retry_after`); None where it does not."""
    try:
        said = orjson.loads(body)
        seconds = said["parameters"]["retry_after"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return min(float(seconds), MAX_RETRY_AFTER) if isinstance(seconds, int) and seconds > 0 else None


def checked_url(url: Secret[str], member: str = "url") -> None:
    """Raise UnusableError unless *url* is one that can be posted to; the text tells none of it."""
    text = url.reveal()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or len(text) > 2000 or not text.isascii() or any(c.isspace() for c in text):
        raise UnusableError(f"{member}: is not a valid URL: expected http(s)://host[:port]/path")
    if parts.username is not None:
        raise UnusableError(f"{member}: holds a user name; a receiver's credentials are members of their own")


def shown_url(url: Secret[str]) -> str:
    """The origin of *url*: its path and query may be the receiver's secret."""
    parts = urlsplit(url.reveal())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"
