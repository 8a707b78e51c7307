"""Cookies of one run: what an answer set is sent with the requests behind it, by the rules of RFC 6265. Nothing outlives the run.

The requests are the hops of one redirect chain, or those of a multistep test's steps that share their cookies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiohttp import CookieJar
from yarl import URL

from worker.net.http.fields import OWS
from worker.net.http.url import Target

_DATED_1970 = re.compile(r";\s*expires\s*=[^;]*[ -](?:19)?70 ", re.IGNORECASE)


MOST_COOKIES = 180
"""Cookies that are kept, and Set-Cookie fields of one answer that are read: what browsers keep of one site."""


class Cookies:
    """Made when the first Set-Cookie comes, for most runs never see one. Belongs to one run on one event loop.

    Each cookie has a jar of its own: a jar of aiohttp's, which knows what may be set and where it is sent, hands out one cookie
    a name, but a request carries those of all paths and domains that match (RFC 6265 §5.4).
    """

    def __init__(self) -> None:
        self._jars: dict[tuple[str, str, str], CookieJar] = {}
        """By path, domain and name, in the order of creation (RFC 6265 §5.3, 11)."""

    def take(self, target: Target, set_cookie: Sequence[bytes]) -> None:
        """Keep what the answer from *target* set, unless it may not. Octets (RFC 6265 §4.2) are kept as they are."""
        url = _url(target)
        for field in set_cookie[:MOST_COOKIES]:
            line = field.decode("latin-1")
            # aiohttp takes the epoch, the date by which servers delete cookies, for no date at all.
            jar = None if _is_deletion(line) else _jar(line, url)
            known = next(iter(jar or _jar(f"{line}; Max-Age=60", url) or ()), None)
            if known is None:
                continue
            key = (known["path"], known["domain"], known.key)
            if jar is None:
                self._jars.pop(key, None)
            elif key in self._jars or len(self._jars) < MOST_COOKIES:
                self._jars[key] = jar

    def header(self, target: Target, written: str | None) -> str | None:
        """The Cookie header for *target*: the author's pairs, then those of the jars, which win by name; longer paths first.

        None if there is none of the jars.
        """
        if not self._jars:
            return None
        url = _url(target)
        chosen = [(path, jar) for (path, _, _), jar in self._jars.items() if jar.filter_cookies(url)]
        chosen.sort(key=lambda each: -len(each[0]))
        # What a jar selects has lost the quotes that the server set, or gained others; the cookie it keeps has not.
        found = [(cookie.key, cookie.coded_value) for _, jar in chosen for cookie in jar]
        names = {name for name, _ in found}
        pairs = [pair.strip(OWS) for pair in (written or "").split(";")]
        kept = [pair for pair in pairs if pair and pair.partition("=")[0].strip(OWS) not in names]
        return "; ".join((*kept, *(f"{name}={value}" for name, value in found))) or None


def _jar(line: str, url: URL) -> CookieJar | None:
    """A jar with the cookie of *line*; None where there is none, or none that *url* may set, or it is over already."""
    # unsafe: a host that is an address may set cookies for itself, as in browsers (RFC 6265 §5.1.3).
    jar = CookieJar(unsafe=True, quote_cookie=False)
    jar.update_cookies_from_headers([line], url)
    return jar if len(jar) else None


def _is_deletion(line: str) -> bool:
    return _DATED_1970.search(line) is not None and "max-age" not in line.lower()


def _url(target: Target) -> URL:
    return URL(target.url, encoded=True)
