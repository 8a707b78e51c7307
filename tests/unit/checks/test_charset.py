"""Bytes become text by a closed table of charsets, with a sane guess where nothing is declared."""

from __future__ import annotations

import codecs

import pytest
from webencodings.labels import LABELS  # type: ignore[import-untyped]

from tests.support.definitions import xpath
from tests.support.node import answers_of_node, needs_node
from tests.support.observed import http, judged
from worker.checks import charset

NOT_PYTHONS = {"replacement", "x-user-defined"}


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
        (b"a\x80\xff", "text/plain; charset=x-user-defined", "a\uf780\uf7ff"),
        (b"<meta charset=x-user-defined>\x80", "text/html", "<meta charset=x-user-defined>€"),
        (b"+ADw-script", "text/html; charset=iso-2022-kr", "\ufffd"),
        (b"", "text/html; charset=hz-gb-2312", ""),
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
    for codec in set(charset.CODECS.values()) - NOT_PYTHONS:
        assert codecs.lookup(codec)
        assert b"abc".decode(codec, "replace") or codec.startswith("utf-16")


def test_only_codecs_that_are_always_loaded_are_for_the_event_loop() -> None:
    assert charset.is_built_in(b"x", "text/plain")
    assert charset.is_built_in(b"x", "text/plain; charset=latin1")
    assert not charset.is_built_in(b"x", "text/plain; charset=big5")
    assert not charset.is_built_in(b"<meta charset=big5>", "text/html")
    assert charset.is_built_in(b"<meta charset=big5>", "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "page",
    [
        b"<html><body>charset=windows-1251 <p>\xe9",
        b"<html><meta name=x><p title='charset=windows-1251'>\xe9",
        b"<html>" + b" " * 1024 + b"<meta charset=windows-1251>\xe9",
        b"<html><!-- x --><meta charset=nowhere>\xe9",
    ],
)
def test_what_is_no_declaration_declares_nothing(page: bytes) -> None:
    assert charset.decode(page, "text/html").endswith("é")


def test_every_label_of_the_standard_is_known() -> None:
    assert len(LABELS) > 200
    assert set(LABELS) - set(charset.CODECS) == set()


SAMPLES = (
    "Grüße € ½",
    "Жук и ёж",
    "Ελληνικά",
    "日本語 テスト",
    "中文測試",
    "简体中文",
    "한국어",
    "שלום",
    "مرحبا",
    "Žluťoučký",
    "ไทย",
)


OWN = {
    "gb18030": "简体中文 日本語",
    "big5hkscs": "中文測試 日本語",
    "cp949": "한국어 日本語",
    "cp932": "日本語 テスト ①",
    "euc-jp": "日本語 テスト",
}
"""ICU differs from the standard beyond what these scripts' own pages hold (nodejs/node#40091)."""


@needs_node
def test_node_reads_the_same_under_every_label() -> None:
    """Whatever of these an encoding can say.

    Node knows no ISO-8859-16, and reads windows-1252 as ISO-8859-1 (nodejs/node#56542).
    """
    cases = []
    for label, codec in charset.CODECS.items():
        if label == "utf8mb4" or codec in ("iso8859-16", "cp1252", *NOT_PYTHONS):
            continue
        samples = [OWN[codec]] if codec in OWN else SAMPLES
        text = "".join(sample.encode(codec, "ignore").decode(codec) for sample in samples)
        cases.append((label, list(text.encode(codec))))
    by_node = answers_of_node(
        "cases.map(([label, bytes]) => new TextDecoder(label).decode(new Uint8Array(bytes)))", cases
    )
    ours = [charset.decode(bytes(octets), f"text/plain; charset={label}") for label, octets in cases]
    wrong = [(case[0], mine, theirs) for case, mine, theirs in zip(cases, ours, by_node, strict=True) if mine != theirs]
    assert wrong == []


@pytest.mark.parametrize(
    ("content_type", "page"),
    [
        ("text/html", b"<!DOCTYPE html><meta charset=windows-1251><p>\xc6\xf3\xea</p>"),
        ("text/html", b"<meta http-equiv=content-type content='text/html; charset=cp1251'><p>\xc6\xf3\xea</p>"),
        (None, b"<html><meta charset=x-cp1251><p>\xc6\xf3\xea</p></html>"),
        (
            "text/html; charset=nonsense",
            b"<meta charset=cswindows1251><p>x</p><p>\xc6\xf3\xea</p>".replace(b"cswindows", b"windows-"),
        ),
        ("application/xml", b"<?xml version='1.0' encoding='windows-1251'?><p>\xc6\xf3\xea</p>"),
        ("text/html; charset= Windows-1251 ", b"<meta charset=utf-8><p>\xc6\xf3\xea</p>"),
        ("text/html", "<meta charset=utf-16><p>Жук</p>".encode()),
    ],
)
def test_a_page_has_one_text_for_every_assertion(content_type: str | None, page: bytes) -> None:
    seen = http(page, content_type)
    assert judged(seen, xpath("//p[last()]", "is", "Жук")).valid
    assert judged(seen, {"type": "body", "operator": "contains", "target": "Жук</p>"}).valid
    assert judged(seen, {"type": "body", "operator": "matches", "target": "Жук"}).valid
