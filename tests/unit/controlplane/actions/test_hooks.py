"""Proofs of hooks by the examples that GitHub and Slack publish, and twins of them that must not hold."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.actions import hooks
from controlplane.actions.hooks import STALE_S, HookFault, Verification
from controlplane.errors import UnusableError

# docs.github.com, "Validating webhook deliveries", testing the webhook payload validation
GITHUB_SECRET = "It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}

# docs.slack.dev, "Verifying requests from Slack"
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_TIME = 1531420618
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK = {
    "X-Slack-Request-Timestamp": str(SLACK_TIME),
    "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}
BEARER_SECRET = "correct horse battery"
BEARER = {"Authorization": f"Bearer {BEARER_SECRET}"}

GOOD: dict[Verification, tuple[str, dict[str, str], bytes]] = {
    "hmac-sha256": (GITHUB_SECRET, GITHUB, GITHUB_BODY),
    "slack": (SLACK_SECRET, SLACK, SLACK_BODY),
    "bearer": (BEARER_SECRET, BEARER, b"{}"),
}


@pytest.mark.parametrize("verify", GOOD)
def test_the_published_example_holds(verify: Verification) -> None:
    secret, headers, body = GOOD[verify]
    assert hooks.check(verify, secret, headers, body, now_s=SLACK_TIME) is None


@pytest.mark.parametrize("verify", GOOD)
@pytest.mark.parametrize(
    "twin",
    ["secret", "nothing", "empty", "shorter", "prefix", "digit", "other proof"],
)
def test_a_twin_does_not(verify: Verification, twin: str) -> None:
    secret, headers, body = GOOD[verify]
    name = {"hmac-sha256": "X-Hub-Signature-256", "slack": "X-Slack-Signature", "bearer": "Authorization"}[verify]
    right = headers[name]
    wrong = {
        "secret": headers,
        "nothing": {key: value for key, value in headers.items() if key != name},
        "empty": headers | {name: ""},
        "shorter": headers | {name: right[:-1]},
        "prefix": headers | {name: right.replace("sha256=", "sha1=").replace("v0=", "v1=").replace("Bearer", "Basic")},
        "digit": headers | {name: right[:-1] + ("0" if right[-1] != "0" else "1")},
        "other proof": headers | {name: "é\udc80"},
    }[twin]
    used = secret + "x" if twin == "secret" else secret
    assert hooks.check(verify, used, wrong, body, now_s=SLACK_TIME) is HookFault.WRONG


@pytest.mark.parametrize("verify", ["hmac-sha256", "slack"])
def test_another_body_does_not_hold(verify: Verification) -> None:
    secret, headers, body = GOOD[verify]
    assert hooks.check(verify, secret, headers, body + b"&", now_s=SLACK_TIME) is HookFault.WRONG


@pytest.mark.parametrize(
    ("away", "fault"),
    [(0, None), (STALE_S, None), (-STALE_S, None), (STALE_S + 1, HookFault.STALE), (-STALE_S - 1, HookFault.STALE)],
)
def test_what_slack_signed_long_ago_or_ahead_is_stale(away: int, fault: HookFault | None) -> None:
    assert hooks.check("slack", SLACK_SECRET, SLACK, SLACK_BODY, now_s=SLACK_TIME + away) is fault


@pytest.mark.parametrize("time", ["", "1531420619", "-1", "1e9", "٣", "1" * 40])
def test_another_time_does_not_hold(time: str) -> None:
    headers = SLACK | {"X-Slack-Request-Timestamp": time}
    assert hooks.check("slack", SLACK_SECRET, headers, SLACK_BODY, now_s=SLACK_TIME) is HookFault.WRONG


def test_the_fields_of_slack_are_those_of_its_form_without_its_old_token() -> None:
    found = hooks.fields("slack", SLACK, SLACK_BODY)
    assert found["command"] == "/webhook-collect"
    assert found["text"] == ""
    assert "token" not in found


@pytest.mark.parametrize(
    ("headers", "body", "fields"),
    [
        ({}, b"", {}),
        ({}, b'{"ref": "main"}', {"ref": "main"}),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"payload=%7B%22a%22%3A1%7D", {"a": 1}),
    ],
)
def test_the_fields_of_others_are_their_json(headers: dict[str, str], body: bytes, fields: dict[str, Any]) -> None:
    assert hooks.fields("hmac-sha256", headers, body) == fields


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b"NaN", b'{"a": "\\ud800"}', b'{"a": NaN}']
)
def test_what_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableError):
        hooks.fields("bearer", {}, body)


def test_a_senders_first_greeting_starts_nothing() -> None:
    assert hooks.is_greeting("hmac-sha256", {"X-GitHub-Event": "ping"}, {})
    assert hooks.is_greeting("slack", {}, {"ssl_check": "1"})
    assert not hooks.is_greeting("bearer", {"X-GitHub-Event": "ping"}, {"ssl_check": "1"})
