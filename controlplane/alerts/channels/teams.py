"""Microsoft Teams, by the webhook of a Workflow or of a channel: an Adaptive Card, whose texts are not read as Markdown."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, fitted, json_post
from controlplane.alerts.message import AlertMessage, details
from worker.secret import Secret
from worker.text import cut

MAX_JSON = 20_000
"""Octets of the request: 28 KB are the documented limit, of which people have seen a quarter taken by what wraps it."""
MOST_LINES = 60


class TeamsChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="teams", tag_field="type", forbid_unknown_fields=True
):
    """*url* is the webhook's: whoever knows it may post."""

    url: Secret[str]


def payload(message: AlertMessage) -> dict[str, Any]:
    """The JSON of *message*."""
    found: dict[str, Any] = fitted(partial(_card, message), message.text, MAX_JSON)
    return found


def _card(message: AlertMessage, text: str) -> dict[str, Any]:
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            _paragraph(message.title, weight="Bolder", size="Medium"),
            *(_paragraph(line) for line in text.splitlines()[:MOST_LINES] if line.strip()),
            *(_paragraph(f"{name}: {cut(value, 500)}", isSubtle=True) for name, value in details(message).items()),
        ],
    }
    if message.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open in the control plane", "url": message.link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def post(channel: TeamsChannel, message: AlertMessage) -> OutgoingPost:
    """The request that tells *message*."""
    return json_post(channel.url.reveal(), payload(message))


def _paragraph(text: str, **looks: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **looks}]}
