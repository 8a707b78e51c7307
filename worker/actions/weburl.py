"""The URL of a task: merged with its connection's, taken apart once, and normalised, so that what is judged is what is sent.

A URL below a connection must stay below it: dot segments, encoded slashes and backslashes are refused there, in every spelling
that some server might read as one. Nothing is repaired. A refusal repeats what the task wrote and never the connection's own URL,
so that whoever is refused learns no address.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from worker.actions.action import ActionFailure
from worker.net.http.error import HTTPError
from worker.net.http.url import Target, parse

MAX_URL: Final = 16 * 1024
"""Characters: what servers take at the most, and more than any form sends."""
_SHOWN: Final = 200
"""Characters of a URL that a refusal repeats."""
_UNQUOTED: Final = 3
"""Rounds of percent-decoding that are looked through: a server behind a proxy may decode what was decoded already."""


def absolute(url: str) -> Target:
    """The target of an absolute URL. Raises ActionFailure, for a login in it as well."""
    if len(url) > MAX_URL:
        raise ActionFailure("REQUEST", f"the url has {len(url)} characters, more than {MAX_URL}")
    try:
        target = parse(url)
    except HTTPError as error:
        raise ActionFailure("REQUEST", str(error)) from None
    if target.login is not None:
        raise ActionFailure("REQUEST", "the url holds a login; credentials belong in a connection")
    return target


def below(base: Target, url: str) -> Target:
    """The target of *url*, which is relative to *base* or an absolute one below it. Raises ActionFailure."""
    if url.startswith(("http:", "https:", "HTTP:", "HTTPS:")) or "://" in url.partition("/")[0]:
        target = absolute(url)
    else:
        target = _joined(base, url)
    if target.origin != base.origin or not _is_below(plain_path(target), base.path.partition("?")[0]):
        raise ActionFailure("REQUEST", f"the url {url[:_SHOWN]!r} does not lie below the connection's base_url")
    return target


def _joined(base: Target, url: str) -> Target:
    joined = base.path.rstrip("/") + url if url[:1] in ("/", "?", "") else f"{base.path.rstrip('/')}/{url}"
    try:
        return absolute(f"{base.scheme}://{base.authority}{joined}")
    except ActionFailure:
        raise ActionFailure("REQUEST", f"{url[:_SHOWN]!r} is not a valid url below the connection's base_url") from None


def plain_path(target: Target) -> str:
    """The path of *target* without its query, decoded. Raises ActionFailure for one that two servers could read differently."""
    path = target.path.partition("?")[0]
    if is_ambiguous(path):
        raise ActionFailure("REQUEST", "the path has dot segments or encoded separators, which are refused")
    return unquote(path)


def is_ambiguous(path: str) -> bool:
    """True where some server may read *path* as another one: dots, encoded slashes and percent signs, empty segments, NUL."""
    if "//" in path or "\\" in path:
        return True
    slashes = path.count("/")
    for _ in range(_UNQUOTED):
        segments = path.split("/")
        if any(segment.partition(";")[0] in (".", "..") for segment in segments):
            return True
        decoded = unquote(path, errors="replace")
        if decoded.count("/") != slashes or "\\" in decoded or any(character < " " for character in decoded):
            return True
        if decoded == path:
            return False
        path = decoded
    return True  # encoded so often on purpose


def _is_below(path: str, base: str) -> bool:
    base = unquote(base).rstrip("/")
    return path == base or path.startswith(f"{base}/")
