"""A whole request as a control plane received it, checked in one call: head and body, in the order of docs/protocol.md."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from worker.secret import Secret
from worker.wire import signing
from worker.wire.signing import Claim, ReceivedHead, VerifiedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest(ReceivedHead):
    """A head and the *body* that came after it."""

    body: bytes


def verify_request(
    claim: Claim, secret: Secret[str], received: ReceivedRequest, *, hosts: Collection[str], now: datetime
) -> VerifiedRequest:
    """Check head and body; raises as `signing.verify_head` and `signing.verify_body` do."""
    verified = signing.verify_head(claim, secret, received, hosts=hosts, now=now)
    signing.verify_body(verified, received.body)
    return verified
