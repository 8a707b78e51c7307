"""TCP tests: the request, the connection that became of it, and the assertions on that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.apitest.assertion import ORDER_OPERATORS, Assertion, Operator, Scalar
from worker.apitest.parse_request import read_port, read_timeout
from worker.apitest.parse_target import read_scalar, read_target
from worker.apitest.protocols.protocol import RESPONSE_TIME, AssertionType, Protocol
from worker.apitest.reading import Node, perhaps, quote
from worker.apitest.request import ProbeRequest
from worker.apitest.responses.tcp import OUTCOMES, TCPConnection

DEFAULT_PORT = 443
_NO_HOPS = "network hops are not there yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class TCPRequest(ProbeRequest):
    """A connection attempt."""

    host: str
    port: int


def read_request(request: Node, _options: Node, _assertions: Sequence[Assertion]) -> TCPRequest | None:
    host = request["host"].text(required=request.present)
    if request["shouldTrackHops"].flag():
        request["shouldTrackHops"].ignores(f"{_NO_HOPS}: the connection is tried without them")
    port = read_port(request["port"], DEFAULT_PORT)
    timeout = read_timeout(request["timeout"])
    return TCPRequest(host=host, port=port, timeout=timeout) if host else None


def _outcome(node: Node, operator: Operator) -> Scalar:
    target = read_target(node, operator)
    if isinstance(target, str) and target and target not in OUTCOMES and not node.holds_template(target):
        node.mistake(f"must be one of {', '.join(OUTCOMES)}, not {quote(target)}{perhaps(target, OUTCOMES)}")
    return target


def _hops(node: Node, _operator: Operator) -> Scalar:
    return read_scalar(node, numeric=True)


PROTOCOL = Protocol(
    name="tcp",
    request=TCPRequest,
    response=TCPConnection,
    read_request=read_request,
    assertions={
        "connection": AssertionType(operators=(Operator.IS,), read_target=_outcome),
        "networkHop": AssertionType(operators=(*ORDER_OPERATORS, Operator.IS), read_target=_hops, missing=_NO_HOPS),
        "responseTime": RESPONSE_TIME,
    },
)
