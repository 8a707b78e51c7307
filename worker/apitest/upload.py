"""Bodies that hold files: one file as it is, and forms as multipart/form-data (RFC 7578), put together when a definition is read.

A file whose content the definition does not hold requires an update: exports name where the reference system keeps it, and nobody
else can read that. The boundary follows from the content, so that the same definition sends the same bytes.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode
from collections.abc import Sequence
from itertools import count
from typing import Final

from msgspec import Struct

from worker.apitest.reading import Node, perhaps, quote

MULTIPART: Final = "multipart/form-data"
OCTETS: Final = "application/octet-stream"
MOST_FILES: Final = 10
"""Files of one request, three times what the reference system's editor takes."""
MOST_FILE_BYTES: Final = 3 * 1024 * 1024
"""Bytes of one file, the reference system's limit."""

_BOUNDARY = re.compile(r""";[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]+)"|([^ \t;"]+))""", re.IGNORECASE)
_USABLE_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
"""RFC 2046 §5.1.1."""
_PLAIN = re.compile(r"[0-9A-Za-z_.-]+")
_NOT_BASE64 = re.compile(r"[^0-9A-Za-z+/]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UploadedFile(Struct, frozen=True, kw_only=True):
    """One member of `files`. *filename* is the name on its author's disk."""

    name: str
    filename: str
    media_type: str
    content: bytes


def read_files(node: Node) -> tuple[UploadedFile, ...]:
    """Read `files`; those whose content is missing are noted and left out."""
    items = node.items()
    if len(items) > MOST_FILES:
        node.mistake(f"must hold at most {MOST_FILES} files, not {len(items)}")
        return ()
    read = (_file(item.object(required=True)) for item in items)
    return tuple(file for file in read if file is not None)


def multipart(form: Sequence[tuple[str, str]], files: Sequence[UploadedFile], written: str = "") -> tuple[bytes, str]:
    """The body and its Content-Type. *written* is the author's own Content-Type, whose boundary is used if it can be."""
    parts = [(_disposition(name), value.encode()) for name, value in form]
    parts += [(_head_of(file), file.content) for file in files]
    boundary = _boundary(parts, _own_boundary(written))
    mark = b"--" + boundary.encode()
    blocks = [b"%s\r\n%s\r\n\r\n%s\r\n" % (mark, head.encode(), content) for head, content in parts]
    name = boundary if _PLAIN.fullmatch(boundary) else f'"{boundary}"'
    return b"".join((*blocks, mark, b"--\r\n")), f"{MULTIPART}; boundary={name}"


def is_multipart(content_type: str) -> bool:
    """Tell if a Content-Type says multipart/form-data, whatever its boundary."""
    return content_type.partition(";")[0].strip(" \t").lower() == MULTIPART


def _own_boundary(content_type: str) -> str | None:
    """The boundary that a Content-Type of multipart/form-data names, if it can be one."""
    if not is_multipart(content_type):
        return None
    found = _BOUNDARY.search(content_type)
    boundary = (found[1] or found[2]) if found else ""
    return boundary if _USABLE_BOUNDARY.fullmatch(boundary) else None


def _file(node: Node) -> UploadedFile | None:
    if not node.present:
        return None
    name, filename = node["name"].text() or "", node["originalFileName"].text() or ""
    media_type = node["type"].text() or ""
    if _CONTROL.search(media_type):
        node["type"].mistake("holds a line break or another control character")
    content = _content(node)
    if content is None:
        return None
    return UploadedFile(
        name=name or filename or "file", filename=filename or name or "file", media_type=media_type, content=content
    )


def _content(node: Node) -> bytes | None:
    content = node["content"].text()
    if not content and node["bucketKey"].label():
        node["bucketKey"].requires("the file itself is not in the definition, and only the reference system has it")
        return None
    if content is None:
        if not node["content"].present:
            node["content"].mistake("is missing")
        return None
    data = _decoded(node, content)
    if len(data) > MOST_FILE_BYTES:
        node["content"].mistake(f"must hold at most {MOST_FILE_BYTES:,} bytes, not {len(data):,}")
    return data


def _decoded(node: Node, content: str) -> bytes:
    encoding = node["encoding"].label()
    if encoding not in (None, "", "base64"):
        node["encoding"].requires(f"the encoding {quote(encoding)} is not known{perhaps(encoding, ('base64',))}")
    if encoding != "base64":
        return content.encode()
    try:
        return b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        node["content"].ignores("is not valid base64: what is not a digit of it is left out")
    digits = _NOT_BASE64.sub("", content.partition("=")[0].replace("-", "+").replace("_", "/"))
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return b64decode(digits + "=" * (-len(digits) % 4))


def _boundary(parts: Sequence[tuple[str, bytes]], wanted: str | None) -> str:
    """*wanted*, or one that follows from the content, which does not hold it."""
    digest = hashlib.sha256()
    for head, content in parts:
        digest.update(b"%d,%d:" % (len(head), len(content)) + head.encode())
        digest.update(content)
    base = digest.hexdigest()[:32]
    candidates = (f"----synthetics{base}{number or ''}" for number in count())
    if wanted is not None and not _holds(parts, wanted):
        return wanted
    return next(each for each in candidates if not _holds(parts, each))


def _holds(parts: Sequence[tuple[str, bytes]], boundary: str) -> bool:
    return any(boundary.encode() in content for _, content in parts)


def _head_of(file: UploadedFile) -> str:
    head = f'{_disposition(file.name)}; filename="{_escaped(file.filename)}"'
    return f"{head}\r\nContent-Type: {file.media_type or OCTETS}"


def _disposition(name: str) -> str:
    return f'Content-Disposition: form-data; name="{_escaped(name)}"'


def _escaped(name: str) -> str:
    """A name as browsers write it (HTML, multipart/form-data encoding algorithm)."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
