"""A claimed notification told to its channel: the words for it, the request or the mail, and how that was received.

The door is opened for the first one: a control plane without alerts has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from controlplane.alerts.channels import mail, table
from controlplane.alerts.channels.mail import EmailChannel
from controlplane.alerts.channels.post import Reception, TakenReply
from controlplane.alerts.message import AlertMessage
from controlplane.alerts.transitions import Transition
from controlplane.alerts.wording import words
from controlplane.delivery.egress import AlertEgress
from controlplane.errors import UnusableError
from controlplane.store.channels import StoredChannel
from controlplane.store.notifications import ClaimedNotification
from worker.clock import Clock

if TYPE_CHECKING:
    from controlplane.delivery.mailing import MailSender
    from controlplane.delivery.sending import PostSender


class ChannelTeller:
    """Tells channels. *link* is the URL at which people see a transition, empty where there is none."""

    def __init__(self, egress: AlertEgress, clock: Clock, link: Callable[[Transition], str]) -> None:
        self._egress = egress
        self._clock = clock
        self._link = link
        self._posts: PostSender | None = None
        self._mails: MailSender | None = None
        self._opening = asyncio.Lock()

    async def tell(self, claimed: ClaimedNotification, stored: StoredChannel) -> TakenReply:
        """Tell *stored* of *claimed*. Raises nothing that a receiver or a channel's settings could cause."""
        message = words(claimed.transition, _outcome(claimed), link=self._link(claimed.transition))
        try:
            if isinstance(stored.channel, EmailChannel):
                return await self._mail(stored.channel, claimed, message)
            made = table.post(stored.channel, message, claimed.key, round(self._clock.now().timestamp()))
            return await (await self._post_sender()).send(made)
        except UnusableError as error:
            return TakenReply(reception=Reception.REFUSED, reason=str(error))

    async def _mail(self, channel: EmailChannel, claimed: ClaimedNotification, message: AlertMessage) -> TakenReply:
        if mail.is_address(claimed.address):
            channel = mail.addressed(channel, claimed.address)
        return await (await self._mail_sender()).send(channel, mail.compose(channel, message, claimed.key))

    async def _post_sender(self) -> PostSender:
        async with self._opening:
            if self._posts is None:
                self._posts = await asyncio.to_thread(_posts, self._egress, self._clock)
            return self._posts

    async def _mail_sender(self) -> MailSender:
        async with self._opening:
            if self._mails is None:
                self._mails = await asyncio.to_thread(_mails, self._egress, self._clock)
            return self._mails


def _posts(egress: AlertEgress, clock: Clock) -> PostSender:
    """Imported in a thread: an HTTP client, which few need, takes a while to import."""
    from controlplane.delivery.sending import PostSender, open_door  # noqa: PLC0415 - as above

    return PostSender(open_door(egress), clock)


def _mails(egress: AlertEgress, clock: Clock) -> MailSender:
    """Imported in a thread, as `_posts` is."""
    from controlplane.delivery.mailing import MailSender  # noqa: PLC0415 - an SMTP client that few need
    from controlplane.delivery.sending import open_door  # noqa: PLC0415 - as above

    return MailSender(open_door(egress), clock, egress.ca_files)


def _outcome(claimed: ClaimedNotification) -> dict[str, Any] | None:
    if claimed.outcome is None:
        return None
    found = orjson.loads(claimed.outcome)
    return found if isinstance(found, dict) else None
