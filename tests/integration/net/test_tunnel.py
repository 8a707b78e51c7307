"""Through the operator's proxy: the worker looks up and judges, the proxy is asked for an address and is not trusted."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.net.way import recorder
from tests.support.descriptors import open_descriptors
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.servers.proxy import HTTPProxy, SOCKS5Proxy
from tests.support.servers.tcp import Listener, blackhole, closed_port
from tests.support.waiting import until
from worker.egress.proxy import Proxy
from worker.egress.rules import parse_glob
from worker.net.door import Door, Endpoint, TLSSettings
from worker.net.failure import DoorError
from worker.net.recorder import Recorder
from worker.outcome.failure import Failure, FailureCode
from worker.secret import Secret

NAME = "www.example.org"
ADDRESSED = dns.zone({NAME: {"A": ["127.0.0.1"]}, "proxy.example.net": {"A": ["127.0.0.1"]}})
AnyProxy = HTTPProxy | SOCKS5Proxy


def url(proxy: AnyProxy, *, scheme: str = "", login: str = "") -> Secret[str]:
    scheme = scheme or ("socks5" if isinstance(proxy, SOCKS5Proxy) else "http")
    return Secret(f"{scheme}://{login}{proxy.host}:{proxy.port}")


def through(proxy: AnyProxy, *servers: str, login: str = "", scheme: str = "", **options: Any) -> Door:
    """A door whose tests go through *proxy*."""
    of_proxy = {name: options.pop(name) for name in ("bypass", "hands_over_names", "verify") if name in options}
    parsed = replace(Proxy.parse(url(proxy, scheme=scheme, login=login)), **of_proxy)
    return loopback_door(*servers, proxy=parsed, **options)


async def greeting(
    door: Door, host: str, port: int, *, tls: TLSSettings | None = None, seen: Recorder | None = None
) -> bytes:
    """Connect and say hello; what the target greets with, and said hello must arrive."""
    endpoint = Endpoint(host=host, port=port, tls=tls)
    stream = await door.open(endpoint, seen or recorder())
    try:
        stream.write(b"hello")
        return await asyncio.wait_for(stream.receive(), 5)
    finally:
        stream.close()


async def failure(door: Door, host: str = "127.0.0.1", port: int = 443, *, seen: Recorder | None = None) -> Failure:
    with pytest.raises(DoorError) as caught:
        await greeting(door, host, port, seen=seen)
    return caught.value.failure


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_the_worker_looks_up_and_the_proxy_is_asked_for_the_address(kind: type[AnyProxy]) -> None:
    seen = recorder()
    async with DNSServer(ADDRESSED) as server, Listener(greeting=b"welcome") as target, kind() as proxy:
        assert await greeting(through(proxy, server.address), NAME, target.port, seen=seen) == b"welcome"
        await until(lambda: target.received == b"hello")
        assert proxy.asked == [("127.0.0.1", target.port)]
        assert [name for name, _, _ in server.asked] == [NAME]
    assert list(seen.phases) == ["dns", "proxy"]
    assert (str(seen.address), seen.port, seen.server) == ("127.0.0.1", target.port, server.address)
    assert [(one.address, one.error) for one in seen.attempts] == [("127.0.0.1", None)]


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_ipv6_addresses_are_asked_for_as_such(kind: type[AnyProxy]) -> None:
    async with Listener(host="::1", greeting=b"six") as target, kind() as proxy:
        assert await greeting(through(proxy), "::1", target.port) == b"six"
        assert proxy.asked == [("::1", target.port)]


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_the_targets_tls_goes_through_with_its_own_name(
    kind: type[AnyProxy], ca_file: Path, server_tls: ssl.SSLContext
) -> None:
    seen = recorder()
    async with (
        DNSServer(ADDRESSED) as server,
        Listener(tls=server_tls, greeting=b"secure") as target,
        kind() as proxy,
    ):
        door = through(proxy, server.address, ca_files=[ca_file])
        assert await greeting(door, NAME, target.port, tls=TLSSettings(server_name=NAME), seen=seen) == b"secure"
        assert target.server_names == [NAME]
        assert proxy.asked == [("127.0.0.1", target.port)]
    assert list(seen.phases) == ["dns", "proxy", "ssl"]


async def test_tls_to_the_proxy_and_tls_to_the_target_are_two(
    ca_file: Path, server_tls: ssl.SSLContext, proxy_tls: ssl.SSLContext
) -> None:
    async with Listener(tls=server_tls, greeting=b"twice") as target, HTTPProxy(tls=proxy_tls) as proxy:
        door = through(proxy, scheme="https", ca_files=[ca_file])
        assert await greeting(door, "127.0.0.1", target.port, tls=TLSSettings(server_name=NAME)) == b"twice"
        async with Listener(greeting=b"once") as plain:
            assert await greeting(door, "127.0.0.1", plain.port) == b"once"


async def test_the_proxys_certificate_is_checked_unless_its_errors_are_ignored(
    ca_file: Path, server_tls: ssl.SSLContext, proxy_tls: ssl.SSLContext
) -> None:
    async with Listener(tls=server_tls, greeting=b"x") as target, HTTPProxy(tls=proxy_tls) as proxy:
        refused = await failure(through(proxy, scheme="https"), "127.0.0.1", target.port)
        assert refused.code is FailureCode.TUNNEL
        assert f"the proxy https://127.0.0.1:{proxy.port}" in refused.message
        assert "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" in refused.message
        lenient = through(proxy, scheme="https", verify=False)
        async with Listener(greeting=b"fine") as plain:
            assert await greeting(lenient, "127.0.0.1", plain.port) == b"fine"


async def test_proxy_ignore_ssl_errors_is_not_about_targets(
    server_tls: ssl.SSLContext, proxy_tls: ssl.SSLContext
) -> None:
    async with Listener(tls=server_tls) as target, HTTPProxy(tls=proxy_tls) as proxy:
        lenient = through(proxy, scheme="https", verify=False)
        with pytest.raises(DoorError) as caught:
            await greeting(lenient, "127.0.0.1", target.port, tls=TLSSettings(server_name=NAME))
        assert caught.value.failure.code is FailureCode.SSL
        await until(lambda: proxy.open == 0)


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_credentials_are_shown_to_the_proxy_and_to_nobody_else(kind: type[AnyProxy]) -> None:
    async with Listener(greeting=b"in") as target, kind(credentials=("ops", "p@ss/w:rd")) as proxy:
        assert await greeting(through(proxy, login="ops:p%40ss%2Fw%3Ard@"), "127.0.0.1", target.port) == b"in"
        for login in ("", "ops:wrong@"):
            refused = await failure(through(proxy, login=login), "127.0.0.1", target.port)
            assert refused.code is FailureCode.TUNNEL
            assert f"{proxy.host}:{proxy.port}" in refused.message
            assert "wrong" not in refused.message
            assert "ops" not in refused.message
        await until(lambda: target.open == 0)
        assert (target.accepted, target.received) == (1, b"hello")


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_the_proxy_may_look_names_up_when_the_operator_says_so(kind: type[AnyProxy]) -> None:
    seen = recorder()
    async with (
        DNSServer(ADDRESSED) as server,
        Listener(greeting=b"hi") as target,
        kind(names={NAME: "127.0.0.1"}) as proxy,
    ):
        door = through(proxy, server.address, hands_over_names=True, deny_names=("denied.example.org",), allow=())
        assert await greeting(door, NAME, target.port, seen=seen) == b"hi"
        assert proxy.asked == [(NAME, target.port)]
        for denied in ("denied.example.org", "127.0.0.1"):  # names are judged still, and so are addresses
            assert (await failure(door, denied, target.port)).code is FailureCode.DENIED
        assert (len(proxy.asked), server.asked) == (1, [])
    assert list(seen.phases) == ["proxy"]


@pytest.mark.parametrize("hands_over_names", [True, False])
async def test_what_the_policy_denies_is_not_asked_of_the_proxy(hands_over_names: bool) -> None:
    async with DNSServer(dns.zone({NAME: {"A": ["10.0.0.1"]}})) as server, HTTPProxy() as proxy:
        door = through(proxy, server.address, hands_over_names=hands_over_names)
        for host in ("10.0.0.1", "0x0a000001", *([] if hands_over_names else [NAME])):
            assert (await failure(door, host)).code is FailureCode.DENIED
        assert proxy.accepted == 0


async def test_hosts_on_the_bypass_list_are_reached_directly() -> None:
    seen = recorder()
    async with DNSServer(ADDRESSED) as server, Listener(greeting=b"direct") as target, HTTPProxy() as proxy:
        door = through(proxy, server.address, bypass=(parse_glob("*.example.org"), parse_glob("127.0.0.9")))
        assert await greeting(door, NAME.upper(), target.port, seen=seen) == b"direct"
        assert proxy.accepted == 0
    assert list(seen.phases) == ["dns", "tcp"]


async def test_the_proxys_own_name_is_looked_up_and_not_judged() -> None:
    seen = recorder()
    async with (
        DNSServer(ADDRESSED) as server,
        Listener(host="127.0.0.2", greeting=b"ok") as target,
        HTTPProxy() as proxy,
    ):
        named = Proxy.parse(Secret(f"http://proxy.example.net:{proxy.port}"))
        door = loopback_door(server.address, proxy=named, allow=("127.0.0.2/32",), deny_names=("proxy.example.net",))
        assert await greeting(door, "127.0.0.2", target.port, seen=seen) == b"ok"
    assert [name for name, _, _ in server.asked] == ["proxy.example.net"]
    assert (list(seen.phases), seen.server) == (["proxy"], None)


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_the_next_address_is_tried_when_the_proxy_cannot_reach_one(kind: type[AnyProxy]) -> None:
    seen = recorder()
    behaviour = dns.zone({NAME: {"A": ["127.0.0.3", "127.0.0.1"]}})
    async with DNSServer(behaviour) as server, Listener(greeting=b"second") as target, kind() as proxy:
        assert await greeting(through(proxy, server.address), NAME, target.port, seen=seen) == b"second"
        assert [host for host, _ in proxy.asked] == ["127.0.0.3", "127.0.0.1"]
    assert [one.error is None for one in seen.attempts] == [False, True]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("403 Forbidden", "port 443 only"),
        ("407 Proxy Authentication Required", "credentials"),
        ("502 Bad Gateway", "could not reach the target"),
        ("418 I'm a teapot", "418 I'm a teapot"),
        ("500 \x1b[31mred\x07" + "x" * 500, "500 ?[31mred?xxx"),
    ],
)
async def test_a_refused_tunnel_says_what_the_proxy_said(status: str, words: str) -> None:
    async with HTTPProxy(statuses={443: status}) as proxy:
        refused = await failure(through(proxy))
    assert refused.code is FailureCode.TUNNEL
    assert refused.message.startswith(f"the proxy http://127.0.0.1:{proxy.port} ")
    assert words in refused.message
    assert len(refused.message) < 250


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (1, FailureCode.TUNNEL), (2, FailureCode.TUNNEL), (3, FailureCode.NETUNREACH), (4, FailureCode.HOSTUNREACH),
        (5, FailureCode.CONNREFUSED), (6, FailureCode.HOSTUNREACH), (7, FailureCode.TUNNEL), (8, FailureCode.TUNNEL),
        (99, FailureCode.TUNNEL),
    ],
)  # fmt: skip
async def test_a_socks_reply_is_a_failure_of_its_kind(reply: int, code: FailureCode) -> None:
    async with SOCKS5Proxy(reply={"127.0.0.1": reply}) as proxy:
        refused = await failure(through(proxy))
    assert refused.code is code
    assert f"the proxy socks5://127.0.0.1:{proxy.port} " in refused.message


async def test_interim_answers_are_skipped_and_bounded() -> None:
    async with Listener(greeting=b"yes") as target:
        async with HTTPProxy(interim=b"HTTP/1.1 100 Continue\r\n\r\n" * 2) as patient:
            assert await greeting(through(patient), "127.0.0.1", target.port) == b"yes"
        async with HTTPProxy(interim=b"HTTP/1.1 100 Continue\r\n\r\n" * 20) as endless:
            assert (await failure(through(endless), "127.0.0.1", target.port)).code is FailureCode.TUNNEL


LIES = {
    "not HTTP": (HTTPProxy, b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "an endless head": (HTTPProxy, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000),
    "an endless line": (HTTPProxy, b"HTTP/1.1 200 " + b"x" * 1_000_000),
    "a status of four digits": (HTTPProxy, b"HTTP/1.1 2000 OK\r\n\r\n"),
    "HTTP/2": (HTTPProxy, b"HTTP/2 200\r\n\r\n"),
    "not SOCKS": (SOCKS5Proxy, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "SOCKS4": (SOCKS5Proxy, b"\x04\x5a\0\0\0\0\0\0"),
    "no method": (SOCKS5Proxy, b"\5\xff"),
    "a password nobody offered": (SOCKS5Proxy, b"\5\2"),
    "another version later": (SOCKS5Proxy, b"\5\0\4\0\0\1\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_proxy_that_is_none_is_named(lie: str) -> None:
    kind, said = LIES[lie]
    async with kind(instead=said) as proxy:
        refused = await failure(through(proxy))
        await until(lambda: proxy.open == 0)
    assert refused.code is FailureCode.TUNNEL
    assert f"127.0.0.1:{proxy.port}" in refused.message


@pytest.mark.parametrize("said", [b"", b"H", b"HTTP/1.1 200 OK\r\n", b"\5", b"\5\0", b"\5\0\5\0\0\1"])
async def test_a_proxy_that_hangs_up_is_named(said: bytes) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for scheme in ("http", "socks5"):
            refused = await failure(loopback_door(proxy=Proxy.parse(Secret(f"{scheme}://127.0.0.1:{port}"))))
            assert refused.code is FailureCode.TUNNEL
            assert f"the proxy {scheme}://127.0.0.1:{port}" in refused.message


async def test_the_end_of_a_connection_is_its_next_owners_to_see() -> None:
    """A proxy that opens the tunnel and hangs up in one breath."""

    async def open_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nbye")
        writer.close()

    async with await asyncio.start_server(open_and_close, "127.0.0.1", 0) as server:
        proxy = Proxy.parse(Secret(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        stream = await loopback_door(proxy=proxy).open(Endpoint(host="127.0.0.1", port=80), recorder())
        assert [await stream.receive(), await stream.receive()] == [b"bye", b""]
        stream.close()


async def test_a_proxy_that_is_not_there_is_named_and_not_the_target() -> None:
    port = closed_port()
    seen = recorder()
    refused = await failure(loopback_door(proxy=Proxy.parse(Secret(f"http://ops:secret@127.0.0.1:{port}"))), seen=seen)
    assert refused.code is FailureCode.TUNNEL
    assert f"the proxy http://127.0.0.1:{port} cannot be reached" in refused.message
    assert "secret" not in refused.message


async def test_a_proxy_whose_name_does_not_exist_is_named() -> None:
    async with DNSServer(dns.zone({})) as server:
        proxy = Proxy.parse(Secret("http://proxy.example.net:3128"))
        refused = await failure(loopback_door(server.address, proxy=proxy))
    assert refused.code is FailureCode.TUNNEL
    assert "proxy.example.net:3128" in refused.message
    assert "ENOTFOUND" in refused.message


async def test_words_before_the_targets_tls_are_refused(ca_file: Path) -> None:
    """A target that speaks first cannot be a TLS server; without TLS its greeting may come along with the proxy's answer."""
    both = b"HTTP/1.1 200 OK\r\n\r\n220 hello"
    async with HTTPProxy(instead=both) as proxy:
        with pytest.raises(DoorError) as caught:
            await greeting(through(proxy), "127.0.0.1", 443, tls=TLSSettings(server_name=NAME))
        assert caught.value.failure.code is FailureCode.SSL
        assert "does not seem to speak TLS" in caught.value.failure.message
        assert await greeting(through(proxy), "127.0.0.1", 25) == b"220 hello"


async def test_a_failed_target_handshake_is_the_targets_failure(server_tls: ssl.SSLContext) -> None:
    async with Listener(tls=server_tls) as target, HTTPProxy() as proxy:
        with pytest.raises(DoorError) as caught:
            await greeting(through(proxy), "127.0.0.1", target.port, tls=TLSSettings(server_name=NAME))
        assert caught.value.failure.code is FailureCode.SSL
        await until(lambda: proxy.open == 0)


# Cancellation


async def cancelled(start: Callable[[Recorder], Any], ready: Callable[[], object], latest: str) -> None:
    before, seen = open_descriptors(), recorder()
    task = asyncio.create_task(start(seen))
    await until(ready)
    await asyncio.sleep(0.02)
    assert (task.done(), seen.latest) == (False, latest)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    await until(lambda: open_descriptors() <= before)
    assert seen.running is None


async def test_cancelled_while_connecting_to_the_proxy() -> None:
    with blackhole() as port:
        door = loopback_door(proxy=Proxy.parse(Secret(f"http://127.0.0.1:{port}")))
        await cancelled(lambda seen: greeting(door, "127.0.0.1", 443, seen=seen), lambda: True, "proxy")


@pytest.mark.parametrize("kind", [HTTPProxy, SOCKS5Proxy])
async def test_cancelled_while_waiting_for_the_proxys_answer(kind: type[AnyProxy]) -> None:
    async with kind(silent=True) as proxy:
        door = through(proxy)
        await cancelled(lambda seen: greeting(door, "127.0.0.1", 443, seen=seen), lambda: proxy.open == 1, "proxy")
        await until(lambda: proxy.open == 0)


async def test_cancelled_during_the_handshake_with_the_proxy() -> None:
    async with Listener() as silent:
        door = loopback_door(proxy=Proxy.parse(Secret(f"https://127.0.0.1:{silent.port}")))
        await cancelled(lambda seen: greeting(door, "127.0.0.1", 443, seen=seen), lambda: silent.received, "proxy")
        await until(lambda: silent.open == 0)


@pytest.mark.parametrize("secured", [True, False])
async def test_cancelled_during_the_handshake_with_the_target(
    secured: bool, ca_file: Path, proxy_tls: ssl.SSLContext
) -> None:
    async with AsyncExitStack() as stack:
        silent = await stack.enter_async_context(Listener())
        proxy = await stack.enter_async_context(HTTPProxy(tls=proxy_tls if secured else None))
        door = through(proxy, scheme="https" if secured else "http", ca_files=[ca_file])
        tls = TLSSettings(server_name=NAME)
        before = open_descriptors()
        await cancelled(
            lambda seen: greeting(door, "127.0.0.1", silent.port, tls=tls, seen=seen), lambda: silent.received, "ssl"
        )
        await until(lambda: silent.open == 0 and proxy.open == 0)
        await until(lambda: open_descriptors() <= before)
