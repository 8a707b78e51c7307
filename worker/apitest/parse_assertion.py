"""One member of `config.assertions` → an assertion value, or None where a mistake keeps it from being one.

A type or operator that the language does not have is something that a newer version may know: the test requires an update.
An operator that the language has and this type does not take is a mistake.
"""

from __future__ import annotations

from worker.apitest.assertion import Assertion, Comparison, Operator, Subject, UnknownAssertion
from worker.apitest.parse_target import read_operator
from worker.apitest.protocols.protocol import AssertionType, Protocol
from worker.apitest.reading import Node, perhaps, quote

_KNOWN_TYPES = frozenset(
    {
        "body",
        "bodyHash",
        "certificate",
        "connection",
        "grpcHealthcheckStatus",
        "grpcMetadata",
        "grpcProto",
        "header",
        "javascript",
        "jitter",
        "latency",
        "mcpRespectsSpecification",
        "mcpServerCapabilities",
        "mcpToolCount",
        "mcpToolNameLength",
        "minTlsVersion",
        "multiNetworkHop",
        "networkHop",
        "packetLossPercentage",
        "packetsReceived",
        "property",
        "receivedMessage",
        "recordEvery",
        "recordSome",
        "responseTime",
        "statusCode",
        "tlsVersion",
    }
)
"""Everything that the language has anywhere: only what is not in here may belong to a newer version of it."""
_SCOPES = ("all", "withoutDNS")


def read_assertion(protocol: Protocol, node: Node) -> Assertion | None:
    """Read one assertion of a test of *protocol*."""
    if not node.object(required=True).present:
        return None
    name, operator = node["type"].text(required=True), node["operator"].label()
    if not name:
        return None
    kind = protocol.assertions.get(name)
    if kind is None:
        return _strange_type(protocol, name, operator, node["type"])
    if kind.read_whole is not None:
        return kind.read_whole(node)
    read_composed = kind.composed.get(operator or "")
    if read_composed is not None:
        return read_composed(node["target"])
    return _comparison(kind, name, operator, node)


def _comparison(kind: AssertionType, name: str, operator: str | None, node: Node) -> Assertion | None:
    chosen = read_operator(node["operator"], operator, kind.operators, tuple(kind.composed))
    if not isinstance(chosen, Operator):
        return UnknownAssertion(type=name, operator=operator) if chosen else None
    asked = kind.read_property(node["property"])
    target = "" if chosen is Operator.DOES_NOT_EXIST else kind.read_target(node["target"], chosen)
    if kind.missing is not None:
        node["type"].requires(kind.missing)
    scope = node["timingsScope"].label()
    if scope and scope not in _SCOPES:
        node["timingsScope"].requires(f"the timings scope {quote(scope)} is not known{perhaps(scope, _SCOPES)}")
    return Comparison(
        subject=Subject(name), operator=chosen, target=target, property=asked, without_dns=scope == "withoutDNS"
    )


def _strange_type(protocol: Protocol, name: str, operator: str | None, node: Node) -> UnknownAssertion | None:
    if name in _KNOWN_TYPES:
        node.mistake(f"{protocol.name} tests have no {name} assertions")
        return None
    meant = perhaps(name, protocol.assertions) or perhaps(name, _KNOWN_TYPES)
    node.requires(f"the assertion type {quote(name)} is not known{meant}")
    return UnknownAssertion(type=name, operator=operator)
