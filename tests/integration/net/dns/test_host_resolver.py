"""`dnsUseHost`: the machine's own resolver, with files of the test in place of /etc/resolv.conf and /etc/hosts.

They are put there by bind mounts in a mount namespace of a child process, so the look-up is the one that really happens.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import REQUIRED
from tests.support.servers import dns
from tests.support.servers.dns import DNSServer
from tests.support.waiting import until

UNSHARE = shutil.which("unshare") or ""


def may_unshare() -> bool:
    return bool(UNSHARE) and subprocess.run([UNSHARE, "-rm", "true"], capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.asyncio(loop_factories=["asyncio"]),  # the child runs uvloop, as the worker does
    pytest.mark.skipif(not REQUIRED and not may_unshare(), reason="mount namespaces are not permitted here"),
]

NAME = "www.example.org"
HONEST = dns.zone({NAME: {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]}})


class Machine:
    """A machine whose resolver asks *server*; *hosts* are lines of its /etc/hosts."""

    def __init__(self, folder: Path, server: DNSServer, *lines: str, hosts: str = "") -> None:
        self.resolv_conf = folder / "resolv.conf"
        # c-ares reads a port in resolv.conf when the address is in brackets
        self.resolv_conf.write_text("\n".join([f"nameserver [{server.host}]:{server.port}", *lines, ""]))
        self.hosts = folder / "hosts"
        self.hosts.write_text(hosts)

    async def start(self, **asked: Any) -> asyncio.subprocess.Process:
        mounts = f"mount --bind {self.resolv_conf} /etc/resolv.conf && mount --bind {self.hosts} /etc/hosts && exec "
        command = f'{mounts} "$0" -m tests.integration.net.dns.host_look_up "$1"'
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            UNSHARE, "-rm", "sh", "-c", command, sys.executable, json.dumps(asked), stdin=pipe, stdout=pipe
        )

    async def look_up(self, *names: str, **asked: Any) -> list[dict[str, Any]]:
        process = await self.start(names=names, **asked)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        return [json.loads(line) for line in out.splitlines()][1:]


async def test_the_machines_resolver_comes_before_named_servers(tmp_path: Path) -> None:
    async with DNSServer(HONEST) as host, DNSServer(HONEST) as named:
        (found,) = await Machine(tmp_path, host).look_up(NAME, servers=[named.address])
    assert found == {"addresses": ["192.0.2.1", "192.0.2.2"], "server": None}
    assert named.asked == []
    assert {kind for _, kind, _ in host.asked} == {"A"}


async def test_ipv6_addresses_follow_ipv4_addresses_when_enabled(tmp_path: Path) -> None:
    async with DNSServer(HONEST) as host:
        (found,) = await Machine(tmp_path, host).look_up(NAME, ipv6=True)
    assert found["addresses"] == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]


async def test_search_domains_are_tried_for_names_without_a_last_dot(tmp_path: Path) -> None:
    async with DNSServer(HONEST) as host:
        relative, absolute = await Machine(tmp_path, host, "search example.org").look_up("www", "www.")
    assert relative["addresses"] == ["192.0.2.1", "192.0.2.2"]
    assert "(ENOTFOUND)" in absolute["message"]


async def test_the_hosts_file_answers_without_anybody_being_asked(tmp_path: Path) -> None:
    async with DNSServer(dns.zone({})) as host:
        machine = Machine(tmp_path, host, hosts="192.0.2.9 billing.internal billing\n127.0.0.1 localhost\n")
        full, short, itself = await machine.look_up("billing.internal", "billing", "localhost")
    assert (full["addresses"], short["addresses"], itself["addresses"]) == (["192.0.2.9"], ["192.0.2.9"], ["127.0.0.1"])
    assert host.asked == []


async def test_its_word_that_a_name_does_not_exist_is_final(tmp_path: Path) -> None:
    async with DNSServer(dns.zone({})) as host, DNSServer(HONEST) as named:
        (found,) = await Machine(tmp_path, host).look_up(NAME, servers=[named.address])
    assert "(ENOTFOUND)" in found["message"]
    assert named.asked == []


@pytest.mark.parametrize("trouble", [dns.silent, dns.refusing("SERVFAIL")], ids=["silent", "SERVFAIL"])
async def test_a_named_server_is_asked_when_it_is_in_trouble(trouble: dns.Behaviour, tmp_path: Path) -> None:
    async with DNSServer(trouble) as host, DNSServer(HONEST) as named:
        (found,) = await Machine(tmp_path, host).look_up(NAME, servers=[named.address], seconds=1.0)
    assert found == {"addresses": ["192.0.2.1", "192.0.2.2"], "server": named.address}


async def test_a_time_out_names_its_servers_those_that_were_named_and_the_cure(tmp_path: Path) -> None:
    async with DNSServer(dns.silent) as host, DNSServer(dns.silent) as named:
        machine = Machine(tmp_path, host, "nameserver 127.0.0.9")
        (both,) = await machine.look_up(NAME, servers=[named.address], seconds=0.6)
        (alone,) = await machine.look_up(NAME, seconds=0.3)
    assert all(part in both["message"] for part in ("(ETIMEOUT)", named.address, "dnsServer"))
    for message in (both["message"], alone["message"]):
        assert "this machine's resolver (127.0.0.9): no answer within" in message
        assert "dnsServer names other servers" in message
        assert "dnsUseHost" not in message  # is what was done


async def test_its_trouble_is_the_failure_when_no_server_is_named(tmp_path: Path) -> None:
    async with DNSServer(dns.refusing("SERVFAIL")) as host:
        (found,) = await Machine(tmp_path, host).look_up(NAME)
    assert (found["code"], "(ESERVFAIL)" in found["message"]) == ("DNS", True)
    assert "dnsServer" in found["message"]


async def test_a_name_without_addresses_is_known_as_such(tmp_path: Path) -> None:
    async with DNSServer(dns.zone({NAME: {}})) as host, DNSServer(HONEST) as named:
        (found,) = await Machine(tmp_path, host).look_up(NAME, servers=[named.address])
    assert "(ENODATA)" in found["message"]
    assert "enableIPv6" in found["message"]
    assert named.asked == []


async def test_nxdomain_for_one_family_does_not_hide_the_other(tmp_path: Path) -> None:
    nothing = dns.refusing("NXDOMAIN")
    async with DNSServer(lambda query: nothing(query) if query.record_type == "A" else HONEST(query)) as host:
        (found,) = await Machine(tmp_path, host).look_up(NAME, ipv6=True)
    assert found["addresses"] == ["2001:db8::1"]


async def test_a_cancelled_look_up_gives_its_channel_back(tmp_path: Path) -> None:
    async with DNSServer(dns.silent) as host:
        process = await Machine(tmp_path, host).start(names=[NAME], cancel=True)
        await until(lambda: host.asked)
        out, _ = await asyncio.wait_for(process.communicate(b"now\n"), 30)
    assert json.loads(out) == {"cancelled": True}
