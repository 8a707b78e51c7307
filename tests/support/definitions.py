"""The one builder of API tests as JSON, and of their assertions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STATUS = {"type": "statusCode", "operator": "is", "target": 200}

_REQUESTS: dict[str, dict[str, Any]] = {
    "http": {"method": "GET", "url": "https://shop.test/"},
    "tcp": {"host": "shop.test", "port": 443},
    "dns": {"host": "shop.test"},
    "ssl": {"host": "shop.test"},
}


def api_test(subtype: str, *assertions: Mapping[str, Any], **request: Any) -> dict[str, Any]:
    """A test with these *assertions* and no others. *request* is laid over the smallest request of its subtype."""
    return {
        "name": "shop",
        "type": "api",
        "subtype": subtype,
        "config": {"request": _REQUESTS[subtype] | request, "assertions": list(assertions)},
        "options": {"tick_every": 60},
        "locations": [],
        "message": "",
    }


def http_test(
    name: str = "shop",
    url: str = "https://shop.test/",
    *,
    assertions: Sequence[Mapping[str, Any]] = (),
    tick_every: int = 60,
    **members: Any,
) -> dict[str, Any]:
    """A test that expects status 200, then *assertions*. *members* are of the whole: a `public_id`, other `options`."""
    return api_test("http", STATUS, *assertions, url=url) | {
        "name": name,
        "options": {"tick_every": tick_every},
        **members,
    }


def json_path(path: str, operator: str, target: Any = None, elements: str | None = None) -> dict[str, Any]:
    members: dict[str, Any] = {"jsonPath": path, "operator": operator}
    if target is not None:
        members["targetValue"] = target
    if elements is not None:
        members["elementsOperator"] = elements
    return {"type": "body", "operator": "validatesJSONPath", "target": members}


def xpath(path: str, operator: str, target: Any = None) -> dict[str, Any]:
    members: dict[str, Any] = {"xPath": path, "operator": operator}
    if target is not None:
        members["targetValue"] = target
    return {"type": "body", "operator": "validatesXPath", "target": members}


def json_schema(schema: str, dialect: str | None = None) -> dict[str, Any]:
    members = {"jsonSchema": schema}
    if dialect is not None:
        members["metaSchema"] = dialect
    return {"type": "body", "operator": "validatesJSONSchema", "target": members}


def multistep(*steps: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """A multistep test. *members* are of the whole: a `public_id`, other `options`."""
    return {
        "name": "shop",
        "type": "api",
        "subtype": "multi",
        "config": {"steps": list(steps)},
        "options": {"tick_every": 60},
        "locations": [],
        "message": "",
        **members,
    }


def step(
    name: str = "ask", url: str = "https://shop.test/", *assertions: Mapping[str, Any], **members: Any
) -> dict[str, Any]:
    """An HTTP step. *members* are of the step, but for those of its `request`, which is laid over the smallest one."""
    request = _REQUESTS["http"] | {"url": url} | members.pop("request", {})
    return {"name": name, "subtype": "http", "request": request, "assertions": list(assertions), **members}


def extracted(
    name: str, parser: str = "raw", value: str = "", *, source: str = "http_body", **members: Any
) -> dict[str, Any]:
    """One of a step's `extractedValues`."""
    written = {"type": parser} | ({"value": value} if value else {})
    return {"name": name, "type": source, "parser": written, **members}


def wait(seconds: float, name: str = "wait") -> dict[str, Any]:
    return {"name": name, "subtype": "wait", "value": seconds}


def subtest(public_id: str, name: str = "play", **members: Any) -> dict[str, Any]:
    return {"name": name, "subtype": "playSubTest", "subtestPublicId": public_id, **members}
