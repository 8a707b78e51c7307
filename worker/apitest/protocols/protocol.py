"""A row of the table of protocols, and a row of its assertion types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct, field

from worker.apitest.assertion import Assertion, Operator, Scalar
from worker.apitest.observation import ProbeResponse
from worker.apitest.parse_target import read_target
from worker.apitest.reading import Node
from worker.apitest.request import ProbeRequest


def no_property(_node: Node) -> None:
    """The `property` of an assertion type that has none is not looked at."""


class AssertionType(Struct, frozen=True, kw_only=True):
    """One `type` of assertion, by the readers of its members. They note mistakes and never raise."""

    operators: tuple[Operator, ...] = ()
    """Those of plain comparison; with them the type's name is a `Subject`."""
    composed: Mapping[str, Callable[[Node], Assertion | None]] = field(default_factory=dict)
    """Operators whose `target`, which their reader gets, has a shape of its own."""
    read_whole: Callable[[Node], Assertion | None] | None = None
    """Reads an assertion that has no operator."""
    read_property: Callable[[Node], str | None] = no_property
    read_target: Callable[[Node, Operator], Scalar] = read_target
    missing: str | None = None
    """Set for a type that is read and that this version cannot judge: the test requires an update, for this reason."""


RESPONSE_TIME = AssertionType(operators=(Operator.LESS_THAN,))
"""`responseTime`, which every protocol has."""


class Protocol(Struct, frozen=True, kw_only=True):
    """*name* is the `subtype` of its tests; *request* and *response* are the classes of no other protocol.

    *read_request* gets `config.request`, `options` and the assertions, and returns None where a mistake keeps the request from
    being one. *assertions* holds the assertion types by name.
    """

    name: str
    request: type[ProbeRequest]
    response: type[ProbeResponse]
    read_request: Callable[[Node, Node, Sequence[Assertion]], ProbeRequest | None]
    assertions: Mapping[str, AssertionType]
