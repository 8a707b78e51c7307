"""What a worker says of an exchange that came to nothing: who is at fault, and what cures it; against real TLS and proxies."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web
from aiohttp.client_reqrep import ConnectionKey

from tests.integration.intake.clients import client_of, pull
from tests.support.servers.controlplane import ProtocolServer, protocol_server
from tests.support.servers.proxy import HTTPProxy
from worker.egress.proxy import Proxy
from worker.intake.transport import IntakeError, Peer
from worker.intake.trouble import of_exchange_error
from worker.net.trust import TrustStore
from worker.secret import Secret

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)


@asynccontextmanager
async def tls_server(certificate: trustme.LeafCert) -> AsyncIterator[str]:
    """The URL of a server that shakes hands with *certificate* and answers nothing of ours."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def complaint(peer: Peer) -> str:
    with pytest.raises(IntakeError) as caught:
        async with client_of(ProtocolServer(), peer=peer) as intake:
            await intake.pull(pull())
    assert "hunter2" not in caught.value.reason
    return caught.value.reason


def fine(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1")


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1", not_before=NOW - 2 * HOUR, not_after=NOW - HOUR)


def early(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1", not_before=NOW + HOUR, not_after=NOW + 2 * HOUR)


def misnamed(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("intake.test")


@pytest.mark.parametrize(
    ("issue", "trusted", "name", "cure"),
    [
        (expired, True, "CERT_HAS_EXPIRED", "renewed"),
        (early, True, "CERT_NOT_YET_VALID", "this machine's clock"),
        (misnamed, True, "IP_ADDRESS_MISMATCH", "under a name that its certificate bears"),
        (fine, False, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "caFile"),
    ],
)
async def test_each_fault_of_a_certificate_has_its_own_cure(
    issue: Callable[[trustme.CA], trustme.LeafCert], trusted: bool, name: str, cure: str
) -> None:
    authority = trustme.CA()
    with authority.cert_pem.tempfile() as path:
        trust = TrustStore([Path(path)] if trusted else [])
        async with tls_server(issue(authority)) as url:
            text = await complaint(Peer(url=url, tls=trust.context(verify=True)))
    assert name in text
    assert cure in text
    assert ("caFile" in text) == (not trusted)


async def test_a_server_without_tls_is_said_to_speak_none() -> None:
    async with protocol_server() as server:
        text = await complaint(Peer(url=server.url.replace("http:", "https:"), tls=TrustStore().context(verify=True)))
    assert "does not seem to speak TLS" in text


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_login_is_named_with_the_option(scheme: str) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with HTTPProxy(instead=answer) as relay:
        proxy = Proxy.parse(Secret(f"http://user:hunter2@127.0.0.1:{relay.port}"))
        text = await complaint(Peer(url=f"{scheme}://intake.test:1", proxy=proxy))
    assert f"the proxy http://127.0.0.1:{relay.port} asks for credentials" in text
    assert "option proxy" in text


async def test_a_proxy_that_forbids_the_tunnel_is_named() -> None:
    async with HTTPProxy(instead=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as relay:
        proxy = Proxy.parse(Secret(f"http://127.0.0.1:{relay.port}"))
        text = await complaint(Peer(url="https://intake.test:1", proxy=proxy))
    assert text == (
        f"the proxy http://127.0.0.1:{relay.port} does not allow CONNECT to intake.test:1, HTTP 403: its rules must allow that"
    )


async def test_a_proxy_that_nobody_listens_at_is_named() -> None:
    proxy = Proxy.parse(Secret("http://user:hunter2@127.0.0.1:1"))
    text = await complaint(Peer(url="https://intake.test", proxy=proxy))
    assert text.startswith("the proxy http://127.0.0.1:1 cannot be reached: ")


@pytest.mark.parametrize(
    ("host", "blamed"), [("proxy.test", "the proxy http://proxy.test:3128"), ("intake.test", "intake.test")]
)
def test_the_name_that_cannot_be_resolved_is_the_one_that_is_named(host: str, blamed: str) -> None:
    port = 3128 if host == "proxy.test" else 443
    key = ConnectionKey(host, port, False, True, None, None, None)
    error = aiohttp.ClientConnectorDNSError(key, OSError("no such name"))
    proxy = Proxy.parse(Secret("http://user:hunter2@proxy.test:3128"))
    assert of_exchange_error(error, "intake.test", proxy).startswith(f"the name of {blamed} cannot be resolved")
