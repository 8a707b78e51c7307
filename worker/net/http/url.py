"""A URL as its author wrote it, taken apart into where to connect and what to ask for.

`%2F`, `+` and doubled slashes reach the server as they stand, because a monitor that tidies a URL tests another one. What no
request line can hold is encoded and trimmed as browsers do (WHATWG URL §4.4); an authority that two parsers could read
differently (a backslash, a second `@`, a signed port) is refused. Where a name leads is not judged here; that is the door's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

from msgspec import Struct
from msgspec.structs import replace

from worker.egress.hosts import WEB_PORTS, parse_host
from worker.errors import HostError
from worker.net.http.error import HTTPError
from worker.outcome.failure import FailureCode
from worker.secret import Secret
from worker.text import printable

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?", re.ASCII)
"""RFC 3986 appendix B, of an absolute URL with an authority; the fragment is left out, it is never sent."""

_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?(//)?([^?#]*)(\?[^#]*)?", re.ASCII)
"""RFC 3986 appendix B, of a reference: whether it has a scheme and an authority, then path and query of one that has neither."""
_AUTHORITY = re.compile(
    r"""(?: ([^\x00-\x20@\\\x7f]*) @ )?
        (?: \[ ([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*) \]  |  ([A-Za-z0-9._-]+)  |  ([^\x00-\x20"%:<>@\[\\\]^`{|}\x7f]+) )
        (?: : ([0-9]*) )?""",
    re.VERBOSE,
)
"""Userinfo; then an IPv6 literal, a plain name or number, or what may be an international name; then a port (RFC 3986 §3.2)."""

_START = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/{0,3}(?=.)", re.ASCII)
"""The part of a URL before what may be a login."""
_SHOWN = 300
"""Characters of a URL in a message."""
_LOOKED_AT = 100_000
"""Characters of a text that are looked through for what must not be shown; what is beyond them is not shown either."""

_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
"""All that a request line can hold: no spaces, no control characters and nothing outside ASCII (RFC 9112 §3.2)."""

_TRIMMED = "".join(map(chr, range(0x21)))
_LINE_BREAKS = str.maketrans("", "", "\t\n\r")
"""Removed wherever they stand, so that a URL may be broken into lines."""


class Login(Struct, frozen=True, kw_only=True):
    """The userinfo of a URL, decoded."""

    username: str
    password: Secret[str]


class Target(Struct, frozen=True, kw_only=True):
    """*host* has no brackets and is in lower case; *path* is the origin-form, query included (RFC 9112 §3.2.1)."""

    scheme: str
    host: str
    port: int
    path: str
    login: Login | None = None

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The Host header's value (RFC 9110 §7.2): the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == WEB_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The URL without userinfo and fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def __str__(self) -> str:
        """Text for messages: without the query as well, which may hold a key, and cut."""
        return shown(self.url)


def parse(text: str, query: Sequence[tuple[str, str]] = ()) -> Target:
    """Take *text* apart and append *query*, percent-encoded. Raises HTTPError."""
    match = _URL.match(text.strip(_TRIMMED))
    if match is None:
        raise HTTPError(FailureCode.INVALID_REQUEST, f"{shown(text)} is not a URL of the form http://host/path")
    scheme, authority, path, own_query = match.groups()
    scheme = scheme.lower()
    if scheme not in WEB_PORTS:
        raise HTTPError(FailureCode.INVALID_REQUEST, f"{shown(text)}: the scheme {scheme} is neither http nor https")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise HTTPError(
            FailureCode.INVALID_REQUEST, f"{shown(text)}: the part between // and the path is not a valid host and port"
        )
    userinfo, ipv6, plain, international, port = parts.groups()
    path = with_query(_encoded((path or "/") + (own_query or "")), query)
    return Target(
        scheme=scheme,
        host=ipv6 or (plain or _in_ascii(international, text)).lower(),
        port=_port(port, scheme, text),
        path=path,
        login=_login(userinfo) if userinfo else None,
    )


def with_query(path: str, query: Sequence[tuple[str, str]]) -> str:
    """*path* with the pairs added behind what query it has. A space becomes %20, which every server reads alike."""
    if not query:
        return path
    pairs = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
    joint = "?" if "?" not in path else "" if path.endswith(("?", "&")) else "&"
    return f"{path}{joint}{pairs}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def resolve(base: Target, location: str) -> Target:
    """The target of a Location (RFC 9110 §10.2.2) by RFC 3986 §5.2.2, what must be encoded encoded as in `parse`.

    Userinfo in a Location is dropped: it comes from the server, not from the request's author. Raises HTTPError.
    """
    reference = location.strip(_TRIMMED)
    found = _REFERENCE.match(reference)
    scheme, slashes, path, query = found.groups() if found else ("", "", "", "")
    if scheme or slashes:
        target = parse(reference if scheme else f"{base.scheme}:{reference}")
        path, mark, query = target.path.partition("?")
        return replace(target, path=_without_dots(path) + mark + query, login=None)
    own_path, mark, own_query = base.path.partition("?")
    if not path:
        return replace(base, path=own_path + (_encoded(query) if query else mark + own_query), login=None)
    if not path.startswith("/"):
        path = own_path[: own_path.rindex("/") + 1] + path  # §5.2.3; empty segments stay
    return replace(base, path=_without_dots(_encoded(path)) + _encoded(query or ""), login=None)


def _encoded(path: str) -> str:
    """A path or query as a request line can hold it."""
    return quote(path.translate(_LINE_BREAKS), safe=_VISIBLE, errors="replace")


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4, in one pass. *path* begins with a slash."""
    *segments, last = path.split("/")[1:]
    kept: list[str] = []
    for segment in (*segments, last):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if last in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def shown(text: str) -> str:
    """A URL that may be anything, fit for a message: no userinfo, query or fragment, no control characters, cut."""
    head, mark, tail = text[:_LOOKED_AT].partition("?")
    before, at, behind = head.rpartition("@")
    if at:
        head = _start(before) + behind
    elif "@" in tail and not _has_plain_authority(head):
        head = _start(head)
    head, fragment, _ = head.partition("#")
    return printable(head + (f"{mark}…" if mark else f"{fragment}…" if fragment else ""), _SHOWN)


def _start(text: str) -> str:
    """The scheme and the slashes behind it, as far as they are there."""
    match = _START.match(text)
    return match.group() if match else ""


def _has_plain_authority(head: str) -> bool:
    """Tell if the text before a question mark ends its authority: if not, the mark may stand in a password."""
    match = _URL.match(head)
    return match is not None and _AUTHORITY.fullmatch(match.group(2)) is not None


def _in_ascii(host: str, text: str) -> str:
    """An international name as it is looked up and sent."""
    try:
        return str(parse_host(host))
    except HostError as error:
        raise HTTPError(
            FailureCode.INVALID_REQUEST, f"{shown(text)}: the host cannot be used: {error.reason}"
        ) from None


def _port(port: str | None, scheme: str, text: str) -> int:
    if not port:
        return WEB_PORTS[scheme]
    number = int(port) if len(port) <= len("65535") else 0
    if not 0 < number <= 65535:
        raise HTTPError(FailureCode.INVALID_REQUEST, f"{shown(text)}: {port[:20]} is not a valid port number")
    return number


def _login(userinfo: str) -> Login:
    username, _, password = userinfo.partition(":")
    return Login(username=unquote(username), password=Secret(unquote(password)))
