"""The person behind a request: by the cookie of a session, or by the header of a proxy that is trusted with saying so."""

from __future__ import annotations

from aiohttp import web

from controlplane.errors import RefusedError
from controlplane.pages import cookies
from controlplane.rest.context import Context
from controlplane.service import sessions
from controlplane.service.sessions import SessionHolder
from worker.secret import Secret

LIVE = "X-Live"
"""A header of our own script: a page that renews itself keeps no session alive."""


async def recognised(request: web.Request, context: Context) -> SessionHolder | None:
    """The person, None for nobody known. Raises RefusedError where a trusted proxy says nonsense, or names nobody of ours."""
    named = _named_by_proxy(request, context)
    if named is not None:
        holder = await sessions.by_header(context.database, named)
        if holder is None:
            raise RefusedError(
                403, "unknown_user", "the proxy that signs you in names a user whom nobody has added here"
            )
        return holder
    token = cookies.read(request, cookies.SESSION)
    if token is None:
        return None
    uses = LIVE not in request.headers
    return await sessions.identify(context.database, context.clock, Secret(token), uses=uses)


def _named_by_proxy(request: web.Request, context: Context) -> str | None:
    trust = context.header_trust
    if trust is None or not trust.covers(request.remote or ""):
        return None
    names = request.headers.getall(trust.name, [])
    if len(names) > 1:
        raise RefusedError(400, "user_header", f"the header {trust.name} came more than once")
    return names[0] if names and names[0] else None
