"""Records and segments as bytes: framing, checksums and encryption, both directions. Opens no file and reads no clock.

Each record is framed by itself, so that a torn tail costs what was not complete and a flipped bit costs one record. The
checksum is CRC-32 (IEEE 802.3) and not CRC-32C: it is in the standard library, finds every single flipped bit just as well,
and need not withstand anybody, because each record is authenticated (AES-256-GCM) as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.secret import Secret
from worker.wire.keys import PrivateKey

MAGIC = b"PLJ1"
SALT_BYTES = 32
_TAG_BYTES = 16
_HEADER = struct.Struct(f">4s{SALT_BYTES}s{_TAG_BYTES}s")
_CHECKSUM = struct.Struct(">I")
_COPY_BYTES = _HEADER.size + _CHECKSUM.size
HEADER_BYTES = 2 * _COPY_BYTES
"""A segment's header stands there twice: a flipped bit in the only salt would cost every record of the segment."""

MARK = b"\xa5PLR"
_ASSOCIATED = struct.Struct(">4sIIB3x")
_CHECKSUMS = struct.Struct(">II")
FRAME_BYTES = _ASSOCIATED.size + _CHECKSUMS.size
_SEAL_BYTES = 16
"""Bytes that AES-GCM adds."""
MAX_RECORD_BYTES = 16 * 1024 * 1024
"""Twice what a push may weigh, so that no result that can ever be delivered is too large."""
_KEY_BYTES = 32
_INFO = b"pl-journal-1\x00"


class RecordKind(IntEnum):
    """The kinds of record. A reader leaves out records of a kind that it does not know."""

    RESULT = 1
    """One result: the JSON of a `ResultItem`."""
    DONE = 2
    """Numbers (four bytes each) of records of this segment whose results need no more delivery."""


class Record(NamedTuple):
    """One record. *number* is unique in its segment and the nonce of its encryption."""

    number: int
    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything that a segment still tells: its *records*, the number of *damaged* ones, the bytes of a *torn* tail."""

    records: tuple[Record, ...]
    damaged: int
    torn: int


class SegmentKey:
    """The content key of one segment, under HKDF (RFC 5869) from the location's secret and the segment's salt.

    *tag* comes from the same derivation: it shows which key opens a segment, and tells nothing of the key.
    """

    __slots__ = ("_aead", "header")

    def __init__(self, secret: Secret[bytes], location: str, salt: bytes) -> None:
        derivation = HKDF(SHA256(), length=_KEY_BYTES + _TAG_BYTES, salt=salt, info=_INFO + location.encode())
        derived = derivation.derive(secret.reveal())
        copy = _HEADER.pack(MAGIC, salt, derived[_KEY_BYTES:])
        self.header = 2 * (copy + _CHECKSUM.pack(crc32(copy)))
        """The bytes that a segment under this key begins with."""
        self._aead = AESGCM(derived[:_KEY_BYTES])

    def seal(self, records: Iterable[tuple[int, int, bytes]]) -> bytes:
        """Framed *records*, one behind the other, each a number, a kind and a payload. A number must never be sealed twice."""
        parts: list[bytes] = []
        for number, kind, payload in records:
            associated = _ASSOCIATED.pack(MARK, len(payload) + _SEAL_BYTES, number, kind)
            body = self._aead.encrypt(_nonce(number), payload, associated)
            checked = associated + _CHECKSUM.pack(crc32(body))
            parts += (checked, _CHECKSUM.pack(crc32(checked)), body)
        return b"".join(parts)

    def open(self, frame: Frame) -> Record | None:
        """The record in *frame*, None where it was altered or sealed under another key."""
        try:
            payload = self._aead.decrypt(_nonce(frame.number), frame.body, frame.associated)
        except InvalidTag:
            return None
        return Record(frame.number, frame.kind, payload)


@dataclass(frozen=True, slots=True)
class SegmentKeys:
    """The secrets of one location, the newest first: it seals, and each opens."""

    location: str
    secrets: tuple[Secret[bytes], ...]

    @classmethod
    def of(cls, location: str, keys: Iterable[PrivateKey]) -> SegmentKeys:
        """The keys of *location*: from the private keys that a restarted worker has and its disk has not."""
        return cls(location, tuple(key.der() for key in keys))

    def new(self, salt: bytes) -> SegmentKey:
        return SegmentKey(self.secrets[0], self.location, salt)

    def find(self, segment: bytes) -> SegmentKey | None:
        """The key that *segment* was written under, None if it is none of these."""
        for header in _headers(segment):
            salt = header[len(MAGIC) : len(MAGIC) + SALT_BYTES]
            for secret in self.secrets:
                key = SegmentKey(secret, self.location, salt)
                if key.header.startswith(header):
                    return key
        return None


@dataclass(frozen=True, slots=True)
class Frame:
    """One record as it stands in a segment, its checksums right and its content sealed."""

    number: int
    kind: int
    associated: bytes
    body: bytes
    end: int


def has_header(segment: bytes) -> bool:
    """Tell if at least one copy of the header is sound."""
    return next(_headers(segment), None) is not None


def read(segment: bytes, key: SegmentKey) -> Contents:
    """Everything in *segment* that its checksums and *key* vouch for."""
    records, damaged, torn, position = [], 0, 0, HEADER_BYTES
    while position < len(segment):
        frame = _frame_at(segment, position)
        if frame is not None:
            record = key.open(frame)
            if record is None:
                damaged += 1
            else:
                records.append(record)
            position = frame.end
            continue
        following = _after_damage(segment, position)
        if following == len(segment) and _is_torn(segment[position:]):
            torn = len(segment) - position
        else:
            damaged += 1
        position = following
    return Contents(records=tuple(records), damaged=damaged, torn=torn)


def done(numbers: Sequence[int]) -> bytes:
    """The payload of a DONE record."""
    return struct.pack(f">{len(numbers)}I", *numbers)


def undone(records: Sequence[Record]) -> tuple[Record, ...]:
    """The RESULT records that no DONE record names."""
    over = {
        number
        for record in records
        if record.kind == RecordKind.DONE and len(record.payload) % _CHECKSUM.size == 0
        for (number,) in _CHECKSUM.iter_unpack(record.payload)
    }
    return tuple(record for record in records if record.kind == RecordKind.RESULT and record.number not in over)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _headers(segment: bytes) -> Iterator[bytes]:
    """The sound copies of the header, without their checksums."""
    for start in (0, _COPY_BYTES):
        copy = segment[start : start + _COPY_BYTES]
        header, checksum = copy[: _HEADER.size], copy[_HEADER.size :]
        if header.startswith(MAGIC) and checksum == _CHECKSUM.pack(crc32(header)):
            yield header


def _length_at(segment: bytes, position: int) -> int | None:
    """The size of the body of the frame that begins at *position*; None where none begins."""
    head = segment[position : position + FRAME_BYTES]
    if len(head) < FRAME_BYTES or not head.startswith(MARK):
        return None
    if head[-_CHECKSUM.size :] != _CHECKSUM.pack(crc32(head[: -_CHECKSUM.size])):
        return None
    length: int = _ASSOCIATED.unpack_from(head)[1]
    return length if _SEAL_BYTES <= length <= MAX_RECORD_BYTES + _SEAL_BYTES else None


def _frame_at(segment: bytes, position: int) -> Frame | None:
    length = _length_at(segment, position)
    if length is None:
        return None
    start = position + FRAME_BYTES
    body = segment[start : start + length]
    checksum, _ = _CHECKSUMS.unpack_from(segment, position + _ASSOCIATED.size)
    if len(body) < length or crc32(body) != checksum:
        return None
    associated = segment[position : position + _ASSOCIATED.size]
    _, _, number, kind = _ASSOCIATED.unpack(associated)
    return Frame(number, kind, associated, body, start + length)


def _after_damage(segment: bytes, position: int) -> int:
    """The end of the damaged record at *position*: where the next frame begins whose header is sound, or the segment's end."""
    length = _length_at(segment, position)
    if length is not None:
        end = position + FRAME_BYTES + length
        if end == len(segment) or _length_at(segment, end) is not None:
            return end
    following = segment.find(MARK, position + 1)
    while following >= 0:
        if _length_at(segment, following) is not None:
            return following
        following = segment.find(MARK, following + 1)
    return len(segment)


def _is_torn(tail: bytes) -> bool:
    """Tell if *tail* is the beginning of a record, or the zeros that a file system puts where a write never arrived."""
    if not tail.strip(b"\x00"):
        return True
    if len(tail) < FRAME_BYTES:
        return tail.startswith(MARK) or MARK.startswith(tail)
    length = _length_at(tail, 0)
    return length is not None and FRAME_BYTES + length > len(tail)
