"""Microsoft Teams, by the webhook of a Workflow or of a channel: an Adaptive Card, whose texts are not read as Markdown."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, json_post
from controlplane.alerts.message import AlertMessage, details
from worker.secret import Secret
from worker.text import cut

MAX_TEXT = 6000
"""Characters: a card may have 28 KB, and one of these may take four octets."""
MOST_LINES = 60


class TeamsChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="teams", tag_field="type", forbid_unknown_fields=True
):
    """*url* is the webhook's: whoever knows it may post."""

    url: Secret[str]


def payload(message: AlertMessage) -> dict[str, Any]:
    """The JSON of *message*."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            _paragraph(message.title, weight="Bolder", size="Medium"),
            *(_paragraph(line) for line in cut(message.text, MAX_TEXT).splitlines()[:MOST_LINES] if line.strip()),
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
