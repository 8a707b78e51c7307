"""Conformity that is certain without the validator: usual values under usual JSON Schemas (2020-12), in plain Python.

The validator takes 7 MiB of a runner that rests, and most runners never see a value that it would refuse. A check of this module
says True where a document certainly conforms, and False where it does not or where that is for the validator to say. It finds no
mistakes and refuses nothing.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sized
from functools import lru_cache
from types import NoneType
from typing import Any, Final

import orjson

Certainty = Callable[[Any], bool]
"""True where a value certainly conforms."""

MOST_PARTS: Final = 1000
"""Texts, numbers, lists and mappings of a document: a millisecond. The validator is faster with larger ones."""
MOST_DEPTH: Final = 50
"""Of a document; the validator has a limit of its own, at 255."""
_EXACT: Final = 2**53
"""Integers below are the same in every reader of JSON."""
_LONGEST: Final = 1000
"""Characters of a text that a pattern is looked for in."""
_LONGEST_PATTERN: Final = 100
"""Characters."""
_MOST_REPEATS: Final = 500
"""Of the parts of a pattern together: the validator refuses what takes a mebibyte when compiled."""

_ATOM: Final = r"(?:[A-Za-z0-9/_-]|\[\^?(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9_.?#/]|\\\\)+-?\])"
_FIXED: Final = rf"{_ATOM}(?:\{{[0-9]\}})?"
_PLAIN_PATTERN: Final = re.compile(
    rf"\^(?:{_FIXED})*(?:{_ATOM}(?:\*|\{{[0-9]{{1,3}},[0-9]{{1,3}}\}})|\((?:{_FIXED})+\)\?)?(?:{_FIXED})*\$?"
)
"""Anchored, and one part of variable length at most, so that looking takes time in proportion to the text. For printable ASCII it
means the same to Python, to Rust and in ECMA-262.
"""
_REPEATS: Final = re.compile(r"([0-9]+)\}")
_PRINTABLE: Final = re.compile(r"[ -~]*")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (NoneType,),
    "array": (list,),
    "object": (dict,),
}


@lru_cache(maxsize=128)
def certainty(schema: bytes) -> Certainty | None:
    """The check by *schema*, which is JSON; None where it is not certain to be a valid schema of known keywords."""
    try:
        rule = _rule(orjson.loads(schema))
    except (ValueError, RecursionError):
        return None
    return lambda document: _is_usual(document) and rule(document)


def _is_usual(document: Any) -> bool:
    """Tell if every reader of JSON takes *document* for the same, and there is little of it."""
    level, parts = [document], 0
    for _ in range(MOST_DEPTH):
        parts += len(level)
        if parts > MOST_PARTS or not all(map(_is_usual_part, level)):
            return False
        level = [part for whole in level if isinstance(whole, list | dict) for part in _parts(whole)]
        if not level:
            return True
    return False


def _parts(whole: list[Any] | dict[Any, Any]) -> list[Any]:
    return whole if isinstance(whole, list) else [*whole, *whole.values()]


def _is_usual_part(part: Any) -> bool:
    match part:
        case str():
            return part.isascii() or not any("\ud800" <= character <= "\udfff" for character in part)
        case bool() | None | list():
            return True
        case int():
            return -_EXACT < part < _EXACT
        case float():
            return math.isfinite(part)
        case dict():
            return all(isinstance(name, str) for name in part)
    return False


def _rule(schema: Any) -> Certainty:
    if schema is True:
        return _certain
    _known(isinstance(schema, dict) and schema.keys() <= _KEYWORDS.keys())
    made = [_KEYWORDS[name](argument, schema) for name, argument in schema.items()]
    rules = [rule for rule in made if rule is not _certain]
    return rules[0] if len(rules) == 1 else lambda value: all(rule(value) for rule in rules)


def _certain(_: Any) -> bool:
    return True


def _known(condition: bool) -> None:  # noqa: FBT001 - an assertion
    """Raises ValueError for what is not a keyword, or not a form of its argument, that this module knows."""
    if not condition:
        raise ValueError("not a schema that is known whole")


def _type(argument: Any, _: Mapping[str, Any]) -> Certainty:
    names = argument if isinstance(argument, list) else [argument]
    _known(bool(names) and all(isinstance(name, str) and name in _TYPES for name in names))
    _known(len(set(names)) == len(names))
    kinds = {kind for name in names for kind in _TYPES[name]}
    return lambda value: type(value) in kinds


def _enum(argument: Any, _: Mapping[str, Any]) -> Certainty:
    _known(isinstance(argument, list) and bool(argument) and all(type(one) is str for one in argument))
    _known(len(set(argument)) == len(argument))
    return lambda value: type(value) is str and value in argument


def _const(argument: Any, schema: Mapping[str, Any]) -> Certainty:
    return _enum([argument], schema)


def _pattern(argument: Any, _: Mapping[str, Any]) -> Certainty:
    _known(isinstance(argument, str) and len(argument) <= _LONGEST_PATTERN)
    _known(_PLAIN_PATTERN.fullmatch(argument) is not None)
    _known(sum(map(int, _REPEATS.findall(argument))) <= _MOST_REPEATS)
    try:
        compiled = re.compile(argument)
    except (re.error, OverflowError) as error:
        raise ValueError("not a pattern") from error

    def conforms(value: Any) -> bool:
        if type(value) is not str:
            return True
        short = len(value) <= _LONGEST and _PRINTABLE.fullmatch(value) is not None
        return short and compiled.search(value) is not None

    return conforms


def _properties(argument: Any, _: Mapping[str, Any]) -> Certainty:
    _known(isinstance(argument, dict))
    rules = {name: _rule(schema) for name, schema in argument.items()}
    return lambda value: (
        type(value) is not dict or all(rules[name](part) for name, part in value.items() if name in rules)
    )


def _additional_properties(argument: Any, schema: Mapping[str, Any]) -> Certainty:
    listed = schema.get("properties", {})
    _known(isinstance(listed, dict))
    if argument is False:
        return lambda value: type(value) is not dict or value.keys() <= listed.keys()
    rule = _rule(argument)
    return lambda value: type(value) is not dict or all(rule(value[name]) for name in value.keys() - listed.keys())


def _property_names(argument: Any, _: Mapping[str, Any]) -> Certainty:
    rule = _rule(argument)
    return lambda value: type(value) is not dict or all(map(rule, value))


def _required(argument: Any, _: Mapping[str, Any]) -> Certainty:
    _known(_is_names(argument))
    return lambda value: type(value) is not dict or value.keys() >= set(argument)


def _items(argument: Any, _: Mapping[str, Any]) -> Certainty:
    rule = _rule(argument)
    return lambda value: type(value) is not list or all(map(rule, value))


def _one_of(argument: Any, _: Mapping[str, Any]) -> Certainty:
    _known(isinstance(argument, list) and bool(argument))
    branches = [(_rule(schema), _breach(schema)) for schema in argument]

    def conforms(value: Any) -> bool:
        taken = [rule(value) for rule, _ in branches]
        return taken.count(True) == 1 and all(
            own or breaks(value) for own, (_, breaks) in zip(taken, branches, strict=True)
        )

    return conforms


def _breach(schema: Any) -> Certainty:
    """True where a value certainly does not conform, which a mapping tells by a name that it lacks."""
    required = schema.get("required", []) if isinstance(schema, dict) else []
    return lambda value: type(value) is dict and not value.keys() >= set(required)


def _is_names(argument: Any) -> bool:
    return (
        isinstance(argument, list)
        and all(isinstance(name, str) for name in argument)
        and len(set(argument)) == len(argument)
    )


def _limit(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Mapping[str, Any]], Certainty]:
    """A keyword that bounds numbers."""

    def make(argument: Any, _: Mapping[str, Any]) -> Certainty:
        _known(type(argument) in (int, float) and _is_usual_part(argument))
        return lambda value: type(value) not in (int, float) or compare(value, argument)

    return make


def _size(kind: type[Sized], compare: Callable[[Any, Any], bool]) -> Callable[[Any, Mapping[str, Any]], Certainty]:
    """A keyword that bounds the length of values of one *kind*."""

    def make(argument: Any, _: Mapping[str, Any]) -> Certainty:
        _known(type(argument) is int and 0 <= argument < _EXACT)
        return lambda value: not isinstance(value, kind) or compare(len(value), argument)

    return make


def _text(argument: Any, _: Mapping[str, Any]) -> Certainty:
    """An annotation."""
    _known(isinstance(argument, str))
    return _certain


def _anything(_: Any, __: Mapping[str, Any]) -> Certainty:
    """An annotation of any form."""
    return _certain


_KEYWORDS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], Certainty]]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "minLength": _size(str, operator.ge),
    "maxLength": _size(str, operator.le),
    "minimum": _limit(operator.ge),
    "maximum": _limit(operator.le),
    "exclusiveMinimum": _limit(operator.gt),
    "exclusiveMaximum": _limit(operator.lt),
    "properties": _properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "required": _required,
    "minProperties": _size(dict, operator.ge),
    "maxProperties": _size(dict, operator.le),
    "items": _items,
    "minItems": _size(list, operator.ge),
    "maxItems": _size(list, operator.le),
    "oneOf": _one_of,
    "title": _text,
    "description": _text,
    "format": _text,
    "default": _anything,
}
"""By the name of the keyword, what makes its check from the argument and the schema around it. Formats are not looked at."""
