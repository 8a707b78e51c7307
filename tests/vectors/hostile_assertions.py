"""Assertions and bodies that try to take more time, memory, files or network than an assertion may have.

Data, not code under test: each attack names what has to come of it. `FILE` and `URL` stand for a file that nobody may read
and an address at which nobody may call; who runs the attacks puts real ones in their place.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import brotli  # type: ignore[import-untyped]
from backports import zstd

from worker.apitest.assertion import (
    Assertion,
    BodyHashAssertion,
    Comparison,
    Elements,
    JavaScriptAssertion,
    JSONPathAssertion,
    JSONSchemaAssertion,
    Operator,
    Subject,
    XPathAssertion,
)
from worker.apitest.observation import Observation
from worker.apitest.responses.http import HTTPResponse
from worker.outcome.phases import Timings

FILE = "file:///FILE"
URL = "http://URL"

HOLDS, TIMEOUT, MEMORY = "holds", "TIMEOUT", "needs more memory"
"""What may come of an attack is a pattern over `holds`, `TIMEOUT`, and, for the rest, the reason that the result gives."""

MEGABYTES_5 = 4_900_000
"""Just below the default cap."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str
    assertion: Assertion
    body: Callable[[], bytes]
    expect: str
    content_type: str = "text/plain"
    codings: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def observation(self) -> Observation:
        """What a prober would have seen of it."""
        response = HTTPResponse(
            url="http://127.0.0.1/",
            status=200,
            http_version="1.1",
            headers=(("content-type", self.content_type), *self.headers),
            body=self.body(),
            content_encodings=self.codings,
        )
        return Observation(timings=Timings(), response=response)


def whole(text: str | bytes) -> Callable[[], bytes]:
    return lambda: text if isinstance(text, bytes) else text.encode()


@cache
def five_megabytes(unit: bytes, end: bytes = b"", start: bytes = b"") -> bytes:
    return start + unit * (MEGABYTES_5 // len(unit)) + end


def large(unit: str, end: str = "", start: str = "") -> Callable[[], bytes]:
    return lambda: five_megabytes(unit.encode(), end.encode(), start.encode())


# Patterns

A40 = whole("a" * 40 + "!")
LONG_WORD = whole("a" * 5_000 + "!")

PATTERNS: tuple[tuple[str, str, Callable[[], bytes], str], ...] = (
    ("nested plus", "^(a+)+$", A40, TIMEOUT),
    ("overlapping alternatives", "^(a|aa)+$", LONG_WORD, TIMEOUT),
    ("optional in a loop", "^(a|a?)+$", A40, TIMEOUT),
    ("two pluses in a plus", "(x+x+)+y", whole("x" * 60), TIMEOUT),
    ("class and dot", "^(([a-z])+.)+[A-Z]([a-z])+$", whole("a" * 60), TIMEOUT),
    ("star of star", "^(.*)*=$", whole("x" * 60), TIMEOUT),
    ("star of star and a reference", r"^(a*)*\1b", A40, TIMEOUT),
    ("inside a lookahead", "^(?=(a+)+$)", A40, TIMEOUT),
    ("inside a negative lookahead", "^(?!(a+)+$)a", A40, TIMEOUT),
    ("inside a lookbehind", "(?<=^(a+)+)!$", whole("b" + "a" * 40 + "!"), TIMEOUT),
    ("named groups", r"^(?<w>(?:\w+\s?)+)=\k<w>$", whole("a" * 50), TIMEOUT),
    ("an e-mail check", r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}$", A40, TIMEOUT),
    ("optional and required, thirty of each", "^(?:a?){30}a{30}$", whole("a" * 29), TIMEOUT),
    ("a URL check", r"^(https?:\/\/)?([\da-z\.-]+)*\/?$", whole("a" * 50 + "!"), TIMEOUT),
    ("lazy in greedy", "^(?:.+?)+=", whole("x" * 50), TIMEOUT),
    ("case folding", "^(?:[aA]+)+$", A40, TIMEOUT),
    ("spaces before the end, on 5 MB", r"\s+$", large(" ", "x"), TIMEOUT),
    ("words before the end, on 5 MB", r"\w+$", large("a", "!"), TIMEOUT),
    ("two stars, on 5 MB", ".*.*=.*", large("x"), TIMEOUT),
    ("a star and a letter, on 5 MB", "a*b", large("a"), TIMEOUT),
    ("eleven lazy fields, on 5 MB", "(?:.*?,){11}P$", large("1,"), TIMEOUT),
    ("a reference, on 5 MB", r"(a+)\1b", large("a"), TIMEOUT),
    ("counted repeats, on 5 MB", r"[^]{0,50000}[^]{0,50000}y", large("x"), TIMEOUT),
    ("a lookahead at each place, on 5 MB", "(?=x*y)", large("x"), TIMEOUT),
    ("five thousand open groups", "(" * 4_900 + "a" + ")" * 4_900, A40, "JavaScript regular expression"),
    ("two thousand quantified groups", "(?:" * 1_900 + "a" + ")*" * 1_900, A40, "regular expression|TIMEOUT"),
    ("repeats of repeats", "(?:(?:(?:(?:x{1000}){1000}){1000}){1000}){1000}", A40, "does not match|TIMEOUT|expression"),
    ("ten million repeats", "x{10000000}", A40, "does not match|TIMEOUT|expression"),
    ("ten million optional repeats", "(?:a?){10000000}b", A40, "does not match|TIMEOUT"),
    ("two thousand words", "|".join(f"a{n}" for n in range(1_600)) + "|z", large("a"), TIMEOUT),
    ("two thousand ranges", "^[" + "".join(f"{chr(0x4E00 + 4 * n)}-{chr(0x4E02 + 4 * n)}" for n in range(2_000)) + "]+$",
     A40, "does not match|TIMEOUT"),
    ("five thousand captures", "()" * 5_000, A40, "expression"),
    ("a pattern beyond its bound", "a" * 10_001, A40, "more than 10000"),
    ("no pattern", "(?<x", A40, "expression"),
    ("memory by backtracking, on 5 MB", "(?:(a)|b|c)*d", large("abc"), f"does not match|TIMEOUT|{MEMORY}"),
)  # fmt: skip

# JSONPath

FLAT = "[" + ",".join(f'{{"a":{n},"b":"x"}}' for n in range(40_000)) + "]"
DEEP = '{"a":' * 900 + "1" + "}" * 900
WORDS = '["' + "a" * 40 + '!"]'


def every(length: int) -> Callable[[], bytes]:
    return whole("[" + ",".join(f'"{"a" * 22}{n}!"' for n in range(length)) + "]")


JSON_PATHS: tuple[tuple[str, str, Callable[[], bytes], str], ...] = (
    ("twice everything below", "$..*..*", whole(FLAT), TIMEOUT),
    ("thrice everything below, deep", "$..*..*..*", whole(DEEP), TIMEOUT),
    ("four times, by name", "$..a..a..a..a", whole(DEEP), TIMEOUT),
    ("everything below, on 5 MB", "$..*", large("[[[[1]]]],", "1]", "["), TIMEOUT),
    ("a filter in a filter", "$..[?(@..a)]..[?(@..a)]", whole(DEEP), TIMEOUT),
    ("a text, a billion times", "$.s * 1000000000", whole('{"s": "abc"}'), MEMORY),
    ("a list, a hundred million times", "$.l * 100000000", whole('{"l": [1, 2, 3]}'), f"{MEMORY}|{TIMEOUT}"),
    ("a number to be divided by nothing", "$.n / 0", whole('{"n": 1}'), "not a valid JSONPath|cannot be evaluated"),
    ("a pattern of Python's", '$[?(@ =~ "^(a+)+$")]', whole(WORDS), TIMEOUT),
    ("a pattern in sub()", "$[0].`sub(/^(a+)+$/, b)`", whole(WORDS), TIMEOUT),
    ("a pattern in match()", "$[?match(@, '(a+)+')]", whole(WORDS), f"{TIMEOUT}|finds nothing"),
    ("a pattern in search()", "$[?search(@, '^(a|aa)+$')]", whole(WORDS), f"{TIMEOUT}|finds nothing"),
    ("sorting unlike things", "$.l.`sorted`", whole('{"l": [1, "a", null, {}]}'), "cannot be evaluated|finds|is not"),
    ("a slice of a billion", "$[0:1000000000:1].a", whole(FLAT), "is 0, not|TIMEOUT"),
    ("an index beyond all integers", "$[99999999999999999999999999]", whole(FLAT), "JSONPath|finds nothing"),
    (
        "nine hundred parentheses",
        "$[?" + "(" * 900 + "@.a" + ")" * 900 + "]",
        whole(FLAT),
        "JSONPath|TIMEOUT|not 'one'",
    ),
    ("six hundred steps", "$" + "..*" * 600, whole(DEEP), f"{TIMEOUT}|JSONPath"),
    ("a path beyond its bound", "$." + "a" * 2_001, whole("{}"), "more than 2000|finds nothing"),
    ("no path", "$[", whole("{}"), "not a valid JSONPath"),
)

JSON_DOCUMENTS: tuple[tuple[str, Callable[[], bytes], str], ...] = (
    ("a hundred thousand arrays deep", whole("[" * 100_000 + "]" * 100_000), "more than 2500 levels"),
    ("a million objects deep", whole('{"a":' * 800_000 + "1"), "more than 2500 levels"),
    ("a million members", large('"a":1,', '"a":2}', "{"), "is 2, not|TIMEOUT"),
    ("two million elements", large("1,", "1]", "["), "finds nothing|TIMEOUT"),
    ("arrays of arrays", large("[[[[1]]]],", "1]", "["), "finds nothing|TIMEOUT"),
    (
        "a number of a million digits",
        whole('{"a":' + "9" * 1_000_000 + "}"),
        "is Infinity|TIMEOUT",
    ),
    ("a number with a vast exponent", whole('{"a":1e999999999}'), "is Infinity"),
    ("a fraction of a million digits", whole('{"a":0.' + "3" * 1_000_000 + "}"), "is 0.3"),
    ("half a surrogate pair", whole('{"a":"\\ud800"}'), "not valid JSON|is "),
    ("no UTF-8", whole(b'{"a":"\xff\xfe\xfa"}'), "is "),
    ("not a number", whole('{"a":NaN}'), "not valid JSON"),
    ("an unfinished string of 5 MB", large("a", "", '{"a":"'), "not valid JSON"),
    ("escapes only", large("\\u0061", '"}', '{"a":"'), "is "),
)

# XPath and XML

NODES = large("<a/>", "</r>", "<r>")
TEXT = large("x", "</r>", "<r>")
BRANCHES = large("<a>" * 200 + "</a>" * 200, "</r>", "<r>")

XPATHS: tuple[tuple[str, str, Callable[[], bytes], str], ...] = (
    ("all nodes for each node", "count(//*[count(//*)>0])", NODES, TIMEOUT),
    ("a text, nine hundred times", "string-length(concat(" + ",".join(["/"] * 900) + "))", TEXT, f"{TIMEOUT}|memory|cannot"),
    ("all that follows each node", "count(//*[following::*])", NODES, TIMEOUT),
    ("before and after", "count(//*[preceding::*[following::*[preceding::*]]])", NODES, TIMEOUT),
    ("ancestors of descendants", "count(//*/descendant::*/ancestor::*/descendant::*/ancestor::*)", BRANCHES, TIMEOUT),
    ("predicates in predicates", "//a[//a[//a[//a[//a='y']]]]", NODES, f"{TIMEOUT}|finds nothing"),
    ("texts of all for each", "//a[contains(string(/), 'y')]", large("<a>x</a>", "</r>", "<r>"), TIMEOUT),
    ("translate a translation", "string-length(" + "translate(" * 80 + "/" + ",'x','xx')" * 80 + ")", TEXT, f"{TIMEOUT}|is "),
    ("nine hundred parentheses", "(" * 900 + "1" + ")" * 900, whole("<r/>"), "XPath|is 1"),
    ("a union of four hundred", "count(" + "|".join(["//*"] * 400) + ")", NODES, TIMEOUT),
    ("EXSLT's patterns", "re:test(string(/), '^(a+)+$')",
     whole(f'<r xmlns:re="http://exslt.org/regular-expressions">{"a" * 40}!</r>'), "cannot be evaluated"),
    ("a document from disk", f"document('{FILE}')", whole("<r/>"), "cannot be evaluated"),
    ("an unparsed text from disk", f"unparsed-text('{FILE}')", whole("<r/>"), "cannot be evaluated"),
    ("a path beyond its bound", "/" + "a" * 2_000, whole("<r/>"), "more than 2000"),
    ("no path", "//[", whole("<r/>"), "cannot be evaluated"),
)  # fmt: skip

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
QUADRATIC = "<!ENTITY a '" + "x" * 50_000 + "'>"

XML_DOCUMENTS: tuple[tuple[str, Callable[[], bytes], str], ...] = (
    ("a billion laughs", whole(f'<!DOCTYPE r [<!ENTITY l0 "lol">{LAUGHS}]><r>&l9;</r>'), "XML|is ''|is "),
    ("quadratic blow-up", whole(f"<!DOCTYPE r [{QUADRATIC}]><r>{'&a;' * 50_000}</r>"), "XML|is "),
    ("laughs in an attribute", whole(f'<!DOCTYPE r [<!ENTITY l0 "lol">{LAUGHS}]><r a="&l9;"/>'), "XML|is "),
    ("an entity that contains itself", whole('<!DOCTYPE r [<!ENTITY a "&b;"><!ENTITY b "&a;">]><r>&a;</r>'), "XML|is "),
    ("an entity from disk", whole(f'<!DOCTYPE r [<!ENTITY x SYSTEM "{FILE}">]><r>&x;</r>'), "XML|is ''"),
    ("an entity from the network", whole(f'<!DOCTYPE r [<!ENTITY x SYSTEM "{URL}/e">]><r>&x;</r>'), "XML|is ''"),
    ("a parameter entity from the network", whole(f'<!DOCTYPE r [<!ENTITY % x SYSTEM "{URL}/p"> %x;]><r>y</r>'), "XML|is 'y'"),
    ("a parameter entity from disk", whole(f'<!DOCTYPE r [<!ENTITY % x SYSTEM "{FILE}"> %x;]><r>y</r>'), "XML|is 'y'"),
    ("a DTD from disk", whole(f'<!DOCTYPE r SYSTEM "{FILE}"><r>y</r>'), "is 'y'"),
    ("a DTD from the network", whole(f'<!DOCTYPE r SYSTEM "{URL}/d"><r>y</r>'), "is 'y'"),
    ("a public DTD", whole(f'<!DOCTYPE r PUBLIC "-//A//B//EN" "{URL}/d"><r>y</r>'), "is 'y'"),
    ("an inclusion from disk",
     whole(f'<r><x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{FILE}" parse="text"/></r>'), "is ''"),
    ("a style sheet from the network", whole(f'<?xml-stylesheet href="{URL}/s" type="text/xsl"?><r>y</r>'), "is 'y'"),
    ("a schema from the network",
     whole(f'<r xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:noNamespaceSchemaLocation="{URL}/x">y</r>'),
     "is 'y'"),
    ("a hundred thousand elements deep", whole("<a>" * 100_000 + "</a>" * 100_000), "XML"),
    ("three hundred thousand attributes",
     whole("<r " + " ".join(f'a{n}="{n}"' for n in range(300_000)) + "/>"), "XML|is ''|TIMEOUT"),
    ("a hundred thousand namespaces",
     whole("<r " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(100_000)) + "/>"), "XML|is ''|TIMEOUT"),
    ("a hundred thousand entities",
     whole("<!DOCTYPE r [" + "".join(f'<!ENTITY a{n} "x">' for n in range(100_000)) + "]><r>y</r>"), "XML|is 'y'|TIMEOUT"),
    ("a name of 4 MB", whole("<r>" + "<" + "a" * 4_000_000 + "/></r>"), "XML"),
    ("an encoding that is none", whole('<?xml version="1.0" encoding="x-none"?><r>y</r>'), "XML|is 'y'"),
)  # fmt: skip

HTML_DEEP = whole("<!doctype html><html>" + "<div>" * 200_000)
HTML_TABLES = whole("<!doctype html><html>" + "<table><tr><td>" * 50_000)

# JSON Schema

DOUBLING = (
    '{"$ref":"#/definitions/a0","definitions":{'
    + ",".join(
        f'"a{n}":{{"%s":[{{"$ref":"#/definitions/a{n + 1}"}},{{"$ref":"#/definitions/a{n + 1}"}}]}}' for n in range(30)
    )
    + ',"a30":{"type":"array"}}}'
)
VALUES = ",".join(f'"v{n}"' for n in range(25_000))

SCHEMAS: tuple[tuple[str, str, Callable[[], bytes], str], ...] = (
    ("doubling with allOf", DOUBLING.replace("%s", "allOf").replace('"array"', '"object"'), whole("{}"), TIMEOUT),
    ("doubling with anyOf", DOUBLING.replace("%s", "anyOf"), whole("{}"), TIMEOUT),
    ("doubling with oneOf", DOUBLING.replace("%s", "oneOf"), whole("{}"), TIMEOUT),
    ("a reference to the network", f'{{"$ref": "{URL}/schema"}}', whole("{}"), "schema cannot be used"),
    ("a reference to disk", f'{{"$ref": "{FILE}"}}', whole("{}"), "schema cannot be used"),
    ("a relative reference under a foreign name", f'{{"$id": "{URL}/a", "$ref": "b"}}', whole("{}"), "schema cannot be used"),
    ("a dialect from the network", f'{{"$schema": "{URL}/dialect"}}', whole("{}"), "schema cannot|^holds$"),
    ("a reference to itself", '{"$ref": "#"}', whole("{}"), "schema|^holds$|TIMEOUT"),
    ("two references to each other",
     '{"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"$ref": "#/definitions/a"}}}',
     whole("{}"), "schema|^holds$|TIMEOUT|crashed"),
    ("a pattern that backtracks", '{"items": {"pattern": "^(a|aa)+$"}}', whole(WORDS), "breaks the schema"),
    ("a pattern with a reference", '{"items": {"pattern": "^(a*)*\\\\1b"}}', whole(WORDS), "TIMEOUT"),
    ("a pattern with a lookahead", '{"items": {"pattern": "^(?=(a+)+$)"}}', whole(WORDS), "breaks the schema"),
    ("a pattern that grows when compiled",
     '{"items": {"pattern": "(?:(?:x{1000}){1000}){1000}"}}', whole(WORDS), "schema|TIMEOUT"),
    ("names that match a pattern", '{"patternProperties": {"^(a|aa)+$": false}}',
     whole('{"' + "a" * 40 + '!": 1}'), "schema|^holds$"),
    ("a large enum for each item", '{"items": {"enum": [' + VALUES + "]}}", large('"w",', '"w"]', "["), "breaks|TIMEOUT"),
    ("an enum that every item is at the end of", '{"items": {"enum": [' + VALUES + "]}}",
     large('"v24999",', '"v24999"]', "["), f"^{HOLDS}$|{TIMEOUT}"),
    ("unique objects", '{"uniqueItems": true}', whole("[" + ",".join(f'{{"a":{n}}}' for n in range(300_000)) + "]"),
     f"^{HOLDS}$|{TIMEOUT}"),
    ("ten thousand schemas deep", '{"not":' * 10_000 + "{}" + "}" * 10_000, whole("{}"), "schema cannot be used"),
    ("recursion through a deep document",
     '{"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "additionalProperties": false, "required": ["z"]}',
     whole(DEEP), TIMEOUT),
    ("a schema beyond its bound", '{"description": "' + "x" * 262_144 + '"}', whole("{}"), "more than 262144"),
    ("no schema", '{"type": "thing"}', whole("{}"), "schema cannot be used"),
)  # fmt: skip

# Bodies

ZEROS = 64 * 1024 * 1024


@cache
def gzip_bomb() -> bytes:
    return gzip.compress(bytes(ZEROS), 1)


@cache
def brotli_bomb() -> bytes:
    return bytes(brotli.compress(bytes(ZEROS), quality=1))


@cache
def zstd_bomb() -> bytes:
    return zstd.compress(bytes(ZEROS), 1)


def deflate_bomb() -> bytes:
    return zlib.compress(bytes(ZEROS), 1)


def bomb_in_a_bomb() -> bytes:
    return gzip.compress(gzip_bomb(), 9)


def empty_members() -> bytes:
    return gzip.compress(b"") * 240_000


def empty_frames() -> bytes:
    return zstd.compress(b"") * 300_000


def vast_window() -> bytes:
    """A zstd frame that asks for 2 GiB of window (RFC 8878 §3.1.1.1.2: exponent 21, 2^31 bytes)."""
    return b"\x28\xb5\x2f\xfd\x00" + bytes((21 << 3,)) + b"\x01\x00\x00"


CODED: tuple[tuple[str, tuple[str, ...], Callable[[], bytes], str], ...] = (
    ("a gzip bomb", ("gzip",), gzip_bomb, "larger than"),
    ("a brotli bomb", ("br",), brotli_bomb, "larger than"),
    ("a zstd bomb", ("zstd",), zstd_bomb, "larger than"),
    ("a deflate bomb", ("deflate",), deflate_bomb, "larger than"),
    ("a bomb in a bomb", ("gzip", "gzip"), bomb_in_a_bomb, "larger than"),
    ("a quarter million empty gzip members", ("gzip",), empty_members, "more than 64"),
    ("a third of a million empty zstd frames", ("zstd",), empty_frames, "more than 64"),
    ("a window of 2 GiB", ("zstd",), vast_window, "not valid zstd"),
    ("half a gzip", ("gzip",), lambda: gzip_bomb()[:1000], "not valid gzip"),
    ("five codings", ("gzip",) * 5, gzip_bomb, "5 times"),
    ("a coding that is none", ("x-none",), whole("abc"), "sha256 is ba7816bf"),
    ("random bytes as brotli", ("br",), whole(bytes(range(256)) * 100), "not valid br"),
)


SCRIPTS: tuple[tuple[str, str, str], ...] = (
    ("an endless loop", "for (;;);", TIMEOUT),
    ("an endless loop that catches everything", "for (;;) try { for (;;); } catch { } finally { continue }", TIMEOUT),
    ("an endless loop after a wait", "await 1; for (;;);", TIMEOUT),
    ("endless promises", "function f() { Promise.resolve().then(f) } f()", TIMEOUT),
    ("promises that multiply", "function f() { for (;;) Promise.resolve().then(f) } f()", f"{TIMEOUT}|{MEMORY}"),
    ("an endless wait", "await new Promise(() => {})", "never comes"),
    ("endless text", "let a = 'x'; for (;;) a += a + Math.random()", f"string too long|{TIMEOUT}|{MEMORY}"),
    ("endless buffers", "const a = []; for (;;) a.push(new ArrayBuffer(1e6))", f"{TIMEOUT}|{MEMORY}"),
    ("a billion elements", "new Array(1e9).fill(1)", f"{TIMEOUT}|{MEMORY}"),
    ("a sort of millions", "new Float64Array(2e7).map(Math.random).sort()", f"{TIMEOUT}|{MEMORY}"),
    ("a huge integer", "let a = 3n; for (;;) a *= a", f"{TIMEOUT}|too large"),
    ("endless recursion", "const f = () => f(); f()", "call stack"),
    ("a comparison of what is nested deeply", "let a; for (let i = 0; i < 1e5; i++) a = {a}; a.should.eql({})", "call stack"),
    ("a pattern that backtracks", "/^(a+)+$/.test('a'.repeat(50) + 'b')", TIMEOUT),
    ("a getter that never ends", "throw {get message() { for (;;); }, toJSON() { for (;;); }}", TIMEOUT),
    ("a wait for another thread", "Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)", "not defined"),
    ("a file by name", f"await import('{FILE}')", "could not load"),
    ("a file that is a module", "await import('/etc/passwd')", "could not load"),
    ("the network", f"await fetch('{URL}')", "not defined"),
    ("the network as a module", f"await import('{URL}/m.js')", "could not load"),
    ("the engine's own modules", "(await import('std')).open('/etc/passwd', 'r')", "could not load"),
    ("a flood of logs", "for (let i = 0; i < 1e4; i++) console.log('x'.repeat(1e4)); throw 1", f"threw 1|{TIMEOUT}"),
    ("a message of megabytes", "throw new Error('x'.repeat(1e7))", "Error: xxx"),
    ("a script beyond its bound", " " * 70_000, "more than 65536"),
)  # fmt: skip


def _is_one(path: str) -> JSONPathAssertion:
    return JSONPathAssertion(path=path, operator=Operator.IS, target="one")


def _matches(pattern: str) -> Comparison:
    return Comparison(subject=Subject.BODY, operator=Operator.MATCHES, target=pattern)


def _xpath(path: str) -> XPathAssertion:
    return XPathAssertion(path=path, operator=Operator.IS, target="one")


JSON, XML, HTML = "application/json", "application/xml", "text/html"

ATTACKS: tuple[Attack, ...] = (
    *(
        Attack(name=f"pattern: {name}", assertion=_matches(pattern), body=body, expect=expect)
        for name, pattern, body, expect in PATTERNS
    ),
    Attack(
        name="pattern: on a header",
        assertion=Comparison(subject=Subject.HEADER, operator=Operator.MATCHES, target="^(a+)+$", property="x-a"),
        headers=(("x-a", "a" * 40 + "!"),),
        body=whole(""),
        expect=TIMEOUT,
    ),
    *(
        Attack(name=f"JSONPath: {name}", assertion=_is_one(path), body=body, content_type=JSON, expect=expect)
        for name, path, body, expect in JSON_PATHS
    ),
    Attack(
        name="JSONPath: a slow pattern for every element",
        assertion=JSONPathAssertion(
            path="$[*]", operator=Operator.DOES_NOT_MATCH, target="^(a+)+$", elements=Elements.EVERY
        ),
        body=every(1000),
        content_type=JSON,
        expect=TIMEOUT,
    ),
    Attack(
        name="JSONPath: a pattern on the serialization of 5 MB",
        assertion=JSONPathAssertion(
            path="$[*]", operator=Operator.MATCHES, target=r"\d+z", elements=Elements.SERIALIZATION
        ),
        body=large("1,", "1]", "["),
        content_type=JSON,
        expect=TIMEOUT,
    ),
    *(
        Attack(name=f"JSON: {name}", assertion=_is_one("$.a"), body=body, content_type=JSON, expect=expect)
        for name, body, expect in JSON_DOCUMENTS
    ),
    *(
        Attack(name=f"XPath: {name}", assertion=_xpath(path), body=body, content_type=XML, expect=expect)
        for name, path, body, expect in XPATHS
    ),
    *(
        Attack(name=f"XML: {name}", assertion=_xpath("/*"), body=body, content_type=XML, expect=expect)
        for name, body, expect in XML_DOCUMENTS
    ),
    Attack(
        name="HTML: 200,000 elements deep", assertion=_xpath("/*"), body=HTML_DEEP, content_type=HTML, expect="is|HTML|TIMEOUT"
    ),
    Attack(
        name="HTML: tables in tables", assertion=_xpath("/*"), body=HTML_TABLES, content_type=HTML, expect="is|HTML|TIMEOUT"
    ),
    *(
        Attack(
            name=f"schema: {name}",
            assertion=JSONSchemaAssertion(schema=schema),
            body=body,
            content_type=JSON,
            expect=expect,
        )
        for name, schema, body, expect in SCHEMAS
    ),
    *(
        Attack(name=f"script: {name}", assertion=JavaScriptAssertion(code=code), body=whole("{}"), expect=expect)
        for name, code, expect in SCRIPTS
    ),
    *(
        Attack(
            name=f"body: {name}",
            assertion=BodyHashAssertion(algorithm="sha256", target="00"),
            body=body,
            codings=codings,
            expect=expect,
        )
        for name, codings, body, expect in CODED
    ),
)  # fmt: skip
