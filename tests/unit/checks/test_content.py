"""Content codings undone with a cap: round trips, nesting, broken data, and bombs that must not expand."""

from __future__ import annotations

import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace

import brotli  # type: ignore[import-untyped]
import pytest

from tests.support.observed import LIMITS, http, judged
from worker.checks.content import decode, preview, to_undo, unknown
from worker.checks.judgement import JudgementError
from worker.outcome.failure import FailureCode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"The quick brown fox. " * 500
RANDOM = random.Random(4711).randbytes(200_000)


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "gzip members": (
        "gzip",
        lambda data: b"".join(gzip.compress(data[n : n + 7000]) for n in range(0, len(data), 7000)),
    ),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "zstd frames": ("zstd", lambda data: zstd.compress(data[:100]) + zstd.compress(data[100:])),
    "identity": ("identity", lambda data: data),
    "loud gzip": (" GZIP ", gzip.compress),
}


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, RANDOM], ids=["empty", "one", "text", "random"])
def test_a_coding_is_undone(name: str, data: bytes) -> None:
    coding, encode = CODINGS[name]
    if name == "gzip members" and not data:
        return
    encoded = encode(data)
    assert decode(encoded, [coding], len(data)) == data
    assert preview(encoded, [coding], len(data)) == (data, False)


@pytest.mark.parametrize("name", CODINGS)
def test_one_byte_beyond_the_cap_is_too_large(name: str) -> None:
    coding, encode = CODINGS[name]
    with pytest.raises(JudgementError, match="larger than the 10499 bytes") as caught:
        decode(encode(TEXT), [coding], len(TEXT) - 1)
    assert caught.value.code is FailureCode.BODY_TOO_LARGE
    assert preview(encode(TEXT), [coding], 100) == (TEXT[:100], True)


def test_nested_codings_are_undone_from_the_last_one_applied() -> None:
    body = brotli.compress(zlib.compress(gzip.compress(TEXT)))
    assert decode(body, ["gzip", "deflate", "identity", "br"], len(TEXT)) == TEXT
    with pytest.raises(JudgementError, match="more than once"):
        preview(body, ["gzip", "deflate", "br"], 10)


@pytest.mark.parametrize(
    ("body", "codings", "reason"),
    [
        (TEXT, ["gzip"], "the body is not valid gzip"),
        (TEXT, ["deflate"], "the body is not valid deflate"),
        (TEXT, ["br"], "the body is not valid br"),
        (TEXT, ["zstd"], "the body is not valid zstd"),
        (b"", ["gzip"], "the body is not valid gzip: it ends early"),
        (gzip.compress(TEXT, mtime=0)[:-4], ["gzip"], "the body is not valid gzip: it ends early"),
        (zlib.compress(TEXT)[:-1], ["deflate"], "the body is not valid deflate: it ends early"),
        (brotli.compress(TEXT)[:-1], ["br"], "the body is not valid br: it ends early"),
        (zstd.compress(TEXT)[:-1], ["zstd"], "the body is not valid zstd: it ends early"),
        (b"", ["zstd"], "the body is not valid zstd: it ends early"),
        (TEXT, ["gzip"] * 5, "the body is compressed 5 times over, more than the 4"),
        (gzip.compress(b"", mtime=0) * 65, ["gzip"], "the body has more than 64 gzip members"),
        (zstd.compress(b"") * 65, ["zstd"], "the body has more than 64 zstd frames"),
    ],
)
def test_what_cannot_be_undone_says_so(body: bytes, codings: list[str], reason: str) -> None:
    with pytest.raises(JudgementError, match=reason):
        decode(body, codings, 1_000_000)


@pytest.mark.parametrize(
    ("codings", "names"),
    [
        (["UTF-8"], ["utf-8"]),
        (["none"], ["none"]),
        (["aws-chunked"], ["aws-chunked"]),
        (["compress"], ["compress"]),
        (["gzip", "aws-chunked"], ["aws-chunked"]),
        (["\x1b" * 100], ["\x1b" * 100]),
        (["none"] * 5, ["none"] * 5),
    ],
)
def test_with_a_coding_that_is_not_known_the_bytes_stay(codings: list[str], names: list[str]) -> None:
    """Fetch §4.6, "handle content codings": if the coding is not supported, return the bytes."""
    body = gzip.compress(TEXT, mtime=0)
    assert decode(body, codings, len(body)) == body
    assert preview(body, codings, 10) == (body[:10], True)
    assert (unknown(codings), to_undo(codings)) == (names, [])
    with pytest.raises(JudgementError, match="larger than"):
        decode(body, codings, len(body) - 1)


def test_bytes_after_the_last_gzip_member_are_ignored() -> None:
    assert decode(gzip.compress(b"x") + b"\0" * 100, ["gzip"], 10) == b"x"


def bomb(name: str) -> bytes:
    """256 MiB of zeros, compressed into less than a megabyte."""
    block = bytes(1 << 20)
    if name == "br":
        compressor = brotli.Compressor(quality=1, lgwin=18)
        return b"".join(compressor.process(block) for _ in range(256)) + bytes(compressor.finish())
    if name == "zstd":
        stream = zstd.ZstdCompressor()
        return b"".join(stream.compress(block) for _ in range(256)) + stream.flush()
    once = zlib.compressobj(9, wbits=31)
    return b"".join(once.compress(block) for _ in range(256)) + once.flush()


@pytest.mark.parametrize("name", ["gzip", "zstd", "br"])
def test_a_bomb_costs_no_more_memory_than_the_cap(name: str) -> None:
    body = bomb(name)
    assert len(body) < 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(JudgementError, match="larger than"):
            decode(body, [name], 5_000_000)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_a_window_larger_than_a_content_coding_may_have_is_refused() -> None:
    stream = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    body = stream.compress(RANDOM * 60) + stream.flush()
    with pytest.raises(JudgementError, match="the body is not valid zstd"):
        decode(body, ["zstd"], 100_000_000)


def test_a_body_beyond_the_limit_has_its_own_code_for_every_assertion_that_reads_it_and_only_for_those() -> None:
    page = http(b"x" * 11)
    limits = replace(LIMITS, max_body_bytes=10)
    for assertion in (
        {"type": "body", "operator": "doesNotContain", "target": "y"},
        {"type": "bodyHash", "operator": "md5", "target": "a"},
        {"type": "body", "operator": "validatesJSONPath", "target": {"jsonPath": "$.a", "operator": "isUndefined"}},
    ):
        result = judged(page, assertion, limits)
        assert (result.valid, result.code) == (False, FailureCode.BODY_TOO_LARGE)
    assert judged(page, {"type": "statusCode", "operator": "is", "target": 200}, limits).valid
