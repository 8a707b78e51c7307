"""Whatever the assertion and whatever the body: a result, with a reason where it does not hold, and never an exception.

What would hang is not here: it is killed in a process of its own, and tested there.
"""

from __future__ import annotations

import gzip
import pickle
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.observed import LIMITS, http, parsed_test, tcp
from tests.unit.checks.one_of_each import ONE_OF_EACH
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
    UnknownAssertion,
    XPathAssertion,
)
from worker.apitest.observation import Observation
from worker.apitest.result import AssertionResult
from worker.checks.cost import cost_of, evaluate_bounded
from worker.checks.evaluate import evaluate
from worker.checks.evidence import Evidence
from worker.checks.limits import BOUNDED_WORK
from worker.checks.verdict import conclude
from worker.outcome.phases import Timings

HOSTILE_BODIES = {
    "deep list": b"[" * 2_000_000,
    "deep object": b'{"a":' * 1_000_000,
    "deep markup": b"<a>" * 1_000_000,
    "deep html": b"<html>" + b"<div>" * 500_000,
    "deep but closed": b"[" * 1000 + b"]" * 1000,
    "digits": b"9" * 100_000,
    "exponent": b"1e999999999",
    "lone surrogate": b'"\\ud800"',
    "nul": b"\x00" * 1000,
    "binary": bytes(range(256)) * 100,
    "wide": b"[" + b"1," * 20_000 + b"1]",
    "many members": b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(5_000)) + b"}",
    "one attribute": b"<a b='" + b"x" * 1_000_000 + b"'/>",
    "many attributes": b"<a " + b" ".join(b"a%d='1'" % n for n in range(20_000)) + b"/>",
    "comments": b"<!--" * 100_000,
    "utf-16 without end": b"\xff\xfea",
    "utf-7": b"+ADw-script+AD4-",
    "processing": b"<?xml version='1.0' encoding='utf-7'?><a/>",
    "unknown encoding": b"<?xml version='1.0' encoding='nowhere'?><a/>",
    "gzip in disguise": gzip.compress(b"x" * 100),
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
@pytest.mark.parametrize("content_type", ["application/json", "text/xml", "text/html; charset=utf-16", None])
def test_a_hostile_body_ends_in_results(body: bytes, content_type: str | None) -> None:
    observation = http(body, content_type)
    test = parsed_test("http", *ONE_OF_EACH)
    evidence = Evidence(observation, LIMITS)
    results = [evaluate(assertion, evidence) for assertion in test.assertions]
    for result in results:
        assert result.valid is (result.error_message is None)
        assert len(msgspec.msgpack.encode(result)) < 8_000
    conclude(test, observation, results)


@pytest.mark.parametrize(
    "encodings", [("gzip",), ("br",), ("zstd",), ("deflate", "gzip"), ("nonsense",), ("gzip",) * 50]
)
def test_a_body_whose_coding_is_a_lie_ends_in_results(encodings: tuple[str, ...]) -> None:
    evidence = Evidence(http(b"\x1f\x8b\x08 no gzip at all", encodings=encodings), LIMITS)
    for assertion in parsed_test("http", *ONE_OF_EACH).assertions:
        result = evaluate(assertion, evidence)
        assert result.valid is (result.error_message is None)


TEXTS = st.text(max_size=12)
SCALARS = TEXTS | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
PATHS = TEXTS | st.text("$.@[]*?()'\"ab01:,-<=!&|~/` \\", max_size=12)
ASSERTIONS: st.SearchStrategy[Assertion] = st.one_of(
    st.builds(
        Comparison,
        subject=st.sampled_from(Subject),
        operator=st.sampled_from(Operator),
        target=SCALARS,
        property=st.none() | TEXTS | st.sampled_from(["content-type", "A", "TXT"]),
        without_dns=st.booleans(),
    ),
    st.builds(
        JSONPathAssertion,
        path=PATHS,
        operator=st.sampled_from(Operator),
        target=SCALARS,
        elements=st.sampled_from(Elements),
    ),
    st.builds(XPathAssertion, path=PATHS, operator=st.sampled_from(Operator), target=SCALARS),
    st.builds(
        JSONSchemaAssertion,
        schema=TEXTS | st.sampled_from(["{}", "true", "[]", '{"type":5}', '{"pattern":"("}']),
        meta_schema=st.sampled_from(["draft-06", "draft-07", "draft-2019-09", "draft-2020-12", "x"]),
    ),
    st.builds(BodyHashAssertion, algorithm=st.sampled_from(["md5", "sha1", "sha256"]), target=TEXTS),
    st.builds(JavaScriptAssertion, code=TEXTS),
    st.builds(UnknownAssertion, type=TEXTS, operator=st.none() | TEXTS),
)
OBSERVATIONS = st.one_of(
    st.builds(
        http,
        st.binary(max_size=30) | st.sampled_from([b'{"a":[1,{"b":"x"}]}', b"<a b='1'>x<b/></a>", b"[]", b""]),
        st.none() | st.sampled_from(["application/json", "text/html", "text/xml; charset=koi8-r"]) | TEXTS,
        headers=st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
        encodings=st.just(()) | st.lists(st.sampled_from(["gzip", "br", "zstd", "x"]), max_size=2).map(tuple),
    ),
    st.sampled_from(["established", "refused", "timeout"]).map(tcp),
    st.just(Observation(timings=Timings())),
)


@given(assertion=ASSERTIONS, observation=OBSERVATIONS)
@settings(max_examples=400, deadline=None)
def test_any_assertion_on_anything_ends_in_a_result_that_travels_and_is_the_same_in_place(
    assertion: Assertion, observation: Observation
) -> None:
    result = evaluate(assertion, Evidence(observation, LIMITS))
    assert result.valid is (result.error_message is None)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(result), type=AssertionResult) == result
    if cost_of(assertion, Evidence(observation, LIMITS)) <= BOUNDED_WORK:
        assert evaluate_bounded(assertion, Evidence(observation, LIMITS)) == result


def test_importing_has_no_side_effects_and_warming_up_leaves_nothing_to_load() -> None:
    program = """
import sys, threading
from worker.checks.evidence import Evidence
from worker.checks.limits import BOUNDED_WORK
from worker.checks.evaluate import evaluate
from worker.checks.warmup import warm_up
assert threading.active_count() == 1
from tests.support.observed import LIMITS, http, parsed_test
warm_up(LIMITS)
from tests.unit.checks.one_of_each import ONE_OF_EACH
test = parsed_test("http", *ONE_OF_EACH)
opened = []
sys.addaudithook(lambda event, args: opened.append((event, args)) if event in ("open", "import", "socket.connect") else None)
for page in (http(b'{"a": 1}'), http(b"<a>1</a>", "text/xml"), http("<p>\u0436".encode("koi8-r"), "text/html; charset=koi8-r")):
    evidence = Evidence(page, LIMITS)
    for assertion in test.assertions:
        evaluate(assertion, evidence)
assert opened == [], opened
assert threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_results_are_values_that_survive_a_copy() -> None:
    evidence = Evidence(http(b'{"a":1}'), LIMITS)
    for assertion in parsed_test("http", *ONE_OF_EACH).assertions:
        result = evaluate(assertion, evidence)
        assert pickle.loads(pickle.dumps(result)) == result
