"""Prometheus Alertmanager's API v2: an alert that begins, and the same one ended. Grouping, silences and receivers are its own.

An alert is known by its labels, so that these say nothing that changes while an incident lasts. It ends by itself after
`OPEN_MS`, for Alertmanager ends what nobody repeats, and a message here is sent once.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, json_post
from controlplane.alerts.message import AlertMessage, iso, transition_word
from controlplane.errors import UnusableError
from worker.secret import Secret
from worker.text import cut

OPEN_MS = 30 * 24 * 3600 * 1000
"""Milliseconds until an alert that nobody ended is over."""
SKEW_MS = 60_000
"""Milliseconds by which its clock may be behind ours: an end that lies ahead of it would be none."""
MOST_TAGS = 40
MAX_LABEL = 1000
"""Characters of a label's value."""
_LABEL = re.compile(r"[^A-Za-z0-9_]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = frozenset({"alertname", "test_id", "incident"})


class AlertmanagerChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="alertmanager", tag_field="type", forbid_unknown_fields=True
):
    """*url* is that of the web interface, without `/api/v2`. *labels* are added to every alert.

    Credentials are *username* and *password*, or a *token*.
    """

    url: Secret[str]
    username: str = ""
    password: Secret[str] | None = None
    token: Secret[str] | None = None
    labels: dict[str, str] = {}


def check(channel: AlertmanagerChannel) -> None:
    """Raise UnusableError for labels that Prometheus would not take."""
    if len(channel.labels) > MOST_TAGS:
        raise UnusableError(f"labels: expected at most {MOST_TAGS}")
    for name, value in channel.labels.items():
        if len(value) > MAX_LABEL:
            raise UnusableError(f"labels: the value of {name[:40]} is longer than {MAX_LABEL} characters")
        if not _NAME.fullmatch(name):
            raise UnusableError(f"labels: {name[:40]!r} is not a valid name of a label")
        if name in _OWN:
            raise UnusableError(f"labels: {name} is set for each alert")


def payload(channel: AlertmanagerChannel, message: AlertMessage) -> list[dict[str, Any]]:
    """The JSON of *message*."""
    alert: dict[str, Any] = {
        "labels": _labels(channel, message),
        "annotations": {
            "summary": message.title,
            "description": message.text,
            "state": transition_word(message.event, renotify=False),
            "locations": ", ".join(message.locations),
            "failure": ": ".join(filter(None, (message.failure_code, message.failure))),
        },
        "startsAt": iso(message.since),
        "endsAt": iso(max(message.since, message.at - SKEW_MS) if message.event.ends else message.at + OPEN_MS),
    }
    return [alert | ({"generatorURL": message.link} if message.link else {})]


def post(channel: AlertmanagerChannel, message: AlertMessage) -> OutgoingPost:
    """The request that tells *message*."""
    url = channel.url.reveal().rstrip("/") + "/api/v2/alerts"
    return json_post(url, payload(channel, message), *_credentials(channel))


def _labels(channel: AlertmanagerChannel, message: AlertMessage) -> dict[str, str]:
    """Tags as labels, those of the channel, and on top of both the ones that tell alerts apart."""
    borne = message.tags if message.incident_tags is None else message.incident_tags
    tags = (cut(tag, MAX_LABEL).partition(":") for tag in borne[:MOST_TAGS])
    found = {_LABEL.sub("_", f"_{key}" if key[:1].isdigit() else key): value or "true" for key, _, value in tags if key}
    own = {"alertname": "SyntheticTest" if message.test_id else "ControlPlane", "incident": message.incident}
    return found | channel.labels | own | ({"test_id": message.test_id} if message.test_id else {})


def _credentials(channel: AlertmanagerChannel) -> list[tuple[str, Secret[str]]]:
    if channel.token is not None:
        return [("Authorization", Secret(f"Bearer {channel.token.reveal()}"))]
    if channel.password is None:
        return []
    pair = base64.b64encode(f"{channel.username}:{channel.password.reveal()}".encode()).decode()
    return [("Authorization", Secret(f"Basic {pair}"))]
