"""Bytes → text by the charset that a response declares, from a closed table: a label from outside chooses no codec of Python's.

The table is the part of the WHATWG Encoding standard that servers still send. Without a label, or with an unknown one, a body
that is valid UTF-8 is UTF-8, and every other is windows-1252, as browsers have it. Undecodable bytes become U+FFFD.
"""

from __future__ import annotations

import codecs

_LABELS = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 utf8mb4",
    "cp1252": "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 latin1 l1 us-ascii ascii iso-ir-100",
    "iso8859-2": "iso-8859-2 latin2 l2",
    "iso8859-5": "iso-8859-5",
    "iso8859-7": "iso-8859-7",
    "iso8859-8": "iso-8859-8",
    "iso8859-9": "iso-8859-9 latin5 l5 windows-1254 cp1254",
    "iso8859-15": "iso-8859-15 latin9 latin-9",
    "cp1250": "windows-1250 cp1250",
    "cp1251": "windows-1251 cp1251",
    "cp1253": "windows-1253 cp1253",
    "cp1255": "windows-1255 cp1255",
    "cp1256": "windows-1256 cp1256",
    "cp1257": "windows-1257 cp1257",
    "cp1258": "windows-1258 cp1258",
    "koi8-r": "koi8-r koi8",
    "koi8-u": "koi8-u",
    "gb18030": "gb18030 gbk gb2312 x-gbk",
    "big5hkscs": "big5 big5-hkscs",
    "euc-jp": "euc-jp x-euc-jp",
    "iso2022-jp": "iso-2022-jp",
    "cp932": "shift_jis shift-jis sjis windows-31j x-sjis ms932",
    "cp949": "euc-kr ks_c_5601-1987 windows-949",
    "utf-16-le": "utf-16 utf-16le",
    "utf-16-be": "utf-16be",
}
CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
"""Label in lower case → name of the codec."""

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_BUILT_IN = frozenset(("utf-8", "cp1252"))


def declared(content_type: str) -> str | None:
    """The codec of a Content-Type's charset parameter (RFC 9110 §8.3.1), None where it has no known one."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return CODECS.get(value.strip().strip("\"'").lower())
    return None


def decode(body: bytes, content_type: str) -> str:
    """The text of *body*; a byte-order mark wins over the label and is not part of the text."""
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    codec_name = declared(content_type)
    if codec_name is not None:
        return body.decode(codec_name, "replace")
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def is_built_in(content_type: str) -> bool:
    """True when the codec is built in: the first use of another one reads a module from disk."""
    return declared(content_type) in (None, *_BUILT_IN)


def load() -> None:
    """Make every codec of the table ready, for a process that will not be able to open files later."""
    for codec in _LABELS:
        codecs.lookup(codec)
