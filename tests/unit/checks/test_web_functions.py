"""Digests, HMAC and encodings of scripts: the same as in Node, and within bounds."""

from __future__ import annotations

import base64
import hmac

import pytest

from tests.support.node import answers_of_node, needs_node
from tests.support.observed import http, judged
from worker.checks.javascript.digests import Digester
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_DIGESTED

SIGNED = """
    const key = await crypto.subtle.importKey(
        "raw", new TextEncoder().encode("s\\u{e9}cret"), {name: "HMAC", hash: "SHA-256"}, false, ["sign"]);
    const signature = await crypto.subtle.sign({name: "HMAC"}, key, new TextEncoder().encode("2026-11-27.Hello, World!"));
"""

HEX = "const hex = (data) => [...new Uint8Array(data)].map((byte) => byte.toString(16).padStart(2, '0')).join('');"

VALUES = [
    "hex(new TextEncoder().encode('a\\u00e9\\u20ac\\u{1f600}\\ud800z'))",
    "new TextDecoder().decode(new TextEncoder().encode('a\\u00e9\\u20ac\\u{1f600}\\ud800z'))",
    *(
        f"new TextDecoder().decode(new Uint8Array({data}))"
        for data in (
            "[0xff, 0x61]",
            "[0xc3, 0x28]",
            "[0xe2, 0x82]",
            "[0xe0, 0x80, 0x80]",
            "[0xed, 0xa0, 0x80, 0x62]",
            "[0xf0, 0x9f, 0x98, 0x80]",
            "[0xf4, 0x90, 0x80, 0x80]",
            "[0xef, 0xbb, 0xbf, 0x61]",
            "[0xf0, 0x9f, 0x41]",
        )
    ),
    *(f"hex(await crypto.subtle.digest('{name}', new Uint8Array([1, 2])))" for name in ("SHA-1", "sha-256", "SHA-384")),
    "hex(await crypto.subtle.digest({name: 'SHA-512'}, new Uint8Array(300).buffer))",
    "hex(await crypto.subtle.digest('SHA-256', new Uint8Array([0, 1, 2, 3]).subarray(1, 3)))",
    "(await crypto.subtle.digest('SHA-256', new Uint8Array(0))).byteLength",
]


def logged(code: str) -> str | None:
    result = judged(http(), {"type": "javascript", "code": code})
    assert result.error_message is None
    return result.log


@needs_node
def test_values_are_those_of_node() -> None:
    in_node = answers_of_node(f"(async () => {{ {HEX} return [{', '.join(VALUES)}].map(String) }})()", [])
    assert [logged(f"{HEX} console.log(String({value}))") for value in VALUES] == in_node


MAC = hmac.digest("sécret".encode(), b"2026-11-27.Hello, World!", "sha256")


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("std.encoding.hex.encodeHex(signature)", MAC.hex()),
        ("std.encoding.base64.encode(signature)", base64.b64encode(MAC).decode()),
        ("std.encoding.base64url.encodeBase64Url(signature)", base64.urlsafe_b64encode(MAC).decode().rstrip("=")),
    ],
)
def test_a_signature_is_that_of_hmac(expression: str, written: str) -> None:
    assert logged(f"{SIGNED} console.log({expression})") == written


@pytest.mark.parametrize("size", range(6))
def test_encodings_lead_back(size: int) -> None:
    code = f"""
        const data = new Uint8Array([250, 251, 252, 253, 254].slice(0, {size})), {{hex, base64, base64url}} = std.encoding;
        dd.expect([...hex.decodeHex(hex.encodeHex(data))]).to.deep.equal([...data]);
        dd.expect([...base64.decode(base64.encode(data))]).to.deep.equal([...data]);
        dd.expect([...base64url.decode(base64url.encode(data))]).to.deep.equal([...data]);
        console.log(base64.encode(data));
    """
    assert logged(code) == (base64.b64encode(bytes([250, 251, 252, 253, 254][:size])).decode() or None)


def test_a_signature_is_verified() -> None:
    code = f"""{SIGNED.replace('["sign"]', '["sign", "verify"]')}
        const text = new TextEncoder().encode("2026-11-27.Hello, World!");
        console.log(await crypto.subtle.verify("HMAC", key, signature, text),
                    await crypto.subtle.verify("HMAC", key, signature, text.subarray(1)));
    """
    assert logged(code) == "true false"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "await crypto.subtle.digest('MD5', new Uint8Array(1))",
            "TypeError: the algorithm MD5 is not there: use SHA-1,",
        ),
        ("await crypto.subtle.digest('SHA-1', 'text')", "TypeError: the data must be an ArrayBuffer or a view of one"),
        (
            "await crypto.subtle.digest('SHA-1', new Uint8Array(2e6))",
            "RangeError: a digest is of at most 1048576 bytes",
        ),
        ("await crypto.subtle.sign('HMAC', {}, new Uint8Array(1))", "TypeError: the key was not imported"),
        (
            f"{SIGNED} await crypto.subtle.verify('HMAC', key, signature, signature)",
            "TypeError: the key was not imported to",
        ),
        ("await crypto.subtle.importKey('jwk', {})", "TypeError: the key format jwk is not there: use raw"),
        (
            "await crypto.subtle.importKey('raw', new Uint8Array(1), 'RSA', 1, [])",
            "TypeError: the algorithm RSA is not",
        ),
        ("new TextDecoder('latin1')", "RangeError: the encoding latin1 is not there: use utf-8"),
        ("std.encoding.hex.decodeHex('abc')", "TypeError: the text is not valid hex"),
        ("for (;;) await crypto.subtle.digest('SHA-1', new Uint8Array(5e5))", "the script has more than 8388608 bytes"),
        ("for (;;) await crypto.subtle.digest('SHA-1', new Uint8Array(0))", "the script "),
        ("Array.prototype.push = () => 1; await crypto.subtle.digest('SHA-1', new Uint8Array(1))", "the script waits"),
        (
            "JSON.stringify = String; Map.prototype.get = () => 1; crypto.subtle = null; throw 'still told'",
            "the script threw",
        ),
    ],
)
def test_what_is_not_there_or_too_much_fails_the_script(code: str, reason: str) -> None:
    assert (judged(http(), {"type": "javascript", "code": code}).error_message or "").startswith(reason)


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "[]",
        '{"0": 1}',
        '{"0": {"hash": "MD5", "key": null, "data": ""}}',
        '{"0": {"hash": "SHA-1", "data": ""}}',
        '{"0": {"hash": "SHA-1", "key": null, "data": "0"}}',
        '{"0": {"hash": "SHA-1", "key": "x", "data": ""}}',
    ],
)
def test_a_question_that_the_library_would_not_ask_is_not_answered(wanted: str) -> None:
    with pytest.raises(JudgementError, match="unable to ask"):
        Digester().answers(wanted)


def test_what_is_digested_is_bounded() -> None:
    digester = Digester()
    question = '{"0":{"hash":"SHA-1","key":null,"data":"' + "00" * (MAX_DIGESTED // 2) + '"}}'
    assert digester.answers("{}") is None
    assert digester.answers(question) is not None
    with pytest.raises(JudgementError, match="bytes digested"):
        digester.answers(question)
