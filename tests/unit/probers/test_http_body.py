"""Pieces of any size come out in order, whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.probers.http_body import Body

sizes = st.sampled_from([0, 1, 2, 100, 4095, 4096, 4097, 65_535, 65_536, 70_000])


@given(st.lists(sizes, max_size=40))
def test_what_was_added_is_the_whole(pieces: list[int]) -> None:
    body = Body()
    expected = b""
    for number, size in enumerate(pieces):
        piece = bytes([number]) * size
        body.add(piece)
        expected += piece
        assert body.size == len(expected)
    assert body.whole() == expected


def test_two_byte_pieces_take_about_the_memory_of_the_body() -> None:
    body = Body()
    for _ in range(500_000):
        body.add(b"ab")
    assert len(body._pieces) <= 16
    assert body.whole() == b"ab" * 500_000
