"""Cookies of one run: what a redirect set is sent on the hops behind it, by the rules of RFC 6265. Nothing outlives the run."""

from __future__ import annotations

import re
from http.cookies import Morsel

from aiohttp import CookieJar
from yarl import URL

from worker.probers.http_url import Target

_IN_1970 = re.compile(r"[ -](?:19)?70 ")


class Cookies:
    """Made when the first Set-Cookie comes, for most runs never see one. Belongs to one run on one event loop."""

    def __init__(self) -> None:
        # unsafe: a host that is an address may set cookies for itself, as in browsers (RFC 6265 §5.1.3).
        self._jar = CookieJar(unsafe=True, quote_cookie=False)

    def take(self, target: Target, set_cookie: list[str]) -> None:
        """Keep what the answer from *target* set, unless it may not."""
        self._jar.update_cookies_from_headers(set_cookie, _url(target))
        self._jar.clear(_is_deletion)

    def header(self, target: Target, written: str | None) -> str | None:
        """The Cookie header for *target*: the author's pairs, then those of the jar, which win by name. None if empty."""
        found = {name: morsel.coded_value for name, morsel in self._jar.filter_cookies(_url(target)).items()}
        pairs = [pair.strip() for pair in (written or "").split(";")]
        kept = [pair for pair in pairs if pair and pair.partition("=")[0].strip() not in found]
        return "; ".join((*kept, *(f"{name}={value}" for name, value in found.items()))) or None


def _is_deletion(cookie: Morsel[str]) -> bool:
    """aiohttp's jar takes the epoch itself, the date by which servers delete cookies, for no date at all."""
    return not cookie["max-age"] and _IN_1970.search(cookie["expires"]) is not None


def _url(target: Target) -> URL:
    return URL(target.url, encoded=True)
