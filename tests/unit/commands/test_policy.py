"""`policy`: hosts looked up as a test would, denied names not at all, and the exit code that a script wants."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest

from tests.support.policy import policy_of
from tests.support.servers.dns import DNSServer, Query, Reaction, zone
from worker.clock import SystemClock
from worker.commands.policy import policy
from worker.egress.nameserver import Nameserver
from worker.net.dns.resolver import Resolver

ZONE = zone({"both.example": {"A": ["192.0.2.1", "93.184.215.14"]}, "inside.example": {"A": ["10.1.2.3"]}})


async def outcome(*hosts: str, as_json: bool = True) -> tuple[int, list[str], list[str], list[str]]:
    """Exit code, what was shown, complaints, and the names that were asked for."""
    asked: list[str] = []

    def behave(query: Query) -> Reaction:
        asked.append(query.name)
        return ZONE(query)

    shown: list[str] = []
    complaints: list[str] = []
    judge = policy_of(deny_names=["*.denied.example"])
    async with DNSServer(behave) as server:
        resolver = Resolver([Nameserver(ip_address("127.0.0.1"), server.port)])
        code = await policy(
            hosts, judge, resolver, SystemClock(), as_json=as_json, show=shown.append, complain=complaints.append
        )
    return code, shown, complaints, asked


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        (["8.8.8.8"], 0),
        (["both.example", "8.8.8.8"], 0),
        (["10.1.2.3"], 1),
        (["8.8.8.8", "inside.example"], 1),
        (["absent.example"], 1),
        (["no host"], 1),
    ],
)
async def test_the_exit_code_says_whether_tests_may_reach_all_of_them(hosts: list[str], code: int) -> None:
    assert (await outcome(*hosts))[0] == code


async def test_every_address_of_a_name_is_judged() -> None:
    _, (shown,), _, asked = await outcome("both.example")
    explained = json.loads(shown)
    assert asked == ["both.example"]
    assert [(row["subject"], row["allowed"]) for row in explained["rows"]] == [
        ("name", True),
        ("192.0.2.1", False),
        ("93.184.215.14", True),
    ]
    assert explained["reachable"]


async def test_a_denied_name_is_never_looked_up() -> None:
    code, (shown,), complaints, asked = await outcome("a.denied.example")
    assert (code, complaints, asked) == (1, [], [])
    assert not json.loads(shown)["looked_up"]


async def test_a_number_is_read_as_the_door_reads_it() -> None:
    _, (shown,), _, asked = await outcome("0x7f.1")
    assert (json.loads(shown)["host"], asked) == ("127.0.0.1", [])


async def test_a_failed_look_up_is_a_complaint_and_the_others_go_on() -> None:
    code, shown, (complaint,), _ = await outcome("absent.example", "8.8.8.8", as_json=False)
    assert code == 1
    assert complaint.startswith("absent.example: ")
    assert shown[0].startswith("absent.example: no address was found")
    assert shown[1].startswith("8.8.8.8: tests may reach it")
