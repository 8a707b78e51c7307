"""Outcomes as results have them in JSON, made by hand, for whoever prints, stores or translates them."""

from __future__ import annotations

from typing import Any

FAILED_ASSERTION = {
    "type": "header",
    "operator": "contains",
    "property": "content-type",
    "expected": "json",
    "error_message": "header content-type does not contain 'json'",
    "actual": "text/html",
    "valid": False,
}
HELD_ASSERTION = {"type": "responseTime", "operator": "lessThan", "expected": "2000", "actual": 52.7, "valid": True}

HOSTILE = (
    "a\nb",
    "a\r::error::b",
    "::error::b",
    "##[Error]b",
    "\x1b[2Jb",
    "\x9b2Jb",
    "a\u202eb",
    "a\u2066b",
    "]]><b a='\"'>&amp;",
    "100%0A::warning::",
    "\x00\ufffe",
    "\u2028::error::b",
    "\ud800",
)
"""Texts that a terminal, an XML reader or a runner of workflows would obey, hide or stumble over. JSON can hold each."""


def outcome(name: str = "Shop", status: str = "passed", **members: Any) -> dict[str, Any]:
    """The outcome of an HTTP test; *members* are laid over it."""
    return {
        "test": {"public_id": "", "name": name, "subtype": "http", "version": 1},
        "status": status,
        "failure": None,
        "timings": {"dns": 10.9, "tcp": 2.4, "firstByte": 21.2, "download": 0.2, "total": 34.7},
        "assertions": [HELD_ASSERTION],
        "dns_resolution": None,
        "response": {"status_code": 200, "headers": {}, "redirects": []},
        "scheduled_at": None,
        "leased_at": None,
        "started_at": 1795748400000,
        "finished_at": 1795748400035,
        "unhealthy": None,
        "location": {"worker_id": "", "version": "1"},
        "cut": [],
        **members,
    }


def incorrect(name: str = "Shop", message: str = "[]") -> dict[str, Any]:
    """The outcome of a test of which one assertion of two does not hold."""
    failure = {"code": "INCORRECT_ASSERTION", "message": message}
    return outcome(name, "failed", failure=failure, assertions=[HELD_ASSERTION, FAILED_ASSERTION])
