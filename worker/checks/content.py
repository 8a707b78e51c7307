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
    todo = _named(codings)
    if len(todo) > MAX_CODINGS:
        raise JudgementError(
            f"the body is compressed {len(todo)} times over, more than the {MAX_CODINGS} that are undone"
        )
    for name in reversed(todo):
        body = _undo(name, body, cap)
        if len(body) > cap:
            raise too_large(cap)
    if len(body) > cap:
        raise too_large(cap)
    return body


def preview(body: bytes, codings: Sequence[str], cap: int) -> tuple[bytes, bool]:
    """The first *cap* bytes of the body without its coding, and whether that is less than all of it; cheap whatever it holds.

    Raises JudgementError on broken data, and for nested codings, whose beginning cannot be had without the rest.
    """
    todo = _named(codings)
    if len(todo) > 1:
        raise JudgementError("the body is compressed more than once")
    for name in todo:
        body = _undo(name, body, cap)
    return body[:cap], len(body) > cap


def too_large(cap: int) -> JudgementError:
    return JudgementError(
        f"the body is larger than the {cap} bytes that an assertion may look at", FailureCode.BODY_TOO_LARGE
    )


def _named(codings: Sequence[str]) -> list[str]:
    names = (name.strip().lower() for name in codings)
    return [name for name in names if name not in ("", "identity")]


def _undo(name: str, body: bytes, cap: int) -> bytes:
    """The output, or the beginning of it where it has more than *cap* bytes: at least one byte more than that."""
    undo = _CODINGS.get(name)
    if undo is None:
        raise JudgementError(f"the body has the content coding {name[:40]!r}, which is not known")
    try:
        return undo(body, cap)
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError, ValueError) as error:
        raise JudgementError(f"the body is no valid {name}: {str(error)[:100]}") from error


def _gzip(body: bytes, cap: int) -> bytes:
    """Members follow each other (RFC 1952 §2.2); bytes after the last one that begin none are ignored, as everyone does."""
    output = b""
    for _ in range(MAX_MEMBERS):
        member, body = _inflate(body, cap - len(output), _GZIP)
        output += member
        if len(output) > cap or not body.startswith(b"\x1f\x8b"):
            return output
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
    if len(output) <= cap and not stream.eof:
        raise EOFError("it ends early")
    return output, stream.unused_data


def _brotli(body: bytes, cap: int) -> bytes:
    """The library bounds what one call puts out, in blocks of 32 KiB; with the input consumed, empty calls fetch the rest."""
    stream = brotli.Decompressor()
    output = bytearray(stream.process(body, output_buffer_limit=cap + 1))
    while len(output) <= cap and not stream.is_finished():
        part = stream.process(b"", output_buffer_limit=cap + 1 - len(output))
        if not part:
            raise EOFError("it ends early")
        output += part
    return bytes(output)


def _zstd(body: bytes, cap: int) -> bytes:
    """Frames follow each other (RFC 8878 §3.1)."""
    output = b""
    for _ in range(MAX_MEMBERS):
        stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
        output += stream.decompress(body, cap - len(output) + 1)
        if len(output) > cap:
            return output
        if not stream.eof:
            raise EOFError("it ends early")
        body = stream.unused_data
        if not body:
            return output
    raise JudgementError(f"the body has more than {MAX_MEMBERS} zstd frames")


_CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "br": _brotli,
    "deflate": _deflate,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "zstd": _zstd,
}
