"""PagerDuty's Events API v2: a trigger, and a resolve with the same `dedup_key` once the incident is over."""

from __future__ import annotations

from typing import Any

import msgspec

from controlplane.alerts.channels.post import OutgoingPost, json_post
from controlplane.alerts.message import FACT_CHARACTERS, AlertMessage, MessageEvent, details, iso, short_key
from worker.secret import Secret
from worker.text import cut

ENQUEUE = "https://events.pagerduty.com/v2/enqueue"
DEDUP_KEY, SUMMARY = 255, 1024
"""The most characters of each, as the reference of `/v2/enqueue` has them."""
_SEVERITIES = {1: "critical", 2: "error", 3: "warning", 4: "info", 5: "info"}


class PagerDutyChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="pagerduty", tag_field="type", forbid_unknown_fields=True
):
    """*routing_key* is the integration's. *url* is another one for accounts in the EU."""

    routing_key: Secret[str]
    url: Secret[str] = Secret(ENQUEUE)


def payload(channel: PagerDutyChannel, message: AlertMessage) -> dict[str, Any]:
    """The JSON of *message*."""
    event: dict[str, Any] = {
        "routing_key": channel.routing_key.reveal(),
        "dedup_key": short_key(message.incident, DEDUP_KEY),
        "event_action": "resolve" if message.event.ends else "trigger",
    }
    if message.event.ends:
        return event
    event["payload"] = {
        "summary": cut(message.title, SUMMARY),
        "timestamp": iso(message.at),
        "source": cut(", ".join(message.locations), FACT_CHARACTERS) or "control plane",
        "severity": _severity(message),
        "component": cut(message.test_name, FACT_CHARACTERS),
        "class": cut(message.failure_code, FACT_CHARACTERS) or message.event.value,
        "custom_details": {"message": message.text, **details(message)},
    }
    if message.link:
        event["links"] = [{"href": message.link, "text": "Open in the control plane"}]
        event["client_url"] = message.link
    return event | {"client": "open private location"}


def post(channel: PagerDutyChannel, message: AlertMessage) -> OutgoingPost:
    """The request that tells *message*."""
    return json_post(channel.url.reveal(), payload(channel, message))


def _severity(message: AlertMessage) -> str:
    """The severity by the priority; without one a failure is an error, and being blind is a warning."""
    if message.event is MessageEvent.TEST:
        return "info"
    return _SEVERITIES.get(message.priority or 0) or ("warning" if message.event is MessageEvent.NO_DATA else "error")
