"""E-mail: the message in plain text, with a Message-ID that is the same at every attempt and a thread for each incident."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from enum import Enum

import msgspec

from controlplane.alerts.message import AlertMessage, body_text
from controlplane.errors import UnusableError
from worker.secret import Secret

MOST_RECIPIENTS = 50
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}|\[[0-9A-Fa-f:.]+\]")


class MailSecurity(Enum):
    """The way to TLS. NONE sends everything in the clear, and no password."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS = {MailSecurity.STARTTLS: 587, MailSecurity.TLS: 465, MailSecurity.NONE: 25}


class EmailChannel(
    msgspec.Struct, frozen=True, kw_only=True, tag="email", tag_field="type", forbid_unknown_fields=True
):
    """A submission server and who is written to. *sender* may have a name: `Alerts <alerts@example.com>`.

    *domains* are those of addresses that a test's message may name, beside the sender's: its author makes no relay of the server.
    """

    host: str
    sender: str
    to: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    security: MailSecurity = MailSecurity.STARTTLS
    port: int = 0
    """0 is the usual one of *security*: 587, 465 or 25."""
    username: str = ""
    password: Secret[str] | None = None

    @property
    def usual_port(self) -> int:
        return self.port or _PORTS[self.security]


def check(channel: EmailChannel) -> None:
    """Raise UnusableError for addresses, a host or credentials that cannot be used."""
    if not _HOST.fullmatch(channel.host):
        raise UnusableError("host: is not a valid host name")
    if not 0 <= channel.port <= 65535:
        raise UnusableError("port: is not a valid port")
    for member, text in (("sender", channel.sender), *(("to", each) for each in channel.to)):
        if not is_address(parseaddr(text)[1]) or not text.isprintable():
            raise UnusableError(f"{member}: {text[:100]!r} is not a valid e-mail address")
    if not 1 <= len(channel.to) <= MOST_RECIPIENTS:
        raise UnusableError(f"to: expected 1 to {MOST_RECIPIENTS} addresses")
    if channel.password is not None and channel.security is MailSecurity.NONE:
        raise UnusableError("password: is not sent without TLS; security must be starttls or tls")
    if (channel.password is None) is not (not channel.username):
        raise UnusableError("username: belongs to a password, and a password to it")


def is_address(text: str) -> bool:
    """Tell if *text* is an address that a submission server takes without extensions (RFC 5321 §4.1.2, ASCII)."""
    return _ADDRESS.fullmatch(text) is not None


def addressed(channel: EmailChannel, address: str) -> EmailChannel:
    """*channel*, writing to *address* alone. Raises UnusableError for one of a domain that it does not write to."""
    domain = address.rpartition("@")[2].lower()
    allowed = {parseaddr(channel.sender)[1].rpartition("@")[2].lower(), *(each.lower() for each in channel.domains)}
    if domain not in allowed:
        raise UnusableError(f"the channel does not write to addresses of {domain}; its domains may name it")
    return msgspec.structs.replace(channel, to=(address,))


def compose(channel: EmailChannel, message: AlertMessage, key: str) -> EmailMessage:
    """The mail that tells *message*, whose idempotency key is *key*."""
    domain = parseaddr(channel.sender)[1].partition("@")[2]
    thread = _message_id(f"incident {message.incident}", domain)
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = " ".join(message.title.split())
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at / 1000, UTC))
    mail["Message-ID"] = _message_id(key, domain)
    mail["References"] = thread
    mail["In-Reply-To"] = thread
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: nobody's absence is to answer it
    mail["X-Idempotency-Key"] = key
    mail.set_content(body_text(message) + "\n", cte="quoted-printable")
    return mail


def _message_id(of: str, domain: str) -> str:
    return f"<{hashlib.sha256(of.encode()).hexdigest()[:40]}@{domain}>"
