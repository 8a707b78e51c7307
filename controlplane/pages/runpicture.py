"""A stored outcome → the parts of its page: phases, facts, assertions, headers, body, certificate, attempts, steps. Pure.

The outcome may come from another version: what has another shape is left out, and what has no place of its own is listed by its
path. Nothing in it can raise, and none of it is markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from msgspec import Struct

from controlplane.pages import charts
from worker.apitest.details import condition
from worker.apitest.findings import Fact, facts
from worker.apitest.members import object_of
from worker.apitest.summary import reason
from worker.text import cut

MOST_ROWS = 200
"""Assertions, headers, steps, attempts: each list is cut there."""
MOST_CHARACTERS = 2000
"""Of one value."""
MOST_BODY = 100_000
"""Characters of a body that are shown."""
DEEPEST = 3
"""A test, its steps, and those of a subtest."""
DEEPEST_VALUE = 10
"""Levels of a value that are listed by their paths; what lies deeper stands in one line."""
_SHOWN_APART = frozenset({"headers", "body", "is_body_truncated", "certificate", "redirects", "status_code"})
_MOMENTS = (10**11, 10**14)
"""Numbers between these are taken for epoch milliseconds where their name says so."""


class JudgedAssertion(Struct, frozen=True, kw_only=True):
    """*said* is the condition as its author put it; *reason* and *log* are empty where there are none."""

    said: str
    valid: bool
    expected: str
    actual: str
    reason: str
    log: str


class ShownBody(Struct, frozen=True):
    """A body, and if there was more of it."""

    text: str
    is_cut: bool


class RunPicture(Struct, frozen=True, kw_only=True):
    """A run, or a step of one. *more* are the members of the response that have no place of their own."""

    name: str
    status: str
    code: str
    message: str
    unhealthy: str
    milliseconds: float
    total: str
    optional: bool
    waterfall: list[charts.WaterfallRow]
    facts: list[Fact]
    assertions: list[JudgedAssertion]
    headers: list[Fact]
    body: ShownBody | None
    dropped: int
    """Bytes of a body that was read and not kept."""
    certificate: list[Fact]
    attempts: list[list[Fact]]
    redirects: list[list[Fact]]
    variables: list[Fact]
    request: list[Fact]
    more: list[Fact]
    steps: list[RunPicture]
    order: list[charts.WaterfallRow]
    """The steps one after the other."""
    failed_step: int | None
    """The number of the one that made it fail."""
    cut: list[str]


def picture(outcome: Mapping[str, Any], *, depth: int = DEEPEST) -> RunPicture:
    """Everything of *outcome* that a person looks for, or of a step."""
    response, failure = object_of(outcome.get("response")), object_of(outcome.get("failure"))
    code = _said(failure.get("code"))
    phases = charts.durations(outcome.get("timings"))
    taken = sum(length for _, length in phases)
    steps = [picture(step, depth=depth - 1) for step in _objects(outcome.get("steps"))] if depth > 1 else []
    rest = {name: value for name, value in response.items() if name not in _SHOWN_APART}
    return RunPicture(
        name=_said(outcome.get("name") or object_of(outcome.get("test")).get("name")),
        status=_said(outcome.get("status", "unknown")),
        code=code,
        message=reason(code, _said(failure.get("message"))),
        unhealthy=_said(outcome.get("unhealthy")),
        milliseconds=taken,
        total=charts.milliseconds(taken) if phases else "",
        optional=outcome.get("allow_failure") is True,
        waterfall=[] if steps else charts.waterfall(phases),
        facts=facts(outcome),
        assertions=[_assertion(row) for row in _objects(outcome.get("assertions"))],
        headers=_headers(response.get("headers")),
        body=_body(response),
        dropped=_dropped(response),
        certificate=list(_flat(response.get("certificate"))),
        attempts=[_attempt(one) for one in _objects(object_of(outcome.get("dns_resolution")).get("attempts"))],
        redirects=[list(_flat(one)) for one in _objects(response.get("redirects"))],
        variables=list(_flat(outcome.get("variables"))),
        request=list(_flat(outcome.get("request"))),
        more=list(_flat(rest)),
        steps=steps,
        order=charts.waterfall([(step.name, step.milliseconds) for step in steps]),
        failed_step=_culprit(steps),
        cut=[_said(part) for part in _list(outcome.get("cut"))],
    )


def _attempt(tried: Mapping[str, Any]) -> list[Fact]:
    """An attempt to dial, with its unit: `elapsed` is milliseconds."""
    elapsed = tried.get("elapsed")
    told = {"elapsed": charts.milliseconds(elapsed)} if charts.is_duration(elapsed) else {}
    return list(_flat({**tried, **told}))


def _culprit(steps: list[RunPicture]) -> int | None:
    """The number of the step that made a run fail: the last one that failed and might not."""
    failed = (number for number, step in enumerate(steps, start=1) if step.status == "failed" and not step.optional)
    return max(failed, default=None)


def _assertion(row: Mapping[str, Any]) -> JudgedAssertion:
    return JudgedAssertion(
        said=condition(row),
        valid=row.get("valid") is True,
        expected=_said(row.get("expected")),
        actual=_said(row.get("actual")),
        reason=_said(row.get("error_message")),
        log=_said(row.get("log")),
    )


def _headers(value: object) -> list[Fact]:
    """Headers by name, whichever form they have: an object of texts or of lists."""
    return [
        Fact(cut(str(name), 200), _said(each))
        for name, found in islice(object_of(value).items(), MOST_ROWS)
        for each in (found if isinstance(found, list) else [found])[:MOST_ROWS]
    ]


def _body(response: Mapping[str, Any]) -> ShownBody | None:
    text = response.get("body")
    if not isinstance(text, str):
        return None
    return ShownBody(text[:MOST_BODY], response.get("is_body_truncated") is True or len(text) > MOST_BODY)


def _dropped(response: Mapping[str, Any]) -> int:
    size = response.get("body_size")
    return size if type(size) is int and size > 0 and not isinstance(response.get("body"), str) else 0


def _flat(value: object) -> Iterator[Fact]:
    yield from islice(_walked(value, ""), MOST_ROWS)


def _walked(value: object, path: str, depth: int = DEEPEST_VALUE) -> Iterator[Fact]:
    """Every leaf of *value* with its path; what is null or empty says nothing."""
    if depth and isinstance(value, Mapping):
        for name, each in value.items():
            yield from _walked(each, f"{path}.{name}" if path else cut(str(name), 200), depth - 1)
    elif depth and isinstance(value, list):
        for index, each in enumerate(value):
            yield from _walked(each, f"{path}[{index}]", depth - 1)
    elif value not in (None, "", {}, []):
        yield Fact(cut(path, 300), _moment(path, value) or _said(value))


def _moment(path: str, value: object) -> str:
    """Epoch milliseconds of a validity as a date."""
    if not path.endswith((".from", ".to", "_at")) or isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if not _MOMENTS[0] < value < _MOMENTS[1]:
        return ""
    return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _said(value: object) -> str:
    return "" if value is None else cut(str(value), MOST_CHARACTERS)


def _list(value: object) -> list[Any]:
    return value[:MOST_ROWS] if isinstance(value, list) else []


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, Mapping)]
