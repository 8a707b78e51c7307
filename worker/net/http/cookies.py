"""Cookies of one run: what a redirect set is sent on the hops behind it, by the rules of RFC 6265. Nothing outlives the run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import CookieJar
from yarl import URL

from worker.net.http.fields import OWS
from worker.net.http.url import Target

_DATED_1970 = re.compile(r";\s*expires\s*=[^;]*[ -](?:19)?70 ", re.IGNORECASE)


class Cookies:
    """Made when the first Set-Cookie comes, for most runs never see one. Belongs to one run on one event loop."""

    def __init__(self) -> None:
        # unsafe: a host that is an address may set cookies for itself, as in browsers (RFC 6265 §5.1.3).
        self._jar = CookieJar(unsafe=True, quote_cookie=False)

    def take(self, target: Target, set_cookie: Sequence[bytes]) -> None:
        """Keep what the answer from *target* set, unless it may not. Octets (RFC 6265 §4.2) are kept as they are."""
        texts = [field.decode("latin-1") for field in set_cookie]
        # aiohttp takes the epoch, the date by which servers delete cookies, for no date at all.
        lines = [f"{line}; Max-Age=0" if _is_deletion(line) else line for line in texts]
        self._jar.update_cookies_from_headers(lines, _url(target))

    def header(self, target: Target, written: str | None) -> str | None:
        """The Cookie header for *target*: the author's pairs, then those of the jar, which win by name. None if empty."""
        # What the jar selects has lost the quotes that the server set, or gained others; the cookies it keeps have not.
        as_set = {(cookie.key, cookie.value): cookie.coded_value for cookie in self._jar}
        chosen = self._jar.filter_cookies(_url(target))
        found = {name: as_set[name, cookie.value] for name, cookie in chosen.items()}
        pairs = [pair.strip(OWS) for pair in (written or "").split(";")]
        kept = [pair for pair in pairs if pair and pair.partition("=")[0].strip(OWS) not in found]
        return "; ".join((*kept, *(f"{name}={value}" for name, value in found.items()))) or None


def _is_deletion(line: str) -> bool:
    return _DATED_1970.search(line) is not None and "max-age" not in line.lower()


def _url(target: Target) -> URL:
    return URL(target.url, encoded=True)
