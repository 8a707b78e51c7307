"""Pieces of any size come out in order, whole."""

from __future__ import annotations

import resource
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from worker.net.http.body import Body

sizes = st.sampled_from([0, 1, 2, 100, 4095, 4096, 4097, 65_535, 65_536, 70_000, 300_000, 1_048_576, 1_500_000])


@given(st.lists(sizes, max_size=30))
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


def test_what_large_bodies_took_is_given_back() -> None:
    """Also below something that lives on, which is what keeps a heap from shrinking."""
    before = resident_bytes()
    bodies = [Body() for _ in range(10)]
    living_on = []
    for _ in range(70):
        for body in bodies:
            body.add(bytes(65_536))
        living_on.append(bytes(5000))
    assert resident_bytes() - before > 40_000_000
    bodies.clear()
    del body
    assert resident_bytes() - before < 8_000_000
    assert len(living_on) == 70


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
