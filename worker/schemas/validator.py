"""The whole of JSON Schema 2020-12 by jsonschema-rs, offline: it finds a mistake and says what it is.

It is loaded where `conformity` leaves something open, and takes 7 MiB for good then. Its sentences never have the value in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import orjson

from worker.text import cut, nearest

_LONGEST: Final = 200
"""Characters of the validator's own sentence."""
_LIKENESS: Final = 0.75
"""Of a name to the one that was meant, from 0 to 1."""
_MASK: Final = "this value"
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=50_000, size_limit=1 << 20, dfa_size_limit=1 << 20)


def breach(schema: bytes, document: Any) -> tuple[list[str | int], str] | None:
    """The place at which *document* breaks *schema*, and a sentence; or None."""
    try:
        _compiled(schema).validate(document)
    except jsonschema_rs.ValidationError as error:
        return error.instance_path, cut(_sentence(orjson.loads(schema), error), _LONGEST)
    except (ValueError, RecursionError) as error:
        return [], f"it cannot be checked: {type(error).__name__}"
    return None


def _sentence(schema: Any, error: jsonschema_rs.ValidationError) -> str:
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


def flaw(schema: bytes) -> str | None:
    """The reason why *schema* cannot be used, or None."""
    try:
        _compiled(schema)
    except (
        ValueError,
        TypeError,
        RecursionError,
        jsonschema_rs.ValidationError,
        jsonschema_rs.ReferencingError,
    ) as error:
        return cut(str(error), _LONGEST)
    return None


@lru_cache(maxsize=128)
def _compiled(schema: bytes) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        orjson.loads(schema), offline=True, validate_formats=False, pattern_options=_PATTERNS, mask=_MASK
    )
