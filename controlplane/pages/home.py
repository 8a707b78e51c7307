"""The first address: a page for a browser, and one plain line for everybody else, such as a curl that tries the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from controlplane.pages.handling import handle
from controlplane.pages.locationpages import LIVE_SECONDS, may_write, starting
from controlplane.pages.page import PageReply, Rendered, Visit, shown
from controlplane.service import alerts, firstvisit
from controlplane.service.principal import KeyScope

GREETING = "synthetics control plane: workers pull from here\n"


def is_browser(request: web.Request) -> bool:
    """Tell if a page is wanted: browsers name HTML, curl and workers take anything."""
    return "text/html" in request.headers.get("Accept", "")


async def home(visit: Visit) -> PageReply:
    """Show the next step towards the first green run, and once there was one, the ways into everything."""
    if KeyScope.READ not in visit.by.scopes:
        return Rendered(template="outside.html")
    found = await firstvisit.look(visit.context.database, visit.context.clock, visit.by)
    ongoing = await alerts.list_ongoing(visit.context.database, visit.by)
    intake_url = found.places[0].location.intake_url if found.places else visit.context.intake_url
    return Rendered(
        template="home.html",
        values={"visit": found, "ongoing": ongoing, "may_write": may_write(visit), **starting(intake_url)},
        live_seconds=LIVE_SECONDS,
    )


def greet(prefix: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the handler of the first address."""
    page = handle(shown("/", home), prefix)

    async def greeted(request: web.Request) -> web.Response:
        if is_browser(request):
            return await page(request)
        return web.Response(text=GREETING, headers={"Vary": "Accept"})

    return greeted
