"""One member of `config.assertions` → an assertion value, or None where a mistake keeps it from being one.

A type or operator that the language does not have is something that a newer version may know: the test requires an update.
An operator that the language has and this type does not take is a mistake.
"""

from __future__ import annotations

import math

import orjson

from worker.apitest.assertion import (
    Assertion,
    BodyHashAssertion,
    Comparison,
    Elements,
    JavaScriptAssertion,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Operator,
    Scalar,
    Subject,
    UnknownAssertion,
    XPathAssertion,
)
from worker.apitest.parse_request import RECORD_TYPES
from worker.apitest.reading import Node, quote, template

_CONTENT = (
    Operator.CONTAINS,
    Operator.DOES_NOT_CONTAIN,
    Operator.IS,
    Operator.IS_NOT,
    Operator.MATCHES,
    Operator.DOES_NOT_MATCH,
)
_ORDER = (Operator.LESS_THAN, Operator.LESS_THAN_OR_EQUAL, Operator.MORE_THAN, Operator.MORE_THAN_OR_EQUAL)
_RECORD = (Operator.IS, Operator.CONTAINS, Operator.MATCHES, Operator.DOES_NOT_MATCH)

_TAKEN: dict[str, dict[str, tuple[Operator, ...]]] = {
    "http": {
        "body": _CONTENT,
        "bodyHash": (),
        "header": (*_CONTENT, Operator.DOES_NOT_EXIST, *_ORDER),
        "responseTime": (Operator.LESS_THAN,),
        "statusCode": (Operator.IS, Operator.IS_NOT, Operator.MATCHES, Operator.DOES_NOT_MATCH),
    },
    "tcp": {
        "connection": (Operator.IS,),
        "networkHop": (*_ORDER, Operator.IS),
        "responseTime": (Operator.LESS_THAN,),
    },
    "dns": {
        "recordEvery": _RECORD,
        "recordSome": _RECORD,
        "responseTime": (Operator.LESS_THAN,),
    },
}
"""Which types each kind of test has, and which operators of plain comparison each of them takes."""

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
_KNOWN_OPERATORS = frozenset(
    {
        "contains",
        "doesNotContain",
        "doesNotExist",
        "doesNotMatch",
        "is",
        "isInLessThan",
        "isInMoreThan",
        "isNot",
        "isUndefined",
        "lessThan",
        "lessThanOrEqual",
        "matches",
        "md5",
        "moreThan",
        "moreThanOrEqual",
        "sha1",
        "sha256",
        "validates",
        "validatesJSONPath",
        "validatesJSONSchema",
        "validatesXPath",
    }
)
"""Everything that the language has anywhere: only what is not in here may belong to a newer version of it."""

_HASHES = ("md5", "sha1", "sha256")
_COMPOSED = {"body": ("validatesJSONPath", "validatesXPath", "validatesJSONSchema"), "bodyHash": _HASHES}
"""Operators with a target of their own shape, by type."""
_OUTCOMES = ("established", "refused", "timeout")
_META_SCHEMAS = {
    "draft-06": "draft-06",
    "draft-07": "draft-07",
    "draft-2019-09": "draft-2019-09",
    "2019-09": "draft-2019-09",
    "draft-2020-12": "draft-2020-12",
    "2020-12": "draft-2020-12",
}


def read_assertion(subtype: str, node: Node) -> Assertion | None:
    """Read one assertion of a *subtype* test (`http`, `tcp` or `dns`)."""
    if not node.object(required=True).present:
        return None
    name, operator = node["type"].text(required=True), node["operator"].label()
    if not name:
        return None
    match name, operator:
        case "javascript", _ if subtype == "http":
            return _javascript(node)
        case "bodyHash", _ if subtype == "http" and operator in _HASHES:
            return BodyHashAssertion(algorithm=operator or "", target=node["target"].text(required=True) or "")
        case "body", "validatesJSONPath" if subtype == "http":
            return _json_path(node["target"].object(required=True))
        case "body", "validatesXPath" if subtype == "http":
            return _xpath(node["target"].object(required=True))
        case "body", "validatesJSONSchema" if subtype == "http":
            return _json_schema(node["target"].object(required=True))
        case _:
            return _comparison(subtype, name, operator, node)


def _comparison(subtype: str, name: str, operator: str | None, node: Node) -> Assertion | None:
    taken = _TAKEN[subtype].get(name)
    if taken is None:
        return _strange_type(subtype, name, operator, node["type"])
    chosen = _operator(node["operator"], operator, taken, _COMPOSED.get(name, ()))
    if not isinstance(chosen, Operator):
        return UnknownAssertion(type=name, operator=operator) if chosen else None
    subject = Subject(name)
    asked = _property(subject, node["property"])
    target = _target(subject, chosen, node["target"])
    if subject is Subject.NETWORK_HOP:
        node["type"].requires("network hops are not there yet")
    scope = node["timingsScope"].label()
    if scope not in (None, "", "all", "withoutDNS"):
        node["timingsScope"].requires(f"the timings scope {quote(scope)} is not known")
    return Comparison(
        subject=subject, operator=chosen, target=target, property=asked, without_dns=scope == "withoutDNS"
    )


def _strange_type(subtype: str, name: str, operator: str | None, node: Node) -> UnknownAssertion | None:
    if name in _KNOWN_TYPES:
        node.mistake(f"{subtype} tests have no {name} assertions")
        return None
    node.requires(f"the assertion type {quote(name)} is not known")
    return UnknownAssertion(type=name, operator=operator)


def _operator(
    node: Node, name: str | None, taken: tuple[Operator, ...], others: tuple[str, ...] = ()
) -> Operator | str | None:
    """The operator; its name where only a newer version may know it; None for a mistake."""
    for each in taken:
        if each.value == name:
            return each
    names = ", ".join((*(each.value for each in taken), *others))
    if not name:
        if not node.present or name == "":
            node.mistake(f"is missing, must be one of {names}")
        return None
    if name not in _KNOWN_OPERATORS:
        node.requires(f"the operator {quote(name)} is not known")
        return name
    node.mistake(f"must be one of {names}, not {quote(name)}")
    return None


def _property(subject: Subject, node: Node) -> str | None:
    match subject:
        case Subject.HEADER:
            return node.text(required=True)
        case Subject.RECORD_EVERY | Subject.RECORD_SOME:
            record = node.text(required=True)
            if record and template(record) is None and record.upper() not in RECORD_TYPES:
                node.requires(f"records of type {quote(record)} are not there yet")
            return record.upper() if record else None
        case _:
            return None


def _target(subject: Subject, operator: Operator, node: Node) -> Scalar:
    if operator is Operator.DOES_NOT_EXIST:
        return ""
    numeric = operator in _ORDER or subject is Subject.NETWORK_HOP
    if subject is Subject.STATUS_CODE:
        numeric = operator in (Operator.IS, Operator.IS_NOT)
    target = _value(node, numeric=numeric)
    if subject is Subject.CONNECTION and isinstance(target, str) and target and target not in _OUTCOMES:
        node.mistake(f"must be one of {', '.join(_OUTCOMES)}, not {quote(target)}")
    return target


def _value(node: Node, *, numeric: bool) -> Scalar:
    """A target: there, text or a number, and a number (or its text, or a template) where *numeric*."""
    if not node.present:
        node.mistake("is missing")
        return ""
    value = node.scalar()
    if value is None:
        return ""
    if numeric and (isinstance(value, bool) or not _is_number(value)):
        node.mistake(f"must be a number, not {quote(str(value))}")
    return value


def _is_number(value: Scalar) -> bool:
    if not isinstance(value, str):
        return True
    if template(value) is not None:
        return True
    try:
        return len(value) <= 400 and "_" not in value and math.isfinite(float(value))
    except ValueError:
        return False


def _javascript(node: Node) -> JavaScriptAssertion:
    node.requires("JavaScript assertions are not there yet")
    return JavaScriptAssertion(code=node["code"].label() or "")


def _json_path(target: Node) -> Assertion | None:
    path = target["jsonPath"].text(required=target.present)
    elements = target["elementsOperator"].label() or Elements.FIRST.value
    if elements not in {each.value for each in Elements}:
        target["elementsOperator"].requires(f"the elements operator {quote(elements)} is not known")
        elements = Elements.FIRST.value
    chosen, value = _inner(target, (*_CONTENT, *_ORDER, Operator.IS_UNDEFINED))
    if not isinstance(chosen, Operator):
        return UnknownAssertion(type="body", operator="validatesJSONPath") if chosen else None
    return JSONPathAssertion(path=path or "", operator=chosen, target=value, elements=Elements(elements))


def _xpath(target: Node) -> Assertion | None:
    path = target["xPath"].text(required=target.present)
    chosen, value = _inner(target, (*_CONTENT, *_ORDER, Operator.IS_UNDEFINED))
    if not isinstance(chosen, Operator):
        return UnknownAssertion(type="body", operator="validatesXPath") if chosen else None
    return XPathAssertion(path=path or "", operator=chosen, target=value)


def _inner(target: Node, taken: tuple[Operator, ...]) -> tuple[Operator | str | None, Scalar]:
    """`operator` and `targetValue` of a composed target."""
    if not target.present:
        return None, ""
    chosen = _operator(target["operator"], target["operator"].label(), taken)
    if not isinstance(chosen, Operator) or chosen is Operator.IS_UNDEFINED:
        return chosen, ""
    return chosen, _value(target["targetValue"], numeric=chosen in _ORDER)


def _json_schema(target: Node) -> JSONSchemaAssertion | None:
    schema = target["jsonSchema"].text(required=target.present)
    dialect = target["metaSchema"].label() or "draft-07"
    if dialect not in _META_SCHEMAS:
        target["metaSchema"].requires(f"the meta-schema {quote(dialect)} is not known")
    if not schema:
        return None
    if template(schema) is None:
        try:
            orjson.loads(schema)
        except orjson.JSONDecodeError as error:
            target["jsonSchema"].mistake(f"is no JSON: {error}")
    return JSONSchemaAssertion(schema=schema, meta_schema=_META_SCHEMAS.get(dialect, dialect))
