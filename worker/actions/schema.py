"""JSON Schema 2020-12 for inputs of actions and parameters of scripts and queries, offline.

The schemas are ours and the operator's, never a task's, so they are applied in place. A message names the place of a mistake and
never the value, which may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import orjson

from worker.text import cut, nearest

MAX_SCHEMA: Final = 64 * 1024
"""Bytes of a schema that an operator writes."""
_LONGEST: Final = 200
"""Characters of the validator's own sentence."""
_LIKENESS: Final = 0.75
"""Of a name to the one that was meant, from 0 to 1."""
_MASK: Final = "this value"
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=50_000, size_limit=1 << 20, dfa_size_limit=1 << 20)


def violation(schema: Mapping[str, Any], document: Any) -> str | None:
    """The first way in which *document* breaks *schema*, with its place as a JSON Pointer, or None."""
    found = first_breach(schema, document)
    return None if found is None else f"{pointer(found[0])}: {found[1]}"


def first_breach(schema: Mapping[str, Any], document: Any) -> tuple[list[str | int], str] | None:
    """The place at which *document* breaks *schema*, and a sentence; or None."""
    try:
        _compiled(orjson.dumps(schema)).validate(document)
    except jsonschema_rs.ValidationError as error:
        return error.instance_path, cut(_sentence(schema, error), _LONGEST)
    except (ValueError, RecursionError) as error:
        return [], f"it cannot be checked: {type(error).__name__}"
    return None


def _sentence(schema: Mapping[str, Any], error: jsonschema_rs.ValidationError) -> str:
    """The validator's own, but of a member that is not there: it names none that is."""
    unexpected = getattr(error.kind, "unexpected", None)
    known = _properties(schema, error.schema_path[:-1])
    if not unexpected or not known:
        return error.message
    word = orjson.dumps(cut(unexpected[0], _LONGEST // 2)).decode()
    meant = nearest(unexpected[0], known, likeness=_LIKENESS)
    return f"{word} is not a valid name: " + (f'did you mean "{meant}"?' if meant else f"there are {', '.join(known)}")


def _properties(schema: Any, path: Sequence[str | int]) -> Sequence[str]:
    """Those of the part of *schema* at *path*; none where that is not a plain object."""
    for step in path:
        within = isinstance(schema, Mapping) if isinstance(step, str) else isinstance(schema, list)
        schema = schema[step] if within and (isinstance(step, int) or step in schema) else None
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return [*found] if isinstance(found, Mapping) else []


def fault(schema: Mapping[str, Any]) -> str | None:
    """The reason why *schema* cannot be used, or None."""
    try:
        text = orjson.dumps(schema)
        if len(text) > MAX_SCHEMA:
            return f"it has {len(text)} bytes, more than {MAX_SCHEMA}"
        _compiled(text)
    except (
        ValueError,
        TypeError,
        RecursionError,
        jsonschema_rs.ValidationError,
        jsonschema_rs.ReferencingError,
    ) as error:
        return cut(str(error), _LONGEST)
    return None


def closed(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """The schema of an object that has *properties* and no others."""
    return {"type": "object", "properties": dict(properties), "required": [*required], "additionalProperties": False}


@lru_cache(maxsize=128)
def _compiled(schema: bytes) -> jsonschema_rs.Validator:
    document = orjson.loads(schema)
    return jsonschema_rs.Draft202012Validator(
        document, offline=True, validate_formats=False, pattern_options=_PATTERNS, mask=_MASK
    )


def pointer(path: list[str | int]) -> str:
    """RFC 6901; the whole document is named, as its pointer is empty."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps) or "the top"
