"""The parameters of an app's query: JSON Schema (2020-12) of one flat object, whose members are texts, numbers and choices.

Flat, because a form is made of it and because it comes over the wire: nothing in it refers, repeats or combines, so that a
validator's work on it is bounded by its size. Who applies it uses a validator of JSON Schema; this module says if it is one of
these, for both sides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MOST_PARAMS: Final = 50
MOST_CHOICES: Final = 500
MOST_CHARACTERS: Final = 4000
"""Of a text in a schema."""
MAX_PATTERN: Final = 200
PARAM_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
PARAM_TYPES: Final = ("string", "integer", "number", "boolean")

_OBJECT: Final = frozenset({"type", "properties", "required", "additionalProperties", "title", "description"})
_WORDS: Final = ("title", "description")
_BOUNDS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "integer": frozenset({"minimum", "maximum"}),
    "number": frozenset({"minimum", "maximum"}),
    "boolean": frozenset(),
}
_COMMON: Final = frozenset({"type", "title", "description", "enum", "default"})


def fault(schema: Mapping[str, Any]) -> str | None:
    """The reason, with its place, why *schema* is not one of these; or None."""
    if schema.get("type", "object") != "object":
        return "type: is not object"
    unknown = schema.keys() - _OBJECT
    if unknown:
        return f"{min(unknown)}: is not a valid keyword here: expected one of {', '.join(sorted(_OBJECT))}"
    if schema.get("additionalProperties", False) is not False:
        return "additionalProperties: is not false"
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping) or len(properties) > MOST_PARAMS:
        return f"properties: is not a mapping of at most {MOST_PARAMS} parameters"
    for name, each in properties.items():
        reason = _fault_of(name, each)
        if reason is not None:
            return f"properties.{str(name)[:64]}{reason}"
    return _word_fault(schema) or _required_fault(schema.get("required", []), properties)


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """*schema* with what it leaves out: an object that has no other members."""
    return {"properties": {}, "required": [], **schema, "type": "object", "additionalProperties": False}


def _fault_of(name: object, schema: object) -> str | None:
    if not isinstance(name, str) or not PARAM_NAME.fullmatch(name):
        return ": is not a valid name: expected letters, digits and underscores, the first no digit"
    if not isinstance(schema, Mapping):
        return ": is not a mapping"
    kind = schema.get("type")
    if kind not in PARAM_TYPES:
        return f".type: is not one of {', '.join(PARAM_TYPES)}"
    unknown = schema.keys() - _COMMON - _BOUNDS[kind]
    if unknown:
        return f".{str(min(map(str, unknown)))[:64]}: is not a valid keyword of a parameter of the type {kind}"
    reason = _word_fault(schema) or _bound_fault(schema) or _pattern_fault(schema)
    return f".{reason}" if reason else _value_fault(kind, schema)


def _word_fault(schema: Mapping[str, Any]) -> str | None:
    for word in _WORDS:
        text = schema.get(word, "")
        if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
            return f"{word}: is not a text of at most {MOST_CHARACTERS} characters"
    return None


def _bound_fault(schema: Mapping[str, Any]) -> str | None:
    for word in ("minLength", "maxLength"):
        bound = schema.get(word, 0)
        if type(bound) is not int or not 0 <= bound <= 1_000_000:
            return f"{word}: is not a number of characters"
    for word in ("minimum", "maximum"):
        if not _is_number(schema.get(word, 0)):
            return f"{word}: is not a number"
    return None


def _pattern_fault(schema: Mapping[str, Any]) -> str | None:
    pattern = schema.get("pattern", "")
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        return f"pattern: is not a text of at most {MAX_PATTERN} characters"
    return None


def _value_fault(kind: str, schema: Mapping[str, Any]) -> str | None:
    choices = schema.get("enum", [_SAMPLES[kind]])
    if not isinstance(choices, list) or not 1 <= len(choices) <= MOST_CHOICES:
        return f".enum: is not a list of 1 to {MOST_CHOICES} values"
    if not all(_is_of(kind, choice) for choice in choices):
        return f".enum: has a value that is not of the type {kind}"
    if "default" in schema and not _is_of(kind, schema["default"]):
        return f".default: is not of the type {kind}"
    return None


_SAMPLES: Final[Mapping[str, Any]] = {"string": "", "integer": 0, "number": 0, "boolean": False}


def _is_of(kind: str, value: object) -> bool:
    match kind:
        case "string":
            return isinstance(value, str) and len(value) <= MOST_CHARACTERS
        case "integer":
            return type(value) is int
        case "number":
            return _is_number(value)
        case _:
            return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _required_fault(required: object, properties: Mapping[str, Any]) -> str | None:
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return "required: is not a list of names"
    missing = [name for name in required if name not in properties]
    return f"required: {missing[0][:64]!r} is not one of the properties" if missing else None
