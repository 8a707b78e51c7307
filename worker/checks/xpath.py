"""XPath 1.0 over XML and HTML bodies, by lxml. Fetches nothing: no DTD, no entity from outside, no network.

Options that look harmless are left alone on purpose: `collect_ids=False` makes libxml2 load external DTDs, and EXSLT's regular
expressions are Python's, without a limit. lxml has no time-out: this belongs in a process that can be killed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from lxml import etree

from worker.checks import charset
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_PATH
from worker.checks.values import JSON

_EXSLT = "http://exslt.org/"
_DECLARATION = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")
_META = re.compile(rb"""<meta[^>]*?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]+)""", re.IGNORECASE)
_SNIFFED = 1024
"""Bytes in which a document declares its encoding (HTML, "prescan a byte stream"; an XML declaration comes first of all)."""
_STRING = etree.XPath("string()", smart_strings=False, regexp=False)


def select(expression: str, evidence: Evidence) -> list[JSON]:
    """The result of *expression*: nodes as text, in document order; or one number, text or boolean. Raises JudgementError."""
    if len(expression) > MAX_PATH:
        raise JudgementError(f"the XPath has {len(expression)} characters, more than {MAX_PATH}")
    root = evidence.once("xml", lambda: _document(evidence))
    try:
        result = _compiled(expression, _namespaces(root))(root)
    except (etree.XPathError, etree.LxmlError, TypeError, ValueError) as error:
        raise JudgementError(f"this XPath cannot be evaluated: {error}") from error
    except MemoryError as error:
        raise JudgementError("the XPath needs more memory than an assertion may use") from error
    return [_value(node) for node in result] if isinstance(result, list) else [_value(result)]


@lru_cache(maxsize=128)
def _compiled(expression: str, namespaces: tuple[tuple[str, str], ...]) -> etree.XPath:
    return etree.XPath(expression, namespaces=dict(namespaces), smart_strings=False, regexp=False)


def _namespaces(root: etree._Element) -> tuple[tuple[str, str], ...]:
    """The prefixes of the root element, so that an expression can use the document's own; never those of extensions."""
    pairs = ((prefix, uri) for prefix, uri in root.nsmap.items() if prefix and not uri.startswith(_EXSLT))
    return tuple(sorted(pairs))


def _value(node: Any) -> JSON:
    if isinstance(node, str | float | bool):
        return node
    if isinstance(node, tuple):  # a namespace node: prefix and URI
        return str(node[1])
    return str(_STRING(node))


def _document(evidence: Evidence) -> etree._Element:
    body, content_type = evidence.body(), evidence.content_type()
    if _is_html(body, content_type):
        parser: Any = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
        return _parsed(_as_utf8(body, content_type, _META), parser, "HTML")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
    )
    return _parsed(_as_utf8(body, content_type, _DECLARATION), parser, "XML")


def _as_utf8(body: bytes, content_type: str, declaration: re.Pattern[bytes]) -> bytes:
    """The document in UTF-8: its own converters may need files. The content type wins over what the document declares."""
    if charset.declared(content_type) is None:
        found = declaration.search(body[:_SNIFFED])
        if found is not None:
            content_type = f"text/plain; charset={found.group(1).decode('latin-1')}"
    return charset.decode(body, content_type).encode()


def _parsed(body: bytes, parser: Any, kind: str) -> etree._Element:
    if not body.strip():
        raise JudgementError(f"the body is empty, not {kind}")
    try:
        root: etree._Element | None = etree.fromstring(body, parser)
    except (etree.LxmlError, ValueError, AssertionError) as error:
        raise JudgementError(f"the body is not valid {kind}: {error}") from error
    if root is None:
        raise JudgementError(f"the body is not valid {kind}: it has no element")
    return root


def _is_html(body: bytes, content_type: str) -> bool:
    """By the content type where it says, else by how the body begins."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence == "text/html":
        return True
    if essence.endswith(("/xml", "+xml")):
        return False
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))
