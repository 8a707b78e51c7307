"""XPath over XML and HTML: every operator, what decides the parser, and that nothing outside the body is ever read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.definitions import xpath
from tests.support.observed import http, judged
from tests.unit.checks.listener import Listener

FEED = b"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns:m="http://example.org/m" version="2.0">
  <title>Daily \xc3\xa9dition</title>
  <entry id="1"><price>9.5</price><m:tag>x</m:tag></entry>
  <entry id="2"><price>20</price></entry>
  <empty/>
</feed>"""
XML = http(FEED, "application/xml")
XHTML = b"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://127.0.0.1:9/xhtml1-strict.dtd">
<html><p>&nbsp;<b>x</b></p></html>"""
PAGE = http(
    b"<!DOCTYPE html><html><head><title>Shop</title></head><body><p class=lead>Hello <b>you</b><p>Bye</body></html>",
    "text/html; charset=utf-8",
)


@pytest.mark.parametrize(
    ("observation", "assertion", "actual"),
    [
        (XML, xpath("//title", "is", "Daily édition"), "Daily édition"),
        (XML, xpath("//title", "isNot", "x"), "Daily édition"),
        (XML, xpath("//title/text()", "contains", "édition"), "Daily édition"),
        (XML, xpath("//entry[2]/price", "is", "20"), "20"),
        (XML, xpath("//entry/@id", "is", 1), "1"),
        (XML, xpath("//price", "doesNotContain", "x"), "9.5"),
        (XML, xpath("//price", "matches", "^\\d+\\.\\d$"), "9.5"),
        (XML, xpath("//price", "doesNotMatch", "[a-z]"), "9.5"),
        (XML, xpath("//price", "lessThan", 10), "9.5"),
        (XML, xpath("sum(//price)", "is", "29.5"), 29.5),
        (XML, xpath("count(//entry)", "is", "2"), 2.0),
        (XML, xpath("count(//entry)", "moreThanOrEqual", 2), 2.0),
        (XML, xpath("number(//title)", "is", "NaN"), "NaN"),
        (XML, xpath("boolean(//entry)", "is", "true"), True),
        (XML, xpath("string(//price)", "is", "9.5"), "9.5"),
        (XML, xpath("//m:tag", "is", "x"), "x"),
        (XML, xpath("//*[local-name()='tag']", "is", "x"), "x"),
        (XML, xpath("//empty", "is", ""), ""),
        (XML, xpath("//missing", "isUndefined"), None),
        (XML, xpath("/feed/namespace::m", "contains", "example.org"), "http://example.org/m"),
        (PAGE, xpath("//title", "is", "Shop"), "Shop"),
        (PAGE, xpath("//p[@class='lead']", "is", "Hello you"), "Hello you"),
        (PAGE, xpath("count(//p)", "is", 2), 2.0),
        (http(FEED, None), xpath("count(//entry)", "is", 2), 2.0),
        (http(b"<a>1</a>", "text/plain"), xpath("/a", "is", 1), "1"),
        (http(b"  <html><body>1", None), xpath("//body", "is", 1), "1"),
        (http(b"<a>\xe9</a>", "text/xml; charset=iso-8859-1"), xpath("/a", "is", "é"), "é"),
        (http(b"<?xml version='1.0' encoding='latin1'?><a>\xe9</a>", "text/xml"), xpath("/a", "is", "é"), "é"),
        (
            http("<?xml version='1.0' encoding='utf-16'?><a>Ж</a>".encode("utf-16"), "text/xml"),
            xpath("/a", "is", "Ж"),
            "Ж",
        ),
        (http("<a>Ж</a>".encode("utf-16-be"), "text/xml; charset=utf-16be"), xpath("/a", "is", "Ж"), "Ж"),
        (http("<p>日本".encode("shift-jis"), "text/html; charset=shift_jis"), xpath("//p", "is", "日本"), "日本"),
        (http("<p>é".encode(), "text/html; charset=iso-8859-1"), xpath("//p", "is", "Ã©"), "Ã©"),
        (http(b"<?xml version='1.0' encoding='nowhere'?><a>\xc3\xa9</a>", "text/xml"), xpath("/a", "is", "é"), "é"),
        (http("<p>é".encode(), "text/html"), xpath("//p", "is", "é"), "é"),
        (http(b"<meta charset=latin1><p>\xe9", "text/html"), xpath("//p", "is", "é"), "é"),
        (
            http(b"<html xmlns='http://www.w3.org/1999/xhtml'/>", "application/xhtml+xml"),
            xpath("//html", "isUndefined"),
            None,
        ),
        (http(XHTML, "application/xhtml+xml"), xpath("//p/b", "is", "x"), "x"),
    ],
)
def test_an_xpath_that_satisfies(observation: Any, assertion: dict[str, Any], actual: object) -> None:
    result = judged(observation, assertion)
    assert (result.valid, result.error_message, result.actual) == (True, None, actual)
    assert (result.operator, result.target_path) == ("validatesXPath", assertion["target"]["xPath"])


@pytest.mark.parametrize(
    ("assertion", "reason"),
    [
        (xpath("//title", "is", "x"), "the value at //title is 'Daily édition', not 'x'"),
        (xpath("//entry/@id", "isNot", "1"), "the value at //entry/@id is '1', which it must not be"),
        (xpath("//title", "contains", "x"), "the value at //title does not contain 'x'"),
        (xpath("//title", "doesNotContain", "D"), "the value at //title contains 'D'"),
        (xpath("//title", "matches", "^x"), "the value at //title does not match the pattern '^x'"),
        (xpath("//title", "doesNotMatch", "^D"), "the value at //title matches the pattern '^D'"),
        (xpath("//price", "moreThan", 10), "the value at //price is '9.5', not more than 10"),
        (xpath("//title", "isUndefined"), "//title is there"),
        (xpath("//missing", "isNot", "x"), "//missing finds nothing"),
        (xpath("//[", "is", "x"), "this XPath cannot be evaluated: Invalid expression"),
        (xpath("//x:y", "is", "x"), "this XPath cannot be evaluated: Undefined namespace prefix"),
        (xpath("document('/etc/passwd')", "is", "x"), "this XPath cannot be evaluated: Unregistered function"),
        (
            xpath("re:test(//title, '(a+)+b')", "is", "true"),
            "this XPath cannot be evaluated: Undefined namespace prefix",
        ),
        (xpath("$x", "is", "x"), "this XPath cannot be evaluated: Undefined variable"),
        (xpath("/" * 2001, "is", "x"), "the XPath has 2001 characters, more than 2000"),
        (xpath("a\x00", "is", "x"), "this XPath cannot be evaluated: All strings must be XML compatible"),
    ],
)
def test_an_xpath_that_does_not_says_why(assertion: dict[str, Any], reason: str) -> None:
    result = judged(XML, assertion)
    assert not result.valid
    assert result.error_message is not None
    assert result.error_message.startswith(reason)


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"", "text/xml", "the body is empty, not XML"),
        (b" ", "text/html", "the body is empty, not HTML"),
        (b"no markup", "text/xml", "the body is not valid XML: Start tag expected"),
        (b"<a>", "text/xml", "the body is not valid XML: "),
        (b"<a>" * 300 + b"</a>" * 300, "text/xml", "the body is not valid XML: Excessive depth in document"),
    ],
)
def test_a_body_that_is_no_document_satisfies_no_xpath(body: bytes, content_type: str, reason: str) -> None:
    result = judged(http(body, content_type), xpath("//a", "isUndefined"))
    assert not result.valid
    assert result.error_message is not None
    assert result.error_message.startswith(reason)


def test_extension_functions_stay_out_even_when_the_document_declares_their_namespace() -> None:
    body = b"<a xmlns:re='http://exslt.org/regular-expressions' xmlns:s='http://exslt.org/strings'>aaaa</a>"
    for expression in ("re:test(/a, 'a')", "re:match(/a, 'a')", "s:padding(1000000, 'x')"):
        result = judged(http(body, "text/xml"), xpath(expression, "is", "true"))
        assert not result.valid
        assert "Undefined namespace prefix" in str(result.error_message)


BOMBS = {
    "billion laughs": b"<!DOCTYPE l [<!ENTITY a0 'ha'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><l>&a9;</l>",
    "quadratic": b"<!DOCTYPE l [<!ENTITY a '" + b"x" * 50_000 + b"'>]><l>" + b"&a;" * 50_000 + b"</l>",
    "recursive": b"<!DOCTYPE l [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><l>&a;</l>",
    "parameter": b"<!DOCTYPE l [<!ENTITY % a '<!ENTITY b \"x\">'>%a;%a;%a;]><l>&b;</l>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_entities_are_not_expanded(name: str) -> None:
    result = judged(http(BOMBS[name], "text/xml"), xpath("string-length(/l)", "lessThan", 100_000))
    assert result.valid or str(result.error_message).startswith("the body is not valid XML")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary.txt"
    path.write_text("CANARY-4711")
    return path


EXTERNAL = [
    '<!DOCTYPE a [<!ENTITY e SYSTEM "{uri}">]><a>&e;</a>',
    '<!DOCTYPE a [<!ENTITY e PUBLIC "p" "{uri}">]><a b="x">&e;</a>',
    '<!DOCTYPE a SYSTEM "{uri}"><a>&e;</a>',
    '<!DOCTYPE a PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "{uri}"><a>&nbsp;</a>',
    '<!DOCTYPE a [<!ENTITY % p SYSTEM "{uri}"> %p;]><a>&e;</a>',
    '<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{uri}" parse="text"/></a>',
    '<?xml-stylesheet href="{uri}"?><a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="u {uri}"/>',
]


@pytest.mark.parametrize("body", EXTERNAL)
@pytest.mark.parametrize("content_type", ["text/xml", "text/html", "text/plain"])
def test_no_file_is_read_and_no_connection_made_for_a_document(body: str, content_type: str, canary: Path) -> None:
    listener = Listener()
    for uri in (
        canary.as_uri(),
        str(canary),
        f"http://127.0.0.1:{listener.port}/x",
        f"ftp://127.0.0.1:{listener.port}/x",
    ):
        result = judged(http(body.format(uri=uri).encode(), content_type), xpath("string(/*)", "contains", "CANARY"))
        assert not result.valid
        assert "CANARY-4711" not in str(result)
    assert listener.close() == 0
