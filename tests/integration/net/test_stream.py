"""A stream gives what has come and says when it came; it keeps nothing, loses nothing, and leaves nothing open."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.integration.net.way import CLOCK, recorder
from tests.support.descriptors import open_descriptors
from tests.support.waiting import until
from worker.net.dial import dial
from worker.net.stream import Connection
from worker.net.trust import TrustStore

NAME = "www.example.org"
LATE = 0.2
"""Seconds for which the loop is held up."""


@contextmanager
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """Our end, and the peer's as a blocking socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
    ours.setblocking(False)  # the standard library's signature
    stream = Connection(ours)
    try:
        with peer:
            yield stream, peer
    finally:
        stream.close()


def _hold_up_the_loop() -> None:
    time.sleep(LATE)


async def dialled(peer: socket.socket) -> Connection:
    return await dial(ip_address("127.0.0.1"), peer.getsockname()[1], recorder())


async def test_what_has_come_is_received_and_then_the_end() -> None:
    with pair() as (stream, peer):
        peer.send(b"one")
        assert await stream.receive() == b"one"
        peer.send(b"two, three")
        assert [await stream.receive(5), await stream.receive(5)] == [b"two, ", b"three"]
        peer.close()
        assert await stream.receive() == b""


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux stamps what arrives")
async def test_a_late_reader_is_told_when_it_came() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await dialled(server)
        peer, _ = server.accept()
        sent = time.time_ns()
        peer.send(b"answer")
        received = time.time_ns()
        _hold_up_the_loop()
        assert await stream.receive() == b"answer"
        assert stream.arrived is not None
        assert sent <= stream.arrived <= received
        assert CLOCK.age_ns(stream.arrived) >= LATE * 1e9
        stream.close()
        peer.close()


async def test_what_the_kernel_does_not_take_at_once_follows_as_the_peer_reads() -> None:
    request = os.urandom(20_000_000)
    with pair() as (stream, peer):
        stream.write(request[:1])
        stream.write(request[1:10_000_000])
        stream.write(request[10_000_000:])
        assert stream.unsent > 0

        def read() -> bytes:
            with peer.makefile("rb") as file:
                return file.read(len(request))

        assert await asyncio.to_thread(read) == request
        assert stream.unsent == 0


async def test_what_a_peer_said_before_it_reset_comes_before_the_reset() -> None:
    with pair() as (stream, peer):
        stream.write(b"more than the peer wants to read")
        peer.send(b"413, and no more of this")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        stream.write(b"and more")
        assert await stream.receive() == b"413, and no more of this"
        with pytest.raises(ConnectionError):
            await stream.receive()


async def test_what_a_cancelled_reader_did_not_get_is_there_for_the_next() -> None:
    with pair() as (stream, peer):
        reading = asyncio.create_task(stream.receive())
        await asyncio.sleep(0)
        peer.send(b"late")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await stream.receive() == b"late"


async def test_what_is_put_back_comes_again_first() -> None:
    with pair() as (stream, peer):
        peer.send(b"head body")
        assert await stream.receive() == b"head body"
        stream.put_back(b"body")
        peer.send(b" more")
        assert [await stream.receive(2), await stream.receive(), await stream.receive()] == [b"bo", b"dy", b" more"]


async def test_a_peer_that_nobody_listens_to_costs_nothing() -> None:
    with pair() as (stream, peer):
        peer.send(b"x")
        assert await stream.receive() == b"x"
        peer.send(b"unasked")
        spent = time.process_time()
        await asyncio.sleep(0.3)  # turns of the loop in which nobody reads
        assert time.process_time() - spent < 0.1
        assert await stream.receive() == b"unasked"


async def test_closing_twice_and_with_everything_under_way_leaves_nothing() -> None:
    before = open_descriptors()
    with pair() as (stream, peer):
        reading = asyncio.create_task(stream.receive())
        await asyncio.sleep(0)
        stream.write(bytes(20_000_000))
        assert stream.unsent
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        stream.close()
        stream.close()
        assert stream.unsent  # it tells afterwards what it never got rid of
        peer.close()
    await until(lambda: open_descriptors() <= before)


async def test_a_connection_whose_syn_was_lost_took_as_long_as_the_next_one() -> None:
    """The kernel sends it again after a second (RFC 6298 §2.1)."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for filler in (first, second):
            filler.setblocking(False)  # the standard library's signature
            filler.connect_ex(server.getsockname())
        seen = recorder()
        seen.start("tcp")
        dialling = asyncio.create_task(dial(ip_address("127.0.0.1"), server.getsockname()[1], seen))
        await asyncio.sleep(0)  # the SYN is sent, and dropped
        for _ in range(2):
            server.accept()[0].close()
        (await dialling).close()
        seen.stop()
    assert seen.phases["tcp"] > 0.9e9


# TLS, with the server in a thread of its own: the loop is to be late, and the peer is not


@contextmanager
def tls_peer(context: ssl.SSLContext, serve: bytes = b"", *, goodbye: bool = True) -> Iterator[socket.socket]:
    """Shakes hands with one client, says *serve*, hangs up."""

    def run() -> None:
        raw, _ = server.accept()
        with raw, context.wrap_socket(raw, server_side=True) as connection:
            connection.sendall(serve)
            if goodbye:
                with suppress(OSError):  # the client says none
                    connection.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run)
        thread.start()
        yield server
        thread.join(10)


async def test_the_handshake_is_not_charged_with_the_workers_lateness(
    ca_file: Path, server_tls: ssl.SSLContext
) -> None:
    with tls_peer(server_tls, goodbye=False) as server:
        trust, seen = TrustStore([ca_file]), recorder()
        stream = await dial(ip_address("127.0.0.1"), server.getsockname()[1], seen)
        seen.start("ssl")
        shaking = asyncio.create_task(trust.secure(stream, NAME, verify=True, recorder=seen))
        await asyncio.sleep(0)  # the hello is sent
        _hold_up_the_loop()
        await shaking
        seen.stop()
        stream.close()
    assert 0 < seen.phases["ssl"] < LATE * 1e9


@pytest.mark.parametrize("goodbye", [True, False])
async def test_what_came_over_tls_is_whole_with_and_without_a_goodbye(
    goodbye: bool, ca_file: Path, server_tls: ssl.SSLContext
) -> None:
    said = os.urandom(1_000_000)
    with tls_peer(server_tls, said, goodbye=goodbye) as server:
        raw = await dialled(server)
        stream = await TrustStore([ca_file]).secure(raw, NAME, verify=True, recorder=recorder())
        received = bytearray()
        while data := await stream.receive():
            received += data
        stream.close()
    assert received == said
