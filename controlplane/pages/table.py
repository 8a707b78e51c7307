"""All pages. A browser that asks for anything else gets a page that says so; others get the plain answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from controlplane.pages import (
    account,
    alertpages,
    apppages,
    assets,
    channelpages,
    editpages,
    errorpages,
    locationpages,
    minting,
    people,
    rendering,
    resultpages,
    runnerpages,
    signin,
    signon,
    silencepages,
    testpages,
    workflowpages,
)
from controlplane.pages.handling import arrived, handle
from controlplane.pages.home import greet, is_browser
from controlplane.pages.page import PageRoute

PAGES: tuple[PageRoute, ...] = (
    *locationpages.ROUTES,
    *editpages.ROUTES,
    *testpages.ROUTES,
    *resultpages.ROUTES,
    *silencepages.ROUTES,
    *alertpages.ROUTES,
    *runnerpages.ROUTES,
    *channelpages.ROUTES,
    *workflowpages.ROUTES,
    *apppages.ROUTES,
    *signin.ROUTES,
    *signon.ROUTES,
    *account.ROUTES,
    *people.ROUTES,
)
"""In the order in which a router must try them: words before names of things."""
_NOT_OURS = "(?!api/|worker/|runner/)"
"""Paths of programs, whose routers answer for themselves."""


def routes(prefix: str = "") -> list[web.RouteDef]:
    """Every page below the path that a public URL may have. They come after all other routes: the last one takes any address."""
    return [
        web.get(prefix + "/", greet(prefix)),
        web.get(prefix + assets.PATH + "{name}", assets.serve),
        *(_route(page, prefix) for page in PAGES),
        minting.route(prefix),
        web.get(f"{prefix}/{{rest:{_NOT_OURS}.*}}", _unknown(prefix)),
    ]


def _route(page: PageRoute, prefix: str) -> web.RouteDef:
    add = web.get if page.method == "GET" else web.post  # the first one answers HEAD as well
    return add(prefix + page.path, handle(page, prefix))


def _unknown(prefix: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def unknown(request: web.Request) -> web.Response:
        if not is_browser(request):
            raise web.HTTPNotFound
        return rendering.rendered(errorpages.not_found(), arrived(request, prefix)[0], request)

    return unknown
