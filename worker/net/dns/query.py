"""One DNS query to one server: UDP, then TCP if the answer was truncated. Exact time-outs; nothing is retried or
kept here.

The UDP socket is connected, so the kernel drops answers from anywhere else, tells us at once when nothing listens,
and gives each question a random port of its own. The caller has judged the server, if it is one to be judged.
"""

from __future__ import annotations

import secrets
import socket

from msgspec import Struct

from worker.egress.nameserver import Nameserver
from worker.errors import SyntheticsError
from worker.net.dial import compare_peer, dial
from worker.net.dialogue import Dialogue
from worker.net.dns.wire import (
    DNSReply,
    ForeignReplyError,
    MalformedReplyError,
    Question,
    decode_dns_reply,
    encode_query,
)
from worker.net.failure import no_answer_within
from worker.net.readiness import readable
from worker.net.recorder import Recorder
from worker.net.stamps import receive_stamped, request_stamps

MAX_FOREIGN = 64
"""Datagrams that do not answer the question and are waited out: a flood of them ends the exchange instead of holding
the loop.
"""

_DATAGRAM = 65_535

_TRUNCATED = "the answer over UDP was truncated, and over TCP, which a firewall may not let through, "
"""The beginning of every sentence about the second half of an exchange."""


class NoReplyError(SyntheticsError):
    """The server gave no usable answer. *code* is what resolvers call it (ETIMEOUT, ECONNREFUSED, EBADRESP)."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class TimedReply(Struct, frozen=True):
    """*arrived* is when the kernel had it, in nanoseconds of wall time, where that is known."""

    reply: DNSReply
    arrived: int | None


async def ask(server: Nameserver, question: Question, seconds: float, recorder: Recorder) -> TimedReply:
    """The server's answer, whatever its rcode, within *seconds*, TCP included.

    Raises NoReplyError, and DoorError(DENIED) as `dial` does.
    """
    so_far = ""
    try:
        async with recorder.limit(seconds):
            answer = await _ask_udp(server, question, recorder)
            if not answer.reply.truncated:
                return answer
            so_far = _TRUNCATED
            return await _ask_tcp(server, question, recorder.detached())
    except TimeoutError:
        raise NoReplyError("ETIMEOUT", so_far + no_answer_within(seconds)) from None
    except ConnectionError:
        raise NoReplyError("ECONNREFUSED", so_far + "nothing listens there, or it hung up") from None
    except OSError as error:
        raise NoReplyError("ECONNREFUSED", so_far + (error.strerror or "unreachable")) from None
    except MalformedReplyError as error:
        raise NoReplyError("EBADRESP", f"{so_far}a malformed answer: {error}") from None


async def _ask_udp(server: Nameserver, question: Question, recorder: Recorder) -> TimedReply:
    query_id = secrets.randbits(16)
    family = socket.AF_INET if server.address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # noqa: FBT003  # the standard library's signature
        request_stamps(sock)
        sock.connect((str(server.address), server.port))
        compare_peer(sock, server.address, server.port)
        sock.send(encode_query(question, query_id))
        for _ in range(MAX_FOREIGN):
            datagram, arrived = await _receive(sock)
            recorder.excuse(arrived)
            try:
                return TimedReply(decode_dns_reply(datagram, question, query_id), arrived)
            except ForeignReplyError:
                continue
    raise MalformedReplyError("a flood of datagrams that answer something else")


async def _receive(sock: socket.socket) -> tuple[bytes, int | None]:
    while True:
        await readable(sock)
        try:
            return receive_stamped(sock, _DATAGRAM)
        except BlockingIOError:  # a datagram with a bad checksum wakes, and is gone when it is asked for
            continue


async def _ask_tcp(server: Nameserver, question: Question, recorder: Recorder) -> TimedReply:
    query_id = secrets.randbits(16)
    query = encode_query(question, query_id)
    stream = await dial(server.address, server.port, recorder)
    try:
        dialogue = Dialogue(stream, recorder)
        dialogue.send(len(query).to_bytes(2, "big") + query)
        size = int.from_bytes(await dialogue.receive_exactly(2), "big")
        reply = decode_dns_reply(await dialogue.receive_exactly(size), question, query_id)
    except ForeignReplyError as error:
        raise MalformedReplyError(str(error)) from None
    finally:
        stream.close()
    if reply.truncated:
        raise MalformedReplyError("truncated over TCP as well")
    return TimedReply(reply, stream.arrived)
