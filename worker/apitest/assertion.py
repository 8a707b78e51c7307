"""Assertions, what a test demands of its response: one frozen value per shape. `checks` decides whether they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from worker.apitest.extraction import Extraction


class Operator(Enum):
    """Every operator of the language; `protocols` says which type takes which."""

    CONTAINS = "contains"
    DOES_NOT_CONTAIN = "doesNotContain"
    DOES_NOT_EXIST = "doesNotExist"
    DOES_NOT_MATCH = "doesNotMatch"
    IS = "is"
    IS_IN_LESS_THAN = "isInLessThan"
    IS_IN_MORE_THAN = "isInMoreThan"
    IS_NOT = "isNot"
    IS_UNDEFINED = "isUndefined"
    LESS_THAN = "lessThan"
    LESS_THAN_OR_EQUAL = "lessThanOrEqual"
    MATCHES = "matches"
    MORE_THAN = "moreThan"
    MORE_THAN_OR_EQUAL = "moreThanOrEqual"


CONTENT_OPERATORS = (
    Operator.CONTAINS,
    Operator.DOES_NOT_CONTAIN,
    Operator.IS,
    Operator.IS_NOT,
    Operator.MATCHES,
    Operator.DOES_NOT_MATCH,
)
"""Operators on text."""
ORDER_OPERATORS = (
    Operator.LESS_THAN,
    Operator.LESS_THAN_OR_EQUAL,
    Operator.MORE_THAN,
    Operator.MORE_THAN_OR_EQUAL,
)
"""Operators on numbers."""


class Subject(Enum):
    """The subject of a plain comparison; the values are the language's assertion types."""

    BODY = "body"
    CERTIFICATE = "certificate"
    CONNECTION = "connection"
    HEADER = "header"
    MIN_TLS_VERSION = "minTlsVersion"
    NETWORK_HOP = "networkHop"
    PROPERTY = "property"
    RECORD_EVERY = "recordEvery"
    RECORD_SOME = "recordSome"
    RESPONSE_TIME = "responseTime"
    STATUS_CODE = "statusCode"
    TLS_VERSION = "tlsVersion"


class Elements(Enum):
    """The matches of a JSONPath that must satisfy the inner operator."""

    FIRST = "firstElementMatches"
    EVERY = "everyElementMatches"
    AT_LEAST_ONE = "atLeastOneElementMatches"
    SERIALIZATION = "serializationMatches"


Scalar: TypeAlias = str | int | float | bool


class Comparison(Struct, frozen=True, kw_only=True):
    """`type`, `operator`, `target`, and for headers, records and certificates the `property` that is meant."""

    subject: Subject
    operator: Operator
    target: Scalar = ""
    property: str | None = None
    without_dns: bool = False
    """`timingsScope: withoutDNS`: a response time is judged without its look-up."""


class JSONPathAssertion(Struct, frozen=True, kw_only=True):
    path: str
    operator: Operator
    target: Scalar = ""
    elements: Elements = Elements.FIRST


class XPathAssertion(Struct, frozen=True, kw_only=True):
    path: str
    operator: Operator
    target: Scalar = ""


class JSONSchemaAssertion(Struct, frozen=True, kw_only=True):
    """*schema* is JSON text; *meta_schema* the dialect's name (`draft-07`, `draft-06`, …)."""

    schema: str
    meta_schema: str = "draft-07"


class BodyHashAssertion(Struct, frozen=True, kw_only=True):
    """*algorithm* is `md5`, `sha1` or `sha256`; *target* the hexadecimal digest."""

    algorithm: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaScriptAssertion:
    """*variables* are what the script can get: known when the test runs, not when it is read."""

    code: str
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)


class UnknownAssertion(Struct, frozen=True, kw_only=True):
    """Something that a newer version of the language may know. The test ends as REQUIRES_UPDATE, naming it."""

    type: str
    operator: str | None


Assertion: TypeAlias = (
    Comparison
    | JSONPathAssertion
    | XPathAssertion
    | JSONSchemaAssertion
    | BodyHashAssertion
    | JavaScriptAssertion
    | UnknownAssertion
    | Extraction
)
"""An extraction demands, too: that the value is there."""
