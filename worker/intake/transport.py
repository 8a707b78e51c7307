"""The way of bytes to the control plane and back, over outbound HTTP(S) alone; nothing is signed or believed here.

It follows no redirect, takes no proxy from the environment, asks for identity encoding, caps what it reads and has a time-out.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp
from yarl import URL

from worker.egress.proxy import Proxy
from worker.errors import EnvelopeError, MessageError, SyntheticsError
from worker.intake.backoff import retry_after_seconds
from worker.intake.replies import Reaction
from worker.intake.trouble import of_exchange_error
from worker.wire import messages

TIMEOUT = 10.0
"""Seconds for one exchange, from connecting to the last byte."""
MAX_SIGNINGS = 3
"""Signatures tried for one body. A control plane that refuses every number or date is broken: that is an outage."""
SLOWED_DOWN = 10.0
"""Seconds to wait at least after a signed 401 or 403: nothing changes by hurrying."""


class IntakeError(SyntheticsError):
    """An exchange without a usable answer. *retry_after* in seconds as the peer asked, *code* a signed refusal's own word.

    *signed* is False where a reply was nobody's: it may make us send less, and forget nothing.
    """

    def __init__(
        self,
        reason: str,
        *,
        reaction: Reaction,
        code: str = "",
        status: int = 0,
        retry_after: float | None = None,
        signed: bool = True,
    ) -> None:
        self.reason = reason
        self.reaction = reaction
        self.code = code
        self.status = status
        self.retry_after = retry_after
        self.signed = signed
        self.wait_at_least = SLOWED_DOWN if reaction is Reaction.SLOW_DOWN else 0.0
        super().__init__(reason)


class OutOfMemoryError(IntakeError):
    """An exchange that failed for want of memory: an outage of this process itself."""


@contextmanager
def enough_memory() -> Iterator[None]:
    """Raise OutOfMemoryError where memory ran out in the block: what waits is kept, and tried again."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError("this process is out of memory", reaction=Reaction.RETRY) from error


UnreadableBatch = (EnvelopeError, MessageError)
"""Raised by `pull` for a signed batch that cannot be opened or understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The address of the control plane and the way to it. *tls* serves the proxy's own TLS too."""

    url: str
    tls: ssl.SSLContext | bool = True
    proxy: Proxy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeReply:
    """A reply as it came: nobody has vouched for it yet."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def refused(reply: IntakeReply, *, code: str, message: str, reaction: Reaction) -> IntakeError:
    """The error of a signed refusal, in its own words."""
    return IntakeError(
        f"the control plane refuses, HTTP {reply.status} {code}: {message or 'no reason given'}",
        reaction=reaction,
        code=code,
        status=reply.status,
        retry_after=retry_after_seconds(reply.headers.get("Retry-After")),
    )


class Transport:
    """The connections to one control plane. Use as an async context manager.

    What is signed is what is sent: *prefix* and *host* are spelt as yarl does it, which aiohttp sends by.
    """

    def __init__(self, peer: Peer, *, agent: str) -> None:
        self._peer = peer
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None
        self._base = URL(peer.url)
        self.host = self._base.host_port_subcomponent or ""
        self.prefix = self._base.raw_path.rstrip("/")

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._peer.tls, limit=4),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, within: float = TIMEOUT
    ) -> IntakeReply:
        """One request to *path*, and its reply as it came; in *within* seconds. Raises IntakeError (RETRY)."""
        if self._session is None:
            raise RuntimeError("the intake is used outside its context")
        proxy = self._peer.proxy
        try:
            async with self._session.request(
                method,
                self._base.with_path(path, encoded=True),
                data=io.BytesIO(body)
                if body
                else None,  # in pieces: a large push as one write would hold up the event loop
                headers={**headers, "Accept-Encoding": "identity", "User-Agent": self._agent},
                timeout=aiohttp.ClientTimeout(total=within),
                allow_redirects=False,
                proxy=None if proxy is None else _proxy_url(proxy),
            ) as response:
                content = await _read_capped(response.content)
                return IntakeReply(status=response.status, headers=response.headers, body=content)
        except TimeoutError as error:
            through = "" if proxy is None else f" through the proxy {proxy}"
            raise IntakeError(
                f"no reply from {self.host}{through} in {within:.0f} s", reaction=Reaction.RETRY
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise IntakeError(of_exchange_error(error, self.host, proxy), reaction=Reaction.RETRY) from error


def _proxy_url(proxy: Proxy) -> URL:
    """Put together what aiohttp takes apart again: it has no other way to be given a login."""
    return URL.build(
        scheme=proxy.scheme,
        user=None if proxy.username is None else proxy.username.reveal(),
        password=None if proxy.password is None else proxy.password.reveal(),
        host=str(proxy.host),
        port=proxy.port,
    )


async def _read_capped(stream: aiohttp.StreamReader) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream.iter_chunked(64 * 1024):
        size += len(chunk)
        if size > messages.MAX_REPLY_BYTES:
            raise ValueError(f"a reply larger than {messages.MAX_REPLY_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
