"""Proofs of hooks, each as its sender makes it, and the fields of what was sent. Pure: the moment and the secret are arguments.

`bearer`: the secret itself. `hmac-sha256`: GitHub's `X-Hub-Signature-256` over the body. `slack`: `X-Slack-Signature` over a
version, the time and the body, the time within five minutes. Headers that no signature covers say nothing here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec

from controlplane.errors import UnusableError

Verification = Literal["bearer", "hmac-sha256", "slack"]
HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-GitHub-Event",
    "X-Hub-Signature-256",
    "X-Slack-Request-Timestamp",
    "X-Slack-Signature",
)
"""Everything of a request's head that is looked at here."""
STALE_S: Final = 300
"""Seconds by which the time that Slack signs may differ from ours: its own advice."""
MOST_FIELDS: Final = 100
_FORM = "application/x-www-form-urlencoded"
_OLD_TOKEN = "token"  # noqa: S105 - the name of a field
"""Slack's first proof of itself, which it still sends: a secret that no template needs."""


class HookFault(StrEnum):
    """A reason why a proof does not hold."""

    WRONG = "wrong"
    STALE = "stale"


def check(
    verify: Verification, secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float
) -> HookFault | None:
    """Check the proof of a request; None where it holds."""
    if verify == "slack":
        return _check_slack(secret, headers, body, now_s)
    if verify == "bearer":
        kind, _, shown = headers.get("Authorization", "").partition(" ")
        holds = kind.lower() == "bearer" and _same(shown.strip(), secret)
    else:
        holds = _same(headers.get("X-Hub-Signature-256", ""), f"sha256={_mac(secret, body)}")
    return None if holds else HookFault.WRONG


def _check_slack(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> HookFault | None:
    written = headers.get("X-Slack-Request-Timestamp", "")
    if not (written.isascii() and written.isdecimal() and len(written) <= 12):
        return HookFault.WRONG
    signed = b"v0:" + written.encode() + b":" + body
    if not _same(headers.get("X-Slack-Signature", ""), f"v0={_mac(secret, signed)}"):
        return HookFault.WRONG
    return HookFault.STALE if abs(now_s - int(written)) > STALE_S else None


def _mac(secret: str, data: bytes) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def _same(shown: str, right: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), right.encode())


def is_signed(verify: Verification) -> bool:
    """Tell if the proof covers the body: then the same body is the same request."""
    return verify != "bearer"


def is_greeting(verify: Verification, headers: Mapping[str, str], fields: Mapping[str, Any]) -> bool:
    """Tell if this is how a sender tries a new hook: nothing is to be started."""
    if verify == "hmac-sha256":
        return headers.get("X-GitHub-Event") == "ping"
    return verify == "slack" and fields.get("ssl_check") == "1"


def fields(verify: Verification, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The fields that `trigger` stands for. Raises UnusableError for a body that has none."""
    form = headers.get("Content-Type", "").partition(";")[0].strip().lower() == _FORM
    try:
        text = body.decode()
        if verify == "slack":
            sent = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
            return {name: value for name, value in sent if name != _OLD_TOKEN}
        if form:
            text = dict(parse_qsl(text, max_num_fields=MOST_FIELDS)).get("payload", "")
        return msgspec.json.decode(text, type=dict[str, Any]) if text.strip() else {}
    except msgspec.ValidationError as error:
        raise UnusableError("the body is not a valid JSON object") from error
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise UnusableError(f"the body is not valid {'form data' if verify == 'slack' else 'JSON'}") from error
