"""Bytes become text by a closed table of charsets, with a sane guess where nothing is declared."""

from __future__ import annotations

import codecs

import pytest

from worker.checks import charset


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain; charset=utf-8", "é"),
        ("é".encode(), 'text/plain; charset="UTF-8"', "é"),
        ("é".encode(), "text/plain;CHARSET=utf8", "é"),
        ("é".encode("latin-1"), "text/plain; charset=iso-8859-1", "é"),
        ("€".encode("cp1252"), "text/plain; charset=iso-8859-1", "€"),
        ("Жук".encode("koi8-r"), "text/plain; charset=koi8-r", "Жук"),
        ("日本".encode("shift-jis"), "text/html; charset=Shift_JIS", "日本"),
        ("日本".encode("euc-jp"), "text/html; charset=euc-jp", "日本"),
        ("中文".encode("gb18030"), "text/html; charset=gb2312", "中文"),
        ("한국".encode("euc-kr"), "text/html; charset=euc-kr", "한국"),
        ("é".encode("utf-16-le"), "text/plain; charset=utf-16", "é"),
        ("é".encode("utf-16-be"), "text/plain; charset=utf-16be", "é"),
        ("é".encode(), "", "é"),
        ("é".encode("latin-1"), "", "é"),
        (b"\xff\xfe" + "é".encode("utf-16-le"), "text/plain; charset=utf-8", "é"),
        (b"\xfe\xff" + "é".encode("utf-16-be"), "", "é"),
        (b"\xef\xbb\xbfx", "text/plain; charset=iso-8859-1", "x"),
        (b"\xff", "text/plain; charset=utf-8", "\ufffd"),
        (b"\x81", "", "\ufffd"),
        (b"abc", "text/plain; charset=", "abc"),
        (b"", "text/plain", ""),
    ],
)
def test_a_body_is_decoded_as_declared_or_guessed(body: bytes, content_type: str, text: str) -> None:
    assert charset.decode(body, content_type) == text


@pytest.mark.parametrize(
    "label", ["rot13", "zip", "base64", "idna", "punycode", "utf-7", "unicode_escape", "../x", "utf-8\0", "mbcs"]
)
def test_a_label_from_outside_chooses_no_codec_beyond_the_table(label: str) -> None:
    assert charset.decode(b"uryyb +AGE- \\u0061", f"text/plain; charset={label}") == "uryyb +AGE- \\u0061"


def test_every_codec_of_the_table_exists_and_decodes() -> None:
    charset.load()
    for codec in set(charset.CODECS.values()):
        assert codecs.lookup(codec)
        assert b"abc".decode(codec, "replace") or codec.startswith("utf-16")


def test_only_codecs_that_are_always_loaded_are_for_the_event_loop() -> None:
    assert charset.is_built_in("text/plain")
    assert charset.is_built_in("text/plain; charset=latin1")
    assert not charset.is_built_in("text/plain; charset=big5")
