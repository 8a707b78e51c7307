"""All kinds of channels: settings as JSON ↔ values, what is shown of them, and the request of each. Nothing secret is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, get_args

import msgspec

from controlplane.alerts.channels import alertmanager, mail, ntfy, pagerduty, slack, teams, telegram, webhook
from controlplane.alerts.channels.alertmanager import AlertmanagerChannel
from controlplane.alerts.channels.mail import EmailChannel
from controlplane.alerts.channels.ntfy import NtfyChannel
from controlplane.alerts.channels.pagerduty import PagerDutyChannel
from controlplane.alerts.channels.post import OutgoingPost, checked_url, shown_url
from controlplane.alerts.channels.slack import SlackChannel
from controlplane.alerts.channels.teams import TeamsChannel
from controlplane.alerts.channels.telegram import TelegramChannel
from controlplane.alerts.channels.webhook import WebhookChannel
from controlplane.alerts.message import AlertMessage
from controlplane.errors import UnusableError
from worker.secret import REDACTED, Secret

PostChannel: TypeAlias = (
    WebhookChannel
    | AlertmanagerChannel
    | SlackChannel
    | TeamsChannel
    | PagerDutyChannel
    | TelegramChannel
    | NtfyChannel
)
"""Channels that are told by one HTTP request."""
Channel: TypeAlias = PostChannel | EmailChannel
KINDS: Final[tuple[str, ...]] = tuple(kind.__struct_config__.tag for kind in get_args(Channel))
MAX_TEXT: Final = 8192
"""Characters of one text among settings, without the payload of a webhook."""


def read(settings: Mapping[str, Any]) -> Channel:
    """The channel that *settings* describe, with its `type` among them. Raises UnusableError that names the member at fault."""
    kind = settings.get("type")
    if kind not in KINDS:
        raise UnusableError(
            f"type: {str(kind)[:40]!r} is not a valid type of channel: expected one of {', '.join(KINDS)}"
        )
    for name, value in settings.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise UnusableError(f"{name}: is longer than {MAX_TEXT} characters")
    try:
        channel: Channel = msgspec.convert(settings, Channel, dec_hook=_hidden)
    except msgspec.ValidationError as error:
        raise UnusableError(f"{kind} channel: is not valid: {error}") from error
    _check(channel)
    return channel


def written(channel: Channel) -> bytes:
    """*channel* as JSON with its secrets, to be sealed."""
    return msgspec.json.encode(channel, enc_hook=_revealed)


def restored(data: bytes) -> Channel:
    """The channel that `written` wrote."""
    channel: Channel = msgspec.json.decode(data, type=Channel, dec_hook=_hidden)
    return channel


def kind_of(channel: Channel) -> str:
    """The name of the channel's kind."""
    return str(channel.__struct_config__.tag)


def shown(channel: Channel) -> dict[str, Any]:
    """The settings of *channel* for people: a URL without its path, no secret at all."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(channel, enc_hook=lambda _: REDACTED))
    url = getattr(channel, "url", None)
    return found | ({"url": shown_url(url)} if isinstance(url, Secret) else {})


def post(channel: PostChannel, message: AlertMessage, key: str, at: int) -> OutgoingPost:
    """The request that tells *message*, of the idempotency key *key*, at the moment *at*, in seconds."""
    match channel:
        case WebhookChannel():
            made = webhook.post(channel, message, key, at)
        case AlertmanagerChannel():
            made = alertmanager.post(channel, message)
        case SlackChannel():
            made = slack.post(channel, message)
        case TeamsChannel():
            made = teams.post(channel, message)
        case PagerDutyChannel():
            made = pagerduty.post(channel, message)
        case TelegramChannel():
            made = telegram.post(channel, message)
        case NtfyChannel():
            made = ntfy.post(channel, message)
    fields = (("Content-Type", Secret("application/json")), ("Idempotency-Key", Secret(key)), *made.headers)
    return OutgoingPost(url=made.url, body=made.body, headers=fields)


_CHECKS: Final[Mapping[str, Callable[[Any], None]]] = {
    "webhook": webhook.check,
    "alertmanager": alertmanager.check,
    "telegram": telegram.check,
    "email": mail.check,
    "ntfy": ntfy.check,
}


def _check(channel: Channel) -> None:
    if not isinstance(channel, EmailChannel):
        checked_url(channel.url)
    for name in ("token", "routing_key", "password", "topic"):
        value = getattr(channel, name, None)
        if isinstance(value, Secret) and not (value and value.reveal().isascii() and value.reveal().isprintable()):
            raise UnusableError(f"{name}: is empty or holds a character that cannot be sent")
    if (check := _CHECKS.get(kind_of(channel))) is not None:
        check(channel)


def _hidden(kind: Any, value: object) -> object:
    if getattr(kind, "__origin__", kind) is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"Expected `str`, got `{type(value).__name__}`")  # msgspec adds the place


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)
