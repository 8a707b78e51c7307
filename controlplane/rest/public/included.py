"""Results and tests as resources of version 2 (JSON:API): a result names its test, and the test is included beside it."""

from __future__ import annotations

from typing import Any

from worker.apitest.request import DEFAULT_SUBTYPE


def result_resource(number: str, test: str, attributes: dict[str, Any], *, kind: str = "result") -> dict[str, Any]:
    """A result with the relationship that clients follow to its test."""
    return {
        "type": kind,
        "id": number,
        "attributes": attributes,
        "relationships": {"test": {"data": {"type": "test", "id": test}}},
    }


def included_test(test: str, definition: dict[str, Any]) -> dict[str, Any]:
    """A test beside its results. Clients want `config` to be there, whatever became of the test."""
    config = definition.get("config")
    return {
        "type": "test",
        "id": test,
        "attributes": {
            "type": "api",
            "subtype": definition.get("subtype") or DEFAULT_SUBTYPE,
            "config": config if isinstance(config, dict) else {},
        },
    }
