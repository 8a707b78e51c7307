"""Apps as pages: those that a person may use, and each with a form for every query, which the runner answers to the browser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from controlplane.pages.page import PageReply, PageRoute, Rendered, Visit, shown
from controlplane.service import apps
from controlplane.service.appdefinitions import AppQuery


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryForm:
    """A query as its form. *seconds* is the longest that its answer may take."""

    name: str
    title: str
    description: str
    fields: tuple[ParamField, ...]
    action: str
    connection: str
    show: str
    asks_first: bool
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamChoice:
    """One value of several: as JSON, and in words."""

    value: str
    text: str
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamField:
    """A parameter as a field of a form. *kind* says how its value is read, *attributes* are those of the element."""

    id: str
    name: str
    label: str
    kind: str
    required: bool
    hint: str
    attributes: Mapping[str, str]
    choices: tuple[ParamChoice, ...] = ()


async def list_all(visit: Visit) -> PageReply:
    """Show the apps that the visitor may use."""
    found = await apps.list_usable(visit.context.database, visit.by)
    return Rendered(template="apps.html", values={"apps": found})


async def show(visit: Visit) -> PageReply:
    """Show one app. The browser may ask its runner, and nobody else."""
    view = await apps.show(visit.context.database, visit.by, visit.path["app"])
    forms = [_form(name, query) for name, query in view.definition.queries.items()]
    host = urlsplit(view.host)
    values = {"view": view, "app": view.definition, "forms": forms, "host": host.netloc}
    return Rendered(template="app.html", values=values, connects=(f"{host.scheme}://{host.netloc}",))


def _form(name: str, query: AppQuery) -> QueryForm:
    required = set(query.params.get("required", ()))
    properties: Mapping[str, Any] = query.params.get("properties", {})
    return QueryForm(
        name=name,
        title=query.title or name,
        description=query.description,
        fields=tuple(_field(f"{name}-{each}", each, schema, each in required) for each, schema in properties.items()),
        action=query.action,
        connection=query.connection or "",
        show=query.show,
        asks_first=query.asks_first,
        seconds=round(query.timeout_s) + 1,
    )


def _field(id_: str, name: str, schema: Mapping[str, Any], required: bool) -> ParamField:  # noqa: FBT001 - a fact
    kind = "choice" if "enum" in schema else str(schema["type"])
    attributes = {_ATTRIBUTES[word]: str(schema[word]) for word in _ATTRIBUTES if word in schema}
    default = schema.get("default")
    if kind in ("integer", "number"):
        attributes |= {"type": "number", "step": "1" if kind == "integer" else "any"}
    if kind == "boolean":
        attributes = {"checked": ""} if default else {}
    elif kind != "choice" and default is not None:
        attributes["value"] = str(default)
    hint = str(schema.get("description", ""))
    if hint:
        attributes["aria-describedby"] = f"{id_}-hint"
    return ParamField(
        id=id_,
        name=name,
        label=schema.get("title") or name,
        kind=kind,
        required=required,
        hint=hint,
        attributes=attributes,
        choices=tuple(
            ParamChoice(value=json.dumps(each), text=str(each), is_default=each == default)
            for each in schema.get("enum", ())
        ),
    )


_ATTRIBUTES = {"minLength": "minlength", "maxLength": "maxlength", "minimum": "min", "maximum": "max"}
"""Bounds of a schema → of an element. What a browser does not check, the runner does: patterns, for one."""

ROUTES: tuple[PageRoute, ...] = (
    shown("/apps", list_all),
    shown("/apps/{app}", show),
)
