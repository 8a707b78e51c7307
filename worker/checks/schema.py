"""JSON Schema, drafts 6, 7, 2019-09 and 2020-12, by jsonschema-rs, offline: no `$ref` leaves the schema.

Its patterns have a backtracking limit; its time has none (doubling `allOf` chains), so this belongs in a process that can be
killed.
"""

from __future__ import annotations

from functools import lru_cache

import jsonschema_rs
import orjson

from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_SCHEMA
from worker.checks.values import JSON
from worker.text import cut

VALIDATORS = {
    "draft-06": jsonschema_rs.Draft6Validator,
    "draft-07": jsonschema_rs.Draft7Validator,
    "draft-2019-09": jsonschema_rs.Draft201909Validator,
    "draft-2020-12": jsonschema_rs.Draft202012Validator,
}
"""By the dialect's name as the definition has it."""
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=200_000, size_limit=4 << 20, dfa_size_limit=4 << 20)
_LONGEST = 200
"""Characters of the validator's own sentence, which repeats the value that is wrong, however large."""


def violation(schema: str, dialect: str, document: JSON) -> str | None:
    """The first way in which *document* breaks *schema*, with its place as a JSON Pointer, or None. Raises JudgementError."""
    if len(schema) > MAX_SCHEMA:
        raise JudgementError(f"the schema has {len(schema)} characters, more than {MAX_SCHEMA}")
    validator = _compiled(schema, dialect)
    try:
        validator.validate(document)
    except jsonschema_rs.ValidationError as error:
        return f"the body breaks the schema at {_pointer(error.instance_path)}: {cut(error.message, _LONGEST)}"
    except (ValueError, RecursionError) as error:
        raise JudgementError(f"the schema cannot be applied: {cut(str(error), _LONGEST)}") from error
    return None


@lru_cache(maxsize=64)
def _compiled(schema: str, dialect: str) -> jsonschema_rs.Validator:
    make = VALIDATORS.get(dialect)
    if make is None:
        raise JudgementError(f"the meta-schema {dialect[:40]!r} is not known")
    try:
        return make(orjson.loads(schema), offline=True, pattern_options=_PATTERNS)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise JudgementError(f"the schema cannot be used: {cut(str(error), _LONGEST)}") from error


def _pointer(path: list[str | int]) -> str:
    """RFC 6901; the whole document is named, as its pointer is empty."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps) or "the top"
