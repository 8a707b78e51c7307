"""The arguments of a script: each element of an operator's command line with a task's parameters put in. There is no shell.

`{{ parameters.a.b }}` takes a path of names, indexes and `[odd names]`. A path that is not there is a failure and never an empty
text, and so is an element that would begin with a dash because of a parameter: it would be an option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from worker.actions.action import ActionFailure

MAX_ARGUMENT: Final = 128 * 1024 - 1
"""Bytes of one argument: Linux takes no more (MAX_ARG_STRLEN)."""
MAX_ARGUMENTS: Final = 1024 * 1024
"""Bytes of all arguments: half of what Linux takes with its usual stack."""
TEMPLATE: Final = re.compile(r"\{\{\s*parameters((?:\.[^\s.\[\]{}]+|\[[^\[\]{}]+\])+)\s*\}\}")
_STEP: Final = re.compile(r"\.([^\s.\[\]{}]+)|\[([^\[\]{}]+)\]")
_ANY_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def template_fault(element: str) -> str | None:
    """The reason why *element* of a command cannot be rendered, whatever the parameters; or None."""
    for match in _ANY_TEMPLATE.finditer(element):
        if TEMPLATE.fullmatch(match[0]) is None:
            return f"{match[0][:80]!r} is not a valid template: {{{{ parameters.NAME }}}} is"
    return None


def rendered(command: Sequence[str], parameters: Mapping[str, Any], *, dash_allowed: bool) -> tuple[str, ...]:
    """Raises ActionFailure (PARAMETERS)."""
    arguments = tuple(_element(element, parameters, dash_allowed=dash_allowed) for element in command)
    if sum(len(argument.encode()) + 9 for argument in arguments) > MAX_ARGUMENTS:
        raise _refused(f"the arguments have more than {MAX_ARGUMENTS} bytes")
    return arguments


def _element(element: str, parameters: Mapping[str, Any], *, dash_allowed: bool) -> str:
    text = TEMPLATE.sub(lambda match: _text(_found(match[1], parameters)), element)
    if "\0" in text:
        raise _refused(f"the argument {element[:80]!r} would hold a NUL")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise _refused(f"the argument {element[:80]!r} would hold half a character") from None
    if size > MAX_ARGUMENT:
        raise _refused(f"the argument {element[:80]!r} would have {size} bytes, more than {MAX_ARGUMENT}")
    if text.startswith("-") and not element.startswith("-") and not dash_allowed:
        raise _refused(f"the argument {element[:80]!r} would begin with a dash: the script does not say allowDash")
    return text


def _found(path: str, parameters: Mapping[str, Any]) -> Any:
    value: Any = parameters
    for name, odd in _STEP.findall(path):
        step = name or odd
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif (
            isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 8 and int(step) < len(value)
        ):
            value = value[int(step)]
        else:
            raise _refused(f"the parameter {path.lstrip('.')[:80]!r} is not there")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _refused(reason: str) -> ActionFailure:
    return ActionFailure("PARAMETERS", reason)
