"""Channels of alerts as pages: which there are, a new one, a try of one. No page shows a secret, not even one just typed."""

from __future__ import annotations

from collections.abc import Sequence

from controlplane import epoch
from controlplane.alerts.channels import settings, table
from controlplane.errors import UnusableError
from controlplane.pages.locationpages import may_write
from controlplane.pages.mistakes import NO_MISTAKES, FormMistakes, mistake_of
from controlplane.pages.page import PageReply, PageRoute, Rendered, SeeOther, Visit, sent, shown
from controlplane.service import channels
from controlplane.service.channels import ShownChannel
from controlplane.service.principal import KeyScope
from controlplane.store.notifications import QUEUED

LIVE_SECONDS = 2
"""While a try is under way."""
MEMBERS = {
    "webhook": "url, signing_secret, headers.NAME, payload",
    "alertmanager": "url, username and password or token, labels.NAME",
    "slack": "url",
    "teams": "url",
    "pagerduty": "routing_key, url",
    "telegram": "token, chat, url",
    "ntfy": "topic, url, token",
    "email": "host, sender, to, security (starttls, tls, none), port, username, password, domains",
}
"""The settings of each kind, for the form."""


PLAIN_MEMBERS = frozenset({"chat", "host", "sender", "to", "security", "port", "username", "domains", "payload"})
"""Settings that hold no secret: a URL may be one, and a header."""


async def list_all(visit: Visit) -> PageReply:
    """Show every channel, without its secrets."""
    found = await channels.list_all(visit.context.database, visit.by)
    values = {
        "channels": [(one, _summary(one)) for one in found],
        "may_write": may_write(visit),
        "now": epoch.milliseconds(visit.context.clock),
    }
    return Rendered(template="channels.html", values=values)


async def new(visit: Visit) -> PageReply:
    """Show the form of a new channel."""
    visit.by.require(KeyScope.WRITE)
    return _form("", "", "", NO_MISTAKES)


async def create(visit: Visit) -> PageReply:
    """Make a channel."""
    name, kind = visit.form.get("name", ""), visit.form.get("kind", "")
    lines = [line for line in visit.form.get("settings", "").split("\n") if line.strip()]
    try:
        said = settings.structured(settings.pair(line) for line in lines)
        made = await channels.create(
            visit.context.database, visit.context.clock, visit.by, name, {**said, "type": kind}
        )
    except UnusableError as error:
        return _form(name, kind, _without_secrets(lines), mistake_of(error, default="settings"))
    return SeeOther(
        to="/channels", notice=f"The channel {made.name} is there: @{made.name} in a test's message names it."
    )


async def attempt(visit: Visit) -> PageReply:
    """Send a message through a channel."""
    key = await channels.attempt(visit.context.database, visit.context.clock, visit.by, visit.path["channel"])
    return SeeOther(to=f"/channels/tries/{key}")


async def show_attempt(visit: Visit) -> PageReply:
    """Show how far a notification is."""
    found = await channels.notification(visit.context.database, visit.by, visit.path["key"])
    values = {"found": found, "now": epoch.milliseconds(visit.context.clock)}
    return Rendered(
        template="channeltry.html", values=values, live_seconds=LIVE_SECONDS if found.state == QUEUED else None
    )


async def delete(visit: Visit) -> PageReply:
    """Delete a channel."""
    gone = await channels.delete(visit.context.database, visit.context.clock, visit.by, visit.path["channel"])
    return SeeOther(to="/channels", notice=f"The channel {gone.name} is deleted.")


def _without_secrets(lines: Sequence[str]) -> str:
    """Lines of settings as they come back: of one that may hold a secret, the name alone."""
    pairs = (line.partition("=") for line in lines)
    return "\n".join(
        f"{name}={value if name.strip() in PLAIN_MEMBERS else ''}" for name, equals, value in pairs if equals
    )


def _form(name: str, kind: str, written: str, mistakes: FormMistakes) -> Rendered:
    values = {"name": name, "kind": kind, "kinds": table.KINDS, "members": MEMBERS}
    values |= {"settings": written, "mistakes": mistakes}
    return Rendered(template="channelform.html", values=values, status=400 if mistakes else 200)


def _summary(one: ShownChannel) -> list[tuple[str, str]]:
    said = {name: value for name, value in one.settings.items() if value not in (None, "", [], {}, 0)}
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value))
        for name, value in said.items()
    ]


ROUTES: tuple[PageRoute, ...] = (
    shown("/channels", list_all),
    shown("/channels/new", new),
    sent("/channels/new", create),
    shown("/channels/tries/{key}", show_attempt),
    sent("/channels/{channel}/test", attempt),
    sent("/channels/{channel}/delete", delete),
)
