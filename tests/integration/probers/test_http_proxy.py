"""A proxy of the test's own: judged like a target, asked for a judged address, and told no more than it must know."""

from __future__ import annotations

import ssl
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import loopback_door
from tests.support.servers.http import Seen, reply, serving
from tests.support.servers.proxy import HTTPProxy, SOCKS5Proxy
from tests.support.servers.squid import PASSWORD, USER, squid
from tests.support.servers.tcp import closed_port
from worker.apitest.authentication import OAuth
from worker.apitest.observation import Observation
from worker.apitest.protocols.http import HTTPRequest, ProxyServer
from worker.apitest.responses.http import HTTPResponse
from worker.clock import SystemClock
from worker.egress.proxy import Proxy
from worker.net.door import Door
from worker.net.http.response import HTTPLimits
from worker.outcome.failure import Failure, FailureCode
from worker.probers.http import probe
from worker.probers.limits import ProbeLimits
from worker.secret import Secret

LIMITS = ProbeLimits(http=HTTPLimits(max_body_bytes=100_000))
CANARY = "canary5ecret"


async def run(
    door: Door, url: str, proxy: str, headers: tuple[tuple[str, str], ...] = (), **members: Any
) -> Observation:
    server = ProxyServer(url=Secret(proxy), headers=headers)
    return await probe(HTTPRequest(url=url, proxy=server, **members), door, SystemClock(), LIMITS)


def at(proxy: HTTPProxy | SOCKS5Proxy, login: str = "", scheme: str = "http") -> str:
    return f"{scheme}://{login}{proxy.host}:{proxy.port}"


def body(observation: Observation) -> bytes:
    assert observation.failure is None, observation.failure
    assert isinstance(observation.response, HTTPResponse)
    return observation.response.body


def failure(observation: Observation) -> Failure:
    assert observation.failure is not None
    return observation.failure


async def test_a_request_goes_through_the_tests_proxy_with_its_login_and_headers(door: Door) -> None:
    headers = (("X-Tenant", CANARY),)
    async with serving(reply(b"in")) as target, HTTPProxy(credentials=("u", "p w")) as proxy:
        observation = await run(door, target.url(), at(proxy, "u:p%20w@"), headers)
        assert body(observation) == b"in"
    assert proxy.asked == [("127.0.0.1", target.port)]
    assert f"X-Tenant: {CANARY}\r\n" in proxy.heads[0]
    assert target.seen[0].header("X-Tenant") is None
    assert [name for name, _ in observation.timings.tenths] == ["proxy", "firstByte", "download"]
    assert observation.resolution is not None
    assert observation.resolution.port == target.port


async def test_an_authorization_of_the_proxys_headers_wins_over_the_url(door: Door) -> None:
    written = "Basic " + b64encode(b"u:p").decode()
    async with serving(reply(b"in")) as target, HTTPProxy(credentials=("u", "p")) as proxy:
        headers = (("Proxy-Authorization", written),)
        assert body(await run(door, target.url(), at(proxy, "u:wrong@"), headers)) == b"in"
    assert proxy.heads[0].count("Proxy-Authorization") == 1


async def test_tls_goes_through_end_to_end(door: Door, server_tls: ssl.SSLContext) -> None:
    async with serving(reply(b"safe"), tls=server_tls) as target, HTTPProxy() as proxy:
        observation = await run(door, target.url(), at(proxy))
        assert body(observation) == b"safe"
    assert [name for name, _ in observation.timings.tenths] == ["proxy", "ssl", "firstByte", "download"]


async def test_tls_to_the_proxy_is_checked_unless_the_test_allows_it(door: Door, server_tls: ssl.SSLContext) -> None:
    async with serving(reply(b"in")) as target, HTTPProxy(tls=server_tls) as proxy:
        assert body(await run(door, target.url(), at(proxy, scheme="https"))) == b"in"
        stranger = loopback_door()
        refused = failure(await run(stranger, target.url(), at(proxy, scheme="https")))
        assert refused.code is FailureCode.TUNNEL
        allowed = await run(stranger, target.url(), at(proxy, scheme="https"), allow_insecure=True)
        assert body(allowed) == b"in"


async def test_socks_is_spoken_as_well(door: Door) -> None:
    async with serving(reply(b"in")) as target, SOCKS5Proxy(credentials=("u", "p")) as proxy:
        assert body(await run(door, target.url(), at(proxy, "u:p@", "socks5"))) == b"in"
        refused = failure(await run(door, target.url(), at(proxy, "u:wrong@", "socks5")))
    assert (refused.code, "the test's proxy" in refused.message) == (FailureCode.TUNNEL, True)


async def test_the_policy_judges_the_proxy() -> None:
    async with serving(reply()) as target, HTTPProxy() as proxy:
        narrow = loopback_door(allow=("127.0.0.1/32",), deny_names=("proxy.test",))
        for url in ("http://u:p@10.0.0.1:3128", "http://u:p@127.0.0.2:3128", "http://u:p@proxy.test:3128"):
            refused = failure(await run(narrow, target.url(), url))
            assert refused.code is FailureCode.DENIED
            assert f"the proxy {url.replace('u:p@', '')}: the egress policy does not allow " in refused.message
    assert (proxy.accepted, target.connections) == (0, 0)


async def test_the_policy_judges_the_target_and_the_proxy_hears_nothing_of_a_denied_one() -> None:
    async with DNSServer(dns.zone({"inside.test": {"A": ["10.0.0.1"]}})) as server, HTTPProxy() as proxy:
        door = loopback_door(server.address, deny_names=("secret.test",))
        for url in ("http://10.0.0.1/", "http://inside.test/", "http://secret.test/"):
            assert failure(await run(door, url, at(proxy))).code is FailureCode.DENIED
    assert proxy.accepted == 0


async def test_the_worker_looks_up_target_and_proxy() -> None:
    names = dns.zone({"shop.test": {"A": ["127.0.0.1"]}, "proxy.test": {"A": ["127.0.0.1"]}})
    async with DNSServer(names) as server, serving(reply(b"in")) as target, HTTPProxy() as proxy:
        door = loopback_door(server.address)
        observation = await run(door, f"http://shop.test:{target.port}/", f"http://proxy.test:{proxy.port}")
        assert body(observation) == b"in"
    assert proxy.asked == [("127.0.0.1", target.port)]
    assert target.seen[0].header("Host") == f"shop.test:{target.port}"
    assert [name for name, _ in observation.timings.tenths] == ["dns", "proxy", "firstByte", "download"]


async def test_every_hop_and_the_token_request_go_through_it_and_each_is_judged(door: Door) -> None:
    async with serving(reply(b'{"access_token": "t"}')) as issuer, HTTPProxy() as proxy:

        def answer(seen: Seen) -> bytes:
            where = "/2" if seen.target == "/1" else "http://10.0.0.1/"
            return reply(status="302 Found", headers=(f"Location: {where}",))

        async with serving(answer) as target:
            auth = OAuth(token_url=issuer.url(), client_in="body", client_id="c", client_secret=Secret("s"))
            observation = await run(door, target.url("/1"), at(proxy), authentication=auth, follow_redirects=True)
    assert failure(observation).code is FailureCode.DENIED
    assert [port for _, port in proxy.asked] == [issuer.port, target.port, target.port]


async def test_the_operators_proxy_is_the_way_to_the_tests_proxy() -> None:
    async with serving(reply(b"in")) as target, HTTPProxy() as inner, HTTPProxy() as outer:
        door = loopback_door(proxy=Proxy.parse(Secret(at(outer))))
        assert body(await run(door, target.url(), at(inner))) == b"in"
        assert body(await run(door, target.url(), at(inner))) == b"in"
    assert outer.asked == [("127.0.0.1", inner.port)] * 2
    assert inner.asked == [("127.0.0.1", target.port)] * 2


async def test_no_name_is_handed_to_a_tests_proxy_whatever_the_operators_looks_up() -> None:
    names = dns.zone({"shop.test": {"A": ["127.0.0.1"]}})
    async with (
        DNSServer(names) as server,
        serving(reply(b"in")) as target,
        HTTPProxy() as inner,
        HTTPProxy(names={"proxy.test": "127.0.0.1"}) as outer,
    ):
        operators = replace(Proxy.parse(Secret(at(outer))), hands_over_names=True)
        door = loopback_door(server.address, proxy=operators)
        observation = await run(door, f"http://shop.test:{target.port}/", f"http://proxy.test:{inner.port}")
        assert body(observation) == b"in"
    assert outer.asked == [("proxy.test", inner.port)]
    assert inner.asked == [("127.0.0.1", target.port)]


@pytest.mark.parametrize(
    "instead", [b"SSH-2.0-x\r\n\r\n\r\n", b"HTTP/1.1 407 No\r\n\r\n", b"HTTP/1.1 200 " + b"x" * 20_000]
)
async def test_a_proxy_that_does_not_open_is_a_tunnel_failure_without_secrets(door: Door, instead: bytes) -> None:
    async with HTTPProxy(instead=instead) as proxy:
        headers = (("X-Key", CANARY),)
        refused = failure(await run(door, "http://127.0.0.1:9/", at(proxy, f"u:{CANARY}@"), headers, timeout=5))
    assert refused.code is FailureCode.TUNNEL
    assert CANARY not in refused.message


async def test_a_proxy_that_is_not_there_is_named(door: Door) -> None:
    port = closed_port()
    refused = failure(await run(door, "http://127.0.0.1:9/", f"http://127.0.0.1:{port}"))
    assert refused.code is FailureCode.TUNNEL
    assert f"the proxy http://127.0.0.1:{port} cannot be reached" in refused.message


async def test_a_silent_proxy_is_a_time_out(door: Door) -> None:
    async with HTTPProxy(silent=True) as proxy:
        refused = failure(await run(door, "http://127.0.0.1:9/", at(proxy), timeout=0.2))
    assert refused.code is FailureCode.TIMEOUT
    assert "the tunnel through the proxy" in refused.message


async def test_what_is_not_a_proxy_is_an_invalid_request(door: Door) -> None:
    assert failure(await run(door, "http://127.0.0.1:9/", "proxy.test:3128")).code is FailureCode.INVALID_REQUEST


async def test_squid_opens_for_its_user_and_for_no_other(door: Door, server_tls: ssl.SSLContext) -> None:
    async with squid() as port, serving(reply(b"safe"), tls=server_tls) as target, serving(reply(b"in")) as plain:
        user = f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"
        assert body(await run(door, target.url(), user)) == b"safe"
        assert body(await run(door, plain.url(), user)) == b"in"
        for login in ("", f"{USER}:wrong@"):
            refused = failure(await run(door, target.url(), f"http://{login}127.0.0.1:{port}"))
            assert refused.code is FailureCode.TUNNEL
            assert "wants other credentials than the test's proxy holds (407 " in refused.message
        forbidden = failure(await run(door, "http://127.0.0.1:9/", user))
        assert (forbidden.code, "does not allow it" in forbidden.message) == (FailureCode.TUNNEL, True)
    assert (len(target.seen), len(plain.seen)) == (1, 1)
