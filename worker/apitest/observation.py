"""What a prober saw, before anyone says what it means: phases, attempts, and the protocol's own answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from worker.outcome.failure import Failure
from worker.outcome.phases import Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One address tried. *error* is None for the one that worked; *elapsed_tenths* in tenths of a millisecond."""

    address: str
    port: int
    elapsed_tenths: int
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Where a name led: *server* answered the look-up (None for a literal or the host's resolver), *address* was dialled."""

    server: str | None = None
    address: str | None = None
    port: int | None = None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One exchange of a redirect chain, the last one included."""

    url: str
    status: int | None
    address: str | None
    timings: Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPResponse:
    """The last response. *body* is as it came from the wire, still encoded by *content_encodings* (innermost first)."""

    url: str
    status: int
    http_version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    content_encodings: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPConnection:
    """What became of the connection attempt: `established`, `refused` or `timeout`."""

    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSAnswer:
    """One look-up's answer: *records* are the record data in presentation format, *ttl* in seconds of the record set."""

    record_type: str
    records: tuple[str, ...]
    rcode: str
    flags: tuple[str, ...] = ()
    ttl: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSAnswers:
    answers: tuple[DNSAnswer, ...]


Response: TypeAlias = HTTPResponse | TCPConnection | DNSAnswers


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything a prober reports. A failed probe is a value: *failure* says why, *timings* hold every phase that ran.

    A failure does not exclude a response: a refused TCP connection is both, and the verdict decides which one counts.
    """

    timings: Timings
    failure: Failure | None = None
    resolution: Resolution | None = None
    response: Response | None = None

    def resolution_as_json(self) -> dict[str, Any] | None:
        """The `dns_resolution` object of a result, or None when nothing was looked up or dialled."""
        seen = self.resolution
        if seen is None:
            return None
        return {
            "server": seen.server,
            "resolved_ip": seen.address,
            "resolved_port": seen.port,
            "attempts": [
                {"ip": a.address, "port": a.port, "elapsed": a.elapsed_tenths / 10}
                | ({"error": a.error} if a.error else {})
                for a in seen.attempts
            ],
        }
