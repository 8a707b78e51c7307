"""Cookies of one run: what an answer set is sent with the requests behind it, by the rules of RFC 6265. Nothing outlives the run.

The requests are the hops of one redirect chain, or those of a multistep test's steps that share their cookies.
"""

from __future__ import annotations

from collections.abc import Sequence

from worker.net.http.fields import OWS
from worker.net.http.set_cookie import Cookie, read, request_path
from worker.net.http.url import Target

MOST_COOKIES = 180
"""Cookies that are kept, and Set-Cookie fields of one answer that are read: what browsers keep of one site."""
MOST_OCTETS = 65_536
"""Of all names and values that are kept: what the head of one answer can hold, so that no request's head is larger."""


class Cookies:
    """Made when the first Set-Cookie comes, for most runs never see one."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Cookie] = {}
        """By what tells them apart, in the order of creation (RFC 6265 §5.3, 11)."""
        self._octets = 0

    def take(self, target: Target, set_cookie: Sequence[bytes], now: float) -> None:
        """Keep what the answer from *target* set at *now*, in seconds since 1970, unless it may not."""
        for field in set_cookie[:MOST_COOKIES]:
            cookie = read(field, target, now)
            if cookie is None:
                continue
            if cookie.over(now):
                self._forget(cookie)
            else:
                self._keep(cookie)

    def header(self, target: Target, written: str | None, now: float) -> str | None:
        """The Cookie header for *target*: the author's pairs, then those that were set, which win by name; longer paths first.

        None if none was set that belongs there.
        """
        host, path, secure = target.host, request_path(target), target.secure
        found = [each for each in self._kept.values() if each.goes_to(host, path, secure=secure) and not each.over(now)]
        if not found:
            return None
        found.sort(key=lambda each: -len(each.path))
        names = {each.name for each in found}
        pairs = [pair.strip(OWS) for pair in (written or "").split(";")]
        kept = [pair for pair in pairs if pair and pair.partition("=")[0].strip(OWS) not in names]
        return "; ".join((*kept, *(f"{each.name}={each.value}" for each in found)))

    def _keep(self, cookie: Cookie) -> None:
        known = self._kept.get(cookie.key)
        octets = self._octets + _octets(cookie) - (_octets(known) if known else 0)
        if octets <= MOST_OCTETS and (known or len(self._kept) < MOST_COOKIES):
            self._kept[cookie.key] = cookie
            self._octets = octets

    def _forget(self, cookie: Cookie) -> None:
        known = self._kept.pop(cookie.key, None)
        self._octets -= _octets(known) if known else 0


def _octets(cookie: Cookie) -> int:
    return len(cookie.name) + len(cookie.value)
