"""ntfy, published as JSON to the root of a server; a longer message than it shows is cut, as it would become an attachment."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, fitted, json_post
from controlplane.alerts.message import AlertMessage, MessageEvent, body_text
from controlplane.errors import UnusableError
from worker.secret import Secret

MAX_OCTETS = 4000
"""Of a message: ntfy makes a file of one beyond 4,096."""
MAX_JSON = 8000
"""Octets of the request: ntfy reads twice as many as of a message, and quotes and line ends take two of them."""
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_PRIORITIES = {1: 5, 2: 4, 3: 3, 4: 2, 5: 1}
_USUAL = 4
"""`high`: an alert without a priority is to be heard."""
_TAGS = {
    MessageEvent.ALERT: "rotating_light",
    MessageEvent.NO_DATA: "warning",
    MessageEvent.RECOVERY: "white_check_mark",
    MessageEvent.TEST: "test_tube",
}


class NtfyChannel(msgspec.Struct, frozen=True, kw_only=True, tag="ntfy", tag_field="type", forbid_unknown_fields=True):
    """*topic* is secret where a server lets anybody read; *token* is an access token."""

    topic: Secret[str]
    url: Secret[str] = Secret("https://ntfy.sh")
    token: Secret[str] | None = None


def check(channel: NtfyChannel) -> None:
    """Raise UnusableError for a topic that ntfy would not take."""
    if not _TOPIC.fullmatch(channel.topic.reveal()):
        raise UnusableError("topic: is not a valid topic: expected 1 to 64 letters, digits, '-' and '_'")


def payload(channel: NtfyChannel, message: AlertMessage) -> dict[str, Any]:
    """The JSON of *message*."""
    rest = msgspec.structs.replace(message, link="")
    text = body_text(rest).encode("utf-8", "replace")[:MAX_OCTETS].decode("utf-8", "ignore")
    found: dict[str, Any] = fitted(partial(_event, channel, message), text, MAX_JSON)
    return found


def _event(channel: NtfyChannel, message: AlertMessage, text: str) -> dict[str, Any]:
    event: dict[str, Any] = {
        "topic": channel.topic.reveal(),
        "title": message.title,
        "message": text,
        "priority": 3 if message.event.ends else _PRIORITIES.get(message.priority or 0, _USUAL),
        "tags": [_TAGS[message.event]],
    }
    return event | ({"click": message.link} if message.link else {})


def post(channel: NtfyChannel, message: AlertMessage) -> OutgoingPost:
    """The request that tells *message*."""
    fields = [] if channel.token is None else [("Authorization", Secret(f"Bearer {channel.token.reveal()}"))]
    return json_post(channel.url.reveal().rstrip("/") + "/", payload(channel, message), *fields)
