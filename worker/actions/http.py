"""`http.request` and `http.testConnection`: one HTTP exchange, or a chain of redirects, each hop under the policy of its host.

A hop to the origin that the operator wrote into the connection is under the policy `named`, every other one under `free`; a hop
that leaves the origin of the request takes nothing along that task or connection set. The action repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from worker.actions.action import Action, ActionFailure, ActionOutcome, Effect, Input, Order, succeeded
from worker.actions.connection import ActionConnection
from worker.actions.http_answer import (
    DEFAULT_ERRORS,
    ENCODINGS,
    PARSINGS,
    STATUSES,
    is_error,
    outputs_of,
    status_failure,
)
from worker.actions.http_request import WRITES, HTTPConnection, default_fields, merged, request_of
from worker.actions.tools import ActionRoute, Tools
from worker.net.http.client import Client, Transfer
from worker.net.http.error import HTTPError
from worker.net.http.redirect import MAX_REDIRECTS, is_redirect, method_after
from worker.net.http.request import Request
from worker.net.http.response import HTTPLimits, Response
from worker.net.http.url import Target, parse, resolve
from worker.outcome.failure import Failure, FailureCode
from worker.schemas.schema import closed

MAX_BODY_BYTES: Final = 5_000_000

_DETAILS: Final = {
    FailureCode.DNS: "DNS",
    FailureCode.DENIED: "DENIED",
    FailureCode.CONNREFUSED: "CONNECT",
    FailureCode.CONNRESET: "CONNECT",
    FailureCode.HOSTUNREACH: "CONNECT",
    FailureCode.NETUNREACH: "CONNECT",
    FailureCode.TUNNEL: "CONNECT",
    FailureCode.SSL: "TLS",
    FailureCode.TIMEOUT: "TIMEOUT",
    FailureCode.BODY_TOO_LARGE: "BODY_TOO_LARGE",
    FailureCode.HEADER_TOO_LARGE: "BODY_TOO_LARGE",
    FailureCode.MALFORMED_RESPONSE: "PARSE",
    FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH: "PARSE",
    FailureCode.INTERNAL_ERROR: "RUNNER",
}
_MAYBE_SENT: Final = frozenset(
    {
        FailureCode.CONNRESET,
        FailureCode.TIMEOUT,
        FailureCode.BODY_TOO_LARGE,
        FailureCode.HEADER_TOO_LARGE,
        FailureCode.MALFORMED_RESPONSE,
        FailureCode.HEADERS_INCOMPATIBLE_CONTENT_LENGTH,
        FailureCode.UNKNOWN,
    }
)
"""Failures after which a target that was reached may have done what it was asked."""
_RETRYABLE: Final = frozenset({"DNS", "CONNECT", "TIMEOUT", "RUNNER"})
CODES: Final = ("STATUS", "REQUEST", *dict.fromkeys(_DETAILS.values()), "REDIRECTS")

_PAIRS: Final = {
    "type": "array",
    "maxItems": 200,
    "items": closed({"key": {"type": "string"}, "value": {"type": "string"}}, "key", "value"),
}
_REQUEST: Final = closed(
    {
        "verb": {"enum": ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"]},
        "url": {"type": "string", "maxLength": 16_384, "description": "absolute, or below the connection's base_url"},
        "requestHeaders": {
            "type": "array",
            "maxItems": 100,
            "items": closed(
                {
                    "key": {"type": "string", "minLength": 1, "maxLength": 200},
                    "value": {"type": "array", "maxItems": 20, "items": {"type": "string", "maxLength": 8192}},
                },
                "key",
                "value",
            ),
        },
        "urlParams": _PAIRS,
        "body": {"description": "a text as it is, anything else as JSON"},
        "formData": {
            "type": "array",
            "maxItems": 100,
            "items": closed(
                {"key": {"type": "string"}, "value": {"type": "string"}, "type": {"enum": ["string", "datauri"]}},
                "key",
                "value",
            ),
        },
        "followRedirect": {"type": "boolean", "default": False},
        "allowExpiredCertificate": {"type": "boolean", "default": False},
        "errorOnStatus": {"type": "array", "maxItems": 50, "items": {"type": "string", "pattern": STATUSES}},
        "responseParsing": {"enum": [*PARSINGS]},
        "responseEncoding": {"enum": [*ENCODINGS]},
    },
    "verb",
    "url",
)
_ANSWER: Final = closed(
    {
        "status": {"type": "integer"},
        "headers": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "body": {},
        "url": {"type": "string"},
        "timings": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "milliseconds by phase",
        },
    },
    "status",
    "headers",
    "body",
    "url",
    "timings",
)


def effect(given: Input, connection: ActionConnection | None) -> Effect:
    """RFC 9110 §9.2, where the operator does not know better."""
    verb = given["verb"]
    if verb not in WRITES:
        return Effect.READ
    known = isinstance(connection, HTTPConnection) and connection.idempotent
    return Effect.REPEAT if known or verb in ("PUT", "DELETE") else Effect.ONCE


async def request(order: Order, connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `http.request`. Raises ActionFailure."""
    chain = _Hops(order, connection, tools)
    response, target = await chain.follow(request_of(order, connection))
    place, timings = f"{target.host}:{target.port}", chain.timings()
    if is_error(response.status, order.input.get("errorOnStatus", DEFAULT_ERRORS)):
        raise status_failure(response, target.url, timings, place)
    return succeeded(outputs_of(response, target.url, timings, order.input), target=place)


async def check_connection(order: Order, connection: ActionConnection | None, tools: Tools) -> ActionOutcome:
    """Carry out `http.testConnection`: the request that the connection names for it, or a GET of its base_url."""
    assert isinstance(connection, HTTPConnection)
    asked = {"verb": connection.test_verb, "url": connection.test_path}
    outcome = await request(replace(order, input=asked), connection, tools)
    assert outcome.outputs is not None
    return succeeded({name: outcome.outputs[name] for name in ("status", "url", "timings")}, target=outcome.target)


class _Hops:
    """The exchanges of one order so far."""

    def __init__(self, order: Order, connection: ActionConnection | None, tools: Tools) -> None:
        self._order = order
        self._tools = tools
        self._base = connection.base_url if isinstance(connection, HTTPConnection) else None
        self._ca_file = connection.ca_file if isinstance(connection, HTTPConnection) else None
        self._seconds = min(order.timeout, tools.http_seconds)
        self._end_ns = tools.clock.monotonic_ns() + round(self._seconds * 1e9)
        self._before = 0.0
        self._answered = False
        self._last: Mapping[str, float] = {}

    def timings(self) -> dict[str, float]:
        """Milliseconds by phase of the last hop, those of all before it as `redirect`."""
        before = {"redirect": round(self._before, 1)} if self._before else {}
        return {**before, **self._last, "total": round(self._before + self._last.get("total", 0.0), 1)}

    async def follow(self, request: Request) -> tuple[Response, Target]:
        """The answer that is the last, and the target that gave it. Raises ActionFailure."""
        target = parse(request.url, request.query)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._exchange(request, target)
            location = response.header("location") if is_redirect(response.status) else None
            if location is None or not self._order.input.get("followRedirect", False):
                return response, target
            self._before += self._last.get("total", 0.0)
            self._answered = True
            request, target = self._next(request, target, response.status, location)
        raise ActionFailure("REDIRECTS", f"redirected more than {MAX_REDIRECTS} times", target=_place(target))

    async def _exchange(self, request: Request, target: Target) -> Response:
        is_named = self._base is not None and target.origin == self._base.origin
        route = ActionRoute(
            named=is_named,
            ca_file=self._ca_file if is_named else None,
            expired_allowed=self._order.input.get("allowExpiredCertificate", False),
        )
        door = await self._tools.doors.to(route)
        client = Client(door, self._tools.clock, HTTPLimits(max_body_bytes=MAX_BODY_BYTES), default_fields())
        left = (self._end_ns - self._tools.clock.monotonic_ns()) / 1e9
        transfer = await client.send(request, max(left, 0.001))
        self._last = transfer.timings.as_json()
        if transfer.failure is not None or transfer.response is None:
            raise self._failed(transfer, target)
        return transfer.response

    def _next(self, request: Request, target: Target, status: int, location: str) -> tuple[Request, Target]:
        try:
            following = resolve(target, location)
        except HTTPError as error:
            raise ActionFailure("REQUEST", f"{target}: redirected to {error}", target=_place(target)) from None
        stays = following.origin == target.origin
        method = method_after(status, request.method)
        keeps_body = stays and method == request.method
        return (
            Request(
                url=following.url,
                method=method,
                headers=request.headers if stays else (),
                body=request.body if keeps_body else None,
                content_type=request.content_type if keeps_body else None,
                credentials=request.credentials if stays else None,
                identity=request.identity if stays else None,
            ),
            following,
        )

    def _failed(self, transfer: Transfer, target: Target) -> ActionFailure:
        failure = transfer.failure or Failure(FailureCode.UNKNOWN, "no answer")
        detail = _DETAILS.get(failure.code, "REQUEST")
        return ActionFailure(
            detail,
            failure.message,
            retryable=detail in _RETRYABLE,
            doubtful=self._answered or (failure.code in _MAYBE_SENT and _was_connected(transfer, target)),
            target=_place(target),
        )


def _was_connected(transfer: Transfer, target: Target) -> bool:
    """True where the request may have left: all of the way to the target stood."""
    done = {name for name, _ in transfer.timings.tenths}
    return "ssl" in done if target.secure else bool(done & {"tcp", "proxy"})


def _place(target: Target) -> str:
    return f"{target.host}:{target.port}"


def tests_read(_given: Input, connection: ActionConnection | None) -> Effect:
    """A test of a connection by a verb that writes is an effect as any other."""
    verb = connection.test_verb if isinstance(connection, HTTPConnection) else "GET"
    return effect({"verb": verb}, connection)


ACTIONS: Final = (
    Action(
        name="http.request",
        summary="Send an HTTP request and return its answer.",
        effects="by verb",
        effect=effect,
        input_schema=_REQUEST,
        output_schema=_ANSWER,
        codes=CODES,
        act=request,
        connection=HTTPConnection,
        merged=merged,
    ),
    Action(
        name="http.testConnection",
        summary="Send the request by which the operator tells whether an HTTP connection works.",
        effects="by verb",
        effect=tests_read,
        input_schema=closed({}),
        output_schema=closed(
            {"status": {"type": "integer"}, "url": {"type": "string"}, "timings": {"type": "object"}},
            "status",
            "url",
            "timings",
        ),
        codes=CODES,
        act=check_connection,
        connection=HTTPConnection,
        needs_connection=True,
    ),
)
