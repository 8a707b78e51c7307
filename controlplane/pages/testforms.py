"""The form of a test ↔ its document: the fields that people look for by name, and all the rest as JSON. Pure.

Fields are name, tags, status, locations and `options.tick_every`. A name or tags that a field would not bring back as they are
stay in the JSON.

A field that is filled in stands over the same member of the JSON; an empty one leaves it, so that an export pasted into the form
is taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from multidict import MultiMapping

from controlplane.pages.names import listed_names
from controlplane.service.documents import OURS
from worker.errors import TestError

DEFAULT_PERIOD = "60"
MOST_SECONDS = 10**9
_STATUS = {"type": "statusCode", "operator": "is", "target": 200}
_FAST = {"type": "responseTime", "operator": "lessThan", "target": 2000}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "http": {"request": {"method": "GET", "url": "https://intranet.example/"}, "assertions": [_STATUS, _FAST]},
    "tcp": {"request": {"host": "intranet.example", "port": 443}, "assertions": [_FAST]},
    "dns": {"request": {"host": "intranet.example"}, "assertions": [_FAST]},
    "ssl": {
        "request": {"host": "intranet.example", "port": 443},
        "assertions": [{"type": "certificate", "operator": "isInMoreThan", "target": 14}],
    },
    "multi": {
        "steps": [
            {
                "name": "Sign in",
                "subtype": "http",
                "request": {"method": "POST", "url": "https://intranet.example/sign-in", "body": "name=probe"},
                "assertions": [_STATUS],
                "extractedValues": [
                    {"name": "TOKEN", "type": "http_body", "parser": {"type": "json_path", "value": "$.token"}}
                ],
            },
            {
                "name": "Look",
                "subtype": "http",
                "request": {
                    "method": "GET",
                    "url": "https://intranet.example/",
                    "headers": {"Authorization": "Bearer {{ TOKEN }}"},
                },
                "assertions": [_STATUS],
            },
        ]
    },
}
"""Configurations from which somebody who has none begins."""


class TestFields(Struct, frozen=True, kw_only=True):
    """The fields as texts. *places* are ids of locations, *version* is that of the test as it was shown, empty for a new one."""

    __test__ = False

    name: str = ""
    tags: str = ""
    period: str = DEFAULT_PERIOD
    paused: bool = False
    places: Sequence[str] = ()
    document: str = ""
    version: str = ""


def example(subtype: str, places: Sequence[str]) -> TestFields:
    """The form of a new test of this kind, the first kind where there is none such."""
    kind = subtype if subtype in EXAMPLES else next(iter(EXAMPLES))
    return TestFields(
        places=places, document=written({"type": "api", "subtype": kind, "config": EXAMPLES[kind], "options": {}})
    )


def of_document(document: Mapping[str, Any], version: int) -> TestFields:
    """The form of a document as clients are shown it."""
    options, name, tags = document.get("options"), document.get("name"), document.get("tags")
    period = options.get("tick_every") if isinstance(options, dict) else None
    apart = {"status", "locations"}
    apart |= {"name"} if _fits(name) else set()
    apart |= {"tags"} if isinstance(tags, list) and all(map(_fits, tags)) and _are_listed(tags) else set()
    rest = {each: value for each, value in document.items() if each not in OURS and each not in apart}
    if isinstance(options, dict):
        rest["options"] = {each: value for each, value in options.items() if each != "tick_every"}
    return TestFields(
        name=str(name) if "name" in apart else "",
        tags=", ".join(tags or ()) if "tags" in apart else "",
        period="" if period is None else str(period),
        paused=document.get("status") == "paused",
        places=[str(place) for place in document.get("locations") or ()],
        document=written(rest),
        version=str(version),
    )


def _fits(text: object) -> bool:
    """Tell if a field on one line brings *text* back as it is."""
    return isinstance(text, str) and text.isprintable() and text == text.strip()


def _are_listed(tags: Sequence[str]) -> bool:
    return list(listed_names(", ".join(tags))) == list(tags)


def read_fields(form: MultiMapping[str]) -> TestFields:
    """The fields as a form has them."""
    return TestFields(
        name=form.get("name", ""),
        tags=form.get("tags", ""),
        period=form.get("period", "").strip(),
        paused=form.get("status") == "paused",
        places=form.getall("location", []),
        document=form.get("document", ""),
        version=form.get("version", ""),
    )


def document_of(fields: TestFields) -> dict[str, Any]:
    """The document that a form stands for. Raises TestError."""
    document = _read(fields.document)
    if fields.name.strip():
        document["name"] = fields.name.strip()
    if tags := listed_names(fields.tags):
        document["tags"] = list(tags)
    document["status"] = "paused" if fields.paused else "live"
    if fields.places or "locations" not in document:
        document["locations"] = list(fields.places)
    if fields.period:
        options = document.setdefault("options", {})
        if not isinstance(options, dict):
            raise TestError(["options: is not a valid object"])
        options["tick_every"] = _seconds(fields.period)
    return document


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 12 or int(text) > MOST_SECONDS:
        raise TestError([f"options.tick_every: {text[:40]!r} is not a valid number of seconds"])
    return int(text)


def _read(text: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise TestError([f"$: is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"]) from error
    except (ValueError, RecursionError) as error:
        raise TestError(["$: is not valid JSON: a number or a nesting that nothing can hold"]) from error
    if not isinstance(document, dict):
        raise TestError(["$: is not a valid object: one test is expected here"])
    return document


def written(value: Any) -> str:
    """JSON for people, in which nothing is hidden: such characters are escaped as JSON has it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    readable = all(character == "\n" or character.isprintable() for character in text)
    return text if readable else json.dumps(value, indent=2)
