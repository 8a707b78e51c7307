"""Written values brought to one form, wherever they were written: a flag, a variable, a mounted file, or JSON.

Knows the forms of lists, numbers and PEM texts, not what a value means: that is `kinds`.
"""

from __future__ import annotations

import json
import re

from worker.config.mistake import Mistake
from worker.config.option import NUMBERS, Option, ValueKind, Written
from worker.text import quoted

MOST_DIGITS = 18
"""Digits of a number: more than any bound has, and exact enough."""


def from_text(option: Option, text: str) -> Written:
    """Read a flag's, a variable's or a mounted file's text. Raises Mistake."""
    if option.kind is ValueKind.PRIVATE_KEY:
        return _pem_blocks(_list_from_text(text, separator=None))
    if option.many:
        return _list_from_text(text, separator=",")
    text = _unquoted(text.strip())  # `docker run --env-file` and unit files keep the quotes that a shell would take off
    if option.kind is ValueKind.BOOLEAN:
        return _boolean_from_text(text)
    if option.kind in NUMBERS:
        return _whole_number_from_text(text)
    return text


def from_json(option: Option, value: object) -> Written:
    """Read a value of the config file. Raises Mistake."""
    if option.many:
        if isinstance(value, str) and option.one_or_many:
            value = [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Mistake(f"must be a list of strings, not {_json_type(value)}")
        return _pem_blocks(tuple(value)) if option.kind is ValueKind.PRIVATE_KEY else tuple(value)
    if option.kind is ValueKind.BOOLEAN:
        if not isinstance(value, bool):
            raise Mistake(f"must be true or false, not {_json_type(value)}")
        return value
    if option.kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Mistake(f"must be a whole number, not {_json_type(value)}")
        return _whole_number(value)
    if not isinstance(value, str):
        raise Mistake(f"must be a string, not {_json_type(value)}")
    return value


def _list_from_text(text: str, *, separator: str | None) -> tuple[str, ...]:
    """A JSON list; a brace list as shells leave it, with quotes or without; members between *separator*; or a lone member."""
    text = text.strip()
    if re.match(r"\[\s*[\"\]]", text):
        return _json_list(text)
    if text.startswith("{") and text.endswith("}"):
        return _members(text[1:-1], separator)
    return _members(text, separator)


def _json_list(text: str) -> tuple[str, ...]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" (column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Mistake(f"begins like a JSON list and is not one{where}") from None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise Mistake("must be a list of strings")
    return tuple(items)


def _members(text: str, separator: str | None) -> tuple[str, ...]:
    parts = [text] if separator is None else text.split(separator)
    items = [_unquoted(part.strip()) for part in parts]
    if items == [""]:
        return ()
    if "" in items:
        raise Mistake("has an empty member")
    return tuple(items)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _pem_blocks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """One text may hold several keys one below the other; a text without any is kept, for the message about it."""
    blocks: list[str] = []
    for text in texts:
        found = re.findall(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----", text, re.DOTALL)
        blocks.extend(found or [text])
    if not blocks:
        raise Mistake("is empty")
    return tuple(blocks)


def _boolean_from_text(text: str) -> bool:
    match text.strip().lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise Mistake(f"must be true or false, not {quoted(text)}")


def _whole_number_from_text(text: str) -> int:
    text = text.strip()
    if not re.fullmatch(r"[+-]?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,3})?", text, re.ASCII):
        raise Mistake(f"must be a whole number, not {quoted(text)}")
    return _whole_number(float(text))


def _whole_number(value: float) -> int:
    """A whole float is one too: the published defaults are written as 5e+6."""
    if not abs(value) < 10**MOST_DIGITS:
        raise Mistake(f"must be a whole number of at most {MOST_DIGITS} digits")
    if int(value) != value:
        raise Mistake(f"must be a whole number, not {value}")
    return int(value)


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list" if all(isinstance(item, str) for item in value) else "a list of other values"
    return "an object"
