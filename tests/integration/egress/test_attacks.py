"""No attack vector gets through, by any prober and any way to name a target, and what is allowed does get through.

Twice: here on loopback, and in a network namespace where every address of both families is the machine's own, so that a
connection to any private or metadata address would arrive and be counted. There the same vectors are tried with everything
allowed as well: each that names a reachable address arrives, so it is the policy alone that stops it.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address, ip_network

import pytest

from tests.integration.egress.listeners import Listeners
from tests.integration.egress.siege import HOST_WAYS, POLICIES, REDIRECTOR, Run, besiege, ways_of, zone
from tests.support.peers import missing
from tests.support.servers.dns import DNSServer
from tests.support.servers.door import nameservers, trust_store
from tests.support.servers.proxy import HTTPProxy, SOCKS5Proxy
from tests.vectors.egress import DENIED, INVALID, Vector, vectors
from worker.egress.hosts import Address, Name
from worker.egress.proxy import Proxy, ProxyScheme
from worker.net.dns.resolver import Resolver
from worker.net.door import Door
from worker.net.recorder import Recorder

VECTORS = tuple(vectors())
ATTACKS = tuple(vector for vector in VECTORS if vector.reaches != "public")
LOOPBACK = ("127.0.0.1", "127.0.0.2", "127.127.127.127", "127.255.255.254", "::1")

UNSHARE, IP = shutil.which("unshare") or "", shutil.which("ip") or ""
EVERYWHERE = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo"
"""In a namespace of its own: every address is this machine."""

UNCONNECTABLE = tuple(map(ip_network, ("224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8")))
"""Where the kernel opens no TCP connection, whatever the policy says: multicast, broadcast, link-local without a zone."""


class WatchedDoor(Door):
    """Would fail the test rather than send anything off this machine."""

    async def _judged(self, host: Address | Name, recorder: Recorder) -> list[Address]:
        addresses = await super()._judged(host, recorder)
        assert all(address.is_loopback for address in addresses), f"the policy let {host} through to {addresses}"
        return addresses


def watched_door(server: DNSServer, policy: str, proxy: Proxy | None = None) -> Door:
    resolver = Resolver(nameservers([server.address]), ipv6=True)
    return WatchedDoor(policy=POLICIES[policy], resolver=resolver, trust=trust_store(()), proxy=proxy)


def wrong(runs: Sequence[Run]) -> list[str]:
    """What did not end as its vector says, or arrived where it must not."""
    return [
        f"{run.vector} by {run.way}: {run.code or 'passed'} instead of {run.vector.expected or 'passed'},"
        f" dialled {run.attempts}, reached {run.reached}"
        for run in runs
        if run.code != run.vector.expected or run.attempts or run.reached
    ]


def test_there_are_hundreds_of_different_vectors() -> None:
    different = {(vector.by, vector.target, vector.status) for vector in VECTORS}
    assert len(different) == len(VECTORS)
    assert len([vector for vector in VECTORS if vector.expected in {DENIED, INVALID}]) >= 400
    assert {way for vector in ATTACKS for way in ways_of(vector)} == set(HOST_WAYS)


@pytest.mark.asyncio(loop_factories=["asyncio"])  # in the namespace it is uvloop
@pytest.mark.parametrize("way", HOST_WAYS)
async def test_no_attack_reaches_a_listener_on_loopback(way: str) -> None:
    async with Listeners(LOOPBACK) as listeners, DNSServer(zone()) as server:
        runs = await besiege(watched_door(server, "default"), listeners, ATTACKS, [way])
    assert len(runs) > 300
    assert wrong(runs) == []


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize(
    ("scheme", "make"), [("http", HTTPProxy), pytest.param("socks5", SOCKS5Proxy, marks=pytest.mark.long)]
)
async def test_no_attack_is_asked_of_a_proxy(scheme: ProxyScheme, make: type[HTTPProxy | SOCKS5Proxy]) -> None:
    """The worker judges before it asks for a tunnel: the proxy, which could reach everything, only hears of the redirector."""
    async with Listeners(LOOPBACK) as listeners, DNSServer(zone()) as server, make() as proxy:
        through = Proxy(scheme=scheme, host=IPv4Address(proxy.host), port=proxy.port)
        door = watched_door(server, "default", through)
        runs = await besiege(door, listeners, ATTACKS, ["tcp", "http", "https", "redirect"])
    assert wrong(runs) == []
    assert {host for host, _ in proxy.asked} == {REDIRECTOR}


async def test_the_listeners_count_what_arrives() -> None:
    """The control of the test above: with loopback allowed, the vectors that name it arrive."""
    async with Listeners(LOOPBACK) as listeners, DNSServer(zone()) as server:
        door = watched_door(server, "open")
        aimed = [vector for vector in ATTACKS if vector.reaches in LOOPBACK and vector.by in {"host", "name"}]
        runs = await besiege(door, listeners, aimed, HOST_WAYS)
    assert len(aimed) > 80
    assert [f"{run.vector} by {run.way}" for run in runs if run.vector.reaches not in run.reached] == []


@functools.cache
def in_a_namespace(policy: str, *ways: str) -> tuple[Run, ...]:
    """The siege as a child process in a network of its own. Skips the test where that is not permitted."""
    if not UNSHARE or not IP:
        missing("unshare and ip are needed for a network namespace")
    if subprocess.run([UNSHARE, "-rn", "sh", "-c", EVERYWHERE], capture_output=True).returncode:
        missing("network namespaces are not permitted here")
    command = [UNSHARE, "-rn", "sh", "-c", f'{EVERYWHERE} && exec "$@"', "sh"]
    command += [sys.executable, "-m", "tests.integration.egress.siege", policy, *ways]
    done = subprocess.run(command, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    read = [json.loads(line) for line in done.stdout.splitlines()]
    return tuple(
        Run(
            vector=Vector(**run["vector"]),
            way=run["way"],
            code=run["code"],
            message=run["message"],
            attempts=tuple(run["attempts"]),
            reached=tuple(run["reached"]),
        )
        for run in read
    )


@pytest.mark.parametrize("way", HOST_WAYS)
def test_no_attack_reaches_any_address_at_all(way: str) -> None:
    runs = [run for run in in_a_namespace("default", *HOST_WAYS) if run.way == way and run.vector.reaches != "public"]
    assert len(runs) > 300
    assert wrong(runs) == []


@pytest.mark.parametrize("way", HOST_WAYS)
def test_what_is_allowed_is_reached(way: str) -> None:
    runs = [run for run in in_a_namespace("default", *HOST_WAYS) if run.way == way and run.vector.reaches == "public"]
    assert len(runs) >= 30
    assert [str(run.vector) for run in runs if not run.reached or run.code in {DENIED, INVALID}] == []


def test_without_the_policy_each_attack_would_arrive() -> None:
    arrives = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    aimed = [run for run in in_a_namespace("open", "tcp") if run.vector.reaches not in {"", "public"}]
    missed = []
    for run in aimed:
        address = ip_address(arrives.get(run.vector.reaches, run.vector.reaches))
        if not any(address in network for network in UNCONNECTABLE) and str(address) not in run.reached:
            missed.append(f"{run.vector}: {run.code} {run.message}, reached {run.reached}")
    assert len(aimed) > 200
    assert missed == []


def test_a_denial_by_name_does_not_tell_where_the_name_leads() -> None:
    denials = [run for run in in_a_namespace("default", *HOST_WAYS) if run.vector.by == "name"]
    assert len(denials) > 200
    for run in denials:
        assert "would allow it" in run.message
        said = run.message.replace(run.vector.target, "").replace(run.vector.target.lower().removesuffix("."), "")
        inside = {run.vector.reaches, *(text for records in run.vector.records.values() for text in records)} - {""}
        told = [text for text in inside if re.search(rf"(?<![0-9a-f.:]){re.escape(text)}(?![0-9a-f.:/])", said)]
        assert told == [], run.message
