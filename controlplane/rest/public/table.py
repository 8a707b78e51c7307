"""All routes of the public API, in the order in which a router must try them: words before names of things."""

from __future__ import annotations

import json
from functools import cache

from aiohttp import web

from controlplane.rest.public import (
    actionruns,
    commands,
    keyring,
    locations,
    results,
    runners,
    runs,
    settings,
    tests,
    variables,
)
from controlplane.rest.public.handling import handle, unknown
from controlplane.rest.public.openapi import document
from controlplane.rest.public.route import JSON_TYPE, Route

ROUTES: tuple[Route, ...] = (
    *keyring.ROUTES,
    *settings.ROUTES,
    *runs.ROUTES,
    *locations.ROUTES,
    *variables.ROUTES,
    *results.ROUTES,
    *tests.ROUTES,
    *commands.ROUTES,
    *actionruns.ROUTES,
    *runners.ROUTES,
)
DESCRIPTION = "/api/openapi.json"
"""The path of the description: anybody may read it, as it is the same everywhere."""


def routes(prefix: str = "") -> list[web.RouteDef]:
    """Every route below the path that a public URL may have, and a refusal for every other path of the API.

    Each is there with a second slash before it too: clients put one where their host ends in one.
    """
    found: list[web.RouteDef] = []
    for start in (prefix, f"{prefix}/"):
        found += [web.route(route.method, start + route.path, handle(route)) for route in ROUTES]
        found += [web.get(start + DESCRIPTION, describe), web.route("*", start + "/api/{rest:.*}", unknown)]
    return found


async def describe(_request: web.Request) -> web.Response:
    """Answer with the OpenAPI description."""
    return web.Response(text=_description(), content_type=JSON_TYPE)


@cache
def _description() -> str:
    return json.dumps(document(ROUTES))
