"""Ways in and out: by password, by a link, the first administrator's page, and signing out."""

from __future__ import annotations

from urllib.parse import urlsplit

from controlplane.errors import AttemptsError, UnusableError
from controlplane.pages import cookies
from controlplane.pages.cookies import PageCookie
from controlplane.pages.forms import new_password
from controlplane.pages.handling import SIGN_IN
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.page import Entry, PageReply, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import links, sessions
from controlplane.service.links import FIRST_PAGE, LINK_PAGE
from controlplane.service.sessions import ABSOLUTE_MS, NewSession
from worker.secret import Secret

_ENDED = "This link has ended: each works once, and not for long. Ask for another one."


async def ask(visit: Visit) -> PageReply:
    """Show the form of name and password."""
    if visit.holder is not None:
        return SeeOther(to=own_path(visit.query.get("next", "")))
    if visit.context.provider is None and await links.awaits_first(visit.context.database):
        return Rendered(template="signin/nobody.html")
    return _form(visit, name="", wanted=visit.query.get("next", ""))


async def enter(visit: Visit) -> PageReply:
    """Sign in by name and password."""
    name, wanted = visit.form.get("name", ""), visit.form.get("next", "")
    context = visit.context
    try:
        new = await sessions.by_password(
            context.database,
            context.clock,
            name,
            Secret(visit.form.get("password", "")),
            visit.visitor,
            hasher=context.passwords,
            attempts=context.sign_ins,
        )
    except AttemptsError as error:
        mistake = f"Too many sign-ins failed. Try again in {error.seconds} s."
        return _form(visit, name=name, wanted=wanted, mistake=mistake, status=429, retry_after=error.seconds)
    if new is None:
        return _form(visit, name=name, wanted=wanted, mistake="Name and password do not fit.", status=403)
    return await entered(visit, new, wanted)


async def entered(visit: Visit, new: NewSession, wanted: str) -> SeeOther:
    """Go on to a page of ours with a new session. The one before, if there was one, has ended."""
    if visit.session is not None:
        await sessions.end(visit.context.database, visit.session)
    cookie = PageCookie(name=cookies.SESSION, value=new.token.reveal(), seconds=ABSOLUTE_MS // 1000)
    return SeeOther(to=own_path(wanted), cookies=(cookie, PageCookie(name=cookies.VISITOR, value=None)))


async def leave(visit: Visit) -> PageReply:
    """Sign out."""
    if visit.session is not None:
        await sessions.end(visit.context.database, visit.session)
    return SeeOther(to=SIGN_IN, notice="You are signed out.", cookies=(PageCookie(name=cookies.SESSION, value=None),))


async def ask_link(visit: Visit) -> PageReply:
    """Show whom a link signs in, with the button that spends it."""
    token = visit.query.get("token", "")
    name = await links.look(visit.context.database, visit.context.clock, Secret(token))
    if not name:
        return _ended()
    values = {"name": name, "token": token, "next": own_path(visit.query.get("next", ""))}
    return Rendered(template="signin/link.html", values=values)


async def enter_link(visit: Visit) -> PageReply:
    """Sign in by a link."""
    token = Secret(visit.form.get("token", ""))
    new = await links.spend(visit.context.database, visit.context.clock, token, visit.visitor)
    return _ended() if new is None else await entered(visit, new, visit.form.get("next", ""))


async def ask_first(visit: Visit) -> PageReply:
    """Show the form that makes the first administrator."""
    token = visit.query.get("token", "")
    if await links.look(visit.context.database, visit.context.clock, Secret(token)) != "":
        return _ended()
    return _first(token=token)


async def enter_first(visit: Visit) -> PageReply:
    """Make the first administrator, and sign them in."""
    form, context = visit.form, visit.context
    name, token = form.get("name", ""), form.get("token", "")
    try:
        new = await links.spend_first(
            context.database,
            context.clock,
            Secret(token),
            visit.visitor,
            name=name,
            password=new_password(form),
            hasher=context.passwords,
        )
    except UnusableError as error:
        return _first(token=token, name=name, mistakes=mistake_of(error))
    return await entered(visit, new, "")


def own_path(wanted: str) -> str:
    """*wanted* where it is a path of ours, the first page otherwise: nobody is sent to another site after a sign-in."""
    is_path = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if is_path and wanted.isprintable() and wanted.isascii() and not wanted.startswith(SIGN_IN) else "/"


def _form(
    visit: Visit, *, name: str, wanted: str, mistake: str = "", status: int = 200, retry_after: int | None = None
) -> Rendered:
    provider = visit.context.provider
    values = {
        "name": name,
        "next": own_path(wanted),
        "mistake": mistake,
        "provider": None if provider is None else urlsplit(provider.settings.issuer).hostname,
    }
    return Rendered(template="signin/password.html", values=values, status=status, retry_after=retry_after)


def _first(*, token: str, name: str = "", mistakes: FormMistakes = NO_MISTAKES) -> Rendered:
    values = {"token": token, "name": name, "mistakes": mistakes}
    return Rendered(template="signin/first.html", values=values, status=400 if mistakes else 200)


def _ended() -> Rendered:
    return Rendered(template="error.html", values={"heading": "This link has ended", "lines": [_ENDED]}, status=410)


ROUTES = (
    shown(SIGN_IN, ask, Entry.ANYBODY),
    sent(SIGN_IN, enter, Entry.ANYBODY),
    shown(LINK_PAGE, ask_link, Entry.ANYBODY),
    sent(LINK_PAGE, enter_link, Entry.ANYBODY),
    shown(FIRST_PAGE, ask_first, Entry.ANYBODY),
    sent(FIRST_PAGE, enter_first, Entry.ANYBODY),
    sent("/sign-out", leave, Entry.ANYBODY),
)
