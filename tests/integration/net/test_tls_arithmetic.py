"""Handshakes whose arithmetic a server made large: they succeed, beside the loop; ordinary ones stay on it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from tests.integration.net.way import recorder
from tests.support.dh import write_group
from tests.support.peers import peer
from tests.support.policy import policy_of
from tests.support.servers.elsewhere import elsewhere
from tests.support.servers.tcp import Listener
from worker.net.aside import Aside
from worker.net.deadline import Deadline
from worker.net.dns.resolver import Resolver
from worker.net.door import Door, Endpoint, TLSSettings
from worker.net.recorder import Recorder
from worker.net.tls import SecureStream
from worker.net.trust import TrustStore

NAME = "www.example.org"
DHE = "DHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0"


def door() -> Door:
    return Door(policy=policy_of(allow=["127.0.0.1/32"]), resolver=Resolver(()), trust=TrustStore())


async def opened(through: Door, port: int, seen: Recorder | None = None) -> SecureStream:
    endpoint = Endpoint(host="127.0.0.1", port=port, tls=TLSSettings(server_name=NAME, verify=False))
    stream = await through.open(endpoint, seen or recorder(60))
    assert isinstance(stream, SecureStream)
    return stream


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads in which something was computed, each time."""
    threads: list[str] = []
    run = Aside.run

    async def watched(self: Aside, work: object, seen: Recorder) -> object:
        def named() -> object:
            threads.append(threading.current_thread().name)
            return work()  # type: ignore[operator]

        return await run(self, named, seen)

    monkeypatch.setattr(Aside, "run", watched)
    return threads


@contextlib.asynccontextmanager
async def openssl(
    leaf: trustme.LeafCert, path: Path, *options: str
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """OpenSSL's own test server, which can do what Python's `ssl` cannot."""
    leaf.private_key_and_cert_chain_pem.write_to_path(str(path))
    server = await asyncio.create_subprocess_exec(
        *(peer("openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", str(path), "-key", str(path), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        assert server.stdout is not None
        while not (line := await asyncio.wait_for(server.stdout.readline(), 30)).startswith(b"ACCEPT"):
            assert line, "openssl has ended"
        yield int(line.rpartition(b":")[2]), server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.communicate()


@pytest.mark.parametrize(("bits", "beside"), [(1279, False), (4253, True)])
async def test_a_server_of_dhe_only_is_reached(
    bits: int, beside: bool, tmp_path: Path, aside: list[str], authority: trustme.CA
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME, key_type=trustme.KeyType.RSA).configure_cert(tls)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers(DHE)
    tls.load_dh_params(str(write_group(tmp_path / "group.pem", bits)))
    async with elsewhere(Listener(tls=tls, greeting=b"hello")) as target:
        stream = await opened(door(), target.port)
        assert (stream.session.version(), await stream.receive()) == ("TLSv1.2", b"hello")
        stream.close()
    assert set(aside) == ({"aside_0"} if beside else set())


async def test_an_ordinary_handshake_stays_on_the_loop(server_tls: ssl.SSLContext, aside: list[str]) -> None:
    async with elsewhere(Listener(tls=server_tls)) as target:
        (await opened(door(), target.port)).close()
    assert aside == []


async def test_a_large_group_of_tls_1_3_is_computed_beside_the_loop(
    authority: trustme.CA, tmp_path: Path, aside: list[str]
) -> None:
    options = ("-tls1_3", "-groups", "ffdhe8192")
    async with openssl(authority.issue_cert(NAME), tmp_path / "server.pem", *options) as (port, _):
        stream = await opened(door(), port)
        assert stream.session.version() == "TLSv1.3"
        stream.close()
    assert set(aside) == {"aside_0"}


async def test_a_server_that_wants_to_negotiate_again_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    leaf = authority.issue_cert(NAME)
    async with openssl(leaf, tmp_path / "server.pem", "-tls1_2") as (port, server):
        assert server.stdin is not None
        assert server.stdout is not None
        stream = await opened(door(), port)
        server.stdin.write(b"R\n")
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            assert await asyncio.wait_for(stream.receive(), 30) == b""
        said = b""
        while b"no renegotiation" not in said:
            said += await asyncio.wait_for(server.stdout.readline(), 30)
        stream.close()


async def test_waiting_for_others_is_at_the_workers_expense() -> None:
    """A queue before the thread must not become a time-out of the one that waits in it."""
    aside, clock = Aside(), recorder()._clock
    release = threading.Event()
    held = asyncio.create_task(aside.run(release.wait, recorder(60)))
    deadline = Deadline(clock, 0.5)
    seen = Recorder(clock, deadline)
    seen.start("ssl")

    async def wait() -> str:
        async with deadline.limit():
            return await aside.run(lambda: "done", seen)

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.7)
    release.set()
    assert (await waiting, await held) == ("done", True)
    seen.stop()
    assert seen.phases["ssl"] < 400_000_000


async def test_who_gives_up_is_not_held_by_what_runs() -> None:
    aside = Aside()
    release = threading.Event()
    begun = threading.Event()

    def grind() -> None:
        begun.set()
        release.wait(30)

    try:
        running = asyncio.create_task(aside.run(grind, recorder()))
        await asyncio.to_thread(begun.wait, 30)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 5)
    finally:
        release.set()


async def test_what_a_handshake_raises_aside_is_raised_here() -> None:
    def refuse() -> None:
        raise ssl.SSLError("refused")

    with pytest.raises(ssl.SSLError, match="refused"):
        await Aside().run(refuse, recorder())
