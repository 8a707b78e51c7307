"""Webhooks: the message as JSON, or in a form of the operator's own, signed as Standard Webhooks 1.0.0 says.

`webhook-id` is the same at every attempt, `webhook-timestamp` that of the attempt. A payload of one's own is a JSON value in
whose texts the reference system's `$VARIABLES` are replaced; as values, so that no text of a target can leave its place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from controlplane.alerts.channels.post import OutgoingPost
from controlplane.alerts.message import AlertMessage, MessageEvent, body_text, iso, transition_word
from controlplane.errors import UnusableError
from worker.secret import Secret

LEAST_KEY, LARGEST_KEY = 24, 64
"""Octets of a signing key, as the specification bounds them."""
MAX_PAYLOAD = 65_536
"""Characters of a payload of one's own, as JSON."""
DEEPEST = 20
MOST_HEADERS, MAX_HEADER = 50, 8192
_VARIABLE = re.compile(r"\$([A-Z][A-Z_]*[A-Z])")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_RESERVED = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "idempotency-key"})
_TYPES = {
    MessageEvent.ALERT: "alert.triggered",
    MessageEvent.NO_DATA: "alert.no_data",
    MessageEvent.RECOVERY: "alert.recovered",
    MessageEvent.TEST: "alert.test",
}
_ALERT_TYPES = {MessageEvent.ALERT: "error", MessageEvent.NO_DATA: "warning", MessageEvent.RECOVERY: "success"}


class WebhookChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="webhook", tag_field="type", forbid_unknown_fields=True
):
    """*signing_secret* is `whsec_` and base64; *headers* are sent as they are; *payload* is a JSON value with variables."""

    url: Secret[str]
    signing_secret: Secret[str] | None = None
    headers: dict[str, Secret[str]] = {}
    payload: Any = None


def check(channel: WebhookChannel) -> None:
    """Raise UnusableError for a signing secret, headers or a payload that cannot be used."""
    if channel.signing_secret is not None:
        _key(channel.signing_secret)
    if len(channel.headers) > MOST_HEADERS:
        raise UnusableError(f"headers: expected at most {MOST_HEADERS}")
    for name, value in channel.headers.items():
        if not _HEADER.fullmatch(name) or name.lower() in _RESERVED or name.lower().startswith("webhook-"):
            raise UnusableError(f"headers: {name[:40]!r} is not a valid name of a header, or is one that is set here")
        if len(value.reveal()) > MAX_HEADER:
            raise UnusableError(f"headers: the value of {name} is longer than {MAX_HEADER} characters")
        if not value.reveal().isascii() or not value.reveal().isprintable():
            raise UnusableError(f"headers: the value of {name} holds a character that no header can carry")
    if channel.payload is not None and len(orjson.dumps(channel.payload)) > MAX_PAYLOAD:
        raise UnusableError(f"payload: is larger than {MAX_PAYLOAD} characters")
    _replaced(channel.payload, {})


def payload(channel: WebhookChannel, message: AlertMessage, key: str) -> Any:
    """The JSON of *message*, whose idempotency key is *key*."""
    if channel.payload is not None:
        return _replaced(channel.payload, variables(message, key))
    return {"type": _TYPES[message.event], "timestamp": iso(message.at), "data": _data(message)}


def post(channel: WebhookChannel, message: AlertMessage, key: str, at: int) -> OutgoingPost:
    """The request that tells *message* at the moment *at*, in seconds."""
    body = orjson.dumps(payload(channel, message, key))
    headers = list(channel.headers.items())
    if channel.signing_secret is not None:
        signed = signature(channel.signing_secret, key, at, body)
        headers += [("webhook-id", Secret(key)), ("webhook-timestamp", Secret(str(at)))]
        headers += [("webhook-signature", Secret(signed))]
    return OutgoingPost(url=channel.url, body=body, headers=tuple(headers))


def signature(secret: Secret[str], key: str, at: int, body: bytes) -> str:
    """The signature over id, time and body: `v1,` and base64 of HMAC-SHA256."""
    signed = b".".join((key.encode(), str(at).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()


def variables(message: AlertMessage, key: str) -> dict[str, str]:
    """The reference system's variables that have a meaning here."""
    word = transition_word(message.event, renotify=message.renotify)
    text = body_text(message)
    return {
        "ID": key,
        "ALERT_ID": message.incident,
        "ALERT_CYCLE_KEY": message.incident,
        "ALERT_TITLE": message.title,
        "ALERT_TRANSITION": word,
        "ALERT_TYPE": _ALERT_TYPES.get(message.event, "info"),
        "ALERT_PRIORITY": "" if message.priority is None else f"P{message.priority}",
        "ALERT_STATUS": ": ".join(filter(None, (message.failure_code, message.failure))),
        "DATE": str(message.at),
        "LAST_UPDATED": str(message.at),
        "EVENT_TITLE": message.title,
        "EVENT_MSG": text,
        "TEXT_ONLY_MSG": message.text,
        "LINK": message.link,
        "TAGS": ", ".join(message.tags),
        "SYNTHETICS_TEST_NAME": message.test_name,
        "SYNTHETICS_TEST_ID": message.test_id,
        "SYNTHETICS_LOCATIONS": ", ".join(message.locations),
        "SYNTHETICS_FAILURE_CODE": message.failure_code,
        "SYNTHETICS_FAILURE_MESSAGE": message.failure,
    }


def _data(message: AlertMessage) -> dict[str, Any]:
    return {
        "event": message.event.value,
        "renotify": message.renotify,
        "incident": message.incident,
        "title": message.title,
        "message": message.text,
        "priority": message.priority,
        "tags": list(message.tags),
        "since": iso(message.since),
        "test": {"id": message.test_id, "name": message.test_name} if message.test_id else None,
        "locations": list(message.locations),
        "failure": {"code": message.failure_code, "message": message.failure} if message.failure_code else None,
        "link": message.link or None,
    }


def _replaced(value: Any, known: Mapping[str, str], depth: int = 0) -> Any:
    """*value* with the variables of its texts replaced; one that is not *known* stays as it is."""
    if depth > DEEPEST:
        raise UnusableError(f"payload: is nested more than {DEEPEST} levels deep")
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: known.get(found[1], found[0]), value)
    if isinstance(value, list):
        return [_replaced(each, known, depth + 1) for each in value]
    if isinstance(value, dict):
        return {name: _replaced(each, known, depth + 1) for name, each in value.items()}
    return value


def _key(secret: Secret[str]) -> bytes:
    expected = f"expected whsec_ and {LEAST_KEY} to {LARGEST_KEY} octets in base64"
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableError(f"signing_secret: is not a valid secret: {expected}") from error
    if not text.startswith("whsec_") or not LEAST_KEY <= len(key) <= LARGEST_KEY:
        raise UnusableError(f"signing_secret: is not a valid secret: {expected}")
    return key
