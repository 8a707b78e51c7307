"""One Set-Cookie field, read by RFC 6265 §5.1 to §5.3: which cookie it sets, where that one is sent and until when.

It keeps no cookies and knows no list of public suffixes: a `Domain` of a single label is taken for one, others are not. What a
server may write without end is cut where browsers cut it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

from worker.net.http.fields import OWS
from worker.net.http.url import Target

LARGEST_COOKIE = 4096
"""Octets of a name and its value together (RFC 6265 §6.1); browsers drop larger cookies."""
_MOST_ATTRIBUTES = 16
"""Attributes that are read of one field; of several with one name, the last counts."""
_LARGEST_ATTRIBUTE = 1024
"""Octets of an attribute's value; one with more is not there."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IPV4 = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.ASCII)
"""A host whose last label is a number (WHATWG URL, "ends in a number")."""
_DELTA = re.compile(r"-?[0-9]+", re.ASCII)
_FOR_EVER = 10**10
"""Seconds that are as good as more of them, three hundred years."""

_DATE_TOKEN = re.compile(r"[^\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)", re.ASCII)
_DAY = re.compile(r"(\d{1,2})(?!\d)", re.ASCII)
_YEAR = re.compile(r"(\d{2,4})(?!\d)", re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Cookie(Struct, frozen=True, kw_only=True):
    """*expires* is in seconds since 1970; None means that the cookie lives as long as the run."""

    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool
    expires: float | None

    @property
    def key(self) -> tuple[str, str, str]:
        """A cookie of the same key replaces this one (RFC 6265 §5.3, 11)."""
        return (self.path, self.domain, self.name)

    def over(self, now: float) -> bool:
        """True if the cookie is not sent any more at *now*."""
        return self.expires is not None and self.expires <= now

    def goes_to(self, host: str, path: str, *, secure: bool) -> bool:
        """True if a request for *path* of *host* carries the cookie (RFC 6265 §5.4)."""
        if host != self.domain and (self.host_only or not _within(host, self.domain)):
            return False
        return _on_path(path, self.path) and (secure or not self.secure)


def read(field: bytes, target: Target, now: float) -> Cookie | None:
    """The cookie that an answer from *target* sets with *field*, over already where it deletes one.

    None where there is none, or none that *target* may set. Octets are kept as characters below U+0100 (RFC 6265 §4.2).
    """
    pair, *written = field.decode("latin-1").split(";", _MOST_ATTRIBUTES + 1)[: _MOST_ATTRIBUTES + 1]
    name, equals, value = pair.partition("=")
    name, value = name.strip(OWS), value.strip(OWS)
    if not equals or not name or len(name) + len(value) > LARGEST_COOKIE or _CONTROL.search(pair) is not None:
        return None
    attributes = _attributes(written)
    scope = _scope(target.host, attributes.get("domain", ""))
    if scope is None:
        return None
    path = attributes.get("path", "")
    return Cookie(
        name=name,
        value=value,
        domain=scope[0],
        host_only=scope[1],
        path=path if path.startswith("/") else default_path(target),
        secure="secure" in attributes,
        expires=_expires(attributes, now),
    )


def default_path(target: Target) -> str:
    """The path of a cookie that names none (RFC 6265 §5.1.4)."""
    return request_path(target).rpartition("/")[0] or "/"


def request_path(target: Target) -> str:
    """The path that cookies are compared with: without the query."""
    return target.path.partition("?")[0]


def parse_date(text: str) -> float | None:
    """Seconds since 1970 of a cookie's date (RFC 6265 §5.1.1); None for what is none."""
    found: dict[str, tuple[int, ...]] = {}
    for token in _DATE_TOKEN.findall(text):
        if "time" not in found and (match := _TIME.match(token)):
            found["time"] = tuple(map(int, match.groups()))
        elif "day" not in found and (match := _DAY.match(token)):
            found["day"] = (int(match[1]),)
        elif "month" not in found and (name := token[:3].lower()) in _MONTHS:
            found["month"] = (_MONTHS.index(name) + 1,)
        elif "year" not in found and (match := _YEAR.match(token)):
            found["year"] = (_full_year(int(match[1])),)
    if len(found) < 4 or found["year"][0] < 1601:
        return None
    (year,), (month,), (day,), (hour, minute, second) = (found[part] for part in ("year", "month", "day", "time"))
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _full_year(year: int) -> int:
    if year >= 100:
        return year
    return year + 1900 if year >= 70 else year + 2000


def _attributes(written: list[str]) -> dict[str, str]:
    found = {}
    for attribute in written:
        name, _, value = attribute.partition("=")
        if len(value) <= _LARGEST_ATTRIBUTE:
            found[name.strip(OWS).lower()] = value.strip(OWS)
    return found


def _scope(host: str, wanted: str) -> tuple[str, bool] | None:
    """The domain of a cookie that *host* sets, and whether it is for that host alone; None where *host* may not set it."""
    domain = wanted.removeprefix(".").lower()
    if not domain:
        return host, True
    single = "." not in domain
    if domain == host:
        return host, single
    return (domain, False) if not single and _within(host, domain) else None


def _within(host: str, domain: str) -> bool:
    """True if *host* is a name below *domain* (RFC 6265 §5.1.3); an address is below nothing."""
    return host.endswith(f".{domain}") and _IPV4.fullmatch(host) is None and ":" not in host


def _on_path(path: str, of_cookie: str) -> bool:
    if not path.startswith(of_cookie):
        return False
    return len(path) == len(of_cookie) or of_cookie.endswith("/") or path[len(of_cookie)] == "/"


def _expires(attributes: dict[str, str], now: float) -> float | None:
    """The time at which a cookie is over; `Max-Age` goes before `Expires` (RFC 6265 §5.3, 3)."""
    age = attributes.get("max-age", "")
    if _DELTA.fullmatch(age):
        return float("-inf") if age.startswith("-") else now + min(float(age), _FOR_EVER)
    expires = attributes.get("expires")
    return None if expires is None else parse_date(expires)
