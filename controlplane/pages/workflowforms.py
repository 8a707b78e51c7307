"""The parameters of a workflow as a form: a field for each property of its schema, and back. Pure; whether values are right, the
schema decides, not the form.

A property of texts is taken as it is typed, every other one as JSON; an empty field is left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from multidict import MultiMapping

from controlplane.errors import UnusableError

FIELD = "param."
"""Before the name of a parameter in a form."""
OTHERS = "others"
"""The field of parameters that have none of their own."""
_PLAIN = ("string", "integer", "number")
_EMPTY: Mapping[str, Any] = {}


class AskedParam(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter as a field. *choices* are pairs of the JSON and the words of a value; *is_json* asks for many lines."""

    field: str
    label: str
    value: str
    hint: str = ""
    required: bool = False
    is_json: bool = False
    choices: tuple[tuple[str, str], ...] = ()


def asked_params(schema: Mapping[str, Any], form: MultiMapping[str]) -> tuple[AskedParam, ...]:
    """The fields of a form, with what is in *form* already, or else with the defaults of *schema*."""
    required = schema.get("required", ())
    found = [_asked(name, each, name in required, form) for name, each in _properties(schema).items()]
    if schema.get("additionalProperties") is not False:
        hint = "A JSON object."
        found.append(
            AskedParam(field=OTHERS, label="Other parameters", value=form.get(OTHERS, ""), hint=hint, is_json=True)
        )
    return tuple(found)


def read_params(schema: Mapping[str, Any], form: MultiMapping[str]) -> dict[str, Any]:
    """The parameters that *form* says. Raises UnusableError with the name of the one that cannot be read."""
    text = form.get(OTHERS, "")
    others = _parsed(OTHERS, text) if text.strip() else {}
    if not isinstance(others, dict):
        raise UnusableError(f"{OTHERS}: {text[:40]!r} is not a valid JSON object", field=OTHERS)
    said: dict[str, Any] = {}
    for name, each in _properties(schema).items():
        if (text := form.get(FIELD + name, "")).strip():
            said[name] = text if _is_text(each) else _parsed(f"params.{name}", text)
    return others | said


def start_key(once: str, params: Mapping[str, Any]) -> str | None:
    """The idempotency key of a form that was shown with *once*: a form sent twice starts one run, other values another."""
    if not once:
        return None
    digest = hashlib.sha256(msgspec.json.encode(params, order="sorted")).hexdigest()
    return f"{once[:64]}-{digest[:32]}"


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = schema.get("properties", _EMPTY)
    return found


def _asked(name: str, schema: Any, required: bool, form: MultiMapping[str]) -> AskedParam:  # noqa: FBT001 - a fact
    known: Mapping[str, Any] = schema if isinstance(schema, Mapping) else _EMPTY  # `true` is a schema
    is_text, default = _is_text(schema), known.get("default")
    preset = "" if default is None else str(default) if is_text else json.dumps(default)
    values = [True, False] if known.get("type") == "boolean" else known.get("enum", ())
    return AskedParam(
        field=FIELD + name,
        label=str(known.get("title") or name),
        value=form.get(FIELD + name, preset),
        hint=str(known.get("description", "")),
        required=required,
        is_json=known.get("type") not in _PLAIN,
        choices=tuple((json.dumps(each), each if isinstance(each, str) else json.dumps(each)) for each in values),
    )


def _is_text(schema: Any) -> bool:
    """Tell if a value is typed as it is: those of an enumeration are chosen, as JSON."""
    return isinstance(schema, Mapping) and schema.get("type") == "string" and "enum" not in schema


def _parsed(where: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableError(f"{where}: {text[:40]!r} is not a valid JSON value", field=where) from error
