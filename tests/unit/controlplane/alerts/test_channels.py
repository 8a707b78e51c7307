"""Payloads of channels, member by member as their vendors' published examples have them, and settings that are refused.

Sources, by title: "Send an Alert Event" (PagerDuty, Events API v2), "Publish as JSON" (docs.ntfy.sh, Publishing), "sendMessage"
(core.telegram.org/bots/api), "Send adaptive cards using an incoming webhook" (learn.microsoft.com, Teams), "Incoming webhooks"
and "Formatting message text" (docs.slack.dev), openapi.yaml of prometheus/alertmanager (`postableAlert`), "Standard Webhooks"
1.0.0 with its reference vector, and "Webhooks" (docs.datadoghq.com/integrations) for the names of variables.
"""

from __future__ import annotations

import base64
import json
import re
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from controlplane.alerts.channels import table, webhook
from controlplane.alerts.channels.mail import EmailChannel, compose
from controlplane.alerts.channels.table import PostChannel
from controlplane.alerts.message import AlertMessage, MessageEvent, title
from controlplane.errors import UnusableError
from worker.secret import Secret

MESSAGE = AlertMessage(
    event=MessageEvent.ALERT,
    incident="incident-1",
    title="[P2] [Triggered] Checkout",
    text="Fails at Lab: <!channel> & [x](https://evil.example) *b*",
    at=1_622_472_207_000,
    since=1_622_472_000_000,
    priority=2,
    tags=("env:prod", "team:shop", "k8s.io/x:1"),
    test_id="abc-def-ghi",
    test_name="Checkout",
    locations=("Lab", "Attic"),
    failure_code="TIMEOUT",
    failure="no answer",
    link="https://cp.example/tests/abc-def-ghi",
)
RECOVERY = replace(MESSAGE, event=MessageEvent.RECOVERY, title="[P2] [Recovered] Checkout", at=MESSAGE.at + 60_000)
SETTINGS: dict[str, dict[str, Any]] = {
    "webhook": {"url": "https://hook.example/x?key=s3cret"},
    "alertmanager": {
        "url": "https://am.example/am/",
        "username": "u",
        "password": "s3cret",
        "labels": {"job": "probes"},
    },
    "slack": {"url": "https://hooks.slack.example/services/T0/B0/s3cret"},
    "teams": {"url": "https://teams.example/workflows/s3cret"},
    "pagerduty": {"routing_key": "s3cret"},
    "telegram": {"token": "12345:s3cret", "chat": "-100123"},
    "ntfy": {"topic": "s3cret", "token": "tk_s3cret", "url": "https://ntfy.example/"},
    "email": {
        "host": "mail.example",
        "sender": "Alerts <alerts@cp.example>",
        "to": ["ops@cp.example"],
        "username": "u",
        "password": "s3cret",
    },
}


def made(kind: str, **more: Any) -> Any:
    return table.read({"type": kind, **SETTINGS[kind], **more})


def sent(channel: PostChannel, message: AlertMessage = MESSAGE) -> tuple[str, dict[str, str], Any]:
    post = table.post(channel, message, "key-1", 1_622_472_300)
    return post.url.reveal(), {name: value.reveal() for name, value in post.headers}, json.loads(post.body)


def test_pagerduty_is_triggered_and_resolved_under_one_key() -> None:
    url, headers, body = sent(made("pagerduty"))
    assert url == "https://events.pagerduty.com/v2/enqueue"
    assert headers == {"Content-Type": "application/json", "Idempotency-Key": "key-1"}
    details = body["payload"].pop("custom_details")
    assert body == {
        "payload": {
            "summary": "[P2] [Triggered] Checkout",
            "timestamp": "2021-05-31T14:43:27.000Z",
            "source": "Lab, Attic",
            "severity": "error",
            "component": "Checkout",
            "class": "TIMEOUT",
        },
        "routing_key": "s3cret",
        "dedup_key": "incident-1",
        "links": [{"href": MESSAGE.link, "text": "Open in the control plane"}],
        "event_action": "trigger",
        "client": "open private location",
        "client_url": MESSAGE.link,
    }
    assert details["Failure"] == "TIMEOUT: no answer"
    assert sent(made("pagerduty"), RECOVERY)[2] == {
        "routing_key": "s3cret",
        "dedup_key": "incident-1",
        "event_action": "resolve",
    }


@pytest.mark.parametrize(
    ("priority", "event", "severity"),
    [
        *((1, "alert", "critical"), (3, "alert", "warning"), (5, "alert", "info"), (None, "alert", "error")),
        *((None, "no_data", "warning"), (1, "test", "info")),
    ],
)
def test_pagerduty_has_a_severity_for_each_priority(priority: int | None, event: str, severity: str) -> None:
    message = replace(MESSAGE, priority=priority, event=MessageEvent(event))
    assert sent(made("pagerduty"), message)[2]["payload"]["severity"] == severity


def test_pagerduty_takes_no_key_and_no_summary_that_is_too_long() -> None:
    body = sent(made("pagerduty"), replace(MESSAGE, incident="i" * 300, title="t" * 2000))[2]
    assert len(body["dedup_key"]) <= 255
    assert len(body["payload"]["summary"]) == 1024


def test_slack_reads_no_mention_and_no_link_in_a_value() -> None:
    url, _, body = sent(made("slack"))
    assert url == SETTINGS["slack"]["url"]
    assert (body.pop("unfurl_links"), body.pop("unfurl_media")) == (False, False)
    assert list(body) == ["text"]
    assert body["text"].startswith("*[P2] [Triggered] Checkout*\nFails at Lab: &lt;!channel&gt; &amp; ")
    assert re.findall("<[^>]*>", body["text"]) == [f"<{MESSAGE.link}|Open in the control plane>"]


def test_teams_gets_an_adaptive_card_without_markdown() -> None:
    body = sent(made("teams"))[2]
    (attachment,) = body["attachments"]
    assert body["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["contentUrl"] is None
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    assert card["$schema"] == "http://adaptivecards.io/schemas/adaptive-card.json"
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in the control plane", "url": MESSAGE.link}]


def test_telegram_is_sent_plain_text_that_it_takes() -> None:
    url, _, body = sent(made("telegram"), replace(MESSAGE, text="\N{PILE OF POO}" * 5000))
    assert url == "https://api.telegram.org/bot12345:s3cret/sendMessage"
    assert (body["chat_id"], body["link_preview_options"]) == ("-100123", {"is_disabled": True})
    assert "parse_mode" not in body
    assert len(body["text"].encode("utf-16-le")) <= 2 * 4096


def test_ntfy_is_published_to_at_its_root() -> None:
    url, headers, body = sent(made("ntfy"), replace(MESSAGE, text="ü" * 5000))
    assert url == "https://ntfy.example/"
    assert headers["Authorization"] == "Bearer tk_s3cret"
    assert len(body.pop("message").encode()) <= 4096
    assert body == {
        "topic": "s3cret",
        "title": "[P2] [Triggered] Checkout",
        "priority": 4,
        "tags": ["rotating_light"],
        "click": MESSAGE.link,
    }


def test_alertmanager_knows_an_alert_and_its_end_by_the_same_labels() -> None:
    channel = made("alertmanager")
    url, headers, (alert,) = sent(channel)
    (ended,) = sent(channel, RECOVERY)[2]
    assert url == "https://am.example/am/api/v2/alerts"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"u:s3cret").decode()
    assert alert["labels"] == ended["labels"] == {
        "alertname": "SyntheticTest",
        "test_id": "abc-def-ghi",
        "incident": "incident-1",
        "env": "prod",
        "team": "shop",
        "k8s_io_x": "1",
        "job": "probes",
    }  # fmt: skip
    assert alert["startsAt"] == "2021-05-31T14:40:00.000Z"
    assert alert["endsAt"] > "2021-06-30"
    assert ended["endsAt"] == "2021-05-31T14:43:27.000Z"
    assert alert["generatorURL"] == MESSAGE.link


LIMITS: dict[str, Any] = {
    "teams": lambda body, octets: octets <= 28 * 1024 and body["attachments"][0]["content"]["actions"],
    "ntfy": lambda body, octets: octets <= 2 * 4096 and len(body["message"].encode()) <= 4096,
    "telegram": lambda body, _octets: (
        len(body["text"].encode("utf-16-le")) <= 2 * 4096 and MESSAGE.link in body["text"]
    ),
    "slack": lambda body, _octets: len(body["text"]) <= 40_000 and MESSAGE.link in body["text"],
    "pagerduty": lambda _body, octets: octets <= 512 * 1024,
    "alertmanager": lambda body, _octets: all(len(value) <= 1000 for value in body[0]["labels"].values()),
}
"""Conditions on a request's JSON and its size: "Message size limit" (Teams), `MessageSizeLimit` and twice that of a JSON body
(ntfy's server), `text` (Telegram), "Truncating content" (Slack), 512 KB (PagerDuty)."""


@pytest.mark.parametrize("letter", ["x", '"', "\\", "\n", "<", "@", "\N{PILE OF POO}"], ids=ascii)
@pytest.mark.parametrize("kind", LIMITS)
def test_nothing_that_a_target_sends_makes_a_request_larger_than_its_vendor_takes(kind: str, letter: str) -> None:
    """A request that is refused for its size is given up: nobody would hear of the failure."""
    long, tags = letter * 16_384, (f"env:{letter * 20_000}",) * 60
    large = replace(MESSAGE, text=long, failure=long, test_name=long, tags=tags, locations=(letter * 9000,) * 20)
    large = replace(large, title=title(MessageEvent.ALERT, long, priority=2))
    post = table.post(made(kind), large, "k", 0)
    assert LIMITS[kind](json.loads(post.body), len(post.body))


MENTIONS = "<!channel> <@U024BE7LH> @here @everyone @bob <at>bob</at> [x](https://evil.example) me@b.example"


def test_no_value_mentions_anybody_in_a_chat() -> None:
    told = replace(MESSAGE, title=MENTIONS, text=MENTIONS, failure=MENTIONS, test_name=MENTIONS, tags=(MENTIONS,))
    slack, teams, telegram = (sent(made(kind), told)[2] for kind in ("slack", "teams", "telegram"))
    assert re.findall("<[^>]*>", slack["text"]) == [f"<{MESSAGE.link}|Open in the control plane>"]
    card = teams["attachments"][0]["content"]
    assert "msteams" not in card, "a mention in a card is one of its entities"
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}, "a TextBlock would read Markdown"
    assert re.findall(r"(?<!\w)@\w", telegram["text"]) == []
    assert "me@b.example" in telegram["text"]


def test_a_webhooks_signature_is_that_of_the_specification() -> None:
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhook.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_is_told_everything_and_signed() -> None:
    channel = made("webhook", signing_secret="whsec_" + base64.b64encode(b"k" * 32).decode(), headers={"X-Team": "t"})
    _, headers, body = sent(channel)
    assert body["type"] == "alert.triggered"
    assert body["timestamp"] == "2021-05-31T14:43:27.000Z"
    assert body["data"]["test"] == {"id": "abc-def-ghi", "name": "Checkout"}
    assert (headers["webhook-id"], headers["webhook-timestamp"], headers["X-Team"]) == ("key-1", "1622472300", "t")
    assert headers["webhook-signature"].startswith("v1,")


def test_a_payload_of_ones_own_keeps_values_in_their_places() -> None:
    form = {"text": "$EVENT_TITLE: $ALERT_STATUS", "list": ["$TAGS", 1, None, "$UNKNOWN $lower"], "$LINK": "k"}
    hostile = replace(MESSAGE, failure='", "admin": "yes $LINK')
    assert sent(made("webhook", payload=form), hostile)[2] == {
        "text": '[P2] [Triggered] Checkout: TIMEOUT: ", "admin": "yes $LINK',
        "list": ["env:prod, team:shop, k8s.io/x:1", 1, None, "$UNKNOWN $lower"],
        "$LINK": "k",
    }


def test_a_mail_is_one_message_however_often_it_is_sent() -> None:
    channel: EmailChannel = made("email")
    first, again = (compose(channel, MESSAGE, "key-1").as_bytes() for _ in range(2))
    assert first == again
    mail = compose(channel, replace(MESSAGE, title="x\r\nBcc: y@evil.example"), "key-1")
    ended = compose(channel, RECOVERY, "key-2")
    assert "Bcc" not in mail
    assert mail["References"] == ended["References"] != mail["Message-ID"]
    assert (mail["From"], mail["To"]) == ("Alerts <alerts@cp.example>", "ops@cp.example")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "<!channel> & [x]" in mail.get_content()


@given(st.text(max_size=60), st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_no_text_of_a_target_makes_a_channel_fail(name: str, text: str) -> None:
    told = replace(MESSAGE, title=name, text=text, failure=text, test_name=name, locations=(name,), tags=(name,))
    for kind in table.KINDS:
        channel = made(kind)
        if isinstance(channel, EmailChannel):
            mail = message_from_bytes(compose(channel, told, "key").as_bytes(), policy=policy.SMTP)
            assert set(mail.keys()) == set(compose(channel, MESSAGE, "key").keys())
        else:
            json.loads(table.post(channel, told, "key", 0).body)


@pytest.mark.parametrize("kind", table.KINDS)
def test_settings_are_kept_and_shown_without_their_secrets(kind: str) -> None:
    channel = made(kind)
    assert table.restored(table.written(channel)) == channel
    assert "s3cret" in table.written(channel).decode()
    assert "s3cret" not in json.dumps(table.shown(channel)) + repr(channel)
    assert table.shown(channel)["type"] == kind == table.kind_of(channel)


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "type: 'None' is not a valid type of channel"),
        ({"type": "fax"}, "type: 'fax' is not a valid type of channel"),
        ({"type": "slack"}, "missing required field `url`"),
        ({"type": "slack", "url": 7}, "Expected `str`, got `int` - at `$.url`"),
        ({"type": "webhook", "url": "https://x.example", "payload": nested(30)}, "payload: is nested more than"),
        ({"type": "slack", "url": "ftp://x.example"}, "url: is not a valid URL"),
        ({"type": "slack", "url": "https://x.example:99999/"}, "url: is not a valid URL"),
        ({"type": "slack", "url": "https://u:p@x.example/"}, "url: holds a user name"),
        ({"type": "slack", "url": "https://x.example/", "channel": "c"}, "unknown field `channel`"),
        ({"type": "telegram", "token": "../x", "chat": "1"}, "token: is not a valid token"),
        ({"type": "ntfy", "topic": ""}, "topic: is empty"),
        ({"type": "ntfy", "topic": "a/b"}, "topic: is not a valid topic"),
        ({"type": "ntfy", "topic": "t" * 65}, "topic: is not a valid topic"),
        ({"type": "webhook", "url": "https://x.example", "signing_secret": "whsec_AAAA"}, "signing_secret: is not a valid"),
        ({"type": "webhook", "url": "https://x.example", "signing_secret": "Zm9v"}, "signing_secret: is not a valid"),
        ({"type": "webhook", "url": "https://x.example", "headers": {"Host": "h"}}, "headers: 'Host' is not a valid name"),
        ({"type": "webhook", "url": "https://x.example", "headers": {"X": "a\r\nY: b"}}, "headers: the value of X"),
        ({"type": "alertmanager", "url": "https://x.example", "labels": {"a-b": "c"}}, "labels: 'a-b' is not a valid name"),
        ({"type": "alertmanager", "url": "https://x.example", "labels": {"test_id": "c"}}, "labels: test_id is set"),
        ({"type": "alertmanager", "url": "https://x.example", "labels": {"a": "c" * 1001}}, "labels: the value of a is longer"),
        ({"type": "alertmanager", "url": "https://x.example", "labels": dict.fromkeys(map(str, range(41)), "")}, "at most 40"),
        ({"type": "webhook", "url": "https://x.example", "headers": {"X": "a" * 8193}}, "the value of X is longer"),
        ({"type": "webhook", "url": "https://x.example", "headers": dict.fromkeys(map(str, range(51)), "")}, "at most 50"),
        ({"type": "email", "host": "m", "sender": "a", "to": ["b@c.d"]}, "sender: 'a' is not a valid e-mail address"),
        ({"type": "email", "host": "m", "sender": "a@b.c", "to": []}, "to: expected 1 to 50"),
        ({"type": "email", "host": "m m", "sender": "a@b.c", "to": ["b@c.d"]}, "host: is not a valid host name"),
        ({**SETTINGS["email"], "type": "email", "security": "none"}, "password: is not sent without TLS"),
        ({**SETTINGS["email"], "type": "email", "security": "ssl"}, "Invalid enum value"),
        ({**SETTINGS["email"], "type": "email", "password": None}, "username: belongs to a password"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused_by_their_member(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableError, match=re.escape(reason)) as caught:
        table.read(settings)
    assert "s3cret" not in str(caught.value)
