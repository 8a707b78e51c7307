"""The answer about its certificate's status that a server sends with it, if it is asked to (RFC 6066 §8).

Python's `ssl` cannot ask. So the greeting of a TLS 1.2 client is written here, and the server's flight, which is in the clear up
to that version, is read until the answer has come; then the connection is closed. No secret is agreed and nothing is verified: an
answer about a certificate's status is signed, and proves itself.
"""

from __future__ import annotations

import secrets
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

from worker.net.dialogue import Dialogue
from worker.net.door import Door, Endpoint
from worker.net.failure import DoorError
from worker.net.inspection import Aim
from worker.net.recorder import Recorder

MAX_FLIGHT_BYTES: Final = 256 * 1024
"""Of what a server may say until its answer: OpenSSL takes certificates of 100 KiB, and the answer has less."""
MAX_RECORDS: Final = 256
"""Of such a flight, which has a dozen at most."""
STAPLE_SECONDS: Final = 5.0
"""For the whole, and never more than half of the time that the test has left."""

_HANDSHAKE: Final = 22
_MAX_RECORD: Final = (1 << 14) + 2048
"""Bytes of a record (RFC 5246 §6.2.3)."""
_SERVER_HELLO_DONE, _CERTIFICATE_STATUS = 14, 22
_OCSP: Final = 1

_CIPHERS: Final = (
    *(0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8),  # ECDHE with AES-GCM and ChaCha20
    *(0xC009, 0xC013, 0xC00A, 0xC014, 0xC023, 0xC027, 0xC024, 0xC028),  # ECDHE with AES-CBC
    *(0x009C, 0x009D, 0x002F, 0x0035, 0x003C, 0x003D),  # RSA
    *(0x009E, 0x009F, 0x0033, 0x0039),  # DHE
)
_GROUPS: Final = (29, 23, 24, 25)
"""X25519 and the curves of NIST."""
_SIGNATURES: Final = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807, 0x0203, 0x0201)


async def stapled_answer(door: Door, aim: Aim, first: Recorder) -> bytes | None:
    """The answer that the server of *aim*, at the address that *first* reached, has for the asking; None where it has none.

    That it cannot be reached again, or breaks off, is no answer either.
    """
    with suppress(OSError, DoorError, TimeoutError):
        async with first.limit(max(0.0, min(STAPLE_SECONDS, first.remaining() / 2))):
            stream = await door.open_again(Endpoint(host=aim.host, port=aim.port), first)
            try:
                return await _ask(Dialogue(stream, first.detached()), aim.server_name)
            finally:
                stream.close()
    return None


async def _ask(dialogue: Dialogue, server_name: str) -> bytes | None:
    dialogue.send(client_hello(server_name, secrets.token_bytes(32)))
    messages, taken = bytearray(), 0
    for _ in range(MAX_RECORDS):
        kind, _, size = struct.unpack("!BHH", await dialogue.receive_exactly(5))
        taken += size
        if kind != _HANDSHAKE or not 0 < size <= _MAX_RECORD or taken > MAX_FLIGHT_BYTES:
            return None
        messages += await dialogue.receive_exactly(size)
        while len(messages) >= 4 and len(messages) >= (end := 4 + int.from_bytes(messages[1:4], "big")):
            message, content = messages[0], bytes(messages[4:end])
            del messages[:end]
            if message == _CERTIFICATE_STATUS:
                return answer_in(content)
            if message == _SERVER_HELLO_DONE:
                return None
    return None


def answer_in(status: bytes) -> bytes | None:
    """The OCSP answer of a CertificateStatus message."""
    size = int.from_bytes(status[1:4], "big")
    return status[4:] if status[:1] == bytes((_OCSP,)) and 0 < size == len(status) - 4 else None


def client_hello(server_name: str, random: bytes) -> bytes:
    """The record of a TLS 1.2 ClientHello that asks for a status (RFC 5246 §7.4.1.2). *random* has 32 bytes."""
    extensions = b"".join(
        (
            _server_name(server_name),
            _extension(5, bytes((_OCSP, 0, 0, 0, 0))),
            _extension(10, _vector(2, _shorts(_GROUPS))),
            _extension(11, b"\x01\x00"),  # points are not compressed
            _extension(13, _vector(2, _shorts(_SIGNATURES))),
            _extension(23, b""),  # extended master secret: some servers insist
            _extension(0xFF01, b"\x00"),  # secure renegotiation
        )
    )
    body = b"\x03\x03" + random + b"\x00" + _vector(2, _shorts(_CIPHERS)) + b"\x01\x00" + _vector(2, extensions)
    return b"\x16\x03\x01" + _vector(2, b"\x01" + _vector(3, body))


def _server_name(name: str) -> bytes:
    """RFC 6066 §3: addresses are not sent."""
    try:
        ip_address(name)
    except ValueError:
        host = name.removesuffix(".").encode("idna")
        return _extension(0, _vector(2, b"\x00" + _vector(2, host)))
    return b""


def _extension(kind: int, content: bytes) -> bytes:
    return struct.pack("!H", kind) + _vector(2, content)


def _vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def _shorts(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(numbers)}H", *numbers)
