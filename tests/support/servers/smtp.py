"""A real SMTP server on loopback (aiosmtpd), with TLS and one user, that keeps what it is sent."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "alerts", "s3cret"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMail:
    sender: str | None
    recipients: tuple[str, ...]
    mail: EmailMessage
    secure: bool
    login: bytes | None


@dataclass(slots=True)
class MailServer:
    """*refused* are replies by recipient; *answer* is that to the mail itself."""

    port: int = 0
    mails: list[ReceivedMail] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    answer: str = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(
                ReceivedMail(
                    sender=envelope.mail_from,
                    recipients=tuple(envelope.rcpt_tos),
                    mail=message_from_bytes(envelope.content, policy=policy.default),
                    secure=server.transport is not None and bool(server.transport.get_extra_info("sslcontext")),
                    login=session.auth_data,
                )
            )
        return self.answer


def _login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=known, handled=known, auth_data=data.login if known else None)


@asynccontextmanager
async def mail_server(context: ssl.SSLContext | None, *, implicit: bool = False) -> AsyncIterator[MailServer]:
    """Serve; with *context* a login over TLS is asked for, by STARTTLS or with *implicit* from the first octet on."""
    kept = MailServer()
    sessions: list[SMTP] = []
    starttls = context is not None and not implicit

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a login wants no STARTTLS, where TLS is there from the beginning
            session = SMTP(
                kept,
                hostname="mail.example",
                tls_context=context if starttls else None,
                require_starttls=starttls,
                authenticator=_login,
                auth_required=context is not None,
                auth_require_tls=starttls,
            )
        sessions.append(session)
        return session

    listening = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=context if implicit else None
    )
    kept.port = listening.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        listening.close()
        for session in sessions:
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()
        await asyncio.sleep(0)  # the loop closes a transport in its next turn
