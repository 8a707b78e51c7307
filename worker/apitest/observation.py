"""What a prober saw, before anyone says what it means: phases, attempts, and the protocol's own answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from worker.outcome.failure import Failure
from worker.outcome.hop import Hop
from worker.outcome.phases import Timings
from worker.outcome.resolution import Resolution


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
        return None if self.resolution is None else self.resolution.as_json()
