"""Segments as bytes: what was complete survives any cut, a flipped bit costs one record, and no foreign key opens anything."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.agent.journal import codec
from worker.agent.journal.codec import FRAME_BYTES, HEADER_BYTES, Contents, Record, RecordKind, SegmentKey, SegmentKeys
from worker.secret import Secret

SECRET = Secret(b"the private key of a location")
SALT = bytes(range(32))
KEY = SegmentKey(SECRET, "pl:a", SALT)
RING = SegmentKeys("pl:a", (SECRET,))

payloads = st.lists(st.binary(max_size=200), max_size=8)


def records_of(bodies: list[bytes]) -> list[Record]:
    return [Record(number, RecordKind.RESULT, body) for number, body in enumerate(bodies)]


def segment_of(records: list[Record], key: SegmentKey = KEY) -> bytes:
    return key.header + key.seal(records)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(payloads)
def test_what_was_written_is_read(bodies: list[bytes]) -> None:
    records = records_of(bodies)
    assert codec.read(segment_of(records), KEY) == Contents(records=tuple(records), damaged=0, torn=0)


def test_the_bytes_are_those_of_the_protocol_page() -> None:
    """HKDF of RFC 5869 by hand, and the layout of docs/protocol.md."""
    extracted = hmac.digest(SALT, SECRET.reveal(), hashlib.sha256)
    okm, block = b"", b""
    for counter in (1, 2):
        block = hmac.digest(extracted, block + b"pl-journal-1\x00pl:a" + bytes([counter]), hashlib.sha256)
        okm += block
    copy = b"PLJ1" + SALT + okm[32:48]
    header = 2 * (copy + struct.pack(">I", zlib.crc32(copy)))
    associated = b"\xa5PLR" + struct.pack(">IIB3x", 16 + 5, 7, 1)
    body = AESGCM(okm[:32]).encrypt((7).to_bytes(12, "big"), b"hello", associated)
    checked = associated + struct.pack(">I", zlib.crc32(body))
    assert KEY.header == header
    assert KEY.seal([Record(7, RecordKind.RESULT, b"hello")]) == checked + struct.pack(">I", zlib.crc32(checked)) + body
    assert (len(header), len(checked) + 4) == (HEADER_BYTES, FRAME_BYTES) == (112, 24)


@given(payloads, st.data())
def test_a_cut_anywhere_costs_only_what_was_not_complete(bodies: list[bytes], data: st.DataObject) -> None:
    records = records_of(bodies)
    whole = segment_of(records)
    length = data.draw(st.integers(HEADER_BYTES, len(whole)))
    ends = [HEADER_BYTES]
    for record in records:
        ends.append(ends[-1] + FRAME_BYTES + len(record.payload) + 16)
    complete = sum(end <= length for end in ends[1:])
    assert codec.read(whole[:length], KEY) == Contents(
        records=tuple(records[:complete]), damaged=0, torn=length - ends[complete]
    )


def test_a_cut_at_every_offset_of_one_segment() -> None:
    records = records_of([b"first", b"", b"third" * 20])
    whole = segment_of(records)
    found = [codec.read(whole[:length], KEY) for length in range(HEADER_BYTES, len(whole) + 1)]
    assert [contents.damaged for contents in found] == [0] * len(found)
    assert [len(contents.records) for contents in found] == sorted(len(contents.records) for contents in found)
    assert found[-1].records == tuple(records)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6), st.data())
def test_a_flipped_bit_costs_its_record_and_is_counted(bodies: list[bytes], data: st.DataObject) -> None:
    records = records_of(bodies)
    whole = segment_of(records)
    bit = data.draw(st.integers(HEADER_BYTES * 8, len(whole) * 8 - 1))
    contents = codec.read(flipped(whole, bit), KEY)
    assert len(contents.records) == len(records) - 1
    assert set(contents.records) < set(records)
    assert (contents.damaged, contents.torn) == (1, 0)


def test_every_single_bit_of_one_segment() -> None:
    records = records_of([b"first", b"second", b"third"])
    whole = segment_of(records)
    for bit in range(HEADER_BYTES * 8, len(whole) * 8):
        contents = codec.read(flipped(whole, bit), KEY)
        assert (len(contents.records), contents.damaged, contents.torn) == (2, 1, 0), bit


def test_no_single_bit_of_the_header_costs_anything() -> None:
    records = records_of([b"first", b"second"])
    whole = segment_of(records)
    for bit in range(HEADER_BYTES * 8):
        damaged = flipped(whole, bit)
        key = RING.find(damaged)
        assert key is not None
        assert codec.read(damaged, key).records == tuple(records)


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_read_without_an_error(tail: bytes) -> None:
    contents = codec.read(KEY.header + tail, KEY)
    assert contents.records == ()
    assert contents.torn + contents.damaged > 0 or not tail


@given(payloads, st.integers(1, 5000))
def test_zeros_after_the_last_record_are_a_torn_tail(bodies: list[bytes], zeros: int) -> None:
    records = records_of(bodies)
    contents = codec.read(segment_of(records) + bytes(zeros), KEY)
    assert contents == Contents(records=tuple(records), damaged=0, torn=zeros)


@given(st.lists(st.binary(max_size=60), min_size=2, max_size=6))
@settings(max_examples=30)
def test_garbage_between_records_costs_none_of_them(bodies: list[bytes]) -> None:
    records = records_of(bodies)
    first, *others = [KEY.seal([record]) for record in records]
    contents = codec.read(KEY.header + first + codec.MARK + b"garbage" * 9 + b"".join(others), KEY)
    assert (contents.records, contents.damaged) == (tuple(records), 1)


@pytest.mark.parametrize("field", ["number", "kind"])
def test_a_record_with_right_checksums_that_nobody_sealed_is_refused(field: str) -> None:
    frame = KEY.seal([Record(1, RecordKind.RESULT, b"x")])
    forged = bytearray(frame)
    forged[11 if field == "number" else 12] ^= 3
    forged[20:24] = struct.pack(">I", zlib.crc32(forged[:20]))
    contents = codec.read(KEY.header + bytes(forged), KEY)
    assert (contents.records, contents.damaged) == ((), 1)


def test_a_key_is_found_among_several_and_only_for_its_location() -> None:
    older, newer = Secret(b"older"), Secret(b"newer")
    segment = SegmentKey(older, "pl:a", SALT).header
    assert SegmentKeys("pl:a", (newer, older)).find(segment) is not None
    assert SegmentKeys("pl:b", (newer, older)).find(segment) is None
    assert SegmentKeys("pl:a", (newer,)).find(segment) is None
    assert SegmentKeys("pl:a", (newer, older)).new(SALT).header == SegmentKey(newer, "pl:a", SALT).header


def test_the_same_payload_looks_different_in_every_record_and_segment() -> None:
    other = SegmentKey(SECRET, "pl:a", SALT[::-1])
    sealed = [KEY.seal([Record(n, RecordKind.RESULT, b"secret payload")]) for n in (1, 2)]
    sealed.append(other.seal([Record(1, RecordKind.RESULT, b"secret payload")]))
    assert len({frame[FRAME_BYTES:] for frame in sealed}) == 3
    assert not [frame for frame in sealed if b"secret" in frame]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_done_names_exactly_what_it_says(numbers: list[int]) -> None:
    results = tuple(Record(n, RecordKind.RESULT, b"") for n in range(5))
    over = Record(9, RecordKind.DONE, codec.done(numbers))
    assert codec.undone((*results, over)) == tuple(r for r in results if r.number not in numbers)


def test_kinds_that_are_not_known_and_notes_that_are_malformed_delete_nothing() -> None:
    result = Record(0, RecordKind.RESULT, b"")
    assert codec.undone((result, Record(1, 77, codec.done([0])), Record(2, RecordKind.DONE, b"\0\0\0\0\0"))) == (
        result,
    )
