"""One assertion of each kind on an HTTP response."""

from __future__ import annotations

from typing import Any

from tests.support.definitions import json_path, json_schema, xpath

ONE_OF_EACH: list[dict[str, Any]] = [
    {"type": "statusCode", "operator": "is", "target": 200},
    {"type": "header", "property": "a", "operator": "lessThan", "target": 1},
    {"type": "header", "property": "a", "operator": "matches", "target": "a"},
    {"type": "body", "operator": "contains", "target": "a"},
    {"type": "body", "operator": "matches", "target": "a"},
    {"type": "bodyHash", "operator": "sha256", "target": "a"},
    {"type": "responseTime", "operator": "lessThan", "target": 1},
    json_path("$.a", "is", 1),
    json_path("$..a", "is", 1, "everyElementMatches"),
    json_path("$[*]", "contains", 1, "serializationMatches"),
    xpath("//a", "is", 1),
    json_schema('{"type":"object"}'),
]
