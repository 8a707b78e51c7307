"""Assertions on a body whose target has a shape of its own: JSONPath, XPath, JSON Schema and hashes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import orjson

from worker.apitest.assertion import (
    CONTENT_OPERATORS,
    ORDER_OPERATORS,
    Assertion,
    BodyHashAssertion,
    Elements,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Operator,
    Scalar,
    UnknownAssertion,
    XPathAssertion,
)
from worker.apitest.parse_target import read_operator, read_target
from worker.apitest.reading import Node, perhaps, quote

_INNER_OPERATORS = (*CONTENT_OPERATORS, *ORDER_OPERATORS, Operator.IS_UNDEFINED)
_ELEMENTS = tuple(each.value for each in Elements)
_META_SCHEMAS = {
    "draft-06": "draft-06",
    "draft-07": "draft-07",
    "draft-2019-09": "draft-2019-09",
    "2019-09": "draft-2019-09",
    "draft-2020-12": "draft-2020-12",
    "2020-12": "draft-2020-12",
}


def _json_path(node: Node) -> Assertion | None:
    target = node.object(required=True)
    path = target["jsonPath"].text(required=target.present)
    elements = target["elementsOperator"].label() or Elements.FIRST.value
    if elements not in _ELEMENTS:
        target["elementsOperator"].requires(
            f"the elements operator {quote(elements)} is not known{perhaps(elements, _ELEMENTS)}"
        )
        elements = Elements.FIRST.value
    chosen, value = _inner(target)
    if not isinstance(chosen, Operator):
        return UnknownAssertion(type="body", operator="validatesJSONPath") if chosen else None
    return JSONPathAssertion(path=path or "", operator=chosen, target=value, elements=Elements(elements))


def _xpath(node: Node) -> Assertion | None:
    target = node.object(required=True)
    path = target["xPath"].text(required=target.present)
    chosen, value = _inner(target)
    if not isinstance(chosen, Operator):
        return UnknownAssertion(type="body", operator="validatesXPath") if chosen else None
    return XPathAssertion(path=path or "", operator=chosen, target=value)


def _inner(target: Node) -> tuple[Operator | str | None, Scalar]:
    """`operator` and `targetValue` of a composed target."""
    if not target.present:
        return None, ""
    chosen = read_operator(target["operator"], target["operator"].label(), _INNER_OPERATORS)
    if not isinstance(chosen, Operator) or chosen is Operator.IS_UNDEFINED:
        return chosen, ""
    return chosen, read_target(target["targetValue"], chosen)


def _json_schema(node: Node) -> JSONSchemaAssertion | None:
    target = node.object(required=True)
    schema = target["jsonSchema"].text(required=target.present)
    dialect = target["metaSchema"].label() or "draft-07"
    if dialect not in _META_SCHEMAS:
        target["metaSchema"].requires(f"the meta-schema {quote(dialect)} is not known{perhaps(dialect, _META_SCHEMAS)}")
    if not schema:
        return None
    if not target.holds_template(schema):
        try:
            orjson.loads(schema)
        except orjson.JSONDecodeError as error:
            target["jsonSchema"].mistake(f"is not valid JSON: {error}")
    return JSONSchemaAssertion(schema=schema, meta_schema=_META_SCHEMAS.get(dialect, dialect))


def _body_hash(algorithm: str, node: Node) -> BodyHashAssertion:
    return BodyHashAssertion(algorithm=algorithm, target=node.text(required=True) or "")


BODY_OPERATORS: Mapping[str, Callable[[Node], Assertion | None]] = MappingProxyType(
    {"validatesJSONPath": _json_path, "validatesXPath": _xpath, "validatesJSONSchema": _json_schema}
)
"""The composed operators of `body`."""
HASH_OPERATORS: Mapping[str, Callable[[Node], Assertion | None]] = MappingProxyType(
    {name: partial(_body_hash, name) for name in ("md5", "sha1", "sha256")}
)
"""The composed operators of `bodyHash`."""
