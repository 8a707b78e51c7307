"""The exchange with the control plane: one signed POST, one checked reply, over outbound HTTPS alone.

It follows no redirect, takes no proxy from the environment, asks for identity encoding, caps what it reads and has a time-out
of its own. It keeps what belongs to the exchange (a sequence number per endpoint, the clock offset) and nothing else: which
jobs run and which results wait is other modules' business.
"""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

import aiohttp
from msgspec import Struct
from yarl import URL

from worker.clock import Clock
from worker.egress.proxy import Proxy
from worker.errors import EnvelopeError, MessageError, SignatureError, SyntheticsError
from worker.intake.backoff import retry_after_seconds
from worker.intake.replies import Reaction, of_signed_reply
from worker.intake.trouble import likely_cause, of_exchange_error
from worker.wire import envelope, messages, signing
from worker.wire.keys import PrivateKey, PublicKey
from worker.wire.messages import Jobs, Pull, Refusal, ResultItem, Results, ResultsReply

log = logging.getLogger(__name__)

TIMEOUT = 10.0
"""Seconds for one exchange, from connecting to the last byte."""
MAX_SIGNINGS = 3
"""Signatures tried for one body. A control plane that refuses every number or date is broken: that is an outage."""
SLOWED_DOWN = 10.0
"""Seconds to wait at least after a signed 401 or 403: nothing changes by hurrying."""
CLOCK_TOLERANCE = timedelta(seconds=2)
"""Signed dates are in whole seconds, and a reply may be a second under way."""
PULL = "/worker/v1/pull"
RESULTS = "/worker/v1/results"


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
    """An exchange that failed for want of memory: an outage of this worker itself."""


@contextmanager
def enough_memory() -> Iterator[None]:
    """Raise OutOfMemoryError where memory ran out in the block: what waits is kept, and tried again."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemoryError("this worker is out of memory", reaction=Reaction.RETRY) from error


class Peer(Struct, frozen=True, kw_only=True):
    """The address of the control plane and the way to it. *tls* serves the proxy's own TLS too."""

    url: str
    tls: ssl.SSLContext | bool = True
    proxy: Proxy | None = None


class Identity(Struct, frozen=True, kw_only=True):
    """The identity of this worker. *worker* is a UUID, new at each process start."""

    credentials: signing.Credentials
    worker: str
    private_keys: tuple[PrivateKey, ...]
    public_key: PublicKey


class _Reply(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Greeting(Struct, frozen=True, kw_only=True):
    """The answer of whoever answers at the intake's URL: nobody signed it. *line* is its first line, foreign text."""

    status: int
    line: str


class Intake:
    """The two calls of the protocol. Use as an async context manager; one pull and one push may be under way at a time."""

    def __init__(self, peer: Peer, identity: Identity, clock: Clock, *, agent: str) -> None:
        self._peer = peer
        self._identity = identity
        self._clock = clock
        self._agent = agent
        self._sequence = {PULL: 0, RESULTS: 0}
        self._in_turn = {PULL: asyncio.Lock(), RESULTS: asyncio.Lock()}
        self._session: aiohttp.ClientSession | None = None
        # What is signed is what is sent: yarl, which aiohttp sends by, spells some characters otherwise than the operator did.
        self._base = URL(peer.url)
        self._host = self._base.host_port_subcomponent or ""
        self._prefix = self._base.raw_path.rstrip("/")
        self.clock_offset = timedelta()
        """What the control plane's clock is ahead of ours, as of its last signed reply."""
        self.last_signed_reply_ns: int | None = None
        """Monotonic time of the last signed reply; None before the first."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._peer.tls, limit=4),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def pull(self, message: Pull) -> Jobs:
        """Report in and take work; an empty Jobs when there is none.

        Raises IntakeError, or EnvelopeError/MessageError for a signed reply that cannot be opened or read.
        """
        reply = await self._exchange(PULL, messages.encode(message), "application/json")
        if reply.status == 204:
            return Jobs()
        payload = envelope.unseal(
            reply.body,
            self._identity.private_keys,
            typ=envelope.JOBS,
            location=self._identity.credentials.location,
            max_bytes=messages.MAX_REPLY_BYTES,
        )
        return messages.decode(Jobs, payload)

    async def push(self, items: Sequence[ResultItem]) -> ResultsReply:
        """Hand over results. Raises IntakeError; a reply that says nothing of an item leaves that item with the caller."""
        reported_at = max(0, round((self._clock.now() + self.clock_offset).timestamp() * 1000))
        payload = messages.encode(Results(reported_at=reported_at, results=tuple(items)))
        reply = await self._exchange(RESULTS, self.seal(payload), "application/jose")
        try:
            return messages.decode(ResultsReply, reply.body)
        except MessageError as error:
            raise IntakeError(str(error), reaction=Reaction.RETRY, status=reply.status) from error

    async def greet(self) -> Greeting:
        """Ask for the plain line that a control plane shows to anybody, by the way of everything else. Raises IntakeError."""
        reply = await self._send("GET", self._prefix + "/", b"", {})
        return Greeting(status=reply.status, line=reply.body.decode(errors="replace").partition("\n")[0])

    def seal(self, payload: bytes) -> bytes:
        """Encrypt for the control plane: what leaves this process, by the wire or to the disk."""
        location = self._identity.credentials.location
        return envelope.seal(payload, self._identity.public_key, typ=envelope.RESULTS, location=location)

    async def _exchange(self, endpoint: str, body: bytes, content_type: str) -> _Reply:
        async with self._in_turn[endpoint]:
            for _ in range(MAX_SIGNINGS):
                reply = await self._signed_post(endpoint, body, content_type)
                reaction = of_signed_reply(reply.status)
                if reaction is Reaction.ACCEPT:
                    return reply
                refusal = _refusal_of(reply)
                if reaction is Reaction.RESEQUENCE and refusal.last is not None:
                    self._sequence[endpoint] = max(self._sequence[endpoint], refusal.last)
                elif refusal.error != signing.Reason.SKEW:  # the signed date has corrected our clock: sign anew
                    raise _refused(reply, refusal, reaction)
            raise _refused(reply, refusal, Reaction.RETRY)

    async def _signed_post(self, endpoint: str, body: bytes, content_type: str) -> _Reply:
        self._sequence[endpoint] += 1
        path = self._prefix + endpoint
        signed = signing.sign_request(
            self._identity.credentials,
            signing.UnsignedRequest(
                method="POST",
                path=path,
                host=self._host,
                content_type=content_type,
                body=body,
                worker=self._identity.worker,
                seq=self._sequence[endpoint],
            ),
            self._clock.now() + self.clock_offset,
        )
        reply = await self._send("POST", path, body, signed.headers)
        try:
            date = signing.verify_reply(
                signed, self._identity.credentials, status=reply.status, headers=reply.headers, body=reply.body
            )
        except SignatureError as error:
            # Whoever sent this, it was not our control plane: nothing in it is believed but a short Retry-After.
            raise IntakeError(
                f"an unsigned reply, HTTP {reply.status}: {likely_cause(reply.status, self._peer.proxy)} ({error})",
                # To send less at once forgets nothing, so that much is believed of a proxy that limits sizes.
                reaction=Reaction.SPLIT if reply.status == 413 else Reaction.RETRY,
                status=reply.status,
                retry_after=retry_after_seconds(reply.headers.get("Retry-After")),
                signed=False,
            ) from error
        self.last_signed_reply_ns = self._clock.monotonic_ns()
        self.clock_offset = offset_of(date - self._clock.now())
        return reply

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> _Reply:
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
                headers=headers | {"Accept-Encoding": "identity", "User-Agent": self._agent},
                allow_redirects=False,
                proxy=None if proxy is None else _proxy_url(proxy),
            ) as response:
                content = await _read_capped(response.content)
                return _Reply(
                    status=response.status,
                    headers=response.headers,
                    body=content,
                )
        except TimeoutError as error:
            through = "" if proxy is None else f" through the proxy {proxy}"
            raise IntakeError(
                f"no reply from {self._host}{through} in {TIMEOUT:.0f} s", reaction=Reaction.RETRY
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise IntakeError(of_exchange_error(error, self._host, proxy), reaction=Reaction.RETRY) from error


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


def offset_of(difference: timedelta) -> timedelta:
    """The correction of our clock: nothing as long as the difference may come from a date in whole seconds and its way here."""
    return timedelta() if abs(difference) <= CLOCK_TOLERANCE else difference


def _refusal_of(reply: _Reply) -> Refusal:
    try:
        return messages.decode(Refusal, reply.body)
    except MessageError:
        return Refusal(error=f"http-{reply.status}")


def _refused(reply: _Reply, refusal: Refusal, reaction: Reaction) -> IntakeError:
    return IntakeError(
        f"the control plane refuses, HTTP {reply.status} {refusal.error}: {refusal.message or 'no reason given'}",
        reaction=Reaction.RETRY if reaction is Reaction.RESEQUENCE else reaction,
        code=refusal.error,
        status=reply.status,
        retry_after=retry_after_seconds(reply.headers.get("Retry-After")),
    )


UnreadableBatch = (EnvelopeError, MessageError)
"""What `pull` raises for a signed batch that cannot be opened or understood."""
