"""The pages of who manages users: list, make, change, keep out, delete, and hand out links."""

from __future__ import annotations

from controlplane.errors import NotFoundError, UnusableError
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.page import PageReply, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import links, sessions, users
from controlplane.service.principal import Role, read_role
from worker.secret import Secret

USERS = "/users"


async def show_all(visit: Visit) -> PageReply:
    """List the users, with the form for another one."""
    return await _list(visit)


async def create(visit: Visit) -> PageReply:
    """Make a user. Without a password they sign in by a link."""
    form, context = visit.form, visit.context
    name, role = form.get("name", ""), form.get("role", "")
    password = form.get("password", "")
    try:
        user = await users.create(
            context.database,
            context.clock,
            visit.by,
            name,
            role=read_role(role),
            password=Secret(password) if password else None,
            hasher=context.passwords,
        )
    except UnusableError as error:
        return await _list(visit, name=name, role=role, mistakes=mistake_of(error))
    return SeeOther(to=f"{USERS}/{user.id}", notice=f"User {user.name} was added.")


async def show(visit: Visit) -> PageReply:
    """Show one user and what can be done."""
    return await _one(visit)


async def change(visit: Visit) -> PageReply:
    """Change a role, keep somebody out or let them in again, end their sessions, delete them: one button each."""
    try:
        return await _changed(visit)
    except NotFoundError:
        raise
    except UnusableError as error:
        return await _one(visit, mistakes=mistake_of(error))


async def _changed(visit: Visit) -> SeeOther:
    """Raises NotFoundError, UnusableError."""
    context, by, user = visit.context, visit.by, visit.path["user"]
    database, clock = context.database, context.clock
    match visit.path["what"]:
        case "role":
            await users.set_role(database, clock, by, user, read_role(visit.form.get("role", "")))
        case "disable" | "enable":
            await users.set_enabled(database, clock, by, user, enabled=visit.path["what"] == "enable")
        case "sessions":
            await sessions.end_all_of(database, clock, by, user)
        case "delete":
            gone = await users.delete(database, clock, by, user)
            return SeeOther(to=USERS, notice=f"User {gone.name} was deleted.")
        case "password":
            password = Secret(visit.form.get("password", ""))
            await users.set_password(database, clock, by, user, password, hasher=context.passwords)
        case what:
            raise UnusableError(f"{what[:40]!r} is not a valid change of a user")
    return SeeOther(to=f"{USERS}/{user}", notice="Done.")


async def make_link(visit: Visit) -> PageReply:
    """Make a link and show it, in this answer alone."""
    link = await links.create(visit.context.database, visit.context.clock, visit.by, visit.path["user"])
    return await _one(visit, link=visit.prefix + link.path.reveal())


async def _list(
    visit: Visit, *, name: str = "", role: str = "viewer", mistakes: FormMistakes = NO_MISTAKES
) -> Rendered:
    found = await users.list_all(visit.context.database, visit.by)
    values = {"users": found, "roles": [each.value for each in Role], "name": name, "role": role, "mistakes": mistakes}
    return Rendered(template="users/list.html", values=values, status=400 if mistakes else 200)


async def _one(visit: Visit, *, link: str = "", mistakes: FormMistakes = NO_MISTAKES) -> Rendered:
    context = visit.context
    user = await users.read(context.database, visit.by, visit.path["user"])
    found = await sessions.list_of(context.database, context.clock, visit.by, user.id)
    roles = [each.value for each in Role]
    values = {"user": user, "sessions": found, "roles": roles, "sign_in_link": link, "mistakes": mistakes}
    return Rendered(template="users/user.html", values=values, status=400 if mistakes else 200)


ROUTES = (
    shown(USERS, show_all),
    sent(USERS, create),
    shown(USERS + "/{user}", show),
    sent(USERS + "/{user}/link", make_link),
    sent(USERS + "/{user}/{what}", change),
)
