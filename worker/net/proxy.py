"""The operator's proxy for test requests, as a value: where it is, who we are to it, and which hosts go past it.

It is never judged, and never a way around the policy: the worker still looks names up, judges the answers and asks
for a tunnel to a judged address, unless the operator hands names over (`proxyResolve: proxy`), which makes the proxy
the boundary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from worker.egress.rules import Glob, parse_glob
from worker.net.failure import DoorError
from worker.net.host import Address, Name, authority, parse_host
from worker.secret import Secret

Scheme = Literal["http", "https", "socks5"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """*hands_over_names*: the proxy looks names up. *verify* is about the certificate of an https proxy, never of
    targets.
    """

    scheme: Scheme
    host: Address | Name
    port: int
    username: str | None = None
    password: Secret[str] | None = None
    bypass: tuple[Glob, ...] = ()
    hands_over_names: bool = False
    verify: bool = True

    @classmethod
    def parse(
        cls, url: Secret[str], *, bypass: Iterable[str] = (), hands_over_names: bool = False, verify: bool = True
    ) -> Proxy:
        """From `scheme://USER:PASSWORD@HOST:PORT`, user and password percent-encoded. ValueError, which repeats
        nothing of it.
        """
        parts = urlsplit(url.reveal())
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("a proxy is written http, https or socks5://HOST:PORT")
        try:
            host, port = parse_host(parts.hostname), parts.port or _DEFAULT_PORTS[parts.scheme]
        except DoorError:
            raise ValueError("the proxy's host is neither an address nor a name") from None
        return cls(
            scheme=cast("Scheme", parts.scheme),
            host=host,
            port=port,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else Secret(unquote(parts.password)),
            bypass=tuple(map(parse_glob, bypass)),
            hands_over_names=hands_over_names,
            verify=verify,
        )

    def serves(self, host: Address | Name) -> bool:
        """Whether *host* is reached through the proxy."""
        return not any(glob.matches(str(host)) for glob in self.bypass)

    def __str__(self) -> str:
        """Without credentials: this goes into results."""
        return f"{self.scheme}://{authority(self.host, self.port)}"
