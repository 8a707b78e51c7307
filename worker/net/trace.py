"""The door, watched: what goes through it is told as a timeline, line by line, for `check --trace`.

It changes nothing and counts bytes without looking into them: no header, body, path or credential is in a timeline, but hosts,
addresses and the policy's rules are, which are the operator's own. One test at a time; a worker that serves never loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from worker.clock import Clock
from worker.egress.hosts import Address, Host
from worker.egress.policy import Decision, Policy
from worker.egress.proxy import Proxy
from worker.net.dns.resolver import Resolver, ServersInOrder
from worker.net.dns.wire import DNSReply
from worker.net.door import Door, Endpoint
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.net.stream import READ, Stream
from worker.net.trust import TrustStore
from worker.text import counted, printable

MAX_READS = 20
"""Reads of one connection that have a line each; what came is summed up when it is closed."""
MAX_TEXT = 300
"""Characters of one line's text: a test may name a long host."""
_NANOSECONDS = 1_000_000


class Timeline:
    """Hands lines to *show*: milliseconds since the test began, the step, and what is to say of it."""

    def __init__(self, clock: Clock, show: Callable[[str], None]) -> None:
        self._clock = clock
        self._show = show
        self._began_ns = 0

    def begin(self, title: str) -> None:
        """Begin the timeline of another test."""
        self._began_ns = self._clock.monotonic_ns()
        self._show(f"timeline of {printable(title, MAX_TEXT)}")

    def door(self, *, policy: Policy, resolver: Resolver, trust: TrustStore, proxy: Proxy | None = None) -> Door:
        """A door of these parts that is watched."""
        return WatchedDoor(self, policy=policy, resolver=resolver, trust=trust, proxy=proxy)

    def note(self, step: str, text: str, *, ago_ns: int = 0) -> None:
        """One line; *ago_ns* is how long it has been over."""
        elapsed = max(0, self._clock.monotonic_ns() - ago_ns - self._began_ns)
        self._show(f"{elapsed / _NANOSECONDS:9.1f} ms  {step:<8} {printable(text, MAX_TEXT)}")


class _WatchedPolicy(Policy):
    """The same rules; each judgement is a line."""

    timeline: Timeline

    @classmethod
    def of(cls, policy: Policy, timeline: Timeline) -> _WatchedPolicy:
        watched = cls(**{field.name: getattr(policy, field.name) for field in fields(policy)})
        object.__setattr__(watched, "timeline", timeline)  # the rules are frozen, who hears of them is no rule
        return watched

    def judge_name(self, host: Host) -> Decision:
        decision = Policy.judge_name(self, host)
        self.timeline.note("name", f"{host}: {decision.rule}")
        return decision

    def judge(self, address: Address) -> Decision:
        decision = Policy.judge(self, address)
        self.timeline.note("judge", f"{address}: {decision.rule}")
        return decision


class WatchedDoor(Door):
    """A door that tells *timeline* what it does."""

    def __init__(
        self, timeline: Timeline, *, policy: Policy, resolver: Resolver, trust: TrustStore, proxy: Proxy | None = None
    ) -> None:
        super().__init__(policy=_WatchedPolicy.of(policy, timeline), resolver=resolver, trust=trust, proxy=proxy)
        self._timeline = timeline

    async def open(self, endpoint: Endpoint, recorder: Recorder) -> Stream:
        self._named.cache_clear()  # what the policy says of a name is a line for each test
        self._timeline.note("open", f"{endpoint.host}:{endpoint.port}")
        known = len(recorder.attempts)
        try:
            stream = await super().open(endpoint, recorder)
        except DoorError as error:
            self._tell_way(recorder, known)
            self._timeline.note("failed", f"{error.failure.code.value}: {error.failure.message}")
            raise
        self._tell_way(recorder, known)
        return WatchedStream(stream, self._timeline)

    async def open_again(self, endpoint: Endpoint, first: Recorder) -> Stream:
        self._timeline.note("again", f"{endpoint.host}:{endpoint.port}")
        return WatchedStream(await super().open_again(endpoint, first), self._timeline)

    async def nameservers(self, host: str | None, port: int, recorder: Recorder) -> ServersInOrder:
        self._named.cache_clear()
        return await super().nameservers(host, port, recorder)

    async def query(self, asked: ServersInOrder, host: str, record_type: str, recorder: Recorder) -> DNSReply:
        self._named.cache_clear()
        self._timeline.note("ask", f"{record_type} of {host}")
        try:
            reply = await super().query(asked, host, record_type, recorder)
        except DoorError as error:
            self._timeline.note("failed", f"{error.failure.code.value}: {error.failure.message}")
            raise
        self._timeline.note("answer", f"{reply.rcode}, {counted(len(reply.records), 'record')}, by {recorder.server}")
        return reply

    def _tell_way(self, recorder: Recorder, known: int) -> None:
        """The addresses that were dialled and the handshake, each at the time at which it was over."""
        tls = recorder.phases.get("ssl", 0)
        later = tls
        lines: list[tuple[str, int]] = []
        by = "" if recorder.server is None else f", looked up by {recorder.server}"
        way = " through the proxy" if "proxy" in recorder.phases else ""
        for attempt in reversed(recorder.attempts[known:]):
            outcome = attempt.error or f"in {attempt.elapsed_tenths / 10:.1f} ms{way}{by}"
            lines.append((f"{attempt.address}:{attempt.port} {outcome}", later))
            later += attempt.elapsed_tenths * 100_000
        for text, ago_ns in reversed(lines):
            self._timeline.note("connect", text, ago_ns=ago_ns)
        if recorder.handshake is not None:
            agreed = recorder.handshake
            self._timeline.note("TLS", f"{agreed.protocol}, {agreed.cipher} in {tls / _NANOSECONDS:.1f} ms")


class WatchedStream:
    """A stream whose bytes are counted. What it is not asked about here is the inner stream's."""

    def __init__(self, stream: Stream, timeline: Timeline) -> None:
        self._stream = stream
        self._timeline = timeline
        self._sent = self._received = self._reads = 0
        self._closed = False

    @property
    def arrived(self) -> int | None:
        return self._stream.arrived

    @property
    def unsent(self) -> int:
        return self._stream.unsent

    async def receive(self, at_most: int = READ) -> bytes:
        try:
            data = await self._stream.receive(at_most)
        except OSError as error:
            self._timeline.note("broken", error.strerror or type(error).__name__)
            raise
        self._reads += 1
        self._received += len(data)
        if self._reads <= MAX_READS:
            self._timeline.note("receive", counted(len(data), "byte") if data else "the peer's end")
        return data

    def write(self, data: bytes) -> None:
        self._sent += len(data)
        self._timeline.note("send", counted(len(data), "byte"))
        self._stream.write(data)

    def put_back(self, data: bytes) -> None:
        self._received -= len(data)
        self._stream.put_back(data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            sent, received = counted(self._sent, "byte"), counted(self._received, "byte")
            self._timeline.note("close", f"sent {sent}, received {received}")
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
