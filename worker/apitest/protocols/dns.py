"""DNS tests: the request, the answers, and the assertions on their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.apitest.assertion import Assertion, Comparison, Operator, Subject
from worker.apitest.parse_request import read_port, read_timeout
from worker.apitest.protocols.protocol import RESPONSE_TIME, AssertionType, Protocol
from worker.apitest.reading import Node, perhaps, quote
from worker.apitest.request import ProbeRequest
from worker.apitest.responses.dns import DNSAnswers

RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")
DEFAULT_PORT = 53


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSRequest(ProbeRequest):
    """Look-ups of one name, one per record type that the assertions ask about. *timeout* over all of them.

    Without *server* the worker's own resolution order is used and nothing is judged but the answer; with it, the server is a
    target like any other and passes the egress policy.
    """

    host: str
    record_types: tuple[str, ...] = ("A",)
    server: str | None = None
    port: int = DEFAULT_PORT


def read_request(request: Node, _options: Node, assertions: Sequence[Assertion]) -> DNSRequest | None:
    host = request["host"].text(required=request.present)
    server = request["dnsServer"].text()
    port = read_port(request["dnsServerPort"], DEFAULT_PORT)
    timeout = read_timeout(request["timeout"])
    if not host:
        return None
    record_types = _record_types(assertions) or ("A",)
    return DNSRequest(host=host, record_types=record_types, server=server or None, port=port, timeout=timeout)


def _record_types(assertions: Sequence[Assertion]) -> tuple[str, ...]:
    """The types in the order in which the assertions name them, each once."""
    asked = (
        each.property
        for each in assertions
        if isinstance(each, Comparison) and each.subject in (Subject.RECORD_EVERY, Subject.RECORD_SOME)
    )
    return tuple(dict.fromkeys(record for record in asked if record))


def _record_type(node: Node) -> str | None:
    record = node.text(required=True)
    if record and not node.holds_template(record) and record.upper() not in RECORD_TYPES:
        node.requires(f"records of type {quote(record)} are not there yet{perhaps(record, RECORD_TYPES)}")
    return record.upper() if record else None


_RECORDS = AssertionType(
    operators=(Operator.IS, Operator.CONTAINS, Operator.MATCHES, Operator.DOES_NOT_MATCH), read_property=_record_type
)

PROTOCOL = Protocol(
    name="dns",
    request=DNSRequest,
    response=DNSAnswers,
    read_request=read_request,
    assertions={"recordEvery": _RECORDS, "recordSome": _RECORDS, "responseTime": RESPONSE_TIME},
)
