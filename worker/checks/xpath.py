"""XPath 1.0 over XML and HTML bodies, by lxml. Fetches nothing: no DTD, no entity from outside, no network.

Options that look harmless are left alone on purpose: `collect_ids=False` makes libxml2 load external DTDs, and EXSLT's regular
expressions are Python's, without a limit. lxml has no time-out: this belongs in a process that can be killed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lxml import etree

from worker.checks import charset
from worker.checks.evidence import Evidence
from worker.checks.judgement import JudgementError
from worker.checks.limits import MAX_PATH
from worker.checks.values import JSON

_EXSLT = "http://exslt.org/"
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
    """The document of the text at which every other assertion looks too; in UTF-8: libxml2's own converters may need files."""
    text = evidence.text().encode()
    if charset.is_html(evidence.body(), evidence.content_type()):
        parser: Any = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
        return _parsed(text, parser, "HTML")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
    )
    return _parsed(text, parser, "XML")


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
