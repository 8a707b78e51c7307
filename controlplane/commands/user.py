"""`user`: who may sign in to the pages, and as what."""

from __future__ import annotations

import sys

import click

from controlplane.commands.durations import ago
from controlplane.commands.listing import echo_table, echo_values
from controlplane.commands.reach import Reach, with_reach
from controlplane.operations import clock, users
from controlplane.operations.clock import ReadClock
from controlplane.operations.operation import PlaneClient
from controlplane.operations.users import ChangeRole, CreateUser, ListUsers, SetPassword, SwitchUser, UserCalled
from controlplane.service.links import NewLink
from controlplane.service.passwords import MAX_CHARACTERS
from controlplane.service.principal import Role
from controlplane.store.users import StoredUser
from worker.program.summaries import SummarizedGroup
from worker.secret import Secret

ROLES = click.Choice([role.value for role in Role])


@click.group(cls=SummarizedGroup)
def user() -> None:
    """Users of the pages."""


at_option = click.option(
    "--at", metavar="URL", help="The control plane's address in a browser.  [default: --url, or loopback]"
)


@user.command()
@click.argument("name")
@click.option("--role", type=ROLES, default=Role.VIEWER.value, show_default=True, help="What the user may do.")
@click.option("--password", "asks", is_flag=True, help="Ask for a password, in place of a sign-in link.")
@at_option
@with_reach
def add(reach: Reach, name: str, *, role: str, asks: bool, at: str | None) -> None:
    """Add the user NAME, and print a link that signs them in, once, within ten minutes."""
    password = _asked_password() if asks else None

    async def work(client: PlaneClient) -> tuple[StoredUser, NewLink | None]:
        made = await client.ask(users.CREATE, CreateUser(name=name, role=Role(role), password=password))
        if asks:
            return made, None
        return made, await client.ask(users.LINK, UserCalled(user=made.id))

    made, link = reach.run(work)
    click.echo(f"user {made.name!r} may sign in as {made.role}")
    if link is not None:
        click.echo(_address(reach, at, link))


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@with_reach
def list_(reach: Reach, *, as_json: bool) -> None:
    """Show every user: role, ways in, last sign-in."""
    found, now = reach.run(_list)
    if as_json:
        echo_values(map(_as_json, found))
        return
    rows = [
        (
            one.id,
            one.name,
            one.role,
            _ways(one),
            "never" if one.signed_in_at is None else ago(now - one.signed_in_at),
        )
        for one in found
    ]
    echo_table(("ID", "NAME", "ROLE", "SIGNS IN BY", "LAST SIGN-IN"), rows)


async def _list(client: PlaneClient) -> tuple[tuple[StoredUser, ...], int]:
    return await client.ask(users.LIST, ListUsers()), await client.ask(clock.READ, ReadClock())


def _ways(one: StoredUser) -> str:
    if not one.enabled:
        return "nothing: kept out"
    ways = [way for way, holds in (("password", one.has_password), ("provider", one.has_identity)) if holds]
    return ", ".join(ways) or "links"


def _as_json(one: StoredUser) -> dict[str, object]:
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role,
        "enabled": one.enabled,
        "has_password": one.has_password,
        "has_identity": one.has_identity,
        "created_at": one.created_at,
        "signed_in_at": one.signed_in_at,
    }


@user.command()
@click.argument("name")
@click.argument("role", type=ROLES)
@with_reach
def role(reach: Reach, name: str, role: str) -> None:
    """Give the user NAME (a name or an id) another ROLE."""
    changed = reach.ask(users.ROLE, ChangeRole(user=name, role=Role(role)))
    click.echo(f"user {changed.name!r} is {changed.role} from the next request on")


@user.command()
@click.argument("name")
@with_reach
def disable(reach: Reach, name: str) -> None:
    """Keep the user NAME out, and end their sessions."""
    changed = reach.ask(users.SWITCH, SwitchUser(user=name, enabled=False))
    click.echo(f"user {changed.name!r} is kept out")


@user.command()
@click.argument("name")
@with_reach
def enable(reach: Reach, name: str) -> None:
    """Let the user NAME in again."""
    changed = reach.ask(users.SWITCH, SwitchUser(user=name, enabled=True))
    click.echo(f"user {changed.name!r} may sign in")


@user.command()
@click.argument("name")
@with_reach
def delete(reach: Reach, name: str) -> None:
    """Delete the user NAME."""
    gone = reach.ask(users.DELETE, UserCalled(user=name))
    click.echo(f"user {gone.name!r} is deleted")


@user.command()
@click.argument("name")
@with_reach
def password(reach: Reach, name: str) -> None:
    """Give the user NAME another password, which is asked for, or read from standard input; their sessions end."""
    changed = reach.ask(users.PASSWORD, SetPassword(user=name, password=_asked_password()))
    click.echo(f"user {changed.name!r} has a new password")


@user.command()
@click.argument("name")
@at_option
@with_reach
def link(reach: Reach, name: str, *, at: str | None) -> None:
    """Print a link that signs the user NAME in, once, within ten minutes."""
    made = reach.ask(users.LINK, UserCalled(user=name))
    click.echo(_address(reach, at, made))


def _address(reach: Reach, at: str | None, link: NewLink) -> str:
    return (at or reach.intake_url).rstrip("/") + link.path.reveal()


def _asked_password() -> Secret[str]:
    """Read it from a person twice, without showing it; otherwise the first line of standard input."""
    if sys.stdin.isatty():
        return Secret(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return Secret(sys.stdin.readline(MAX_CHARACTERS + 2).rstrip("\r\n"))
