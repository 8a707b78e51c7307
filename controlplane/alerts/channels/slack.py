"""Slack's incoming webhooks: one text, in which `&`, `<` and `>` are written as entities, so that no value mentions anybody.

Slack looks at no URL in it: a target that sends one would be shown, and would learn that it was.
"""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, json_post
from controlplane.alerts.message import AlertMessage, body_text
from worker.secret import Secret
from worker.text import cut

MAX_TEXT = 12_000
"""Characters; Slack itself cuts a text at 40,000, and a long one is folded away."""


class SlackChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="slack", tag_field="type", forbid_unknown_fields=True
):
    """*url* is the incoming webhook's: whoever knows it may post."""

    url: Secret[str]


def payload(message: AlertMessage) -> dict[str, Any]:
    """The JSON of *message*."""
    rest = msgspec.structs.replace(message, link="")
    lines = [f"*{_escaped(message.title)}*", cut(_escaped(body_text(rest)), MAX_TEXT)]
    if message.link:
        lines.append(f"<{_escaped(message.link)}|Open in the control plane>")
    return {"text": "\n".join(filter(None, lines)), "unfurl_links": False, "unfurl_media": False}


def post(channel: SlackChannel, message: AlertMessage) -> OutgoingPost:
    """The request that tells *message*."""
    return json_post(channel.url.reveal(), payload(message))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
