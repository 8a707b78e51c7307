"""The senders: one HTTP request or one mail goes out through the door, and how it was received comes back. It raises nothing.

Every address is judged by the control plane's own egress policy. No redirect is followed, and no reason repeats a receiver's URL.
"""

from __future__ import annotations

from typing import Final

from controlplane.alerts.channels.post import OutgoingPost, Reception, TakenReply, read_reply, shown_url
from controlplane.delivery.egress import AlertEgress
from controlplane.errors import UnusableError
from worker import __version__
from worker.clock import Clock
from worker.egress.policy import Policy
from worker.egress.rules import ALLOW_NAMES, ALLOW_RANGES, DENY_RANGES
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.http.client import Client
from worker.net.http.error import HTTPError
from worker.net.http.request import Request
from worker.net.http.response import HTTPLimits
from worker.net.http.url import parse
from worker.net.trust import TrustStore
from worker.text import cut, printable

ATTEMPT_SECONDS: Final = 15.0
"""From the look-up to the last byte of the reply: receivers say to answer at once and work afterwards."""
MAX_REPLY: Final = 64 * 1024
"""Bytes of a reply's body, and of its head: a receiver has a word to say."""
MAX_REASON: Final = 500
"""Characters of a reason, as it is stored and shown."""
_OURS: Final = "--alert-allow-range"


def open_door(egress: AlertEgress) -> Door:
    """The door to receivers, which takes some 20 ms to read the authorities. Raises UnusableError where that is not possible."""
    try:
        trust = TrustStore(egress.ca_files)
    except OSError as error:  # ssl.SSLError is one
        raise UnusableError(f"--alert-ca-file: cannot be read as certificates: {error.strerror or error}") from error
    return Door(policy=Policy.build(allow=egress.allow), resolver=Resolver((), use_host=True, ipv6=True), trust=trust)


class PostSender:
    """Sends requests, each on a connection of its own."""

    def __init__(self, door: Door, clock: Clock) -> None:
        limits = HTTPLimits(max_body_bytes=MAX_REPLY, max_head_bytes=MAX_REPLY)
        agent = (("User-Agent", f"open-private-location/{__version__}"), ("Accept-Encoding", "identity"))
        self._client = Client(door, clock, limits, agent)
        self._clock = clock

    async def send(self, post: OutgoingPost) -> TakenReply:
        """Send *post*; how it was received. Bounded by `ATTEMPT_SECONDS`."""
        headers = tuple((name, value.reveal()) for name, value in post.headers)
        request = Request(url=post.url.reveal(), method="POST", headers=headers, body=post.body)
        transfer = await self._client.send(request, ATTEMPT_SECONDS)
        if transfer.failure is not None:
            return failed(f"{transfer.failure.code.value}: {_without_url(post, transfer.failure.message)}")
        response = transfer.response
        assert response is not None
        return read_reply(response.status, response.body, response.header("retry-after"), self._clock.now())


def _without_url(post: OutgoingPost, message: str) -> str:
    """*message* with the origin alone in place of the URL, as the client writes that."""
    try:
        return message.replace(str(parse(post.url.reveal())), shown_url(post.url))
    except HTTPError:
        return "the URL cannot be used"


def failed(reason: str) -> TakenReply:
    """A delivery that did not come about, for *reason*, and is tried again."""
    return TakenReply(reception=Reception.RETRY, reason=reason_text(reason))


def reason_text(reason: str) -> str:
    """*reason* on one line, not too long, with the option that this program has where the door names the worker's."""
    for option in (*ALLOW_RANGES.values(), *DENY_RANGES.values(), ALLOW_NAMES):
        reason = reason.replace(option, _OURS)
    return cut(printable(reason), MAX_REASON)
