"""The page of who has signed in: their role, their sessions, and their password."""

from __future__ import annotations

from controlplane import epoch
from controlplane.errors import UnusableError
from controlplane.pages.forms import new_password
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.page import PageReply, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import sessions
from worker.secret import Secret

ACCOUNT = "/account"


async def show(visit: Visit) -> PageReply:
    """Show the account."""
    return await _page(visit)


async def end_session(visit: Visit) -> PageReply:
    """End one of the visitor's sessions, this one or another."""
    await sessions.end_own(visit.context.database, visit.context.clock, visit.user, visit.path["session"])
    return SeeOther(to=ACCOUNT, notice="The session has ended.")


async def change_password(visit: Visit) -> PageReply:
    """Set a new password."""
    form, context = visit.form, visit.context
    try:
        await sessions.change_own_password(
            context.database,
            context.clock,
            visit.user,
            old=Secret(form.get("old", "")),
            new=new_password(form),
            visitor=visit.visitor,
            hasher=context.passwords,
            attempts=context.sign_ins,
        )
    except UnusableError as error:
        return await _page(visit, mistake_of(error))
    return SeeOther(to=ACCOUNT, notice="The password is changed, and all your other sessions have ended.")


async def _page(visit: Visit, mistakes: FormMistakes = NO_MISTAKES) -> Rendered:
    found = await sessions.list_own(visit.context.database, visit.context.clock, visit.user)
    user = await sessions.read_own(visit.context.database, visit.user)
    change = sessions.password_change(visit.user, user, now=epoch.milliseconds(visit.context.clock))
    values = {"sessions": found, "user": user, "mistakes": mistakes, "change": change.value}
    return Rendered(template="account.html", values=values, status=400 if mistakes else 200)


ROUTES = (
    shown(ACCOUNT, show),
    sent(ACCOUNT + "/password", change_password),
    sent(ACCOUNT + "/sessions/{session}/end", end_session),
)
