"""One question to one real server: time-outs that are exact, TCP after truncation, and answers that are none."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address

import pytest

from tests.integration.net.way import CLOCK, recorder
from tests.support.descriptors import open_descriptors
from tests.support.servers import dns
from tests.support.servers.closing import turns
from tests.support.servers.dns import DNSServer, Query
from tests.support.waiting import until
from worker.egress.nameserver import Nameserver
from worker.net.dns.query import MAX_FOREIGN, NoReplyError, ask
from worker.net.dns.wire import DNSReply, Question, encode_name

NAME = "www.example.org"
ASKED = Question(NAME, "A")
HONEST = dns.zone({NAME: {"A": ["192.0.2.1"], "TXT": ['"' + "x" * 250 + '"' for _ in range(1)]}})
MANY = dns.zone({NAME: {"A": [f"192.0.2.{number}" for number in range(1, 201)]}})


async def asked(server: Nameserver, question: Question, seconds: float) -> DNSReply:
    return (await ask(server, question, seconds, recorder())).reply


def at(server: DNSServer) -> Nameserver:
    return Nameserver(ip_address(server.host), server.port)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answer_arrives_over_udp(host: str) -> None:
    async with DNSServer(HONEST, host=host) as server:
        reply = await asked(at(server), ASKED, 2.0)
    assert (reply.records, reply.rcode) == (("192.0.2.1",), "NOERROR")
    assert server.asked == [(NAME, "A", "udp")]


async def test_a_truncated_answer_is_fetched_over_tcp() -> None:
    async with DNSServer(dns.truncated(MANY)) as server:
        reply = await asked(at(server), ASKED, 2.0)
    assert len(reply.records) == 200
    assert [transport for _, _, transport in server.asked] == ["udp", "tcp"]


async def test_tcp_is_read_one_octet_at_a_time_if_need_be() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        reaction = helper.react(query, "tcp")
        framed = len(reaction.payloads[0]).to_bytes(2, "big") + reaction.payloads[0]
        for octet in framed:
            writer.write(bytes((octet,)))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    helper = DNSServer(HONEST)
    async with DNSServer(dns.truncated(HONEST)) as server:
        server._tcp.close()  # a dripping server takes the port over
        async with await asyncio.start_server(drip, "127.0.0.1", server.port):
            reply = await asked(at(server), ASKED, 2.0)
    assert reply.records == ("192.0.2.1",)


@pytest.mark.parametrize("behaviour", [dns.silent, dns.truncated(dns.silent)], ids=["udp", "tcp"])
async def test_the_time_out_is_exact(behaviour: dns.Behaviour) -> None:
    async with DNSServer(behaviour) as server:
        began = CLOCK.monotonic_ns()
        with pytest.raises(NoReplyError) as caught:
            await asked(at(server), ASKED, 0.2)
    assert caught.value.code == "ETIMEOUT"
    assert 0.195 <= (CLOCK.monotonic_ns() - began) / 1e9 < 0.5  # loops count in milliseconds


async def test_an_answer_just_before_the_time_out_is_taken() -> None:
    async with DNSServer(dns.delayed(0.1, HONEST)) as server:
        assert (await asked(at(server), ASKED, 1.0)).records == ("192.0.2.1",)


async def test_a_port_where_nothing_listens_is_told_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    began = CLOCK.monotonic_ns()
    with pytest.raises(NoReplyError) as caught:
        await asked(Nameserver(ip_address("127.0.0.1"), port), ASKED, 5.0)
    assert caught.value.code == "ECONNREFUSED"
    assert CLOCK.monotonic_ns() - began < 1e9


def wrong_id(query: Query) -> bytes:
    wire = HONEST(query).payloads[0]
    return bytes((wire[0] ^ 0xFF,)) + wire[1:]


def wrong_question(query: Query) -> bytes:
    return HONEST(query).payloads[0].replace(b"\3www", b"\3wwx")


def the_query_itself(query: Query) -> bytes:
    return query.message.to_wire()


@pytest.mark.parametrize("lie", [wrong_id, wrong_question, the_query_itself])
async def test_what_does_not_answer_the_question_is_waited_out(lie: Callable[[Query], bytes]) -> None:
    async with DNSServer(dns.preceded_by([lie] * 3, HONEST)) as server:
        assert (await asked(at(server), ASKED, 2.0)).records == ("192.0.2.1",)


async def test_an_answer_from_another_address_is_never_seen() -> None:
    async with DNSServer(dns.from_elsewhere(HONEST)) as server:
        with pytest.raises(NoReplyError) as caught:
            await asked(at(server), ASKED, 0.2)
    assert caught.value.code == "ETIMEOUT"


async def test_a_flood_of_lies_ends_the_exchange() -> None:
    async with DNSServer(dns.raw(*[wrong_id] * (MAX_FOREIGN + 10))) as server:
        with pytest.raises(NoReplyError) as caught:
            await asked(at(server), ASKED, 5.0)
    assert caught.value.code == "EBADRESP"


def pointer_loop(query: Query) -> bytes:
    wire = query.message.to_wire()
    answers_one = wire[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + wire[12:]
    return answers_one + struct.pack("!H", 0xC000 | len(wire)) + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1"


def a_thousand_records(query: Query) -> bytes:
    wire = query.message.to_wire()
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\0\0\1"
    return wire[:2] + b"\x81\x80\0\1" + struct.pack("!HHH", 1000, 0, 0) + wire[12:] + record * 1000


def cname_loop(query: Query) -> bytes:
    wire = query.message.to_wire()
    target = encode_name(NAME)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, len(target)) + target
    return wire[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + wire[12:] + record


@pytest.mark.parametrize("hostile", [pointer_loop, a_thousand_records, cname_loop])
async def test_a_hostile_answer_is_a_bad_one(hostile: Callable[[Query], bytes]) -> None:
    async with DNSServer(dns.raw(hostile)) as server:
        with pytest.raises(NoReplyError) as caught:
            await asked(at(server), ASKED, 5.0)
    assert caught.value.code == "EBADRESP"


@pytest.mark.parametrize(
    ("over_tcp", "code"),
    [
        pytest.param(dns.hanging_up, "ECONNREFUSED", id="hangs up"),
        pytest.param(dns.raw(wrong_id), "EBADRESP", id="another id"),
        pytest.param(dns.raw(lambda _: b"\0" * 65_000), "EBADRESP", id="64 kB of nothing"),
        pytest.param(dns.truncated_always, "EBADRESP", id="truncated again"),
    ],
)
async def test_trouble_over_tcp_has_a_name(over_tcp: dns.Behaviour, code: str) -> None:
    async with DNSServer(dns.by_transport(udp=dns.truncated_always, tcp=over_tcp)) as server:
        with pytest.raises(NoReplyError) as caught:
            await asked(at(server), ASKED, 2.0)
    assert caught.value.code == code
    assert str(caught.value).startswith("the answer over UDP was truncated, and over TCP")


async def test_a_truncated_answer_whose_retry_is_refused_says_so() -> None:
    async with DNSServer(dns.truncated_always) as server:
        server._tcp.close()
        with pytest.raises(NoReplyError) as caught:
            await asked(at(server), ASKED, 2.0)
    assert caught.value.code == "ECONNREFUSED"
    for words in ("truncated", "TCP", "firewall", "nothing listens there"):
        assert words in str(caught.value)


async def test_a_truncated_answer_whose_retry_is_never_answered_says_so() -> None:
    async with DNSServer(dns.truncated(dns.silent)) as server:
        with pytest.raises(NoReplyError, match="truncated, and over TCP") as caught:
            await asked(at(server), ASKED, 0.2)
    assert (caught.value.code, "no answer within 0.2 s" in str(caught.value)) == ("ETIMEOUT", True)


@pytest.mark.parametrize(
    "behaviour", [dns.silent, dns.truncated(dns.silent)], ids=["waiting for udp", "waiting for tcp"]
)
async def test_a_cancelled_question_closes_its_socket(behaviour: dns.Behaviour) -> None:
    async with DNSServer(behaviour) as server:
        before = open_descriptors()
        task = asyncio.create_task(asked(at(server), ASKED, 30.0))
        await until(lambda: len(server.asked) == (1 if behaviour is dns.silent else 2))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.forget_connections()
        await turns()
        assert open_descriptors() == before


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("8.8.8.8", 53, "8.8.8.8"),
        ("8.8.8.8", 5353, "8.8.8.8:5353"),
        ("2001:db8::1", 53, "2001:db8::1"),
        ("2001:db8::1", 5353, "[2001:db8::1]:5353"),
    ],
)
def test_a_server_is_written_as_the_option_takes_it(host: str, port: int, expected: str) -> None:
    assert str(Nameserver(ip_address(host), port)) == expected
