"""JSON Schemas of the API's description: what clients rely on, and no more. Documents are open: unknown members are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.service.query import SUBTYPES

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def fields(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """An object that has the *required* members, may have the *optional* ones, and others."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


ERRORS = fields({"errors": array(TEXT)})
NOTHING = fields({})
LOCATIONS = array(TEXT)

_CONFIG = fields({}, request=NOTHING, assertions=array(NOTHING), steps=array(NOTHING), configVariables=array(NOTHING))
_OPTIONS = fields({"tick_every": {"type": "integer", "minimum": 30, "maximum": 604_800}})
SENT_TEST = fields(
    {
        "name": {"type": "string", "minLength": 1},
        "type": {"enum": ["api"]},
        "config": _CONFIG,
        "options": _OPTIONS,
    },
    subtype={"enum": [*SUBTYPES]},
    message=TEXT,
    locations=LOCATIONS,
    tags=array(TEXT),
    status={"enum": ["live", "paused"]},
)
"""A test as it is created or replaced."""
TEST = fields(
    {
        **dict.fromkeys(("name", "type", "subtype", "message", "status", "public_id"), TEXT),
        **dict.fromkeys(("created_at", "modified_at"), TEXT),
        "locations": LOCATIONS,
        "tags": array(TEXT),
        "config": NOTHING,
        "options": NOTHING,
        "monitor_id": WHOLE,
    }
)
"""A test as every reply has it."""
TESTS = fields({"tests": array(TEST), "total": WHOLE})

PATCH = fields(
    {"op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]}, "path": TEXT},
    value=ANYTHING,
    **{"from": TEXT},
)

LOCATION_REF = fields({"id": TEXT, "name": TEXT})
SENT_LOCATION = fields(
    {"name": {"type": "string", "minLength": 1, "maxLength": 200}},
    description=TEXT,
    tags=array(TEXT),
    metadata={"type": ["object", "null"]},
)
LOCATION = fields({"id": TEXT, "name": TEXT, "description": TEXT, "tags": array(TEXT)})

SENT_VARIABLE = fields(
    {"name": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$", "maxLength": 200}},
    description=TEXT,
    tags=array(TEXT),
    value=fields({}, value=TEXT, secure=FLAG, options=NOTHING),
)
VARIABLE = fields(
    {"id": TEXT, "name": TEXT, "description": TEXT, "tags": array(TEXT), "value": fields({"secure": FLAG})}
)

TRIGGER = fields({"tests": {**array(fields({})), "minItems": 1, "maxItems": 1000}}, metadata=ANYTHING, options=NOTHING)
TRIGGERED = fields(
    {
        "triggered_check_ids": array(TEXT),
        "results": array(fields({"public_id": TEXT, "location": WHOLE, "result_id": TEXT})),
        "locations": array(fields({"id": WHOLE, "name": TEXT, "display_name": TEXT})),
        "batch_id": {"type": ["string", "null"]},
    }
)
BATCH = fields({"data": fields({"status": TEXT, "metadata": ANYTHING, "results": array(NOTHING)})})
RESULTS_1 = fields({"results": array(fields({"result_id": TEXT, "status": WHOLE})), "last_timestamp_fetched": WHOLE})
RESULT_1 = fields({"result_id": TEXT, "probe_dc": TEXT, "check_time": WHOLE, "status": WHOLE, "result": NOTHING})
RESOURCE = fields({"id": TEXT, "type": TEXT, "attributes": NOTHING})
RESOURCES = fields({"data": array(RESOURCE)}, included=array(RESOURCE))
ONE_RESOURCE = fields({"data": fields({"type": TEXT, "attributes": NOTHING})}, included=array(RESOURCE))
