"""The whole of JSON Schema 2020-12 by jsonschema-rs, offline: it finds a mistake and says what it is.

It is loaded where `conformity` leaves something open, and takes 7 MiB for good then. Its sentences never have the value in them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import orjson

from worker.text import cut

_LONGEST: Final = 200
"""Characters of the validator's own sentence."""
_MASK: Final = "this value"
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=50_000, size_limit=1 << 20, dfa_size_limit=1 << 20)


def breach(schema: bytes, document: Any) -> tuple[list[str | int], str] | None:
    """The place at which *document* breaks *schema*, and a sentence; or None."""
    try:
        _compiled(schema).validate(document)
    except jsonschema_rs.ValidationError as error:
        return error.instance_path, cut(error.message, _LONGEST)
    except (ValueError, RecursionError) as error:
        return [], f"it cannot be checked: {type(error).__name__}"
    return None


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
