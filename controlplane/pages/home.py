"""The first address: a page for a browser, and one plain line for everybody else, such as a curl that tries the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from controlplane.pages.handling import handle
from controlplane.pages.page import Entry, PageReply, Rendered, Visit, shown

GREETING = "synthetics control plane: workers pull from here\n"


def is_browser(request: web.Request) -> bool:
    """Tell if a page is wanted: browsers name HTML, curl and workers take anything."""
    return "text/html" in request.headers.get("Accept", "")


async def home(_visit: Visit) -> PageReply:
    """Show the first page."""
    return Rendered(template="home.html")


def greet(prefix: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the handler of the first address."""
    page = handle(shown("/", home, Entry.ANYBODY), prefix)

    async def greeted(request: web.Request) -> web.Response:
        if is_browser(request):
            return await page(request)
        return web.Response(text=GREETING, headers={"Vary": "Accept"})

    return greeted
