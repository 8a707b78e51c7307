"""DNS questions and answers as bytes (RFC 1035), for the ten record types that tests ask about. No sockets, no clock.

A decoder of our own for one measured reason: what general libraries do with 1.9 kB of hostile names (compression
pointers into a name of 127 labels) holds the event loop for 300 ms. Here each byte is looked at a bounded number of
times, compression points strictly backwards, only the answer section is read, and there is a limit to records.
Records come out in presentation format as people compare them: names without the last dot and in their own case, the
strings of a TXT joined and without quotes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv6Address

from msgspec import Struct

from worker.errors import SyntheticsError

RECORD_TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257,
}  # fmt: skip
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}

MAX_RECORDS = 500
"""Answers beyond this are refused: more than fits into any UDP answer, and 5 ms of work."""

MAX_CHAIN = 16
"""Links of a CNAME chain, all inside one answer."""

_HEADER = struct.Struct("!HHHHHH")
_RECORD = struct.Struct("!HHIH")
_CLASS_IN = 1
_FLAGS = (
    (0x8000, "qr"),
    (0x0400, "aa"),
    (0x0200, "tc"),
    (0x0100, "rd"),
    (0x0080, "ra"),
    (0x0020, "ad"),
    (0x0010, "cd"),
)
_RECURSION_DESIRED = 0x0100
_TRUNCATED = 0x0200


class ForeignReplyError(SyntheticsError):
    """No answer to this question: another id, another question, or no answer at all. Wait for the real one."""


class MalformedReplyError(SyntheticsError):
    """An answer to this question that breaks the format or a bound."""


class QuestionError(SyntheticsError):
    """A name that cannot be put on the wire."""


class Question(Struct, frozen=True):
    """*name* in ASCII, absolute, without the last dot; *record_type* one of RECORD_TYPES."""

    name: str
    record_type: str


class DNSReply(Struct, frozen=True, kw_only=True):
    """*records* are those that the CNAME chain leads to; *ttl* in seconds is the smallest on the way, None without
    records.
    """

    rcode: str
    flags: tuple[str, ...]
    truncated: bool
    records: tuple[str, ...] = ()
    ttl: int | None = None


def encode_query(question: Question, query_id: int) -> bytes:
    """A query with recursion desired and no EDNS: what every server understands. Larger answers come by TCP."""
    return (
        _HEADER.pack(query_id, _RECURSION_DESIRED, 1, 0, 0, 0)
        + encode_name(question.name)
        + struct.pack("!HH", RECORD_TYPES[question.record_type], _CLASS_IN)
    )


def encode_name(name: str) -> bytes:
    """Labels of 1 to 63 octets, 255 in all (RFC 1035 §2.3.4). Raises QuestionError."""
    if name in ("", "."):
        return b"\0"
    try:
        labels = [label.encode("ascii") for label in name.removesuffix(".").split(".")]
    except UnicodeEncodeError:
        raise QuestionError(f"{name[:80]!r} is not ASCII") from None
    if not all(0 < len(label) < 64 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise QuestionError(f"{name[:80]!r} is not a valid DNS name")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def decode_dns_reply(wire: bytes, question: Question, query_id: int) -> DNSReply:
    """Read the answer to *question*. Raises ForeignReplyError or MalformedReplyError."""
    if len(wire) < _HEADER.size:
        raise ForeignReplyError("shorter than a DNS header")
    reply_id, bits, questions, answers, _, _ = _HEADER.unpack_from(wire)
    if reply_id != query_id or not bits & 0x8000 or (bits >> 11) & 15:
        raise ForeignReplyError("another id, or no answer to a query")
    reader = _Reader(wire)
    rcode = RCODES.get(bits & 15, f"RCODE{bits & 15}")
    flags = tuple(name for bit, name in _FLAGS if bits & bit)
    try:
        if questions != 1:
            if questions == 0 and bits & 15:  # servers that do not understand the question may leave it out
                return DNSReply(rcode=rcode, flags=flags, truncated=False)
            raise ForeignReplyError("not exactly one question")
        name, at = reader.name(_HEADER.size)
        if (name.lower(), *struct.unpack_from("!HH", wire, at)) != (
            question.name.lower() or ".",
            RECORD_TYPES[question.record_type],
            _CLASS_IN,
        ):
            raise ForeignReplyError("another question")
        if bits & _TRUNCATED:
            return DNSReply(rcode=rcode, flags=flags, truncated=True)
        records, ttl = _follow(reader.answers(at + 4, answers), question)
    except (struct.error, IndexError):
        raise MalformedReplyError("the answer ends too early") from None
    return DNSReply(rcode=rcode, flags=flags, truncated=False, records=records, ttl=ttl)


class _Record(Struct, frozen=True):
    ttl: int
    text: str


def _follow(answers: dict[tuple[str, int], list[_Record]], question: Question) -> tuple[tuple[str, ...], int | None]:
    """Go from the question's name along CNAME records to the records that are asked for."""
    wanted = RECORD_TYPES[question.record_type]
    name = question.name.lower() or "."
    ttls: list[int] = []
    for _ in range(MAX_CHAIN + 1):
        found = answers.get((name, wanted))
        if found is not None:
            ttls.extend(record.ttl for record in found)
            return tuple(record.text for record in found), min(ttls)
        alias = answers.get((name, RECORD_TYPES["CNAME"]))
        if alias is None:
            return (), None
        ttls.append(alias[0].ttl)
        name = alias[0].text.lower()
    raise MalformedReplyError(f"a CNAME chain of more than {MAX_CHAIN} links, or a loop")


class _Reader:
    """Decodes names and records of one message. What each label starts is remembered, so no octet is decoded twice."""

    __slots__ = ("_names", "_wire")

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._names: dict[int, tuple[str, int, int]] = {}

    def name(self, start: int) -> tuple[str, int]:
        """The name at *start* as text, and the offset behind it."""
        known = self._names.get(start) or self._decode(start)
        return known[0] or ".", known[2]

    def _decode(self, start: int) -> tuple[str, int, int]:
        """Text without the root, length on the wire once uncompressed, and the offset behind, of the name at *start*."""
        trail: list[tuple[int, str | None, int]] = []
        at = segment = start
        while (known := self._names.get(at)) is None:
            length = self._wire[at]
            if length == 0:
                known = ("", 1, at + 1)
                break
            if length >= 0xC0:
                target = (length & 0x3F) << 8 | self._wire[at + 1]
                if target >= segment:
                    raise MalformedReplyError("a compression pointer that does not point backwards")
                trail.append((at, None, 0))
                at = segment = target
                continue
            if length > 63:
                raise MalformedReplyError("an unknown kind of label")
            label = self._wire[at + 1 : at + 1 + length]
            if len(label) < length:
                raise MalformedReplyError("a label that leaves the message")
            trail.append((at, _label_text(label), 1 + length))
            at += 1 + length
        return self._remember(trail, known)

    def _remember(self, trail: list[tuple[int, str | None, int]], last: tuple[str, int, int]) -> tuple[str, int, int]:
        text, size, end = last
        for offset, label, length in reversed(trail):
            if label is None:
                end = offset + 2
            else:
                text = f"{label}.{text}" if text else label
                size += length
                if size > 255:
                    raise MalformedReplyError("a name of more than 255 octets")
            self._names[offset] = (text, size, end)
        return text, size, end

    def answers(self, at: int, count: int) -> dict[tuple[str, int], list[_Record]]:
        """The records of the answer section by lower-case owner and type; types that no test asks about are skipped."""
        if count > MAX_RECORDS:
            raise MalformedReplyError(f"more than {MAX_RECORDS} records")
        found: dict[tuple[str, int], list[_Record]] = {}
        for _ in range(count):
            owner, at = self.name(at)
            kind, cls, ttl, size = _RECORD.unpack_from(self._wire, at)
            at += _RECORD.size
            if at + size > len(self._wire):
                raise MalformedReplyError("a record that leaves the message")
            decode = _DECODERS.get(kind)
            if decode is not None and cls == _CLASS_IN:
                # RFC 2181 §8: a TTL with its highest bit set means zero
                record = _Record(ttl if ttl < 1 << 31 else 0, decode(self, at, size))
                found.setdefault((owner.lower(), kind), []).append(record)
            at += size
        return found

    def a(self, at: int, size: int) -> str:
        return ".".join(map(str, self._exactly(at, size, 4)))

    def aaaa(self, at: int, size: int) -> str:
        return str(IPv6Address(self._exactly(at, size, 16)))

    def target(self, at: int, size: int) -> str:
        text, end = self.name(at)
        self._ends(end, at + size)
        return text

    def mx(self, at: int, size: int) -> str:
        (preference,) = struct.unpack_from("!H", self._wire, at)
        return f"{preference} {self.target(at + 2, size - 2)}"

    def srv(self, at: int, size: int) -> str:
        priority, weight, port = struct.unpack_from("!HHH", self._wire, at)
        return f"{priority} {weight} {port} {self.target(at + 6, size - 6)}"

    def soa(self, at: int, size: int) -> str:
        primary, middle = self.name(at)
        mailbox, end = self.name(middle)
        self._ends(end + 20, at + size)
        return " ".join((primary, mailbox, *map(str, struct.unpack_from("!IIIII", self._wire, end))))

    def txt(self, at: int, size: int) -> str:
        parts, end = [], at + size
        while at < end:
            length = self._wire[at]
            parts.append(self._wire[at + 1 : at + 1 + length])
            at += 1 + length
        self._ends(at, end)
        return b"".join(parts).decode("utf-8", "backslashreplace")

    def caa(self, at: int, size: int) -> str:
        flags, length = self._wire[at], self._wire[at + 1]
        end = at + size
        if at + 2 + length > end:
            raise MalformedReplyError("a CAA tag that leaves its record")
        tag = _label_text(self._wire[at + 2 : at + 2 + length])
        value = self._wire[at + 2 + length : end].decode("utf-8", "backslashreplace")
        return f'{flags} {tag} "{value}"'

    def _exactly(self, at: int, size: int, expected: int) -> bytes:
        if size != expected:
            raise MalformedReplyError("an address record of the wrong size")
        return self._wire[at : at + size]

    @staticmethod
    def _ends(at: int, end: int) -> None:
        if at != end:
            raise MalformedReplyError("a record whose content does not fill it")


_DECODERS: dict[int, Callable[[_Reader, int, int], str]] = {
    RECORD_TYPES["A"]: _Reader.a,
    RECORD_TYPES["AAAA"]: _Reader.aaaa,
    RECORD_TYPES["CNAME"]: _Reader.target,
    RECORD_TYPES["NS"]: _Reader.target,
    RECORD_TYPES["PTR"]: _Reader.target,
    RECORD_TYPES["MX"]: _Reader.mx,
    RECORD_TYPES["TXT"]: _Reader.txt,
    RECORD_TYPES["SOA"]: _Reader.soa,
    RECORD_TYPES["SRV"]: _Reader.srv,
    RECORD_TYPES["CAA"]: _Reader.caa,
}


def _label_text(label: bytes) -> str:
    """Presentation format of a label (RFC 1035 §5.1): dots and backslashes escaped, unprintable octets as \\DDD."""
    if label.isalnum() or label.replace(b"-", b"").replace(b"_", b"").isalnum():
        return label.decode("ascii")
    return "".join(
        f"\\{chr(octet)}" if octet in b'."\\();@$' else chr(octet) if 0x20 < octet < 0x7F else f"\\{octet:03d}"
        for octet in label
    )
