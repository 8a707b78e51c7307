"""The door, watched: what goes through it is told step by step, as the timeline of `check --trace` or as the log's details.

It changes nothing and counts bytes without looking into them: no header, body, path or credential is told, but hosts, addresses
and the policy's rules are, which are the operator's own; secure values of the run are taken out. A worker that serves loads it
for `-vvvv` alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Protocol

from worker.clock import Clock
from worker.egress.hosts import Address, Host, Name
from worker.egress.policy import Decision, Policy
from worker.egress.proxy import Proxy
from worker.net.dns.resolver import Resolver, ServersInOrder
from worker.net.dns.wire import DNSReply
from worker.net.door import Door, Endpoint
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.net.stream import READ, Stream
from worker.net.trust import TrustStore
from worker.outcome.underway import JOB, told
from worker.text import counted, printable

MAX_READS = 20
"""Reads of one connection that have a line each; what came is summed up when it is closed."""
MAX_TEXT = 300
"""Characters of one line's text: a test may name a long host."""
_NANOSECONDS = 1_000_000


log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Whoever is told of each step."""

    def note(self, step: str, text: str, *, ago_ns: int = 0) -> None:
        """Tell of *step*, one word; *ago_ns* is how long it has been over."""


class DoorLog:
    """A watcher that writes details into the log, as `door_` and the step, under the job that is run."""

    def note(self, step: str, text: str, *, ago_ns: int = 0) -> None:
        if log.isEnabledFor(logging.DEBUG):
            details: dict[str, object] = {"action": f"door_{step.lower().replace('-', '_')}", "job": JOB.get()}
            if ago_ns:
                details["ago_ms"] = round(ago_ns / _NANOSECONDS, 1)
            log.debug("%s", printable(told(text), MAX_TEXT), extra=details)


class Timeline:
    """A watcher for one test at a time. Hands lines to *show*: milliseconds since the test began, the step, and the text."""

    def __init__(self, clock: Clock, show: Callable[[str], None]) -> None:
        self._clock = clock
        self._show = show
        self._began_ns = 0

    def begin(self, title: str) -> None:
        """Begin the timeline of another test."""
        self._began_ns = self._clock.monotonic_ns()
        self._show(f"timeline of {printable(title, MAX_TEXT)}")

    def note(self, step: str, text: str, *, ago_ns: int = 0) -> None:
        elapsed = max(0, self._clock.monotonic_ns() - ago_ns - self._began_ns)
        self._show(f"{elapsed / _NANOSECONDS:9.1f} ms  {step:<8} {printable(told(text), MAX_TEXT)}")


class _WatchedPolicy(Policy):
    """The same rules; each judgement is a line."""

    watcher: Watcher

    @classmethod
    def of(cls, policy: Policy, watcher: Watcher) -> _WatchedPolicy:
        watched = cls(**{field.name: getattr(policy, field.name) for field in fields(policy)})
        object.__setattr__(watched, "watcher", watcher)  # the rules are frozen, who hears of them is no rule
        return watched

    def judge_name(self, host: Host) -> Decision:
        decision = Policy.judge_name(self, host)
        self.watcher.note("name", f"{host}: {decision.rule}")
        return decision

    def judge(self, address: Address) -> Decision:
        decision = Policy.judge(self, address)
        self.watcher.note("judge", f"{address}: {decision.rule}")
        return decision


class _WatchedResolver(Resolver):
    """The same look-ups; each is told when it has an answer. What fails is told by the door."""

    def __init__(self, resolver: Resolver, watcher: Watcher) -> None:
        vars(self).update(vars(resolver))
        self._watcher = watcher

    async def resolve(self, name: Name, recorder: Recorder) -> tuple[Address, ...]:
        found = await super().resolve(name, recorder)
        by = "without asking" if recorder.server is None else f"by {recorder.server}"
        self._watcher.note("look-up", f"{name.text}: {', '.join(map(str, found))}, {by}")
        return found


class WatchedDoor(Door):
    """A door that tells *watcher* what it does."""

    def __init__(
        self, watcher: Watcher, *, policy: Policy, resolver: Resolver, trust: TrustStore, proxy: Proxy | None = None
    ) -> None:
        watched = _WatchedResolver(resolver, watcher)
        super().__init__(policy=_WatchedPolicy.of(policy, watcher), resolver=watched, trust=trust, proxy=proxy)
        self._watcher = watcher

    async def open(self, endpoint: Endpoint, recorder: Recorder) -> Stream:
        self._named.cache_clear()  # what the policy says of a name is a line for each test
        self._watcher.note("open", f"{endpoint.host}:{endpoint.port}")
        known = len(recorder.attempts)
        try:
            stream = await super().open(endpoint, recorder)
        except DoorError as error:
            self._tell_way(recorder, known)
            self._watcher.note("failed", f"{error.failure.code.value}: {error.failure.message}")
            raise
        self._tell_way(recorder, known)
        return WatchedStream(stream, self._watcher)

    async def open_again(self, endpoint: Endpoint, first: Recorder) -> Stream:
        self._watcher.note("again", f"{endpoint.host}:{endpoint.port}")
        return WatchedStream(await super().open_again(endpoint, first), self._watcher)

    async def nameservers(self, host: str | None, port: int, recorder: Recorder) -> ServersInOrder:
        self._named.cache_clear()
        return await super().nameservers(host, port, recorder)

    async def query(self, asked: ServersInOrder, host: str, record_type: str, recorder: Recorder) -> DNSReply:
        self._named.cache_clear()
        self._watcher.note("ask", f"{record_type} of {host}")
        try:
            reply = await super().query(asked, host, record_type, recorder)
        except DoorError as error:
            self._watcher.note("failed", f"{error.failure.code.value}: {error.failure.message}")
            raise
        self._watcher.note("answer", f"{reply.rcode}, {counted(len(reply.records), 'record')}, by {recorder.server}")
        return reply

    def _tell_way(self, recorder: Recorder, known: int) -> None:
        """The addresses that were dialled and the handshake, each at the time at which it was over."""
        tls = recorder.phases.get("ssl", 0)
        later = tls
        lines: list[tuple[str, int]] = []
        way = " through the proxy" if "proxy" in recorder.phases else ""
        for attempt in reversed(recorder.attempts[known:]):
            outcome = attempt.error or f"in {attempt.elapsed_tenths / 10:.1f} ms{way}"
            lines.append((f"{attempt.address}:{attempt.port} {outcome}", later))
            later += attempt.elapsed_tenths * 100_000
        for text, ago_ns in reversed(lines):
            self._watcher.note("connect", text, ago_ns=ago_ns)
        if recorder.handshake is not None:
            agreed = recorder.handshake
            self._watcher.note("TLS", f"{agreed.protocol}, {agreed.cipher} in {tls / _NANOSECONDS:.1f} ms")


class WatchedStream:
    """A stream whose bytes are counted. What it is not asked about here is the inner stream's."""

    def __init__(self, stream: Stream, watcher: Watcher) -> None:
        self._stream = stream
        self._watcher = watcher
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
            self._watcher.note("broken", error.strerror or type(error).__name__)
            raise
        self._reads += 1
        self._received += len(data)
        if self._reads <= MAX_READS:
            self._watcher.note("receive", counted(len(data), "byte") if data else "the peer's end")
        return data

    def write(self, data: bytes) -> None:
        self._sent += len(data)
        self._watcher.note("send", counted(len(data), "byte"))
        self._stream.write(data)

    def put_back(self, data: bytes) -> None:
        self._received -= len(data)
        self._stream.put_back(data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            sent, received = counted(self._sent, "byte"), counted(self._received, "byte")
            self._watcher.note("close", f"sent {sent}, received {received}")
        self._stream.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
