"""Base64url of compact JOSE, held against the standard library's."""

from __future__ import annotations

import base64
import binascii

import pytest

from worker.wire import compact


@pytest.mark.parametrize("size", range(8))
def test_bytes_become_what_the_standard_library_writes_without_padding_and_come_back(size: int) -> None:
    for first in range(256):
        data = bytes((first * 7 + position * 251) % 256 for position in range(size))
        segment = compact.encode(data)
        assert segment == base64.urlsafe_b64encode(data).rstrip(b"=")
        assert compact.decode(segment) == data


@pytest.mark.parametrize("before", [b"", b"A", b"Az", b"Az_", b"Az_-", b"Az_-9"])
def test_a_segment_is_canonical_exactly_where_its_bytes_are_written_so(before: bytes) -> None:
    for last in range(256):
        segment = before + bytes((last,))
        assert compact.is_base64url(segment) == _is_written_so(segment), segment


def test_no_bytes_at_all_are_canonical() -> None:
    assert compact.is_base64url(b"")
    assert compact.decode(b"") == compact.encode(b"") == b""


def _is_written_so(segment: bytes) -> bool:
    try:
        data = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except binascii.Error:
        return False
    return base64.urlsafe_b64encode(data).rstrip(b"=") == segment
