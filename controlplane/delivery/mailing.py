"""The SMTP sender: one mail over one connection to an address that the policy allows, with TLS before anything is said.

aiosmtplib speaks the protocol over a socket that is connected here, so that it looks nothing up and dials nothing by itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Final

import aiosmtplib

from controlplane.alerts.channels.mail import EmailChannel, MailSecurity
from controlplane.alerts.channels.post import Reception, TakenReply
from controlplane.delivery.sending import failed, reason_text
from worker.clock import Clock
from worker.egress.hosts import Address
from worker.net.deadline import Deadline
from worker.net.dial import compare_peer
from worker.net.door import Door
from worker.net.failure import DoorError
from worker.net.recorder import Recorder

MAIL_SECONDS: Final = 30.0
"""For a whole session: a server may look the sender up before it answers (RFC 5321 §4.5.3.2 would let it take minutes)."""
GOODBYE_SECONDS: Final = 2.0
_FOR_GOOD: Final = frozenset({501, 550, 551, 552, 553, 554})
"""Replies about the message or its recipients; a 5xx to a login is the operator's to mend."""


class MailSender:
    """Sends mails, each over a connection of its own."""

    def __init__(self, door: Door, clock: Clock, ca_files: Iterable[Path]) -> None:
        self._door = door
        self._clock = clock
        self._ca_files = tuple(ca_files)
        self._context: ssl.SSLContext | None = None

    async def send(self, channel: EmailChannel, mail: EmailMessage) -> TakenReply:
        """Send *mail*; how it was received. Bounded by `MAIL_SECONDS`."""
        try:
            async with asyncio.timeout(MAIL_SECONDS):
                return await self._session(channel, mail)
        except TimeoutError:
            return failed(f"TIMEOUT: {channel.host} took longer than {MAIL_SECONDS:g} s")
        except DoorError as error:
            return failed(f"{error.failure.code.value}: {error.failure.message}")
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _answered(error.recipients[0].code, error.recipients[0].message)
        except aiosmtplib.SMTPResponseException as error:
            return _answered(error.code, error.message)
        except (OSError, aiosmtplib.SMTPException) as error:
            return failed(f"{channel.host}: {error.__cause__ or error}")

    async def _session(self, channel: EmailChannel, mail: EmailMessage) -> TakenReply:
        context = None if channel.security is MailSecurity.NONE else await self._tls()
        implicit = channel.security is MailSecurity.TLS
        sock = await self._connected(channel.host, channel.usual_port)
        host = channel.host.strip("[]")
        client = aiosmtplib.SMTP(
            hostname=host,
            sock=sock,
            use_tls=implicit,
            start_tls=False,
            tls_context=context if implicit else None,
            timeout=MAIL_SECONDS,
            local_hostname="localhost.localdomain",
        )
        try:
            await client.connect()
            if channel.security is MailSecurity.STARTTLS:
                await client.starttls(server_hostname=host, tls_context=context)
            if channel.password is not None:
                await client.login(channel.username, channel.password.reveal())
            sender = parseaddr(channel.sender)[1]
            refused, _ = await client.send_message(
                mail, sender=sender, recipients=[parseaddr(to)[1] for to in channel.to]
            )
            await _leave(client)
            return TakenReply(reception=Reception.TAKEN, reason=_partly(refused))
        finally:
            if isinstance(client.transport, asyncio.WriteTransport):
                client.transport.abort()  # TLS would wait for the server's own goodbye
            sock.close()

    async def _connected(self, host: str, port: int) -> socket.socket:
        """A socket to the first address of *host* that may be dialled and answers. Raises DoorError and OSError."""
        recorder = Recorder(self._clock, Deadline(self._clock, MAIL_SECONDS))
        addresses = await self._door.addresses(host, recorder)
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(MAIL_SECONDS / len(addresses)):
                    return await _dialled(address, port)
            except OSError:  # TimeoutError is one
                continue
        return await _dialled(addresses[-1], port)

    async def _tls(self) -> ssl.SSLContext:
        """The authorities, read once and in a thread: that takes some 20 ms. Raises OSError."""
        if self._context is None:
            self._context = await asyncio.to_thread(_context, self._ca_files)
        return self._context


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye. The mail is taken, whatever comes of that."""
    with suppress(OSError, aiosmtplib.SMTPException):  # TimeoutError is an OSError
        async with asyncio.timeout(GOODBYE_SECONDS):
            await client.quit()


def _context(ca_files: tuple[Path, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for path in ca_files:
        context.load_verify_locations(path)
    return context


async def _dialled(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003  # the standard library's signature
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        compare_peer(sock, address, port)
    except BaseException:
        sock.close()
        raise
    return sock


def _answered(code: int, message: str) -> TakenReply:
    reception = Reception.REFUSED if code in _FOR_GOOD else Reception.RETRY
    return TakenReply(reception=reception, reason=reason_text(f"SMTP {code}: {message}"))


def _partly(refused: dict[str, aiosmtplib.SMTPResponse]) -> str:
    """The recipients that were refused while others were not: the mail is on its way, and is not sent again."""
    return reason_text("; ".join(f"{to} was refused: {reply.code} {reply.message}" for to, reply in refused.items()))
