"""A proxy as a value: where it is, who we are to it, and which hosts are reached without it.

It is never a way around the policy: the worker still looks the names of targets up, judges the answers and asks for a tunnel to a
judged address, unless the operator hands names over (`proxyResolve: proxy`), which makes the proxy the boundary. The operator's
own proxy is not judged; one that a test names is judged like a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from worker.egress.hosts import WEB_PORTS, Host, authority, parse_host
from worker.egress.rules import Glob
from worker.errors import HostError
from worker.secret import Secret

ProxyScheme = Literal["http", "https", "socks5"]

_DEFAULT_PORTS = WEB_PORTS | {"socks5": 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One proxy. *headers* are sent with CONNECT, and only a test's proxy has any; *verify* is about the certificate of an https
    proxy, never of targets. The rest is the operator's, for targets: *bypass* holds the hosts that are reached without it;
    *hands_over_names*: the proxy looks names up.
    """

    scheme: ProxyScheme
    host: Host
    port: int
    username: Secret[str] | None = None
    password: Secret[str] | None = None
    headers: tuple[tuple[str, Secret[str]], ...] = ()
    bypass: tuple[Glob, ...] = ()
    hands_over_names: bool = False
    verify: bool = True

    @classmethod
    def parse(cls, url: Secret[str]) -> Proxy:
        """Read `scheme://USER:PASSWORD@HOST:PORT`, user and password percent-encoded or not.

        Raises ValueError, which repeats nothing of it.
        """
        bare, login = without_login(url.reveal())
        parts = urlsplit(bare)
        username, colon, password = login.partition(":")
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("a proxy is written http, https or socks5://HOST:PORT")
        try:
            host = parse_host(parts.hostname)
        except HostError:
            raise ValueError("the proxy's host is neither an address nor a name") from None
        return cls(
            scheme=cast("ProxyScheme", parts.scheme),
            host=host,
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            username=Secret(unquote(username)) if login else None,
            password=Secret(unquote(password)) if colon else None,
        )

    def serves(self, host: Host) -> bool:
        """Tell a *host* that is reached through the proxy from one that is reached without it."""
        return not any(glob.matches(str(host)) for glob in self.bypass)

    def __str__(self) -> str:
        """The URL without credentials: this goes into results."""
        return f"{self.scheme}://{authority(self.host, self.port)}"


def without_login(url: str) -> tuple[str, str]:
    """A proxy's URL without its `USER:PASSWORD@`, and these two, still encoded; "" where there are none.

    They end at the last @, whatever is in them: a proxy's URL has no path, query or fragment that `/`, `?` and `#` could begin.
    """
    scheme, separator, rest = url.partition("://")
    login, _, place = rest.rpartition("@")
    return scheme + separator + place, login
