"""Undoes content codings (RFC 9110 §8.4) with a cap that holds while decompressing, so that a bomb costs no more than the cap.

Known codings: gzip, deflate (zlib as specified, and raw as servers send it), br, zstd, identity, and nested
ones; gzip members and zstd frames in limited number. With a coding that is not known the bytes stay as they are (Fetch §4.6,
"handle content codings"): servers write charsets and `none` there, or what a proxy has undone.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence

import brotli  # type: ignore[import-untyped]

from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_CODINGS, MAX_MEMBERS
from worker.outcome.failure import FailureCode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 1024 * 1024
"""Bytes of output at a time: what is refused in the end has not been put together before."""

_GZIP = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
"""8 MiB of window, what RFC 9659 lets a content coding use."""


def decode(body: bytes, codings: Sequence[str], cap: int) -> bytes:
    """Undo *codings*, in the order in which they were applied. Raises JudgementError beyond *cap* bytes or on broken data."""
    todo = to_undo(codings)
    if len(todo) > MAX_CODINGS:
        raise JudgementError(
            f"the body is compressed {len(todo)} times over, more than the {MAX_CODINGS} that are undone"
        )
    for name in reversed(todo):
        pieces, is_cut = _undo(name, body, cap)
        if is_cut:
            raise too_large(cap)
        body = b"".join(pieces)
    if len(body) > cap:
        raise too_large(cap)
    return body


def preview(body: bytes, codings: Sequence[str], cap: int) -> tuple[bytes, bool]:
    """The first *cap* bytes of the body without its coding, and whether that is less than all of it; cheap whatever it holds.

    Raises JudgementError on broken data, and for nested codings, whose beginning cannot be had without the rest.
    """
    todo = to_undo(codings)
    if len(todo) > 1:
        raise JudgementError("the body is compressed more than once")
    if not todo:
        return body[:cap], len(body) > cap
    pieces, is_cut = _undo(todo[0], body, cap)
    return b"".join(pieces), is_cut


def too_large(cap: int) -> JudgementError:
    return JudgementError(
        f"the body is larger than the {cap} bytes that an assertion may look at", FailureCode.BODY_TOO_LARGE
    )


def to_undo(codings: Sequence[str]) -> list[str]:
    """Names of the codings that are undone, in the order in which they were applied; none where one is not known."""
    names = _names(codings)
    return names if _CODINGS.keys() >= set(names) else []


def unknown(codings: Sequence[str]) -> list[str]:
    """Those of *codings* that are not known, because of which none is undone."""
    return [name for name in _names(codings) if name not in _CODINGS]


def _names(codings: Sequence[str]) -> list[str]:
    if not codings:
        return []  # most bodies
    names = (name.strip(" \t").lower() for name in codings)
    return [name for name in names if name not in ("", "identity")]


def _undo(name: str, body: bytes, cap: int) -> tuple[list[bytes], bool]:
    """The first *cap* bytes of the output, in pieces, and whether there are more."""
    kept: list[bytes] = []
    room = cap
    for piece in _undone(name, body, min(_PIECE, cap + 1)):
        if len(piece) > room:
            return [*kept, piece[:room]], True
        kept.append(piece)
        room -= len(piece)
    return kept, False


def _undone(name: str, body: bytes, size: int) -> Iterator[bytes]:
    """The output in pieces of about *size* bytes; no more is decompressed than is asked for."""
    try:
        yield from _CODINGS[name](body, size)
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError, ValueError) as error:
        raise JudgementError(f"the body is not valid {name}: {str(error)[:100]}") from error


def _gzip(body: bytes, size: int) -> Iterator[bytes]:
    """Members follow each other (RFC 1952 §2.2); bytes after the last one that begin none are ignored, as everyone does."""
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(_GZIP)
        yield from _inflate(stream, body, size)
        body = stream.unused_data
        if not body.startswith(b"\x1f\x8b"):
            return
    raise JudgementError(f"the body has more than {MAX_MEMBERS} gzip members")


def _deflate(body: bytes, size: int) -> Iterator[bytes]:
    """zlib's format is what the coding means; raw deflate is what some servers send under its name."""
    try:
        zlib.decompressobj(zlib.MAX_WBITS).decompress(body, 1)
    except zlib.error:
        return _inflate(zlib.decompressobj(-zlib.MAX_WBITS), body, size)
    return _inflate(zlib.decompressobj(zlib.MAX_WBITS), body, size)


def _inflate(stream: zlib._Decompress, body: bytes, size: int) -> Iterator[bytes]:
    while not stream.eof:
        piece = stream.decompress(body, size)
        body = stream.unconsumed_tail
        if not (piece or body or stream.eof):
            raise EOFError("it ends early")
        yield piece


def _brotli(body: bytes, size: int) -> Iterator[bytes]:
    """The library bounds what one call puts out, in blocks of 32 KiB; with the input consumed, empty calls fetch the rest."""
    stream = brotli.Decompressor()
    while not stream.is_finished():
        piece = stream.process(body, output_buffer_limit=size)
        body = b""
        if not (piece or stream.is_finished()):
            raise EOFError("it ends early")
        yield piece


def _zstd(body: bytes, size: int) -> Iterator[bytes]:
    """Frames follow each other (RFC 8878 §3.1)."""
    for _ in range(MAX_MEMBERS):
        stream = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
        while not stream.eof:
            piece = stream.decompress(body, size)
            body = b""
            if not (piece or stream.eof):
                raise EOFError("it ends early")
            yield piece
        body = stream.unused_data
        if not body:
            return
    raise JudgementError(f"the body has more than {MAX_MEMBERS} zstd frames")


_CODINGS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "br": _brotli,
    "deflate": _deflate,
    "gzip": _gzip,
    "x-gzip": _gzip,
    "zstd": _zstd,
}
