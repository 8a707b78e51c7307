from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.framing import HEADER, encode_frame, frame_header, read_frame, take_frame


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 40))
def test_frames_are_cut_out_of_any_chunking(payloads: list[bytes], step: int) -> None:
    stream = b"".join(map(encode_frame, payloads))
    buffer, taken = bytearray(), []
    for start in range(0, len(stream), step):
        buffer += stream[start : start + step]
        while (payload := take_frame(buffer, 300)) is not None:
            taken.append(payload)
    assert taken == payloads
    assert not buffer


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_both_readers_agree(payloads: list[bytes]) -> None:
    source = io.BytesIO(b"".join(map(encode_frame, payloads)))
    assert [read_frame(source) for _ in payloads] == payloads
    assert read_frame(source) is None


def test_a_payload_may_be_written_behind_its_header() -> None:
    assert frame_header(b"payload") + b"payload" == encode_frame(b"payload")


def test_a_frame_that_announces_more_than_its_bound_is_refused_before_it_is_read() -> None:
    assert take_frame(bytearray(HEADER.pack(100)), 100) is None
    with pytest.raises(ValueError, match="announced"):
        take_frame(bytearray(HEADER.pack(101)), 100)


@pytest.mark.parametrize("size", [0, 3, 4, 6])
def test_a_stream_that_ends_within_a_frame_has_ended(size: int) -> None:
    assert read_frame(io.BytesIO(encode_frame(b"abc")[:size])) is None
