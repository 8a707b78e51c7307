"""The OpenAPI 3.1 description, made of the same routes that are served."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.operations.operation import schema
from controlplane.rest.public import schemas
from controlplane.rest.public.route import JSON_TYPE, Keys, Route
from controlplane.service.principal import MEANINGS
from worker import __version__

_SECURITY: dict[Keys, list[dict[str, list[str]]]] = {
    Keys.NONE: [],
    Keys.API: [{"apiKey": []}, {"appKey": []}, {"bearer": []}],
    Keys.BOTH: [{"apiKey": [], "appKey": []}, {"appKey": []}, {"bearer": []}],
}
_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "DD-API-KEY"},
    "appKey": {"type": "apiKey", "in": "header", "name": "DD-APPLICATION-KEY"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The application key alone."},
}
_ALWAYS = (400, 401, 403, 408, 413, 429, 503)
"""Refusals of every request: a body that cannot be read, keys, bounds, and a database that does not answer."""
_REASONS = {
    400: "The request is not valid.",
    401: "A key is missing.",
    403: "The keys open nothing, or lack the scope.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    409: "The name is taken.",
    413: "The body is too large.",
    429: "Too many keys that open nothing came from this address.",
    503: "The database does not answer, or too much is being read.",
}
_SCOPES = "\n".join(f"- `{scope}`: {meaning}" for scope, meaning in MEANINGS.items())


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The description as a JSON value."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "open private location: the public API of the control plane",
            "version": __version__,
            "description": f"Scopes of keys:\n\n{_SCOPES}",
        },
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES, "schemas": {"Errors": schemas.ERRORS}},
    }


def _operation(route: Route) -> dict[str, Any]:
    named = re.findall(r"\{(\w+)\}", route.path)
    operation: dict[str, Any] = {
        "summary": route.about,
        "operationId": _operation_id(route),
        "tags": list(route.tags),
        "security": _SECURITY[route.keys],
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in named),
            *(
                {
                    "name": one.name,
                    "in": "query",
                    "required": one.required,
                    "description": one.about,
                    "schema": one.schema,
                }
                for one in route.query
            ),
        ],
        "responses": _responses(route),
        "x-scopes": list(route.scope_names),
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON_TYPE: {"schema": _body(route)}}}
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", route.path.removeprefix("/api/")).strip("_")
    return f"{route.method.lower()}_{words}"


def _body(route: Route) -> Mapping[str, Any]:
    if route.described is not None:
        return route.described
    return schema(route.body)


def _reply(route: Route) -> Mapping[str, Any] | None:
    return route.reply if route.answer is None else schema(route.answer)


def _responses(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if (reply := _reply(route)) is not None:
        success["content"] = {JSON_TYPE: {"schema": reply}}
    errors = {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Errors"}}}
    refusals = {
        str(status): {"description": _REASONS[status], "content": errors}
        for status in sorted({*_ALWAYS, *route.refusals})
    }
    also = {str(status): {**success, "description": "Under way."} for status in route.also}
    return {str(route.status): success, **also, **refusals}
