"""Telegram's Bot API: `sendMessage` in plain text, without a parse mode, so that no value is read as markup.

Clients read @name in plain text, too: after such an @ stands a word joiner, which nobody sees, so that no value mentions anybody.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, json_post
from controlplane.alerts.message import AlertMessage, body_text
from controlplane.errors import UnusableError
from worker.secret import Secret

MAX_TEXT = 4096
"""Characters of a message, counted as UTF-16 does."""
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}")


class TelegramChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="telegram", tag_field="type", forbid_unknown_fields=True
):
    """*token* is the bot's, *chat* a number or `@name` of a channel. *url* is that of another server of the Bot API."""

    token: Secret[str]
    chat: str
    url: Secret[str] = Secret("https://api.telegram.org")


def check(channel: TelegramChannel) -> None:
    """Raise UnusableError for a token that cannot stand in a URL."""
    if not _TOKEN.fullmatch(channel.token.reveal()):
        raise UnusableError("token: is not a valid token of a bot: expected digits, a colon and letters")


def payload(channel: TelegramChannel, message: AlertMessage) -> dict[str, Any]:
    """The JSON of *message*."""
    rest = msgspec.structs.replace(message, link="")
    text = _MENTION.sub("@\u2060", f"{message.title}\n\n{body_text(rest)}")
    text = "\n\n".join(filter(None, (_cut_utf16(text, MAX_TEXT - len(message.link) - 2), message.link)))
    return {"chat_id": channel.chat, "text": text, "link_preview_options": {"is_disabled": True}}


def post(channel: TelegramChannel, message: AlertMessage) -> OutgoingPost:
    """The request that tells *message*."""
    url = f"{channel.url.reveal().rstrip('/')}/bot{channel.token.reveal()}/sendMessage"
    return json_post(url, payload(channel, message))


def _cut_utf16(text: str, most: int) -> str:
    octets = text.encode("utf-16-le", "replace")
    if len(octets) <= 2 * most:
        return text
    return octets[: 2 * (most - 1)].decode("utf-16-le", "ignore") + "…"
