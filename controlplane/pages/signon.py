"""The way in by a provider of identities: the visitor is sent there, and comes back with an answer to their own question."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

import msgspec

from controlplane import epoch
from controlplane.errors import DatabaseError, ForbiddenError, RefusedError, SignOnError
from controlplane.identity.state import SIGN_ON_SECONDS, SignOnState, begin
from controlplane.pages import cookies
from controlplane.pages.cookies import PageCookie
from controlplane.pages.page import Elsewhere, Entry, PageReply, SeeOther, Visit, shown
from controlplane.pages.signin import entered, own_path
from controlplane.service import sessions
from controlplane.service.principal import KeyScope
from worker.text import cut, printable

if TYPE_CHECKING:
    from controlplane.identity.provider import IdentityProvider

START = "/sign-in/provider"
RETURN = "/sign-in/provider/return"
_SEALED_FOR = "cookie.sign_on"
MAX_CODE = 4_096
"""Characters of what a provider sends back with a visitor."""


async def set_out(visit: Visit) -> PageReply:
    """Send the visitor to the provider, with a cookie that alone can take up the answer."""
    state = begin(own_path(visit.query.get("next", "")), epoch.milliseconds(visit.context.clock))
    url = await _provider(visit).address(state, visit.base + RETURN)
    sealed = visit.context.database.sealer.seal(msgspec.json.encode(state), _SEALED_FOR)
    value = base64.urlsafe_b64encode(sealed).decode()
    return Elsewhere(url=url, cookies=(PageCookie(name=cookies.SIGN_ON, value=value, seconds=SIGN_ON_SECONDS),))


async def come_back(visit: Visit) -> PageReply:
    """Take up the provider's answer."""
    provider, state, query = _provider(visit), _state(visit), visit.query
    if not hmac.compare_digest(query.get("state", "").encode(), state.state.encode()):
        raise RefusedError(403, "sign_on", "this answer of the provider belongs to another sign-in: begin again")
    if query.get("iss", provider.settings.issuer) != provider.settings.issuer:  # RFC 9207 §2.4
        raise RefusedError(403, "sign_on", "this answer comes from another provider: begin again")
    if "error" in query:
        raise SignOnError(f"it says {cut(printable(query['error']), 100)!r}")
    proven = await provider.identify(query.get("code", "")[:MAX_CODE], state, visit.base + RETURN)
    if proven.role is None:
        raise ForbiddenError(proven.name, KeyScope.READ.value)
    new = await sessions.by_provider(
        visit.context.database,
        visit.context.clock,
        visit.visitor,
        issuer=proven.issuer,
        subject=proven.subject,
        name=proven.name,
        role=proven.role,
    )
    inside = await entered(visit, new, state.wanted)
    spent = PageCookie(name=cookies.SIGN_ON, value=None)
    return SeeOther(to=inside.to, cookies=(*inside.cookies, spent))


def _provider(visit: Visit) -> IdentityProvider:
    if visit.context.provider is None:
        raise RefusedError(404, "sign_on", "nobody signs in by a provider here")
    return visit.context.provider


def _state(visit: Visit) -> SignOnState:
    """The state of the visitor's cookie. Raises RefusedError."""
    try:
        sealed = base64.urlsafe_b64decode((visit.sign_on.reveal() if visit.sign_on else "").encode("ascii"))
        opened = visit.context.database.sealer.open(sealed, _SEALED_FOR).reveal()
        state = msgspec.json.decode(opened, type=SignOnState)
    except (DatabaseError, binascii.Error, ValueError) as error:
        raise RefusedError(403, "sign_on", "this browser has begun no sign-in, or too long ago: begin again") from error
    if state.expires_at < epoch.milliseconds(visit.context.clock):
        raise RefusedError(403, "sign_on", "this sign-in has begun too long ago: begin again")
    return state


ROUTES = (
    shown(START, set_out, Entry.ANYBODY),
    shown(RETURN, come_back, Entry.ANYBODY),
)
