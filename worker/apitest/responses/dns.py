"""The answers that a DNS probe got."""

from __future__ import annotations

from msgspec import Struct

from worker.apitest.observation import ProbeResponse


class DNSAnswer(Struct, frozen=True, kw_only=True):
    """One look-up's answer: *records* are the record data in presentation format, *ttl* in seconds of the record set."""

    record_type: str
    records: tuple[str, ...]
    rcode: str
    flags: tuple[str, ...] = ()
    ttl: int | None = None


class DNSAnswers(ProbeResponse, frozen=True, kw_only=True):
    answers: tuple[DNSAnswer, ...]
