"""SSL tests: the request, the certificate and the handshake that were seen, and the assertions on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.apitest.assertion import (
    CONTENT_OPERATORS,
    ORDER_OPERATORS,
    Assertion,
    Comparison,
    Operator,
    Scalar,
    Subject,
)
from worker.apitest.parse_request import read_client_certificate, read_port, read_switch, read_timeout
from worker.apitest.parse_target import read_scalar
from worker.apitest.protocols.protocol import RESPONSE_TIME, AssertionType, Protocol
from worker.apitest.reading import Node, perhaps, quote
from worker.apitest.request import ClientCertificate, ProbeRequest
from worker.apitest.responses.ssl import SSLResponse
from worker.apitest.template import first_template

DEFAULT_PORT = 443

PROPERTIES = (
    "cipher",
    "exponent",
    "extKeyUsage",
    "fingerprint",
    "fingerprint256",
    "issuer",
    "keySize",
    "keyType",
    "modulus",
    "protocol",
    "serialNumber",
    "signatureAlgorithm",
    "subject",
    "subject.altName",
    "validFrom",
    "validTo",
)
"""Properties of a certificate as results of the reference system's first version name them, and a few more. Behind `issuer.` and
`subject.` comes the short name of an attribute (`CN`, `O`, …).
"""
_SPELLINGS = {
    "subjectaltname": "subject.altName",
    "valid.from": "validFrom",
    "valid.to": "validTo",
    **{name.lower(): name for name in PROPERTIES},
}
"""Other spellings by their text in lower case and without `_`: those of Node and of the second version of results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SSLRequest(ProbeRequest):
    """A TLS handshake, and whatever the assertions and switches ask about the certificate.

    *server_name* is sent and looked for in the certificate. *accept_self_signed* accepts an issuer that nobody here knows,
    *accept_any* every fault of the certificate. *lowest_version*: the lowest TLS version of the target is looked for.
    """

    host: str
    port: int
    server_name: str
    accept_self_signed: bool = False
    accept_any: bool = False
    check_revocation: bool = False
    fetch_intermediates: bool = True
    lowest_version: bool = False
    client_certificate: ClientCertificate | None = None


def read_request(request: Node, options: Node, assertions: Sequence[Assertion]) -> SSLRequest | None:
    host = request["host"].text(required=request.present)
    server_name = request["servername"].text()
    port = read_port(request["port"], DEFAULT_PORT)
    if not host:
        return None
    unfetched = read_switch(options["disableAiaIntermediateFetching"], request["disableAiaIntermediateFetching"])
    return SSLRequest(
        host=host,
        port=port,
        server_name=server_name or host,
        accept_self_signed=_accepts_self_signed(request, options),
        accept_any=read_switch(options["ignore_certificate_validation"], request["ignore_certificate_validation"]),
        check_revocation=read_switch(options["checkCertificateRevocation"], request["checkCertificateRevocation"]),
        fetch_intermediates=not unfetched,
        lowest_version=any(
            isinstance(each, Comparison) and each.subject is Subject.MIN_TLS_VERSION for each in assertions
        ),
        client_certificate=read_client_certificate(request),
        timeout=read_timeout(request["timeout"]),
    )


def _accepts_self_signed(request: Node, options: Node) -> bool:
    """A step has no `accept_self_signed`: there the same switch is written as `allow_insecure`."""
    stepwise = request["allow_insecure"].flag()
    return read_switch(options["accept_self_signed"], request["accept_self_signed"]) or bool(stepwise)


def _property(node: Node) -> str | None:
    name = node.text(required=True)
    if not name or first_template(name) is not None:
        return name
    head, dot, attribute = name.partition(".")
    known = _SPELLINGS.get(name.lower().replace("_", ""))
    if known is None and dot and attribute and head.lower() in ("issuer", "subject"):
        return f"{head.lower()}.{attribute}"
    if known is None:
        node.requires(f"the property {quote(name)} of a certificate is not known{perhaps(name, PROPERTIES)}")
    return known


def _number(node: Node, _operator: Operator) -> Scalar:
    return read_scalar(node, numeric=True)


PROTOCOL = Protocol(
    name="ssl",
    request=SSLRequest,
    response=SSLResponse,
    read_request=read_request,
    assertions={
        "certificate": AssertionType(
            operators=(Operator.IS_IN_MORE_THAN, Operator.IS_IN_LESS_THAN), read_target=_number
        ),
        "minTlsVersion": AssertionType(
            operators=(Operator.MORE_THAN, Operator.MORE_THAN_OR_EQUAL), read_target=_number
        ),
        "property": AssertionType(operators=CONTENT_OPERATORS, read_property=_property),
        "responseTime": RESPONSE_TIME,
        "tlsVersion": AssertionType(operators=(*ORDER_OPERATORS, Operator.IS), read_target=_number),
    },
)
