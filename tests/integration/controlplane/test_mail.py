"""Alerts by e-mail, to aiosmtpd: STARTTLS and implicit TLS, a login, and servers that refuse, lie and never answer."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from controlplane.delivery import mailing
from tests.integration.controlplane.plane import Plane
from tests.support.alerts import Outbound, transition
from tests.support.servers.http import Server
from tests.support.servers.smtp import PASSWORD, USER, MailServer, mail_server

SENDER = "Alerts <alerts@cp.example>"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def outbound(plane: Plane, authority: trustme.CA, tmp_path: Path) -> Outbound:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return Outbound(plane.database, plane.clock, ca_files=[tmp_path / "ca.pem"])


def settings(server: MailServer, **changes: Any) -> dict[str, Any]:
    return {
        "type": "email",
        "host": "127.0.0.1",
        "port": server.port,
        "sender": SENDER,
        "to": ["ops@cp.example", "boss@cp.example"],
        "username": USER,
        "password": PASSWORD,
        **changes,
    }


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_is_sent_over_tls_by_a_user_who_logged_in(
    outbound: Outbound, context: ssl.SSLContext, security: str
) -> None:
    async with mail_server(context, implicit=security == "tls") as server:
        await outbound.add("email", **settings(server, security=security))
        (key,) = await outbound.queue(transition(), "email")
        await outbound.send()
    found = await outbound.state(key)
    assert (found.state, found.reason) == ("delivered", "")
    (got,) = server.mails
    assert (got.sender, got.recipients) == ("alerts@cp.example", ("ops@cp.example", "boss@cp.example"))
    assert (got.secure, got.login) == (True, USER.encode())
    assert got.mail["Subject"] == "[Triggered] Checkout"
    assert got.mail["X-Idempotency-Key"] == key
    assert "Checkout fails at Lab" in got.mail.get_content()


async def test_an_address_in_a_message_is_written_to_in_the_senders_domain_alone(
    outbound: Outbound, context: ssl.SSLContext
) -> None:
    async with mail_server(context) as server:
        await outbound.add("email", **settings(server))
        near, far = await outbound.queue(transition(), "me@cp.example", "victim@elsewhere.example")
        await outbound.send()
    assert [got.recipients for got in server.mails] == [("me@cp.example",)]
    assert (await outbound.state(near)).state == "delivered"
    refused = await outbound.state(far)
    assert refused.state == "failed"
    assert "does not write to addresses of elsewhere.example" in refused.reason


async def test_one_refused_recipient_keeps_the_mail_from_no_other(outbound: Outbound, context: ssl.SSLContext) -> None:
    async with mail_server(context) as server:
        server.refused["boss@cp.example"] = "550 no such user"
        await outbound.add("email", **settings(server))
        (key,) = await outbound.queue(transition(), "email")
        await outbound.send()
    assert [got.recipients for got in server.mails] == [("ops@cp.example",)]
    found = await outbound.state(key)
    assert (found.state, found.reason) == ("delivered", "boss@cp.example was refused: 550 no such user")


@pytest.mark.parametrize(
    ("answer", "state"), [("451 later, please", "queued"), ("554 this is spam", "failed"), ("535 who?", "queued")]
)
async def test_a_servers_reply_decides_about_another_attempt(
    outbound: Outbound, context: ssl.SSLContext, answer: str, state: str
) -> None:
    async with mail_server(context) as server:
        server.answer = answer
        await outbound.add("email", **settings(server))
        (key,) = await outbound.queue(transition(), "email")
        await outbound.send()
    found = await outbound.state(key)
    assert (found.state, found.reason) == (state, f"SMTP {answer[:3]}: {answer[4:]}")


async def test_a_wrong_password_is_the_operators_to_mend(outbound: Outbound, context: ssl.SSLContext) -> None:
    async with mail_server(context) as server:
        await outbound.add("email", **settings(server, password="wr0ng"))
        (key,) = await outbound.queue(transition(), "email")
        await outbound.send()
    found = await outbound.state(key)
    assert found.state == "queued"
    assert found.reason.startswith("SMTP 535")
    assert "wr0ng" not in found.reason
    assert server.mails == []


async def test_no_password_is_said_to_a_server_without_tls_or_with_an_unknown_certificate(
    outbound: Outbound, plane: Plane, context: ssl.SSLContext
) -> None:
    async with mail_server(None) as plain, mail_server(context) as server:
        await outbound.add("plain", **settings(plain))
        (first,) = await outbound.queue(transition(1), "plain")
        await outbound.send()
        stranger = Outbound(plane.database, plane.clock)
        await outbound.add("unknown", **settings(server))
        (second,) = await outbound.queue(transition(2), "unknown")
        await stranger.send()
    assert "STARTTLS" in (await outbound.state(first)).reason
    assert "CERTIFICATE_VERIFY_FAILED" in (await outbound.state(second)).reason
    assert plain.mails == server.mails == []


async def test_a_server_that_never_answers_costs_one_attempt(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(mailing, "MAIL_SECONDS", 0.3)
    async with Server(conversation=silent) as server:
        await outbound.add("email", **settings(MailServer(port=server.port)))
        (key,) = await outbound.queue(transition(), "email")
        await outbound.send()
    assert (await outbound.state(key)).state == "queued"


async def test_a_server_that_never_stops_is_cut_off(outbound: Outbound) -> None:
    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"220-" + b"x" * 65536)
            await writer.drain()

    async with Server(conversation=endless) as server:
        await outbound.add("email", **settings(MailServer(port=server.port)))
        (key,) = await outbound.queue(transition(), "email")
        await outbound.send()
    found = await outbound.state(key)
    assert found.state == "queued"
    assert len(found.reason) <= 500
