"""A message as every channel is given it: what happened to which test, the words for it, the key by which receivers know it."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from enum import Enum

import msgspec

from worker.text import cut

TITLE_CHARACTERS = 250
"""Of a title: a line in every client, and a quarter of the smallest of the receivers' limits."""
FACT_CHARACTERS = 1000
"""Of each fact below a message: a target may have sent any number of them."""
_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Controls, separators of lines, and what turns the direction of the text that follows (UAX #9, 2)."""


class MessageEvent(Enum):
    """The kind of news. The values are what a webhook's receiver reads."""

    ALERT = "alert"
    NO_DATA = "no_data"
    RECOVERY = "recovery"
    TEST = "test"
    """Nothing happened: somebody tries a channel."""

    @property
    def ends(self) -> bool:
        """True where an incident is over by it."""
        return self is MessageEvent.RECOVERY


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """*incident* is the same from the first alert to its recovery; *at* and *since*, when that began, are milliseconds.

    *text* is our own line and the author's message, rendered. *link* is a URL, empty without one. *priority* is 1 to 5.
    *failure_code* and *failure* are those of the run that decided, empty where there is none. *incident_tags* are the tags with
    which the incident began, None where they are *tags*: receivers may know it by them.
    """

    event: MessageEvent
    incident: str
    title: str
    text: str
    at: int
    since: int
    renotify: bool = False
    priority: int | None = None
    tags: tuple[str, ...] = ()
    incident_tags: tuple[str, ...] | None = None
    test_id: str = ""
    test_name: str = ""
    locations: tuple[str, ...] = ()
    failure_code: str = ""
    failure: str = ""
    link: str = ""


_WORDS = {
    MessageEvent.ALERT: "Triggered",
    MessageEvent.NO_DATA: "No data",
    MessageEvent.RECOVERY: "Recovered",
    MessageEvent.TEST: "Test",
}


def transition_word(event: MessageEvent, *, renotify: bool) -> str:
    """The word for *event*, as titles begin with it."""
    return f"Re-{_WORDS[event].lower()}" if renotify else _WORDS[event]


def title(event: MessageEvent, name: str, *, renotify: bool = False, priority: int | None = None) -> str:
    """The title of a message about what is called *name*: `[P2] [Triggered] Checkout`, on one line."""
    before = "" if priority is None else f"[P{priority}] "
    return cut(" ".join(f"{before}[{transition_word(event, renotify=renotify)}] {name}".split()), TITLE_CHARACTERS)


def utc(milliseconds: int) -> str:
    """A moment as people read it, to the second."""
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(milliseconds: int) -> str:
    """A moment as JSON carries it (RFC 3339), in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def harmless(text: str) -> str:
    """*text* with what hides other text or turns its direction written as an escape; lines and tabs stay."""
    return _HOSTILE.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))


def short_key(key: str, most: int) -> str:
    """*key*, or where it is longer than *most* characters, a digest that stands for it."""
    return key if len(key) <= most else hashlib.sha256(key.encode()).hexdigest()[:most]


def details(message: AlertMessage) -> dict[str, str]:
    """The facts of *message* by their names, for receivers that show a list of them; those that it lacks are left out."""
    found = {
        "Test": f"{message.test_name} ({message.test_id})" if message.test_id else "",
        "Locations": ", ".join(message.locations),
        "Failure": ": ".join(filter(None, (message.failure_code, message.failure))),
        "Priority": "" if message.priority is None else f"P{message.priority}",
        "Since": f"{datetime.fromtimestamp(message.since / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC",
        "Tags": ", ".join(message.tags),
    }
    return {name: cut(value, FACT_CHARACTERS) for name, value in found.items() if value}


def body_text(message: AlertMessage) -> str:
    """*message* in plain lines below its title: the author's words, then the facts, then the link."""
    facts = "\n".join(f"{name}: {value}" for name, value in details(message).items())
    return "\n\n".join(filter(None, (message.text, facts, message.link)))
