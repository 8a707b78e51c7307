"""JSON Schema 2020-12 for inputs of actions and parameters of scripts and queries, offline.

The schemas are ours and the operator's, never a task's, so they are applied in place. A message names the place of a mistake and
never the value, which may be a secret. What certainly conforms is told without the validator, which is loaded for all else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from worker.schemas.conformity import certainty
from worker.schemas.pointer import pointer
from worker.text import cut

MAX_SCHEMA: Final = 64 * 1024
"""Bytes of a schema that an operator writes."""
_LONGEST: Final = 200
"""Characters of a reason."""


def violation(schema: Mapping[str, Any], document: Any) -> str | None:
    """The first way in which *document* breaks *schema*, with its place as a JSON Pointer, or None."""
    found = first_breach(schema, document)
    return None if found is None else f"{pointer(found[0])}: {found[1]}"


def first_breach(schema: Mapping[str, Any], document: Any) -> tuple[list[str | int], str] | None:
    """The place at which *document* breaks *schema*, and a sentence; or None."""
    text = orjson.dumps(schema)
    conforms = certainty(text)
    if conforms is not None and conforms(document):
        return None
    from worker.schemas.validator import breach  # noqa: PLC0415 - 7 MiB that most runners never need

    return breach(text, document)


def fault(schema: Mapping[str, Any]) -> str | None:
    """The reason why *schema* cannot be used, or None."""
    try:
        text = orjson.dumps(schema)
    except TypeError as error:
        return cut(str(error), _LONGEST)
    if len(text) > MAX_SCHEMA:
        return f"it has {len(text)} bytes, more than {MAX_SCHEMA}"
    if certainty(text) is not None:
        return None
    from worker.schemas.validator import flaw  # noqa: PLC0415 - as above

    return flaw(text)


def closed(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object that has *properties* and no others."""
    return {"type": "object", "properties": dict(properties), "required": [*required], "additionalProperties": False}
