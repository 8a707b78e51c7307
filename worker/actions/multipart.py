"""The fields of a multipart/form-data answer (RFC 7578, RFC 2046 section 5.1). Bounded and strict: what is cut is refused."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any, Final

MAX_PARTS: Final = 1000
MAX_HEAD: Final = 4096
"""Bytes of the header fields of one part."""
_BOUNDARY: Final = re.compile(r";\s*boundary=(?:\"([^\"\\]{1,70})\"|([!-~]{1,70}?))(?=\s*(?:;|$))", re.IGNORECASE)
_PARAMETER: Final = re.compile(r";\s*(name|filename)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]+))", re.IGNORECASE)


def fields_of(body: bytes, content_type: str) -> dict[str, list[Any]]:
    """Each field's values: a text, or a file as `{"filename", "contentType", "body"}` in base64. Raises ValueError."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("its content type names no boundary")
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("ascii")
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    if len(pieces) > MAX_PARTS + 2:
        raise ValueError(f"it has more than {MAX_PARTS} parts")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("it has no end")
    fields: dict[str, list[Any]] = {}
    for piece in pieces[1:-1]:
        name, value = _part(piece)
        fields.setdefault(name, []).append(value)
    return fields


def _part(piece: bytes) -> tuple[str, Any]:
    """The name and the value of what stands between two delimiters. Raises ValueError."""
    head, separator, content = piece.partition(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    if not separator or line.strip(b" \t") or len(head) > MAX_HEAD:
        raise ValueError("a part has no header fields")
    named = {
        key.strip().lower(): value.strip()
        for key, _, value in (one.partition(":") for one in _text(rest).split("\r\n"))
    }
    kind, _, _ = (disposition := named.get("content-disposition", "")).partition(";")
    about = {key.lower(): _unquoted(quoted) or bare for key, quoted, bare in _PARAMETER.findall(disposition)}
    if kind.strip().lower() != "form-data" or "name" not in about:
        raise ValueError("a part has no name")
    if "filename" not in about and not named.get("content-type", "text/").lower().startswith("text/"):
        about["filename"] = ""
    if "filename" not in about:
        return about["name"], _text(content)
    file = {"filename": about["filename"], "contentType": named.get("content-type", "application/octet-stream")}
    return about["name"], file | {"body": b64encode(content).decode()}


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
