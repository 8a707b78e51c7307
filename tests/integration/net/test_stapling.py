"""The greeting that asks for a stapled answer, as OpenSSL reads it, and servers that mean harm with what they say to it."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.net.way import recorder
from tests.support.certificates import issue
from tests.support.servers.closing import turns
from tests.support.servers.door import loopback_door
from tests.support.servers.http import Server
from tests.support.servers.tcp import closed_port
from worker.net.inspection import Aim
from worker.net.stapling import MAX_FLIGHT_BYTES, answer_in, client_hello, stapled_answer

HOST = "127.0.0.1"


def record(content: bytes, kind: int = 22) -> bytes:
    return bytes((kind, 3, 3)) + len(content).to_bytes(2, "big") + content


def message(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + len(content).to_bytes(3, "big") + content


def status(answer: bytes) -> bytes:
    return message(22, b"\x01" + len(answer).to_bytes(3, "big") + answer)


def saying(pieces: Callable[[], Iterable[bytes]]) -> Server:
    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for piece in pieces():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    return Server(conversation=converse)


async def heard(pieces: Callable[[], Iterable[bytes]], seconds: float = 10.0) -> bytes | None:
    async with saying(pieces) as server:
        aim = Aim(host=HOST, port=server.port, server_name="shop.test")
        found = await stapled_answer(loopback_door(), aim, recorder(seconds))
        await turns()
    return found


def flight(answer: bytes) -> bytes:
    return message(2, bytes(70)) + message(11, bytes(3000)) + status(answer) + message(14, b"")


async def test_the_answer_is_found_however_the_flight_is_cut() -> None:
    whole = flight(b"signed")
    assert await heard(lambda: [record(whole)]) == b"signed"
    assert await heard(lambda: [record(whole[at : at + 500]) for at in range(0, len(whole), 500)]) == b"signed"
    records = record(whole)
    assert await heard(lambda: [records[at : at + 97] for at in range(0, len(records), 97)]) == b"signed"


@pytest.mark.parametrize(
    "pieces",
    [
        lambda: [record(message(2, bytes(70)) + message(14, b""))],
        lambda: [record(b"\x02\x28", kind=21)],
        lambda: [b"220 mail.example.org ESMTP\r\n"],
        lambda: [record(b"")],
        lambda: [b"\x16\x03\x03\xff\xff" + bytes(100)],
        lambda: [record(message(22, b"\x01\x00\xff\xffshort") + message(14, b""))],
        lambda: [record(message(22, b""))],
        lambda: itertools.repeat(record(message(11, bytes(10_000)))),
        lambda: itertools.repeat(record(b"\x0b\xff\xff\xff" + bytes(10_000))),
        lambda: itertools.repeat(record(message(4, b""))),
    ],
)
async def test_other_words_are_no_answer(pieces: Callable[[], Iterable[bytes]]) -> None:
    assert await heard(pieces) is None


async def test_silence_is_no_answer_and_takes_half_of_the_time_at_most() -> None:
    seen = recorder(1.0)
    async with saying(list) as server:
        aim = Aim(host=HOST, port=server.port, server_name="shop.test")
        assert await stapled_answer(loopback_door(), aim, seen) is None
    assert seen.remaining() > 0
    assert seen.phases == {}


async def test_a_server_that_is_gone_has_no_answer() -> None:
    aim = Aim(host=HOST, port=closed_port(), server_name="shop.test")
    assert await stapled_answer(loopback_door(), aim, recorder()) is None


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("shop.test", "shop.test"),
        ("shop.test.", "shop.test"),
        (HOST, None),
        ("xn--gre-6ka8i.test", "xn--gre-6ka8i.test"),
    ],
)
def test_openssl_reads_the_greeting_and_answers_it(name: str, sent: str | None, tmp_path: Path) -> None:
    names: list[str | None] = []
    context = issue("shop", names=["shop.test"]).serving(tmp_path / "shop.pem")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.sni_callback = lambda _, asked, __: names.append(asked)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(client_hello(name, bytes(32)))
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    assert names == [sent]
    said = outgoing.read()
    assert (said[0], said[5]) == (22, 2), "a record of the handshake that begins with a ServerHello"


def test_the_bound_lets_the_largest_flight_of_openssl_pass() -> None:
    assert MAX_FLIGHT_BYTES >= 2 * 100 * 1024


@given(st.binary(max_size=60))
def test_any_status_message_is_read_or_is_none(content: bytes) -> None:
    found = answer_in(content)
    assert found is None or content[4:] == found
