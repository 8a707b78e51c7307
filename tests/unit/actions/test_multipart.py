"""multipart/form-data as aiohttp and the browsers' algorithm write it, and what is no such thing."""

from __future__ import annotations

from base64 import b64decode
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.actions.multipart import MAX_HEAD, MAX_PARTS, fields_of

KIND = "multipart/form-data; boundary=b"


def body(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\n1'


def written(parts: list[tuple[str, bytes, bool]]) -> tuple[bytes, str]:
    """As Python's own `email` writes it."""
    message = EmailMessage()
    message["Content-Type"] = "multipart/form-data"
    for name, content, is_file in parts:
        part = EmailMessage()
        part["Content-Disposition"] = f'form-data; name="{name}"' + ('; filename="f.bin"' if is_file else "")
        part["Content-Type"] = "application/octet-stream" if is_file else "text/plain; charset=utf-8"
        part["Content-Transfer-Encoding"] = "binary"
        part._payload = content.decode("latin-1")  # type: ignore[attr-defined]
        message.attach(part)
    message.set_boundary("frontier")
    lines = [f"--frontier\r\n{_head(part)}\r\n\r\n{part._payload}\r\n" for part in message.iter_parts()]  # type: ignore[attr-defined]
    return ("".join(lines) + "--frontier--\r\n").encode("latin-1"), message["Content-Type"]


def _head(part: Any) -> str:
    return "\r\n".join(f"{name}: {value}" for name, value in part.items())


names = st.text("abcxyz_-", min_size=1, max_size=10)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(str.encode)


@given(st.lists(st.tuples(names, texts, st.booleans()), max_size=6))
def test_what_email_writes_comes_back(parts: list[tuple[str, bytes, bool]]) -> None:
    content, kind = written(parts)
    expected: dict[str, list[bytes]] = {}
    for name, value, _ in parts:
        expected.setdefault(name, []).append(value)
    if any(b"\r\n--frontier" in value for _, value, _ in parts):
        return
    found = fields_of(content, kind)
    plain = {
        name: [b64decode(one["body"]) if isinstance(one, dict) else one.encode() for one in values]
        for name, values in found.items()
    }
    assert plain == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (body(FIELD, FIELD), {"a": ["1", "1"]}),
        (b"preamble\r\n" + body(FIELD) + b"epilogue", {"a": ["1"]}),
        (body(b'content-disposition: FORM-DATA; NAME=a\r\n\r\n'), {"a": [""]}),
        (body(b'Content-Disposition: form-data; name="a\\"b"\r\n\r\nx'), {'a"b': ["x"]}),
        (body(b'Content-Disposition: form-data; filename="n"; name="a"\r\n\r\nx'),
         {"a": [{"filename": "n", "contentType": "application/octet-stream", "body": "eA=="}]}),
        (body(b'Content-Disposition: form-data; name="a"\r\nContent-Type: image/png\r\n\r\nx'),
         {"a": [{"filename": "", "contentType": "image/png", "body": "eA=="}]}),
        (b"--b--", {}),
    ],
    ids=["twice", "around", "case", "quoted", "file", "image", "empty"],
)  # fmt: skip
def test_fields_and_files(content: bytes, expected: dict[str, Any]) -> None:
    if expected.get("a") == ["1\r\n--bb"]:
        with pytest.raises(
            ValueError, match="no header fields"
        ):  # RFC 2046: a delimiter must not be a prefix of content
            fields_of(content, KIND)
        return
    assert fields_of(content, KIND) == expected


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (body(FIELD), "multipart/form-data", "names no boundary"),
        (body(FIELD), f"multipart/form-data; boundary={'x' * 71}", "names no boundary"),
        (b"--b\r\n" + FIELD, KIND, "no end"),
        (b"", KIND, "no end"),
        (body(b"x"), KIND, "no header fields"),
        (body(FIELD + b"\r\n--bb"), KIND, "no header fields"),
        (body(b"Content-Disposition: form-data\r\n\r\nx"), KIND, "no name"),
        (body(b'Content-Disposition: attachment; name="a"\r\n\r\nx'), KIND, "no name"),
        (body(b"X: " + b"y" * MAX_HEAD + b"\r\n\r\n"), KIND, "no header fields"),
        (body(*[FIELD] * (MAX_PARTS + 1)), KIND, "more than 1000 parts"),
    ],
)
def test_what_is_cut_or_without_bound_is_refused(content: bytes, kind: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fields_of(content, kind)
