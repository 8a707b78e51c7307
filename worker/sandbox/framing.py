"""Frames of bytes on a stream, the same in both directions: a length, then so many bytes."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

HEADER: Final = struct.Struct("!I")
"""The length of what follows. A payload beyond its range cannot be sent: struct.error."""


def encode_frame(payload: bytes) -> bytes:
    """Encode the length, then the payload."""
    return frame_header(payload) + payload


def frame_header(payload: bytes) -> bytes:
    """Encode only the length, for a writer that does not want to copy *payload*."""
    return HEADER.pack(len(payload))


def take_frame(buffer: bytearray, max_bytes: int) -> bytes | None:
    """Remove one whole frame from the front of *buffer* and return its payload; None while it is incomplete.

    Raises ValueError, before the payload has come, if it announces more than *max_bytes*.
    """
    if len(buffer) < HEADER.size:
        return None
    (length,) = HEADER.unpack_from(buffer)
    if length > max_bytes:
        raise ValueError(f"a frame of {length} bytes was announced")
    end = HEADER.size + length
    if len(buffer) < end:
        return None
    payload = bytes(buffer[HEADER.size : end])
    del buffer[:end]
    return payload


def read_frame(source: BinaryIO) -> bytes | None:
    """Wait for one frame from the parent, which is trusted with its size. None at the end, be it in the middle of a frame."""
    header = source.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    payload = source.read(length)
    return payload if len(payload) == length else None
