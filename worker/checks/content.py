"""Undoes content codings (RFC 9110 §8.4) with a cap that holds while decompressing, so that a bomb costs no more than the cap.

Known codings: gzip, deflate (zlib as specified, and raw as servers send it), br, zstd, identity, and nested
ones; gzip members and zstd frames in limited number. A coding that is not known leaves the body unreadable: none is guessed.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence

import brotli  # type: ignore[import-untyped]

from worker.apitest.failure import FailureCode
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_CODINGS, MAX_MEMBERS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP = 16 + zlib.MAX_WBITS
_RAW = -zlib.MAX_WBITS
_ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
"""8 MiB of window, what RFC 9659 lets a content coding use."""


def decode(body: bytes, codings: Sequence[str], cap: int) -> bytes:
    """Undo *codings*, in the order in which they were applied. Raises JudgementError beyond *cap* bytes or on broken data."""
    todo = [name.strip().lower() for name in reversed(codings)]
    todo = [name for name in todo if name not in ("", "identity")]
    if len(todo) > MAX_CODINGS:
        raise JudgementError(
            f"the body is compressed {len(todo)} times over, more than the {MAX_CODINGS} that are undone"
        )
    for name in todo:
        undo = _CODINGS.get(name)
        if undo is None:
            raise JudgementError(f"the body has the content coding {name[:40]!r}, which is not known")
        try:
            body = undo(body, cap)
        except (zlib.error, brotli.error, zstd.ZstdError, EOFError, ValueError) as error:
            raise JudgementError(f"the body is no valid {name}: {str(error)[:100]}") from error
    if len(body) > cap:
        raise too_large(cap)
    return body


def too_large(cap: int) -> JudgementError:
    return JudgementError(
        f"the body is larger than the {cap} bytes that an assertion may look at", FailureCode.BODY_TOO_LARGE
    )


def _gzip(body: bytes, cap: int) -> bytes:
    """Members follow each other (RFC 1952 §2.2); bytes after the last one that begin none are ignored, as everyone does."""
    parts: list[bytes] = []
    left = cap
    for _ in range(MAX_MEMBERS):
        member, body = _inflate(body, left, _GZIP)
        parts.append(member)
        left -= len(member)
        if not body.startswith(b"\x1f\x8b"):
            return b"".join(parts)
    raise JudgementError(f"the body has more than {MAX_MEMBERS} gzip members")


def _deflate(body: bytes, cap: int) -> bytes:
    """zlib's format is what the coding means; raw deflate is what some servers send under its name."""
    try:
        return _inflate(body, cap, zlib.MAX_WBITS)[0]
    except zlib.error:
        return _inflate(body, cap, _RAW)[0]


def _inflate(body: bytes, cap: int, window: int) -> tuple[bytes, bytes]:
    """The output, and what follows the stream."""
    stream = zlib.decompressobj(window)
    output = stream.decompress(body, cap + 1)
    if len(output) > cap:
        raise too_large(cap)
    if not stream.eof:
        raise EOFError("it ends early")
    return output, stream.unused_data


def _brotli(body: bytes, cap: int) -> bytes:
    """*output_buffer_limit* bounds one call; with input consumed, empty calls fetch the rest."""
    stream = brotli.Decompressor()
    parts = [stream.process(body, output_buffer_limit=cap + 1)]
    size = len(parts[0])
    while size <= cap and not stream.is_finished():
        part = stream.process(b"", output_buffer_limit=cap + 1 - size)
        if not part:
            raise EOFError("it ends early")
        parts.append(part)
        size += len(part)
    if size > cap:
        raise too_large(cap)
    return b"".join(parts)


def _zstd(body: bytes, cap: int) -> bytes:
    """Frames follow each other (RFC 8878 §3.1)."""
    parts: list[bytes] = []
    left = cap
    for _ in range(MAX_MEMBERS):
        stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
        frame = stream.decompress(body, left + 1)
        if len(frame) > left:
            raise too_large(cap)
        if not stream.eof:
            raise EOFError("it ends early")
        parts.append(frame)
        left -= len(frame)
        body = stream.unused_data
        if not body:
            return b"".join(parts)
    raise JudgementError(f"the body has more than {MAX_MEMBERS} zstd frames")


_CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "br": _brotli,
    "deflate": _deflate,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "zstd": _zstd,
}
