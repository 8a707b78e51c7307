"""JSON Schema, drafts 6, 7, 2019-09 and 2020-12, by jsonschema-rs, offline: no `$ref` leaves the schema.

Its patterns have a backtracking limit; its time has none (doubling `allOf` chains), so this belongs in a process that can be
killed. A `pattern` that it refuses, or may read differently, is given to JavaScript's engine; the names of `patternProperties`
are translated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import jsonschema_rs
import orjson

from worker.checks import pattern
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_SCHEMA, PATH_PATTERN_SECONDS
from worker.checks.schema_patterns import differs, schemas, translated
from worker.checks.values import JSON
from worker.schemas.pointer import pointer
from worker.text import cut

VALIDATORS = {
    "draft-06": jsonschema_rs.Draft6Validator,
    "draft-07": jsonschema_rs.Draft7Validator,
    "draft-2019-09": jsonschema_rs.Draft201909Validator,
    "draft-2020-12": jsonschema_rs.Draft202012Validator,
}
"""By the dialect's name as the definition has it."""
_PATTERNS = jsonschema_rs.FancyRegexOptions(backtrack_limit=200_000, size_limit=4 << 20, dfa_size_limit=4 << 20)
_PATTERN = "pattern (JavaScript)"
"""The keyword that stands for a refused pattern; no vocabulary has it."""
_MOST_REFUSED = 50
"""Patterns of one schema that only JavaScript takes: each costs another compilation."""
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
        return f"the body breaks the schema at {pointer(error.instance_path)}: {cut(error.message, _LONGEST)}"
    except (ValueError, RecursionError) as error:
        raise JudgementError(f"the schema cannot be applied: {cut(str(error), _LONGEST)}") from error
    return None


@lru_cache(maxsize=64)
def _compiled(schema: str, dialect: str) -> jsonschema_rs.Validator:
    make = VALIDATORS.get(dialect)
    if make is None:
        raise JudgementError(f"the meta-schema {dialect[:40]!r} is not known")
    try:
        document = orjson.loads(schema)
        _settle_patterns(document)
        for _ in range(_MOST_REFUSED):
            try:
                return make(document, offline=True, pattern_options=_PATTERNS, keywords={_PATTERN: _JavaScriptPattern})
            except jsonschema_rs.ValidationError as error:
                place = _refused_pattern(error)
                if place is None:
                    raise
                _hand_over(document, place)
        raise JudgementError(f"the schema has more than {_MOST_REFUSED} patterns that only JavaScript takes")
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise JudgementError(f"the schema cannot be used: {cut(_said(error), _LONGEST)}") from error


def _said(error: Exception) -> str:
    """The first words of *error*, and the place within the schema where that has one."""
    if isinstance(error, jsonschema_rs.ValidationError):
        return f"{error.message} at {pointer(error.instance_path)}"
    return (str(error).splitlines() or [type(error).__name__])[0]


def _settle_patterns(document: Any) -> None:
    """Give every pattern of *document* the meaning that it has in JavaScript."""
    for each in list(schemas(document)):
        source, named = each.get("pattern"), each.get("patternProperties")
        if isinstance(source, str) and differs(source):
            _hand_over(each, ["pattern"])
        if isinstance(named, dict):
            each["patternProperties"] = _renamed(named)


def _renamed(named: Mapping[str, Any]) -> dict[str, Any]:
    """*named* by translated names; of two that say the same, both schemas hold."""
    renamed: dict[str, Any] = {}
    for name, schema in named.items():
        said = translated(name)
        renamed[said] = {"allOf": [renamed[said], schema]} if said in renamed else schema
    return renamed


def _refused_pattern(error: jsonschema_rs.ValidationError) -> list[str | int] | None:
    """The place of a `pattern` that is not one to this library, where that is what *error* says of the schema itself."""
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Format() if error.instance_path[-1:] == ["pattern"]:
            return error.instance_path
        case jsonschema_rs.ValidationErrorKind.AnyOf(context=branches):
            places = map(_refused_pattern, chain.from_iterable(branches))
            return next((place for place in places if place is not None), None)
        case _:
            return None


def _hand_over(document: Any, path: Sequence[str | int]) -> None:
    """Rename the keyword at *path*, so that our own class reads it."""
    for step in path[:-1]:
        document = document[step]
    try:
        _flags_of(document["pattern"])
    except JudgementError as error:
        raise JudgementError(f"the schema cannot be used: {error.reason}") from error
    document[_PATTERN] = document.pop("pattern")


def _flags_of(source: str) -> str:
    """`u`, as JSON Schema recommends, or none where *source* is only valid so. Raises JudgementError where it is not at all."""
    try:
        pattern.test(source, "u", "", PATH_PATTERN_SECONDS)
    except JudgementError:
        pattern.test(source, "", "", PATH_PATTERN_SECONDS)
        return ""
    return "u"


class _JavaScriptPattern:
    """The keyword `pattern`, by the JavaScript engine."""

    def __init__(self, _schema: object, source: str, _path: object) -> None:
        self._source = source
        self._flags = _flags_of(source)

    def validate(self, instance: object) -> None:
        if isinstance(instance, str) and not pattern.test(self._source, self._flags, instance, PATH_PATTERN_SECONDS):
            raise ValueError(f"{orjson.dumps(instance).decode()} does not match {orjson.dumps(self._source).decode()}")
