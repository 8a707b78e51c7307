"""Bytes → text by the charset that a response declares, from a closed table: a label from outside chooses no codec of Python's.

Labels are those of the WHATWG Encoding standard; a codec of Python's stands for each encoding. The order is that of browsers: a
byte-order mark, Content-Type, then what an HTML or XML document declares itself. Otherwise a body that is valid UTF-8 is
UTF-8, and every other is windows-1252. Undecodable bytes become U+FFFD.
"""

from __future__ import annotations

import codecs
import re

from webencodings.labels import LABELS  # type: ignore[import-untyped]

_CODECS = {
    "utf-8": "utf-8",
    "ibm866": "cp866",
    "iso-8859-2": "iso8859-2",
    "iso-8859-3": "iso8859-3",
    "iso-8859-4": "iso8859-4",
    "iso-8859-5": "iso8859-5",
    "iso-8859-6": "iso8859-6",
    "iso-8859-7": "iso8859-7",
    "iso-8859-8": "iso8859-8",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-10": "iso8859-10",
    "iso-8859-13": "iso8859-13",
    "iso-8859-14": "iso8859-14",
    "iso-8859-15": "iso8859-15",
    "iso-8859-16": "iso8859-16",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "windows-874": "cp874",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
    "windows-1253": "cp1253",
    "windows-1254": "cp1254",
    "windows-1255": "cp1255",
    "windows-1256": "cp1256",
    "windows-1257": "cp1257",
    "windows-1258": "cp1258",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "euc-jp": "euc-jp",
    "iso-2022-jp": "iso2022-jp",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "utf-16be": "utf-16-be",
    "utf-16le": "utf-16-le",
    "replacement": "replacement",
    "x-user-defined": "x-user-defined",
}
"""The standard's encodings. Python has no codec for the last two (`_decoded`)."""
_OF_DATABASES = {"utf8mb4": "utf-8"}
"""Labels that are nobody's standard and are sent all the same."""
CODECS = {label: codec for label, name in LABELS.items() if (codec := _CODECS.get(name)) is not None} | _OF_DATABASES
"""Label in lower case → name of the codec."""

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_OF_OURS = frozenset(("replacement", "x-user-defined"))
_BUILT_IN = frozenset(("utf-8", "cp1252")) | _OF_OURS
_OF_DOCUMENTS = {"utf-16-le": "utf-8", "utf-16-be": "utf-8", "x-user-defined": "cp1252"}
"""Encodings that a document cannot declare itself, and those that it has then."""
_PRIVATE_USE = {byte: 0xF700 + byte for byte in range(0x80, 0x100)}
"""Encoding standard §14.5: x-user-defined, one character of the private use area for each byte above ASCII."""
_BLANKS = "\t\n\x0c\r "
"""The white space of the standard, around labels."""

_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)""")
_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([a-z0-9._:-]+)""")
_SNIFFED = 1024
"""Bytes in which a document declares its encoding (HTML, "prescan a byte stream"; an XML declaration comes first of all)."""


def declared(content_type: str) -> str | None:
    """The codec of a Content-Type's charset parameter (RFC 9110 §8.3.1), None where it has no known one."""
    if ";" not in content_type:
        return None
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return CODECS.get(value.strip().strip("\"'").strip(_BLANKS).lower())
    return None


def decode(body: bytes, content_type: str) -> str:
    """The text of *body*; a byte-order mark is not part of it."""
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    codec_name = _said(body, content_type)
    if codec_name is not None:
        return _decoded(body, codec_name)
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def without_cut_character(data: bytes) -> bytes:
    """*data* less the character of UTF-8 that its end cuts; all of it where it is not UTF-8."""
    try:
        return data[: codecs.utf_8_decode(data, "strict", False)[1]]  # noqa: FBT003 - not the last piece
    except UnicodeDecodeError:
        return data


def is_html(body: bytes, content_type: str) -> bool:
    """True for HTML by the content type where it says, else by how the body begins."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence == "text/html":
        return True
    if essence.endswith(("/xml", "+xml")):
        return False
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def is_built_in(body: bytes, content_type: str) -> bool:
    """True when the codec is built in: the first use of another one reads a module from disk."""
    return _said(body, content_type) in (None, *_BUILT_IN)


def load() -> None:
    """Make every codec of the table ready, for a process that will not be able to open files later."""
    for codec in set(CODECS.values()) - _OF_OURS:
        codecs.lookup(codec)


def _decoded(body: bytes, codec: str) -> str:
    if codec == "replacement":  # Encoding standard §14.1: an encoding that attacks are hidden in is not decoded
        return "\ufffd" if body else ""
    if codec == "x-user-defined":
        return body.decode("latin-1").translate(_PRIVATE_USE)
    return body.decode(codec, "replace")


def _said(body: bytes, content_type: str) -> str | None:
    """The codec by Content-Type, or else by the document itself.

    A document that says in ASCII that it is UTF-16 is UTF-8, and no document is x-user-defined (HTML, "prescan", 15 and 16).
    """
    codec = declared(content_type)
    if codec is not None:
        return codec
    start = body[:_SNIFFED]
    found = _of_meta(start.lower()) if is_html(body, content_type) else _DECLARATION.search(start)
    codec = None if found is None else CODECS.get(found.group(1).decode("ascii").lower())
    return _OF_DOCUMENTS.get(codec, codec) if codec else None


def _of_meta(start: bytes) -> re.Match[bytes] | None:
    """The first charset inside a `meta` tag of *start*, in lower case; not one pattern, whose work would be quadratic."""
    for found in _CHARSET.finditer(start):
        tag = start.rfind(b"<meta", 0, found.start())
        if tag >= 0 and start.find(b">", tag, found.start()) < 0:
            return found
    return None
